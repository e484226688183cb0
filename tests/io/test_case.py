"""From a case to a scan: roles, the reference, channels on other grids. Oracle: SimpleITK."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from napari_tumorseg import io
from napari_tumorseg.errors import ChoiceNeededError, GeometryError, InputError
from napari_tumorseg.geometry import AxisOrder, Grid
from napari_tumorseg.io.case import Case, Mask, bring, pick_case
from napari_tumorseg.regions import CONVENTIONS, region_mask
from napari_tumorseg.scan import Image, Role
from tests.nifti_files import affine_of, asymmetric, labels_like, orientations

ALL = list(orientations())
LPS = ("L", "P", "S")


def image(
    name: str = "flair", role: Role = Role.FLAIR, data: np.ndarray | None = None, grid: Grid | None = None
) -> Image:
    data = asymmetric() if data is None else data
    return Image(name, role, data, grid or Grid.from_file(data.shape[::-1], affine_of(LPS)))


def shifted(millimetres: float, shape: tuple[int, int, int] = (7, 6, 5)) -> Grid:
    affine = affine_of(LPS)
    affine[0, 3] += millimetres
    return Grid.from_file(shape, affine)


# --- masks -------------------------------------------------------------------------------------


def mask(values: tuple[int, ...], convention: str | None = None) -> Mask:
    labels = labels_like((3, 4, 5), values)
    return Mask(
        "a_seg", labels, Grid.from_codes(labels.shape), CONVENTIONS[convention] if convention else None
    )


def test_convention_named_known_or_the_only_one() -> None:
    assert mask((0, 1)).segmentation().convention.name == "binary"
    assert mask((0, 1, 2, 3), "msd").segmentation().convention.name == "msd"
    assert mask((0, 1, 2, 3), "msd").segmentation("brats-2023").convention.name == "brats-2023"
    with pytest.raises(ChoiceNeededError, match="a_seg"):
        mask((0, 1, 2, 3)).segmentation()


@pytest.mark.parametrize(("known", "named"), [("msd", None), (None, "msd"), ("brats-2015", "msd")])
def test_labels_that_the_convention_has_not(known: str | None, named: str | None) -> None:
    with pytest.raises(InputError, match=r"labels \[4\], which msd does not have"):
        mask((0, 1, 4), known).segmentation(named)


# --- the reference -----------------------------------------------------------------------------


def test_flair_is_the_reference_unless_another_is_named() -> None:
    case = Case("c", (image("a", Role.OTHER), image("b", Role.T1C), image("c", Role.FLAIR)))
    assert case.reference().name == "c"
    for wanted in ("t1c", "T1C", "b"):
        assert case.reference(wanted).name == "b"
    assert [i.name for i in case.scan("t1c")] == ["b", "a", "c"]
    with pytest.raises(InputError, match=r"no image 't2' to be the reference; it has a \(other\)"):
        case.reference("t2")
    assert replace(case, images=case.images[:2]).reference().name == "b"


def test_roles_set_anew() -> None:
    case = Case("c", (image("a", Role.OTHER),))
    assert case.with_roles({"a": Role.T2}).images[0].role is Role.T2
    with pytest.raises(InputError, match="no image 'b'; it has a"):
        case.with_roles({"b": Role.T2})
    with pytest.raises(InputError, match="cannot be taken as a brain mask"):
        case.with_roles({"a": Role.BRAIN_MASK})


def test_a_role_taken_twice() -> None:
    case = Case("c", (image("a", Role.T1), image("b", Role.T1)))
    with pytest.raises(ChoiceNeededError, match="2 images that look like t1: a, b"):
        case.scan()
    assert len(Case("c", (image("a", Role.OTHER), image("b", Role.OTHER))).scan().images) == 2


def test_which_case() -> None:
    here = Path("here")
    assert pick_case(["a"], None, here) == "a"
    assert pick_case(["a", "b"], "b", here) == "b"
    with pytest.raises(ChoiceNeededError, match=r"here holds 9 cases \(0, 1, 2, 3, 4, \.\.\.\)"):
        pick_case([str(n) for n in range(9)], None, here)
    with pytest.raises(InputError, match="no case 'c'; it holds a, b"):
        pick_case(["a", "b"], "c", here)


def test_an_accent_of_a_name_may_be_a_character_of_its_own() -> None:
    """Names that macOS has written are not equal, character by character, to what a keyboard types."""
    composed, apart = "M\u00fcller", "Mu\u0308ller"
    for names, wanted in (
        ([apart, "b"], composed),
        ([composed, "b"], apart),
        ([f"x/{apart}", "b"], composed),
    ):
        assert pick_case(names, wanted, Path("here")) == names[0]
    assert pick_case([composed, apart], apart, Path("here")) == apart


# --- other grids -------------------------------------------------------------------------------


def test_one_space_is_taken_as_it_is() -> None:
    base, other = image(), image("t1", Role.T1, grid=shifted(0.01))
    found = bring(other, base)
    assert found.grid is base.grid
    assert found.data is other.data
    assert not found.note


@pytest.mark.parametrize("codes", ALL[::7], ids="".join)
def test_equal_shape_with_another_affine_is_refused(codes: tuple[str, str, str]) -> None:
    """One file array under two headers, such as RAS said over LPS data."""
    array = asymmetric((7, 6, 5))
    base_grid = Grid.from_file(array.shape, affine_of(LPS))
    other_grid = Grid.from_file(array.shape, affine_of(codes, (1, 1, 1.5)))
    base = image(data=base_grid.file_layout.axis_order.apply(array), grid=base_grid)  # type: ignore[union-attr]
    other = image("t1", data=other_grid.file_layout.axis_order.apply(array), grid=other_grid)  # type: ignore[union-attr]
    with pytest.raises(GeometryError, match=r"equal shape .* but another affine"):
        bring(other, base)
    found = bring(other, base, same_voxels=True)
    np.testing.assert_array_equal(found.data, base.data)
    assert found.grid is base.grid
    assert "its own affine being ignored" in found.note


def test_boxes_that_hardly_overlap_are_refused() -> None:
    base = image(data=asymmetric((10, 10, 10)))
    with pytest.raises(GeometryError, match="overlap by only 33%"):
        bring(image("t1", data=asymmetric((10, 10, 9)), grid=shifted(6, (9, 10, 10))), base)
    with pytest.raises(GeometryError, match="overlap by only 0%"):
        bring(image("t1", data=asymmetric((10, 10, 9)), grid=shifted(600, (9, 10, 10))), base)


def test_unknown_units_need_equal_shapes() -> None:
    base = image()
    same = image("t1", grid=Grid.from_codes((7, 6, 5), LPS))
    np.testing.assert_array_equal(bring(same, base).data, same.data)
    with pytest.raises(GeometryError, match="without voxel sizes they cannot be aligned"):
        bring(image("t1", data=asymmetric((4, 6, 7)), grid=Grid.from_codes((7, 6, 4), LPS)), base)


def test_resampling_keeps_linear_ramps() -> None:
    """A linear image is linear on any grid, whatever the codes, spacing and tilt."""
    source = Grid.from_file((40, 42, 44), affine_of(("R", "A", "S"), (1, 1, 1)))
    target = Grid.from_file((12, 14, 8), affine_of(LPS, (1.5, 1.2, 2), tilt=9))
    centre = source.to_world((np.array(source.shape) - 1) / 2) - target.to_world(
        (np.array(target.shape) - 1) / 2
    )
    move = np.eye(4)
    move[:3, 3] = centre
    target = Grid(target.shape, move @ target.affine)
    slope = np.array([3.0, -2, 0.5])

    def ramp(grid: Grid) -> np.ndarray:
        return grid.to_world(np.stack(np.indices(grid.shape), axis=-1)) @ slope

    found = bring(Image("t1", Role.T1, ramp(source), source), Image("f", Role.FLAIR, ramp(target), target))
    np.testing.assert_allclose(found.data, ramp(target), atol=1e-3)
    assert found.data.dtype == np.float32
    assert "resampled onto the grid of flair, its slices being tilted" in found.note


def test_no_slice_is_lost_at_the_edge() -> None:
    """Rounding puts the outermost slice a hair outside of the source: it must not become background."""
    for tilt in (0.0, 5.0, 17.0, 33.0):
        affine = affine_of(LPS, (0.9, 0.9, 5.5), tilt)
        finer = affine.copy()
        finer[:3, 0] /= 2
        data = np.full((4, 8, 9), 100.0)
        data[0, 0, 0] = 0  # background
        base = Image("f", Role.FLAIR, np.zeros((4, 8, 17)), Grid.from_file((17, 8, 4), finer))
        found = bring(Image("t1", Role.T1, data, Grid.from_file((9, 8, 4), affine)), base)
        np.testing.assert_allclose(found.data[1:], 100, rtol=1e-5)


def test_a_voxel_that_is_no_number_stays_alone() -> None:
    data = np.full((6, 7, 8), 100.0)
    data[0, 0, 0], data[3, 3, 3] = 0, np.nan
    base = image(data=asymmetric((7, 7, 8)), grid=Grid.from_file((8, 7, 7), affine_of(LPS)))
    found = bring(image("t1", data=data), base)
    assert np.all(np.isfinite(found.data))
    assert found.data[1:3].min() == pytest.approx(100)


def test_masks_take_the_nearest_voxel() -> None:
    labels = labels_like((6, 7, 8), (0, 1, 2, 4))
    base = image(data=np.zeros((9, 7, 8)), grid=Grid.from_file((8, 7, 9), affine_of(LPS, (1, 1, 0.6))))
    found = bring(image("m", Role.BRAIN_MASK, labels), base, nearest=True)
    assert found.data.dtype == np.uint8
    assert set(np.unique(found.data)) <= {0, 1, 2, 4}
    np.testing.assert_array_equal(found.data[0], labels[0])


def itk_of(image: Image) -> SimpleITK.Image:
    """Return an image for ITK, its geometry taken from the affine of its canonical grid."""
    found = SimpleITK.GetImageFromArray(np.ascontiguousarray(image.data, dtype=np.float32))
    lps = np.diag([-1.0, -1, 1]) @ image.grid.affine[:3, [2, 1, 0]]
    spacing = np.linalg.norm(lps, axis=0)
    found.SetSpacing(spacing.tolist())
    found.SetDirection((lps / spacing).ravel().tolist())
    found.SetOrigin((np.diag([-1.0, -1, 1]) @ image.grid.affine[:3, 3]).tolist())
    return found


def test_real_native_case(shared_data: Path) -> None:
    case = io.open_case(shared_data / "brats" / "TCGA-FG-6692" / "native")
    grids = [image.grid for image in case.images]
    assert len({grid.shape for grid in grids}) == 3  # T1 and T1c agree in shape
    assert {str(i.role): int(i.grid.obliquity_degrees) for i in case.images} == {
        "flair": 16, "t2": 16, "t1": 5, "t1c": 5,
    }  # fmt: skip
    scan = case.scan()
    assert scan.reference.role is Role.FLAIR
    base = itk_of(scan.reference)
    for role in (Role.T1, Role.T1C, Role.T2):
        (original,) = (i for i in case.images if i.role is role)
        found = scan.roles[role]
        assert found.data.shape == scan.grid.shape
        assert found.note.startswith("resampled onto the grid of flair")
        assert ("tilted" in found.note) == (role is not Role.T2)
        sampled = SimpleITK.GetArrayFromImage(
            SimpleITK.Resample(itk_of(original), base, SimpleITK.Transform(), SimpleITK.sitkLinear, -1.0)
        )
        # ITK stops at the edge, where we blend with the background
        index = scan.grid.to_world(np.stack(np.indices(scan.grid.shape), axis=-1))
        at = (index - original.grid.affine[:3, 3]) @ np.linalg.inv(original.grid.affine[:3, :3]).T
        inside = np.all((at >= 0.01) & (at <= np.array(original.grid.shape) - 1.01), axis=-1)
        assert inside.mean() > 0.5
        np.testing.assert_allclose(found.data[inside], sampled[inside], atol=0.01 * original.data.max())
        assert np.abs(found.data[inside] - sampled[inside]).mean() < 1e-3 * original.data.max()
    assert len(scan.warnings) == 3


def test_real_msd_label_against_its_brats_case(shared_data: Path) -> None:
    """One tumour stored RAS and LPS: index for index the same once canonical, but in two worlds."""
    brats = io.open_case(shared_data / "brats" / "brats_2013_pat0001_1")
    expert = brats.masks[0].segmentation()
    msd = io.read_mask(shared_data / "brats" / "MSD_BRATS_001_label.nii.gz", "msd")
    for region in ("WT", "TC", "ET"):
        np.testing.assert_array_equal(
            region_mask(msd.labels, msd.convention.regions[region]),
            region_mask(expert.labels, expert.convention.regions[region]),
        )
    label = Image("label", Role.OTHER, msd.labels, msd.grid, msd.source)
    with pytest.raises(GeometryError, match="another affine"):
        bring(label, brats.reference())


def test_real_mask_whose_header_was_lost(shared_data: Path) -> None:
    case = io.open_case(shared_data / "brats" / "BraTS-GLI-00001-000")
    (lost,) = (m for m in case.masks if m.name.endswith("mapped"))
    layer = Image(lost.name, Role.OTHER, lost.labels, lost.grid, lost.source)
    with pytest.raises(GeometryError, match=r"seg-BraTS23_1_mapped.*equal shape"):
        bring(layer, case.reference())
    found = bring(layer, case.reference(), same_voxels=True)
    assert lost.source is not None
    stored = np.asarray(nib.load(lost.source).dataobj)
    view = case.reference().grid.file_layout.axis_order  # type: ignore[union-attr]
    assert view != AxisOrder()
    np.testing.assert_array_equal(found.data, view.apply(stored))
    (right,) = (m for m in case.masks if m.name == "seg-BraTS23_1")
    np.testing.assert_array_equal(found.data > 0, right.labels > 0)  # so the voxels did match
