"""The outputs of an evaluation: tables, summary, page."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.evaluation import Evaluation, EvaluationSettings, FailedCase, evaluate
from napari_tumorseg.io.dataset import CaseRef
from napari_tumorseg.measurement import LESION_METRICS, METRICS
from napari_tumorseg.report.charts import BarGroup, Series, bars
from napari_tumorseg.report.evaluation import page
from napari_tumorseg.report.evaluation_files import FILES, draw_pictures, write_evaluation
from napari_tumorseg.report.evaluation_tables import (
    case_table,
    cases_csv,
    slice_table,
    slices_csv,
    summary_json,
    summary_tables,
)
from napari_tumorseg.report.learning import find_log, read_log
from napari_tumorseg.report.text import shortened
from tests.builders import card_of, head, save_model, threshold_net, write_case

NASTY = "<script>alert(1)</script>"


def lesion(shift: int = 0) -> np.ndarray:
    return np.roll(head() > 300, shift, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("evaluation")
    for name, shift in (("a", 0), ("b", 3), ("c", 1)):
        write_case(folder / "data", {"flair": head(), "seg": lesion(shift)}, name)
    write_case(folder / "data", {"flair": head()}, "d")
    card = card_of(about={"trained_on": ["c"]})
    return evaluate(save_model(folder / "model", threshold_net([0], [300.0]), card), folder / "data")


def renamed(found: Evaluation, name: str) -> Evaluation:
    cases = tuple(replace(c, ref=CaseRef(c.ref.path, name), warnings=(name,)) for c in found.cases)
    failures = (FailedCase(CaseRef(Path("x"), name), False, f"{name} cannot be read"),)
    model = {**found.model, "name": name, "licence": name}
    return replace(found, cases=cases, failures=failures, model=model, data=(name,), stopped=name)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_cases_as_csv(found: Evaluation) -> None:
    table = rows(cases_csv(found))
    assert [row["case"] for row in table] == ["a", "b", "c", "d"]
    b = table[1]
    assert (float(b["dice_3d"]), float(b["slicemean_all_dice"]), float(b["hd95_mm"])) == (0.5, 0.75, 3.0)
    assert float(b["slicemean_tumour_dice"]) == float(b["lesionwise_dice"]) == 0.5
    assert (b["slices"], b["slices_with_tumour"], b["slice_pixels"], b["slice_size"]) == (
        "6",
        "3",
        "40x48",
        "scan",
    )
    assert [row["trained_on"] for row in table] == ["no", "no", "yes", "no"]
    assert "no reference mask" in table[3]["error"]
    assert table[3]["dice_3d"] == ""


def test_slices_as_csv(found: Evaluation) -> None:
    table = rows(slices_csv(found))
    assert len(table) == 18
    third = next(row for row in table if (row["case"], row["slice"]) == ("b", "2"))
    assert (third["tp"], third["fp"], third["fn"], third["tn"]) == ("24", "24", "24", str(40 * 48 - 72))
    assert (third["dice"], third["tumour_in_reference"]) == ("0.5", "yes")
    assert sum(int(row["tp"]) for row in table) == 144 + 72 + 120


def test_only_slices_with_tumour_are_stated(found: Evaluation) -> None:
    chosen = replace(found, settings=EvaluationSettings(slices="tumour"))
    assert "slicemean_all_dice" not in rows(cases_csv(chosen))[0]
    region = json.loads(summary_json(chosen))["groups"]["all cases"]["regions"][0]
    assert list(region["per_slice"]) == ["tumour"]


def test_a_spreadsheet_runs_nothing(found: Evaluation) -> None:
    text = cases_csv(renamed(found, "=cmd|'/c calc'!A1"))
    assert all(row["case"].startswith("'=") for row in rows(text))
    assert rows(text)[-1]["error"].startswith("'=")
    assert rows(cases_csv(found))[0]["volume_error_ml"] == "0.0"


def test_summary(found: Evaluation) -> None:
    content = json.loads(summary_json(found))
    assert (content["cases_planned"], content["cases_scored"], content["trained_on"]) == (4, 3, ["c"])
    assert content["model"]["sha256"] == found.model["sha256"]
    assert "napari-tumorseg" in content["run"]["versions"]
    assert content["failures"][0]["case"] == "d"
    groups = content["groups"]
    assert {name: group["cases"] for name, group in groups.items()} == {
        "all cases": 3,
        "not trained on": 2,
        "trained on": 1,
    }
    dice = groups["not trained on"]["regions"][0]["in_3d"]["dice"]
    assert dice == pytest.approx(
        {"n": 2, "mean": 0.75, "median": 0.75, "sd": 0.5 / 2**0.5, "minimum": 0.5, "maximum": 1.0}
    )
    assert content["conventions"]["pooled"]
    assert "seconds" in content["cases"][0]


class Checker(HTMLParser):
    """Collects what a page asks for and holds."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for key, value in attrs:
            if key in ("src", "href", "data", "action", "xlink:href"):
                self.links.append(value or "")
            if key.startswith("on"):
                self.handlers.append(key)

    def handle_data(self, data: str) -> None:
        self.text += data


