"""Cost of a cohort a case, in CPU time, memory and files, for each way to run it, and of a shell loop.

    OMP_NUM_THREADS=1 python benchmarks/cohort.py --cases 200 --jobs 2 4 --dask 4 --loop 5

Cases are small NIfTI files (8 x 64 x 64) and the network has one filter, so that what surrounds it is seen.
CPU seconds are told beside the time, which other work on the machine changes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from measuring import about_machine
from napari_tumorseg.cohorts import CohortSettings, cohort, collect
from napari_tumorseg.cohorts.settings import Part
from napari_tumorseg.evaluation.case import Loaded
from napari_tumorseg.inference import segment
from napari_tumorseg.io import read, write_mask
from napari_tumorseg.measurement import find_midline, laterality, measure
from napari_tumorseg.models import get_model
from napari_tumorseg.report.thumbnail import thumbnail

sys.path.append(str(Path(__file__).resolve().parents[1]))
from tests.builders import card_of, save_model, threshold_net

SHAPE = (64, 64, 8)


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
    """Measure and print; each way has an output folder of its own, and the tables are compared."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--model", help="name or path; by default a network of one filter")
    parser.add_argument("--jobs", type=int, nargs="*", default=[2])
    parser.add_argument("--dask", type=int, nargs="*", default=[4], help="numbers of local workers")
    parser.add_argument("--parts", type=int, default=2)
    parser.add_argument("--loop", type=int, default=5, help="cases that the loop does")
    parser.add_argument(
        "--damaged", type=int, default=0, help="cases that cannot be read, to see the rest alone"
    )
    options = parser.parse_args()
    print(about_machine("nibabel", "distributed"), f"load {os.getloadavg()[0]:.0f}")
    with tempfile.TemporaryDirectory() as temporary:
        make_cases(Path(temporary, "data"), options.cases)
        bench = Bench(Path(temporary), options.model or _tiny_model(Path(temporary)))
        bench.one_process()
        for number in options.jobs:
            bench.way(f"{number} processes", jobs=number)
        for number in options.dask:
            bench.way(f"{number} workers of Dask", dask="local", jobs=number)
        if options.parts:
            _timed(f"{options.parts} parts", lambda: bench.parts(options.parts), options.cases)
        if options.damaged:
            _damaged(
                Path(temporary, "damaged"),
                bench.settings.model or "",
                options.damaged,
                options.jobs,
                options.dask,
            )
        if options.loop:
            _timed("loop over segment", lambda: bench.loop(options.loop), options.loop)


def _damaged(folder: Path, model: str, options: argparse.Namespace) -> None:
    """Measure what it costs to share out cases whose files are damaged: they take no time themselves."""
    for number in range(options.damaged):
        case = folder / "data" / f"case-{number:05d}"
        case.mkdir(parents=True)
        (case / f"{case.name}_flair.nii").write_bytes(b"damaged")
    bench = Bench(folder, model)
    bench.way("one", jobs=1)
    _timed("damaged again, nothing to do", lambda: bench.run("one"), options.damaged)
    for number in options.jobs:
        bench.way(f"{number} processes", jobs=number)
    for number in options.dask:
        bench.way(f"{number} workers of Dask", dask="local", jobs=number)


def _tiny_model(folder: Path) -> str:
    model = save_model(folder / "model", threshold_net([0], [150.0]), card_of())
    return str(model.weights.with_suffix(".toml"))


class Bench:
    """Ways to segment the same cases.

    Parameters
    ----------
    folder : Path
        Has the cases in ``data``, and gets the results.
    model : str
        Name or path of the model.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.folder, self.model = folder, model
        self.settings = CohortSettings(model, prepare=False)
        self.cases = sorted((folder / "data").iterdir())

    def one_process(self) -> None:
        """Measure the network alone, then the cohort around it, then a run with nothing to do."""
        count = len(self.cases)
        self.bare(self.cases[:1])  # libraries are in memory
        bare = _timed("the same without a cohort", lambda: self.bare(self.cases), count)
        whole = _timed("cohort, one process", lambda: self.run("one"), count)
        print(f"overhead: {1000 * (whole - bare) / count:.1f} ms of CPU a case")
        _timed("cohort again, nothing to do", lambda: self.run("one"), count)
        files = [p for p in (self.folder / "one").rglob("*") if p.is_file()]
        size = sum(p.stat().st_size for p in files) / count
        print(f"files: {len(files) / count:.1f} a case, {size / 1000:.1f} kB")

    def way(self, title: str, **way: Any) -> None:
        """Measure a way of running with the start of its processes, and the share of this process in it."""
        count, before, memory = len(self.cases), _cpu(resource.RUSAGE_SELF), _resident()
        _timed(f"{title}, with their start", lambda: self.run(title, **way), count)
        own = (_cpu(resource.RUSAGE_SELF) - before) / count
        print(
            f"  of these {1000 * own:.1f} ms in the process that shares out, {_resident() - memory:+.0f} MB"
        )
        self.compare(title)

    def parts(self, total: int) -> None:
        """Do all parts, and put them together."""
        for number in range(1, total + 1):
            self.run("parts", part=Part(number, total))
        collect(self.folder / "parts")
        self.compare("parts")

    def bare(self, cases: Sequence[Path]) -> None:
        """Read, segment, measure, find the sides, draw the slices and write the mask, without a cohort."""
        model = Loaded.of(get_model(self.model))
        for case in cases:
            scan = read(case)
            seg = segment(scan, model)
            measure(seg)
            laterality(seg, find_midline(scan))
            thumbnail(scan, seg)
            write_mask(seg, self.folder / "bare_seg.nii.gz", overwrite=True)

    def run(self, name: str, **way: Any) -> None:
        """Run a cohort and print the memory of this process on the way."""
        steps = cohort(self.folder / "data", self.folder / name, self.settings, **way)
        for number, _ in enumerate(steps, start=1):
            if number in (10, 50, 100, 200, 500, 1000):
                print(f"  after {number} cases: {_resident():.0f} MB", flush=True)

    def loop(self, count: int) -> None:
        """Start the command for one case after the other."""
        out = ["-o", self.folder / "loop", "-m", self.model, "-q", "--no-prepare", "--overwrite"]
        for case in self.cases[:count]:
            command = [sys.executable, "-m", "napari_tumorseg.cli", "segment", case, *out]
            subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)

    def compare(self, name: str) -> None:
        """Say whether a table is that of one process."""
        tables = [(self.folder / one / "cohort.csv").read_bytes() for one in ("one", name)]
        print("  the same table, byte for byte" if tables[0] == tables[1] else "  ANOTHER TABLE")


def _timed(title: str, task: Callable[[], None], cases: int) -> float:
    """Run a task, print what a case takes, and return the CPU seconds of this process and its children."""
    start, before = time.perf_counter(), _cpu(resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    task()
    seconds = time.perf_counter() - start
    used = _cpu(resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) - before
    rate = 60 * cases / seconds
    print(f"{title}: {1000 * used / cases:.0f} ms of CPU a case, {rate:.0f} cases a minute", flush=True)
    return used


def _cpu(*whose: int) -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, whose))


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
