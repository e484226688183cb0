"""Recipes: everything that decides what a training gives, in one TOML file.

What a model takes and gives stands in a recipe as it stands in a model card; the card of the trained model
is made of it. The rest is how it is trained.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import Field, ValidationError, field_validator, model_validator

from napari_tumorseg.errors import InputError
from napari_tumorseg.models.architectures import ARCHITECTURES, NetworkArguments
from napari_tumorseg.models.card import (
    About,
    Input,
    ModelCard,
    Network,
    Output,
)
from napari_tumorseg.post_settings import PostSettings
from napari_tumorseg.toml_table import TomlTable, first_problem, read_toml
from napari_tumorseg.training.augment_config import Augmentation
from napari_tumorseg.training.recipe_tables import Data, Fit, LossTerm, Optimiser, Schedule, SplitSettings

_FOLDER = Path(__file__).parent / "recipes"


class Recipe(TomlTable):
    """How a model is trained.

    Attributes
    ----------
    name, title, summary, version : str
        As in the model's card.
    source : str
        Publication that it reproduces.
    notes : tuple of str
        What the publication leaves open and was chosen here.
    data, split, network, input, output, postprocessing, loss, optimiser, schedule, fit, about
        Its tables.
    offline : tuple of tuple of Augmentation
        Each makes one more copy of every training slice, the same in all epochs.
    augmentation : tuple of Augmentation
        Drawn anew for each slice in each epoch.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str = ""
    summary: str = ""
    version: str = "1"
    source: str = ""
    notes: tuple[str, ...] = ()
    data: Data = Data()
    split: SplitSettings = SplitSettings()
    network: Network
    input: Input
    output: Output
    postprocessing: PostSettings = PostSettings()
    offline: tuple[tuple[Augmentation, ...], ...] = ()
    augmentation: tuple[Augmentation, ...] = ()
    loss: tuple[LossTerm, ...] = Field(min_length=1)
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    fit: Fit = Fit()
    about: About = About()

    @field_validator("network")
    @classmethod
    def _network(cls, network: Network) -> Network:
        stated = {"in_channels", "out_channels"} & set(network.arguments)
        if stated:
            raise ValueError(f"{', '.join(sorted(stated))} follow from input and output; leave them out")
        fields = ARCHITECTURES[network.architecture].arguments.model_fields
        needed = {name for name, field in fields.items() if field.is_required()}
        missing = needed - {"in_channels", "out_channels"} - set(network.arguments)
        if missing:
            raise ValueError(f"arguments lack {', '.join(sorted(missing))}")
        return network

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(t.name == "cross-entropy" for t in self.loss) != (self.output.activation == "softmax"):
            raise ValueError("cross-entropy goes with softmax, the other losses with sigmoid")
        if self.optimiser.name == "muon" and not self._network_arguments.normalised:
            raise ValueError("muon is for networks whose convolutions are followed by a norm")
        if self.output.activation == "softmax":
            if 0 not in self.output.labels:
                raise ValueError("softmax needs a class for the background, label 0, to be trained")
            if any(a.kind in ("paste", "appearance", "mistaken") for a in self.augmentation):
                raise ValueError("paste, appearance and mistaken are for sigmoid outputs")
        if self.fit.margin and self.fit.patch is None:
            raise ValueError("fit.margin needs fit.patch")
        patch = self.fit.patch
        if patch is not None and any(side % self.stride for side in patch):
            raise ValueError(f"the sides of patch {list(patch)} are no multiples of {self.stride}")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """What the network is made with."""
        channels = {
            "in_channels": self.input.channels,
            "out_channels": len(self.output.names),
        }
        return {**channels, **self.network.arguments}

    @property
    def stride(self) -> int:
        """Of the network."""
        return self._network_arguments.stride

    @property
    def _network_arguments(self) -> NetworkArguments:
        return ARCHITECTURES[self.network.architecture].arguments.of(self.arguments)

    def card(self, **about: Any) -> ModelCard:
        """Return the card of a model trained so; `about` replaces fields of that table."""
        return ModelCard(
            name=self.name,
            title=self.title,
            version=self.version,
            summary=self.summary,
            network=Network(architecture=self.network.architecture, arguments=self.arguments),
            input=self.input,
            output=self.output,
            postprocessing=self.postprocessing,
            about=self.about.model_copy(update=about),
        )

    def leaving_out(self, names: Sequence[str]) -> Recipe:
        """Return the recipe with these patients or cases as the test part, beside those it fixes itself."""
        train, validation, _ = self.split.fractions
        share = validation / (train + validation) if train + validation else 0.0
        changes = {
            "test": tuple(dict.fromkeys((*self.split.test, *names))),
            "folds": None,
            "fold": 0,
            "fractions": (1 - share, share, 0.0),
        }
        return self.model_copy(update={"split": self.split.model_copy(update=changes)})

    def to_toml(self) -> str:
        """Return the recipe as TOML, without what is unset."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True), multiline_strings=True)


def list_recipes() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_recipe(name_or_path: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Return a recipe by its name or path.

    Parameters
    ----------
    name_or_path : str or Path
        One of `list_recipes`, or a TOML file.
    changes : sequence of str
        ``TABLE.FIELD=VALUE`` each, the value as in TOML, such as ``fit.epochs=3``; a bare word is text,
        ``none`` takes the field away.

    Raises
    ------
    InputError
        If there is none, or a field is wrong; the message names the file and the field.
    """
    path = _path(name_or_path)
    try:
        content = read_toml(path)
    except ValueError as error:
        raise InputError(f"the recipe {path} {error}") from error
    for change in changes:
        _set(content, change)
    return parse_recipe(content, str(path))


def parse_recipe(content: Mapping[str, Any], where: str) -> Recipe:
    """Return the recipe that a TOML file's content holds; `where` names the file in errors."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise InputError(f"the recipe {where}: {first_problem(error)}") from error


def _path(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    if text in list_recipes():
        return _FOLDER / f"{text}.toml"
    path = Path(text).expanduser()
    if path.suffix.lower() == ".toml" and path.is_file():
        return path
    raise InputError(f"there is no recipe {text!r}: name one of {', '.join(list_recipes())}, or a TOML file")


def _set(content: dict[str, Any], change: str) -> None:
    key, sign, text = change.partition("=")
    *tables, field = key.strip().split(".")
    if not sign or not field:
        raise InputError(f"{change!r} is not TABLE.FIELD=VALUE, such as fit.epochs=3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = text.strip()
    for table in tables:
        content = content.setdefault(table, {})
        if not isinstance(content, dict):
            raise InputError(f"{change!r}: {table} is no table")
    if value == "none":
        content.pop(field, None)
    else:
        content[field] = value
