"""``tumorseg import``: a foreign model, such as a Keras file, as one of this program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from napari_tumorseg.cli import import_options, options
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
}
"""Option that answers each question."""


def import_model(
    model: import_options.ForeignModel,
    name: import_options.ImportedName = None,
    output: import_options.ModelFolder = None,
    like: import_options.Like = "",
    roles: import_options.ChannelRoles = None,
    plane: import_options.Plane = "",
    normalisation: import_options.Normalisation = "",
    size: import_options.InputSize = "",
    fit: import_options.Fit = "",
    spacing: import_options.TrainedSpacing = "",
    skull: import_options.Skull = "",
    activation: import_options.Activation = "",
    outputs: import_options.OutputNames = None,
    labels: import_options.OutputLabels = "",
    threshold: options.Threshold = None,
    title: import_options.Title = "",
    licence: import_options.Licence = "",
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

    systems = ", ".join(list_presets())
    listed = ", ".join(_OPTIONS[question] for question in error.questions if question in _OPTIONS)
    if not listed:
        return ChoiceNeededError(f"{error}; name the system with --like, one of {systems}")
    return ChoiceNeededError(
        f"{error}; state it with {listed}, or with --like if the model was made like one of {systems}"
    )


def _show(made: Model) -> None:
    screen = console()
    screen.print(f"{made.name}: {made.card.title}. {RESEARCH_USE}", markup=False)
    if made.card.origin is not None:
        screen.print(made.card.origin.as_text(), markup=False)
    screen.print(f"wrote {made.weights}", markup=False)
    screen.print(f"wrote {made.weights.with_suffix('.toml')}", markup=False)
