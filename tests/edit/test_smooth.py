from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_tumorseg.edit import smooth, smooth_median
from tests.edit.shapes import SPACINGS, after, blob


def test_smoothing_takes_spurs_and_fills_dents():
    labels = np.zeros((15, 21, 21), np.uint8)
    labels[3:12, 4:17, 4:17] = 1
    labels[7, 10, 17:20] = 1  # a spur
    labels[7, 10, 4:6] = 0  # a dent
    for change in (smooth(labels, 1, 1, (1, 1, 1)), smooth_median(labels, 1)):
        out = after(labels, change)
        assert not out[7, 10, 18:].any() and out[7, 10, 5]
        assert out.sum() == pytest.approx(labels.sum(), rel=0.15)
        assert set(np.unique(out)) == {0, 1}


def test_smoothing_equals_scipy_on_the_whole_array():
    for spacing in SPACINGS:
        labels = blob(3, 0.3)
        sigma = [1.2 / s for s in spacing]
        whole = ndimage.gaussian_filter(labels.astype(np.float32), sigma, mode="nearest", truncate=3)
        assert np.array_equal(after(labels, smooth(labels, 1, 1.2, spacing)), whole >= 0.5)


def test_smoothing_inside_a_tumour_leaves_no_hole_and_spares():
    labels = np.zeros((15, 25, 25), np.uint8)
    labels[2:13, 3:22, 3:22] = 2
    labels[5:10, 8:17, 8:17] = 4
    labels[7, 12, 17:21] = 4  # a spur into the oedema
    labels[7, 10, 8] = 1  # a dent of another label
    out = after(labels, smooth(labels, 4, 1, (1, 1, 1), into=(0, 2)))
    assert np.array_equal(out > 0, labels > 0)
    assert out[7, 12, 20] == 2 and out[7, 10, 8] == 1
    assert np.array_equal(out == 1, labels == 1)
