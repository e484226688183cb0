"""The command line, ``tumorseg``: one command a file.

Nothing heavy is imported here: ``--help`` must be there at once.
"""

from napari_tumorseg.cli.app import main

__all__ = ["main"]
