"""Views, grids and boxes. Oracle: nibabel's own orientation code."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import AxisOrder, Grid, bounding_box
from tests.nifti_files import SHAPE, affine_of, asymmetric, orientations

ALL = list(orientations())
ANGLES = st.floats(-40, 40)
SIZES = st.floats(0.2, 8)


def test_there_are_48_orientations() -> None:
    assert len(set(ALL)) == 48


@pytest.mark.parametrize("codes", ALL, ids="".join)
def test_view_is_what_nibabel_does(codes: tuple[str, str, str]) -> None:
    array = asymmetric()
    view = AxisOrder.from_affine(affine_of(codes))
    step = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(codes), nib.orientations.axcodes2ornt(("S", "P", "L"))
    )
    canonical = view.apply(array)
    np.testing.assert_array_equal(canonical, nib.orientations.apply_orientation(array, step))
    np.testing.assert_array_equal(view.undo(canonical), array)
    assert np.shares_memory(canonical, array)


@given(
    codes=st.sampled_from(ALL),
    spacing=st.tuples(SIZES, SIZES, SIZES),
    tilt=ANGLES,
    shear=st.floats(-0.2, 0.2),
    index=st.tuples(*(st.integers(0, n - 1) for n in SHAPE)),
)
def test_voxels_stay_where_they_are(
    codes: tuple[str, str, str],
    spacing: tuple[float, float, float],
    tilt: float,
    shear: float,
    index: tuple[int, int, int],
) -> None:
    affine = affine_of(codes, spacing, tilt, shear)
    array = asymmetric()
    grid = Grid.from_file(array.shape, affine)
    assert grid.file_layout is not None
    canonical = grid.file_layout.axis_order.apply(array)
    assert canonical.shape == grid.shape
    (file_index,) = np.argwhere(
        array == canonical[tuple(min(i, n - 1) for i, n in zip(index, grid.shape, strict=True))]
    )
    (place,) = np.argwhere(canonical == array[tuple(file_index)])
    np.testing.assert_allclose(grid.to_world(place), (affine @ [*file_index, 1])[:3], atol=1e-9)
    np.testing.assert_array_equal(grid.to_file_order(canonical), array)
    np.testing.assert_allclose(grid.voxel_volume_mm3, abs(np.linalg.det(affine[:3, :3])))
    # each axis runs along its own axis of the body more than against it
    if abs(tilt) < 30:
        assert np.all(np.diag(grid.directions) > 0)


def test_shear_is_in_the_volume_not_in_the_zooms() -> None:
    affine = np.eye(4)
    affine[0, 1] = 1  # the second axis is sqrt(2) long, the voxel still 1 mm3
    grid = Grid.from_file((3, 3, 3), affine)
    assert grid.voxel_volume_mm3 == pytest.approx(1)
    assert np.prod(grid.spacing) == pytest.approx(np.sqrt(2))


def test_spacing_follows_the_axes() -> None:
    grid = Grid.from_file((7, 6, 5), affine_of(("R", "A", "S"), (0.5, 0.75, 5.5), tilt=12))
    assert grid.shape == (5, 6, 7)
    assert grid.spacing == pytest.approx((5.5, 0.75, 0.5))
    assert grid.spacing_mm == pytest.approx(grid.spacing)
    assert grid.voxel_volume_mm3 == pytest.approx(0.5 * 0.75 * 5.5)


def test_obliquity() -> None:
    assert Grid.from_codes((4, 4, 4)).obliquity_degrees == 0
    affine = np.eye(4)
    c, s = np.cos(0.3), np.sin(0.3)
    affine[1:3, 1:3] = [[c, -s], [s, c]]
    assert Grid.from_file((4, 4, 4), affine).obliquity_degrees == pytest.approx(np.degrees(0.3))


@pytest.mark.parametrize("codes", ALL, ids="".join)
def test_grid_without_an_affine(codes: tuple[str, str, str]) -> None:
    grid = Grid.from_codes(SHAPE, codes)
    assert grid.unit == "unknown"
    assert grid.spacing_mm is None
    assert grid.voxel_volume_mm3 is None
    np.testing.assert_array_equal(grid.directions, np.eye(3))
    np.testing.assert_array_equal(grid.origin_spl, 0)
    assert nib.aff2axcodes(grid.file_layout.affine) == codes  # type: ignore[union-attr]


def test_codes_with_a_spacing_along_file_axes() -> None:
    grid = Grid.from_codes((7, 6, 5), ("R", "A", "S"), (0.5, 0.75, 5.5))
    assert grid.unit == "mm"
    assert grid.spacing == (5.5, 0.75, 0.5)


def test_a_stated_spacing_goes_to_the_file_affine_too() -> None:
    grid = Grid.from_codes((7, 6, 5), ("R", "A", "S")).with_spacing((5.5, 0.75, 0.5))
    assert grid.spacing_mm == pytest.approx((5.5, 0.75, 0.5))
    assert grid.file_layout is not None
    np.testing.assert_allclose(nib.affines.voxel_sizes(grid.file_layout.affine), (0.5, 0.75, 5.5))
    assert nib.aff2axcodes(grid.file_layout.affine) == ("R", "A", "S")
    assert Grid((2, 2, 2), np.eye(4)).with_spacing((3, 2, 1)).file_layout is None


@pytest.mark.parametrize(
    "spacing", [(0, 1, 1), (1, -1, 1), (1, 1), (1, 1, float("nan")), (float("inf"), 1, 1), ()]
)
def test_a_spacing_that_is_none(spacing: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="three positive numbers"):
        Grid.from_codes((2, 2, 2)).with_spacing(spacing)


def test_same_space_allows_rounding_only() -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 5), tilt=17)
    grid = Grid.from_file((100, 100, 20), affine)
    near, far = affine.copy(), affine.copy()
    near[:3, 3] += 0.02
    far[:3, 3] += 0.3
    assert grid.same_space(Grid.from_file((100, 100, 20), near))
    assert not grid.same_space(Grid.from_file((100, 100, 20), far))
    assert not grid.same_space(Grid.from_file((100, 100, 21), affine))


def test_same_space_whatever_the_order_of_axes() -> None:
    grid = Grid.from_file((7, 6, 5), affine_of(("R", "A", "S")))
    step = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(("R", "A", "S")), nib.orientations.axcodes2ornt(("P", "I", "L"))
    )
    image = nib.Nifti1Image(np.zeros((7, 6, 5), np.uint8), affine_of(("R", "A", "S"))).as_reoriented(step)
    other = Grid.from_file(image.shape, image.affine)
    assert image.shape != (7, 6, 5)
    assert grid.same_space(other)


def test_parallel() -> None:
    one = Grid.from_file((5, 5, 5), affine_of(("L", "P", "S"), tilt=5))
    assert one.is_parallel(Grid.from_file((9, 9, 9), affine_of(("R", "A", "S"), (2, 3, 4), tilt=5)))
    assert not one.is_parallel(Grid.from_file((5, 5, 5), affine_of(("L", "P", "S"), tilt=6)))


def test_overlap_is_the_share_of_the_smaller_box() -> None:
    big = Grid((10, 10, 10), np.eye(4))
    shifted = np.eye(4)
    shifted[0, 3] = 8  # 2 of 10 slices are left
    assert big.overlap(big) == pytest.approx(1)
    assert big.overlap(Grid((10, 10, 4), shifted)) == pytest.approx(0.2)
    away = np.eye(4)
    away[0, 3] = 100
    assert big.overlap(Grid((10, 10, 10), away)) == 0
    inside = np.eye(4)
    inside[:3, 3] = 2
    assert big.overlap(Grid((3, 3, 3), inside)) == pytest.approx(1)


def test_an_array_of_another_shape_is_not_on_the_grid() -> None:
    with pytest.raises(ValueError, match="not on a grid"):
        Grid((2, 3, 4), np.eye(4)).to_file_order(np.zeros((4, 3, 2)))


@given(st.data())
def test_bounding_box_encloses_all_and_no_more(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    bits = data.draw(st.lists(st.booleans(), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    mask = np.array(bits).reshape(shape)
    box = bounding_box(mask)
    if box is None:
        assert not mask.any()
        return
    where = np.argwhere(mask)
    assert [(s.start, s.stop) for s in box] == list(
        zip(where.min(axis=0).tolist(), (where.max(axis=0) + 1).tolist(), strict=True)
    )


def test_slice_names_outlive_a_stated_spacing() -> None:
    grid = Grid.from_codes((2, 3, 4)).with_slice_names(["X_5", "X_6"])
    stated = grid.with_spacing((5, 1, 1))
    assert stated.file_layout is not None
    assert stated.file_layout.slice_names == ("X_5", "X_6")
    with pytest.raises(ValueError, match="3 names"):
        grid.with_slice_names(["a", "b", "c"])


def test_volumes_in_millilitres():
    grid = Grid.from_codes((2, 3, 4), "SPL", (5.0, 1.0, 2.0))
    assert grid.volume_ml(150) == pytest.approx(1.5)
    assert grid.volume_ml(-150) == pytest.approx(-1.5)
    assert Grid.from_codes((2, 3, 4), "SPL").volume_ml(150) is None