def check(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    return checker


def test_the_page(found: Evaluation) -> None:
    html = page(found, draw_pictures(found))
    seen = check(html)
    assert "Research use only" in seen.text
    for words in (
        "Evaluation of tiny",
        "3 of 4 cases",
        "Per case, in 3-D",
        "pooled, with tumour",
        "no reference mask",
    ):
        assert words in seen.text
    assert "1 case marked \N{DAGGER} was trained on" in seen.text
    assert html.count("data:image/jpeg;base64,") == 2  # of the two that the model has not seen
    assert "worst: b" in seen.text and "best: a" in seen.text
    assert re.search(r"<title>b, WT: 0\.500</title>", html)


@pytest.mark.parametrize(
    "name", [NASTY, '"><img src=x onerror=alert(1)>', "'; </style></svg><script>", "a&b"]
)
def test_names_are_escaped(found: Evaluation, name: str) -> None:
    html = page(renamed(found, name), [])
    seen = check(html)
    assert not seen.tags & {"script", "img", "iframe", "object", "link", "form"}
    assert not seen.links
    assert not seen.handlers
    assert name in seen.text
    pictures = [replace(p, case=renamed(found, name).cases[0]) for p in draw_pictures(found)]
    assert all(link.startswith("data:image/jpeg") for link in check(page(found, pictures)).links)


def test_pages_ask_nothing_of_the_network(found: Evaluation) -> None:
    html = page(found, draw_pictures(found))
    assert "http://" not in html and "https://" not in html and "url(" not in html
    assert "default-src 'none'" in html


def test_a_page_without_cases(found: Evaluation) -> None:
    html = page(replace(found, cases=(), failures=(), stopped="cancelled after 0 of 4 cases"), [])
    assert "cancelled after 0 of 4 cases" in html


def test_a_card_without_a_list_of_training_cases(found: Evaluation) -> None:
    assert "does not list the cases" not in page(found)
    assert "does not list the cases" in page(replace(found, model={**found.model, "trained_on_told": False}))


def test_pictures_show_the_case_and_not_another(found: Evaluation) -> None:
    worst, best = draw_pictures(found)
    assert (worst.case.name, best.case.name) == ("b", "a")
    assert worst.jpeg is not None
    assert Image.open(io.BytesIO(worst.jpeg)).width > 400


def test_a_picture_that_cannot_be_drawn(found: Evaluation, tmp_path: Path) -> None:
    gone = replace(found, cases=tuple(replace(c, ref=CaseRef(tmp_path / "gone", "x")) for c in found.cases))
    (worst, *_) = draw_pictures(gone)
    assert worst.jpeg is None
    assert "could not be drawn" in page(gone, [worst])
    assert str(tmp_path) not in worst.reason


def test_files(found: Evaluation, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = write_evaluation(found, out)
    assert [path.name for path in written] == list(FILES) == sorted(FILES, key=FILES.index)
    assert sorted(p.name for p in out.iterdir()) == sorted(FILES)
    before = (out / "cases.csv").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_evaluation(found, out)
    write_evaluation(found, out, overwrite=True)
    assert (out / "cases.csv").read_bytes() == before


def test_on_screen(found: Evaluation) -> None:
    screen = Console(file=io.StringIO(), width=80, color_system=None)
    nasty = renamed(found, "[red]x")
    for table in (case_table(nasty), *summary_tables(found), slice_table(found)):
        screen.print(table)
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "[red]x" in text
    assert "Over cases not trained on" in text
    assert "mean, with tumour" in text
    assert max(map(len, text.splitlines())) <= 80


LOG = """epoch,train_loss,val_loss,val_dice,lr
0,0.9,,,0.001
0,,0.8,0.30,
1,0.5,0.6,0.55,0.001
2,0.4,nan,0.50,0.001
"""


def test_learning_curves(found: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "log" / "metrics.csv"
    path.parent.mkdir()
    path.write_text(LOG)
    learning = read_log(path)
    assert learning.lines["train_loss"] == ((0, 0.9), (1, 0.5), (2, 0.4))
    assert learning.lines["val_loss"] == ((0, 0.8), (1, 0.6))
    html = page(found, [], learning)
    assert "Best validation Dice 0.550 in epoch 1" in html
    assert html.count("<polyline") == 3
    assert find_log(tmp_path, None) == path
    assert find_log(None, tmp_path / "model" / "x.safetensors") == path
    assert find_log(None, Path("/nowhere/x.safetensors")) is None


def test_logs_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there"):
        find_log(tmp_path, None)
    path = tmp_path / "metrics.csv"
    for text in ("", "a,b\n1,2\n"):
        path.write_text(text)
        with pytest.raises(InputError, match="no column epoch"):
            read_log(path)
    path.write_text("epoch,val_dice\n")
    with pytest.raises(InputError):
        read_log(path)


def test_a_log_without_figures(found: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,val_dice\n0,\n")
    assert "holds no figures" in page(found, [], read_log(path))
    path.write_text("epoch,val_dice,train_loss\n0,0.5,0.3\n")
    assert "<circle" in page(found, [], read_log(path))


def test_bars_are_as_long_as_their_values() -> None:
    svg = bars(
        [BarGroup("x", [0.5, None]), BarGroup("y", [1.0, 0.0], pale=True)],
        [Series("WT", "#000", 0.75), Series("ET", "#fff")],
        "t",
    )
    widths = [float(w) for w in re.findall(r'<rect x="\d+" y="[\d.]+" width="([\d.]+)"', svg)]
    assert widths[0] * 2 == widths[1]
    assert widths[2] == 1.5
    assert svg.count("fill-opacity") == 2
    assert "\N{DAGGER}" in svg


def test_long_names_keep_both_ends() -> None:
    short = shortened("TCGA-FG-6692_brain_extracted_first_visit_2002", 30)
    assert len(short) <= 30
    assert short.startswith("TCGA-FG-6692")
    assert short.endswith("2002")


def test_one_case_has_no_spread(found: Evaluation) -> None:
    alone = replace(found, cases=found.cases[:1], failures=(), planned=1)
    text = page(alone, [])
    assert "1 of 1 case scored" in text
    assert "The figures of the only case" in text
    assert "standard deviation (median) over cases" not in text
    assert "dashed: the mean" not in text
    assert "<td>1.000</td>" in text
    assert "1.000 (1.000)" not in text


def test_every_metric_stands_in_every_full_output(found: Evaluation) -> None:
    columns = rows(cases_csv(found))[0]
    assert {name for name in METRICS if name in columns or f"{name}_3d" in columns} == set(METRICS)
    assert {f"lesionwise_{name}" for name in LESION_METRICS} <= set(columns)
    region = json.loads(summary_json(found))["groups"]["all cases"]["regions"][0]
    assert set(region["in_3d"]) == set(METRICS)
    html = page(found)
    for metric in (*METRICS.values(), *LESION_METRICS.values()):
        assert metric.heading in html
        assert f'title="{escape(metric.tip).replace("&#x27;", "&#39;")}"' in html


def test_hd95_names_its_convention_on_screen_and_in_files(found: Evaluation) -> None:
    definition = METRICS["hd95_mm"].definition
    screen = Console(file=io.StringIO(), width=80, color_system=None)
    for table in (case_table(found), summary_tables(found)[0]):
        screen.print(table)
    shown = " ".join(screen.file.getvalue().split())  # type: ignore[attr-defined]
    assert shown.count(definition) == 2
    assert json.loads(summary_json(found))["conventions"]["HD95"].startswith(definition)
    assert definition in check(page(found)).text
