"""Splits, and who counts as trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.evaluation.select import SavedSplit, read_split, seen, select
from napari_tumorseg.io.dataset import CaseRef, DataSet
from tests.builders import card_of

DATA = DataSet(tuple(CaseRef(Path("d"), name) for name in ("TCGA_DU_7294_19890104", "b", "c")))


def names(data: DataSet) -> list[str]:
    return [case.name for case in data.cases]


def test_a_split_is_read(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": ["a"], "test": ["b"], "seed": 3}))
    assert read_split(path) == SavedSplit(("a",), (), ("b",))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"test": "a"}', '{"test": [1]}', "[" * 100_000])
def test_what_is_no_split(tmp_path: Path, text: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"split\.json"):
        read_split(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_split(tmp_path / "none.json")


def test_parts_by_name_and_by_patient() -> None:
    assert names(select(DATA, (), ["c", "x"], None)) == ["c"]
    assert names(select(DATA, (), ["TCGA-DU-7294"], None)) == ["TCGA_DU_7294_19890104"]
    with pytest.raises(InputError, match=r"of the cases of that part of the split \(1\) none is in the data"):
        select(DATA, (), ["x"], None)
    with pytest.raises(InputError, match="no case to evaluate"):
        select(DataSet(()), (), None, None)
    with pytest.raises(InputError, match="has the parts"):
        SavedSplit().part("all")
    with pytest.raises(InputError, match=r"no case for validation \(train: 1, validation: 0, test: 1\)"):
        SavedSplit(train=("a",), test=("b",)).part("validation")


def test_who_was_seen() -> None:
    card = card_of(about={"trained_on": ["TCGA_DU_7294_19890104"]})
    assert seen(card) == {"TCGA-DU-7294"}
    assert seen(card, SavedSplit(train=("b",))) == {"TCGA-DU-7294", "b"}


def test_a_split_of_slices() -> None:
    split = SavedSplit(train=("b#1", "TCGA_DU_7294_19890104#3"), test=("b#2", "b#4", "c", "c#1", "d#x"))
    assert split.slices("test") == {"b": {2, 4}}
    assert names(select(DATA, (), split.test, None)) == ["b", "c"]
    assert seen(card_of(), split) == {"b", "TCGA-DU-7294"}
