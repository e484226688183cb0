"""Masks as DICOM segmentation objects, read back by highdicom and dcmqi, and by the program itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from napari_tumorseg import io
from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import nifti
from napari_tumorseg.io.dicom import files, library
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Scan, Segmentation
from tests.dicom_files import GE, LPS_TO_RAS, SEQUENCES, study, write_enhanced, write_series
from tests.nifti_files import affine_of, orientations

hd = pytest.importorskip("highdicom", reason="highdicom is not installed; Python 3.14 has none")

SHAPE = (12, 10, 6)
DCMQI = Path(sys.executable).with_name("segimage2itkimage")
MODEL = {"name": "tiny", "version": "3", "sha256": "ab" * 32}


def values() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 1000, SHAPE).astype(np.int16)


def scan_of(folder: Path, affine: np.ndarray, number: int = 3) -> Scan:
    write_series(folder, values(), affine, number, "AX FLAIR", **GE, **SEQUENCES["flair"])
    return io.read(folder)


def labels_on(scan: Scan, of: tuple[int, ...] = (1, 2, 3)) -> np.ndarray:
    """Return labels without symmetry that reach into the first and the last slice of every axis."""
    labels = np.zeros(scan.grid.shape, np.uint8)
    rng = np.random.default_rng(11)
    labels[rng.random(labels.shape) < 0.1] = of[0]
    for n, value in enumerate(of):
        labels[n : n + 3, 1 + n : 4 + n, 2 : 4 + n] = value
    labels[0, 0, 0], labels[-1, -1, -1] = of[0], of[-1]
    return labels


def seg_on(scan: Scan, convention: str = "brats-2023", **more: Any) -> Segmentation:
    labels = labels_on(scan, tuple(sorted(CONVENTIONS[convention].values))[:3])
    return Segmentation(labels, scan.grid, CONVENTIONS[convention], "case", **more)


def values_of(seg: Segmentation) -> list[int]:
    """Return the label of each segment that is written."""
    return [int(value) for value in np.unique(seg.labels) if value]


def assert_same(grid: Grid, labels: np.ndarray, seg: Segmentation) -> None:
    assert np.abs(grid._corners() - seg.grid._corners()).max() < 0.01
    np.testing.assert_array_equal(labels, seg.labels)


# --- round trips -----------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(4))
def test_highdicom_finds_every_voxel_in_every_orientation(tmp_path: Path, part: int) -> None:
    """Every orientation has negative and positive row and column cosines in turn; half of them are tilted."""
    for number, codes in enumerate(list(orientations())[part::4], start=1):
        folder = tmp_path / str(number)
        scan = scan_of(folder / "in", affine_of(codes, (1.1, 0.9, 3.3), tilt=17 * (number % 2)))
        seg = seg_on(scan)
        io.write_mask(seg, folder / "x_seg.dcm")
        volume = hd.seg.segread(folder / "x_seg.dcm").get_volume(combine_segments=True)
        grid = Grid.from_file(volume.array.shape, LPS_TO_RAS @ volume.affine)
        found = np.array([0, *values_of(seg)], np.uint8)[grid.file_layout.axis_order.apply(volume.array)]
        assert_same(grid, found, seg)
        own = io.open_case(folder / "x_seg.dcm").masks[0]
        assert_same(own.grid, own.labels, seg)


@pytest.mark.skipif(not DCMQI.exists(), reason="dcmqi is not installed")
@pytest.mark.parametrize("codes", ["LPS", "RAI", "PIR", "AIL", "LIA", "RSP", "SPL", "IAR"])
def test_dcmqi_finds_every_voxel(tmp_path: Path, codes: str) -> None:
    scan = scan_of(tmp_path / "in", affine_of(tuple(codes), (1.1, 0.9, 3.3), tilt=17))
    seg = seg_on(scan, "brats-2021", provenance={"model": MODEL})
    io.write_mask(seg, tmp_path / "x_seg.dcm")
    command = [DCMQI, "--inputDICOM", tmp_path / "x_seg.dcm"]
    command += ["--outputDirectory", tmp_path, "--outputType", "nifti", "--mergeSegments"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=60)
    theirs = nifti.read_file(tmp_path / "1.nii.gz")
    lookup = np.array([0, *values_of(seg)], np.uint8)
    assert_same(theirs.grid, lookup[theirs.channels[0].astype(int)], seg)
    meta = json.loads((tmp_path / "meta.json").read_text())
    kinds = [s["SegmentedPropertyTypeCodeSequence"]["CodeMeaning"] for s in meta["segmentAttributes"][0]]
    assert kinds == ["Necrosis", "Edema", "Enhancing Lesion"]


@pytest.mark.parametrize("convention", list(CONVENTIONS))
def test_every_convention_comes_back(tmp_path: Path, convention: str) -> None:
    scan = scan_of(tmp_path / "in", affine_of(("L", "P", "S"), (1, 1, 3)))
    labels = np.zeros(scan.grid.shape, np.uint8)
    for n, value in enumerate(sorted(CONVENTIONS[convention].values)):
        labels[1 + n % 4, 2:5, 3 + 2 * (n // 4)] = value
    io.write_mask(Segmentation(labels, scan.grid, CONVENTIONS[convention], "in"), tmp_path / "in" / "x.dcm")
    (tmp_path / "in" / "x.json").unlink()  # the object itself says it
    (mask,) = io.open_case(tmp_path / "in").masks
    assert mask.convention is not None
    assert mask.convention.name == convention
    assert mask.grid.same_space(scan.grid)
    np.testing.assert_array_equal(mask.labels, labels)


def test_an_enhanced_object_is_a_source_too(tmp_path: Path) -> None:
    affine = affine_of(("P", "I", "R"), (1, 1, 2), tilt=9)
    elements = {**GE, **SEQUENCES["flair"]}
    write_enhanced(tmp_path / "in" / "a.dcm", values(), affine, 4, "FLAIR", (5, 3, 1, 0, 2, 4), **elements)
    scan = io.read(tmp_path / "in")
    seg = seg_on(scan)
    io.write_mask(seg, tmp_path / "in" / "x_seg.dcm")
    (mask,) = io.open_case(tmp_path / "in").masks
    np.testing.assert_array_equal(mask.labels, seg.labels)


def test_an_archive_is_a_source_too(tmp_path: Path) -> None:
    scan_of(tmp_path / "in", affine_of(("L", "P", "S")))
    shutil.make_archive(str(tmp_path / "scan"), "zip", tmp_path / "in")
    scan = io.read(tmp_path / "scan.zip")
    io.write_mask(seg_on(scan), tmp_path / "x_seg.dcm")
    np.testing.assert_array_equal(io.open_case(tmp_path / "x_seg.dcm").masks[0].labels, labels_on(scan))


def test_an_archive_is_opened_once_for_all_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan_of(tmp_path / "in", affine_of(("L", "P", "S")))
    shutil.make_archive(str(tmp_path / "scan"), "zip", tmp_path / "in")
    scan = io.read(tmp_path / "scan.zip")
    opened: list[Path] = []
    open_archive = files._opened
    monkeypatch.setattr(files, "_opened", lambda path: opened.append(path) or open_archive(path))
    io.write_mask(seg_on(scan), tmp_path / "x_seg.dcm")
    assert opened == [tmp_path / "scan.zip"]


# --- content ---------------------------------------------------------------------------------


def test_the_object_refers_to_the_series_and_names_the_model(tmp_path: Path) -> None:
    scan = scan_of(tmp_path / "in", affine_of(("L", "P", "S")))
    io.write_mask(seg_on(scan, provenance={"model": MODEL}), tmp_path / "x_seg.dcm")
    data, source = pydicom.dcmread(tmp_path / "x_seg.dcm"), pydicom.dcmread(tmp_path / "in" / "IM0001")
    assert (data.PatientID, data.StudyInstanceUID) == ("P1", source.StudyInstanceUID)
    assert data.FrameOfReferenceUID == source.FrameOfReferenceUID
    (series,) = data.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    own = {pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in (tmp_path / "in").iterdir()}
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == own
    first = data.SegmentSequence[0]
    assert first.SegmentAlgorithmType == "AUTOMATIC"
    (algorithm,) = first.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("tiny", "3")
    types = [s.SegmentedPropertyTypeCodeSequence[0] for s in data.SegmentSequence]
    assert [(t.CodeValue, t.CodingSchemeDesignator) for t in types] == [
        ("6574001", "SCT"),
        ("79654002", "SCT"),
        ("C113842", "NCIt"),
    ]


@pytest.mark.parametrize(
    ("provenance", "how"),
    [
        ({}, "MANUAL"),
        ({"model": MODEL}, "AUTOMATIC"),
        ({"model": MODEL, "corrected_by_hand": True}, "SEMIAUTOMATIC"),
    ],
)
def test_who_drew_it(tmp_path: Path, provenance: dict[str, Any], how: str) -> None:
    scan = scan_of(tmp_path / "in", affine_of(("L", "P", "S")))
    io.write_mask(seg_on(scan, provenance=provenance), tmp_path / "x_seg.dcm")
    assert pydicom.dcmread(tmp_path / "x_seg.dcm").SegmentSequence[0].SegmentAlgorithmType == how


def test_an_empty_mask_comes_back_empty(tmp_path: Path) -> None:
    scan = scan_of(tmp_path / "in", affine_of(("L", "P", "S")))
    empty = Segmentation(np.zeros(scan.grid.shape, np.uint8), scan.grid, CONVENTIONS["brats-2023"], "in")
    io.write_mask(empty, tmp_path / "x_seg.dcm")
    (mask,) = io.open_case(tmp_path / "x_seg.dcm").masks
    assert not mask.labels.any()
    assert mask.labels.shape == scan.grid.shape


def test_probabilities_are_fractions(tmp_path: Path) -> None:
    scan = scan_of(tmp_path / "in", affine_of(("L", "P", "S")))
    part = np.random.default_rng(2).integers(0, 256, (3, 4, 5)).astype(np.uint8)
    box = (slice(1, 4), slice(2, 6), slice(3, 8))
    seg = seg_on(scan, probabilities={"WT": part, "ET": part // 2}, probability_box=box)
    io.write_dicom_probabilities(seg, tmp_path / "in" / "x_prob.dcm")
    found = hd.seg.segread(tmp_path / "in" / "x_prob.dcm")
    assert found.segmentation_type.value == "FRACTIONAL"
    volume = found.get_volume(rescale_fractional=False)
    grid = Grid.from_file(volume.array.shape[:3], LPS_TO_RAS @ volume.affine)
    expected = np.zeros(scan.grid.shape, np.uint8)
    expected[box] = part
    # frames without any probability are left out
    np.testing.assert_array_equal(grid.file_layout.axis_order.apply(volume.array[..., 0]), expected[1:4])
    assert io.open_case(tmp_path / "in").masks == ()  # no mask of its own


def test_a_scan_that_is_not_dicom_is_refused(tmp_path: Path) -> None:
    grid = Grid.from_codes((3, 4, 5), spacing=(1, 1, 1))
    seg = Segmentation(np.ones(grid.shape, np.uint8), grid, CONVENTIONS["binary"], "x")
    with pytest.raises(OutputError, match=r"refers to the DICOM series.*choose \.nii\.gz"):
        io.write_mask(seg, tmp_path / "x_seg.dcm")
    assert not list(tmp_path.iterdir())


def test_without_highdicom_the_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = scan_of(tmp_path / "in", affine_of(("L", "P", "S")))

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(library, "import_module", missing)
    with pytest.raises(OutputError, match=r"x_seg\.dcm cannot be written: highdicom .*; write NIfTI instead"):
        io.write_mask(seg_on(scan), tmp_path / "x_seg.dcm")


def test_a_series_without_frame_of_reference_is_refused_in_a_sentence(tmp_path: Path) -> None:
    elements = {k: v for k, v in study().items() if k != "FrameOfReferenceUID"}
    paths = write_series(tmp_path / "in", values(), affine_of(("L", "P", "S")), 1, "FLAIR", **elements)
    for path in paths:
        data = pydicom.dcmread(path)
        del data.FrameOfReferenceUID
        data.save_as(path)
    with pytest.raises(OutputError, match="headers of the series are not as a DICOM segmentation needs them"):
        io.write_mask(seg_on(io.read(tmp_path / "in")), tmp_path / "x_seg.dcm")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


# --- objects of other programs ---------------------------------------------------------------


def foreign(
    tmp_path: Path, codes: list[tuple[str, str]], order: tuple[int, ...] = (), **arguments: Any
) -> tuple[Path, np.ndarray, Scan]:
    """Write segments inside each other as another program would, the largest first or in another order."""
    scan = scan_of(tmp_path / "in", affine_of(("L", "P", "S"), (1, 1, 3)))
    sources = [pydicom.dcmread(path) for path in sorted((tmp_path / "in").iterdir())]
    masks = np.zeros((len(sources), 10, 12, len(codes)), np.uint8)
    for n in range(len(codes)):
        inset = order[n] if order else n
        masks[1:4, 2 : 8 - inset, 3 : 9 - inset, n] = 1
    segments = [
        hd.seg.SegmentDescription(
            n + 1,
            f"segment {n + 1}",
            hd.sr.CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure"),
            hd.sr.CodedConcept(value, scheme, "x"),
            "MANUAL",
        )
        for n, (value, scheme) in enumerate(codes)
    ]
    path = tmp_path / "in" / "foreign.dcm"
    uids = [hd.UID(), 1, hd.UID(), 1, "maker", "model", "1", "1"]
    kind = arguments.pop("kind", "BINARY")
    hd.seg.Segmentation(sources, masks, kind, segments, *uids, **arguments).save_as(path)
    return path, masks, scan


def test_coded_types_state_the_convention(tmp_path: Path) -> None:
    path, masks, scan = foreign(tmp_path, [("79654002", "SCT"), ("6574001", "SCT"), ("C113842", "NCIt")])
    (mask,) = io.open_case(tmp_path / "in").masks
    assert mask.convention is CONVENTIONS["brats-2023"]
    assert np.bincount(mask.labels.ravel()).tolist()[1:] == [
        int((masks[..., 1] & ~masks[..., 2]).sum()),
        int((masks[..., 0] & ~masks[..., 1] & ~masks[..., 2]).sum()),
        int(masks[..., 2].sum()),
    ]
    assert mask.grid.same_space(scan.grid)
    alone = io.open_case(path).masks[0]
    assert alone.labels.shape == (3, 10, 12)  # without the scan, from the first frame to the last


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_regions_inside_each_other_all_stay_visible(tmp_path: Path, order: tuple[int, ...]) -> None:
    path, masks, _ = foreign(tmp_path, [("1", "99OWN")] * 3, order=order)
    (mask,) = io.open_case(path).masks
    sizes = [int(masks[..., n].sum()) for n in range(3)]
    by_size = sorted(range(3), key=lambda n: sizes[n])  # the numbers of ET, TC and WT, from 0
    expected = np.diff([0, *sorted(sizes)])
    assert [np.count_nonzero(mask.labels == n + 1) for n in by_size] == expected.tolist()
    assert any(f"{sorted(sizes)[1]} voxels lie in several segments" in note for note in mask.notes)


def test_segments_apart_are_no_reason_to_warn(tmp_path: Path) -> None:
    scan = scan_of(tmp_path / "in", affine_of(("L", "P", "S")))
    io.write_mask(seg_on(scan), tmp_path / "x_seg.dcm")
    assert io.open_case(tmp_path / "x_seg.dcm").masks[0].notes == ()


def test_fractions_of_other_programs_are_masks_whatever_their_name(tmp_path: Path) -> None:
    path, _, _ = foreign(tmp_path, [("108369006", "SCT")], kind="FRACTIONAL")
    path.rename(path.with_name("x_prob.dcm"))
    assert len(io.open_case(tmp_path / "in").masks) == 1


def test_own_probabilities_are_no_mask_whatever_their_name(tmp_path: Path) -> None:
    scan = scan_of(tmp_path / "in", affine_of(("L", "P", "S")))
    part = np.full(scan.grid.shape, 200, np.uint8)
    seg = seg_on(scan, probabilities={"WT": part}, probability_box=(slice(None),) * 3)
    io.write_dicom_probabilities(seg, tmp_path / "in" / "renamed.dcm")
    assert io.open_case(tmp_path / "in").masks == ()


def test_one_neoplasm_is_a_binary_mask(tmp_path: Path) -> None:
    foreign(tmp_path, [("108369006", "SCT")])
    assert io.open_case(tmp_path / "in").masks[0].convention is CONVENTIONS["binary"]


def test_unknown_codes_leave_the_convention_open(tmp_path: Path) -> None:
    foreign(tmp_path, [("1", "99OWN"), ("2", "99OWN")])
    (mask,) = io.open_case(tmp_path / "in").masks
    assert mask.convention is None
    assert set(np.unique(mask.labels)) == {0, 1, 2}


def test_fractions_are_cut_at_half(tmp_path: Path) -> None:
    path, masks, _ = foreign(tmp_path, [("108369006", "SCT")], kind="FRACTIONAL")
    data = pydicom.dcmread(path)
    pixels = data.pixel_array.copy()
    pixels[0] //= 3
    data.PixelData = pixels.tobytes()
    data.save_as(path)
    case = io.open_case(tmp_path / "in")
    assert int(case.masks[0].labels.sum()) == np.count_nonzero(masks) * 2 // 3  # two of three frames
    assert any("a fractional segmentation, cut at half" in w for w in case.warnings)


def test_a_damaged_segmentation_never_blocks_the_scan(tmp_path: Path) -> None:
    path, _, _ = foreign(tmp_path, [("108369006", "SCT")])
    data = pydicom.dcmread(path)
    data.SegmentSequence = []
    data.save_as(path)
    case = io.open_case(tmp_path / "in")
    assert len(case.images) == 1
    assert case.warnings == (
        "a mask is left out: foreign.dcm describes 0 segments, which is no mask of a tumour",
    )
    with pytest.raises(InputError, match="describes 0 segments"):
        io.open_case(path)
