"""Networks of whole volumes (nnU-Net folders, MONAI bundles), added in the panel and run on the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from napari.layers import Image

from napari_tumorseg.importing.nnunet.plans import network_of
from napari_tumorseg.models.architectures import make_network
from napari_tumorseg.viewer.readers import read_layers
from tests.importing.nnunet_folders import plans
from tests.importing.test_monai_bundle import config, own_state, small, write_bundle
from tests.importing.test_nnunet import bare_folder
from tests.viewer.test_window import add

COARSE = [4.0, 4.0, 4.0]
"""Voxels in mm, so that few windows cover a brain."""

VOXEL_ML = 0.002
"""Of the sample, 1 x 1 x 2 mm."""

PATCH = [32, 48, 40]


def nnunet(folder: Path) -> Path:
    made = network_of(plans()["configurations"]["3d_fullres"], 2, 3)
    torch.manual_seed(1)
    net = make_network(made["architecture"], made["arguments"])
    state = net.state_dict()
    for name in (name for name in state if "seg_layers" in name and name.endswith("weight")):
        torch.nn.init.normal_(state[name], std=2.0)
    changes = {"spacing": COARSE, "patch_size": PATCH}
    return bare_folder(folder, configuration=changes, network_weights=state)


def bundle(folder: Path) -> Path:
    steps = [
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": "image", "pixdim": COARSE},
        {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
    ]
    given: dict[str, Any] = config(small(), roi=PATCH, preprocessing={"transforms": steps})
    return write_bundle(folder, own_state(), given)


@pytest.mark.parametrize(("kind", "write"), [("nnunet", nnunet), ("monai", bundle)])
def test_it_is_added_and_run(kind, write, new_panel, brats, wait, tmp_path, monkeypatch):
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    viewer, panel = new_panel()
    add(viewer, read_layers(str(brats)))
    dialog = panel.model.open_import()
    dialog.path.setText(str(write(tmp_path / "tiny")))
    dialog.start()
    wait(lambda: not dialog.isVisible())
    card = panel.model.model.card
    assert (card.origin.kind, card.input.windows.spacing) == (kind, tuple(COARSE))

    wait(lambda: panel.runs.segment.enabled)
    panel.segment()
    layer = panel.segment_page.run.layer
    wait(lambda: not panel.is_running)
    wait(lambda: panel.results.rows and panel.results_layer is layer)
    scan = next(one for one in viewer.layers if isinstance(one, Image))
    assert layer.data.shape == scan.data.shape
    np.testing.assert_allclose(np.asarray(layer.affine), np.asarray(scan.affine))
    np.testing.assert_allclose(layer.scale, scan.scale)

    labels = np.asarray(layer.data)
    assert len(np.unique(labels)) >= 3
    for row in panel.results.rows:
        assert row.voxels == np.count_nonzero(np.isin(labels, row.labels))
        assert row.volume_ml == pytest.approx(row.voxels * VOXEL_ML)
