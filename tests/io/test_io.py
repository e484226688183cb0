"""The one door: which module reads what, masks in and out with their side files."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile

from napari_tumorseg import io
from napari_tumorseg.errors import ChoiceNeededError, InputError, OutputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import nifti
from napari_tumorseg.regions import SCHEMES
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

    def refuse(self: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
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
    picture(tmp_path / "flair.nii")
    assert io.read(tmp_path, spacing=(5, 1, 1)).grid.spacing_mm == pytest.approx((5, 1, 1))
    with pytest.raises(InputError, match="three positive numbers"):
        io.read(tmp_path, spacing=(5, 0, 1))


def test_same_voxels_is_passed_on(tmp_path: Path) -> None:
    picture(tmp_path / "flair.nii")
    save_nifti(tmp_path / "t1c.nii", asymmetric(SHAPE), affine_of(("R", "A", "S")))
    with pytest.raises(InputError, match="--same-voxels"):
        io.read(tmp_path)
    flair, t1c = io.read(tmp_path, same_voxels=True)
    np.testing.assert_array_equal(flair.data, t1c.data)


# --- masks -------------------------------------------------------------------------------------

ENDINGS = (".nii", ".nii.gz", ".tif", ".tiff", ".h5", ".hdf5", ".NII.GZ")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("scheme", ["binary", "brats-2021", "msd"])
def test_a_mask_and_its_side_file(tmp_path: Path, ending: str, scheme: str) -> None:
    source = save_nifti(tmp_path / "flair.nii", asymmetric(SHAPE), affine_of(("R", "A", "S"), (1, 1, 3)))
    seg = replace(segmentation(io.read(source).grid, scheme), provenance={"model": "m", "sha256": "0f"})
    path = tmp_path / f"ä b_seg{ending}"
    written = io.write_mask(seg, path)
    assert written == [path, tmp_path / "ä b_seg.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["flair.nii", *(p.name for p in written)])
    told = json.loads(written[1].read_text(encoding="utf-8"))
    assert told["scheme"] == scheme
    assert told["labels"] == {str(label.value): label.name for label in seg.scheme.labels}
    assert (told["case"], told["unit"], told["model"], told["sha256"]) == ("case", "mm", "m", "0f")

    back = io.read_mask(path)
    assert back.scheme is seg.scheme  # the side file tells, so nobody is asked
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
        assert seg.scheme.name == "binary"
        assert seg.labels.dtype == np.uint8
        assert seg.labels.sum() == 2


def test_what_holds_no_mask_or_too_many(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no mask"):
        io.read_mask(picture(tmp_path / "flair.nii"))
    for name in ("a_seg", "b_seg"):
        save_nifti(tmp_path / f"{name}.nii", labels_like(SHAPE))
    with pytest.raises(InputError, match="holds 2 masks"):
        io.read_mask(tmp_path)
    with pytest.raises(ChoiceNeededError, match="--labels"):
        io.read_mask(tmp_path / "a_seg.nii")
    assert io.read_mask(tmp_path / "a_seg.nii", "brats-2021").scheme.name == "brats-2021"
    with pytest.raises(InputError, match="no label scheme"):
        io.read_mask(tmp_path / "a_seg.nii", "nonsense")


def test_the_mask_alone_tells_its_unit(tmp_path: Path) -> None:
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
        np.zeros(grid.shape, np.uint8), grid, SCHEMES["binary"], "c", None, {}, {"WT": values}, box
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
    written = io.write_lgg(Segmentation(labels, grid, SCHEMES["binary"], "P"), tmp_path)
    assert [p.name for p in written] == ["P_1_mask.tif", "P_2_mask.tif", "P_mask.json"]
    assert json.loads(written[-1].read_text())["scheme"] == "binary"
    assert tifffile.imread(written[1])[2, 0] == 255
