from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement import METRICS, agreement, measure, rano
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.report import agreement_table, diameters_table, summary, to_csv, to_json, to_rich
from napari_tumorseg.scan import Segmentation


def found(convention="brats-2015", spacing=(1.0, 1.0, 1.0), name="case 1", fill=None):
    labels = np.zeros((6, 40, 50), np.uint8)
    for value, where in (fill or {2: slice(5, 35), 4: slice(10, 15)}).items():
        labels[1:5, 5:35, where] = value
    return measure(
        Segmentation(labels, Grid.from_codes(labels.shape, "SPL", spacing), CONVENTIONS[convention], name)
    )


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def shown(table):
    console = Console(width=140, file=io.StringIO(), force_terminal=False)
    console.print(table)
    return console.file.getvalue()


def test_csv_by_hand():
    table = rows(to_csv(found()))
    assert [r["name"] for r in table] == ["NCR", "ED", "NET", "WT", "TC", "ET"]
    whole = table[3]
    assert whole["case"] == "case 1"
    assert whole["scheme"] == "brats-2015"
    assert (whole["kind"], whole["title"], whole["labels"]) == ("region", "whole tumour", "1 2 3 4")
    assert (whole["voxels"], whole["volume_ml"], whole["components"]) == ("3600", "3.6", "1")
    assert (whole["first_slice"], whole["last_slice"]) == ("1", "4")
    assert float(whole["longest_diameter_mm"]) == pytest.approx(np.sqrt(30**2 + 29**2 + 3**2), abs=1e-3)
    assert float(whole["centroid_r_mm"]) == -19.5
    assert float(whole["min_s_mm"]) == 0.5
    assert float(whole["max_r_mm"]) == -4.5


def with_intervals(spacing=(1.0, 1.0, 1.0), high=9000.0):
    """As `found`, whose WT has 3,600 voxels, with intervals of WT and ET (of 600)."""
    labels = np.zeros((6, 40, 50), np.uint8)
    labels[1:5, 5:35, 5:35] = 2
    labels[1:5, 5:35, 10:15] = 4
    ends = {"WT": (3600, 3000.0, 4200.0, 0.9), "ET": (600, 300.0, high, 8 / 9)}
    known = {
        name: {"voxels": voxels, "low": low, "high": top, "coverage": coverage, "patients": 11}
        for name, (voxels, low, top, coverage) in ends.items()
    }
    grid = Grid.from_codes(labels.shape, "SPL", spacing)
    return measure(
        Segmentation(labels, grid, CONVENTIONS["brats-2015"], "case 1", provenance={"intervals": known})
    )


def test_csv_of_intervals():
    table = {row["name"]: row for row in rows(to_csv(with_intervals()))}
    columns = ("coverage", "low_ml", "high_ml", "low_voxels", "high_voxels", "patients", "wide")
    cells = {name: tuple(row[f"interval_{c}"] for c in columns) for name, row in table.items()}
    assert cells["WT"] == ("0.9", "3.0", "4.2", "3000", "4200", "11", "no")
    assert cells["ET"] == ("0.889", "0.3", "9.0", "300", "9000", "11", "yes")
    assert cells["TC"] == cells["ED"] == ("",) * 7
    unknown = {row["name"]: row for row in rows(to_csv(with_intervals(None)))}["WT"]
    assert (unknown["interval_low_ml"], unknown["interval_low_voxels"]) == ("", "3000")


def test_the_table_and_the_sentence_have_intervals():
    m = with_intervals()
    text = shown(to_rich(m))
    assert "interval (mL)" in text and "90\N{NO-BREAK SPACE}%: 3.00 to 4.20" in text
    assert "88\N{NO-BREAK SPACE}%: 0.300 to 9.00" in text  # 8 / 9: never rounded up
    assert "Wide interval of ET: check this case." in text
    assert summary(m).startswith("tumour found: WT 3.60 mL (90\N{NO-BREAK SPACE}%: 3.00 to 4.20; longest")
    assert "wide" not in shown(to_rich(with_intervals(high=700.0))).lower()
    assert "90\N{NO-BREAK SPACE}%: 3000 to 4200" in shown(to_rich(with_intervals(None)))


def test_without_intervals_no_table_mentions_them():
    assert "interval" not in shown(to_rich(found())).lower() and "%" not in summary(found())


def test_json_has_intervals():
    content = json.loads(to_json(with_intervals()))
    by_name = {row["name"]: row["interval"] for row in content["rows"]}
    assert by_name["ET"]["wide"] is True and by_name["WT"]["low_ml"] == pytest.approx(3.0)
    assert by_name["TC"] is None


