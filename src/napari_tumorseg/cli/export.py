"""``tumorseg export``: a model as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.files import check_file
from napari_tumorseg.cli.output import console, show_warnings
from napari_tumorseg.notice import RESEARCH_USE


def export(
    model: Annotated[str, typer.Argument(help="Name or path of a model.", show_default=False)],
    output: Annotated[Path, typer.Argument(help="File to write, NAME.onnx.", show_default=False)],
    overwrite: options.Overwrite = False,
) -> None:
    """Write a model as one ONNX file for other programs, and check it against the original.

    It takes normalised slices and gives logits; the card inside states the preparation, so that
    `segment --model FILE.onnx` runs it here. Needs the extra `onnx`.
    """
    from napari_tumorseg.models import get_model
    from napari_tumorseg.models.onnx.export import export_onnx

    check_file(output, overwrite)
    found = get_model(model)
    made = export_onnx(found, output, overwrite)
    show_warnings(made.notes)
    screen = console()
    size = " x ".join(map(str, made.shape))
    screen.print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)", markup=False)
    screen.print(
        f"ONNX Runtime and torch differ by at most {made.probabilities:.1e} in probabilities "
        f"({made.logits:.1e} in logits) on the same random input of {size}",
        markup=False,
    )
    screen.print(f"Licence of the weights: {found.card.about.licence}. {RESEARCH_USE}", markup=False)
