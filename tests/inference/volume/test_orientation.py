"""Axes of a network against canonical ones."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from napari_tumorseg.geometry import Grid
from napari_tumorseg.inference.volume.orientation import Orientation
from napari_tumorseg.models.windows import Windows

AXES = ["".join(a) for order in permutations(["SI", "PA", "LR"]) for a in product(*order)][::3]


@pytest.mark.parametrize("axes", AXES)
def test_axes_run_where_they_are_said_to(axes: str) -> None:
    canonical = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    orientation = Orientation.of(Windows(patch=(8, 8, 8), axes=tuple(axes)))
    found = orientation.to_network(canonical)
    grid = Grid.from_codes(found.shape[1:], tuple(axes))
    np.testing.assert_array_equal(grid.file_layout.axis_order.apply(found[0]), canonical[0])
    np.testing.assert_array_equal(orientation.to_canonical(found), canonical)


@pytest.mark.parametrize("axes", AXES)
def test_a_window_lies_at_the_same_voxels(axes: str) -> None:
    canonical = np.arange(5 * 6 * 7).reshape(5, 6, 7)
    orientation = Orientation.of(Windows(patch=(8, 8, 8), axes=tuple(axes)))
    found = orientation.to_network(canonical)
    starts, sides = (1, 0, 2), (2, 3, 2)
    window = found[tuple(slice(a, a + n) for a, n in zip(starts, sides, strict=True))]
    place = orientation.restore_starts(starts, sides, found.shape)
    back = orientation.to_canonical(window)
    box = tuple(slice(a, a + n) for a, n in zip(place, back.shape, strict=True))
    np.testing.assert_array_equal(canonical[box], back)
    assert orientation.restore(orientation.reorder((5, 6, 7))) == (5, 6, 7)
