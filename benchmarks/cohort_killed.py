"""Cohort that is killed again and again, against an undisturbed one: the same tables and masks.

    python benchmarks/cohort_killed.py DATA OUT --kills 20

Each kill (SIGKILL) comes at a random time after a run has finished its first case. The undisturbed run goes
on beside. Cases are not prepared: that takes longer than all the rest.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import time
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import napari_tumorseg.cohorts.unit  # noqa: F401
from measuring import about_machine
from napari_tumorseg.cohorts import CohortSettings, cohort


def main() -> None:
    """Kill, run to the end, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="folder that does not exist yet")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--most", type=float, default=20.0, help="longest time until a kill, in seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="brats-regions")
    options = parser.parse_args()
    print(about_machine("nibabel"))
    whole = _start(options, "whole")
    killed, rng = options.out / "killed", random.Random(options.seed)
    for number in range(1, options.kills + 1):
        seconds = rng.uniform(0, options.most)
        print(f"kill {number} after {seconds:.1f} s: {_kill(options, killed, seconds)}", flush=True)
    last = _start(options, killed.name)
    last.join()
    whole.join()
    print(f"exit codes: {last.exitcode} at the end, {whole.exitcode} undisturbed")
    for name in ("cohort.csv", "cohort.tsv", "*_seg.nii.gz", "cohort_quality.html"):
        same = _digests(options.out / "whole", name) == _digests(killed, name)
        print(f"{name}: {'the same bytes' if same else 'DIFFERENT'}")
    left = {_below(options.out / "whole")} ^ {_below(killed)}
    print("the same files" if not left else f"DIFFERENT files: {left}")


def _start(options: argparse.Namespace, name: str) -> ForkProcess:
    """Start a run in a process that has all libraries already."""
    process = get_context("fork").Process(target=_run, args=(options.data, options.out / name, options.model))
    process.start()
    return process


def _run(data: Path, out: Path, model: str) -> None:
    for _ in cohort(data, out, CohortSettings(model, prepare=False)):
        pass


def _kill(options: argparse.Namespace, out: Path, seconds: float) -> str:
    before = _count(out)
    process = _start(options, out.name)
    while _count(out) == before and process.is_alive():
        time.sleep(0.05)
    time.sleep(seconds)
    process.kill()
    process.join()
    state = "killed" if process.exitcode == -signal.SIGKILL else "it had ended"
    return f"{state}; {before} cases before, {_count(out)} after"


def _count(out: Path) -> int:
    return len(list((out / "cohort_records").glob("*.json")))


def _digests(folder: Path, pattern: str) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob(pattern)}


def _below(folder: Path) -> frozenset[str]:
    return frozenset(str(p.relative_to(folder)) for p in folder.rglob("*"))


if __name__ == "__main__":
    main()
