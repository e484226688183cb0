"""Augmentation by missing and swapped modalities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Input
from napari_tumorseg.scan import Role
from napari_tumorseg.training.augment_config import Augmentation, ModalityDropout, ModalitySwap


class Modalities:
    """Random changes of the modalities of a slice, as far as a recipe has them.

    Parameters
    ----------
    online : sequence of Augmentation
        Augmentations of the recipe; others than modality dropout and swap are ignored.
    wanted : Input
        Roles, their substitutes and the sufficient sets, from the recipe.
    """

    def __init__(self, online: Sequence[Augmentation], wanted: Input) -> None:
        self.roles = wanted.roles
        self.wanted = wanted
        self.sufficient = [set(roles) for roles in wanted.sufficient]
        self.missing = next((a for a in online if isinstance(a, ModalityDropout)), None)
        chosen = self.missing.sets if self.missing is not None else ()
        self.sets = [set(roles) for roles in chosen or wanted.sufficient if set(roles) != set(wanted.roles)]
        self.mistaken = next((a for a in online if isinstance(a, ModalitySwap)), None)

    def change(
        self, image: Array, background: Array, target: Array, real: Sequence[bool], rng: np.random.Generator
    ) -> None:
        """Change a slice in place.

        Parameters
        ----------
        image, background : (C, H, W), (C, 1, 1) arrays
            Channels minus their background, and that background, which is changed with its channel.
        target : (O, H, W) array
            Target outputs.
        real : sequence of bool
            Whether each role was acquired and is not a copy of another channel.
        rng : Generator
            Random generator.
        """
        if self.mistaken is not None and rng.random() < self.mistaken.probability:
            role = self.mistaken.roles[int(rng.integers(len(self.mistaken.roles)))]
            if real[self.roles.index(role)]:
                self._give(image, background, [self.roles.index(role)] * len(self.roles))
                target[:] = 0
                return
        if self.missing is not None and self.sets and rng.random() < self.missing.probability:
            there = {role for role, own in zip(self.roles, real, strict=True) if own}
            sets = [kept for kept in self.sets if any(least <= kept & there for least in self.sufficient)]
            if sets:
                kept = sets[int(rng.integers(len(sets)))]
                self._give(image, background, [self._source(c, kept) for c in range(len(self.roles))])

    def acquired(self, image: Array) -> list[bool]:
        """Return for each role whether an unchanged slice has a channel of its own for it."""
        if self.mistaken is None:
            return [bool(image[c].any()) for c in range(len(self.roles))]  # zeros take the place of others
        other = image[self.roles.index(self.mistaken.instead_of)]
        return [not np.array_equal(image[c], other) for c in range(len(self.roles))]

    def _source(self, channel: int, kept: set[Role]) -> int | None:
        """Return the channel that replaces a channel, None for zeros, as in inference."""
        source = self.wanted.source_of(self.roles[channel], kept & set(self.roles))
        return None if source is None else self.roles.index(source)

    def _give(self, image: Array, background: Array, sources: Sequence[int | None]) -> None:
        before, background_before, count = image.copy(), background.copy(), len(self.roles)
        for first in range(0, len(image), count):  # the slice, then its neighbours
            for channel, source in enumerate(sources):
                image[first + channel] = 0 if source is None else before[first + source]
                background[first + channel] = 0 if source is None else background_before[first + source]
