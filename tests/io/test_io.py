"""The one door: which module reads what, masks in and out with their side files."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from napari_tumorseg import io
from napari_tumorseg.conventions import get_convention
from napari_tumorseg.errors import ChoiceNeededError, GeometryError, InputError, OutputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import nifti
from napari_tumorseg.io.case import place
from napari_tumorseg.regions import CONVENTIONS, LabelConvention
from napari_tumorseg.scan import Role, Segmentation
from tests.nifti_files import affine_of, asymmetric, labels_like, save_nifti, segmentation

SHAPE = (8, 9, 10)


def picture(path: Path) -> Path:
    return save_nifti(path, asymmetric(SHAPE))


# --- what is there -----------------------------------------------------------------------------


def test_names_of_what_can_be_read(tmp_path: Path) -> None:
    for name in ("a.nii", "b.NII.GZ", "c.h5", "d.tif", "e.png"):
        (tmp_path / name).write_bytes(b"x")
        assert io.readable(tmp_path / name)
    for name in ("._a.nii", "a.txt", "a.gz", "nii"):
        (tmp_path / name).write_bytes(b"x")
        assert not io.readable(tmp_path / name)
    assert not io.readable(tmp_path / "none.nii")
    assert not io.readable(tmp_path)


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    for call in (io.list_cases, io.open_case, io.read, io.read_mask):
        with pytest.raises(InputError, match=r"nowhere\.nii does not exist"):
            call(tmp_path / "nowhere.nii")
        with pytest.raises(InputError, match=r"a\.txt is not of a format"):
            call(tmp_path / "a.txt")
        with pytest.raises(InputError, match="holds no file that can be read"):
            call(tmp_path / "empty")
        with pytest.raises(InputError, match="too long"):
            call(tmp_path / ("x" * 300))
        with pytest.raises(InputError):
            call("~no such user/a.nii")
    with pytest.raises(InputError, match="no file or folder was named"):
        io.open_case([])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.nii")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        io.open_case(tmp_path / "a.nii")


def test_a_folder_without_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "A" / "flair.nii")
    picture(tmp_path / "locked" / "flair.nii")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "locked" not in str(path) and access(path, mode))
    assert io.list_cases(tmp_path) == ["A"]

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        io.list_cases(tmp_path)


def test_a_name_as_text_and_a_list_of_one(tmp_path: Path) -> None:
    path = picture(tmp_path / "x_flair.nii")
    for paths in (str(path), path, [path], (str(path),)):
        assert io.open_case(paths).name == "x"
    assert io.list_cases(path) == ["x"]


def test_files_named_one_by_one(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"p1_{m}.nii.gz") for m in ("t1c", "flair")]
    paths.append(save_nifti(tmp_path / "p1_seg.nii.gz", labels_like(SHAPE, (0, 1))))
    case = io.open_case(paths)
    assert case.name == "p1"
    assert [str(i.role) for i in case.images] == ["t1c", "flair"]
    assert len(case.masks) == 1
    assert io.read(paths).reference.role is Role.FLAIR
    assert io.read(paths, reference="t1c").reference.role is Role.T1C
    with pytest.raises(InputError, match="does not exist"):
        io.open_case([*paths, tmp_path / "none.nii"])


def test_files_of_one_name(tmp_path: Path) -> None:
    paths = [picture(tmp_path / "old" / "flair.nii"), picture(tmp_path / "new" / "flair.nii.gz")]
    names = [image.name for image in io.open_case(paths).images]
    assert names == ["old/flair.nii", "new/flair.nii.gz"]
    with pytest.raises(ChoiceNeededError, match=r"old/flair\.nii, new/flair\.nii\.gz"):
        io.read(paths)
    assert io.read(paths, roles={names[0]: Role.OTHER}).reference.name == names[1]
    four = [save_nifti(tmp_path / f"{n}.nii", np.stack([asymmetric(SHAPE)] * 2, axis=-1)) for n in "ab"]
    assert len({image.name for image in io.open_case(four).images}) == 4


def test_files_of_several_formats(tmp_path: Path) -> None:
    seg = segmentation(Grid.from_codes(SHAPE), "binary")
    flair = picture(tmp_path / "flair.nii")
    io.write_mask(seg, tmp_path / "a_seg.tif")
    case = io.open_case([flair, tmp_path / "a_seg.tif"])
    assert case.layout == "several files"
    assert len(case.images) == 1
    assert len(case.masks) == 1
    with pytest.raises(InputError, match="a folder among them"):
        io.open_case([flair, tmp_path])


def test_roles_against_the_names(tmp_path: Path) -> None:
    picture(tmp_path / "one.nii")
    assert set(io.read(tmp_path, roles={"one": Role.T2}).roles) == {Role.T2}
    with pytest.raises(InputError, match="no image 'two'"):
        io.open_case(tmp_path, roles={"two": Role.T2})


def test_a_spacing_that_is_stated(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "flair.tif", asymmetric(SHAPE), photometric="minisblack")
    assert io.read(tmp_path, spacing=(5, 1, 1)).grid.spacing_mm == pytest.approx((5, 1, 1))
    with pytest.raises(InputError, match="three positive numbers"):
        io.read(tmp_path, spacing=(5, 0, 1))


def test_same_voxels_is_passed_on(tmp_path: Path) -> None:
    picture(tmp_path / "flair.nii")
    save_nifti(tmp_path / "t1c.nii", asymmetric(SHAPE), affine_of(("R", "A", "S")))
    with pytest.raises(InputError, match="another affine"):
        io.read(tmp_path)
    flair, t1c = io.read(tmp_path, same_voxels=True)
    np.testing.assert_array_equal(flair.data, t1c.data)


# --- masks -------------------------------------------------------------------------------------

ENDINGS = (".nii", ".nii.gz", ".tif", ".tiff", ".h5", ".hdf5", ".NII.GZ")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("convention", ["binary", "brats-2021", "msd"])
def test_a_mask_and_its_side_file(tmp_path: Path, ending: str, convention: str) -> None:
    source = save_nifti(tmp_path / "flair.nii", asymmetric(SHAPE), affine_of(("R", "A", "S"), (1, 1, 3)))
    seg = replace(segmentation(io.read(source).grid, convention), provenance={"model": "m", "sha256": "0f"})
    path = tmp_path / f"ä b_seg{ending}"
    written = io.write_mask(seg, path)
    assert written == [path, tmp_path / "ä b_seg.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["flair.nii", *(p.name for p in written)])
    stated = json.loads(written[1].read_text(encoding="utf-8"))
    assert stated["scheme"] == convention
    assert stated["labels"] == {str(label.value): label.name for label in seg.convention.labels}
    assert (stated["case"], stated["unit"], stated["model"], stated["sha256"]) == ("case", "mm", "m", "0f")

    back = io.read_mask(path)
    assert back.convention is seg.convention  # the side file states it, so there is no question
    np.testing.assert_array_equal(back.labels, seg.labels)
    assert back.source == path


def test_a_mask_for_a_scan_equals_it_index_for_index(tmp_path: Path) -> None:
    affine = affine_of(("A", "I", "L"), (0.9, 5.5, 0.9), tilt=17)
    array = asymmetric(SHAPE)
    source = save_nifti(tmp_path / "flair.nii.gz", array, affine)
    scan = io.read(source)
    seg = replace(segmentation(scan.grid), labels=(scan.reference.data > 1000).astype(np.uint8))
    io.write_mask(seg, tmp_path / "a_seg.nii.gz")
    mask = nib.load(tmp_path / "a_seg.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), array > 1000)
    np.testing.assert_array_equal(mask.affine, nib.load(source).affine)


def test_endings_that_no_mask_is_written_as(tmp_path: Path) -> None:
    seg = segmentation(Grid.from_codes(SHAPE))
    for name in ("a.png", "a.mat", "a", "a.nii.zip"):
        with pytest.raises(OutputError, match="choose such an ending"):
            io.write_mask(seg, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["a_seg.nii.gz", "a_seg.json"])
def test_neither_file_is_replaced_unasked(tmp_path: Path, there: str) -> None:
    seg = segmentation(Grid.from_codes(SHAPE))
    (tmp_path / there).write_text("old")
    with pytest.raises(OutputError, match=f"{there} exists"):
        io.write_mask(seg, tmp_path / "a_seg.nii.gz")
    assert [p.name for p in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "old"
    io.write_mask(seg, tmp_path / "a_seg.nii.gz", overwrite=True)
    np.testing.assert_array_equal(io.read_mask(tmp_path / "a_seg.nii.gz").labels, seg.labels)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".tif", ".h5"])
def test_a_mask_of_another_program_is_not_replaced(tmp_path: Path, ending: str) -> None:
    seg, path = segmentation(Grid.from_codes(SHAPE)), tmp_path / f"a_seg{ending}"
    io.write_mask(seg, path)
    (tmp_path / "a_seg.json").unlink()
    before = path.read_bytes()
    with pytest.raises(OutputError, match="was not written by this program"):
        io.write_mask(seg, path, overwrite=True)
    assert path.read_bytes() == before
    path.unlink()
    (tmp_path / "a_seg.json").write_text('{"EchoTime": 0.1}')
    with pytest.raises(OutputError, match=r"a_seg\.json belongs to something else"):
        io.write_mask(seg, path, overwrite=True)
    assert not path.exists()


@pytest.mark.parametrize("of_earlier_version", [False, True])
def test_a_side_file_of_another_mask_does_not_allow_to_replace(
    tmp_path: Path, of_earlier_version: bool
) -> None:
    """The expert's ``P1_seg.nii`` and our ``P1_seg.nii.gz`` share ``P1_seg.json``."""
    seg, ours, theirs = (
        segmentation(Grid.from_codes(SHAPE)),
        tmp_path / "P1_seg.nii.gz",
        tmp_path / "P1_seg.nii",
    )
    nib.save(nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4)), theirs)
    before = theirs.read_bytes()
    io.write_mask(seg, ours)
    if of_earlier_version:
        forget_files(tmp_path / "P1_seg.json")
    with pytest.raises(OutputError, match=r"P1_seg\.nii was not written by this program"):
        io.write_mask(seg, theirs, overwrite=True)
    assert theirs.read_bytes() == before
    theirs.unlink()
    with pytest.raises(OutputError, match=r"P1_seg\.json belongs to P1_seg\.nii\.gz"):
        io.write_mask(seg, theirs, overwrite=True)
    io.write_mask(seg, ours, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["P1_seg.json", "P1_seg.nii.gz"]


def forget_files(side: Path) -> None:
    """Make a side file as earlier versions wrote it."""
    content = json.loads(side.read_text())
    del content["files"]
    side.write_text(json.dumps(content))


def test_a_mask_corrected_in_another_program_is_not_replaced(tmp_path: Path) -> None:
    seg, path = segmentation(Grid.from_codes(SHAPE)), tmp_path / "a_seg.nii.gz"
    io.write_mask(seg, path)
    found = nib.load(path)
    nib.save(nib.Nifti1Image(np.zeros(found.shape, np.uint8), found.affine), path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"a_seg\.nii\.gz was changed by another program"):
        io.write_mask(seg, path, overwrite=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".tif", ".h5"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_full_disk_leaves_both_files_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, after: int
) -> None:
    seg = segmentation(Grid.from_codes(SHAPE))
    for name in (f"a_seg{ending}", "a_seg.json"):
        (tmp_path / name).write_text("old")
    calls: list[int] = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        io.write_mask(seg, tmp_path / f"a_seg{ending}", overwrite=True)
    kept = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert set(kept) == {f"a_seg{ending}", "a_seg.json"}
    assert set(kept.values()) == {b"old"}


def test_folders_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seg = segmentation(Grid.from_codes(SHAPE))
    with pytest.raises(OutputError, match="does not exist"):
        io.write_mask(seg, tmp_path / "no" / "a_seg.nii")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="cannot be written to"):
        io.write_mask(seg, tmp_path / "a_seg.nii")


