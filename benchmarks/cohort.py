"""Cost of a cohort a case, in CPU time, memory and files, against a loop over ``tumorseg segment``.

    python benchmarks/cohort.py --cases 200 --loop 5 --jobs 2

Cases are small NIfTI files (8 x 64 x 64), so that the network takes little and what surrounds it is seen. CPU
seconds are told beside the time, which other work on the machine changes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from measuring import about_machine
from napari_tumorseg.cohorts import CohortSettings, cohort
from napari_tumorseg.inference import segment
from napari_tumorseg.io import read
from napari_tumorseg.measurement import measure

SHAPE = (64, 64, 8)
SETTINGS = CohortSettings(model="brats-regions", prepare=False)


def make_cases(folder: Path, count: int) -> None:
    """Write cases of FLAIR and T1c: noise in an ellipsoid, with a bright ball."""
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    brain = sum(axis**2 for axis in axes[:2]) < 0.8
    ball = sum((axis - 0.3) ** 2 for axis in axes) < 0.08
    for number in range(count):
        case = folder / f"case-{number:05d}"
        case.mkdir(parents=True)
        for name in ("flair", "t1c"):
            values = np.where(brain, rng.normal(100, 10, SHAPE), 0) + 80 * (ball & brain)
            image = nib.Nifti1Image(values.astype(np.int16), np.diag([-2.0, -2.0, 5.0, 1.0]))
            image.header.set_xyzt_units("mm")
            nib.save(image, case / f"{case.name}_{name}.nii.gz")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--loop", type=int, default=5, help="cases that the loop does")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    print(about_machine("nibabel"))
    with tempfile.TemporaryDirectory() as temporary:
        data, out = Path(temporary) / "data", Path(temporary) / "out"
        make_cases(data, options.cases)
        cases = sorted(data.iterdir())
        measure(segment(read(cases[0]), SETTINGS.model))  # weights and libraries are in memory
        bare = _timed("network and measures alone", lambda: _bare(cases), len(cases))
        whole = _timed("cohort, one process", lambda: _cohort(data, out), len(cases))
        print(f"overhead: {1000 * (whole - bare) / len(cases):.1f} ms of CPU a case")
        _timed("cohort again, nothing to do", lambda: _cohort(data, out), len(cases))
        size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / len(cases)
        print(f"files: {len(list(out.rglob('*'))) / len(cases):.1f} a case, {size / 1000:.1f} kB")
        jobs = ["cohort", data, "-o", out.with_name("jobs"), "-m", SETTINGS.model, "-q", "-j", options.jobs]
        _timed(f"{options.jobs} processes", lambda: _command(*jobs), len(cases))
        one = ["cohort", data, "-o", out.with_name("one"), "-m", SETTINGS.model, "-q"]
        _timed("one process, with its start", lambda: _command(*one), len(cases))
        _timed("loop over segment", lambda: _loop(cases[: options.loop], out.parent), options.loop)


def _bare(cases: list[Path]) -> None:
    from napari_tumorseg.evaluation.case import Loaded
    from napari_tumorseg.models import get_model

    model = Loaded.of(get_model("brats-regions"))
    for case in cases:
        measure(segment(read(case), model))


def _cohort(data: Path, out: Path) -> None:
    """Run a cohort and print the memory after a quarter and at the end."""
    for number, _ in enumerate(cohort(data, out, SETTINGS), start=1):
        if number in (50, 100, 200, 500, 1000):
            print(f"  after {number} cases: {_resident():.0f} MB")


def _loop(cases: list[Path], folder: Path) -> None:
    for case in cases:
        _command("segment", case, "-o", folder / "loop", "-m", SETTINGS.model, "-q", "--overwrite")


def _command(*arguments: object) -> None:
    command = [sys.executable, "-m", "napari_tumorseg.cli", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _timed(title: str, task: Callable[[], None], cases: int) -> float:
    """Run a task, print what a case takes, and return the CPU seconds of this process and its children."""
    start, before = time.perf_counter(), _cpu()
    task()
    seconds, used = time.perf_counter() - start, _cpu() - before
    rate = 60 * cases / seconds
    print(f"{title}: {1000 * used / cases:.0f} ms of CPU a case, {rate:.0f} cases a minute", flush=True)
    return used


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
