"""DICOM series for tests, made of arrays in several vendors' ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

SIEMENS = {
    "Manufacturer": "SIEMENS",
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"],
    "ScanningSequence": ["GR", "IR"],
    "SequenceVariant": ["SK", "SP", "MP"],
    "MRAcquisitionType": "3D",
}
GE = {
    "Manufacturer": "GE MEDICAL SYSTEMS",
    "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
    "ScanningSequence": "SE",
    "SequenceVariant": "SK",
    "MRAcquisitionType": "2D",
}
PHILIPS = {
    "Manufacturer": "Philips Medical Systems",
    "ImageType": ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"],
    "ScanningSequence": "SE",
    "RescaleSlope": 2.5,
    "RescaleIntercept": 1.0,
    "MRAcquisitionType": "2D",
}
SEQUENCES: Mapping[str, dict[str, float]] = {
    "t1": {"EchoTime": 10, "RepetitionTime": 550},
    "t2": {"EchoTime": 96, "RepetitionTime": 5000},
    "flair": {"EchoTime": 110, "RepetitionTime": 9000, "InversionTime": 2500},
    "mprage": {"EchoTime": 2.9, "RepetitionTime": 1900, "InversionTime": 900},
}


def study(patient: str = "P1", date: str = "20200102", **more: Any) -> dict[str, Any]:
    """Return the elements that all files of an examination share."""
    return {
        "PatientID": patient,
        "PatientName": f"{patient}^Name",
        "PatientBirthDate": "19600101",
        "PatientSex": "O",
        "StudyInstanceUID": generate_uid(entropy_srcs=[patient, date]),
        "StudyDate": date,
        "StudyTime": "101500",
        "StudyID": "1",
        "AccessionNumber": "7",
        "ReferringPhysicianName": "",
        "FrameOfReferenceUID": generate_uid(entropy_srcs=[patient, date, "frame"]),
        **more,
    }


def write_series(
    folder: Path,
    array: NDArray[np.generic],
    affine: NDArray[np.float64],
    number: int,
    description: str = "",
    names: str = "IM{:04d}",
    **elements: Any,
) -> list[Path]:
    """Write an array as a series, one file a slice.

    Parameters
    ----------
    array : (columns, rows, slices) array
        Stored numbers.
    affine : (4, 4) array
        From these indices to RAS mm.
    number : int
        Of the series.
    names : str
        Names of the files.
    elements
        Further elements, a vendor's or a sequence's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    series = generate_uid()
    paths = []
    for k in range(array.shape[2]):
        data = header(array[:, :, k], affine @ [0, 0, k, 1], affine, number, description, **elements)
        data.SeriesInstanceUID, data.InstanceNumber = series, k + 1
        paths.append(save(folder / names.format(k + 1), data))
    return paths