def test_side_files() -> None:
    for name in ("x_seg.nii.gz", "x_seg.nii", "x_seg.tif", "x_seg.H5"):
        assert io.side_file(Path("a b") / name) == Path("a b", "x_seg.json")
    assert io.side_file(Path("v1.2_seg.nii.gz")).name == "v1.2_seg.json"


def test_a_mask_that_its_name_does_not_give_away(tmp_path: Path) -> None:
    for name in ("x_flair_abnormality.nii", "result.nii"):
        save_nifti(tmp_path / name, labels_like(SHAPE, (0, 1)))
        seg = io.read_mask(tmp_path / name)
        assert seg.convention.name == "binary"
        assert seg.labels.dtype == np.uint8
        assert seg.labels.sum() == 2


def test_what_holds_no_mask_or_too_many(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no mask"):
        io.read_mask(picture(tmp_path / "flair.nii"))
    for name in ("a_seg", "b_seg"):
        save_nifti(tmp_path / f"{name}.nii", labels_like(SHAPE))
    with pytest.raises(InputError, match="holds 2 masks"):
        io.read_mask(tmp_path)
    with pytest.raises(ChoiceNeededError, match="fit several conventions"):
        io.read_mask(tmp_path / "a_seg.nii")
    assert io.read_mask(tmp_path / "a_seg.nii", "brats-2021").convention.name == "brats-2021"
    with pytest.raises(InputError, match="no label convention"):
        io.read_mask(tmp_path / "a_seg.nii", "nonsense")


def test_the_mask_alone_states_its_unit(tmp_path: Path) -> None:
    seg = segmentation(Grid.from_codes(SHAPE))
    _, side = io.write_mask(seg, tmp_path / "a_seg.nii.gz")
    assert json.loads(side.read_text())["unit"] == "unknown"
    assert io.read_mask(tmp_path / "a_seg.nii.gz").grid.unit == "unknown"
    assert nifti.read_file(tmp_path / "a_seg.nii.gz").warnings == ()


def test_masks_above_case_folders_do_not_hide_them(tmp_path: Path) -> None:
    for patient in ("A", "B"):
        (tmp_path / patient).mkdir()
        picture(tmp_path / patient / "x_flair.nii.gz")
    save_nifti(tmp_path / "all_seg.nii.gz", (asymmetric(SHAPE) > 500).astype(np.uint8))
    (tmp_path / "logo.png").write_bytes(b"not looked at")
    assert io.list_cases(tmp_path) == ["A", "B"]


def test_a_case_two_folders_down_is_named_by_both(tmp_path: Path) -> None:
    for kind in ("native", "stripped"):
        (tmp_path / "P1" / kind).mkdir(parents=True)
        picture(tmp_path / "P1" / kind / "x_flair.nii.gz")
    assert io.list_cases(tmp_path) == ["P1/native", "P1/stripped"]
    assert io.open_case(tmp_path, "P1/native").name == "P1_native"


def test_probabilities_lie_on_the_masks_grid(tmp_path: Path) -> None:
    affine = np.array([[0, 0, 2.0, 3], [1, 0, 0, 4], [0, -3, 0, 5], [0, 0, 0, 1]])
    grid = Grid.from_file((4, 5, 6), affine)
    box = (slice(1, 3), slice(2, 4), slice(0, 2))
    values = np.arange(8, dtype=np.uint8).reshape(2, 2, 2) * 36
    seg = Segmentation(
        np.zeros(grid.shape, np.uint8), grid, CONVENTIONS["binary"], "c", None, {}, {"WT": values}, box
    )
    (written,) = io.write_probabilities(seg, tmp_path)
    assert written.name == "c_prob_WT.nii.gz"
    whole = np.zeros(grid.shape)
    whole[box] = values / 255
    stored = nib.load(written)
    np.testing.assert_allclose(stored.get_fdata(), grid.to_file_order(whole), atol=1e-6)
    np.testing.assert_allclose(stored.affine, affine)
    with pytest.raises(OutputError, match="exists"):
        io.write_probabilities(seg, tmp_path)


def test_lgg_slices_come_with_a_side_file(tmp_path: Path) -> None:
    grid = Grid.from_codes((2, 3, 3))
    labels = np.zeros(grid.shape, np.uint8)
    labels[1, 2, 0] = 1
    written = io.write_lgg(Segmentation(labels, grid, CONVENTIONS["binary"], "P"), tmp_path)
    assert [p.name for p in written] == ["P_1_mask.tif", "P_2_mask.tif", "P_mask.json"]
    assert json.loads(written[-1].read_text())["scheme"] == "binary"
    assert tifffile.imread(written[1])[2, 0] == 255


def slices(folder: Path, numbers: range | list[int]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        values = np.random.default_rng(number).integers(0, 255, (9, 10, 3)).astype(np.uint8)
        tifffile.imwrite(folder / f"X_{number}.tif", values, photometric="rgb")
    return folder


def tumour_on(grid: Grid, name: str, convention: str = "binary", value: int = 1) -> Segmentation:
    labels = np.zeros(grid.shape, np.uint8)
    labels[:, 2:5, 3:6] = value
    return Segmentation(labels, grid, CONVENTIONS[convention], name)


@pytest.mark.parametrize("spacing", [None, (5.0, 1.0, 1.0)])
def test_lgg_slices_keep_their_numbers(tmp_path: Path, spacing: tuple[float, float, float] | None) -> None:
    folder = slices(tmp_path / "X", range(5, 9))
    scan = io.read(folder, spacing=spacing)
    written = io.write_lgg(tumour_on(scan.grid, scan.case), folder)
    assert [p.name for p in written] == [*(f"X_{n}_mask.tif" for n in range(5, 9)), "X_mask.json"]
    again = io.open_case(folder)
    assert again.layout == "LGG folder"
    np.testing.assert_array_equal(again.masks[0].labels, tumour_on(scan.grid, "").labels)


def test_a_missing_slice_gets_no_mask(tmp_path: Path) -> None:
    scan = io.read(slices(tmp_path / "X", [5, 6, 8]))
    (tmp_path / "out").mkdir()
    written = io.write_lgg(tumour_on(scan.grid, scan.case), tmp_path / "out")
    assert scan.grid.shape[0] == 4
    assert [p.name for p in written[:-1]] == ["X_5_mask.tif", "X_6_mask.tif", "X_8_mask.tif"]
    mask = io.read_mask(tmp_path / "out")  # and so when a folder of masks is written once more
    (tmp_path / "more").mkdir()
    again = io.write_lgg(mask, tmp_path / "more")
    assert [p.name for p in again[:-1]] == [p.name for p in written[:-1]]


@pytest.mark.parametrize("grey", [True, False])
def test_the_mask_of_a_lone_slice(tmp_path: Path, grey: bool) -> None:
    path = slices(tmp_path, [14]) / "X_14.tif"
    if grey:
        tifffile.imwrite(path, asymmetric((9, 10)))
    grid = io.open_case(path).images[0].grid
    written = io.write_lgg(tumour_on(grid, "X_14"), tmp_path)
    assert [p.name for p in written] == ["X_14_mask.tif", "X_14_mask.json"]
    assert len(io.open_case(path).masks) == 1


def test_a_nifti_mask_beside_slices_is_not_the_scan(tmp_path: Path) -> None:
    for name in ("X_seg.nii.gz", "result.nii.gz"):
        folder = slices(tmp_path / name / "X", range(5, 9))
        scan = io.read(folder)
        io.write_mask(tumour_on(scan.grid, scan.case), folder / name)
        again = io.open_case(folder)
        assert again.layout == "TIFF slices"
        assert io.list_cases(folder) == ["X"]
        assert len(again.images) == 3


def test_probabilities_are_no_channels(tmp_path: Path) -> None:
    picture(tmp_path / "flair.nii")
    seg = tumour_on(io.read(tmp_path).grid, "c_2")
    io.write_mask(seg, tmp_path / "c_2_seg.nii.gz")
    values = np.full(seg.grid.shape, 51, np.uint8)
    io.write_probabilities(replace(seg, probabilities={"WT": values}), tmp_path)
    case = io.open_case(tmp_path)
    assert [i.name for i in case.images] == ["flair"]
    assert [m.name for m in case.masks] == ["c_2_seg"]
    assert not case.warnings
    assert io.open_case(tmp_path / "c_2_prob_WT.nii.gz").images  # looked at on its own


@pytest.mark.parametrize(
    "name", ["result.tif", "t1c_out.tiff", "flair_result.nii.gz", "flair.nii", "x.h5", "a.b_seg.nii.gz"]
)
@pytest.mark.parametrize("convention", ["brats-2024", "binary"])
def test_a_mask_of_any_name_keeps_its_convention(tmp_path: Path, name: str, convention: str) -> None:
    seg = tumour_on(Grid.from_codes(SHAPE), "c", convention)
    written = io.write_mask(seg, tmp_path / name)
    assert io.read_mask(written[0]).convention.name == convention
    for path in (written[0], tmp_path):
        case = io.open_case(path)
        assert not case.images
        assert [m.convention for m in case.masks] == [CONVENTIONS[convention]]


def test_a_tiff_mask_states_its_convention_itself(tmp_path: Path) -> None:
    mask, side = io.write_mask(tumour_on(Grid.from_codes(SHAPE), "c", "msd"), tmp_path / "result.tif")
    side.unlink()
    assert io.read_mask(mask).convention.name == "msd"
    assert not io.open_case(mask).images


def test_the_side_file_of_another_format_makes_no_mask(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "X.tif", asymmetric(SHAPE), photometric="minisblack")
    scan = io.read(tmp_path / "X.tif")
    io.write_mask(tumour_on(scan.grid, "X"), tmp_path / "X.nii.gz")
    assert [i.name for i in io.open_case(tmp_path / "X.tif").images] == ["X"]
    assert [i.name for i in io.open_case(tmp_path).images] == ["X"]
    assert io.read_mask(tmp_path / "X.nii.gz").convention.name == "binary"


def test_warnings_name_no_folder(tmp_path: Path) -> None:
    secret = tmp_path / "Jane Doe" / "X"
    secret.mkdir(parents=True)
    values = np.random.default_rng(0).integers(0, 255, (9, 10, 3)).astype(np.uint8)
    tifffile.imwrite(secret / "a.tif", values, photometric="rgb")
    tifffile.imwrite(secret / "a_mask.tif", values.astype(np.float32) / 7, photometric="rgb")
    Pillow.fromarray(values).save(secret / "b.png")
    with h5py.File(secret / "c.h5", "w") as file:
        file["image"] = asymmetric((12, 30, 40))
        file["label"] = np.full((12, 30, 40), 0.3)
    picture(secret / "n" / "flair.nii")
    (secret / "n" / "x_seg.nii").write_bytes(b"damaged")
    for path in ("a.tif", "b.png", "c.h5", "n"):
        case = io.open_case(secret / path)
        assert case.warnings
        assert not any("Jane" in w or os.sep in w for w in case.warnings)


def test_slices_named_one_by_one_are_their_folder(tmp_path: Path) -> None:
    folder = slices(tmp_path / "X", range(5, 9))
    files = sorted(folder.iterdir())
    np.testing.assert_array_equal(io.open_case(files).images[0].data, io.open_case(folder).images[0].data)
    with pytest.raises(InputError, match="not all of them; name the folder"):
        io.open_case(files[:2])
    seg = tumour_on(io.read(folder).grid, "X")
    io.write_lgg(seg, folder)
    assert len(io.open_case(files).masks) == 1
    assert len(io.open_case(sorted(folder.glob("*.tif"))).masks) == 1


def test_hdf5_slices_named_one_by_one(tmp_path: Path) -> None:
    for volume, number in ((1, 3), (1, 4), (2, 3), (2, 4)):
        with h5py.File(tmp_path / f"volume_{volume}_slice_{number}.h5", "w") as file:
            file["image"] = np.random.default_rng(number).normal(size=(16, 16, 4))
    files = sorted(tmp_path.iterdir())
    case = io.open_case(files[:2])
    assert case.name == "volume_1"
    assert case.images[0].grid.shape[0] == 2
    with pytest.raises(ChoiceNeededError, match="2 cases"):
        io.open_case(files)
    assert io.open_case(files, "volume_2").name == "volume_2"
    with pytest.raises(InputError, match="name the folder"):
        io.open_case(files[:3])


def test_files_of_sequences_are_no_slices(tmp_path: Path) -> None:
    for name in ("X_t1", "X_t2", "X_flair"):
        tifffile.imwrite(tmp_path / f"{name}.tif", asymmetric((9, 10)))
    files = sorted(tmp_path.iterdir())
    assert {i.role for i in io.open_case(files).images} == {Role.T1, Role.T2, Role.FLAIR}
    assert [i.role for i in io.open_case(files[1:]).images] == [Role.T1, Role.T2]


def test_slices_and_another_file_are_several_cases(tmp_path: Path) -> None:
    folder = slices(tmp_path / "X", [1, 2])
    tifffile.imwrite(folder / "other.tif", asymmetric((9, 10)))
    with pytest.raises(ChoiceNeededError, match="other"):
        io.open_case(sorted(folder.iterdir()))
    assert io.open_case(sorted(folder.iterdir()), "X").images[0].grid.shape == (2, 9, 10)


def test_images_of_one_name_are_distinguished_by_their_folders(tmp_path: Path) -> None:
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "flair.tif", asymmetric((9, 10)))
    case = io.open_case([tmp_path / "old" / "flair.tif", tmp_path / "new" / "flair.tif"])
    assert [i.name for i in case.images] == ["old/flair.tif", "new/flair.tif"]


def test_a_mask_of_the_users_own_convention_is_read_back(tmp_path: Path) -> None:
    own = read_convention_of(tmp_path, "[labels]\n7 = 'oedema'\n9 = {tissue = 'enhancing', name = 'rim'}")
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 1:3, 2:5], labels[2, 2, 2] = 7, 9
    for ending in (".nii.gz", ".tif", ".h5"):
        seg = Segmentation(labels, Grid.from_codes(labels.shape), own, "c")
        path, _ = io.write_mask(seg, tmp_path / f"m{ending}")
        back = io.read_mask(path)
        np.testing.assert_array_equal(back.labels, labels)
        assert back.convention == replace(own, labels=back.convention.labels)
        assert back.convention.label(9).tissue == "enhancing"
        path.with_name("m.json").unlink()


