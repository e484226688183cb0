"""Generators whose return value is a result."""

from __future__ import annotations

from collections.abc import Generator

from napari_tumorseg.inference.steps import Steps, result_of


def work(closed: list[str]) -> Generator[int, None, str]:
    try:
        yield 1
        yield 2
    finally:
        closed.append("closed")
    return "done"


def test_a_loop_keeps_the_return_value() -> None:
    steps = Steps(work([]))
    assert list(steps) == [1, 2]
    assert steps.result == "done" == result_of(work([]))


def test_leaving_a_loop_closes_the_generator() -> None:
    closed: list[str] = []
    for _ in Steps(work(closed)):
        break
    assert closed == ["closed"]
