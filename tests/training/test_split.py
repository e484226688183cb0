from __future__ import annotations

from pathlib import Path

import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.dataset import patient_of
from napari_tumorseg.training.recipe import load_recipe
from napari_tumorseg.training.recipe_tables import SplitSettings
from napari_tumorseg.training.split import DataSplit, absent, divide, read_groups

CASES = {f"TCGA_AA_{i:04d}_2000": [0, 1, 2] for i in range(20)}


def test_patients_stay_together_in_every_layout() -> None:
    mixed = {
        **CASES,
        "TCGA-AA-0003_brain_extracted": [0],
        "BraTS-GLI-00005-100": [0],
        "BraTS-GLI-00005-101": [0],
    }
    for seed in range(20):
        parts = divide(mixed, SplitSettings(seed=seed))
        where = {case: part for part in ("train", "validation", "test") for case in getattr(parts, part)}
        assert where.keys() == mixed.keys()
        assert where["TCGA_AA_0003_2000"] == where["TCGA-AA-0003_brain_extracted"]
        assert where["BraTS-GLI-00005-100"] == where["BraTS-GLI-00005-101"]


def test_fractions_and_seed() -> None:
    one, same, other = (divide(CASES, SplitSettings(fractions=(0.7, 0.15, 0.15), seed=s)) for s in (1, 1, 2))
    assert [len(p) for p in (one.train, one.validation, one.test)] == [14, 3, 3]
    assert one == same != other


def test_all_folds_keep_only_the_named_apart() -> None:
    kept = "TCGA_AA_0003_2000"
    parts = divide(CASES, SplitSettings(folds=4, fold="all", fractions=(1.0, 0.0, 0.0), test=(kept,)))
    assert parts.test == (kept,) and not parts.validation
    assert set(parts.train) == set(CASES) - {kept}


def test_folds_test_everyone_once() -> None:
    rule = SplitSettings(folds=4, fractions=(0.8, 0.2, 0.0))
    tested: list[str] = []
    for fold in range(4):
        parts = divide(CASES, rule.model_copy(update={"fold": fold}))
        assert len(parts.test) == 5 and len(parts.validation) == 3
        assert not set(parts.test) & set(parts.train + parts.validation)
        tested += parts.test
    assert sorted(tested) == sorted(CASES)


def test_fixed_sides() -> None:
    for seed in range(5):
        parts = divide(
            CASES, SplitSettings(test=("TCGA-AA-0007",), validation=("TCGA_AA_0008_2000",), seed=seed)
        )
        assert "TCGA_AA_0007_2000" in parts.test and "TCGA_AA_0008_2000" in parts.validation
    rule = SplitSettings(test=("TCGA-ZZ-0000", "TCGA-AA-0001"))
    assert absent(CASES, rule) == ["TCGA-ZZ-0000"]
    with pytest.raises(InputError, match="none is left for training"):
        divide(CASES, SplitSettings(fractions=(0.0, 0.5, 0.5)))


def test_by_slice_tears_patients_apart(tmp_path: Path) -> None:
    parts = divide(CASES, SplitSettings(by="slice", fractions=(0.64, 0.2, 0.16)))
    assert [len(p) for p in (parts.train, parts.validation, parts.test)] == [38, 12, 10]
    assert {n.partition("#")[0] for n in parts.train} & {n.partition("#")[0] for n in parts.test}
    name, _, index = parts.test[0].partition("#")
    assert parts.side_of(name, int(index)) == "test"
    (tmp_path / "split.json").write_text(parts.to_json())
    assert DataSplit.from_json(tmp_path / "split.json") == parts


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("TCGA_DU_7294_19890104", "TCGA-DU-7294"),
        ("TCGA-DU-7294/brain_extracted", "TCGA-DU-7294"),
        ("BRATS_009.nii.gz_1_x73_y11_z63", "BRATS_009"),
        ("brats_2013_pat0001_1", "brats_2013_pat0001_1"),
        ("sub-01_ses-02_flair", "sub-01"),
        ("PAT0/2019", "PAT0"),
    ],
)
def test_patient_of(name: str, patient: str) -> None:
    assert patient_of(name) == patient


def test_hassans_figures() -> None:
    """4,715 slices fall into 3,017, 943 and 755, as published."""
    parts = divide({"kaggle": range(4715)}, load_recipe("hassan2025").split)
    assert [len(p) for p in (parts.train, parts.validation, parts.test)] == [3017, 943, 755]


def test_a_patient_is_left_out_with_all_slices() -> None:
    parts = divide(CASES, SplitSettings(by="slice", test=("TCGA-AA-0007",), fractions=(0.8, 0.2, 0.0)))
    assert sorted(parts.test) == [f"TCGA_AA_0007_2000#{i}" for i in range(3)]


def test_groups_stay_together_and_take_the_place_of_patients() -> None:
    names = [f"slice_{n}" for n in range(60)]
    groups = {name: str(number // 3) for number, name in enumerate(names)}
    tested = []
    for fold in range(5):
        rule = SplitSettings(folds=5, fold=fold, fractions=(1.0, 0.0, 0.0))
        parts = divide({name: [0] for name in names}, rule, groups)
        assert len(parts.test) == 12
        assert not {groups[name] for name in parts.test} & {groups[name] for name in parts.train}
        tested += parts.test
    assert sorted(tested) == sorted(names)


def test_cases_without_a_group_are_their_own(tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("group,case\nx,a\nx,b\n", encoding="utf-8")
    groups = read_groups(table)
    assert groups == {"a": "x", "b": "x"}
    parts = divide({name: [0] for name in "abcdef"}, SplitSettings(fractions=(0.8, 0.0, 0.2)), groups)
    assert ("a" in parts.test) == ("b" in parts.test)
    assert len(parts.train + parts.test) == 6


@pytest.mark.parametrize("content", ["", "case,number\na,1\n", "\udcff"])
def test_a_table_of_groups_that_is_none(tmp_path: Path, content: str) -> None:
    table = tmp_path / "groups.csv"
    table.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError, match=r"groups\.csv"):
        read_groups(table)
