"""From a scan in memory to labels: the engine in each precision beside MONAI's SliceInferer, in one run.

All use the same weights and scan: they load the weights, normalise, run the network on axial slices, bring
the logits back to the scan's pixels and paint labels; none flips or post-processes. int8 is left out where
the extra `fast` is not installed; its calibration is done before times are taken.

Two networks: the shipped `brats-regions` (16-256 widths on slices halved to 128 x 128) for time, memory and
agreement, and one of 32-512 widths at full resolution (random weights) for time and memory.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib.util
import json
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from measuring import PeakMemory, about_machine, default_case, in_child, show, take_turns
from napari_tumorseg.inference import PostSettings, Settings, segment
from napari_tumorseg.inference.settings import Precision
from napari_tumorseg.io import read
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Scan

SHIPPED = "brats-regions"
WIDTHS, BOTTLENECK = (32, 64, 128, 256), 512
BATCHES = (1, 2, 3, 4)

_TUNING_SLICES = 24
_SETTINGS = Settings(device="cpu", flip=False, post=PostSettings())
_CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}

_PARTS = {
    "weights": "load",
    "look over the volume": "prepare",
    "network": "_forward",
    "slice to input": "network_input",
    "logits to slice": "to_slice",
    "labels": "draw",
    "provenance": "_finish",
}
"""Functions of the engine that share its time between them."""


def engine(scan: Scan, model: Model, precision: Precision = "float32") -> np.ndarray:
    """Segment as users of the library do."""
    return segment(scan, model, replace(_SETTINGS, precision=precision)).labels


def precisions() -> list[Precision]:
    """Return the precisions that run here."""
    if all(importlib.util.find_spec(name) for name in ("openvino", "nncf")):
        return ["float32", "bfloat16", "int8"]
    print("int8 is left out: the extra `fast` is not installed")
    return ["float32", "bfloat16"]


def sliding(scan: Scan, model: Model, batch: int, slices: slice = slice(None)) -> np.ndarray:
    """Segment by MONAI."""
    from sliding import segment_by_slices

    return segment_by_slices(scan, model, batch, slices)


def wide_model(scan: Scan, folder: Path) -> Model:
    """Make the larger network: random weights, batch norm's statistics from slices of the scan."""
    import torch
    from safetensors.torch import save_file

    from napari_tumorseg.models.unet import UNet
    from sliding import volume_of

    shipped = get_model(SHIPPED).card
    content = shipped.model_dump(mode="json", exclude_none=True)
    arguments: dict[str, Any] = {
        "in_channels": 2,
        "out_channels": 3,
        "widths": list(WIDTHS),
        "bottleneck": BOTTLENECK,
    }
    content |= {"name": "wide", "sha256": "", "network": {"arguments": arguments}}
    content["input"]["size"] = {"spacing": 1.0, "reduce": 1}
    net = UNet(**arguments)
    net.init_he(torch.Generator().manual_seed(0))
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.momentum = None  # a plain mean over the slices that follow
    volume, _ = volume_of(scan, shipped)
    middle = volume.shape[2] // 2
    with torch.inference_mode():
        for index in range(middle - 20, middle + 21, 10):
            net.train()(volume[:, :, index])
    save_file(net.state_dict(), folder / "wide.safetensors")
    model = Model(ModelCard.model_validate(content), folder / "wide.safetensors")
    model.weights.with_suffix(".toml").write_text(model.card.to_toml(), encoding="utf-8")
    return model


