"""Masks and probabilities as DICOM segmentation objects that refer to the series that was segmented.

The standard has a segmentation carry the patient and study of its source, so that it is filed beside it:
these are the only files of this program with names and identifiers of the patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg._version import __version__
from napari_tumorseg.errors import OutputError, TumorSegError
from napari_tumorseg.geometry import LPS_TO_RAS, Array, FileLayout, Grid, SliceFile
from napari_tumorseg.io.atomic import atomic_path
from napari_tumorseg.io.dicom import library
from napari_tumorseg.io.dicom.files import kept_open
from napari_tumorseg.io.dicom.headers import read_data
from napari_tumorseg.io.dicom.pixels import as_frames
from napari_tumorseg.io.dicom.seg_codes import ALTERED_STRUCTURE, BRAIN, TERMS, Term
from napari_tumorseg.io.dicom.seg_reading import MANUFACTURER, OWN_LABEL
from napari_tumorseg.io.label_arrays import present
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.regions import COLOURS, TUMOUR, LabelConvention
from napari_tumorseg.scan import Segmentation

_PRODUCT = "napari-tumorseg"
_SERIES_NUMBER = 9000
"""Number of the series of masks; those of probabilities have the next one."""

_LONGEST_LABEL = 64
_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime"),
)


def write_mask(seg: Segmentation, path: Path, overwrite: bool = False) -> None:
    """Write a mask as a binary segmentation object, one segment for each label that it holds.

    An empty mask has a segment for each label of its convention, with empty frames.

    Raises
    ------
    OutputError
        If the scan was not read from DICOM, highdicom is not installed, or the file exists or cannot be
        written.
    """
    layout = check_source(seg.grid, path)
    held = set(present(seg.labels))
    values = [label.value for label in seg.convention.labels if label.value in held or not held]
    frames = _frames(seg.labels, layout)
    stacked = np.stack([frames == value for value in values], axis=-1).astype(np.uint8)
    segments = _segments(seg, values, path)
    _write(stacked, "BINARY", segments, layout, path, overwrite)


def write_fractions(seg: Segmentation, path: Path, overwrite: bool = False) -> None:
    """Write the probabilities of a run as a fractional segmentation object, one segment for each output.

    Raises
    ------
    OutputError
        As `write_mask`.
    """
    layout = check_source(seg.grid, path)
    maps = map(seg.probability_map, seg.probabilities)
    stacked = [_frames(values, layout) / np.float32(255) for values in maps]
    segments = _output_segments(seg, path)
    _write(np.stack(stacked, axis=-1), "FRACTIONAL", segments, layout, path, overwrite)


def check_source(grid: Grid, path: Path) -> FileLayout:
    """Return the layout of the series that a mask on a grid belongs to.

    Raises
    ------
    OutputError
        If it was not read from DICOM, or highdicom is not installed.
    """
    layout = grid.file_layout
    if layout is None or not layout.slice_files:
        raise OutputError(
            f"{path} cannot be written: a DICOM segmentation refers to the DICOM series that was segmented, "
            "and this scan is none; choose .nii.gz"
        )
    library.highdicom(path)
    return layout


def _frames(array: Array, layout: FileLayout) -> Array:
    """Return a canonical array as frames, (slices, rows, columns)."""
    return as_frames(layout.axis_order.undo(array))


# --- segments --------------------------------------------------------------------------------


def _segments(seg: Segmentation, values: Sequence[int], path: Path) -> list[Any]:
    """Return the descriptions of the segments of labels."""
    found = []
    for number, value in enumerate(values, start=1):
        label = seg.convention.label(value)
        segment = _segment(number, label.name, label.tissue, seg, path)
        segment.SegmentDescription = OWN_LABEL.format(value=value, convention=seg.convention.name)
        found.append(segment)
    return found


def _output_segments(seg: Segmentation, path: Path) -> list[Any]:
    """Return the descriptions of the segments of outputs; a region of several tissues is a neoplasm."""
    found = []
    for number, name in enumerate(seg.probabilities, start=1):
        segment = _segment(number, name, _tissue_of(name, seg.convention), seg, path)
        segment.SegmentDescription = f"probability of {name}"
        found.append(segment)
    return found


def _tissue_of(output: str, convention: LabelConvention) -> str:
    members = convention.regions.get(output, ())
    known = [label for label in convention.labels if label.short == output or members == (label.value,)]
    return known[0].tissue if known else TUMOUR


def _segment(number: int, label: str, tissue: str, seg: Segmentation, path: Path) -> Any:
    hd = library.highdicom(path)
    algorithm = _algorithm(seg, path)
    by_hand = bool(seg.provenance.get("corrected_by_hand"))
    types = hd.seg.SegmentAlgorithmTypeValues
    how = types.MANUAL if algorithm is None else types.SEMIAUTOMATIC if by_hand else types.AUTOMATIC
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label[:_LONGEST_LABEL],
        segmented_property_category=_concept(ALTERED_STRUCTURE, path),
        segmented_property_type=_concept(TERMS[tissue], path),
        algorithm_type=how,
        algorithm_identification=algorithm,
        tracking_uid=hd.UID(),
        tracking_id=f"{label} {number}"[:_LONGEST_LABEL],
        anatomic_regions=[_concept(BRAIN, path)],
        display_color=hd.color.CIELabColor.from_rgb(*bytes.fromhex(COLOURS[tissue][1:])),
    )


def _concept(term: Term, path: Path) -> Any:
    return library.highdicom(path).sr.CodedConcept(term.value, term.scheme, term.meaning)


def _algorithm(seg: Segmentation, path: Path) -> Any:
    """Return the identification of the model, as its card states it; None for a mask drawn by hand."""
    model = seg.provenance.get("model")
    if not isinstance(model, Mapping) or not model.get("name"):
        return None
    hd, family = library.highdicom(path), Term("123109", "DCM", "Artificial Intelligence")
    weights = str(model.get("sha256", ""))
    return hd.AlgorithmIdentificationSequence(
        name=str(model["name"])[:_LONGEST_LABEL],
        version=str(model.get("version") or "1")[:_LONGEST_LABEL],
        family=_concept(family, path),
        source=f"{_PRODUCT} {__version__}",
        parameters={"weights_sha256": weights} if weights else None,
    )


# --- the object ------------------------------------------------------------------------------


def _write(
    stacked: Array, kind: str, segments: list[Any], layout: FileLayout, path: Path, overwrite: bool
) -> None:
    archive = layout.slice_files[0].path
    with atomic_path(path, overwrite) as temporary, library.quiet(), kept_open(archive):
        try:
            found = _object(stacked, kind, segments, layout, path)
        except TumorSegError:
            raise
        except Exception as error:  # highdicom raises many kinds for headers that the standard does not allow
            raise OutputError(
                f"{path} cannot be written: the headers of the series are not as a DICOM segmentation needs "
                f"them ({type(error).__name__}); write NIfTI instead"
            ) from None
        found.save_as(temporary)


def _object(stacked: Array, kind: str, segments: list[Any], layout: FileLayout, path: Path) -> Any:
    hd = library.highdicom(path)
    sources = [_source(file) for file in dict.fromkeys(layout.slice_files)]
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=stacked,
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=hd.UID(),
        series_number=_SERIES_NUMBER + (kind == "FRACTIONAL"),
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=_PRODUCT,
        software_versions=__version__,
        device_serial_number="0",
        content_label="TUMOUR",
        content_creator_name="",
        content_description=RESEARCH_USE[:_LONGEST_LABEL],
        series_description="Brain tumour segmentation",
        **_place(layout, hd),
    )


def _source(file: SliceFile) -> Any:
    """Return the header of a file of the series; elements that may be empty but not left out are empty."""
    data = read_data(file)
    for keyword in _MAY_BE_EMPTY:
        if keyword not in data:
            setattr(data, keyword, "")
    return data


def _place(layout: FileLayout, hd: Any) -> dict[str, Any]:
    """Return where the frames lie, as highdicom's arguments: they are the scan's own slices."""
    columns_step, rows_step, step = (LPS_TO_RAS @ layout.affine)[:3, :3].T
    rows_step = -rows_step  # the array holds the last row first
    sizes = [float(np.linalg.norm(v)) for v in (rows_step, columns_step)]
    directions = [*(columns_step / sizes[1]), *(rows_step / sizes[0])]
    depth = abs(float(step @ np.cross(directions[:3], directions[3:])))
    first = np.array([[0, layout.shape[1] - 1, k, 1] for k in range(layout.shape[2])])
    origins = (first @ (LPS_TO_RAS @ layout.affine).T)[:, :3]
    return {
        "pixel_measures": hd.PixelMeasuresSequence(sizes, depth, depth),
        "plane_orientation": hd.PlaneOrientationSequence("PATIENT", directions),
        "plane_positions": [hd.PlanePositionSequence("PATIENT", origin) for origin in origins],
    }
