"""Parts of cohorts put together: masks of a person, settings that changed, cases that were removed."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg.cohorts import CohortSettings, collect
from napari_tumorseg.errors import InputError
from napari_tumorseg.inference import Settings
from napari_tumorseg.io import read_mask, write_mask
from napari_tumorseg.session.worklist import State, Worklist
from tests.builders import write_case
from tests.cohorts.conftest import brain, new, run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Return a folder of two cases."""
    for name, lesion in (("a", 3), ("b", 2)):
        write_case(tmp_path / "study", {"flair": brain(lesion)}, name)
    return tmp_path / "study"


def correct(out: Path, *voxels: tuple[int, int, int]) -> None:
    """Add voxels to the mask of case a, as a person does."""
    seg = read_mask(out / "a_seg.nii.gz")
    labels = seg.labels.copy()
    for voxel in voxels:
        labels[voxel] = 1
    facts = {key: value for key, value in seg.provenance.items() if key != "edits"}
    corrected = replace(seg, labels=labels, provenance={**facts, "corrected_by_hand": True})
    write_mask(corrected, out / "a_seg.nii.gz", overwrite=True)


def voxels(out: Path) -> int:
    return int(np.asarray(nib.load(out / "a_seg.nii.gz").dataobj).sum())


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "cohort.csv").open() as lines:
        return {row["case"]: row for row in csv.DictReader(lines)}


def date(out: Path, finished: str) -> None:
    for path in (out / "cohort_records").glob("*.json"):
        text = path.read_text().splitlines()
        lines = [f' "finished": "{finished}",' if '"finished"' in line else line for line in text]
        path.write_text("\n".join(lines))


def test_mask_of_a_person_in_the_output_is_not_replaced_by_a_later_run(
    two: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out, part = tmp_path / "out", tmp_path / "part"
    run(two, out, settings)
    correct(out, (0, 0, 0))
    run(two, part, settings)
    date(part, "2099-01-01T00:00:00+00:00")
    before = (out / "a_seg.nii.gz").read_bytes()
    assert not collect(out, [part]).warnings
    assert (out / "a_seg.nii.gz").read_bytes() == before
    assert (rows(out)["a"]["voxels"], rows(out)["a"]["flags"]) == ("28", "corrected by hand")


def test_mask_of_a_person_in_a_part_goes_before_a_later_result(
    two: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out, part = tmp_path / "out", tmp_path / "part"
    run(two, out, settings)
    date(out, "2099-01-01T00:00:00+00:00")
    run(two, part, settings)
    correct(part, (0, 0, 0))
    Worklist.open(two, part).set("b", State.DONE)
    collect(out, [part])
    assert voxels(out) == 28 and rows(out)["a"]["voxels"] == "28"
    other = replace(settings, inference=Settings(threshold=0.4))
    assert new(run(two, out, other)) == []  # corrected, and approved


def test_different_masks_of_persons_are_named_in_a_sentence(
    two: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out, part, same = tmp_path / "out", tmp_path / "part", tmp_path / "same"
    run(two, out, settings)
    shutil.copytree(out, part)
    correct(out, (0, 0, 0))
    correct(part, (0, 0, 0), (0, 0, 1))
    shutil.copytree(out, same)
    (sentence,) = collect(out, [part, same]).warnings
    assert f"a was corrected in {out} and, differently, in {part};" in sentence
    assert voxels(out) == 28 and voxels(part) == 29


def test_mask_of_another_program_is_not_replaced(two: Path, tmp_path: Path, settings: CohortSettings) -> None:
    out, part = tmp_path / "out", tmp_path / "part"
    run(two, part, settings)
    out.mkdir()
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4)), out / "a_seg.nii.gz")
    collect(out, [part])
    assert voxels(out) == 27 and "not made by this program" in rows(out)["a"]["reason"]
    assert rows(out)["b"]["status"] == "done"


def test_kept_mask_of_earlier_settings_does_not_block(
    two: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    run(two, out, settings)
    correct(out, (0, 0, 0))
    assert new(run(two, out, replace(settings, inference=Settings(threshold=0.4)))) == ["b"]
    assert [record.case for record in collect(out).records] == ["a", "b"]
    assert rows(out)["a"]["voxels"] == "28"


def test_failure_under_earlier_settings_does_not_block(
    two: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    write_case(two, {"t1": brain()}, "odd")
    out, part = tmp_path / "out", tmp_path / "part"
    run(two, out, settings)
    other = replace(settings, inference=Settings(threshold=0.4))
    for name in ("a", "b"):
        run(two / name, part, other)
        (out / "cohort_records" / f"{name}.json").unlink()
    collect(out, [part])
    assert {name: row["status"] for name, row in rows(out).items()} == {
        "a": "done",
        "b": "done",
        "odd": "failed",
    }


def test_cases_that_were_removed_are_passed_over(two: Path, tmp_path: Path, settings: CohortSettings) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    run(two, out, settings)
    run(two, tmp_path / "part", settings)
    collect(whole, [tmp_path / "part"])
    shutil.rmtree(two / "b")
    for folder, parts in ((out, []), (whole, [tmp_path / "part"])):
        run(two, parts[0] if parts else folder, settings)
        for _ in range(2):
            assert collect(folder, parts).passed_over == ("b",)
            assert list(rows(folder)) == ["a"]
    assert (whole / "b_seg.nii.gz").exists()


def test_folders_of_different_data_are_collected_one_after_the_other(
    two: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    for name in ("a", "b"):
        run(two / name, tmp_path / f"part {name}", settings)
        assert not collect(tmp_path / "out", [tmp_path / f"part {name}"]).passed_over
    assert list(rows(tmp_path / "out")) == ["a", "b"]


def test_sides_of_a_corrected_mask_are_left_out_with_a_reason(
    two: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    run(two, out, settings)
    path = out / "cohort_records" / "a.json"
    path.write_text(path.read_text().replace('"sides": {}', '"sides": {"WT": "left"}'))
    correct(out, (0, 0, 0))
    record = next(one for one in collect(out).records if one.case == "a")
    assert not record.sides and [text for text in record.warnings if text.startswith("sides are empty")]
    assert record == next(one for one in collect(out).records if one.case == "a")


def test_precision_is_in_the_table_and_different_ones_are_named(
    two: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    run(two, out, settings)
    assert {row["precision"] for row in rows(out).values()} == {"float32"}
    path = out / "cohort_records" / "a.json"
    path.write_text(path.read_text().replace('"float32"', '"bfloat16"'))
    (sentence,) = collect(out).warnings
    assert "1 in bfloat16 and 1 in float32" in sentence
    assert [row["precision"] for row in rows(out).values()] == ["bfloat16", "float32"]


def test_bids_data_set_is_not_collected(two: Path, tmp_path: Path, settings: CohortSettings) -> None:
    out = tmp_path / "out"
    run(two, out, replace(settings, bids=True))
    before = sorted(p.name for p in out.rglob("*"))
    for folder, parts in ((out, []), (tmp_path / "other", [out])):
        with pytest.raises(InputError, match="group level of tumorseg-bids"):
            collect(folder, parts)
    assert sorted(p.name for p in out.rglob("*")) == before