def best_batch(scan: Scan, model: Model) -> int:
    """Return the batch with which MONAI is fastest, found on the slices in the middle."""
    middle = scan.grid.shape[0] // 2
    some = slice(middle - _TUNING_SLICES // 2, middle + _TUNING_SLICES // 2)
    tasks: dict[str, Callable[[], object]] = {
        str(batch): partial(sliding, scan, model, batch, some) for batch in BATCHES
    }
    take_turns(tasks, 1)
    times = take_turns(tasks, 3)
    return min(BATCHES, key=lambda batch: statistics.median(times[str(batch)]))


def compare(title: str, scan: Scan, model: Model, options: argparse.Namespace) -> None:
    """Measure and print one network."""
    print(f"\n{title}")
    batch = best_batch(scan, model)
    other = f"SliceInferer, batch {batch}"
    tasks: dict[str, Callable[[], np.ndarray]] = {
        f"engine, {name}": partial(engine, scan, model, name) for name in precisions()
    }
    tasks[other] = partial(sliding, scan, model, batch)
    masks = {name: task() for name, task in tasks.items()}  # warms all up
    show(take_turns(tasks, options.rounds, _CLOCKS[options.clock]), against=other)
    if model.origin == "built-in":  # where random weights put a border says nothing
        for name in list(tasks)[1:]:
            told = _agreement(masks[name], masks["engine, float32"], model.card.output.scheme)
            print(f"  Dice with the engine in float32, {name}: {told}")
    for side in tasks:
        peak = _peak(side, options.scan, model, batch)
        print(f"  peak memory above the loaded scan, {side}: {peak:.0f} MB")


def _agreement(one: np.ndarray, other: np.ndarray, convention: str) -> str:
    told = []
    for name, labels in CONVENTIONS[convention].regions.items():
        a, b = np.isin(one, labels), np.isin(other, labels)
        dice = 2 * np.count_nonzero(a & b) / max(np.count_nonzero(a) + np.count_nonzero(b), 1)
        told.append(f"{name} {dice:.5f} ({np.count_nonzero(a != b)} of {np.count_nonzero(b)} voxels differ)")
    return ", ".join(told)


def _peak(side: str, case: Path, model: Model, batch: int) -> float:
    where = model.name if model.origin == "built-in" else str(model.weights.with_suffix(".toml"))
    child = ("--memory-of", side, "--scan", str(case), "--model", where, "--batch", str(batch))
    return float(in_child(__file__, *child)["megabytes"])


def tell_memory(side: str, case: Path, name: str, batch: int) -> None:
    """Run one side alone in this process and print its peak; libraries and scan are there before."""
    import monai.inferers  # noqa: F401  (torch, too: on both sides alike)

    import napari_tumorseg.inference.predict  # noqa: F401

    scan, model = read(case), get_model(name)
    peak = PeakMemory()
    kind, _, precision = side.partition(", ")
    engine(scan, model, precision) if kind == "engine" else sliding(scan, model, batch)  # type: ignore[arg-type]
    print(json.dumps({"megabytes": peak.megabytes()}))


def show_parts(scan: Scan, model: Model) -> None:
    """Print where the engine's time goes."""
    engine(scan, model)
    profile = cProfile.Profile()
    profile.runcall(engine, scan, model)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    taken = dict.fromkeys([*_PARTS, "in all"], 0.0)
    for (file, _, function), (_, _, _, cumulative, _) in stats.items():
        if "napari_tumorseg" in file or file == __file__:
            for part, wanted in (*_PARTS.items(), ("in all", "engine")):
                taken[part] += cumulative if function == wanted else 0.0
    whole = taken.pop("in all")
    taken["rest"] = whole - sum(taken.values())
    print(f"\nWhere the engine's time goes, {model.name}: {whole:.2f} s")
    for part, seconds in taken.items():
        print(f"  {part:<20}  {seconds:6.3f} s  {seconds / whole:6.1%}")


def show_latency(case: Path, rounds: int) -> None:
    """Print how long a fresh process takes to the first slice, libraries, reading and weights included."""
    walls, parts = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        command = [sys.executable, __file__, "--first-slice", "--scan", str(case)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        walls.append(time.perf_counter() - start)
        parts.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"\nFrom the start of a process to its end after the first slice: {statistics.median(walls):.2f} s")
    for part in parts[0]:
        print(f"  {part:<20}  {statistics.median(p[part] for p in parts):6.3f} s")


def tell_first_slice(case: Path) -> None:
    """Import, read and run up to the first slice; print what each took."""
    from napari_tumorseg.inference import run

    taken, last = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        taken[name], last = time.perf_counter() - last, time.perf_counter()

    scan = read(case)
    lap("reading")
    import napari_tumorseg.inference.predict  # noqa: F401

    lap("importing torch")
    next(run(scan, SHIPPED, Settings(device="cpu")))
    lap("first slice")
    print(json.dumps(taken))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scan", type=Path, default=default_case(), help="folder of a skull-stripped case")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--clock",
        choices=tuple(_CLOCKS),
        default="wall",
        help="processor: of this process, all cores together",
    )
    parser.add_argument("--only", choices=("shipped", "wide", "parts", "latency"), help="leave out the rest")
    for name, kind in (("--memory-of", str), ("--model", str), ("--batch", int)):  # for child processes
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--first-slice", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = _options()
    if options.memory_of:
        tell_memory(options.memory_of, options.scan, options.model, options.batch)
    elif options.first_slice:
        tell_first_slice(options.scan)
    else:
        _compare_all(options)


def _compare_all(options: argparse.Namespace) -> None:
    import torch

    print(about_machine("torch", "monai", "numpy"))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"{torch.get_num_threads()} threads; {options.rounds} rounds; {options.clock} time; "
        f"load at the start {load:.1f}"
    )
    scan, shipped = read(options.scan), get_model(SHIPPED)
    print(f"{scan.case}: {' x '.join(map(str, scan.grid.shape))} voxels")
    if options.only in (None, "shipped"):
        compare(f"{SHIPPED}, widths 16-256, slices halved to 128 x 128", scan, shipped, options)
    if options.only in (None, "wide"):
        with tempfile.TemporaryDirectory() as folder:
            wide = wide_model(scan, Path(folder))
            compare("widths 32-512, slices at full resolution, random weights", scan, wide, options)
    if options.only in (None, "parts"):
        show_parts(scan, shipped)
    if options.only in (None, "latency"):
        show_latency(options.scan, options.rounds)


if __name__ == "__main__":
    main()
