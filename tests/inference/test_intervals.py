"""Intervals and doubts of a run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_tumorseg.inference import PostSettings, ScanAnalysis, Settings, segment
from napari_tumorseg.inference.doubt import LEAST, DoubtCounter
from napari_tumorseg.inference.intervals import tables_for, why_none
from napari_tumorseg.measurement import measure
from napari_tumorseg.models import Model, ModelCard
from napari_tumorseg.models.card import Output
from tests.builders import card_of, head, make_scan, save_model, threshold_net

TABLE = {"region": "WT", "residuals": [math.log(2)] * 9}


def model_of(folder: Path, **changes: Any) -> Model:
    """Return a model that finds the 144 voxels of the lesion of `head`, and doubts none of them."""
    return save_model(folder, threshold_net([0], [300.0]), card_of(**{"intervals": [TABLE], **changes}))


def test_a_run_gives_the_interval_of_its_card(tmp_path: Path) -> None:
    seg = segment(make_scan({"flair": head()}), model_of(tmp_path))
    assert int(seg.labels.sum()) == 144
    assert seg.provenance["intervals"] == {
        "WT": {
            "voxels": 144,
            "low": pytest.approx(244 / 2 - 100),
            "high": pytest.approx(244 * 2 - 100),
            "coverage": 0.9,
            "patients": 9,
        }
    }
    interval = measure(seg).row("WT").interval
    assert interval is not None and interval.high_ml == pytest.approx(0.388)


def test_the_doubt_of_the_case_scales_it(tmp_path: Path) -> None:
    table = {**TABLE, "score": "log-ratio-by-doubt"}
    seg = segment(make_scan({"flair": head()}), model_of(tmp_path, intervals=[table]))
    assert seg.provenance["doubt"] == {"WT": LEAST}
    assert seg.provenance["intervals"]["WT"]["high"] == pytest.approx(244 * 2**LEAST - 100)


def test_a_run_that_finds_nothing_has_none(tmp_path: Path) -> None:
    seg = segment(make_scan({"flair": np.minimum(head(), 200)}), model_of(tmp_path))
    assert not seg.labels.any() and seg.provenance["intervals"] == {}


def test_a_card_without_errors_gives_none(tmp_path: Path) -> None:
    seg = segment(make_scan({"flair": head()}), model_of(tmp_path, intervals=[]))
    assert seg.provenance["intervals"] == {} and measure(seg).row("WT").interval is None


@pytest.mark.parametrize(
    "settings",
    [
        Settings(threshold=0.4),
        Settings(post=PostSettings(fill_holes=True)),
        Settings(slices=range(1, 4)),
        Settings(flip=True),
    ],
)
def test_a_run_that_is_not_as_the_card_has_it_has_none(tmp_path: Path, settings: Settings) -> None:
    seg = segment(make_scan({"flair": head()}), model_of(tmp_path), settings)
    assert seg.labels.any() and seg.provenance["intervals"] == {}


def test_a_scan_that_was_prepared_here_has_none(tmp_path: Path) -> None:
    """The residuals are of scans that experts prepared."""
    scan = replace(make_scan({"flair": head()}), preparation={"brain_extraction": {"tool": "known brain 1"}})
    seg = segment(scan, model_of(tmp_path))
    assert seg.labels.any() and seg.provenance["intervals"] == {}
    assert "this one was prepared here" in seg.provenance["no_intervals"]


def test_int8_has_none(tmp_path: Path) -> None:
    model, scan = model_of(tmp_path), make_scan({"flair": head()})
    card, analysis = model.card, ScanAnalysis(scan)
    assert tables_for(card, scan, Settings(precision="float32"), analysis)
    assert not tables_for(card, scan, Settings(precision="int8"), analysis)
    assert "int8" in why_none(card, scan, Settings(precision="int8"), analysis)


def test_no_reason_is_given_where_there_are_intervals_or_no_table(tmp_path: Path) -> None:
    for tables in ([TABLE], []):
        seg = segment(make_scan({"flair": head()}), model_of(tmp_path, intervals=tables))
        assert "no_intervals" not in seg.provenance


def test_the_cards_own_settings_named_give_one(tmp_path: Path) -> None:
    settings = Settings(threshold=0.5, post=PostSettings(), flip=False)
    assert segment(make_scan({"flair": head()}), model_of(tmp_path), settings).provenance["intervals"]


@pytest.mark.parametrize(("skull", "there"), [("any", True), ("stripped", True), ("present", False)])
def test_a_scan_that_does_not_look_as_expected_has_none(tmp_path: Path, skull: str, there: bool) -> None:
    """The scan is one without a skull."""
    seg = segment(make_scan({"flair": head()}), model_of(tmp_path, input={"skull": skull}))
    assert bool(seg.provenance["intervals"]) is there


def test_a_table_holds_for_the_modalities_that_it_names(tmp_path: Path) -> None:
    both = {"roles": ["flair", "t1c"], "accepts": [["flair", "t1c"], ["flair"]]}
    tables = [{**TABLE, "residuals": [0.1] * 9}, {**TABLE, "roles": ["flair"], "residuals": [0.2] * 9}]
    net = threshold_net([0], [300.0], inputs=2)
    card = card_of(input=both, intervals=tables)
    model = save_model(tmp_path, net, card)
    data = head()
    ends = [
        segment(make_scan(channels), model).provenance["intervals"]["WT"]["high"]
        for channels in ({"flair": data, "t1c": data}, {"flair": data})
    ]
    assert ends == pytest.approx([244 * math.exp(0.1) - 100, 244 * math.exp(0.2) - 100])
    model = save_model(tmp_path, net, card.model_copy(update={"intervals": card.intervals[:1]}))
    assert segment(make_scan({"flair": data}), model).provenance["intervals"] == {}


@pytest.mark.parametrize(("sha256", "there"), [("", True), ("own", True), ("ab" * 32, False)])
def test_a_table_holds_for_the_weights_that_it_names(tmp_path: Path, sha256: str, there: bool) -> None:
    model = model_of(tmp_path)
    table = {**TABLE, "sha256": model.card.sha256 if sha256 == "own" else sha256}
    model = Model(ModelCard.model_validate({**model.card.model_dump(), "intervals": [table]}), model.weights)
    seg = segment(make_scan({"flair": head()}), model)
    assert bool(seg.provenance["intervals"]) is there


def test_doubts_by_hand() -> None:
    output = Output(names=("WT", "ET"), labels=(2, 3), scheme="brats-2023")
    counter = DoubtCounter(output)
    chances = np.array([[[0.1, 0.3, 0.9, 0.9]], [[0.1, 0.1, 0.5, 0.9]]])
    logits = np.log(chances / (1 - chances))
    counter.add(logits)
    counter.add(logits, np.array([[True, True, True, False]]))
    doubts = counter.doubts(floor=1.0)
    assert set(doubts) == {"WT", "ET"}  # there is no output for TC
    assert doubts["WT"] == pytest.approx(math.log((5 + 1) / (3 + 1)) + LEAST, abs=1e-4)
    assert doubts["ET"] == pytest.approx(math.log((3 + 1) / (1 + 1)) + LEAST, abs=1e-4)


def test_doubts_of_classes_add_up() -> None:
    names, labels = ("none", "NCR", "ED", "ET"), (0, 1, 2, 3)
    output = Output(names=names, labels=labels, scheme="brats-2023", activation="softmax")
    counter = DoubtCounter(output)
    chances = np.array([0.1, 0.5, 0.0001, 0.3999]).reshape(4, 1, 1)
    counter.add(np.log(chances))
    doubts = counter.doubts(floor=1.0)
    assert doubts["WT"] == doubts["TC"] == LEAST  # 0.9 is above 0.8
    assert doubts["ET"] == pytest.approx(math.log(2) + LEAST, abs=1e-4)
