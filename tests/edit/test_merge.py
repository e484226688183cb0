from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.edit import merge_rerun
from napari_tumorseg.errors import InputError
from tests.edit.shapes import after

SHAPE = (4, 8, 8)


def test_a_run_again_counts_only_where_it_was_asked_for():
    labels, new = np.full(SHAPE, 1, np.uint8), np.full(SHAPE, 2, np.uint8)
    out = after(labels, merge_rerun(labels, new, 3, axis=2))
    assert (out[:, :, 3] == 2).all() and (np.delete(out, 3, axis=2) == 1).all()
    box = (slice(0, 2), slice(1, 3), slice(1, 4))
    edited = np.zeros(SHAPE, bool)
    edited[0, 1, 1] = True
    out = after(labels, merge_rerun(labels, new[box], box, edited=edited))
    assert out[0, 1, 1] == 1 and (out == 2).sum() == 2 * 2 * 3 - 1
    assert (new == 2).all()
    with pytest.raises(InputError, match="no slice 8"):
        merge_rerun(labels, new, 8, axis=1)
    with pytest.raises(InputError, match="neither"):
        merge_rerun(labels, new[:1], box)