def test_csv_negative_numbers_stay_numbers():
    text = to_csv(found())
    assert "'" not in text
    assert all(float(r["centroid_a_mm"]) < 0 for r in rows(text) if r["centroid_a_mm"])


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =cmd|' /C calc'!A0", "\n=1"]
)
def test_csv_runs_no_formula(name):
    table = rows(to_csv(found(name=name)))
    assert len(table) == 6
    assert {r["case"] for r in table} == {"'" + name.replace("\r", " ").replace("\n", " ")}


def test_csv_leaves_harmless_text_alone():
    assert rows(to_csv(found(name='Žluťoučký, "1"')))[0]["case"] == 'Žluťoučký, "1"'


def test_csv_of_several_cases_is_one_table():
    table = rows(to_csv(found(name="a"), found(name="b", convention="binary", fill={1: slice(5, 9)})))
    assert [r["case"] for r in table] == ["a"] * 6 + ["b"]


def test_csv_unknown_units_are_empty_cells():
    table = rows(to_csv(found(spacing=None)))
    assert table[3]["voxels"] == "3600"
    assert all(
        r[c] == "" for r in table for c in ("volume_ml", "longest_diameter_mm", "min_r_mm", "centroid_s_mm")
    )
    assert table[0]["first_slice"] == ""


def test_json_survives_odd_provenance():
    provenance = {
        "model": {"sha256": "ab", "threshold": np.float32(0.5)},
        "inputs": [Path("a") / "b.nii.gz"],
        "loss": float("nan"),
        "array": np.array([1.0, np.inf]),
        "when": datetime(2024, 5, 6),
        "flags": (True, None, np.int64(3), np.bool_(False)),
        7: {"x"},
    }
    plain = json.loads(to_json(found(), provenance), parse_constant=pytest.fail)
    assert plain["format"] == 1
    assert plain["rows"][3]["volume_ml"] == pytest.approx(3.6)
    assert plain["provenance"]["loss"] is None
    assert plain["provenance"]["array"] == [1.0, None]
    assert plain["provenance"]["inputs"] == ["a/b.nii.gz"]
    assert plain["provenance"]["flags"] == [True, None, 3, False]
    assert plain["provenance"]["7"] == ["x"]
    assert plain["provenance"]["when"].startswith("2024-05-06")
    assert "not for diagnosis" in plain["notice"]


def test_json_of_unknown_units_has_nulls():
    plain = json.loads(to_json(found(spacing=None)))
    assert plain["voxel_volume_mm3"] is None
    assert plain["rows"][3]["volume_ml"] is None


def test_rich_table():
    text = shown(to_rich(found()))
    (line,) = [line for line in text.splitlines() if "whole tumour" in line]
    cells = [cell.strip() for cell in line.strip("│ ").split("│")]
    assert cells == ["WT (whole tumour)", "3.60", "3600", "1", "1-4", "41.8"]
    assert "BraTS 2012-2016" in text
    assert "Research use only" in text


def test_rich_table_of_unknown_units_has_dashes():
    text = shown(to_rich(found(spacing=None)))
    (line,) = [line for line in text.splitlines() if "whole tumour" in line]
    cells = [cell.strip() for cell in line.strip("│ ").split("│")]
    assert cells == ["WT (whole tumour)", "—", "3600", "1", "1-4", "—"]
    assert "voxel size unknown" in text


def test_rich_takes_no_markup_from_names():
    assert "[red]x[/nonsense]" in shown(to_rich(found(name="[red]x[/nonsense]")))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("P-1", "agreement of P-1 with its reference"), ("R", "agreement of P-1 with the reference R")],
)
def test_agreement_names_a_reference_that_has_a_name_of_its_own(name, expected):
    labels = np.zeros((4, 8, 8), np.uint8)
    labels[1:3, 2:5, 2:5] = 1
    seg = Segmentation(labels, Grid.from_codes(labels.shape), CONVENTIONS["binary"], "P-1")
    title = agreement_table(agreement(seg, replace(seg, name=name))).title
    assert str(title) == expected


def test_summary():
    assert summary(found()) == (
        "tumour found: WT 3.60 mL (longest diameter 41.8 mm), TC 0.600 mL, ET 0.600 mL"
    )
    assert summary(found(spacing=(5, 2, 2))).startswith("tumour found: WT 72.0 mL (")
    assert summary(found(fill={2: slice(5, 9), 1: slice(20, 24)})) == (
        "tumour found: WT 0.960 mL (longest diameter 30.3 mm, 2 components), TC 0.480 mL"
    )


