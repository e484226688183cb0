"""DICOM series as cases: geometry against dcm2niix, modalities, examinations, archives."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel as nib
import numpy as np
import pydicom
import pytest

from napari_tumorseg import io
from napari_tumorseg.errors import ChoiceNeededError, InputError, Remedy, remedy_of
from napari_tumorseg.geometry import Grid, SliceFile
from napari_tumorseg.io import nifti
from napari_tumorseg.io.dicom import files
from napari_tumorseg.io.dicom.facts import Header
from napari_tumorseg.io.dicom.headers import read_header
from napari_tumorseg.io.dicom.pixels import has_same_pixels, read_volume
from napari_tumorseg.io.dicom.series import contents_of
from napari_tumorseg.io.dicom.stacks import Plane, sort_planes
from napari_tumorseg.io.side_files import input_files
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation
from tests.dicom_files import GE, PHILIPS, SEQUENCES, SIEMENS, study, write_enhanced, write_series
from tests.nifti_files import affine_of, orientations

SHAPE = (12, 10, 6)
NICOM = Path(nib.__file__).parent / "nicom" / "tests" / "data"


def values(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 1000, shape).astype(np.int16)


def converted(folder: Path, out: Path, pattern: str = "%s") -> None:
    """Convert all series of a folder with dcm2niix."""
    out.mkdir()
    command = [dcm2niix.bin, "-o", str(out), "-f", pattern, "-z", "n", "-b", "n", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def assert_agreement(grid: Grid, data: np.ndarray, file: Path) -> None:
    """Assert that voxels are those of dcm2niix's file, and their places to a hundredth of a millimetre."""
    theirs = nifti.read_file(file)
    np.testing.assert_allclose(theirs.channels[0], data, atol=1e-3)
    corners = grid._corners() - theirs.grid._corners()
    assert np.abs(corners).max() < 0.01


# --- geometry --------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["nothing", "a voxel", "a place"])
def test_agreement_is_of_voxels_and_places(tmp_path: Path, change: str) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    nib.save(nib.Nifti1Image(values(), affine), tmp_path / "theirs.nii")
    data = Grid.from_file(SHAPE, affine).file_layout.axis_order.apply(values()).copy()
    data[-1, -1, -1] += change == "a voxel"
    affine[2, 3] += 0.02 * (change == "a place")
    grid = Grid.from_file(SHAPE, affine)
    if change == "nothing":
        assert_agreement(grid, data, tmp_path / "theirs.nii")
        return
    with pytest.raises(AssertionError):
        assert_agreement(grid, data, tmp_path / "theirs.nii")


@pytest.mark.parametrize("vendor", range(3), ids=["Siemens 3-D", "GE", "Philips"])
def test_every_orientation_lies_where_dcm2niix_puts_it(tmp_path: Path, vendor: int) -> None:
    """Each vendor's series lie in a third of the 48 orientations, every second one tilted."""
    elements = (SIEMENS, GE, PHILIPS)[vendor] | SEQUENCES["t2"]
    for number, codes in enumerate(list(orientations())[vendor::3], start=1):
        affine = affine_of(codes, (1.1, 0.9, 3.3), tilt=17 * (number % 2))
        write_series(tmp_path / "in" / f"{number:03}", values(), affine, number, "T2", **elements)
    converted(tmp_path / "in", tmp_path / "out")
    for number in range(1, 17):
        case = io.open_case(tmp_path / "in" / f"{number:03}")
        assert_agreement(case.images[0].grid, case.images[0].data, tmp_path / "out" / f"{number}.nii")


