"""Recipes: everything that determines the result of a training, in one TOML file.

Inputs and outputs of the model are stated as in a model card, and the card of the trained model is made from
them. The other tables state the training.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import Field, ValidationError, field_validator, model_validator

from napari_tumorseg.errors import InputError
from napari_tumorseg.models.architectures import ARCHITECTURES
from napari_tumorseg.models.card import (
    About,
    Input,
    ModelCard,
    Network,
    Output,
)
from napari_tumorseg.models.network_arguments import NetworkArguments
from napari_tumorseg.post_settings import PostSettings
from napari_tumorseg.toml_table import TomlTable, first_problem, read_toml
from napari_tumorseg.training.augment_config import Augmentation
from napari_tumorseg.training.recipe_tables import Data, Fit, LossTerm, Optimiser, Schedule, SplitSettings

_FOLDER = Path(__file__).parent / "recipes"


class Recipe(TomlTable):
    """Recipe of a training.

    Attributes
    ----------
    name, title, summary, version : str
        As in the model's card.
    source : str
        Publication that it reproduces.
    notes : tuple of str
        Choices that the publication does not state.
    data, split, network, input, output, postprocessing, loss, optimiser, schedule, fit, about
        Tables of the recipe.
    offline : tuple of tuple of Augmentation
        Augmentations of further copies of every training slice, which are the same in all epochs.
    augmentation : tuple of Augmentation
        Augmentations that are drawn for each slice in each epoch.
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
        if not self._network_arguments.trainable:
            raise ValueError(f"networks of the architecture {self.network.architecture} are not trained here")
        if self.input.plane == "volume" or self._network_arguments.dimensions == 3:
            raise ValueError(
                "networks that work on volumes are not trained here, only those that work on slices"
            )
        if any(t.name == "cross-entropy" for t in self.loss) != (self.output.activation == "softmax"):
            raise ValueError("cross-entropy goes with softmax, the other losses with sigmoid")
        if self.optimiser.name == "muon" and not self._network_arguments.normalised:
            raise ValueError("muon is for networks whose convolutions are followed by a norm")
        if self.fit.init == "imagenet" and not self._network_arguments.pretrainable:
            raise ValueError(f"fit.init = imagenet is not for the network {self.network.architecture}")
        if self.fit.margin and self.fit.patch is None:
            raise ValueError("fit.margin needs fit.patch")
        patch = self.fit.patch
        if patch is not None and any(side % self.stride for side in patch):
            raise ValueError(f"the sides of patch {list(patch)} are no multiples of {self.stride}")
        return self

    @model_validator(mode="after")
    def _check_softmax(self) -> Self:
        if self.output.activation != "softmax":
            return self
        if 0 not in self.output.labels:
            raise ValueError("softmax needs a class for the background, label 0, to be trained")
        if any(a.kind in ("paste", "appearance", "mistaken") for a in self.augmentation):
            raise ValueError("paste, appearance and mistaken are for sigmoid outputs")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the network."""
        channels = {
            "in_channels": self.input.channels,
            "out_channels": len(self.output.names),
        }
        return {**channels, **self.network.arguments}

    @property
    def stride(self) -> int:
        """Stride of the network."""
        return self._network_arguments.stride

    @property
    def _network_arguments(self) -> NetworkArguments:
        return ARCHITECTURES[self.network.architecture].arguments.of(self.arguments)

    def card(self, **about: Any) -> ModelCard:
        """Return the card of a model trained by this recipe; `about` replaces fields of that table."""
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
        """Return the recipe with these patients or cases, and those it fixes itself, as the test part."""
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
        Changes ``TABLE.FIELD=VALUE`` with the value as in TOML, such as ``fit.epochs=3``; a bare word is
        text, ``none`` removes the field.

    Raises
    ------
    InputError
        If there is no such recipe, or a field is invalid; the message names the file and the field.
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
    """Return the recipe in the content of a TOML file; `where` names the file in errors."""
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
