"""Outputs of an imported model: their activation, names, labels and convention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.questions import Question
from napari_tumorseg.regions import CONVENTIONS, LabelConvention

_BACKGROUND = "background"


def output_table(
    count: int, answers: Answers, stated: Mapping[str, Any], preset: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Question]]:
    """Return the card's table ``output``, and the questions that are open about it.

    Parameters
    ----------
    count : int
        Outputs of the network.
    answers : Answers
        Go before all else.
    stated, preset : mapping
        Fields of the table that the file and the preset give; the file's go first.

    Raises
    ------
    ModelError
        If names or labels do not fit the number of outputs or the convention.
    """
    merged = {**(preset if len(preset.get("names", ())) == count else {}), **stated}
    activation = answers.activation or merged.get("activation") or ("sigmoid" if count == 1 else None)
    if activation is None:
        return {}, [Question.ACTIVATION, *([] if answers.outputs else [Question.OUTPUTS])]
    merged["activation"] = activation
    if answers.threshold is not None:
        merged["threshold"] = answers.threshold
    if answers.outputs or answers.convention:
        named, questions = _named(count, activation, answers)
    elif "labels" in merged:
        named, questions = {}, []
    else:
        named, questions = _usual(count, activation)
    return {**merged, **named}, questions


def _usual(count: int, activation: str) -> tuple[dict[str, Any], list[Question]]:
    """Return the names and labels of a network that finds tumour or none; others are asked for."""
    if (count, activation) == (1, "sigmoid"):
        return {"names": ["WT"], "labels": [1], "scheme": "binary"}, []
    if (count, activation) == (2, "softmax"):
        return {"names": [_BACKGROUND, "WT"], "labels": [0, 1], "scheme": "binary"}, []
    return {}, [Question.OUTPUTS, Question.CONVENTION]


def _named(count: int, activation: str, answers: Answers) -> tuple[dict[str, Any], list[Question]]:
    if not answers.convention:
        usual, questions = _usual(count, activation)
        return (usual, []) if not questions and not answers.outputs else ({}, [Question.CONVENTION])
    convention = get_convention(answers.convention)
    if convention.name not in CONVENTIONS:
        raise ModelError(f"the convention {convention.name} is not built in, as a model card needs it")
    names = answers.outputs or _all_of(convention, count, activation)
    if not names:
        return {}, [Question.OUTPUTS]
    if len(names) != count:
        raise ModelError(f"the network has {count} outputs, but {len(names)} are named: {', '.join(names)}")
    labels = [_label(name, convention, activation) for name in names]
    return {"names": list(names), "labels": labels, "scheme": convention.name}, []


def _all_of(convention: LabelConvention, count: int, activation: str) -> Sequence[str]:
    """Return the names of all outputs if their number leaves no other reading."""
    if activation == "softmax" and count == len(convention.labels) + 1:
        return (_BACKGROUND, *(label.short for label in convention.labels))
    regions = tuple(convention.regions)
    return regions if activation == "sigmoid" and count == len(regions) else ()


def _label(name: str, convention: LabelConvention, activation: str) -> int:
    """Return the label that an output becomes: of a region, an abbreviation or a number."""
    if name.lower() in (_BACKGROUND, "0"):
        return 0
    regions = {region.lower(): convention.own_label(region) for region in convention.regions}
    shorts = {label.short.lower(): label.value for label in convention.labels}
    numbers = {str(value): value for value in convention.values}
    known = {**numbers, **(shorts | regions if activation == "sigmoid" else regions | shorts)}
    if name.lower() not in known:
        named = dict.fromkeys([*convention.regions, *(label.short for label in convention.labels)])
        raise ModelError(
            f"{name!r} is no region or label of {convention.name}; there are {_BACKGROUND}, "
            f"{', '.join(named)}"
        )
    return known[name.lower()]
