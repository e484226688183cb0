"""Answers of the user to what a model file leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from napari_tumorseg.errors import InputError
from napari_tumorseg.models.card import AnyPlane
from napari_tumorseg.scan import Role
from napari_tumorseg.toml_table import first_problem

NORMALISATIONS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "zscore-brain": {"method": "zscore", "scope": "volume", "statistics": "foreground"},
        "zscore-brain-zero": {
            "method": "zscore",
            "scope": "volume",
            "statistics": "foreground",
            "background": "zero",
        },
        "zscore-volume": {"method": "zscore", "scope": "volume", "statistics": "all"},
        "zscore-slice": {"method": "zscore", "scope": "slice", "statistics": "all"},
        "minmax-slice": {"method": "minmax", "scope": "slice", "statistics": "all"},
        "minmax-volume": {"method": "minmax", "scope": "volume", "statistics": "all"},
        "divide-255": {"method": "divide", "divisor": 255.0},
        "none": {"method": "none"},
    }
)
"""Usual normalisations by a short name, as tables of a card; the card can be edited for any other."""


@dataclass(frozen=True)
class Answers:
    """Facts that the user states; they go before those of the file and of `like`.

    Attributes
    ----------
    like : str
        Name of a recipe, such as one of the published systems, whose inputs, preparation and outputs the
        model shares.
    roles : tuple of Role
        Modality of each input channel.
    plane : str or None
        Plane of the slices.
    normalisation : str
        One of `NORMALISATIONS`.
    size : (int, int) or None
        Rows and columns of the network's input.
    fit : {"pad", "contain", "stretch"} or None
        Way from a slice to that size.
    spacing : tuple of float
        In mm: one number in the plane of a 2-D network; one or three (Z, Y, X) for a 3-D one.
    skull : {"present", "stripped", "any"} or None
        Whether the model was trained on brain-extracted scans.
    activation : {"sigmoid", "softmax"} or None
        Regions of their own, or classes that exclude each other.
    outputs : tuple of str
        Region (WT, TC, ET) or label (number or abbreviation) of each output; ``background`` for none.
    convention : str
        Name of the label convention.
    threshold : float or None
        Probability from which an output counts.
    title, licence, citation : str
        Texts of the card.
    """

    like: str = ""
    roles: tuple[Role, ...] = ()
    plane: AnyPlane | None = None
    normalisation: str = ""
    size: tuple[int, int] | None = None
    fit: Literal["pad", "contain", "stretch"] | None = None
    spacing: tuple[float, ...] = ()
    skull: Literal["present", "stripped", "any"] | None = None
    activation: Literal["sigmoid", "softmax"] | None = None
    outputs: tuple[str, ...] = ()
    convention: str = ""
    threshold: float | None = None
    title: str = ""
    licence: str = ""
    citation: str = ""

    @property
    def input(self) -> dict[str, Any]:
        """Stated fields of the card's table ``input``; that of `spacing` depends on the plane."""
        return _stated(
            roles=self.roles,
            plane=self.plane,
            skull=self.skull,
            normalisation=self._normalisation,
            size=_stated(canvas=self.size, fit=self.fit),
        )

    @property
    def _normalisation(self) -> dict[str, Any]:
        if self.normalisation and self.normalisation not in NORMALISATIONS:
            known = ", ".join(NORMALISATIONS)
            raise InputError(f"there is no normalisation {self.normalisation!r}; there are {known}")
        return NORMALISATIONS.get(self.normalisation, {})

    @property
    def about(self) -> dict[str, Any]:
        """Stated fields of the card's table ``about``."""
        return _stated(licence=self.licence, citation=self.citation)


def parsed_answers(texts: Mapping[str, Any]) -> Answers:
    """Return answers from texts as people type them, empty ones left out; names and numbers by commas.

    Raises
    ------
    InputError
        If a text is no answer to its question; the message names both.
    """
    stated: dict[str, Any] = {name: text for name, text in texts.items() if text not in (None, "", (), [])}
    for name in _LISTS & stated.keys():
        parts = stated[name] if not isinstance(stated[name], str) else [stated[name]]
        stated[name] = tuple(one.strip() for part in parts for one in part.split(",") if one.strip())
    try:
        return TypeAdapter(Answers).validate_python(stated)
    except ValidationError as error:
        raise InputError(first_problem(error)) from error


_LISTS = {"roles", "outputs", "spacing"}


def _stated(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", (), {})}
