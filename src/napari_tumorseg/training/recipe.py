"""Recipes: everything that decides what a training gives, in one TOML file.

What a model takes and gives stands in a recipe as it stands in a model card; the card of the trained model
is made of it. The rest is how it is trained.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w
from pydantic import Field, ValidationError, field_validator, model_validator

from napari_tumorseg.errors import InputError
from napari_tumorseg.models.card import (
    About,
    CardPart,
    Input,
    ModelCard,
    Network,
    Output,
    Postprocessing,
    Share,
    Side,
    first_problem,
)
from napari_tumorseg.training.augmentations import Augmentation

_FOLDER = Path(__file__).parent / "recipes"


class Data(CardPart):
    """Which slices are learnt from.

    Attributes
    ----------
    layout : str
        For people: the layout that it was made for; any other one that can be read will do.
    masks : tuple of str
        Which mask is the reference where a case has several: parts of names, the best first.
    labels : str or None
        Label scheme of masks that do not tell theirs.
    slices : {"all", "tumour"}
        Whether slices without tumour take part, in training and in validation.
    without_tumour : float
        Share of the slices without tumour that each epoch draws anew; 1 takes all of them.
    partly_known : float
        The same for slices of cases whose reference knows only some of the outputs.
    """

    layout: str = ""
    masks: tuple[str, ...] = ()
    labels: str | None = None
    slices: Literal["all", "tumour"] = "all"
    without_tumour: Share = 1.0
    partly_known: Share = 1.0


class Split(CardPart):
    """Who trains, who chooses the checkpoint, who is kept apart.

    Attributes
    ----------
    by : {"patient", "slice"}
        What is drawn. By slice, neighbouring slices of one tumour end up on both sides, and the figures
        are too good; it is there to reproduce publications.
    fractions : (train, validation, test)
        Of what is drawn, summing to 1.
    folds : int or None
        Instead of the test fraction: this many parts by turns, of which `fold` is the test part.
    fold : int
        From 0.
    test, validation : tuple of str
        Patients or cases that are on that side whatever is drawn.
    seed : int
        Of the draw.
    """

    by: Literal["patient", "slice"] = "patient"
    fractions: tuple[Share, Share, Share] = (0.7, 0.15, 0.15)
    folds: int | None = Field(None, ge=2)
    fold: int = Field(0, ge=0)
    test: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    seed: int = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(f"the fractions sum to {sum(self.fractions):g}, not to 1")
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"there is no fold {self.fold} of {self.folds}; they count from 0")
        return self


class LossTerm(CardPart):
    """One term of the loss; several are summed.

    Attributes
    ----------
    name : str
        ``dice``, ``bce``, ``cross-entropy``, ``dice-focal`` or ``focal-tversky``.
    weight : float
        Factor of the term.
    smooth : float
        Added to numerator and denominator of Dice and Tversky.
    over : {"batch", "sample"}
        Whether Dice and Tversky count the voxels of the whole batch, or of each slice by itself.
    alpha, beta : float
        Tversky's weights of false positives and false negatives.
    gamma : float
        Focus: of the focal loss, and Tversky's exponent 1/gamma.
    """

    name: Literal["dice", "bce", "cross-entropy", "dice-focal", "focal-tversky"]
    weight: float = Field(1.0, gt=0)
    smooth: float = Field(1e-5, ge=0)
    over: Literal["batch", "sample"] = "batch"
    alpha: float = Field(0.3, ge=0)
    beta: float = Field(0.7, ge=0)
    gamma: float = Field(2.0, gt=0)


class Optimiser(CardPart):
    """How weights move; `clip_norm` limits the norm of the gradients, None leaves them.

    ``muon`` moves the convolutions with `lr` and the rest as AdamW does, with `rest_lr`; it is for networks
    whose convolutions are followed by a norm.
    """

    name: Literal["adam", "adamw", "nadam", "adamax", "sgd", "muon"] = "adam"
    lr: float = Field(1e-3, gt=0)
    rest_lr: float = Field(3e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    eps: float = Field(1e-8, gt=0, description="Keras' optimisers have 1e-7")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd and muon")
    clip_norm: float | None = Field(None, gt=0)


class Schedule(CardPart):
    """How the learning rate moves.

    ``plateau``: times `factor` after `patience` epochs in which the validation loss did not fall.
    ``one-cycle``: up to the optimiser's rate in the first `warm_up` share of the steps, down to nothing in
    the rest (Smith and Topin 2019). ``none``: it stays.
    """

    kind: Literal["none", "plateau", "one-cycle"] = "none"
    factor: float = Field(0.5, gt=0, lt=1)
    patience: int = Field(4, ge=0)
    min_lr: float = Field(0.0, ge=0)
    warm_up: Share = 0.3


class Fit(CardPart):
    """The rest of the training.

    Attributes
    ----------
    epochs, batch, seed : int
        How long, how many slices a step (on each device), and where chance starts.
    patch : (rows, columns) or None
        Cut of the network's input around the tissue that training sees, multiples of the network's stride;
        None: all of it.
    on_tumour : float
        How often the patch is centred on a pixel of the tumour, or where there is none of the tissue,
        instead of on the middle of the tissue.
    monitor : {"val_loss", "val_dice", "val_dice_case", "last"}
        What chooses the best checkpoint and stops early: the loss, the Dice of all validation voxels
        together, or its mean over cases. With ``last``, the last weights are kept and nothing is chosen.
    patience : int or None
        Epochs without a better one after which training stops; None never does.
    checkpoint_steps : int or None
        Also keep a checkpoint every so many steps, in mid-epoch; None: only at the end of each.
    ema : float or None
        Decay of the moving average of the weights that is validated and kept; None keeps them as they are.
    precision : str
        ``32-true``, ``bf16-mixed`` or ``16-mixed``.
    init : {"default", "he"}
        How weights start: torch's way, or He's normal distribution.
    """

    epochs: int = Field(10, ge=1)
    batch: int = Field(8, ge=1)
    seed: int = Field(0, ge=0)
    patch: tuple[Side, Side] | None = None
    on_tumour: Share = 0.0
    monitor: Literal["val_loss", "val_dice", "val_dice_case", "last"] = "val_loss"
    patience: int | None = Field(None, ge=0)
    checkpoint_steps: int | None = Field(100, ge=1)
    ema: float | None = Field(None, gt=0, lt=1)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    init: Literal["default", "he"] = "default"


class Recipe(CardPart):
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
    split: Split = Split()
    network: Network
    input: Input
    output: Output
    postprocessing: Postprocessing = Postprocessing()
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
        missing = {"widths", "bottleneck"} - set(network.arguments)
        if missing:
            raise ValueError(f"arguments lack {', '.join(sorted(missing))}")
        return network

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(t.name == "cross-entropy" for t in self.loss) != (self.output.activation == "softmax"):
            raise ValueError("cross-entropy goes with softmax, the other losses with sigmoid")
        if self.optimiser.name == "muon" and self.network.arguments.get("order") == "conv-relu":
            raise ValueError("muon is for networks whose convolutions are followed by a norm")
        if self.output.activation == "softmax":
            if 0 not in self.output.labels:
                raise ValueError("softmax needs a class for the background, label 0, to be trained")
            if any(a.kind in ("paste", "appearance", "mistaken") for a in self.augmentation):
                raise ValueError("paste, appearance and mistaken are for sigmoid outputs")
        if self.fit.patch is not None:
            stride = 1 << len(self.network.arguments["widths"])
            if any(side % stride for side in self.fit.patch):
                raise ValueError(f"the sides of patch {list(self.fit.patch)} are no multiples of {stride}")
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
        return 1 << len(self.network.arguments["widths"])

    def card(self, **about: Any) -> ModelCard:
        """Return the card of a model trained so; `about` replaces fields of that table."""
        return ModelCard(
            name=self.name,
            title=self.title,
            version=self.version,
            summary=self.summary,
            network=Network(arguments=self.arguments),
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
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the recipe {path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the recipe {path} is not valid TOML: {error}") from error
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
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for table in tables:
        content = content.setdefault(table, {})
        if not isinstance(content, dict):
            raise InputError(f"{change!r}: {table} is no table")
    if value == "none":
        content.pop(field, None)
    else:
        content[field] = value