def test_summary_of_unknown_units_and_of_nothing():
    assert summary(found(spacing=None)) == (
        "tumour found: WT 3600 voxels, TC 600 voxels, ET 600 voxels; the voxel size is unknown"
    )
    nothing = found(fill={0: slice(0)})
    assert summary(nothing) == "no tumour found"
    assert summary(replace(nothing, unit="unknown")) == "no tumour found"


def test_summary_names_a_resection_cavity():
    cavity = {4: slice(5, 15)}
    assert summary(found("brats-2024", fill=cavity)) == "no tumour found; resection cavity 1.20 mL"
    both = summary(found("brats-2024", fill=cavity | {2: slice(20, 25)}))
    assert both.endswith("; resection cavity 1.20 mL")


def test_a_volume_is_never_rounded_to_nothing():
    tiny = found("binary", (0.1, 0.1, 0.1), fill={1: slice(5, 6)})
    assert "WT <0.001 mL" in summary(tiny)


def ring():
    labels = np.zeros((3, 40, 50), np.uint8)
    labels[1, 10:30, 10:40] = 3
    labels[1, 13:27, 13:37] = 1
    grid = Grid.from_codes(labels.shape, "SPL", (1.0, 1.0, 1.0))
    return Segmentation(labels, grid, CONVENTIONS["brats-2023"], "case 1")


def test_csv_states_diameters_and_their_outline_in_the_row_of_the_region():
    seg = ring()
    found = rano(seg, outline="with-necrosis")
    table = {row["name"]: row for row in rows(to_csv(measure(seg), diameters=[found]))}
    lesion = found.lesions[0]
    enhancing = table["ET"]
    assert enhancing["rano_outline"] == "with-necrosis"
    assert float(enhancing["rano_longest_mm"]) == pytest.approx(np.hypot(20, 30), abs=1e-3)
    assert float(enhancing["rano_perpendicular_mm"]) == pytest.approx(
        lesion.perpendicular.length_mm, abs=1e-3
    )
    assert float(enhancing["rano_sum_of_products_mm2"]) == pytest.approx(lesion.product_mm2, abs=1e-3)
    assert enhancing["rano_slice"] == "1"
    assert all(table["WT"][column] == "" for column in table["WT"] if column.startswith("rano_"))


def test_csv_has_the_same_columns_whether_diameters_were_measured_or_not():
    seg = ring()
    without, measured = rows(to_csv(measure(seg))), rows(to_csv(measure(seg), diameters=[rano(seg)]))
    assert list(without[0]) == list(measured[0])
    assert all(row[column] == "" for row in without for column in row if column.startswith("rano_"))
    assert any(row["rano_longest_mm"] for row in measured)


def test_json_states_diameters_and_their_outline():
    seg = ring()
    content = json.loads(to_json(measure(seg), diameters=rano(seg, outline="with-necrosis")))
    assert content["diameters"]["outline"] == "with-necrosis"
    assert "diameters" not in json.loads(to_json(measure(seg)))


def test_diameters_on_screen():
    seg = ring()
    text = shown(diameters_table(rano(seg, outline="with-necrosis")))
    assert "enhancing tumour with the necrosis it encloses" in " ".join(text.split())
    assert "longest (mm)" in text and "perpendicular (mm)" in text
    assert "36.1" in text
    assert "enhancing tumour only" in shown(diameters_table(rano(seg)))


def test_many_lesions_on_screen():
    seg = ring()
    seg.labels[...] = 0
    for number in range(7):
        seg.labels[1, 5 * number : 5 * number + 2, 4:9] = 3
    assert "and 2 smaller lesions" in shown(diameters_table(rano(seg)))


def test_components_are_explained_where_there_are_several():
    seg = ring()
    assert "components: parts that touch by no face" not in shown(to_rich(measure(seg)))
    seg.labels[1, 2, 2] = 3
    assert "components: parts that touch by no face" in shown(to_rich(measure(seg)))


def test_hd95_names_its_convention_wherever_it_is_shown():
    seg = ring()
    agreed = agreement(seg, replace(seg, name="R"))
    definition = METRICS["hd95_mm"].definition
    assert definition in " ".join(shown(agreement_table(agreed)).split())
    content = json.loads(to_json(measure(seg), agreed=agreed))
    assert content["agreement"]["definitions"]["hd95_mm"].startswith(definition)