def test_the_only_label_of_a_users_own_convention(tmp_path: Path) -> None:
    read_convention_of(tmp_path, "[labels]\n7 = 'oedema'\n9 = 'enhancing'")
    labels = labels_like(SHAPE) * 0
    labels[1, 1, 1:3] = 9
    save_nifti(tmp_path / "x_seg.nii", labels)
    assert io.read_mask(tmp_path / "x_seg.nii").convention.name == "binary"
    seg = io.read_mask(tmp_path / "x_seg.nii", str(tmp_path / "own.toml"))
    assert set(np.unique(seg.labels)) == {0, 9}
    assert seg.convention.name == "own"


def read_convention_of(folder: Path, text: str) -> LabelConvention:
    (folder / "own.toml").write_text(text)
    return get_convention(str(folder / "own.toml"))


@pytest.mark.parametrize(
    ("name", "values", "convention"),
    [
        ("BraTS-PED-00002-000-seg", (1, 2, 4), "brats-ped"),
        ("BraTS-PED-00002-000-seg", (4,), "brats-ped"),
        ("BraTS-MET-00002-000-seg", (1, 2, 3), "brats-2023"),
        ("BraTS-MET-00002-000-seg", (1, 2, 3, 4), "brats-2024"),
        ("BraTS-MEN-RT-0001-1_gtv", (1,), "binary"),
        ("BraTS-GoAT-00002-000-seg", (1, 2, 3), "brats-2023"),
        ("UCSF-PDGM-0004_tumor_segmentation", (1, 2, 4), "brats-2021"),
        ("segmentation_HD-GLIO", (1, 2), "hd-glio"),
    ],
)
def test_the_convention_of_a_data_set_by_its_name(
    tmp_path: Path, name: str, values: tuple[int, ...], convention: str
) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels.flat[: len(values)] = values
    save_nifti(tmp_path / f"{name}.nii.gz", labels)
    assert io.read_mask(tmp_path / f"{name}.nii.gz").convention.name == convention


