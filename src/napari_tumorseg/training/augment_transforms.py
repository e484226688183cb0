"""Augmentation of training slices by MONAI's transforms, seeded by (seed, epoch, sample)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from monai.data.meta_obj import set_track_meta
from monai.transforms import (
    CenterSpatialCropd,
    Compose,
    Rand2DElasticd,
    RandAffined,
    RandBiasFieldd,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandomizableTransform,
    RandRotate90d,
    RandSimulateLowResolutiond,
)
from torch.nn import functional

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Input
from napari_tumorseg.training import augment_config as known
from napari_tumorseg.training.augment_config import Augmentation
from napari_tumorseg.training.modality_dropout import Modalities
from napari_tumorseg.training.skull_removal import remove_skull
from napari_tumorseg.training.small_lesion import DrawSmallLesion

_BOTH = ("image", "target")
_IMAGE = ("image",)
_BEFORE = (known.CopyPaste, known.ModalityDropout, known.ModalitySwap, known.SkullRemoval)
"""Augmentations applied before the transforms, since they need other slices or the background."""
_MOVING = (known.Flip, known.Rotate90, known.Affine, known.Elastic)
"""Augmentations that move pixels."""

_ENOUGH = 20  # pixels of a part that can lend its brightness to another
_OFFLINE_EPOCH = 0  # an offline copy is the same in all epochs

Transform = Callable[[Mapping[Hashable, Any]], Any]


class Augmenter:
    """Augmentation of slices as a recipe states it.

    If the normalisation sets the background to 0, it stays 0. Transforms get one more target after the
    outputs: the mask of tissue.

    Parameters
    ----------
    online : sequence of Augmentation
        Augmentations drawn in each epoch.
    offline : sequence of sequence of Augmentation
        Augmentations of each further copy of a slice; they come first.
    wanted : Input
        Roles and their substitutes, from the recipe.
    seed : int
        Seed; with epoch and sample it determines the result.
    margin : int
        Pixels that are cut off on each side after the last transform that moves pixels.
    """

    def __init__(
        self,
        online: Sequence[Augmentation],
        offline: Sequence[Sequence[Augmentation]],
        wanted: Input,
        seed: int,
        margin: int = 0,
    ) -> None:
        self.online = tuple(a for a in online if not isinstance(a, _BEFORE))
        self.modalities = Modalities(online, wanted)
        pasting = [a for a in online if isinstance(a, known.CopyPaste)]
        self.paste_chance = pasting[0].probability if pasting else 0.0
        self.paste_shift = pasting[0].shift if pasting else 0
        self.skull_removal = next((a for a in online if isinstance(a, known.SkullRemoval)), None)
        self.offline = tuple(tuple(copy) for copy in offline)
        self.wanted = wanted
        self.seed = seed
        self.margin = margin
        self._made: dict[tuple[int, int, int], Compose] = {}

    def __call__(
        self, image: Array, target: Array, epoch: int, sample: int, copy: int
    ) -> tuple[Array, Array]:
        """Return image (C, H, W), of background 0, and target (O, H, W) augmented; new pixels are 0."""
        tissue = (image != 0).any(axis=0, keepdims=True).astype(np.float32)  # it moves with the targets
        there = image.any(axis=(1, 2), keepdims=True)  # a channel that is missing gets no noise
        both = np.concatenate([target, tissue])
        content = {"image": torch.from_numpy(image), "target": torch.from_numpy(both)}
        if copy:
            content = self._apply(copy, content, (_OFFLINE_EPOCH, sample, copy))
        content = self._apply(0, content, (epoch, sample, copy))
        image, both = content["image"].numpy(), content["target"].numpy()
        if self.wanted.normalisation.background == "zero":
            image = image * (both[-1:] > 0.5) * there
        return image, both[:-1]

    def rng(self, epoch: int, sample: int) -> np.random.Generator:
        """Return the random generator of the augmentations that are applied before the transforms."""
        return np.random.default_rng([self.seed, epoch, sample])

    def pastes(self, rng: np.random.Generator) -> bool:
        """Draw whether the tumour of another slice is pasted."""
        return self.paste_chance > 0 and rng.random() < self.paste_chance

    def extract_brain(
        self, image: Array, fill: Array, target: Array, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Return a slice, of background 0, and that background, with the skull removed if that is drawn."""
        wanted = self.skull_removal
        if wanted is None or rng.random() >= wanted.probability:
            return image, fill
        return remove_skull(image, fill, target, wanted, rng)

    def _apply(self, copy: int, content: Any, place: tuple[int, int, int]) -> Any:
        chain = self._chain(copy, content["image"].shape[1:])
        word = np.random.SeedSequence([self.seed, *place]).generate_state(1)[0]
        chain.set_random_state(seed=int(word))
        return chain(content)

    def _chain(self, copy: int, size: Sequence[int]) -> Compose:
        key = (copy, int(size[0]), int(size[1]))
        if key not in self._made:
            set_track_meta(False)  # tensors with metadata are slower, and no metadata is needed
            self._made[key] = Compose(self._steps(copy, (key[1], key[2])))
        return self._made[key]

    def _steps(self, copy: int, size: tuple[int, int]) -> list[Transform]:
        """Return the transforms of slices of a size; the margin is cut off after the last one that moves."""
        chosen = self.offline[copy - 1] if copy else self.online
        steps = [make(wanted, self.wanted, size) for wanted in chosen]
        if self.margin and not copy:  # a further copy's own steps are followed by all others
            inner = (size[0] - 2 * self.margin, size[1] - 2 * self.margin)
            last = max((i for i, wanted in enumerate(chosen) if isinstance(wanted, _MOVING)), default=-1)
            steps.insert(last + 1, CenterSpatialCropd(_BOTH, inner))
        return steps

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the transforms, which each worker process makes itself."""
        return {**self.__dict__, "_made": {}}


@singledispatch
def make(wanted: Any, given: Input, size: tuple[int, int]) -> Transform:
    """Return the transform for an augmentation, for slices of a size (rows, columns)."""
    raise TypeError(f"no transform for {wanted!r}")


@make.register
def _(wanted: known.Flip, given: Input, size: tuple[int, int]) -> Transform:
    axis = 1 if wanted.axis == "horizontal" else 0
    return RandFlipd(_BOTH, prob=wanted.probability, spatial_axis=axis)


@make.register
def _(wanted: known.Rotate90, given: Input, size: tuple[int, int]) -> Transform:
    return RandRotate90d(_BOTH, prob=wanted.probability, max_k=3, spatial_axes=(0, 1))


@make.register
def _(wanted: known.Affine, given: Input, size: tuple[int, int]) -> Transform:
    return RandAffined(
        _BOTH,
        prob=wanted.probability,
        rotate_range=np.deg2rad(wanted.rotate),
        scale_range=(wanted.scale, wanted.scale),
        translate_range=[wanted.shift * side for side in size],
        mode=("bilinear", "nearest"),
        padding_mode="zeros",
        cache_grid=True,
        spatial_size=size,
    )


@make.register
def _(wanted: known.Elastic, given: Input, size: tuple[int, int]) -> Transform:
    return Rand2DElasticd(
        _BOTH,
        spacing=(wanted.spacing, wanted.spacing),
        magnitude_range=wanted.magnitude,
        prob=wanted.probability,
        mode=("bilinear", "nearest"),
        padding_mode="zeros",
        spatial_size=size,
    )


@make.register
def _(wanted: known.Gamma, given: Input, size: tuple[int, int]) -> Transform:
    return _GammaEach(wanted, len(given.roles))


@make.register
def _(wanted: known.Noise, given: Input, size: tuple[int, int]) -> Transform:
    return RandGaussianNoised(_IMAGE, prob=wanted.probability, std=wanted.deviation, sample_std=True)


@make.register
def _(wanted: known.Blur, given: Input, size: tuple[int, int]) -> Transform:
    return RandGaussianSmoothd(
        _IMAGE, prob=wanted.probability, sigma_x=wanted.sigma, sigma_y=wanted.sigma, approx="sampled"
    )


@make.register
def _(wanted: known.LowResolution, given: Input, size: tuple[int, int]) -> Transform:
    return RandSimulateLowResolutiond(
        _IMAGE,
        prob=wanted.probability,
        zoom_range=wanted.zoom,
        downsample_mode="area",
        upsample_mode="bilinear",
        align_corners=False,
    )


@make.register
def _(wanted: known.Bias, given: Input, size: tuple[int, int]) -> Transform:
    return RandBiasFieldd(
        _IMAGE, degree=3, coeff_range=(-wanted.strength, wanted.strength), prob=wanted.probability
    )


@make.register
def _(wanted: known.ScaleShift, given: Input, size: tuple[int, int]) -> Transform:
    return _ScaleShiftEach(wanted, len(given.roles))


@make.register
def _(wanted: known.Appearance, given: Input, size: tuple[int, int]) -> Transform:
    return _Appearance(wanted, len(given.roles))


@make.register
def _(wanted: known.SmallLesion, given: Input, size: tuple[int, int]) -> Transform:
    return DrawSmallLesion(wanted, given.roles)


class _Each(RandomizableTransform):
    """Transform with random values for each role, the same ones for a slice's neighbours."""

    def __init__(self, wanted: Augmentation, roles: int) -> None:
        RandomizableTransform.__init__(self, wanted.probability)
        self.wanted: Any = wanted
        self.roles = roles

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        self.randomize(None)
        return {**data, "image": self.changed(data["image"])} if self._do_transform else dict(data)

    def changed(self, image: torch.Tensor) -> torch.Tensor:
        """Return the (C, H, W) image changed."""
        raise NotImplementedError


