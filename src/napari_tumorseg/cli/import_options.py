"""Types and help texts of the options of ``tumorseg import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ForeignModel = Annotated[Path, typer.Argument(help="File or folder of the model.", show_default=False)]
ImportedName = Annotated[
    str | None, typer.Option("--name", help="Name of the model.", show_default="that of the file")
]
ModelFolder = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder to write to.", show_default="that of your models"),
]
Like = Annotated[
    str,
    typer.Option("--like", help="System whose inputs and outputs the model shares, as in `recipes`."),
]
ChannelRoles = Annotated[
    list[str] | None,
    typer.Option("--roles", help="Modality of each input channel, such as flair,t1c.", show_default=False),
]
Plane = Annotated[str, typer.Option("--plane", help="axial, coronal, sagittal or acquired.")]
Normalisation = Annotated[
    str,
    typer.Option(
        "--normalisation",
        help="Normalisation of intensities, such as zscore-brain, minmax-slice or divide-255.",
    ),
]
InputSize = Annotated[
    str, typer.Option("--size", help="Rows x columns of the network's input, such as 256x256.")
]
Fit = Annotated[str, typer.Option("--fit", help="Way from a slice to that size: pad, contain or stretch.")]
TrainedSpacing = Annotated[
    str,
    typer.Option("--spacing", help="Voxel size in mm it was trained on: one number, or Z,Y,X for volumes."),
]
Skull = Annotated[str, typer.Option("--skull", help="Scans it was trained on: present, stripped or any.")]
Activation = Annotated[str, typer.Option("--activation", help="sigmoid (regions) or softmax (classes).")]
OutputNames = Annotated[
    list[str] | None,
    typer.Option(
        "--outputs",
        help="What each output is, such as background,NCR,ED,ET or WT,TC,ET.",
        show_default=False,
    ),
]
OutputLabels = Annotated[
    str, typer.Option("--labels", help="Label convention of the outputs, such as brats-2021.")
]
Title = Annotated[str, typer.Option("--title", help="Title of the model.")]
Licence = Annotated[str, typer.Option("--licence", help="Licence of the weights.")]
