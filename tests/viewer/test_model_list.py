"""Models that appear while the window is open."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.builders import card_of, save_model, threshold_net
from tests.viewer.conftest import NEEDS_SCREEN

pytestmark = NEEDS_SCREEN


def names(panel) -> list[str]:
    return list(panel.model.chooser.choices)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's folder of models, which does not exist yet."""
    folder = tmp_path / "user" / "models"
    monkeypatch.setenv("TUMORSEG_MODELS", str(folder))
    return folder


@pytest.mark.parametrize("inner", ["", "mine"])
def test_a_model_that_is_added_and_removed(folder, inner, tmp_path, new_panel, wait):
    _, panel = new_panel()
    assert "tiny" not in names(panel)
    save_model(tmp_path / "made", threshold_net([0], [300.0]), card_of())
    (folder / inner).mkdir(parents=True)
    for file in sorted((tmp_path / "made").iterdir()):
        shutil.copy(file, folder / inner)
    wait(lambda: "tiny" in names(panel))
    panel.model.chooser.value = "tiny"
    assert panel.model.model.weights.parent == folder / inner
    shutil.rmtree(folder)
    wait(lambda: "tiny" not in names(panel))
    assert panel.model.model is None


def test_the_choice_stays_when_another_model_is_added(folder, tmp_path, new_panel, wait):
    _, panel = new_panel()
    panel.model.chooser.value = "lgg-flair"
    save_model(folder, threshold_net([0], [300.0]), card_of())
    wait(lambda: "tiny" in names(panel))
    assert panel.model.chooser.value == "lgg-flair"
