"""``python -m napari_tumorseg.cli``."""

from napari_tumorseg.cli.app import main

main()