def header(
    plane: NDArray[np.generic],
    position: NDArray[np.float64],
    affine: NDArray[np.float64],
    number: int,
    description: str = "",
    **elements: Any,
) -> Dataset:
    """Return the data set of one slice."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = MR, generate_uid()
    data.Modality, data.SeriesNumber, data.SeriesDescription = "MR", number, description
    lps = LPS_TO_RAS @ affine
    steps = np.linalg.norm(lps[:3, :3], axis=0)
    data.ImagePositionPatient = _decimals((LPS_TO_RAS @ position)[:3])
    data.ImageOrientationPatient = _decimals([*(lps[:3, 0] / steps[0]), *(lps[:3, 1] / steps[1])])
    data.PixelSpacing = _decimals([steps[1], steps[0]])
    data.SliceThickness = _decimal(float(steps[2]))
    set_pixels(data, plane.T)
    for keyword, value in {"ImageType": ["ORIGINAL", "PRIMARY"], **study(), **elements}.items():
        setattr(data, keyword, value)
    return data


def set_pixels(data: Dataset, pixels: NDArray[np.generic]) -> None:
    """Give a data set the pixels of (rows, columns) or (frames, rows, columns)."""
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = pixels.dtype.itemsize * 8
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = np.ascontiguousarray(pixels).tobytes()
    if bits == 8 and len(data.PixelData) % 2:
        data.PixelData += b"\0"


def save(path: Path, data: Dataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a data set as a file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    file = FileDataset(str(path), data, file_meta=meta, preamble=b"\0" * 128)
    pydicom.dcmwrite(path, file, enforce_file_format=True)
    return path


def write_enhanced(
    path: Path,
    array: NDArray[np.generic],
    affine: NDArray[np.float64],
    number: int,
    description: str = "",
    order: Sequence[int] = (),
    **elements: Any,
) -> Path:
    """Write an array as one enhanced multi-frame object, its frames in an order of their own."""
    order = list(order) or list(range(array.shape[2]))
    data = header(array[:, :, 0], affine @ [0, 0, 0, 1], affine, number, description, **elements)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = data.PixelSpacing, data.SliceThickness
    measures.SpacingBetweenSlices = data.SliceThickness
    orientation.ImageOrientationPatient = data.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    echo, timing = Dataset(), Dataset()
    echo.EffectiveEchoTime = float(elements.get("EchoTime", 10))
    timing.RepetitionTime = float(elements.get("RepetitionTime", 500))
    shared.MREchoSequence, shared.MRTimingAndRelatedParametersSequence = [echo], [timing]
    for keyword in (
        "PixelSpacing",
        "SliceThickness",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "EchoTime",
    ):
        if keyword in data:
            delattr(data, keyword)
    data.SOPClassUID, data.SeriesInstanceUID, data.InstanceNumber = ENHANCED_MR, generate_uid(), 1
    data.SharedFunctionalGroupsSequence = [shared]
    data.PerFrameFunctionalGroupsSequence = [_frame(affine, k, n) for n, k in enumerate(order)]
    data.NumberOfFrames = len(order)
    set_pixels(data, np.stack([array[:, :, k].T for k in order]))
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, data)


def write_segmentation(
    path: Path,
    frames: NDArray[np.generic],
    places: Sequence[float],
    segments: Mapping[int, str],
    numbers: Sequence[int] = (),
) -> Path:
    """Write a segmentation object without the checks of highdicom.

    Parameters
    ----------
    path : Path
        The file.
    frames : (N, rows, columns) array
        0 and 1 for a segment, numbers of segments for a label map.
    places : sequence of float
        Distance of each frame from the first, in mm.
    segments : mapping
        Number and description of each segment.
    numbers : sequence of int
        Segment of each frame; empty for a label map.
    """
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    data = header(frames[0].T, affine @ [0, 0, 0, 1], affine, 9)
    data.SOPClassUID, data.Modality = SEGMENTATION if numbers else LABEL_MAP, "SEG"
    data.SegmentationType, data.MaximumFractionalValue = "FRACTIONAL" if numbers else "LABELMAP", 1
    data.SeriesInstanceUID, data.InstanceNumber = generate_uid(), 1
    data.SegmentSequence = [_segment(number, text) for number, text in segments.items()]
    groups = []
    for n, place in enumerate(places):
        group = _frame(affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, place], [0, 0, 0, 1]]), 0, n)
        measures, orientation, segment = Dataset(), Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness = data.PixelSpacing, data.SliceThickness
        orientation.ImageOrientationPatient = data.ImageOrientationPatient
        group.PixelMeasuresSequence, group.PlaneOrientationSequence = [measures], [orientation]
        if numbers:
            segment.ReferencedSegmentNumber = numbers[n]
            group.SegmentIdentificationSequence = [segment]
        groups.append(group)
    data.PerFrameFunctionalGroupsSequence, data.NumberOfFrames = groups, len(groups)
    set_pixels(data, frames)
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, data)


def _segment(number: int, description: str) -> Dataset:
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentDescription = number, description
    return segment


def _frame(affine: NDArray[np.float64], k: int, index: int) -> Dataset:
    frame, position, content = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = _decimals((LPS_TO_RAS @ affine @ [0, 0, k, 1])[:3])
    content.DimensionIndexValues, content.StackID, content.InStackPositionNumber = [1, index + 1], "1", k + 1
    frame.PlanePositionSequence, frame.FrameContentSequence = [position], [content]
    return frame


def _decimals(values: Any) -> list[str]:
    return [_decimal(float(value)) for value in values]


def _decimal(value: float) -> str:
    """Return a number in at most 16 characters, as the standard has it."""
    return next(t for n in range(14, 0, -1) if len(t := f"{value + 0.0:.{n}g}") <= 16)
