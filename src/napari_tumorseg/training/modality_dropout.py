"""Modalities that are taken away or handed over by mistake, as a network meets them in use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Input
from napari_tumorseg.scan import Role
from napari_tumorseg.training.augment_config import Augmentation, ModalityDropout, ModalitySwap


class Modalities:
    """Draws what happens to the modalities of a slice; nothing, where a recipe names neither.

    Parameters
    ----------
    online : sequence of Augmentation
        Of the recipe; those that concern other things are passed over.
    wanted : Input
        Of the recipe: roles, their stand-ins, the sets that suffice.
    """

    def __init__(self, online: Sequence[Augmentation], wanted: Input) -> None:
        self.roles = wanted.roles
        self.substitute = wanted.substitute
        self.sets = [set(roles) for roles in wanted.sufficient if set(roles) != set(wanted.roles)]
        self.missing = next((a for a in online if isinstance(a, ModalityDropout)), None)
        self.mistaken = next((a for a in online if isinstance(a, ModalitySwap)), None)

    def change(
        self, image: Array, ground: Array, target: Array, real: Sequence[bool], rng: np.random.Generator
    ) -> None:
        """Change a slice in place.

        Parameters
        ----------
        image, ground : (C, H, W), (C, 1, 1) arrays
            Channels less their background, and that background; it goes with its channel.
        target : (O, H, W) array
            The outputs.
        real : sequence of bool
            For each role, whether it was acquired: not where it repeats another channel.
        rng : Generator
            Source of chance.
        """
        if self.mistaken is not None and rng.random() < self.mistaken.probability:
            role = self.mistaken.roles[int(rng.integers(len(self.mistaken.roles)))]
            if real[self.roles.index(role)]:
                self._give(image, ground, [self.roles.index(role)] * len(self.roles))
                target[:] = 0
                return
        if self.missing is not None and self.sets and rng.random() < self.missing.probability:
            kept = self.sets[int(rng.integers(len(self.sets)))]
            self._give(image, ground, [self._source(c, kept) for c in range(len(self.roles))])

    def acquired(self, image: Array) -> list[bool]:
        """Tell for each role whether a slice has a channel of its own for it, as cut and unchanged."""
        if self.mistaken is None:
            return [True] * len(self.roles)
        other = image[self.roles.index(self.mistaken.instead_of)]
        return [not np.array_equal(image[c], other) for c in range(len(self.roles))]

    def _source(self, channel: int, kept: set[Role]) -> int | None:
        """Return the channel that is given for one, None for zeros, as inference does."""
        role = self.roles[channel]
        if role in kept:
            return channel
        stand_in = self.substitute.get(role)
        return self.roles.index(stand_in) if stand_in is not None and stand_in in kept else None

    def _give(self, image: Array, ground: Array, sources: Sequence[int | None]) -> None:
        before, ground_before, count = image.copy(), ground.copy(), len(self.roles)
        for first in range(0, len(image), count):  # the slice, then its neighbours
            for channel, source in enumerate(sources):
                image[first + channel] = 0 if source is None else before[first + source]
                ground[first + channel] = 0 if source is None else ground_before[first + source]
