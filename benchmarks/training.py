"""Slices a second that reach the network in training, beside MONAI's own way, and what a step costs.

    python benchmarks/training.py [DATA]

DATA is a folder in the LGG layout, whose first eight patients are taken; the sample by default. Both
loaders give batches of 16 patches of the recipe lgg-flair-unet with its flips, turns and bias fields, from
one process. MONAI caches decoded slices in memory (CacheDataset) and keeps the meta data that its
transforms carry by default.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from monai.data import CacheDataset, DataLoader
from monai.data.meta_obj import set_track_meta
from monai.transforms import Compose, EnsureTyped, RandAffined, RandBiasFieldd, RandFlipd, Resized

from napari_tumorseg.io.dataset import DataSet
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.samples import sample_path
from napari_tumorseg.training.cache import CachedCase, fill_cache
from napari_tumorseg.training.datamodule import SliceDataModule
from napari_tumorseg.training.losses import Loss
from napari_tumorseg.training.recipe import Recipe, load_recipe
from napari_tumorseg.training.split import DataSplit

ROUNDS, BATCHES, PATIENTS = 5, 12, 8
GEOMETRY = ("flip", "affine", "bias")
"""Steps of the recipe that MONAI's pipeline has under the same name; both run only these."""


def main() -> None:
    """Time both loaders in turns, then a step of the network."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_path("lgg")
    whole = load_recipe("lgg-flair-unet", ["data.without_tumour=1.0"])
    recipe = whole.model_copy(
        update={"augmentation": tuple(a for a in whole.augmentation if a.kind in GEOMETRY)}
    )
    with tempfile.TemporaryDirectory() as cache:
        found = DataSet.find([folder])
        data = found.named([case.name for case in found.cases[:PATIENTS]])
        cases = [c for c in fill_cache(data, recipe, Path(cache)) if isinstance(c, CachedCase)]
        data_split = DataSplit(tuple(c.name for c in cases), (), ())
        ours, theirs = loaders(SliceDataModule(cases, data_split, recipe)), monai_loader(data, recipe)
        times: dict[str, list[float]] = {"ours": [], "MONAI": []}
        for _ in range(ROUNDS):
            for name, batches in (("ours", ours), ("MONAI", theirs)):
                set_track_meta(name == "MONAI")
                times[name].append(seconds(lambda stream=batches: list(islice(stream, BATCHES))))
        rates = {name: BATCHES * recipe.fit.batch / statistics.median(t) for name, t in times.items()}
        ratio = statistics.median(o / m for o, m in zip(times["ours"], times["MONAI"], strict=True))
        for name, rate in rates.items():
            print(f"{name:6s} {rate:8.1f} slices/s")
        print(f"time, ours / MONAI: {ratio:.2f}")
        set_track_meta(False)
        full = loaders(SliceDataModule(cases, data_split, whole))
        prepare, step = full_step(full, whole)
        rate = whole.fit.batch / (prepare + step)
        print(
            f"a step of {whole.name}: {step:.2f} s and {prepare:.2f} s for its batch: {rate:.1f} slices/s, "
            f"{prepare / (prepare + step):.0%} of the time for data, on one thread"
        )


def loaders(data_module: SliceDataModule) -> Iterator[Any]:
    """Yield our batches without end."""
    loader = data_module.train_dataloader()
    epoch = 0
    while True:
        loader.order.set_epoch(epoch)
        yield from loader
        epoch += 1


def monai_loader(data: DataSet, recipe: Recipe) -> Iterator[Any]:
    """Yield MONAI's batches without end, of the same slices and size."""
    items = []
    for case in data.cases:
        scan, mask = case.load()
        stand_in = recipe.input.substitute
        images = [scan.roles.get(role) or scan.roles[stand_in[role]] for role in recipe.input.roles]
        volume = torch.stack([torch.from_numpy(image.data / 255.0).float() for image in images])
        items += [
            {"image": volume[:, z], "target": torch.from_numpy(mask.labels[z][None] > 0).float()}
            for z in range(volume.shape[1])
        ]
    both = ("image", "target")
    assert recipe.fit.patch is not None
    transform = Compose(
        [
            EnsureTyped(both),
            Resized(both, spatial_size=recipe.fit.patch, mode=("bilinear", "nearest")),
            RandFlipd(both, prob=0.5, spatial_axis=1),
            RandAffined(
                both,
                prob=0.9,
                rotate_range=0.35,
                scale_range=(0.2, 0.2),
                translate_range=(7, 6),
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            RandBiasFieldd(("image",), prob=0.3, coeff_range=(-0.1, 0.1)),
        ]
    )
    dataset = CacheDataset(items, transform, progress=False)
    loader = DataLoader(dataset, batch_size=recipe.fit.batch, shuffle=True, drop_last=True)
    while True:  # itertools.cycle would keep the first epoch's batches
        yield from loader


def full_step(batches: Iterator[Any], recipe: Recipe) -> tuple[float, float]:
    """Return the median seconds for a batch with the recipe's whole augmentation, and for its step."""
    net = UNet(**recipe.arguments).to(memory_format=torch.channels_last)
    loss, optimiser = Loss(recipe.loss, recipe.output.activation), torch.optim.AdamW(net.parameters())
    prepare, step = [], []
    for _ in range(BATCHES):
        start = time.perf_counter()
        batch = next(batches)
        ready = time.perf_counter()
        optimiser.zero_grad()
        logits = net(batch["image"].to(memory_format=torch.channels_last))
        loss(logits, batch["target"], batch["known"]).backward()
        optimiser.step()
        prepare.append(ready - start)
        step.append(time.perf_counter() - ready)
    return statistics.median(prepare), statistics.median(step)


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
