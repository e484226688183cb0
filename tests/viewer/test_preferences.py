"""Preferences: in the manifest, read with napari's own settings, used by the panel."""

from __future__ import annotations

from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_tumorseg
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.viewer import preferences as module
from napari_tumorseg.viewer.layers.colours import colour_of
from napari_tumorseg.viewer.preferences import BRATS, COLOUR_BLIND, Preferences, preferences
from tests.viewer.conftest import NEEDS_SCREEN

MANIFEST = Path(napari_tumorseg.__file__).with_name("napari.yaml")


@pytest.fixture
def settings(plugin_settings, npe2pm):
    from napari.settings import get_plugin_settings

    npe2pm.register(PluginManifest.from_file(MANIFEST))
    return get_plugin_settings("napari-tumorseg")


def test_the_defaults_of_the_manifest_are_those_of_the_code(settings):
    assert preferences() == Preferences()


def test_what_is_set_is_kept_in_a_file_and_read(settings):
    settings.segmentation.model = "brats-regions"
    settings.segmentation.device = "cpu"
    settings.editing.colours = BRATS
    settings.editing.autosave_seconds = 60
    assert preferences() == Preferences("brats-regions", "cpu", BRATS, 60)
    assert "brats-regions" in Path(settings.config_path).read_text()


def test_nonsense_is_refused(settings):
    from pydantic import ValidationError

    for name, value in (("colours", "pink"), ("autosave_seconds", 0), ("autosave_seconds", 1e6)):
        with pytest.raises(ValidationError):
            setattr(settings.editing, name, value)


def test_colours_of_labels_follow(settings):
    convention = CONVENTIONS["brats-2023"]
    assert preferences().colours == COLOUR_BLIND
    assert [colour_of(label) for label in convention.labels] == [label.colour for label in convention.labels]
    settings.editing.colours = BRATS
    assert [colour_of(label) for label in convention.labels] == ["#FF0000", "#00FF00", "#FFFF00"]


def test_without_settings_there_are_defaults(monkeypatch):
    def broken():
        raise KeyError("napari-tumorseg")

    monkeypatch.setattr(module, "_held", broken)
    assert preferences() == Preferences()


@NEEDS_SCREEN
def test_the_panel_starts_with_them(new_panel, monkeypatch, wait):
    from napari_tumorseg.viewer import panel as module_of_panel

    wanted = Preferences("brats-regions", "cpu", COLOUR_BLIND, 42)
    monkeypatch.setattr(module_of_panel, "preferences", lambda: wanted)
    _, panel = new_panel()
    assert panel.model.chooser.value == "brats-regions"
    wait(lambda: panel.options.device.value == "cpu")
    assert panel.safety.autosave.journals._timer.interval() == 42_000


@NEEDS_SCREEN
def test_a_model_that_is_not_there_is_no_error(new_panel, monkeypatch):
    from napari_tumorseg.viewer import panel as module_of_panel

    monkeypatch.setattr(module_of_panel, "preferences", lambda: Preferences(model="gone", device="abacus"))
    _, panel = new_panel()
    assert panel.model.chooser.value == "" and panel.options.device.value == "auto"
