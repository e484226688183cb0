from __future__ import annotations

import os
import signal

import pytest

if os.name != "posix":
    pytest.skip("limits of processes as POSIX has them", allow_module_level=True)

from napari_tumorseg.errors import TumorSegError
from tests.fuzz import runner
from tests.fuzz.kinds import KINDS, Kind


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_gives_a_typed_error_or_a_sound_answer(name):
    report = runner.run(name, range(200 // len(KINDS) + 1), seed=1)
    assert report.failures == {}
    assert sum(report.outcomes.values()) == 200 // len(KINDS) + 1


def _endless(path):
    while True:
        pass


def _hungry(path):
    bytearray(8 << 30)


def _untyped(path):
    raise KeyError("x")


def _dead(path):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(_endless, "more than"), (_hungry, "MemoryError"), (_untyped, "KeyError"), (_dead, "SIGKILL")],
)
def test_the_fuzzer_finds_what_is_wrong(tmp_path, monkeypatch, behaviour, reason):
    def make(folder):
        (folder / "file").write_bytes(b"content")
        return [folder / "file"]

    def opened(path):
        if path.read_bytes() != b"content":
            behaviour(path)

    monkeypatch.setattr(runner, "SECONDS", 0.2)
    monkeypatch.setitem(KINDS, "broken", Kind(make, lambda content, rng: b"mutated", opened))
    report = runner.run("broken", range(2))
    assert all(reason in text for text in report.failures.values()) and len(report.failures) == 2


def test_typed_errors_are_no_failures(monkeypatch):
    def make(folder):
        (folder / "file").write_bytes(b"content")
        return [folder / "file"]

    def opened(path):
        if path.read_bytes() != b"content":
            raise TumorSegError("one sentence")

    monkeypatch.setitem(KINDS, "sound", Kind(make, lambda content, rng: b"mutated", opened))
    report = runner.run("sound", range(3))
    assert report.failures == {} and report.outcomes == {"TumorSegError": 3}
