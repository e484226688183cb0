"""The table of a cohort, its dictionary and its manifest."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from napari_tumorseg.cohorts import CohortSettings, Record
from napari_tumorseg.cohorts.record import record_path
from napari_tumorseg.cohorts.table import COLUMNS, dictionary, rows, to_parquet, to_text
from napari_tumorseg.io.output_set import sha256
from tests.cohorts.conftest import run

WT = {
    "name": "WT",
    "kind": "region",
    "voxels": 8,
    "volume_ml": 0.0080000001,
    "components": 1,
    "longest_diameter_mm": 2.71828,
    "interval": {"coverage": 0.9, "low_ml": 0.006, "high_ml": 0.02, "wide": True},
}


def record(**changes: object) -> Record:
    facts: dict[str, object] = {
        "case": "P-1",
        "state": "done",
        "measurements": {"scheme": "binary", "rows": [{"name": "x", "kind": "label"}, WT]},
        "sides": {"WT": "left"},
        "flags": ("wide band",),
        "seconds": 3.0,
    }
    return Record(**(facts | changes))  # type: ignore[arg-type]


def test_row_of_a_region_has_size_band_side_and_flags() -> None:
    (found,) = csv.DictReader(io.StringIO(to_text([record()])))
    assert found["case"] == "P-1" and found["volume_ml"] == "0.008"
    assert (found["volume_low_ml"], found["volume_high_ml"], found["coverage"]) == ("0.006", "0.02", "0.9")
    assert (found["longest_diameter_mm"], found["side"], found["flags"]) == ("2.718", "left", "wide band")


def test_times_do_not_count_nor_does_the_order_of_records() -> None:
    one, other = record(), record(case="A", state="failed", measurements=None, reason="=gone", flags=())
    assert to_text([one, other]) == to_text([other, record(seconds=9.0, finished="later")])
    assert [row[0] for row in rows([one, other])] == ["A", "P-1"]
    assert "'=gone" in to_text([other])


def test_tabs_in_names_do_not_break_the_tsv() -> None:
    head, row = to_text([record(reason="a\tb")], "\t").splitlines()
    assert len(head.split("\t")) == len(row.split("\t")) == len(COLUMNS)


def test_every_column_is_described() -> None:
    content = json.loads(dictionary())
    assert list(content["columns"]) == [column.name for column in COLUMNS]
    assert all(text["description"].endswith(".") for text in content["columns"].values())


def test_parquet_has_the_same_cells_where_pyarrow_is_there() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the parquet extra is not installed")
    content = to_parquet([record()])
    assert content is not None
    found = parquet.read_table(io.BytesIO(content)).to_pydict()
    assert found["volume_ml"] == [0.008] and found["voxels"] == [8] and found["reason"] == [None]


def test_record_that_is_damaged_or_of_another_format_is_none(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(record().to_json())
    assert Record.read(path) == record()
    for text in ("", "[]", "{}", record().to_json().replace('"format": 1', '"format": 2'), '{"format": 1}'):
        path.write_text(text)
        assert Record.read(path) is None


def test_manifest_tells_versions_hashes_and_times(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    run(data, out, settings)
    content = json.loads((out / "cohort_manifest.json").read_text())
    assert (content["done"], content["failed"]) == (3, 1)
    about = content["cases"]["a"]
    assert about["inputs"] == [sha256(data / "a" / "a_flair.nii.gz")] and about["seconds"] > 0
    assert about["versions"]["torch"] and about["model"]["name"] == "tiny"
    assert str(tmp_path) not in (out / "cohort_manifest.json").read_text().replace(str(settings.model), "")
    assert str(tmp_path) not in record_path(out, "odd").read_text()
