from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("lightning", reason="training needs the extra `train`")

import torch

from napari_tumorseg.errors import CancelledError, InputError
from napari_tumorseg.finetuning import Phase, Settings, Source, finetune, start, status_of
from napari_tumorseg.finetuning import run as finetuning_run
from napari_tumorseg.finetuning import state as states
from napari_tumorseg.finetuning.corrected import cases_of, corrected_cases
from napari_tumorseg.finetuning.judgement import Verdict
from napari_tumorseg.io import read, write_mask
from napari_tumorseg.models import get_model, list_models
from napari_tumorseg.models.architectures import make_network
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.session import State, Worklist
from napari_tumorseg.training import tuning
from tests.builders import card_of, save_model, threshold_net, write_case
from tests.training.conftest import write_lgg

ARGUMENTS = {"widths": [4, 8], "bottleneck": 8}
DIVIDED = {"roles": ["flair"], "normalisation": {"method": "divide"}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("TUMORSEG_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(tuning, "_augmentation", lambda card: [])  # most of the time of a step here
    write_lgg(tmp_path / "data", 5)
    return tmp_path


def untrained(folder, **changes):
    """Return a parent that knows nothing yet."""
    torch.manual_seed(1)
    net = make_network("unet", {"in_channels": 1, "out_channels": 1, **ARGUMENTS})
    card = card_of(name="green", input=DIVIDED, network={"arguments": net.arguments}, **changes)
    return save_model(folder / "green", net, card)


def perfect(folder):
    """Return a parent that finds every voxel: FLAIR above 150."""
    card = card_of(name="perfect", input=DIVIDED)
    return save_model(folder / "perfect", threshold_net([0], [150 / 255]), card)


def prepare(folder, parent, data=None, **changes):
    run = folder / "run"
    given = {"parent": str(parent.weights), "name": "mine", "steps": 24, "threads": 1, "nice": 0, **changes}
    Settings(data=(Source(cases=data or folder / "data"),), **given).write(run)
    return run


@pytest.mark.slow
def test_a_better_model_takes_its_place_with_card_report_and_pictures(folder):
    parent = untrained(folder)
    run = prepare(folder, parent, steps=40)
    outcome = finetune(run)
    assert outcome.verdict.accepted and outcome.verdict.after > outcome.verdict.before + 0.03
    assert status_of(run).phase is Phase.ACCEPTED
    model = get_model("mine")
    tuned = model.card.tuned
    assert model.origin == "user" and model.card.version == "1" and not model.card.members
    assert (tuned.parent, len(tuned.cases), tuned.patients) == ("green", 5, 5)
    assert tuned.dice_after == pytest.approx(outcome.verdict.after, abs=1e-3)
    assert set(tuned.cases) <= set(model.card.about.trained_on)
    assert {pair.case for pair in outcome.pairs} == set(tuned.cases)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Accepted" in page and page.count("data:image/webp") == 2 * 5

    again = prepare(folder / "again", get_model("mine"), data=folder / "data")  # it knows all patients now
    with pytest.raises(InputError, match="3 patients that mine was not trained on"):
        finetune(again)
    assert status_of(again).phase is Phase.FAILED and get_model("mine").card.version == "1"


def test_a_model_that_is_no_better_is_refused_and_nothing_changes(folder):
    run = prepare(folder, perfect(folder), steps=2)
    outcome = finetune(run)
    assert not outcome.verdict.accepted and outcome.verdict.before == 1.0
    assert "mine" not in [m.name for m in list_models()]
    assert status_of(run).phase is Phase.REFUSED and "not shown to be better" in status_of(run).words
    assert "Refused" in (run / "report.html").read_text(encoding="utf-8")
    assert outcome.model.weights.parent == run / "model"


def test_it_goes_on_with_the_cases_and_the_parent_that_it_began_with(folder):
    parent = perfect(folder)
    run = prepare(folder, parent, steps=2)
    before = finetune(run)
    *_, last = sorted(write_lgg(folder / "more", 6).iterdir())
    last.rename(folder / "data" / last.name)  # corrected since; with it, others would be left out elsewhere
    after = finetune(run)
    assert [pair.case for pair in after.pairs] == [pair.case for pair in before.pairs]
    assert len(after.model.card.tuned.cases) == 5
    save_model(folder / "perfect", threshold_net([0], [100 / 255]), parent.card)
    with pytest.raises(InputError, match="perfect was replaced since"):
        finetune(run)


def test_a_parent_that_is_replaced_meanwhile_stays(folder, monkeypatch):
    parent = untrained(folder)
    run = prepare(folder, parent, steps=2)

    def better(pairs):
        save_model(folder / "green", threshold_net([0], [100 / 255]), parent.card)
        return Verdict(True, "better", 5, 0.1, 0.9, 0.01, (0.1, 0.9))

    monkeypatch.setattr(finetuning_run, "judge", better)
    with pytest.raises(InputError, match="green was replaced since"):
        finetune(run)
    assert "mine" not in [model.name for model in list_models()]


@pytest.mark.slow
def test_networks_of_an_ensemble_are_judged_by_patients_they_did_not_see(folder):
    run = prepare(folder, untrained(folder), members=2, roles=("flair", "t1"), steps=4)
    model = finetune(run).model
    assert len(model.card.members) == 2 and [str(r) for r in model.card.input.roles] == ["flair", "t1"]
    unseen = [set(member.unseen) for member in model.card.members]
    assert unseen[0] | unseen[1] == set(model.card.tuned.cases) and not unseen[0] & unseen[1]
    assert model.load()(torch.zeros(1, 2, 16, 16)).shape == (1, 1, 16, 16)


@pytest.mark.slow
def test_rehearsal_cases_are_left_out_too(folder):
    rng = np.random.default_rng(0)
    for number in range(3):
        image = rng.integers(10, 50, (3, 32, 32)).astype(np.float32)
        image[1, 8:14, 8:14] = 200
        case = write_case(folder / "old", {"flair": image}, f"old{number}")
        scan = read(case)
        labels = (scan.reference.data > 150).astype(np.uint8)
        mask = Segmentation(labels, scan.grid, CONVENTIONS["binary"], f"old{number}")
        write_mask(mask, case / "mask_seg.nii.gz")
    run = prepare(folder, untrained(folder), rehearsal=(folder / "old",), steps=4)
    outcome = finetune(run)
    old = [pair for pair in outcome.pairs if pair.is_old]
    assert {pair.case for pair in old} == {"old0", "old1", "old2"}
    assert outcome.verdict.patients == 5 and outcome.verdict.old_change is not None


def test_cancel_leaves_everything_as_it_was_and_it_can_be_begun_again(folder):
    run = prepare(folder, untrained(folder))
    states.ask_to_cancel(run)
    with pytest.raises(CancelledError):
        finetune(run)
    assert status_of(run).phase is Phase.CANCELLED and list_models()[0].origin == "built-in"


@pytest.mark.slow
def test_pause_holds_it_and_an_end_of_the_process_is_noticed(folder):
    run = prepare(folder, untrained(folder), steps=6)
    states.ask_to_pause(run)
    worker = threading.Thread(target=finetune, args=(run,))
    worker.start()
    wait_for(lambda: status_of(run).phase is Phase.PAUSED)
    before = status_of(run).done
    time.sleep(0.5)
    assert status_of(run).done == before and worker.is_alive()
    with pytest.raises(InputError, match="another process"):
        finetune(run)
    states.ask_to_pause(run, pause=False)
    worker.join(240)
    assert status_of(run).is_over

    dead = states.Status(Phase.RUNNING, "training", 3, 10)
    states.write_status(run, dead)
    assert status_of(run).phase is Phase.STOPPED


@pytest.mark.slow
def test_a_process_of_its_own_outlives_the_one_that_started_it_and_goes_on_after_a_kill(folder):
    run = prepare(folder, untrained(folder), steps=30)
    code = "import sys, pathlib, napari_tumorseg.finetuning as f; f.start(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(run)], check=True)
    wait_for(lambda: status_of(run).phase is Phase.RUNNING and status_of(run).done > 10)
    assert states.latest_run(folder) == run
    assert json.loads((run / "status.json").read_text())["name"] == "mine"
    states.ask_to_cancel(run)
    wait_for(lambda: status_of(run).phase is Phase.CANCELLED)
    kept = len(list((run / "weights").glob("*")))
    start(run)
    wait_for(lambda: status_of(run).phase in (Phase.ACCEPTED, Phase.REFUSED, Phase.FAILED))
    assert status_of(run).phase is not Phase.FAILED and len(list((run / "weights").glob("*"))) == 4 >= kept


def wait_for(condition, seconds=240):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.1)


def test_cases_of_a_worklist_that_are_corrected_or_done(tmp_path):
    for name in ("anna", "bert", "carl"):
        write_case(tmp_path / "in", {"flair": np.ones((2, 8, 8), np.float32)}, name)
    worklist = Worklist.open(tmp_path / "in", tmp_path / "in_masks")
    for name, state in (("anna", State.DONE), ("bert", State.SEGMENTED), ("carl", State.DONE)):
        scan = worklist.entry(name).ref.open().scan()
        if name != "carl":
            (tmp_path / "in_masks").mkdir(exist_ok=True)
            labels = np.zeros(scan.grid.shape, np.uint8)
            labels[1, 2:4, 2:4] = 1
            mask = Segmentation(labels, scan.grid, CONVENTIONS["binary"], name)
            write_mask(mask, tmp_path / "in_masks" / f"{name}_seg.nii.gz")
        worklist.set(name, state)
    source = Source(cases=tmp_path / "in", masks=tmp_path / "in_masks")
    (found,) = corrected_cases([source]).cases  # carl is done, but without a mask
    scan, reference = found.load()
    assert found.name == "anna" and reference.labels.sum() == 4
    assert np.argwhere(reference.labels)[0].tolist() == [1, 2, 2] and scan.case
    assert cases_of(tmp_path / "in_masks") == tmp_path / "in" and cases_of(tmp_path / "in") is None
    with pytest.raises(InputError, match="called anna"):
        corrected_cases([source, source])
