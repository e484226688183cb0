"""Nothing of a patient in what the viewer writes: journals, masks, exports, the states of a worklist."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from napari_tumorseg.session import journal_folder
from napari_tumorseg.session.user_folder import state_folder
from napari_tumorseg.session.worklist import STATE_FILE
from napari_tumorseg.viewer.compare.export import ExportContent, write_case
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.readers import read_layers
from napari_tumorseg.viewer.state.conventions import segmentation_of
from napari_tumorseg.viewer.state.saving import save_mask
from tests.privacy.canaries import FOLDER, lgg, nifti, ome, search
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.test_recovery import crash, recovered, segmented
from tests.viewer.test_window import add

pytestmark = NEEDS_SCREEN


def leaks(folder) -> dict[str, list[str]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return {path.name: found for path in files if (found := search(path))}


@pytest.mark.parametrize("make", [nifti, ome, lgg])
def test_journals_and_exports(open_panel, wait, tmp_path, make):
    source = make(tmp_path / "source" / FOLDER)
    viewer, panel = open_panel()
    layer = segmented(viewer, source)
    layer.paint((4, 20, 20), 1)
    panel.safety.autosave.journals.flush()
    assert {p.suffix for p in journal_folder().iterdir()} >= {".journal", ".maps"}
    assert not leaks(journal_folder())
    out = tmp_path / "out"
    out.mkdir()
    seg = segmentation_of(layer, list(viewer.layers))
    for ending in (".nii.gz", ".tif", ".h5"):
        save_mask(seg, out / f"saved{ending.replace('.', '_')}{ending}")
    write_case(out / "case", ExportContent(seg, panel.active_mask.scan()))
    viewer.screenshot(str(out / "canvas.png"), canvas_only=True, flash=False)
    assert len(list((out / "case").iterdir())) == 7
    assert not leaks(out)


def test_corrections_of_a_mask_from_a_file_come_back(open_panel, wait, tmp_path):
    """A journal knows its mask by a hash of the path: the file is found among the open layers."""
    source = nifti(tmp_path / FOLDER)
    viewer, panel = open_panel()
    save_mask(segmentation_of(segmented(viewer, source), list(viewer.layers)), source / "P-01_seg.nii.gz")
    panel.safety.autosave.close()
    viewer, panel = open_panel()
    add(viewer, read_layers(str(source)))
    (layer,) = (x for x in viewer.layers if (o := origin_of(x)) and o.role == "tumour mask")
    viewer.layers.selection.active = layer
    layer.paint((4, 20, 20), 1)
    labels = np.array(layer.data)
    panel.safety.autosave.journals.flush()
    assert not leaks(journal_folder())
    crash(panel)
    _, _, layer = recovered(open_panel, source, wait)
    np.testing.assert_array_equal(layer.data, labels)
    assert origin_of(layer).source == source / "P-01_seg.nii.gz"


def test_only_the_memory_of_the_last_folder_tells_where_it_is(open_panel, wait, tmp_path):
    """It is what *Continue* opens, and lies in the user's own folder, which no other user can read."""
    study = tmp_path / FOLDER
    shutil.copytree(nifti(tmp_path / "source"), study / "P-01")
    shutil.copytree(study / "P-01", study / "P-02")
    _, panel = open_panel()
    panel.cases.open_folder(study, tmp_path / "masks")
    wait(lambda: panel.cases.worklist is not None)
    panel.cases.worklist.set("P-01", "done")
    assert (tmp_path / "masks" / STATE_FILE).is_file()
    assert not leaks(tmp_path / "masks")
    assert set(leaks(state_folder())) <= {"worklist.json"}
    assert not {secret for secret in leaks(state_folder()).get("worklist.json", []) if secret != "zzyzx"}
