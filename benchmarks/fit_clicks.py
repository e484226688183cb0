"""Fits the network of `edit.clicks` to simulated clicks on the development patients of LGG.

The first round follows an oracle, further ones what a network of the other half of the patients made of
the clicks before, so that it learns from its own mistakes. Each round adds clicks on the masks of models that
have not seen the patient, and strokes on an empty mask without probabilities. The last networks are averaged.

    python benchmarks/fit_clicks.py kaggle_3m --cache FOLDER --out weights.npz
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from clicks import Subject, Subjects, lgg_cases
from napari_tumorseg.edit.clicks import Click, Evidence, refine
from napari_tumorseg.edit.clicks.features import NAMES, describe
from napari_tumorseg.edit.clicks.network import WEIGHTS, ClickNetwork
from napari_tumorseg.edit.clicks.scene import Scene, neighbourhood
from napari_tumorseg.evaluation.clicks_simulation import ROBOTS, next_click, oracle_disc
from napari_tumorseg.geometry import Array

ROUNDS, AVERAGED = 3, 2
SAMPLES = 1500
"""Voxels of a click, a third of them spread evenly, the others near it."""
WIDTHS = (32, 16)
WITH_MODEL, FROM_NOTHING = (6, (0.75, 0.15, 0.1)), (3, (0.4, 0.2, 0.4))
"""Clicks on a patient, and the shares of the robots."""

Examples: TypeAlias = tuple[Array, Array, Array]
Step: TypeAlias = Callable[[Evidence, Array, Click, tuple[Click, ...], Array], Array]


def oracle(evidence: Evidence, mask: Array, click: Click, earlier: tuple[Click, ...], truth: Array) -> Array:
    """Correct a mask by the oracle's disc."""
    return oracle_disc(mask, click, earlier, truth)


def by(network: ClickNetwork) -> Step:
    """Return a step that corrects a mask by a network."""

    def step(
        evidence: Evidence, mask: Array, click: Click, earlier: tuple[Click, ...], truth: Array
    ) -> Array:
        change = refine(mask.astype(np.uint8), evidence, click, earlier, network=network)
        found = mask.copy()
        if change is not None:
            found[change.box] = change.after > 0
        return found

    return step


def examples(subjects: Sequence[Subject], step: Step, random: np.random.Generator, model: bool) -> Examples:
    """Return features, targets and weights of voxels around simulated clicks; a patient weighs as in Dice."""
    clicks, shares = WITH_MODEL if model else FROM_NOTHING
    found = []
    for subject in subjects:
        evidence = subject.evidence() if model else Evidence.of(subject.channels)
        mask = subject.mask if model else np.zeros_like(subject.mask)
        size = np.count_nonzero(mask) + np.count_nonzero(subject.reference)
        done: list[Click] = []
        for _ in range(clicks):
            click = next_click(mask, subject.reference, random.choice(ROBOTS, p=shares), random)
            if click is None:
                break
            found.append(_of_click(evidence, mask, click, done, subject.reference, random, size))
            mask = step(evidence, mask, click, tuple(done), subject.reference)
            done.append(click)
    x, y, w = zip(*found, strict=True)
    return np.concatenate(x), np.concatenate(y), np.concatenate(w)


def _of_click(
    evidence: Evidence,
    mask: Array,
    click: Click,
    done: Sequence[Click],
    truth: Array,
    random: np.random.Generator,
    size: int,
) -> Examples:
    box = neighbourhood(click, evidence)
    scene = Scene.around(evidence, mask[box], box, click, done)
    places = np.flatnonzero(scene.inside != click.adds)
    near = np.exp(scene.geodesic.reshape(-1)[places] / -12)
    chance = np.minimum(0.3 * SAMPLES / len(places) + SAMPLES * near / near.sum(), 1)
    taken = random.random(len(places)) < chance
    right = (truth[box].reshape(-1)[places] == click.adds)[taken]
    weights = 1 / (size * chance[taken])
    return describe(scene, places)[taken], right.astype(np.float32), weights.astype(np.float32)


def fit(parts: Sequence[Examples], epochs: int = 9, seed: int = 0) -> ClickNetwork:
    """Return a network fitted to examples."""
    x, y, w = (np.concatenate(part) for part in zip(*parts, strict=True))
    torch.manual_seed(seed)
    middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-3
    first, second = WIDTHS
    net = nn.Sequential(
        nn.Linear(len(NAMES), first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, 1)
    )
    inputs, targets = torch.from_numpy((x - middle) / spread), torch.from_numpy(y)
    weights = torch.from_numpy(w / w.mean())
    batches = -(-len(x) // 4096)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=epochs * batches + 1)
    loss = nn.BCEWithLogitsLoss(reduction="none")
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).chunk(batches):
            optimizer.zero_grad()
            (weights[batch] * loss(net(inputs[batch])[:, 0], targets[batch])).mean().backward()
            optimizer.step()
            schedule.step()
    return _with_scaling(net, middle, spread)


def _with_scaling(net: nn.Sequential, middle: Array, spread: Array) -> ClickNetwork:
    layers = [
        (layer.weight.detach().numpy().T, layer.bias.detach().numpy())
        for layer in net
        if isinstance(layer, nn.Linear)
    ]
    weight, bias = layers[0]
    layers[0] = weight / spread[:, None], bias - (middle / spread) @ weight
    return ClickNetwork(tuple((w.astype(np.float32), b.astype(np.float32)) for w, b in layers))


def averaged(networks: Sequence[ClickNetwork]) -> ClickNetwork:
    """Return one network whose log-odds are the mean of those of several."""
    first, second, last = zip(*(network.layers for network in networks), strict=True)
    rows, columns = second[0][0].shape
    blocks = np.zeros((rows * len(networks), columns * len(networks)), dtype=np.float32)
    for i, (weight, _) in enumerate(second):
        blocks[i * rows : (i + 1) * rows, i * columns : (i + 1) * columns] = weight
    return ClickNetwork(
        (
            (np.concatenate([w for w, _ in first], axis=1), np.concatenate([b for _, b in first])),
            (blocks, np.concatenate([b for _, b in second])),
            (
                np.concatenate([w for w, _ in last]) / np.float32(len(networks)),
                np.mean([b for _, b in last], axis=0),
            ),
        )
    )


def main() -> None:
    """Fit the network and write its weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lgg", type=Path, help="folder kaggle_3m")
    parser.add_argument("--cache", type=Path, help="folder to keep the model's results in")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    asked = parser.parse_args()
    made = Subjects("lgg-flair", asked.cache)
    subjects = [made.subject(case) for case in lgg_cases(asked.lgg, "development")]
    parts: tuple[list[Examples], list[Examples]] = ([], [])
    steps: list[Step] = [oracle, oracle]
    networks: list[ClickNetwork] = []
    for turn in range(ROUNDS):
        random = np.random.default_rng(turn)
        for half in (0, 1):
            some = subjects[half::2]
            parts[half].extend(examples(some, steps[half], random, model) for model in (True, False))
        networks.append(fit([*parts[0], *parts[1]]))
        steps = [by(fit(parts[1])), by(fit(parts[0]))]
        print(f"round {turn + 1} of {ROUNDS} is done", flush=True)
    averaged(networks[-AVERAGED:]).write(asked.out)


if __name__ == "__main__":
    main()