@pytest.mark.parametrize("values", [(1, 2, 3), (1,)])
def test_no_convention_is_offered_that_contradicts_the_name(tmp_path: Path, values: tuple[int, ...]) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels.flat[: len(values)] = values
    save_nifti(tmp_path / "BraTS-PED-00002-000-seg.nii.gz", labels)
    with pytest.raises(ChoiceNeededError) as raised:
        io.read_mask(tmp_path / "BraTS-PED-00002-000-seg.nii.gz")
    assert raised.value.options == ("brats-2023", "brats-ped")


@pytest.mark.parametrize("first", [True, False])
def test_channels_of_a_nifti_mask_lie_first_or_last(tmp_path: Path, first: bool) -> None:
    whole = np.zeros((9, 10, 11), bool)
    whole[2:8, 2:8, 2:8] = True
    core, enhancing = np.zeros_like(whole), np.zeros_like(whole)
    core[3:7, 3:7, 3:7], enhancing[4:6, 4:6, 4:6] = True, True
    stacked = np.stack([core, whole, enhancing], 0 if first else -1).astype(np.uint8)
    nib.save(nib.Nifti1Image(stacked, np.diag([-1.0, -1, 2, 1])), tmp_path / "pred_seg.nii.gz")
    seg = io.read_mask(tmp_path / "pred_seg.nii.gz")
    assert seg.convention.name == "brats-2023"
    expected = np.where(enhancing, 3, np.where(core, 1, np.where(whole, 2, 0)))
    np.testing.assert_array_equal(seg.labels, expected.transpose(2, 1, 0))
    assert seg.grid.spacing_mm == (2, 1, 1)
    assert any("whole tumour" in w for w in seg.warnings)


