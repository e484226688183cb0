"""Run of the fuzzer on demand: ``python -m tests.fuzz --kind hdf5 --count 10000``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from tests.fuzz.kinds import KINDS
from tests.fuzz.runner import Report, run


def main() -> int:
    """Open mutants of the kinds that were asked for and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", action="append", choices=KINDS, help="may be repeated; default: all")
    parser.add_argument("--count", type=int, default=1000, help="mutants of each kind")
    parser.add_argument("--start", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the mutants that fail")
    chosen = parser.parse_args()
    if chosen.keep:
        chosen.keep.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in chosen.kind or KINDS:
        began = time.monotonic()
        report = run(name, range(chosen.start, chosen.start + chosen.count), chosen.seed, chosen.keep)
        show(name, report, time.monotonic() - began)
        failed += len(report.failures)
    return 1 if failed else 0


def show(name: str, report: Report, seconds: float) -> None:
    """Print the outcomes of a kind, its first failures one a line."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.outcomes.most_common())
    failures = len(report.failures)
    print(
        f"{name}: {counts}; {failures} failed; slowest {report.slowest:.2f} s; {seconds:.0f} s in all",
        flush=True,
    )
    for number, reason in list(report.failures.items())[:20]:
        print(f"  mutant {number}: {reason}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
