"""Masks beside the scan whose voxels they have."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer

from napari_tumorseg.viewer.layers.from_layers import same_voxels
from napari_tumorseg.viewer.layers.to_layers import case_layers
from napari_tumorseg.viewer.state.placing import differences_of, lay_on, settle_place
from napari_tumorseg.viewer.widgets import ask
from tests.viewer.conftest import case

TURN = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
MOVE = [[1, 0, 0, 9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def drawn_on_scan(**placement):
    """Return a scan and a mask drawn on it, but for what of its placement is given."""
    viewer = ViewerModel()
    scan = viewer.add_layer(Layer.create(*case_layers(case())[0][0]))
    mask = viewer.add_labels(np.zeros(scan.data.shape, np.uint8), name="drawn")
    lay_on(mask, scan)
    for name, value in placement.items():
        setattr(mask, name, value)
    return viewer, scan, mask


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ({"translate": (7, 0, 0)}, ["lies elsewhere"]),
        ({"scale": (7, 1, 1)}, ["has another voxel size"]),
        ({"scale": (7, 1, 1), "translate": (7, 0, 0)}, ["has another voxel size", "lies elsewhere"]),
        ({"units": ("um", "um", "um")}, ["has another voxel size"]),
        ({"rotate": TURN}, ["is turned"]),
        ({"shear": (0.5, 0, 0)}, ["is distorted"]),
        ({"affine": MOVE}, ["is distorted"]),
    ],
)
def test_the_question_names_what_differs(monkeypatch, placement, expected):
    viewer, scan, mask = drawn_on_scan(**placement)
    assert differences_of(mask, scan) == expected
    assert same_voxels(mask, viewer.layers) is None
    asked = []
    monkeypatch.setattr(ask, "choose", lambda _title, question, options: asked.append(question) or options[0])
    assert settle_place(mask, viewer.layers) == ""
    assert asked == [f"drawn has as many voxels as {scan.name}, but {' and '.join(expected)}."]
    assert same_voxels(mask, viewer.layers) is not None and differences_of(mask, scan) == []


def test_a_mask_without_units_lies_on_the_scan():
    viewer, _, mask = drawn_on_scan(units=("pixel", "pixel", "pixel"))
    assert same_voxels(mask, viewer.layers) is not None
