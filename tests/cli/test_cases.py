"""The worklist on the command line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from napari_tumorseg.cli.app import app
from napari_tumorseg.cohorts.record import Record
from napari_tumorseg.cohorts.work import write_record
from tests.builders import head, write_case


@pytest.fixture
def folder(tmp_path):
    for name in "abc":
        write_case(tmp_path / "in", {"flair": head((2, 12, 12))}, name)
    (tmp_path / "out").mkdir()
    for name, value in {"a": 0.1, "b": 0.4}.items():
        (tmp_path / "out" / f"{name}_seg.nii.gz").write_bytes(b"mask")
        side = {
            "scheme": "binary",
            "disagreement": value,
            "intervals": {"WT": {"voxels": 100, "low": 80, "high": 130, "coverage": 0.9, "patients": 20}},
            "measurements": {"rows": [{"voxels": 100, "volume_ml": 2.0}]},
        }
        (tmp_path / "out" / f"{name}_seg.json").write_text(json.dumps(side))
    write_record(Record("c", "failed", reason="the model x needs FLAIR"), tmp_path / "out")
    return tmp_path


def listed(folder, *more):
    result = CliRunner().invoke(app, ["cases", str(folder / "in"), "-o", str(folder / "out"), *more])
    return result.exit_code, result.output


def test_cases_are_listed_in_the_order_that_is_asked_for(folder):
    code, told = listed(folder, "--order", "disagreement", "--json")
    found = json.loads(told)
    assert code == 0 and [one["case"] for one in found] == ["b", "a", "c"]
    assert found[0]["band"] == 0.5 and found[0]["state"] == "segmented" and found[0]["disagreement"] == 0.4
    assert found[2] == {
        "case": "c",
        "state": "new",
        "mask": None,
        "band": None,
        "disagreement": None,
        "flags": [],
        "failure": "the model x needs FLAIR",
    }
    code, told = listed(folder)
    assert code == 0 and told.index(" a ") < told.index(" b ") < told.index(" c ")
    code, told = listed(folder, "--order", "band")
    assert code == 0 and "1.60 to" in told and "2.60 mL" in told


def test_an_order_that_there_is_not_is_refused(folder):
    code, told = listed(folder, "--order", "size")
    assert code == 2 and "an order is name, band, disagreement, both" in " ".join(
        told.replace("│", " ").split()
    )
