"""``tumorseg import``: a foreign model, such as a Keras file, as one of this program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console, show_warnings
from napari_tumorseg.notice import RESEARCH_USE

if TYPE_CHECKING:
    from napari_tumorseg.importing import Answers, OpenQuestionsError
    from napari_tumorseg.models import Model

_OPTIONS = {
    "roles": "--roles ROLE,ROLE",
    "plane": "--plane axial",
    "normalisation": "--normalisation NAME",
    "spacing": "--spacing MM",
    "activation": "--activation sigmoid or softmax",
    "outputs": "--outputs NAME,NAME",
    "convention": "--labels CONVENTION",
    "network": "--like SYSTEM",
}
"""Option that answers each question."""


def import_model(
    model: Annotated[Path, typer.Argument(help="File or folder of the model.", show_default=False)],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model.", show_default="that of the file")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write to.", show_default="that of your models"),
    ] = None,
    like: Annotated[
        str,
        typer.Option("--like", help="System whose inputs and outputs the model shares, as in `recipes`."),
    ] = "",
    roles: Annotated[
        list[str] | None,
        typer.Option(
            "--roles", help="Modality of each input channel, such as flair,t1c.", show_default=False
        ),
    ] = None,
    plane: Annotated[str, typer.Option("--plane", help="axial, coronal, sagittal or acquired.")] = "",
    normalisation: Annotated[
        str,
        typer.Option(
            "--normalisation",
            help="Normalisation of intensities, such as zscore-brain, minmax-slice or divide-255.",
        ),
    ] = "",
    size: Annotated[
        str, typer.Option("--size", help="Rows x columns of the network's input, such as 256x256.")
    ] = "",
    fit: Annotated[
        str, typer.Option("--fit", help="Way from a slice to that size: pad, contain or stretch.")
    ] = "",
    spacing: Annotated[
        str,
        typer.Option("--spacing", help="Voxel size in mm it was trained on: one number, or Z,Y,X in 3-D."),
    ] = "",
    skull: Annotated[
        str, typer.Option("--skull", help="Scans it was trained on: present, stripped or any.")
    ] = "",
    activation: Annotated[
        str, typer.Option("--activation", help="sigmoid (regions) or softmax (classes).")
    ] = "",
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            "--outputs",
            help="What each output is, such as background,NCR,ED,ET or WT,TC,ET.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        str, typer.Option("--labels", help="Label convention of the outputs, such as brats-2021.")
    ] = "",
    threshold: options.Threshold = None,
    title: Annotated[str, typer.Option("--title", help="Title of the model.")] = "",
    licence: Annotated[str, typer.Option("--licence", help="Licence of the weights.")] = "",
    overwrite: options.Overwrite = False,
) -> None:
    """Import a model of another framework; nothing in its file is run, and the framework is not needed."""
    from napari_tumorseg.importing import OpenQuestionsError, import_model

    answers = _answers(
        like=like,
        roles=roles,
        plane=plane,
        normalisation=normalisation,
        size=_size(size),
        fit=fit,
        spacing=spacing,
        skull=skull,
        activation=activation,
        outputs=outputs,
        convention=labels,
        threshold=threshold,
        title=title,
        licence=licence,
    )
    warnings: list[str] = []
    try:
        made = import_model(
            model, name=name, answers=answers, folder=output, overwrite=overwrite, report=warnings.append
        )
    except OpenQuestionsError as error:
        raise _worded(error) from error
    show_warnings(warnings)
    _show(made)


def _answers(**given: Any) -> Answers:
    from napari_tumorseg.errors import InputError
    from napari_tumorseg.importing.answers import parsed_answers

    try:
        return parsed_answers(given)
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


def _size(text: str) -> tuple[int, ...] | None:
    if not text:
        return None
    rows, _, columns = text.lower().partition("x")
    try:
        return int(rows), int(columns or rows)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not ROWSxCOLUMNS, such as 256x256") from None


def _worded(error: OpenQuestionsError) -> Exception:
    from napari_tumorseg.errors import ChoiceNeededError
    from napari_tumorseg.importing.presets import list_presets

    listed = ", ".join(_OPTIONS[question] for question in error.questions)
    return ChoiceNeededError(
        f"{error}; state it with {listed}, or with --like if the model was made like one of "
        f"{', '.join(list_presets())}"
    )


def _show(made: Model) -> None:
    screen = console()
    screen.print(f"{made.name}: {made.card.title}. {RESEARCH_USE}", markup=False)
    if made.card.origin is not None:
        screen.print(made.card.origin.as_text(), markup=False)
    screen.print(f"wrote {made.weights}", markup=False)
    screen.print(f"wrote {made.weights.with_suffix('.toml')}", markup=False)
