"""Comparison of a network's time in bfloat16 and float32, once for each machine, model and torch version."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_tumorseg.errors import OutputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.networks import as_bfloat16, as_float32, memory_format
from napari_tumorseg.inference.user_cache import cache_folder
from napari_tumorseg.io.atomic import make_folder, write_text
from napari_tumorseg.models.ensemble import members_of
from napari_tumorseg.models.segmentation_network import SegmentationNetwork

WORTH_IT = 0.9
"""Largest share of float32's time for which bfloat16 is used."""

_ROUNDS = 5
_MOST_KEPT = 200
"""Measurements in the file; the oldest are dropped."""


def relative_time(
    net: SegmentationNetwork,
    weights: str,
    samples: Callable[[], list[Array]],
    clock: Callable[[], float] = time.perf_counter,
) -> float | None:
    """Return the time of bfloat16 as a share of float32's, measured or read from the cache.

    Parameters
    ----------
    net : SegmentationNetwork
        The network; of an ensemble one member is measured.
    weights : str
        Hash of its weights.
    samples : callable
        Returns inputs (C, H, W), of which the first is used. Without any, the result is None.
    clock : callable
        Returns seconds.
    """
    path, key = cache_folder() / "precision.json", machine_key(weights)
    known = _read(path)
    if key in known:
        return known[key]
    inputs = samples()
    if not inputs:
        return None
    found = _measure(members_of(net)[0], inputs[0], clock)
    known = _read(path)
    if key in known:  # another process was faster; all of them choose by one measurement
        return known[key]
    kept = dict(list(known.items())[1 - _MOST_KEPT :])
    with suppress(OutputError):  # it is measured again next time
        make_folder(path.parent)
        write_text(path, json.dumps({**kept, key: round(found, 4)}, indent=1), overwrite=True)
    return found


def machine_key(weights: str) -> str:
    """Return a key of the conditions of a measurement: weights, processor, threads and torch."""
    processor = f"{_processor_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    text = f"{platform.machine()} {processor} {torch.__version__} {weights}"
    return hashlib.sha256(text.encode()).hexdigest()


def _processor_name() -> str:
    """Return the processor's model, which Linux states only in a file."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in lines if line.startswith("model name")), platform.processor())
    return platform.processor()


def _measure(net: SegmentationNetwork, sample: Array, clock: Callable[[], float]) -> float:
    """Return the median over rounds of the ratio; both take turns, so that a busy machine slows both."""
    x = torch.from_numpy(sample[np.newaxis]).to(memory_format=memory_format(net.dimensions))
    full, reduced = as_float32(net), as_bfloat16(net)
    with torch.inference_mode():
        for network in (full, reduced):  # the first run of a shape prepares it
            network(x)
        ratios = [_seconds(reduced, x, clock) / max(_seconds(full, x, clock), 1e-9) for _ in range(_ROUNDS)]
    return statistics.median(ratios)


def _seconds(network: nn.Module, x: Tensor, clock: Callable[[], float]) -> float:
    start = clock()
    network(x)
    return clock() - start


def _read(path: Path) -> dict[str, float]:
    """Return the measurements in a file; empty if it does not exist or cannot be read."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {str(k): float(v) for k, v in content.items() if isinstance(v, int | float)}
