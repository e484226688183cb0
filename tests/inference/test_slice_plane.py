"""The plane in which a scan is sliced."""

from __future__ import annotations

import pytest

from napari_tumorseg.geometry import Grid
from napari_tumorseg.inference.slice_plane import PLANES, plane_for, slice_plane_for


@pytest.mark.parametrize(
    ("shape", "spacing", "plane"),
    [
        ((20, 240, 240), (5.0, 1.0, 1.0), "axial"),
        ((240, 20, 240), (1.0, 5.0, 1.0), "coronal"),
        ((240, 240, 20), (1.0, 1.0, 5.0), "sagittal"),
        ((155, 240, 240), (1.0, 1.0, 1.0), "axial"),
        ((155, 240, 240), (1.0, 1.2, 1.0), "axial"),  # hardly thicker
        ((20, 240, 240), None, "axial"),
        ((1, 512, 512), None, "axial"),
        ((256, 1, 256), (1.0, 1.0, 1.0), "coronal"),
        ((256, 256, 1), (1.0, 1.0, 1.0), "sagittal"),
    ],
)
def test_acquired(
    shape: tuple[int, int, int], spacing: tuple[float, float, float] | None, plane: str
) -> None:
    grid = Grid.from_codes(shape, spacing=spacing)
    assert plane_for("acquired", grid) == plane
    assert slice_plane_for("acquired", grid) is PLANES[plane_for("acquired", grid)]


def test_a_plane_that_the_card_states_is_kept() -> None:
    grid = Grid.from_codes((240, 20, 240), spacing=(1.0, 5.0, 1.0))
    assert plane_for("sagittal", grid) == "sagittal"