def test_a_mask_is_written_index_for_index_as_dcm2niix_writes_the_scan(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (0.9, 0.9, 5), tilt=12)
    write_series(tmp_path / "in", values(), affine, 3, "Ax FLAIR", **GE, **SEQUENCES["flair"])
    converted(tmp_path / "in", tmp_path / "out")
    scan = io.read(tmp_path / "in")
    labels = (scan.images[0].data > 900).astype(np.uint8)
    io.write_mask(Segmentation(labels, scan.grid, CONVENTIONS["binary"]), tmp_path / "mask.nii")
    theirs, mask = nib.load(tmp_path / "out" / "3.nii"), nib.load(tmp_path / "mask.nii")
    np.testing.assert_allclose(mask.affine, theirs.affine, atol=1e-3)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(theirs.dataobj) > 900)


@pytest.mark.parametrize("name", ["siemens_dwi_0.dcm.gz", "philips_mprage.dcm.gz"])
def test_a_real_mosaic_and_a_real_enhanced_object(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.dcm").write_bytes(gzip.decompress((NICOM / name).read_bytes()))
    converted(tmp_path / "in", tmp_path / "out")
    header = read_header(SliceFile(tmp_path / "in" / "x.dcm"))
    planes = [Plane(header, frame) for frame in header.frames]
    (stack,) = sort_planes(planes, has_same_pixels).stacks
    grid = Grid.from_file(stack.shape, stack.affine)
    assert_agreement(
        grid, grid.file_layout.axis_order.apply(read_volume(stack)), next((tmp_path / "out").glob("*.nii"))
    )


@pytest.mark.parametrize(
    "order", [(), (5, 4, 3, 2, 1, 0), (0, 2, 4, 1, 3, 5)], ids=["up", "down", "interleaved"]
)
def test_an_enhanced_object_is_put_in_order_by_position(tmp_path: Path, order: tuple[int, ...]) -> None:
    affine = affine_of(("P", "I", "R"), (1, 1, 2), tilt=9)
    write_enhanced(tmp_path / "in" / "a.dcm", values(), affine, 4, "T1 SAG", order, **GE, **SEQUENCES["t1"])
    case = io.open_case(tmp_path / "in")
    grid = Grid.from_file(SHAPE, affine)
    assert case.images[0].grid.same_space(grid)
    np.testing.assert_array_equal(case.images[0].data, grid.file_layout.axis_order.apply(values()))


def test_the_order_of_files_and_numbers_does_not_matter(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    paths = write_series(tmp_path / "in", values(), affine, 1, "FLAIR")
    for n, path in enumerate(paths):
        path.rename(path.with_name(f"{(n * 5) % 7}"))  # no ending either
    case = io.open_case(tmp_path / "in")
    np.testing.assert_array_equal(
        case.images[0].data, Grid.from_file(SHAPE, affine).file_layout.axis_order.apply(values())
    )


def test_a_gantry_tilt_is_kept_as_shear(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4), shear=0.0)
    affine[1, 2] = 1.5  # each slice lies 1.5 mm further to the front
    write_series(tmp_path / "in", values(), affine, 1, "FLAIR")
    case = io.open_case(tmp_path / "in")
    assert "tilt of 20.6 degrees" in case.warnings[0]
    assert case.images[0].grid.same_space(Grid.from_file(SHAPE, affine))
    assert case.images[0].grid.voxel_volume_mm3 == pytest.approx(4)


def test_directions_may_be_rounded_differently(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4), tilt=17)
    for n, path in enumerate(write_series(tmp_path / "in", values(), affine, 1, "FLAIR")):
        directions = pydicom.dcmread(path).ImageOrientationPatient
        _change(path, ImageOrientationPatient=[f"{float(d) + 1e-4 * (n % 2):.6f}" for d in directions])
    case = io.open_case(tmp_path / "in")
    assert [image.data.shape for image in case.images] == [(6, 10, 12)]