class _GammaEach(_Each):
    """Raise the tissue of each channel, scaled between its extremes, to a power; background stays 0."""

    def changed(self, image: torch.Tensor) -> torch.Tensor:
        image = image.clone()
        least, most = self.wanted.power
        powers = self.R.uniform(least, most, size=self.roles)
        for channel, values in enumerate(image):
            tissue = values != 0
            if tissue.any():
                low, high = values[tissue].min(), values[tissue].max()
                span = (high - low).clamp(min=1e-6)
                raised = ((values - low).clamp(min=0) / span) ** float(powers[channel % self.roles])
                image[channel] = torch.where(tissue, raised * span + low, values)
        return image


class _ScaleShiftEach(_Each):
    """Scale and shift each channel."""

    def changed(self, image: torch.Tensor) -> torch.Tensor:
        factor = 1 + self.R.uniform(-self.wanted.factor, self.wanted.factor, size=self.roles)
        offset = self.R.uniform(-self.wanted.offset, self.wanted.offset, size=self.roles)
        tissue = image != 0
        times = len(image) // self.roles
        scale, shift = (
            torch.as_tensor(np.tile(values, times), dtype=image.dtype)[:, None, None]
            for values in (factor, offset)
        )
        return torch.where(tissue, image * scale + shift, image)


