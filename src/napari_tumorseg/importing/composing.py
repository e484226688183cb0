"""Card of an imported model, from its draft, the user's answers and a preset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.importing.outputs import output_table
from napari_tumorseg.importing.presets import Preset, preset
from napari_tumorseg.importing.questions import OpenQuestionsError, Question
from napari_tumorseg.importing.stated_spacing import with_spacing
from napari_tumorseg.models.architectures import ARCHITECTURES
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.origin import Origin
from napari_tumorseg.toml_table import first_problem

_NEEDED = {
    "roles": Question.ROLES,
    "plane": Question.PLANE,
    "normalisation": Question.NORMALISATION,
}
"""Fields of the card's table ``input`` that are asked for where nothing states them."""


def compose(draft: Draft, answers: Answers, name: str, path: Path, origin: Origin) -> ModelCard:
    """Return the card of an imported model, still without the hash of its weights.

    Raises
    ------
    OpenQuestionsError
        If facts are open that the card needs.
    ModelError
        If facts contradict each other.
    """
    like = preset(answers.like)
    given = _input(draft, answers, like)
    output, questions = output_table(draft.outputs, answers, draft.output, like.output)
    asked = [question for field, question in _NEEDED.items() if field not in given] + questions
    if asked:
        details = f"{_counted(draft.channels, 'input channel')}, {_counted(draft.outputs, 'output')}"
        raise OpenQuestionsError(path.name, asked, details)
    title = answers.title or draft.title or like.title or path.name
    tables = {
        "name": name,
        "title": printable(title),
        "summary": f"Imported from {path.name}.",
        "network": draft.network,
        "input": given,
        "output": output,
        "about": {**_about(like), **printable(draft.about), **answers.about},
        "origin": origin.model_copy(update={"format": printable(origin.format)}),
        **printable(draft.tables),
    }
    try:
        card = ModelCard.model_validate(tables)
    except ValidationError as error:
        raise ModelError(f"{path.name}: the card would be wrong: {first_problem(error)}") from error
    _check_channels(card, draft, path)
    return card


def _input(draft: Draft, answers: Answers, like: Preset) -> dict[str, Any]:
    """Return the table ``input``: the preset's fields, replaced by the file's, replaced by the answers."""
    below = _merged(_uncropped(draft), _merged(like.input, draft.input))
    given = with_spacing(_merged(below, answers.input), answers.spacing)
    if answers.roles:  # other roles have other substitutes
        for field in ("accepts", "substitute"):
            given.pop(field, None)
    return given


def _uncropped(draft: Draft) -> dict[str, Any]:
    """Return that slices go in whole, for a network whose outputs depend on all of a slice."""
    if draft.input.get("plane") == "volume":
        return {}
    arguments = ARCHITECTURES[draft.network.architecture].arguments.of(draft.network.arguments)
    return {"size": {"crop": False}} if draft.whole or arguments.sees_whole_image else {}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of both tables, those of `above` first; sizes are merged field by field."""
    merged = {**below, **above}
    if "size" in below and "size" in above:
        merged["size"] = {**below["size"], **above["size"]}
    return merged


def printable(value: Any) -> Any:
    """Return a value whose texts, which a file may choose, cannot steer a terminal."""
    if isinstance(value, str):
        return "".join(one if one.isprintable() else " " for one in value)
    if isinstance(value, Mapping):
        return {key: printable(one) for key, one in value.items()}
    return [printable(one) for one in value] if isinstance(value, list | tuple) else value


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _about(like: Preset) -> dict[str, str]:
    return {"citation": like.citation} if like.citation else {}


def _check_channels(card: ModelCard, draft: Draft, path: Path) -> None:
    if card.input.channels != draft.channels:
        roles = ", ".join(role.title for role in card.input.roles)
        raise ModelError(
            f"{path.name} takes {draft.channels} channels, but {card.input.channels} are stated ({roles})"
        )
    if len(card.output.names) != draft.outputs:
        raise ModelError(
            f"{path.name} gives {draft.outputs} outputs, but {len(card.output.names)} are stated "
            f"({', '.join(card.output.names)})"
        )
