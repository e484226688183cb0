"""Slices for training and validation, and the order in which they come.

Chance has no memory: a slice's augmentation follows from (seed, epoch, sample), the order of an epoch from
(seed, epoch). So training can go on from any batch and meet what it would have met.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from napari_tumorseg.geometry import Array
from napari_tumorseg.training.augment_transforms import Augmenter
from napari_tumorseg.training.cache import CachedCase
from napari_tumorseg.training.copy_paste import paste
from napari_tumorseg.training.recipe import Recipe
from napari_tumorseg.training.targets import unpack


class Batch(TypedDict):
    """What the network and its loss get."""

    image: Tensor  # (B, C, H, W) float32
    target: Tensor  # (B, O, H, W) float32, 0 or 1
    known: Tensor  # (B, O) bool: whether the reference says anything about the output
    case: Tensor  # (B,) int64: which case each slice is of


@dataclass(frozen=True)
class Sample:
    """A slice that takes part."""

    case: int  # in the list of cases
    position: int  # in the case's arrays
    tumour: bool
    copy: int = 0  # 0: as it is; n: with the n-th offline augmentation
    partly: bool = False  # whether the reference knows only some of the outputs


Key = tuple[int, int]
"""(epoch, sample)."""


class SliceData(Dataset[dict[str, Any]]):
    """Slices of cached cases.

    Parameters
    ----------
    cases : sequence of CachedCase
        In an order that stays.
    samples : sequence of Sample
        Which slices of them.
    recipe : Recipe
        What goes into the network.
    patch : (rows, columns) or None
        Size of every slice; None: as cached, filled up to the network's stride.
    augmenter : Augmenter or None
        None for validation.
    """

    def __init__(
        self,
        cases: Sequence[CachedCase],
        samples: Sequence[Sample],
        recipe: Recipe,
        patch: tuple[int, int] | None,
        augmenter: Augmenter | None = None,
    ) -> None:
        self.cases = list(cases)
        self.samples = list(samples)
        self.offsets = recipe.input.offsets
        self.patch = patch
        self.margin = augmenter.margin if augmenter is not None else 0
        self.stride = recipe.stride
        output = recipe.output
        self.background = output.labels.index(0) if output.activation == "softmax" else None
        self.on_tumour = recipe.fit.on_tumour
        self._donors = [i for i, s in enumerate(samples) if s.tumour and all(self.cases[s.case].known)]
        self.augmenter = augmenter

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Return one slice, augmented as (epoch, sample) says."""
        epoch, number = key
        sample = self.samples[number]
        case = self.cases[sample.case]
        if self.augmenter is None:
            image, target, ground = self._cut(case, sample.position)
        else:
            rng = self.augmenter.rng(epoch, number)
            image, target, ground = self._cut(case, sample.position, rng)
            acquired = self.augmenter.modalities.acquired(image)
            image = image - ground
            if self.augmenter.pastes(rng) and all(case.known) and self._donors:
                donor = self.samples[self._donors[int(rng.integers(len(self._donors)))]]
                other, more, its_ground = self._cut(self.cases[donor.case], donor.position, rng, True)
                paste(image, target, other - its_ground, more, self.augmenter.paste_shift, rng)
            self.augmenter.modalities.change(image, ground, target, acquired, rng)
            image, target = self.augmenter(image, target, epoch, number, sample.copy)
            image = image + ground
        if self.background is not None:  # what came in from outside is of no class yet
            target[self.background] += 1 - target.sum(axis=0)
        return {
            "image": np.ascontiguousarray(image, dtype=np.float32),
            "target": np.ascontiguousarray(target, dtype=np.float32),
            "known": self._known(case, target),
            "case": sample.case,
        }

    def _known(self, case: CachedCase, target: Array) -> Array:
        """Return of which outputs the slice knows: all, where the outermost is known to be empty."""
        known = np.array(case.known)
        if known[0] and not target[0].any() and self.background is None:
            known[:] = True
        return known

    def size(self, number: int) -> tuple[int, int]:
        """Return rows and columns of a sample."""
        if self.patch is not None:
            return self.patch
        height, width = self.cases[self.samples[number].case].targets.shape[1:]
        return _up(height, self.stride), _up(width, self.stride)

    def _cut(
        self,
        case: CachedCase,
        position: int,
        rng: np.random.Generator | None = None,
        on_tumour: bool = False,
    ) -> tuple[Array, Array, Array]:
        """Return (C, H, W) and (O, H, W) around the tissue or the tumour, and the (C, 1, 1) background."""
        last = len(case.slices) - 1
        ground = np.asarray(case.ground[position], dtype=np.float32)
        places = [min(max(position + offset, 0), last) for offset in self.offsets]
        image = np.concatenate([case.images[p] for p in places]).astype(np.float32)
        target = unpack(case.targets[position], len(case.known))
        height, width = image.shape[1:]
        size = self.patch or (_up(height, self.stride), _up(width, self.stride))
        size = (size[0] + 2 * self.margin, size[1] + 2 * self.margin)
        filling = np.tile(ground, len(self.offsets))[:, None, None]
        empty = np.zeros((len(target), 1, 1), dtype=np.float32)
        middle = (height // 2, width // 2)
        if rng is not None and (on_tumour or rng.random() < self.on_tumour):
            middle = self._aim(image, target, filling, rng)
        cut = _placed(image, size, filling, middle, self.margin)
        return cut, _placed(target, size, empty, middle, self.margin), filling

    def _aim(self, image: Array, target: Array, ground: Array, rng: np.random.Generator) -> tuple[int, int]:
        """Return a pixel of the tumour, or where there is none of the tissue, or else the middle."""
        tumour = target.any(axis=0) if self.background is None else target[self.background] == 0
        found = np.argwhere(tumour)
        if not len(found):
            found = np.argwhere((image != ground).any(axis=0))
        if not len(found):
            return image.shape[1] // 2, image.shape[2] // 2
        row, column = found[int(rng.integers(len(found)))]
        return int(row), int(column)


class EpochBatchSampler(Sampler[list[Key]]):
    """Batches of an epoch, the same for the same seed and epoch, on one device or several.

    All slices with tumour take part in every epoch, and shares of the others that are drawn anew.

    Parameters
    ----------
    samples : sequence of Sample
        Of the data.
    batch : int
        Slices of a batch, on each device.
    without_tumour, partly_known : float
        Share of the slices without tumour, and of those whose reference does not know all outputs.
    seed : int
        Of the order.
    rank, world : int
        Which device of how many; device `rank` takes every `world`-th batch.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        batch: int,
        without_tumour: float = 1.0,
        partly_known: float = 1.0,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.batch, self.seed, self.rank, self.world = batch, seed, rank, world
        self.epoch = 0
        self.skip = 0
        whole = [(i, s.tumour) for i, s in enumerate(samples) if not s.partly]
        pools = (
            ([i for i, tumour in whole if tumour], 1.0),
            ([i for i, tumour in whole if not tumour], without_tumour),
            ([i for i, s in enumerate(samples) if s.partly], partly_known),
        )
        self._pools = [(np.array(pool, dtype=np.int64), share) for pool, share in pools]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        count = sum(round(len(pool) * share) for pool, share in self._pools)
        whole, rest = divmod(count, self.batch)
        batches = whole + (rest > 1 or (rest == 1 and not whole))  # batch norm cannot learn from one slice
        return max(batches // self.world, 1)

    def __iter__(self) -> Iterator[list[Key]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        drawn = [rng.permutation(pool)[: round(len(pool) * share)] for pool, share in self._pools]
        order = rng.permutation(np.concatenate(drawn))
        first, self.skip = self.skip, 0
        for number in range(first, len(self)):
            start = (number * self.world + self.rank) * self.batch
            yield [(self.epoch, int(i)) for i in order[start : start + self.batch]]


class TrainLoader(DataLoader[dict[str, Any]]):
    """A loader that can say how far it is and go on from there (Lightning asks for both)."""

    def __init__(self, data: SliceData, order: EpochBatchSampler, workers: int = 0) -> None:
        super().__init__(
            data, batch_sampler=order, num_workers=workers, persistent_workers=workers > 0, collate_fn=collate
        )
        self.order = order
        self._given = 0

    def __iter__(self) -> Any:
        """Give the batches of the epoch that are still to come."""
        self._given = self.order.skip
        for batch in super().__iter__():
            self._given += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return how many batches of the epoch were given."""
        return {"epoch": self.order.epoch, "given": self._given % len(self.order)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after as many batches as `state` says."""
        self.order.set_epoch(state["epoch"])
        self.order.skip = state["given"]


def validation_loader(
    data: SliceData, batch: int, workers: int = 0, rank: int = 0, world: int = 1
) -> DataLoader[dict[str, Any]]:
    """Return a loader of all slices in order, those of one size together; device `rank` takes its share."""
    batches: list[list[Key]] = []
    size: tuple[int, int] | None = None
    for number in range(len(data)):
        if size != data.size(number) or len(batches[-1]) == batch:
            size = data.size(number)
            batches.append([])
        batches[-1].append((0, number))
    return DataLoader(
        data,
        batch_sampler=batches[rank::world],
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
    )


def collate(items: Sequence[dict[str, Any]]) -> Batch:
    """Stack samples."""
    return {
        "image": torch.from_numpy(np.stack([i["image"] for i in items])),
        "target": torch.from_numpy(np.stack([i["target"] for i in items])),
        "known": torch.from_numpy(np.stack([i["known"] for i in items])),
        "case": torch.tensor([i["case"] for i in items]),
    }


def _up(length: int, stride: int) -> int:
    return -(-length // stride) * stride


def _placed(
    image: Array, size: tuple[int, int], filling: Array, middle: tuple[int, int], margin: int
) -> Array:
    """Return (C, H, W) cut or filled, with (C, 1, 1), to a size, this pixel in the middle.

    What fits into the size without the margin, which is cut off later, is laid in the middle as a whole.
    """
    out = np.broadcast_to(filling, (len(image), *size)).astype(np.float32)
    source, goal = [], []
    for have, want, centre in zip(image.shape[1:], size, middle, strict=True):
        low = centre - want // 2
        if have <= want - 2 * margin:  # it fits: nothing of it is cut off
            low = -((want - have) // 2)
        first, last = max(low, 0), min(low + want, have)
        source.append(slice(first, last))
        goal.append(slice(first - low, last - low))
    out[:, goal[0], goal[1]] = image[:, source[0], source[1]]
    return out
