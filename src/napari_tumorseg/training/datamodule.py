"""Lightning data module: loaders of the training and validation slices of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning
import torch

from napari_tumorseg.training.augment_transforms import Augmenter
from napari_tumorseg.training.cache import CachedCase
from napari_tumorseg.training.data import EpochBatchSampler, Sample, SliceData, TrainLoader, validation_loader
from napari_tumorseg.training.recipe import Recipe
from napari_tumorseg.training.split import DataSplit


class SliceDataModule(lightning.LightningDataModule):
    """Training and validation slices of cached cases.

    Parameters
    ----------
    cases : sequence of CachedCase
        All cases.
    data_split : DataSplit
        Their split.
    recipe : Recipe
        Selection, size and augmentation of the slices.
    workers : int
        Processes that prepare batches; 0 prepares them in the main process.
    """

    def __init__(
        self, cases: Sequence[CachedCase], data_split: DataSplit, recipe: Recipe, workers: int = 0
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.workers = workers
        augmenter = Augmenter(
            recipe.augmentation, recipe.offline, recipe.input, recipe.fit.seed, recipe.fit.margin
        )
        copies = len(recipe.offline) + 1
        training = _samples(cases, data_split, "train", recipe, copies)
        validation = _samples(cases, data_split, "validation", recipe, 1)
        self.train_data = SliceData(cases, training, recipe, recipe.fit.patch, augmenter)
        self.val_data = SliceData(cases, validation, recipe, None)
        self.validation_known = torch.zeros(len(cases), len(recipe.output.names), dtype=torch.bool)
        for number in {s.case for s in validation}:
            self.validation_known[number] = torch.tensor(cases[number].known)

    def order(self, rank: int = 0, world: int = 1) -> EpochBatchSampler:
        """Return the sampler of training batches of a device."""
        fit, data = self.recipe.fit, self.recipe.data
        return EpochBatchSampler(
            self.train_data.samples, fit.batch, data.without_tumour, data.partly_known, fit.seed, rank, world
        )

    def train_dataloader(self) -> TrainLoader:
        """Return the loader of this device's training batches."""
        return TrainLoader(self.train_data, self.order(*self._place()), self.workers)

    def val_dataloader(self) -> Any:
        """Return the loader of this device's validation batches."""
        rank, world = self._place()
        return validation_loader(self.val_data, self.recipe.fit.batch, self.workers, rank, world)

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


def _samples(
    cases: Sequence[CachedCase], data_split: DataSplit, part: str, recipe: Recipe, copies: int
) -> list[Sample]:
    """Return the slices of a part that have tissue, and tumour if the recipe requires it."""
    return [
        Sample(number, position, tumour, copy, not all(case.known))
        for number, case in enumerate(cases)
        for position, (index, tissue, tumour) in enumerate(
            zip(case.slices, case.tissue, case.tumour, strict=True)
        )
        if tissue and (tumour or recipe.data.slices == "all") and data_split.side_of(case.name, index) == part
        for copy in range(copies)
    ]