class _Appearance(RandomizableTransform):
    """Change brightness, contrast and texture of each part of a tumour, also in neighbouring slices."""

    def __init__(self, wanted: known.Appearance, roles: int) -> None:
        RandomizableTransform.__init__(self, 1.0)
        self.wanted = wanted
        self.roles = roles

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        image, target = data["image"].clone(), data["target"].clone()
        if self.wanted.unenhanced and self.R.uniform() < self.wanted.unenhanced:
            self._remove_enhancement(image, target[:-1])
        for part in range(len(target) - 1):
            if self.R.uniform() >= self.wanted.probability or part >= len(self.wanted.shift):
                continue
            where = _beyond_next(target[:-1], part)
            if where.sum() > 0:
                self._change(image, where, part)
        return {**data, "image": image, "target": target}

    def _remove_enhancement(self, image: torch.Tensor, target: torch.Tensor) -> None:
        """Turn random patches of the innermost output into the surrounding part, in place."""
        around = _beyond_next(target, len(target) - 2)
        cut = target[-1] * (self._smooth(image, 1)[0] > float(self.R.normal())).float()
        if len(target) < 2 or cut.sum() == 0 or around.sum() < _ENOUGH:
            return
        soft = functional.avg_pool2d(cut[None, None], 3, 1, 1)[0, 0] * (image != 0).any(dim=0)
        for values in image:
            values += soft * (_mean(values, around) - _mean(values, cut))
        target[-1] -= cut

    def _change(self, image: torch.Tensor, where: torch.Tensor, part: int) -> None:
        """Change one part in all channels, in place; the change is blended at its border."""
        soft = functional.avg_pool2d(where[None, None], 3, 1, 1)[0, 0]
        tissue = (image != 0).float()
        low, high = self.wanted.contrast
        shift = self.wanted.shift[part]
        levels = self.wanted.level[part] if part < len(self.wanted.level) else ()
        drawn = [self.R.uniform(*(levels[r] if levels else (-shift, shift))) for r in range(self.roles)]
        factors = np.exp(self.R.uniform(np.log(low), np.log(high), size=self.roles))
        strengths = self.R.uniform(0, self.wanted.texture, size=self.roles)
        texture = self._smooth(image, self.roles)
        # the substitute of a missing channel stays a copy
        like = [next(i for i in range(r + 1) if torch.equal(image[i], image[r])) for r in range(self.roles)]
        for channel in range(len(image)):
            role = like[channel % self.roles]
            mean = _mean(image[channel], where)
            move = drawn[role] - mean if levels else drawn[role]
            change = move + (float(factors[role]) - 1) * (image[channel] - mean)
            change = change + float(strengths[role]) * texture[role]
            image[channel] += soft * tissue[channel] * change

    def _smooth(self, image: torch.Tensor, channels: int) -> torch.Tensor:
        """Return a smooth random pattern for each channel."""
        coarse = torch.from_numpy(self.R.normal(size=(1, channels, 8, 8)).astype(np.float32))
        return functional.interpolate(coarse, size=image.shape[1:], mode="bicubic")[0]


def _beyond_next(target: torch.Tensor, part: int) -> torch.Tensor:
    """Return the part of a nested output that lies outside those inside it."""
    inner = target[part + 1 :].amax(dim=0) if part + 1 < len(target) else torch.zeros_like(target[0])
    return ((target[part] > 0.5) & (inner < 0.5)).float()


def _mean(values: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    return (values * where).sum() / where.sum()
