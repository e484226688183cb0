"""``tumorseg demo``: the main job on the sample that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for mask, JSON, table and picture.")
    ] = Path("demo_output"),
    kind: Annotated[str, typer.Option(help="Which sample: brats, lgg or hdf5.")] = "brats",
    overwrite: options.Overwrite = False,
) -> None:
    """Segment the synthetic sample scan and write mask, JSON, table and an overlay picture."""
    from napari_tumorseg.cli.segment import segment
    from napari_tumorseg.samples import sample_path

    console().print("A synthetic scan: no person's anatomy, no real tumour.")
    segment(
        [sample_path(kind)],
        output,
        picture=output / "overlay.png",
        csv=output / "volumes.csv",
        overwrite=overwrite,
    )
