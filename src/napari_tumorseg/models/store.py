"""Models with the package, in the user's folder, or at any path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from napari_tumorseg.errors import ModelError, TumorSegError
from napari_tumorseg.models.architectures import ARCHITECTURES
from napari_tumorseg.models.assumed_card import assumed_card
from napari_tumorseg.models.card import Input, ModelCard
from napari_tumorseg.models.onnx.card import stored_card

if TYPE_CHECKING:
    from napari_tumorseg.models.segmentation_network import SegmentationNetwork

FOLDER_VARIABLE = "TUMORSEG_MODELS"
"""Environment variable that names another folder of user models."""

_BUILTIN = Path(__file__).parent / "builtin"


@dataclass(frozen=True)
class Model:
    """A card and the path of its weights; nothing is loaded yet.

    Attributes
    ----------
    card : ModelCard
        Inputs, outputs and settings of the model.
    weights : Path
        ``.safetensors``, ``.pt`` or ``.pth``; ``.onnx`` for the architecture of that name.
    origin : str
        ``"built-in"``, ``"user"`` or ``"file"``.
    """

    card: ModelCard
    weights: Path
    origin: str = "file"

    @property
    def name(self) -> str:
        """The card's name."""
        return self.card.name

    def weights_sha256(self) -> str:
        """Return the SHA-256 of the weights: the card's, else that of the file."""
        from napari_tumorseg.models.weight_files import sha256

        return self.card.sha256 or sha256(self.weights)

    def load(self) -> SegmentationNetwork:
        """Return the network with its weights, on the CPU, in eval mode, float32; an `Ensemble` of members.

        Raises
        ------
        ModelError
            If the weights are missing, damaged, not those of the card, or would run code.
        """
        from napari_tumorseg.models.weight_files import sha256

        if self.card.sha256 and sha256(self.weights) != self.card.sha256:
            raise ModelError(
                f"{self.weights} is not the file that the card of {self.name} was written for (its sha256 "
                "differs): get it again, or update the card"
            )
        net = self._network()
        given = (net.arguments["in_channels"], net.arguments["out_channels"])
        stated = (self.card.input.channels, len(self.card.output.names))
        if given != stated:
            raise ModelError(
                f"{self.weights} takes {given[0]} channels and gives {given[1]}, but the card of {self.name} "
                f"states {stated[0]} and {stated[1]}"
            )
        problem = _unfit(self.card.input, net)
        if problem:
            raise ModelError(f"the card of {self.name} does not fit {self.weights}: {problem}")
        return net

    def _network(self) -> SegmentationNetwork:
        from napari_tumorseg.models.ensemble import Ensemble
        from napari_tumorseg.models.weights import load_members, load_network

        card, network = self.card, self.card.network
        arguments = network.arguments or None
        if not card.members:
            return load_network(self.weights, arguments, network.architecture)
        kinds = [
            (m.network.architecture, m.network.arguments) if m.network else (network.architecture, arguments)
            for m in card.members
        ]
        members = load_members(self.weights, kinds)
        return Ensemble(members, card.output.activation, card.output.mean).eval()


def _unfit(given: Input, net: SegmentationNetwork) -> str:
    """Return why a network cannot work on the slices or windows of a card; empty if it can."""
    windows = given.windows
    if windows is None:
        return "a network for volumes needs plane volume and windows" if net.dimensions == 3 else ""
    if net.dimensions == 2 and windows.patch[0] != 1:
        return f"a 2-D network takes windows of one slice, and their patch begins with {windows.patch[0]}"
    sides = windows.patch[-net.dimensions :]
    if any(side % step for side, step in zip(sides, net.strides, strict=True)):
        steps = " x ".join(str(step) for step in net.strides)
        return f"the sides of its patch, {' x '.join(map(str, sides))}, are no multiples of {steps}"
    return ""


def user_folder() -> Path:
    """Return the folder in which users put models of their own (it may not exist yet)."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else platformdirs.user_data_path("napari-tumorseg") / "models"


def list_models() -> list[Model]:
    """Return the models that can be named: the user's, then the built-in ones they do not shadow.

    A broken card does not hide the others: `unusable_models` lists it.
    """
    found: dict[str, Model] = {}
    for origin, card_path in _all_cards():
        with suppress(TumorSegError):
            model = _from_card(card_path, origin)
            found.setdefault(model.name, model)
    return list(found.values())


def unusable_models() -> dict[Path, str]:
    """Return a sentence for each card that cannot be used, by the card's path."""
    found: dict[Path, str] = {}
    for origin, card_path in _all_cards():
        try:
            _from_card(card_path, origin)
        except TumorSegError as error:
            found[card_path] = str(error)
    return found


def get_model(name_or_path: str | Path) -> Model:
    """Return a model by its name, or by the path of its card, its weights or a folder that holds both.

    Raises
    ------
    ModelError
        If there is none, or its card is wrong.
    """
    text = str(name_or_path)
    for origin, card_path in _all_cards():
        try:
            model = _from_card(card_path, origin)
        except TumorSegError:
            if card_path.stem == text:  # it is the one that is meant
                raise
            continue
        if model.name == text:
            return model
    path = Path(text).expanduser()
    if os.path.exists(path):  # noqa: PTH110 (Path.exists raises on names that are too long)
        return _from_path(path)
    names = ", ".join(model.name for model in list_models())
    raise ModelError(
        f"there is no model {text!r}: name one of {names}, or the path of a card or weights file"
    )


def _all_cards() -> Iterator[tuple[str, Path]]:
    for origin, folder in (("user", user_folder()), ("built-in", _BUILTIN)):
        for card_path in _cards(folder):
            yield origin, card_path


def _cards(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.glob("*.toml"))
        yield from sorted(folder.glob("*/*.toml"))
    except OSError:
        return


def _from_path(path: Path) -> Model:
    if path.is_dir():
        cards = sorted(path.glob("*.toml"))
        if len(cards) != 1:
            raise ModelError(f"{path} holds {len(cards)} model cards (.toml); name one file")
        return _from_card(cards[0], "file")
    if path.suffix.lower() == ".toml":
        return _from_card(path, "file")
    endings = dict.fromkeys(ending for known in ARCHITECTURES.values() for ending in known.endings)
    if path.suffix.lower() not in endings:
        raise ModelError(f"{path} is neither a model card (.toml) nor weights ({', '.join(endings)})")
    card = path.with_suffix(".toml")
    if card.is_file():
        return _from_card(card, "file", path)
    return Model(stored_card(path) if path.suffix.lower() == ".onnx" else assumed_card(path), path)


def _from_card(card_path: Path, origin: str, weights: Path | None = None) -> Model:
    card = ModelCard.from_toml(card_path)
    endings = ARCHITECTURES[card.network.architecture].endings
    candidates = [card_path.with_suffix(ending) for ending in endings]
    found = weights or next((p for p in candidates if p.is_file()), None)
    if found is None:
        raise ModelError(f"the model card {card_path} has no weights beside it ({candidates[0].name})")
    if found.suffix.lower() not in endings:
        raise ModelError(
            f"the card of {card.name} states the architecture {card.network.architecture}, whose weights are "
            f"{' or '.join(endings)} files, not {found.name}"
        )
    return Model(card, found, origin)
