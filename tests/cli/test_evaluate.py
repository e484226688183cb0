"""``tumorseg evaluate``: a model over a data set."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg.evaluation import Plan, Step
from tests.builders import card_of, head, save_model, threshold_net, write_case
from tests.cli.conftest import Run, files_in

WRITTEN = ["cases.csv", "report.html", "slices.csv", "summary.json"]


@pytest.fixture
def data(tmp_path: Path, lesion: np.ndarray) -> Path:
    folder = tmp_path / "data"
    for name, shift in (("a", 0), ("b", 3)):
        mask = np.roll(lesion, shift, axis=2).astype(np.uint8)
        write_case(folder, {"flair": head(), "seg": mask}, name)
    return folder


def summary(folder: Path) -> dict:  # type: ignore[type-arg]
    return json.loads((folder / "summary.json").read_text())  # type: ignore[no-any-return]


def dice(folder: Path) -> list[float]:
    return [case["rows"][0]["in_3d"]["dice"] for case in summary(folder)["cases"]]


def test_the_main_job(tumorseg: Run, model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = tumorseg("evaluate", "-m", model, "--data", data, "-o", out)
    assert done.code == 0, done.err
    assert files_in(out) == WRITTEN
    assert dice(out) == [1.0, 0.5]
    for words in ("Per case, in 3-D", "Over all cases", "Slice by slice", "2 of 2 cases", "cases a minute"):
        assert words in done.out
    assert "does not list the cases it was trained on" in done.err


def test_nothing_is_overwritten(tumorseg: Run, model: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "slices.csv").write_text("mine")
    arguments = ("evaluate", "-m", model, "-d", data, "-o", out)
    done = tumorseg(*arguments)
    assert (done.code, files_in(out), (out / "slices.csv").read_text()) == (6, ["slices.csv"], "mine")
    assert "--overwrite" in done.err
    assert tumorseg(*arguments, "--overwrite").code == 0
    assert (out / "slices.csv").read_text() != "mine"


def test_a_case_that_fails(tumorseg: Run, model: Path, data: Path, tmp_path: Path) -> None:
    write_case(data, {"t1c": head(), "seg": (head() > 300).astype(np.uint8)}, "aa")  # the model wants FLAIR
    out = tmp_path / "out"
    done = tumorseg("evaluate", "-m", model, "-d", data, "-o", out)
    assert done.code == 3
    assert "aa is left out" in done.err
    assert "1 of 3 cases could not be evaluated (aa)" in done.err
    assert [failure["case"] for failure in summary(out)["failures"]] == ["aa"]
    assert dice(out) == [1.0, 0.5]


def test_a_case_without_reference_is_no_failure(
    tumorseg: Run, model: Path, data: Path, tmp_path: Path
) -> None:
    write_case(data, {"flair": head()}, "aa")
    base = ("evaluate", "-m", model, "-d", data)
    done = tumorseg(*base, "-o", tmp_path / "1")
    assert (done.code, "aa is left out" in done.err) == (0, True)
    page = (tmp_path / "1" / "report.html").read_text()
    assert "0 failures, 1 without reference" in page
    assert "<h2>Cases without reference</h2>" in page
    assert "could not be evaluated" not in page
    (told,) = summary(tmp_path / "1")["failures"]
    assert (told["case"], told["unlabelled"]) == ("aa", True)
    with (tmp_path / "1" / "cases.csv").open() as file:
        assert {row["case"]: row["unlabelled"] for row in csv.DictReader(file)} == {
            "a": "",
            "aa": "yes",
            "b": "",
        }
    # nothing else was there
    done = tumorseg(*base, "-o", tmp_path / "2", "--case", "aa")
    assert (done.code, "1 of 1 case could not be evaluated (aa); why is written to" in done.err) == (3, True)


def test_cases_trained_on_are_told(tumorseg: Run, data: Path, tmp_path: Path) -> None:
    card = card_of(about={"trained_on": ["a"]})
    model = save_model(tmp_path / "m", threshold_net([0], [300.0]), card).weights
    out = tmp_path / "out"
    done = tumorseg("evaluate", "-m", model, "-d", data, "-o", out)
    assert "1 of 2 cases (a) was trained on: such scores prove nothing" in done.err
    assert "Over cases not trained on" in done.out
    assert summary(out)["trained_on"] == ["a"]
    assert "was trained on" in (out / "report.html").read_text()


def test_a_split(tumorseg: Run, model: Path, data: Path, tmp_path: Path) -> None:
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["a"], "validation": ["b"], "test": []}))
    arguments = ("evaluate", "-m", model, "-d", data, "--split", split)
    done = tumorseg(*arguments, "-o", tmp_path / "o1")
    assert (done.code, "keeps no case for test (train: 1, validation: 1, test: 0)" in done.err) == (
        3,
        True,
    )
    done = tumorseg(*arguments, "-o", tmp_path / "o2", "--part", "validation")
    assert "flatter" in done.err
    assert dice(tmp_path / "o2") == [0.5]
    assert tumorseg(*arguments, "-o", tmp_path / "o3", "--part", "other").code == 2


def test_choices(tumorseg: Run, model: Path, data: Path, tmp_path: Path) -> None:
    base = ("evaluate", "-m", model, "-d", data, "-q")
    assert tumorseg(*base, "-o", tmp_path / "1", "--case", "b").code == 0
    assert tumorseg(*base, "-o", tmp_path / "2", "--limit", 1).code == 0
    assert (dice(tmp_path / "1"), dice(tmp_path / "2")) == ([0.5], [1.0])
    assert tumorseg(*base, "-o", tmp_path / "3", "--case", "x").code == 3
    for wrong in (
        ("--slices", "some"),
        ("--lesions", "X"),
        ("--limit", 0),
        ("--no-post", "--post", "fill_holes"),
    ):
        assert tumorseg(*base, "-o", tmp_path / "4", *wrong).code == 2
    assert tumorseg(*base, "-o", tmp_path / "4", "--device", "cuda:x").code == 7
    assert not (tmp_path / "4").exists()
    assert tumorseg("evaluate", "-m", "none", "-d", data, "-o", tmp_path / "4").code == 5


def test_post_processing(tumorseg: Run, data: Path, tmp_path: Path) -> None:
    card = card_of(postprocessing={"min_component_mm3": 1e6})
    model = save_model(tmp_path / "m", threshold_net([0], [300.0]), card).weights
    base = ("evaluate", "-m", model, "-d", data, "-q")
    assert tumorseg(*base, "-o", tmp_path / "1").code == 0
    assert tumorseg(*base, "-o", tmp_path / "2", "--no-post").code == 0
    assert tumorseg(*base, "-o", tmp_path / "3", "--post", "min_component_mm3=10").code == 0
    assert [dice(tmp_path / n) for n in "123"] == [[0, 0], [1, 0.5], [1, 0.5]]
    assert summary(tmp_path / "2")["run"]["settings"]["postprocessing"]["min_component_mm3"] == 0


def test_at_network_size(tumorseg: Run, data: Path, tmp_path: Path) -> None:
    size = {"canvas": [20, 24], "fit": "stretch"}
    card = card_of(input={"roles": ["flair"], "normalisation": {"method": "none"}, "size": size})
    model = save_model(tmp_path / "m", threshold_net([0], [300.0]), card).weights
    out = tmp_path / "out"
    done = tumorseg("evaluate", "-m", model, "-d", data, "-o", out, "--at-network-size", "--slices", "tumour")
    assert "the network's own size (20x24 pixels)" in done.out
    told = summary(out)
    assert told["evaluation"]["per_slice_size"] == "network"
    assert told["cases"][0]["slice_pixels"] == [20, 24]
    assert "without post-processing" in told["conventions"]["per-slice size"]
    assert "own size (20x24 pixels)" in (out / "report.html").read_text()


def test_masks_out(tumorseg: Run, model: Path, data: Path, tmp_path: Path, lesion: np.ndarray) -> None:
    masks = tmp_path / "masks"
    base = ("evaluate", "-m", model, "-d", data, "-q", "--masks-out", masks)
    assert tumorseg(*base, "-o", tmp_path / "1").code == 0
    assert files_in(masks) == ["a_seg.json", "a_seg.nii.gz", "b_seg.json", "b_seg.nii.gz"]
    found = np.asarray(nib.load(masks / "b_seg.nii.gz").dataobj).transpose(2, 1, 0)
    np.testing.assert_array_equal(found, lesion)
    assert tumorseg(*base, "-o", tmp_path / "2").code == 6
    assert not list((tmp_path / "2").glob("*"))


def test_several_masks(tumorseg: Run, model: Path, data: Path, tmp_path: Path, lesion: np.ndarray) -> None:
    other = np.roll(lesion, 3, axis=2).astype(np.uint8)
    write_case(data, {"flair": head(), "seg": lesion.astype(np.uint8), "other_mask": other}, "two")
    base = ("evaluate", "-m", model, "-d", data, "-q", "--case", "two")
    done = tumorseg(*base, "-o", tmp_path / "1")
    assert (done.code, "--masks" in done.err) == (3, True)
    assert tumorseg(*base, "-o", tmp_path / "2", "--masks", "nothing,other").code == 0
    assert dice(tmp_path / "2") == [0.5]


def test_learning_curves(tumorseg: Run, model: Path, data: Path, tmp_path: Path) -> None:
    log = tmp_path / "run" / "log"
    log.mkdir(parents=True)
    (log / "metrics.csv").write_text("epoch,train_loss,val_dice\n0,0.5,0.2\n1,0.4,0.7\n")
    base = ("evaluate", "-m", model, "-d", data, "-q")
    assert tumorseg(*base, "-o", tmp_path / "1", "--run", tmp_path / "run").code == 0
    assert "Best validation Dice 0.700 in epoch 1" in (tmp_path / "1" / "report.html").read_text()
    assert tumorseg(*base, "-o", tmp_path / "2", "--run", tmp_path / "data").code == 3


def test_a_log_that_cannot_be_read(
    tumorseg: Run, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = model.parent / "log"
    log.mkdir()
    (log / "metrics.csv").write_text("a,b\n1,2\n")
    base = ("evaluate", "-m", model, "-d", data, "-q")
    done = tumorseg(*base, "-o", tmp_path / "1")
    assert (done.code, files_in(tmp_path / "1")) == (0, WRITTEN)
    assert "no column epoch" in done.err
    monkeypatch.delattr(Plan, "run")  # it is refused before a case is run
    done = tumorseg(*base, "-o", tmp_path / "2", "--run", model.parent)
    assert (done.code, "no column epoch" in done.err) == (3, True)
    assert not (tmp_path / "2").exists()


def test_json(tumorseg: Run, model: Path, data: Path, tmp_path: Path) -> None:
    done = tumorseg("evaluate", "-m", model, "-d", data, "-o", tmp_path / "o", "--json")
    assert json.loads(done.out) == summary(tmp_path / "o")


def stop_in_second_case(error: BaseException, first: bool = False) -> object:
    run = Plan.run

    def stopping(self: Plan) -> Iterator[Step]:
        for step in run(self):
            if first or (step.number == 2 and step.done):
                raise error
            yield step

    return stopping


def test_cancelled(
    tumorseg: Run, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Plan, "run", stop_in_second_case(KeyboardInterrupt()))
    out = tmp_path / "out"
    done = tumorseg("evaluate", "-m", model, "-d", data, "-o", out)
    assert done.code == 130
    assert f"cancelled after 1 of 2 cases; those finished are written to {out}" in done.err
    assert "nothing was written" not in done.err
    assert dice(out) == [1.0]
    assert summary(out)["stopped"] == "cancelled after 1 of 2 cases"
    assert "cancelled after 1 of 2 cases" in (out / "report.html").read_text()


def test_cancelled_at_once(
    tumorseg: Run, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Plan.run
    monkeypatch.setattr(Plan, "run", stop_in_second_case(KeyboardInterrupt(), first=True))
    done = tumorseg("evaluate", "-m", model, "-d", data, "-o", tmp_path / "out")
    assert (done.code, files_in(tmp_path / "out")) == (130, [])
    assert "nothing was written" in done.err
    monkeypatch.setattr(Plan, "run", run)


def test_an_unexpected_error_keeps_what_is_finished(
    tumorseg: Run, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Plan, "run", stop_in_second_case(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        tumorseg("evaluate", "-m", model, "-d", data, "-o", tmp_path / "out")
    assert dice(tmp_path / "out") == [1.0]
    assert summary(tmp_path / "out")["stopped"] == "an error ended the run"


@pytest.mark.slow
def test_real_cases(tumorseg: Run, shared_data: Path, tmp_path: Path) -> None:
    done = tumorseg(
        "evaluate", "-m", "brats-regions", "-d", shared_data / "brats", "--case", "brats_2013_pat0001_1",
        "-o", tmp_path / "o", "-q",
    )  # fmt: skip
    assert done.code == 0, done.err
    told = summary(tmp_path / "o")
    assert told["trained_on"] == ["brats_2013_pat0001_1"]
    scores = {row["name"]: row["in_3d"]["dice"] for row in told["cases"][0]["rows"]}
    assert scores["WT"] > 0.85
