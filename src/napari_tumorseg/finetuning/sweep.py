"""Dice of left-out cases with each option, at the network's resolution, from the cached slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from napari_tumorseg.finetuning.choice import THRESHOLDS, Option
from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Output
from napari_tumorseg.models.segmentation_network import SegmentationNetwork
from napari_tumorseg.training.cache import CachedCase
from napari_tumorseg.training.targets import unpack

_BATCH = 4


def thresholds_for(output: Output) -> tuple[float, ...]:
    """Return the thresholds to try; only the card's where they have no effect."""
    if output.activation == "softmax":
        return (output.threshold,)
    return tuple(sorted({output.threshold, *THRESHOLDS}))


def dice_of(net: SegmentationNetwork, case: CachedCase, output: Output, share: float) -> dict[Option, float]:
    """Return the mean Dice over the outputs that a case's reference knows, for each threshold.

    Parameters
    ----------
    net : SegmentationNetwork
        In eval mode.
    case : CachedCase
        Case with its targets.
    output : Output
        Outputs of the model.
    share : float
        Share of the tuned weights in the network, for the keys.
    """
    first = 1 if output.activation == "softmax" and output.labels[0] == 0 else 0
    known = [index for index in range(first, len(output.names)) if case.known[index]]
    counts = {threshold: np.zeros((3, len(known))) for threshold in thresholds_for(output)}
    for start in range(0, len(case.slices), _BATCH):
        part = slice(start, start + _BATCH)
        wanted = np.stack([unpack(bits, len(case.known)) for bits in case.targets[part]])[:, known] > 0.5
        chances = _probabilities(net, case, part, output)[:, known]
        for threshold, sums in counts.items():
            found = chances > threshold
            sums += [(a).sum(axis=(0, 2, 3)) for a in (found & wanted, found, wanted)]
    return {Option(share, threshold): _mean_dice(sums) for threshold, sums in counts.items()}


def _mean_dice(sums: Array) -> float:
    both, size = sums[0], sums[1] + sums[2]
    return float(np.where(size > 0, 2 * both / np.maximum(size, 1), 1.0).mean())


def _probabilities(net: SegmentationNetwork, case: CachedCase, part: slice, output: Output) -> Array:
    """Return probabilities (N, O, H, W); of classes, 1 for the most probable one."""
    images = np.asarray(case.images[part], dtype=np.float32)
    fill = np.asarray(case.background[part], dtype=np.float32)[:, :, None, None]
    height, width = images.shape[2:]
    size = [-(-side // net.stride) * net.stride for side in (height, width)]
    padded = np.broadcast_to(fill, (*images.shape[:2], *size)).copy()
    padded[:, :, :height, :width] = images
    with torch.inference_mode():
        logits = net(torch.from_numpy(padded))[:, :, :height, :width]
        if output.activation == "softmax":
            chosen = logits.argmax(dim=1, keepdim=True)
            return np.asarray(torch.zeros_like(logits).scatter_(1, chosen, 1.0).numpy())
        return np.asarray(logits.sigmoid().numpy())


def cases_named(cases: Sequence[CachedCase]) -> dict[str, CachedCase]:
    """Return cached cases by name."""
    return {case.name: case for case in cases}
