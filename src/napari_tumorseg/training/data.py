"""Data sets of slices, and samplers and loaders of their batches.

Randomness is stateless: the augmentation of a slice depends on (seed, epoch, sample), the order of an epoch
on (seed, epoch). A training can therefore be resumed at any batch with the same data.
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
    """Input of the network and its loss."""

    image: Tensor  # (B, C, H, W) float32
    target: Tensor  # (B, O, H, W) float32, 0 or 1
    known: Tensor  # (B, O) bool: whether the reference knows the output
    case: Tensor  # (B,) int64: index of the case of each slice


@dataclass(frozen=True)
class Sample:
    """Slice of a data set."""

    case: int  # index in the list of cases
    position: int  # index in the case's arrays
    tumour: bool
    copy: int = 0  # 0: unchanged; n: with the n-th offline augmentation
    partly: bool = False  # whether the reference knows only some of the outputs


Key = tuple[int, int]
"""(epoch, sample)."""


class SliceData(Dataset[dict[str, Any]]):
    """Slices of cached cases.

    Parameters
    ----------
    cases : sequence of CachedCase
        Cases in a fixed order.
    samples : sequence of Sample
        Slices of them.
    recipe : Recipe
        Inputs and outputs of the network.
    patch : (rows, columns) or None
        Size of every slice; None: as cached, padded to the network's stride.
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
            image, target, fill = self._cut(case, sample.position)
        else:
            rng = self.augmenter.rng(epoch, number)
            image, target, fill = self._cut(case, sample.position, rng)
            acquired = self.augmenter.modalities.acquired(image)
            image = image - fill
            if self.augmenter.pastes(rng) and all(case.known) and self._donors:
                donor = self.samples[self._donors[int(rng.integers(len(self._donors)))]]
                other, more, other_fill = self._cut(self.cases[donor.case], donor.position, rng, True)
                paste(image, target, other - other_fill, more, self.augmenter.paste_shift, rng)
            image, fill = self.augmenter.extract_brain(image, fill, target, rng)
            self.augmenter.modalities.change(image, fill, target, acquired, rng)
            image, target = self.augmenter(image, target, epoch, number, sample.copy)
            image = image + fill
        if self.background is not None:  # new pixels belong to no class yet
            target[self.background] += 1 - target.sum(axis=0)
        return {
            "image": np.ascontiguousarray(image, dtype=np.float32),
            "target": np.ascontiguousarray(target, dtype=np.float32),
            "known": self._known(case, target),
            "case": sample.case,
        }

    def _known(self, case: CachedCase, target: Array) -> Array:
        """Return the outputs that the slice's reference knows: all, if the outermost is known to be empty."""
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
        """Return image (C, H, W), target (O, H, W) and background (C, 1, 1), cut at tissue or tumour."""
        last = len(case.slices) - 1
        fill = np.asarray(case.background[position], dtype=np.float32)
        places = [min(max(position + offset, 0), last) for offset in self.offsets]
        image = np.concatenate([case.images[p] for p in places]).astype(np.float32)
        target = unpack(case.targets[position], len(case.known))
        height, width = image.shape[1:]
        size = self.patch or (_up(height, self.stride), _up(width, self.stride))
        size = (size[0] + 2 * self.margin, size[1] + 2 * self.margin)
        filling = np.tile(fill, len(self.offsets))[:, None, None]
        empty = np.zeros((len(target), 1, 1), dtype=np.float32)
        middle = (height // 2, width // 2)
        if rng is not None and (on_tumour or rng.random() < self.on_tumour):
            middle = self._aim(image, target, filling, rng)
        cut = _placed(image, size, filling, middle, self.margin)
        return cut, _placed(target, size, empty, middle, self.margin), filling

    def _aim(self, image: Array, target: Array, fill: Array, rng: np.random.Generator) -> tuple[int, int]:
        """Return a random pixel of the tumour, else of the tissue, else the middle."""
        tumour = target.any(axis=0) if self.background is None else target[self.background] == 0
        found = np.argwhere(tumour)
        if not len(found):
            found = np.argwhere((image != fill).any(axis=0))
        if not len(found):
            return image.shape[1] // 2, image.shape[2] // 2
        row, column = found[int(rng.integers(len(found)))]
        return int(row), int(column)


class EpochBatchSampler(Sampler[list[Key]]):
    """Batches of an epoch, determined by seed and epoch, on one or several devices.

    Each epoch has all slices with tumour, and random shares of the others.

    Parameters
    ----------
    samples : sequence of Sample
        Slices of the data set.
    batch : int
        Slices of a batch, on each device.
    without_tumour, partly_known : float
        Share of the slices without tumour, and of those whose reference does not know all outputs.
    seed : int
        Seed of the order.
    rank, world : int
        Index and number of devices; device `rank` takes every `world`-th batch.
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
        """Set the epoch of the next iteration."""
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
    """Loader whose position within an epoch is stored and restored by Lightning."""

    def __init__(self, data: SliceData, order: EpochBatchSampler, workers: int = 0) -> None:
        super().__init__(
            data, batch_sampler=order, num_workers=workers, persistent_workers=workers > 0, collate_fn=collate
        )
        self.order = order
        self._given = 0

    def __iter__(self) -> Any:
        """Yield the remaining batches of the epoch."""
        self._given = self.order.skip
        for batch in super().__iter__():
            self._given += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return epoch and number of batches that were yielded."""
        return {"epoch": self.order.epoch, "given": self._given % len(self.order)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue after the batches that were yielded."""
        self.order.set_epoch(state["epoch"])
        self.order.skip = state["given"]


def validation_loader(
    data: SliceData, batch: int, workers: int = 0, rank: int = 0, world: int = 1
) -> DataLoader[dict[str, Any]]:
    """Return a loader of all slices in order, in batches of equal size; device `rank` gets its share."""
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
    """Return (C, H, W) cropped or padded, with (C, 1, 1), to a size, with a pixel in the middle.

    An image that fits into the size without the margin, which is cut off later, is centred uncropped.
    """
    out = np.broadcast_to(filling, (len(image), *size)).astype(np.float32)
    source, goal = [], []
    for have, want, centre in zip(image.shape[1:], size, middle, strict=True):
        low = centre - want // 2
        if have <= want - 2 * margin:  # it fits: nothing is cropped
            low = -((want - have) // 2)
        first, last = max(low, 0), min(low + want, have)
        source.append(slice(first, last))
        goal.append(slice(first - low, last - low))
    out[:, goal[0], goal[1]] = image[:, source[0], source[1]]
    return out
