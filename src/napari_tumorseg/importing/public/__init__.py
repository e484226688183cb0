"""Public models of brain tumours: where each is found, under which licence, and how it is imported."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from napari_tumorseg.toml_table import TomlTable, read_toml


class PublicModel(TomlTable):
    """A model that users can download themselves; nothing of it is part of this package.

    Attributes
    ----------
    name, title : str
        Name for ``like``, and for people.
    page, download : str
        Web page, and what to get there.
    kind : str
        Kind of its files.
    loads : {"yes", "unsure", "no"}
        Whether its files can be imported as they are published; unsure where that was not tried.
    licence, citation : str
        As its page states them.
    command : str
        Command that imports it; empty where it does not load.
    note : str
        Limits, or the reason why it does not load.
    input, output : dict
        Fields of these tables of a card that its files do not state.
    """

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    page: str
    download: str
    kind: str
    loads: Literal["yes", "unsure", "no"]
    licence: str
    citation: str
    command: str = ""
    note: str = ""
    input: dict[str, Any] = Field(default_factory=dict)
    output: dict[str, Any] = Field(default_factory=dict)


@cache
def public_models() -> dict[str, PublicModel]:
    """Return the public models by name."""
    content = read_toml(Path(__file__).with_name("models.toml"))
    return {entry["name"]: PublicModel.model_validate(entry) for entry in content["model"]}
