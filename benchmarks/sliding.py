"""Time and memory of windows of a volume here and in MONAI's sliding window inference, on the same network.

Both take turns on random volumes, so that a busy machine slows both; the ratio is the median over rounds::

    python benchmarks/sliding.py --rounds 3
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
import torch
from monai.inferers import sliding_window_inference

from napari_tumorseg.geometry import Grid
from napari_tumorseg.inference import predict
from napari_tumorseg.inference.volume.prepare import PreparedVolume, prepare_volume
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.monai_networks import SegResNet
from napari_tumorseg.models.segmentation_network import SegmentationNetwork
from napari_tumorseg.scan import Image, Role, Scan


def main() -> None:
    """Measure and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=64, help="side of the volume in voxels")
    parser.add_argument("--patch", type=int, default=32)
    given = parser.parse_args()
    net = SegResNet(
        in_channels=2, out_channels=3, width=8, blocks_down=[1, 2, 2], blocks_up=[1, 1], norm="group"
    ).eval()
    prepared = volume(given.side, given.patch)
    run_here(prepared, net)  # the first runs prepare what later ones use
    run_monai(prepared, net, given.patch)
    ratios, ours = [], []
    for _ in range(given.rounds):
        start = time.perf_counter()
        mine = run_here(prepared, net)
        middle = time.perf_counter()
        theirs = run_monai(prepared, net, given.patch)
        end = time.perf_counter()
        assert np.abs(mine - theirs).max() < 1e-3
        ratios.append((middle - start) / (end - middle))
        ours.append(middle - start)
    figures = {
        "volume": [given.side] * 3,
        "patch": [given.patch] * 3,
        "seconds": round(statistics.median(ours), 3),
        "share_of_monais_time": round(statistics.median(ratios), 3),
        "largest_difference": float(np.abs(mine - theirs).max()),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(figures, indent=1))


def volume(side: int, patch: int) -> PreparedVolume:
    """Return a random volume of two channels, ready to be run in windows."""
    random = np.random.default_rng(0)
    grid = Grid.from_codes((side,) * 3, spacing=(1.0, 1.0, 1.0))
    images = tuple(
        Image(role, role, random.standard_normal((side,) * 3, dtype=np.float32), grid)
        for role in (Role.FLAIR, Role.T1C)
    )
    windows = {"patch": [patch] * 3, "crop": False, "placement": "regular"}
    card = ModelCard.model_validate(
        {
            "name": "random",
            "input": {
                "roles": ["flair", "t1c"],
                "plane": "volume",
                "normalisation": {"method": "none"},
                "windows": windows,
            },
            "output": {"names": ["WT", "TC", "ET"], "labels": [2, 1, 3], "scheme": "brats-2023"},
        }
    )
    return prepare_volume(Scan("random", images), card)


def run_here(prepared: PreparedVolume, net: SegmentationNetwork) -> np.ndarray:
    """Return the logits (O, Z, Y, X) of all slices."""
    runner = predict.Runner(net, "cpu")
    found = [one.logits for step in predict.steps(prepared, runner, prepared.todo) for one in step.finished]
    return np.stack(found, axis=1)


def run_monai(prepared: PreparedVolume, net: SegmentationNetwork, patch: int) -> np.ndarray:
    """Return the logits that MONAI gives."""
    with torch.inference_mode():
        found = sliding_window_inference(
            torch.from_numpy(prepared.data)[None], (patch,) * 3, 1, net, overlap=0.5, mode="gaussian"
        )
    return found[0].numpy()


if __name__ == "__main__":
    main()
