"""Mutants opened in child processes with limits on time and memory."""

from __future__ import annotations

import os
import resource
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from napari_tumorseg.errors import TumorSegError
from tests.fuzz.kinds import KINDS, Kind

SECONDS = 20
MEMORY = 4 << 30


@dataclass
class Report:
    """Outcomes of the mutants of one kind.

    Attributes
    ----------
    outcomes : Counter
        Mutants by outcome: ``opened`` or the name of a typed error.
    failures : dict of int to str
        Mutants that did anything else, and what that was.
    slowest : float
        Longest time of a mutant, in s.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)
    slowest: float = 0.0

    def add(self, number: int, seconds: float, outcome: str) -> None:
        """Add the outcome of a mutant."""
        self.slowest = max(self.slowest, seconds)
        if outcome.startswith("FAILED "):
            self.failures[number] = outcome.removeprefix("FAILED ")
        else:
            self.outcomes[outcome] += 1


def mutant(kind: Kind, files: list[bytes], seed: int, number: int) -> tuple[int, bytes]:
    """Return which of the files is mutated, and its bytes; the same for the same seed and number."""
    rng = Random(f"{seed}-{number}")
    chosen = rng.randrange(len(files))
    return chosen, kind.mutate(files[chosen], rng)


def run(name: str, numbers: range, seed: int = 0, keep: Path | None = None) -> Report:
    """Open mutants of a kind; those that fail are kept in a folder, if one is named."""
    kind, report = KINDS[name], Report()
    with TemporaryDirectory() as folder:
        files = kind.make(Path(folder))
        contents = [path.read_bytes() for path in files]
        for path in files:
            kind.open(path)
        start = numbers.start
        while start < numbers.stop:
            for number, seconds, outcome in _child(kind, files, contents, seed, range(start, numbers.stop)):
                report.add(number, seconds, outcome)
                start = number + 1
                if keep is not None and number in report.failures:
                    chosen, content = mutant(kind, contents, seed, number)
                    (keep / f"{name}-{seed}-{number}-{files[chosen].name}").write_bytes(content)
    return report


def _child(
    kind: Kind, files: list[Path], contents: list[bytes], seed: int, numbers: range
) -> Iterator[tuple[int, float, str]]:
    """Yield the outcomes of mutants until one of them ends the process that opens them."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _work(kind, files, contents, seed, numbers, writing)
    os.close(writing)
    number, began = numbers.start, time.monotonic()
    with os.fdopen(reading) as lines:
        for line in lines:
            index, seconds, outcome = line.rstrip("\n").split("\t")
            number, began = int(index) + 1, time.monotonic()
            yield int(index), float(seconds), outcome
    _, status = os.waitpid(child, 0)
    if number < numbers.stop:
        yield number, time.monotonic() - began, f"FAILED ended by {_reason(status)}"


def _reason(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"exit {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    return f"more than {SECONDS} s" if number == signal.SIGALRM else signal.Signals(number).name


def _work(
    kind: Kind, files: list[Path], contents: list[bytes], seed: int, numbers: range, writing: int
) -> None:
    """Open mutants, a line of the outcome of each; never return."""
    code = 1
    try:
        warnings.simplefilter("ignore")
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever C code is running
        _limit_memory()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries in C print what they meet
        for number in numbers:
            chosen, content = mutant(kind, contents, seed, number)
            files[chosen].write_bytes(content)
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            began = time.monotonic()
            outcome = _outcome(kind, files[chosen])
            seconds = time.monotonic() - began
            signal.setitimer(signal.ITIMER_REAL, 0)
            files[chosen].write_bytes(contents[chosen])
            os.write(writing, f"{number}\t{seconds:.3f}\t{outcome}\n".encode())
        code = 0
    finally:
        os._exit(code)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _outcome(kind: Kind, path: Path) -> str:
    try:
        kind.open(path)
    except TumorSegError as error:
        text = str(error)
        return type(error).__name__ if text and "\n" not in text else "FAILED a message of several lines"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return "FAILED " + f"{type(error).__name__} at {where}: {error}".translate({9: " ", 10: " "})[:300]
    return "opened"
