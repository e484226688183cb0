"""Shared by the benchmarks: runs in turns, medians, peak memory, a description of the machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

_SHARED_CASE = Path(__file__).resolve().parents[2] / "shared" / "data" / "brats" / "BraTS-GLI-00001-000"

Times = Mapping[str, Sequence[float]]


def default_case() -> Path:
    """Return a real case where one lies beside the checkout, else the sample that comes with the package."""
    from napari_tumorseg.samples import sample_path

    return _SHARED_CASE if _SHARED_CASE.is_dir() else sample_path("brats")


def take_turns(
    tasks: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Return the seconds that each task took in each round.

    Tasks take turns, so that a slow minute of the machine hits all of them; the order turns round from
    round to round, so that none always has the warmer caches. `time.process_time` as the clock counts what
    this process alone took, of all cores together: on a machine with other work it says more.
    """
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(rounds):
        for name in list(tasks)[:: 1 if turn % 2 == 0 else -1]:
            start = clock()
            tasks[name]()
            taken[name].append(clock() - start)
    return taken


def ratio(times: Times, one: str, other: str) -> float:
    """Return the median of the rounds' ratios: what drifts from round to round cancels out."""
    return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))


def show(times: Times, against: str) -> None:
    """Print each task's median, smallest and largest time, and the median ratio to one of them."""
    width = max(map(len, times))
    for name, taken in times.items():
        print(
            f"  {name:<{width}}  {statistics.median(taken):8.3f} s  ({min(taken):.3f} to {max(taken):.3f})"
            f"  x {ratio(times, name, against):.2f}"
        )


class PeakMemory:
    """Rise of the resident memory of this process above its present value (Linux only)."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget earlier peaks
        self._before = _status("VmRSS")

    def megabytes(self) -> float:
        """Return the rise so far."""
        return (_status("VmHWM") - self._before) / 1e6


def in_child(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script in a process of its own and return the JSON on the last line that it prints."""
    done = subprocess.run(
        [sys.executable, script, *arguments], check=True, capture_output=True, text=True, encoding="utf-8"
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def about_machine(*packages: str) -> str:
    """Return cores, vector instructions and versions, in a line."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    return f"{os.cpu_count()} cores ({_vectors()}), Python {platform.python_version()}, {versions}"


def _vectors() -> str:
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return platform.machine()
    found = [name for name, flag in _VECTOR_FLAGS.items() if flag in flags]
    return found[-1] if found else platform.machine()


_VECTOR_FLAGS = {"AVX2": "avx2", "AVX-512": "avx512f", "AMX": "amx_tile"}


def _status(field: str) -> int:
    """Return a field of this process's status, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)
