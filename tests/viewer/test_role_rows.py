"""Rows of the panel that show which layer is which modality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from napari.components import LayerList
from napari.layers import Layer

from napari_tumorseg.scan import Role
from napari_tumorseg.viewer.readers import read_layers
from napari_tumorseg.viewer.segment.input_section import InputSection
from tests.nifti_files import save_nifti


def test_the_files_names_stand_beside_their_roles_with_a_word_on_a_contested_one(
    qtbot: object, tmp_path: Path
) -> None:
    for stem in ("P1_FLAIR", "P1_AXT1POST"):
        save_nifti(tmp_path / "P1" / f"{stem}.nii", np.arange(504, dtype=np.int16).reshape(7, 8, 9))
    layers = LayerList([Layer.create(*layer) for layer in read_layers(str(tmp_path / "P1"))])
    section = InputSection(layers)
    shown = {row.label.text(): row.box.value for row in section._rows if row.layer is not None}
    assert shown == {"FLAIR": Role.FLAIR, "AXT1POST": Role.T1C}
    assert section.note.value == "AXT1POST: T1c because of `post` alone"
    next(row for row in section._rows if row.label.text() == "AXT1POST").box.value = Role.T1
    assert section.note.value == ""
    section.detach()
