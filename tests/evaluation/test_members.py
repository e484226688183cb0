"""Evaluation of an ensemble: members that have and have not seen a case."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from napari_tumorseg.evaluation import EvaluationSettings, SavedSplit, evaluate, plan
from napari_tumorseg.evaluation.scores import Members
from napari_tumorseg.models import Model
from napari_tumorseg.models.merge import merge_models
from napari_tumorseg.report.evaluation_tables import cases_csv, meanings
from tests.builders import card_of, save_model, threshold_net

UNSEEN = EvaluationSettings(unseen_members=True)


@pytest.fixture
def ensemble(tmp_path: Path) -> Model:
    """One member finds every lesion and has seen a, the other finds none and has seen b."""
    parts = (("finds", 300.0, ["a"]), ("misses", 500.0, ["b"]))
    models = [
        save_model(tmp_path / name, threshold_net([0], [limit]), card_of(about={"trained_on": cases}))
        for name, limit, cases in parts
    ]
    return merge_models(models, tmp_path / "both")


def told(rows: str) -> list[tuple[str, ...]]:
    """Return case, trained on, members, members trained on and Dice of each row."""
    columns = ("case", "trained_on", "members", "members_trained_on", "dice_3d")
    return [tuple(row[column] for column in columns) for row in csv.DictReader(io.StringIO(rows))]


@pytest.mark.parametrize("at_network_size", [False, True])
def test_each_case_is_run_by_the_members_that_have_not_seen_it(
    ensemble: Model, data: Path, at_network_size: bool
) -> None:
    settings = EvaluationSettings(unseen_members=True, at_network_size=at_network_size)
    found = evaluate(ensemble, data, settings)
    assert told(cases_csv(found)) == [
        ("a", "no", "1", "0", "0.0"),  # by the one that finds none
        ("b", "no", "1", "0", "0.5"),
        ("c", "no", "2", "0", "1.0"),  # the mean of both is just below one half
    ]
    assert found.trained_on == ()
    # the same members give the figures of single slices: of a three have tumour, and are missed
    assert found.cases[0].slice_mean(found.cases[0].rows[0], "tumour", "dice") == 0
    assert found.cases[1].slice_mean(found.cases[1].rows[0], "tumour", "dice") == 0.5
    assert "members" in meanings(found)


def test_without_the_option_all_members_run(ensemble: Model, data: Path) -> None:
    found = evaluate(ensemble, data)
    assert [row[:4] for row in told(cases_csv(found))] == [
        ("a", "yes", "2", "1"),
        ("b", "yes", "2", "1"),
        ("c", "no", "2", "0"),
    ]
    assert found.trained_on == ("a", "b")
    assert "members" not in meanings(found)


def test_a_case_that_every_member_has_seen_proves_nothing(ensemble: Model, data: Path) -> None:
    planned = plan(ensemble, data, UNSEEN, split=SavedSplit(train=("a",), test=("a", "b", "c")))
    assert [case.name for case in planned.trained_on] == ["a"]
    first = next(step.result for step in planned.run() if step.result is not None)
    assert first.trained_on and first.members == Members((0, 1), 2)  # type: ignore[union-attr]


def test_a_model_of_one_set_is_its_only_member(model: Model, data: Path) -> None:
    found = evaluate(model, data, UNSEEN)
    assert [row[1:4] for row in told(cases_csv(found))] == [("no", "1", "0")] * 3
    assert found.model["members"] == 1


def test_members_of_a_patient() -> None:
    seen = (frozenset({"a", "b"}), frozenset({"b"}), frozenset[str]())
    assert Members.of("a", seen, unseen_only=True) == Members((1, 2), 0)
    assert Members.of("b", seen, unseen_only=True) == Members((2,), 0)
    assert Members.of("b", seen, unseen_only=False) == Members((0, 1, 2), 2)
    assert Members.of("b", seen[:2], unseen_only=True) == Members((0, 1), 2)
