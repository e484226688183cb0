"""Errors of a cross-validation in a model's card."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.evaluation import evaluate
from napari_tumorseg.evaluation.calibration import VolumePair, calibrate, intervals_of, read_pairs
from napari_tumorseg.inference import segment
from napari_tumorseg.models import Model, ModelCard
from napari_tumorseg.report.evaluation_files import write_evaluation
from napari_tumorseg.scan import Role
from tests.builders import head, make_scan, write_case
from tests.evaluation.conftest import lesion

HEAD = "case,patient,trained_on,error,kind,region,voxels,reference_voxels,volume_error_ml,doubt\n"


def table(path: Path, *rows: str, head: str = HEAD) -> Path:
    path.write_text(head + "".join(f"{row}\n" for row in rows))
    return path


def test_an_evaluation_becomes_intervals(model: Model, data: Path, tmp_path: Path) -> None:
    """Four patients: found exactly, by half but of one size, twice as large, and where there is nothing."""
    twice = np.repeat(lesion(), 2, axis=0)[: len(lesion())]
    write_case(data, {"flair": head(), "seg": twice}, "d")
    write_evaluation(evaluate(model, data), tmp_path / "test")
    pairs = read_pairs([tmp_path / "test"])
    sizes = {pair.patient: (pair.predicted, pair.reference, pair.voxel_mm3) for pair in pairs}
    assert sizes["a"] == (144, 144, None)
    assert sizes["c"] == (144, 0, pytest.approx(1.0))
    assert {pair.doubt for pair in pairs} == {0.1}
    made = calibrate(model, [tmp_path / "test"], source="four patients")
    (found,) = made.card.intervals
    assert (found.region, found.score, found.source) == ("WT", "log-ratio-by-doubt", "four patients")
    assert found.sha256 == model.card.sha256
    wanted = [math.log((size + 100) / 244) / 0.1 for size in (144, 144, 0, int(twice.sum()))]
    assert found.residuals == pytest.approx(wanted, abs=1e-4)
    assert ModelCard.from_toml(model.weights.with_suffix(".toml")) == made.card
    assert made.card.model_copy(update={"intervals": ()}) == model.card
    seg = segment(make_scan({"flair": head()}), made)
    assert seg.provenance["intervals"]["WT"]["coverage"] == 0.8
    assert seg.provenance["intervals"]["WT"]["high"] == pytest.approx(244 * 2.44 - 100, rel=1e-3)


def test_the_voxel_size_shows_in_the_error(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", "a,a,no,,region,WT,300,100,0.1,")
    (pair,) = read_pairs([path])
    assert pair == VolumePair("a", "WT", 300, 100, 0.5, None, str(path))
    assert pair.residual(by_doubt=False) == pytest.approx(math.log(300 / 500))  # the floor is 200 voxels


def test_without_a_voxel_size_a_voxel_is_a_cubic_millimetre(tmp_path: Path) -> None:
    (pair,) = read_pairs([table(tmp_path / "t.csv", "a,a,no,,region,WT,300,100,,0.5")])
    assert pair.residual(by_doubt=False) == pytest.approx(math.log(200 / 400))
    assert pair.residual(by_doubt=True) == pytest.approx(math.log(200 / 400) / 0.5)


def test_tables_without_patients_are_read(tmp_path: Path) -> None:
    path = table(
        tmp_path / "t.csv", "TCGA_DU_7294_19890104,WT,5,6", head="case,region,voxels,reference_voxels\n"
    )
    assert read_pairs([path])[0].patient == "TCGA-DU-7294"


def test_labels_and_failures_are_passed_over(tmp_path: Path) -> None:
    rows = ("a,a,no,,label,ED,1,1,,", "b,b,no,memory ran out,,,,,,", "c,c,no,,region,WT,1,1,,")
    assert [pair.patient for pair in read_pairs([table(tmp_path / "t.csv", *rows)])] == ["c"]


def test_a_patient_counts_once_by_the_largest_error() -> None:
    pairs = [VolumePair("a", "WT", 1000, reference) for reference in (1100, 500, 1200)]
    (found,) = intervals_of([*pairs, VolumePair("b", "WT", 1000, 1000)])
    assert found.residuals == pytest.approx((math.log(600 / 1100), 0.0), abs=1e-4)
    assert found.score == "log-ratio"


def test_a_region_that_was_not_found_has_no_error() -> None:
    pairs = [VolumePair("a", "WT", 1000, 1000), VolumePair("a", "ET", 0, 500), VolumePair("b", "WT", 0, 9)]
    assert [(one.region, len(one.residuals)) for one in intervals_of(pairs)] == [("WT", 1)]
    with pytest.raises(InputError, match="no region that was found"):
        intervals_of(pairs[1:])


def test_a_doubt_that_some_rows_lack_is_not_used() -> None:
    pairs = [VolumePair("a", "WT", 10, 10, doubt=0.2), VolumePair("b", "WT", 10, 10)]
    assert intervals_of(pairs)[0].score == "log-ratio"
    with pytest.raises(InputError, match="do not state the model's doubt"):
        intervals_of(pairs, by_doubt=True)


def test_tables_for_other_modalities_are_kept(model: Model, tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", "a,a,no,,region,WT,300,100,0.1,")
    one = calibrate(model, [path])
    both = calibrate(one, [path, path], roles=[Role.FLAIR])
    assert [table.roles for table in both.card.intervals] == [(), (Role.FLAIR,)]
    again = calibrate(both, [path], source="again")
    assert [table.source for table in again.card.intervals] == ["", "again"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["a,a,yes,,region,WT,300,100,0.1,"], "a was trained on"),
        (["a,a,no,,region,WT,many,100,0.1,"], "the row of a holds no numbers"),
        ([], "not a table of an evaluation"),
    ],
)
def test_tables_that_prove_nothing_are_refused(
    model: Model, tmp_path: Path, rows: list[str], told: str
) -> None:
    before = model.weights.with_suffix(".toml").read_text()
    with pytest.raises(InputError, match=told):
        calibrate(model, [table(tmp_path / "t.csv", *rows)])
    assert model.weights.with_suffix(".toml").read_text() == before


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "t.csv", tmp_path / "not there.csv", tmp_path):
        with pytest.raises(InputError, match="cannot be read as the table of an evaluation"):
            read_pairs([path])
    with pytest.raises(InputError, match="it has no voxels and no reference_voxels"):
        read_pairs([table(tmp_path / "u.csv", "a,WT", head="case,region\n")])
