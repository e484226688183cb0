"""One precision for a whole plan, also where each worker would choose for itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from napari_tumorseg.cohorts import CohortSettings, plan, run_plan
from napari_tumorseg.cohorts import run as cohort_run
from napari_tumorseg.cohorts.planning import CohortPlan, Task
from napari_tumorseg.cohorts.precision import is_open
from napari_tumorseg.cohorts.record import Record
from napari_tumorseg.cohorts.work import write_record
from napari_tumorseg.inference import Settings
from napari_tumorseg.models import get_model


@pytest.fixture
def chosen(settings: CohortSettings, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[str, str]]]:
    """Return the cases of each call of the processes, with the precision that each was to run in.

    They stand for machines that would choose bfloat16 the first time and float32 from then on.
    """
    calls: list[list[tuple[str, str]]] = []
    monkeypatch.setattr("napari_tumorseg.cohorts.precision.is_open", lambda _: True)
    monkeypatch.setattr(cohort_run, "is_open", lambda _: True)

    def work(planned: CohortPlan, todo: Sequence[Task], *_: Any) -> Iterator[Record]:
        wanted = planned.inference.precision
        calls.append([(task.name, wanted) for task in todo])
        used = wanted if wanted != "auto" else "float32" if calls[1:] else "bfloat16"
        for task in todo:
            state = "failed" if task.name == "a" else "done"
            record = Record(task.name, state, planned.digest, precision="" if task.name == "a" else used)  # type: ignore[arg-type]
            yield write_record(record, planned.output)

    monkeypatch.setattr(cohort_run, "run_in_processes", work)
    return calls


def test_first_case_chooses_for_all(
    data: Path, tmp_path: Path, settings: CohortSettings, chosen: list[list[tuple[str, str]]]
) -> None:
    planned = plan(data, tmp_path / "out", settings)
    list(run_plan(planned, jobs=2))
    rest = [("c", "float32"), ("odd", "float32")]
    assert chosen == [[("a", "auto")], [("b", "auto")], rest]
    assert plan(data, tmp_path / "out", settings).digest == planned.digest


def test_later_run_keeps_to_the_precision_of_the_first(
    data: Path, tmp_path: Path, settings: CohortSettings, chosen: list[list[tuple[str, str]]]
) -> None:
    planned = plan(data, tmp_path / "out", settings)
    begun = Record("b", "done", planned.digest, precision="bfloat16")
    tasks = tuple(replace(t, record=begun) if t.name == "b" else t for t in planned.tasks)
    list(run_plan(replace(planned, tasks=tasks), jobs=2))
    assert [precision for call in chosen for _, precision in call] == ["bfloat16"] * 4


def test_precision_that_is_asked_for_or_that_a_card_leaves_no_choice_about_is_not_open(
    settings: CohortSettings, tmp_path: Path
) -> None:
    assert not is_open(settings) and not get_model(str(settings.model)).card.agreement
    for name in ("float32", "bfloat16"):
        assert not is_open(replace(settings, inference=Settings(precision=name)))
    assert is_open(replace(settings, inference=Settings(precision="int8")))  # calibrated at the first run
