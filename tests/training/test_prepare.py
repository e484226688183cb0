"""Messages about the split before a training starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from napari_tumorseg.cli.wording import worded
from napari_tumorseg.errors import InputError, Notice, Remedy
from napari_tumorseg.training.prepare import divided
from napari_tumorseg.training.split import DataSplit
from tests.training.conftest import tiny


def case(name: str) -> Any:
    return SimpleNamespace(name=name, slices=[0, 1], tissue=[True, True], tumour=[True, False])


CASES = [case(f"TCGA_AA_{i:04d}_2000") for i in range(10)]
NONE = {"fractions": [1.0, 0.0, 0.0]}


def split_of(
    rule: dict[str, Any], cases: list[Any] = CASES, leave_out: tuple[str, ...] = ()
) -> tuple[DataSplit, list[str]]:
    messages: list[str] = []
    recipe = tiny(split=rule)
    recipe = recipe.leaving_out(leave_out) if leave_out else recipe
    return divided(cases, recipe, leave_out, messages.append), messages


def test_nothing_is_said_of_a_split_with_validation() -> None:
    data_split, messages = split_of({"fractions": [0.8, 0.2, 0.0]})
    assert len(data_split.validation) == 2 and not messages


def test_a_training_that_nobody_validates_is_offered_a_split() -> None:
    data_split, (message,) = split_of(NONE)
    assert not data_split.validation
    assert "no patient is kept for validation" in message and "of 10 patients" in message
    suggested = [name for name in (f"TCGA-AA-{i:04d}" for i in range(10)) if name in message]
    assert len(suggested) == 2
    assert isinstance(message, Notice) and message.remedy is Remedy.CHANGE_SPLIT
    assert "--set" not in message and "--set" in worded(message)
    taken, messages = split_of({"fractions": [1.0, 0.0, 0.0], "validation": suggested})
    assert len(taken.validation) == 2 and not messages


def test_one_patient_cannot_be_split() -> None:
    _, (message,) = split_of(NONE, CASES[:1])
    assert "TCGA-AA-0000 is the only patient" in message


def test_names_of_another_data_set_are_not_reported() -> None:
    named = {"test": ["TCGA-ZZ-0001", "TCGA-ZZ-0002"], "fractions": [0.8, 0.2, 0.0]}
    assert split_of(named)[1] == []
    assert split_of(named, leave_out=("TCGA-AA-0003",))[1] == []


def test_a_gap_in_the_data_is_reported_once() -> None:
    named = {"test": ["TCGA-AA-0001", "TCGA-ZZ-0001", "TCGA-ZZ-0002"], "fractions": [0.8, 0.2, 0.0]}
    data_split, messages = split_of(named)
    assert data_split.test == ("TCGA_AA_0001_2000",)
    assert messages == [
        "the data lack 2 of 3 patients that the recipe names for testing: TCGA-ZZ-0001, TCGA-ZZ-0002"
    ]


def test_a_wrong_name_of_the_user_is_an_error() -> None:
    with pytest.raises(InputError, match="no case TCGA-ZZ-0001 to leave out"):
        split_of(NONE, leave_out=("TCGA-ZZ-0001",))
