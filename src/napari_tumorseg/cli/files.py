"""Checks of output paths before any work is done."""

from __future__ import annotations

from pathlib import Path


def check_file(path: Path, overwrite: bool) -> None:
    """Check before any work is done that a file can be written at the end.

    Raises
    ------
    OutputError
        If it cannot be written, or is there and `overwrite` is false.
    """
    from napari_tumorseg.errors import OutputError
    from napari_tumorseg.io.atomic import check_target

    check_target(path, overwrite=True)
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; add --overwrite to replace it, or choose another name")
