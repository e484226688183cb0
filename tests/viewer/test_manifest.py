from __future__ import annotations

from pathlib import Path

import pytest
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

import napari_tumorseg

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = Path(napari_tumorseg.__file__).with_name("napari.yaml")


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(MANIFEST)


def test_the_manifest_is_valid(manifest):
    manifest.validate_imports()
    assert manifest.name == "napari-tumorseg"


def test_the_top_level_file_is_a_link_to_it():
    assert (ROOT / "napari.yaml").resolve() == MANIFEST.resolve()


def test_every_command_leads_somewhere(manifest):
    for command in manifest.contributions.commands:
        assert callable(import_python_name(command.python_name))


def test_the_panel_is_in_the_plugins_and_the_layers_menu(manifest):
    (widget,) = manifest.contributions.widgets
    menu = manifest.contributions.menus["napari/layers/segment"]
    assert [item.command for item in menu] == [widget.command]


def test_writers_cover_the_formats_with_the_longest_suffix_too(manifest):
    endings = {e for writer in manifest.contributions.writers for e in writer.filename_extensions}
    assert {".nii", ".nii.gz", ".tif", ".tiff", ".h5", ".hdf5", ".dcm"} == endings


@pytest.mark.parametrize("kind", ["brats", "lgg", "hdf5"])
def test_the_samples_open(manifest, kind):
    (sample,) = [s for s in manifest.contributions.sample_data if s.key == kind]
    command = next(c for c in manifest.contributions.commands if c.id == sample.command)
    layers = import_python_name(command.python_name)()
    kinds = [data[2] for data in layers]
    assert kinds.count("labels") == 1
    assert kinds.count("image") == (3 if kind == "lgg" else 4)
