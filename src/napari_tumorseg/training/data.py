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
from napari_tumorseg.training.augment import Augmenter
from napari_tumorseg.training.cache import CachedCase
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
        self.stride = recipe.stride
        output = recipe.output
        self.background = output.labels.index(0) if output.activation == "softmax" else None
        self.augmenter = augmenter

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Return one slice, augmented as (epoch, sample) says."""
        epoch, number = key
        sample = self.samples[number]
        case = self.cases[sample.case]
        image, target, ground = self._cut(case, sample.position)
        if self.augmenter is not None:
            image, target = self.augmenter(image - ground, target, epoch, number, sample.copy)
            image = image + ground
        if self.background is not None:  # what came in from outside is of no class yet
            target[self.background] += 1 - target.sum(axis=0)
        return {
            "image": np.ascontiguousarray(image, dtype=np.float32),
            "target": np.ascontiguousarray(target, dtype=np.float32),
            "known": np.asarray(case.known),
            "case": sample.case,
        }

    def size(self, number: int) -> tuple[int, int]:
        """Return rows and columns of a sample."""
        if self.patch is not None:
            return self.patch
        height, width = self.cases[self.samples[number].case].targets.shape[1:]
        return _up(height, self.stride), _up(width, self.stride)

    def _cut(self, case: CachedCase, position: int) -> tuple[Array, Array, Array]:
        """Return (C, H, W) and (O, H, W), the tissue in the middle, and the (C, 1, 1) background."""
        last = len(case.slices) - 1
        ground = np.asarray(case.ground[position], dtype=np.float32)
        places = [min(max(position + offset, 0), last) for offset in self.offsets]
        image = np.concatenate([case.images[p] for p in places]).astype(np.float32)
        target = unpack(case.targets[position], len(case.known))
        height, width = image.shape[1:]
        size = self.patch or (_up(height, self.stride), _up(width, self.stride))
        filling = np.tile(ground, len(self.offsets))[:, None, None]
        empty = np.zeros((len(target), 1, 1), dtype=np.float32)
        return _centred(image, size, filling), _centred(target, size, empty), filling


class Order(Sampler[list[Key]]):
    """Batches of an epoch, the same for the same seed and epoch, on one device or several.

    All slices with tumour take part in every epoch, and a share of the others that is drawn anew.

    Parameters
    ----------
    samples : sequence of Sample
        Of the data.
    batch : int
        Slices of a batch, on each device.
    without_tumour : float
        Share of the slices without tumour.
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
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.batch, self.seed, self.rank, self.world = batch, seed, rank, world
        self.epoch = 0
        self.skip = 0
        self._tumour = np.array([i for i, s in enumerate(samples) if s.tumour], dtype=np.int64)
        self._others = np.array([i for i, s in enumerate(samples) if not s.tumour], dtype=np.int64)
        self._drawn = round(len(self._others) * without_tumour)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        count = len(self._tumour) + self._drawn
        whole, rest = divmod(count, self.batch)
        batches = whole + (rest > 1 or (rest == 1 and not whole))  # batch norm cannot learn from one slice
        return max(batches // self.world, 1)

    def __iter__(self) -> Iterator[list[Key]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        others = rng.permutation(self._others)[: self._drawn]
        order = rng.permutation(np.concatenate([self._tumour, others]))
        first, self.skip = self.skip, 0
        for number in range(first, len(self)):
            start = (number * self.world + self.rank) * self.batch
            yield [(self.epoch, int(i)) for i in order[start : start + self.batch]]


class TrainLoader(DataLoader[dict[str, Any]]):
    """A loader that can say how far it is and go on from there (Lightning asks for both)."""

    def __init__(self, data: SliceData, order: Order, workers: int = 0) -> None:
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


def _centred(image: Array, size: tuple[int, int], filling: Array) -> Array:
    """Return (C, H, W) cut or filled, with (C, 1, 1), evenly on both sides to a size."""
    out = np.broadcast_to(filling, (len(image), *size)).astype(np.float32)
    source, goal = [], []
    for have, want in zip(image.shape[1:], size, strict=True):
        low = (have - want) // 2
        source.append(slice(max(low, 0), max(low, 0) + min(have, want)))
        goal.append(slice(max(-low, 0), max(-low, 0) + min(have, want)))
    out[:, goal[0], goal[1]] = image[:, source[0], source[1]]
    return out