def test_channels_of_an_image_that_lie_first(tmp_path: Path) -> None:
    stacked = np.arange(4 * 9 * 10 * 11, dtype=np.int16).reshape(4, 9, 10, 11)
    nib.save(nib.Nifti1Image(stacked, np.diag([-1.0, -1, 2, 1])), tmp_path / "all.nii.gz")
    case = io.open_case(tmp_path / "all.nii.gz")
    assert len(case.images) == 4
    np.testing.assert_array_equal(case.images[2].data, stacked[2].transpose(2, 1, 0))
    assert "taken as channels" in case.warnings[0]


def test_slices_in_the_fourth_dimension_are_named(tmp_path: Path) -> None:
    image = np.arange(9 * 10 * 40, dtype=np.int16).reshape(9, 10, 1, 40)
    nib.save(nib.Nifti1Image(image, np.eye(4)), tmp_path / "flair.nii")
    with pytest.raises(InputError, match="one slice 40 times in its fourth dimension"):
        io.open_case(tmp_path / "flair.nii")


def test_soft_masks_of_slices_are_cut_together(tmp_path: Path) -> None:
    masks = np.zeros((3, 8, 8), np.uint8)
    masks[1, 2:6, 2:6] = 255
    masks[1, 2, 2:6] = 100
    masks[0, 3, 3:5] = (90, 60)  # nothing but the faint edge of the tumour
    masks[2, 3:5, 3:5] = 1  # of another tool
    for number in range(3):
        tifffile.imwrite(tmp_path / f"P_{number}.tif", np.full((8, 8, 3), number + 1, np.uint8))
        tifffile.imwrite(tmp_path / f"P_{number}_mask.tif", masks[number])
    (mask,) = io.open_case(tmp_path).masks
    assert mask.labels.sum(axis=(1, 2)).tolist() == [0, 12, 4]


def test_a_cropped_mask_is_placed_on_another(tmp_path: Path) -> None:
    labels = np.zeros((8, 9, 10), np.uint8)
    labels[3:5, 3:6, 4:7] = 1
    base = Segmentation(labels, Grid.from_codes(labels.shape, spacing=(2, 1, 1)), CONVENTIONS["binary"], "a")
    part = (slice(2, 6), slice(2, 7), slice(3, 8))
    shift = np.eye(4)
    shift[:3, 3] = [p.start for p in part]
    cropped_grid = replace(base.grid, shape=(4, 5, 5), affine=base.grid.affine @ shift, file_layout=None)
    cropped = replace(base, labels=labels[part], grid=cropped_grid, name="b")
    np.testing.assert_array_equal(place(cropped, base).labels, labels)
    small_grid = replace(base.grid, shape=(2, 3, 3), affine=base.grid.affine @ shift, file_layout=None)
    small = replace(base, labels=np.ones((2, 3, 3), np.uint8), grid=small_grid, name="c")
    with pytest.raises(GeometryError, match="tumour voxels lie outside"):
        place(base, small)