def test_missing_slices_are_left_empty(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    paths = write_series(tmp_path / "in", values() + 1, affine, 1, "FLAIR")
    paths[2].unlink()
    case = io.open_case(tmp_path / "in")
    assert case.warnings == ("series-1 lacks 1 slice(s), which are left empty",)
    expected = Grid.from_file(SHAPE, affine).file_layout.axis_order.apply(values() + 1).copy()
    expected[2] = 0
    np.testing.assert_array_equal(case.images[0].data, expected)


@pytest.mark.parametrize(("thickness", "unit"), [("4.0", "mm"), (None, "unknown"), ("0", "unknown")])
def test_a_single_slice_without_its_thickness_has_no_volume(
    tmp_path: Path, thickness: str | None, unit: str
) -> None:
    affine = affine_of(("L", "P", "S"), (0.9, 0.9, 5))
    write_series(tmp_path, values((12, 10, 1)), affine, 1, "T1 post", **SIEMENS, SliceThickness=thickness)
    case = io.open_case(tmp_path)
    assert case.images[0].grid.unit == unit
    assert any("does not state how thick its slice is" in text for text in case.warnings) == (unit != "mm")


def test_uneven_slices_are_refused_in_a_sentence(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    write_series(tmp_path / "in", values()[:, :, :3], affine, 1, "FLAIR")
    further = affine.copy()
    further[2, 3] += 13.7
    series = next((tmp_path / "in").iterdir())
    uid = read_header(SliceFile(series)).series
    write_series(tmp_path / "in", values()[:, :, :2], further, 1, "FLAIR", "B{}", SeriesInstanceUID=uid)
    for path in (tmp_path / "in").glob("B*"):
        _change(path, SeriesInstanceUID=uid)
    with pytest.raises(InputError, match=r"series-1 is left out: it has slices at uneven distances, 4 to 5"):
        io.open_case(tmp_path / "in")


def test_copies_of_slices_count_once(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    paths = write_series(tmp_path / "in", values(), affine, 1, "FLAIR")
    shutil.copy(paths[0], tmp_path / "in" / "copy")
    for n, path in enumerate(paths):  # and once more under other identifiers, as an archive may send them
        _change(shutil.copy(path, tmp_path / "in" / f"again{n}"), SOPInstanceUID=f"1.2.3.{n + 1}")
    case = io.open_case(tmp_path / "in")
    assert case.images[0].data.shape == (6, 10, 12)
    assert case.warnings == ("series-1 has 6 slice(s) twice; one copy of each is used",)


def test_a_time_series_is_no_scan(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    write_series(tmp_path / "in", values(), affine, 1, "FLAIR")
    for time in range(3):
        write_series(
            tmp_path / "in", values(), affine, 2, "", f"T{time}_{{}}", TemporalPositionIdentifier=time
        )
    uid = read_header(SliceFile(tmp_path / "in" / "T0_1")).series
    for path in (tmp_path / "in").glob("T*"):
        _change(path, SeriesInstanceUID=uid)
    case = io.open_case(tmp_path / "in")
    assert [i.name for i in case.images] == ["series-1_flair"]
    assert "series-2 is left out: it holds 3 volumes at one place, as a time series does" in case.warnings


def test_two_volumes_of_one_number_are_no_copies(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    paths = write_series(tmp_path / "in", values(), affine, 1, "FLAIR")
    later = values()
    later[..., 1:] += 1  # the first slice is empty in both, as it may be
    uid = read_header(SliceFile(paths[0])).series
    for path in write_series(tmp_path / "in", later, affine, 1, "FLAIR", "B{}"):
        _change(path, SeriesInstanceUID=uid)
    with pytest.raises(InputError, match=r"series-1 is left out: it holds 2 volumes at one place"):
        io.open_case(tmp_path / "in")


@pytest.mark.parametrize(
    ("one", "other", "volumes"), [(109.994, 109.996, 1), (109.996, 110.004, 1), (20.0, 80.0, 2)]
)
def test_echo_times_may_be_rounded_differently(
    tmp_path: Path, one: float, other: float, volumes: int
) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    for n, path in enumerate(write_series(tmp_path / "in", values(), affine, 1, "FLAIR")):
        _change(path, EchoTime=other if n % 2 else one)
    assert len(io.open_case(tmp_path / "in").images) == volumes


def test_pixel_sizes_may_be_rounded_differently(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    for n, path in enumerate(write_series(tmp_path / "in", values(), affine, 1, "FLAIR")):
        _change(path, PixelSpacing=["0.93749", "0.93749"] if n % 2 else ["0.93751", "0.93751"])
    assert [image.data.shape for image in io.open_case(tmp_path / "in").images] == [(6, 10, 12)]


def test_the_work_for_an_enhanced_object_grows_with_its_frames_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash of a header goes through all frames, so a hash for each frame would grow as their square."""
    write_enhanced(tmp_path / "a.dcm", values(), affine_of(("L", "P", "S")), 1, "FLAIR")
    hashed: list[Header] = []
    monkeypatch.setattr(Header, "__hash__", lambda header: hashed.append(header) or 1)
    assert len(io.open_case(tmp_path).images) == 1
    assert hashed == []


def test_a_localiser_in_three_directions_is_left_out(tmp_path: Path) -> None:
    write_series(tmp_path / "in", values(), affine_of(("L", "P", "S"), (1, 1, 4)), 2, "FLAIR")
    directions = [("L", "P", "S"), ("P", "I", "R"), ("L", "I", "A")]
    for n, codes in enumerate(directions):
        write_series(tmp_path / "in", values()[:, :, :3], affine_of(codes, (1, 1, 9)), 1, "", f"L{n}_{{}}")
    uid = read_header(SliceFile(tmp_path / "in" / "L0_1")).series
    for path in (tmp_path / "in").glob("L*"):
        _change(path, SeriesInstanceUID=uid)
    case = io.open_case(tmp_path / "in")
    assert [i.name for i in case.images] == ["series-2_flair"]
    assert any("few slices in each of 3 directions, as a localiser" in w for w in case.warnings)


def test_inverted_grey_values_are_left_out_in_words(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    write_series(tmp_path / "in", values(), affine, 1, "FLAIR")
    for path in write_series(tmp_path / "in", values(), affine, 2, "T1", "B{}"):
        _change(path, PhotometricInterpretation="MONOCHROME1")
    case = io.open_case(tmp_path / "in")
    assert [image.role for image in case.images] == [Role.FLAIR]
    assert any("series-2 is left out" in w and "save it as MONOCHROME2" in w for w in case.warnings)


def test_rescaled_values_are_those_of_the_header(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    write_series(tmp_path / "in", values(), affine, 1, "FLAIR", **PHILIPS)
    data = io.open_case(tmp_path / "in").images[0].data
    expected = Grid.from_file(SHAPE, affine).file_layout.axis_order.apply(values()) * 2.5 + 1
    np.testing.assert_allclose(data, expected)


# --- modalities ------------------------------------------------------------------------------


def _change(path: Path | str, **elements: Any) -> None:
    data = pydicom.dcmread(path)
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    if "SOPInstanceUID" in elements:
        data.file_meta.MediaStorageSOPInstanceUID = elements["SOPInstanceUID"]
    data.save_as(path)


@pytest.mark.parametrize(
    ("description", "elements", "role"),
    [
        ("t1_mprage_sag_p2_iso", SIEMENS, Role.T1),
        ("t1_mprage_sag_p2_iso_KM", SIEMENS, Role.T1C),
        ("AX T1 +C", GE, Role.T1C),
        ("AX T1", {**GE, "ContrastBolusAgent": "Gadovist"}, Role.T1C),
        ("AX T1 PRE", {**GE, "ContrastBolusAgent": "Gadovist"}, Role.T1),
        ("AX T1", {**GE, "ContrastBolusAgent": "NONE"}, Role.T1),
        ("t2_space_dark-fluid_sag", SIEMENS, Role.FLAIR),
        ("T2W_TSE", PHILIPS, Role.T2),
        ("sFLAIR_longTR", PHILIPS, Role.FLAIR),
        ("", {**GE, **SEQUENCES["flair"]}, Role.FLAIR),
        ("", {**GE, **SEQUENCES["t2"]}, Role.T2),
        ("", {**GE, **SEQUENCES["t1"]}, Role.T1),
        ("", {**SIEMENS, **SEQUENCES["mprage"]}, Role.T1),
        ("", {**SIEMENS, **SEQUENCES["mprage"], "ContrastBolusAgent": "Dotarem"}, Role.T1C),
        ("", {**GE, "ScanningSequence": "GR", "EchoTime": 25, "RepetitionTime": 600}, Role.OTHER),
        ("", {}, Role.OTHER),
    ],
)
def test_the_modality_of_a_series(
    tmp_path: Path, description: str, elements: dict[str, Any], role: Role
) -> None:
    write_series(tmp_path / "in", values(), affine_of(("L", "P", "S")), 5, description, **elements)
    assert io.open_case(tmp_path / "in").images[0].role is role


@pytest.mark.parametrize(
    ("description", "elements", "sentence"),
    [
        ("ep2d_diff_ADC", SIEMENS, "map, a localiser or another kind of scan"),
        ("resolve", {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]}, "diffusion"),
        ("", {"DiffusionBValue": 1000.0}, "diffusion"),
        ("t1 sub", {"ImageType": ["DERIVED", "PRIMARY", "SUBTRACT"]}, "a subtraction"),
        ("", {"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, "a projection"),
        ("", {"ImageType": ["ORIGINAL", "PRIMARY", "P", "FFE"]}, "no magnitude image"),
        ("AX T1", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a localiser"),
        ("T1 3-plane scout", {}, "localiser"),
        ("AX T1", {"Modality": "CT"}, "CT, not MR"),
    ],
)
def test_other_kinds_of_series_are_left_out_in_words(
    tmp_path: Path, description: str, elements: dict[str, Any], sentence: str
) -> None:
    affine = affine_of(("L", "P", "S"))
    write_series(tmp_path / "in", values(), affine, 1, "FLAIR")
    write_series(tmp_path / "in", values(), affine, 2, description, "B{}", **elements)
    case = io.open_case(tmp_path / "in")
    assert [i.role for i in case.images] == [Role.FLAIR]
    assert any(w.startswith("series-2 is left out: ") and sentence in w for w in case.warnings)


def test_of_several_series_of_a_modality_the_finest_is_used(tmp_path: Path) -> None:
    thick, fine = affine_of(("L", "P", "S"), (20, 20, 25)), affine_of(("P", "I", "R"), (15, 15, 15))
    write_series(tmp_path / "in", values(), thick, 1, "AX FLAIR")
    write_series(tmp_path / "in", values(), fine, 2, "SAG FLAIR 3D", "B{}")
    case = io.open_case(tmp_path / "in")
    assert {i.name: i.role for i in case.images} == {
        "series-1_ax_flair": Role.OTHER,
        "series-2_sag_flair_3d": Role.FLAIR,
    }
    (notice,) = case.warnings
    assert notice == "series-2_sag_flair_3d is taken as FLAIR; so could be series-1_ax_flair"
    assert remedy_of(notice) is Remedy.STATE_ROLES
    assert case.with_roles({"series-1_ax_flair": Role.T2}).images[0].role is Role.T2


# --- examinations ----------------------------------------------------------------------------


def write_study(folder: Path, patient: str, date: str, number: int = 1) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    write_series(
        folder, values(), affine, number, "FLAIR", f"{patient}{date}_{{}}.dcm", **study(patient, date)
    )


def test_one_examination_is_called_by_its_folder(tmp_path: Path) -> None:
    write_study(tmp_path / "MY CASE" / "a" / "b", "P1", "20200101", 1)
    write_study(tmp_path / "MY CASE" / "a" / "c", "P1", "20200101", 2)
    assert io.list_cases(tmp_path / "MY CASE") == ["MY CASE"]
    assert io.open_case(tmp_path / "MY CASE").name == "MY CASE"


def test_examinations_in_folders_of_their_own_are_called_by_these(tmp_path: Path) -> None:
    for patient in ("A", "B"):
        for date in ("20200101", "20210101"):
            write_study(tmp_path / "x" / "data" / patient / date[:4] / "SE1", patient, date)
    names = ["A/2020/SE1", "A/2021/SE1", "B/2020/SE1", "B/2021/SE1"]
    assert io.list_cases(tmp_path / "x") == names
    case = io.open_case(tmp_path / "x", names[1])
    assert case.time_point == "2"


@pytest.mark.parametrize(
    "folder", ["DOE_JANE_19700101", "1.2.840.113619.2", "1970-01-01", "7.3.2021", "B20210307", "Doe, Jane"]
)
def test_folders_that_name_a_person_or_an_examination_name_no_case(tmp_path: Path, folder: str) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    for patient in ("P1", "P2"):
        elements = study(patient, PatientName="DOE^JANE")
        write_series(tmp_path / "x" / f"{folder}{patient}", values(), affine, 1, "FLAIR", **elements)
        write_series(tmp_path / "y" / patient / folder, values(), affine, 1, "FLAIR", **elements)
    assert io.list_cases(tmp_path / "x") == ["patient-1", "patient-2"]
    assert io.list_cases(tmp_path / "y") == ["P1", "P2"]
    inside = tmp_path / "y" / "P1" / folder
    assert io.list_cases(inside) == [folder]  # the user named it
    assert io.list_cases(inside / "IM0001") == ["IM0001"]
    assert io.open_case([inside / "IM0001", inside / "IM0002"]).name == "dicom"


def test_a_name_that_only_repeats_the_identifier_is_no_secret(tmp_path: Path) -> None:
    for patient in ("GBM-00001", "GBM-00002"):
        elements = study(patient, PatientName=patient)
        affine = affine_of(("L", "P", "S"), (1, 1, 4))
        write_series(tmp_path / patient / "11-25-2006-BRAIN", values(), affine, 1, "FLAIR", **elements)
    assert io.list_cases(tmp_path) == ["GBM-00001", "GBM-00002"]


def test_examinations_in_one_folder_are_numbered(tmp_path: Path) -> None:
    write_study(tmp_path / "x", "ZZ", "20210101")
    write_study(tmp_path / "x", "ZZ", "20200101")
    assert io.list_cases(tmp_path / "x") == ["x/study-1", "x/study-2"]
    assert io.open_case(tmp_path / "x", "study-2").name == "x_study-2"
    write_study(tmp_path / "x", "AA", "20220101")
    assert io.list_cases(tmp_path / "x") == ["patient-1", "patient-2/study-1", "patient-2/study-2"]
    with pytest.raises(ChoiceNeededError, match="3 cases"):
        io.open_case(tmp_path / "x")
    assert io.open_case(tmp_path / "x", "patient-2/study-2").time_point == "2"


def test_the_inputs_are_the_files_of_the_series(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    paths = write_series(tmp_path / "in", values(), affine, 1, "FLAIR")
    write_series(tmp_path / "in", values(), affine, 2, "DWI", "B{}")  # no input: it is left out
    assert sorted(input_files(io.open_case(tmp_path / "in"), [tmp_path / "in"])) == sorted(paths)


def test_one_file_stands_for_its_series(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    paths = write_series(tmp_path / "in", values(), affine, 1, "FLAIR", "{}.dcm")
    write_series(tmp_path / "in", values(), affine, 2, "T2", "b{}.dcm")
    case = io.open_case(paths[2])
    assert [i.name for i in case.images] == ["series-1_flair"]
    assert case.images[0].data.shape == (6, 10, 12)
    both = io.open_case(sorted((tmp_path / "in").iterdir()))
    assert [i.role for i in both.images] == [Role.FLAIR, Role.T2]


def test_an_index_stands_for_its_folder(tmp_path: Path) -> None:
    write_study(tmp_path / "disc" / "IMAGES", "P1", "20200101")
    (tmp_path / "disc" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 64)
    assert io.open_case(tmp_path / "disc" / "DICOMDIR").images[0].data.shape == (6, 10, 12)


def test_pydicoms_own_index(tmp_path: Path) -> None:
    folder = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
    names = io.list_cases(folder / "DICOMDIR")
    assert len(names) == 7
    with pytest.raises(InputError, match="few slices in each of 3 directions, as a localiser has"):
        io.open_case(folder / "DICOMDIR", "patient-2/study-2")


def test_an_archive_is_read_without_being_unpacked(tmp_path: Path) -> None:
    for patient in ("A", "B"):
        write_study(tmp_path / "in" / patient, patient, "20200101")
    archive = tmp_path / "scans.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in (tmp_path / "in").rglob("*.dcm"):
            file.write(path, f"top/{path.relative_to(tmp_path / 'in')}")
        file.writestr("top/readme.txt", "nothing")
    assert io.list_cases(archive) == ["A", "B"]
    inside, outside = io.open_case(archive, "A"), io.open_case(tmp_path / "in", "A")
    np.testing.assert_array_equal(inside.images[0].data, outside.images[0].data)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "scans.zip"]


def test_an_archive_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path / "in", "A", "20200101")
    archive = shutil.make_archive(str(tmp_path / "scans"), "zip", tmp_path / "in")
    opened: list[Path] = []

    def counted(path: Path) -> zipfile.ZipFile:
        opened.append(path)
        return zipfile.ZipFile(path)

    monkeypatch.setattr(files, "_opened", counted)
    assert io.open_case(Path(archive)).images[0].data.shape == (6, 10, 12)
    assert opened in ([Path(archive)], [Path(archive)] * 2)  # perhaps once more to recognise its format
    Path(archive).unlink()  # and closed again, or Windows would not allow this


def test_a_mask_of_ours_beside_the_series_leaves_the_folder_a_dicom_case(tmp_path: Path) -> None:
    write_study(tmp_path / "x" / "SE1", "P1", "20200101")
    scan = io.read(tmp_path / "x")
    seg = Segmentation(np.zeros(scan.grid.shape, np.uint8), scan.grid, CONVENTIONS["binary"], "x")
    io.write_mask(seg, tmp_path / "x" / "x_seg.nii.gz")
    assert io.list_cases(tmp_path / "x") == ["x"]
    assert io.open_case(tmp_path / "x").layout == "DICOM"


def test_nothing_of_the_header_is_in_names_or_warnings(tmp_path: Path) -> None:
    secret = {"SeriesDescription": "FLAIR of CANARY", "ProtocolName": "CANARY", "StudyDescription": "CANARY"}
    affine = affine_of(("L", "P", "S"), (1, 1, 4))
    shared = {**study("CANARY", "19991231"), "SequenceName": "CANARY", "InstitutionName": "CANARY"}
    paths = write_series(tmp_path / "in", values(), affine, 1, "", **{**shared, **secret})
    paths[2].unlink()
    write_series(tmp_path / "in", values(), affine, 2, "CANARY gadCANARY T1", "B{}", **shared)
    case = io.open_case(tmp_path / "in")
    shown = " ".join([case.name, *case.warnings, *(f"{i.name} {i.note} {i.role_note}" for i in case.images)])
    assert "canary" not in shown.lower()
    assert "1999" not in shown


def test_a_series_is_named_by_its_number_and_known_words(tmp_path: Path) -> None:
    headers = []
    for description in ("FLAIR", "FLAIR", "T1"):
        paths = write_series(
            tmp_path / str(len(headers)), values(), affine_of(("L", "P", "S")), 3, description
        )
        headers += [read_header(SliceFile(path)) for path in paths]
    without_number = [replace(h, number=None) if h.description == "T1" else h for h in headers]
    names = [series.name for series in contents_of(without_number).series]
    assert names == ["series-3_flair", "series-3-2_flair", "series-1_t1"]
