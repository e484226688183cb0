"""Fine-tuning on the page Cases in a real window: begun, paused, found by another window, cancelled."""

from __future__ import annotations

import pytest

pytest.importorskip("lightning", reason="training needs the extra `train`")

import torch

from napari_tumorseg.finetuning import Phase, status_of
from napari_tumorseg.finetuning import state as requests
from napari_tumorseg.io import read, write_mask
from napari_tumorseg.models import get_model
from napari_tumorseg.models.architectures import make_network
from napari_tumorseg.models.card import Tuning
from napari_tumorseg.models.versions import install
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.session import State, Worklist
from tests.builders import card_of, head, save_model, write_case
from tests.viewer.conftest import NEEDS_SCREEN

pytestmark = NEEDS_SCREEN


def corrected(folder, names=("a", "b", "c")):
    """Write cases whose masks are done."""
    worklist = None
    for name in names:
        write_case(folder / "study", {"flair": head((3, 24, 24))}, name)
    worklist = Worklist.open(folder / "study", folder / "study_masks")
    for name in names:
        scan = read(folder / "study" / name)
        labels = (scan.reference.data > 300).astype("uint8")
        (folder / "study_masks").mkdir(exist_ok=True)
        mask = Segmentation(labels, scan.grid, CONVENTIONS["binary"], name)
        write_mask(mask, folder / "study_masks" / f"{name}_seg.nii.gz")
        worklist.set(name, State.DONE)
    return folder / "study"


def own_model(folder, version="1"):
    torch.manual_seed(1)
    net = make_network("unet", {"in_channels": 1, "out_channels": 1, "widths": [4, 8], "bottleneck": 8})
    card = card_of(name="own", version=version, network={"arguments": net.arguments})
    return install(save_model(folder / f"made-{version}", net, card), "own")


@pytest.fixture
def panel(new_panel, wait, tmp_path, monkeypatch):
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    own_model(tmp_path)
    _, panel = new_panel()
    panel.cases.open_folder(corrected(tmp_path))
    wait(lambda: panel.cases.worklist is not None)
    panel.cases.finetune.model.setCurrentText("own")
    return panel


@pytest.mark.slow
def test_begun_paused_found_again_continued_and_cancelled(panel, new_panel, wait):
    section = panel.cases.finetune
    section.begin.click()
    run = section.run
    wait(lambda: status_of(run).phase is Phase.RUNNING and status_of(run).done > 4)
    wait(lambda: section.bar.value() > 4 and "network 1 of 4" in section.note.value)
    section.pause.click()
    wait(lambda: section.note.value.startswith("Paused") and section.pause.text() == "Continue")

    _, other = new_panel()  # the first window is closed, or never was
    again = other.cases.finetune
    assert again.run == run and again.note.value.startswith("Paused") and again.bar.value() > 4
    before = status_of(run).done
    again.pause.click()
    wait(lambda: status_of(run).done > before)
    with pytest.raises(Exception, match="runs already"):
        again.start()
    again.cancel.click()
    wait(lambda: status_of(run).phase is Phase.CANCELLED and not requests.is_held(run))
    wait(lambda: again.note.value == "Cancelled; no model was changed.")
    assert not again.bar.isVisible() and get_model("own").card.version == "1"
    assert not again.cancel.isVisibleTo(again) and again.pause.isVisibleTo(again)  # it could be continued


def test_rollback_is_a_click(panel, tmp_path):
    section = panel.cases.finetune
    assert not section.rollback.isVisibleTo(section)  # it was not tuned
    model = own_model(tmp_path, "2")
    card = model.card.model_copy(update={"tuned": Tuning(parent="own")})
    model.weights.with_suffix(".toml").write_text(card.to_toml(), encoding="utf-8")
    section.list_models()
    assert section.rollback.isVisibleTo(section) and "to version 1" in section.rollback.toolTip()
    section.rollback.click()
    assert get_model("own").card.version == "1" and "Version 1 of own is in use" in section.note.value


def test_without_corrected_cases_it_says_what_to_do(new_panel, complaints):
    _, panel = new_panel()
    panel.cases.finetune.begin.click()
    assert "folder of cases" in complaints[-1]
