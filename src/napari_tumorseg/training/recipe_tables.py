"""The tables of a recipe that a model card has not: data, split, loss, optimiser, schedule and the rest."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_tumorseg.models.card import Share, Side
from napari_tumorseg.toml_table import TomlTable


class Data(TomlTable):
    """Which slices are learnt from.

    Attributes
    ----------
    layout : str
        For people: the layout that it was made for; any other one that can be read will do.
    masks : tuple of str
        Which mask is the reference where a case has several: parts of names, the best first.
    labels : str or None
        Label convention of masks that do not tell theirs.
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


class SplitSettings(TomlTable):
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
    fold : int or "all"
        From 0; with ``all`` none is kept apart but `test`, to train what is shipped once the folds told
        how good it gets.
    test, validation : tuple of str
        Patients or cases that are on that side whatever is drawn.
    seed : int
        Of the draw.
    """

    by: Literal["patient", "slice"] = "patient"
    fractions: tuple[Share, Share, Share] = (0.7, 0.15, 0.15)
    folds: int | None = Field(None, ge=2)
    fold: int | Literal["all"] = 0
    test: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    seed: int = 0

    @field_validator("fold", mode="before")
    @classmethod
    def _fold(cls, fold: Any) -> Any:
        counted = isinstance(fold, int) and not isinstance(fold, bool) and fold >= 0
        if not counted and fold != "all":
            raise ValueError(f'{fold!r} is neither a fold, counted from 0, nor "all"')
        return fold

    @model_validator(mode="after")
    def _check(self) -> Self:
        if abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(f"the fractions sum to {sum(self.fractions):g}, not to 1")
        if self.folds is None and self.fold != 0:
            raise ValueError("there are no folds to choose one of: set split.folds")
        if self.folds is not None and self.fold != "all" and self.fold >= self.folds:
            raise ValueError(f"there is no fold {self.fold} of {self.folds}; they count from 0")
        return self


class LossTerm(TomlTable):
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


class Optimiser(TomlTable):
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


class Schedule(TomlTable):
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


class Fit(TomlTable):
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
    margin : int
        Pixels that the patch is larger by on each side until its slice was turned, scaled and bent, so that
        nothing empty comes in at its corners.
    monitor : {"val_loss", "val_dice", "val_dice_case", "last"}
        What chooses the best checkpoint and stops early: the loss, the Dice of all validation voxels
        together, or its mean over cases. With ``last``, the last weights are kept and nothing is chosen.
    patience : int or None
        Epochs without a better one after which training stops; None never does.
    checkpoint_steps : int
        Also keep a checkpoint every so many steps, in mid-epoch; 0: only at the end of each.
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
    margin: int = Field(0, ge=0)
    monitor: Literal["val_loss", "val_dice", "val_dice_case", "last"] = "val_loss"
    patience: int | None = Field(None, ge=0)
    checkpoint_steps: int = Field(100, ge=0)
    ema: float | None = Field(None, gt=0, lt=1)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    init: Literal["default", "he"] = "default"
