"""Headers of DICOM files, single frames and enhanced multi-frame objects, read with checks."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, BinaryIO

from napari_tumorseg.errors import InputError, TooLargeError
from napari_tumorseg.geometry import SliceFile
from napari_tumorseg.io.dicom import library
from napari_tumorseg.io.dicom.codecs import DEFLATED
from napari_tumorseg.io.dicom.facts import Frame, Header
from napari_tumorseg.io.dicom.files import opened, shown, unpacked_size
from napari_tumorseg.io.dicom.mosaic import untiled
from napari_tumorseg.io.dicom.values import item, number, numbers, text, texts, whole
from napari_tumorseg.io.limits import max_bytes

SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")

_CACHED = 2**14
_MOSAIC = "MOSAIC"
_MOST_FRAMES = 20_000
_META_BYTES = 4096
_SHORTEST_NAME = 3
"""Letters of a word that is looked for in names of folders."""

_META_LENGTH_AT = 140
"""Offset of the length of the file's meta information, behind preamble, magic and its element's tag."""

_KEYWORDS = (
    "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality PatientID PatientName "
    "PatientBirthDate StudyDate StudyTime SeriesNumber SeriesDescription ProtocolName ScanningSequence "
    "ImageType EchoTime RepetitionTime InversionTime ContrastBolusAgent ContrastBolusAgentSequence "
    "AcquisitionNumber TemporalPositionIdentifier InstanceNumber ImagePositionPatient "
    "ImageOrientationPatient PixelSpacing SliceThickness SpacingBetweenSlices Rows Columns "
    "NumberOfFrames PhotometricInterpretation RescaleSlope RescaleIntercept DiffusionBValue "
    "SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence"
)


def read_header(file: SliceFile) -> Header:
    """Read the facts of a file, not its pixels.

    Raises
    ------
    InputError
        If it is damaged, or pydicom is not installed.
    """
    try:
        found = file.path.stat()
    except OSError as error:
        raise InputError(f"{file.path} cannot be read: {error.strerror or error}") from error
    return _cached_header(file, found.st_mtime_ns, found.st_size)


def read_data(file: SliceFile, keywords: list[Any] | None = None, pixels: bool = False) -> Any:
    """Return the pydicom data set of a file, on request only some elements of it, or its pixels, too.

    Raises
    ------
    InputError
        If it is damaged.
    TooLargeError
        If it is deflated and unpacks to more than the limit.
    """
    where = shown(file)
    library.pydicom(where)
    with opened(file) as stream, library.reading(where):
        return parsed(stream, where, keywords, pixels)


def parsed(stream: BinaryIO, where: str, keywords: list[Any] | None = None, pixels: bool = False) -> Any:
    """Return the data set in a stream; to be called within `library.reading`."""
    _refuse_bomb(stream, where)
    stream.seek(0)
    dcmread = library.pydicom(where).dcmread
    return dcmread(stream, force=True, specific_tags=keywords, stop_before_pixels=not pixels)


def _refuse_bomb(stream: BinaryIO, where: str) -> None:
    """Raise if a deflated file unpacks to more than the limit: pydicom would unpack all of it."""
    head = stream.read(_META_BYTES)
    if DEFLATED.encode() not in head:
        return
    length = int.from_bytes(head[_META_LENGTH_AT : _META_LENGTH_AT + 4], "little")
    stream.seek(_META_LENGTH_AT + 4 + length)
    if unpacked_size(stream.read(), max_bytes()) > max_bytes():
        raise TooLargeError(
            f"{where} is deflated and unpacks to more than the limit of {max_bytes() / 2**30:g} GiB"
        )


@lru_cache(_CACHED)
def _cached_header(file: SliceFile, changed: int, size: int) -> Header:
    """Return the header of a file; the other arguments distinguish its versions."""
    data = read_data(file, _KEYWORDS.split())
    with library.reading(shown(file)):
        header = _header(data, file)
        return untiled(header, read_data(file)) if _MOSAIC in header.image_type else header


def _header(data: Any, file: SliceFile) -> Header:
    if not (text(data, "SOPClassUID") and text(data, "SeriesInstanceUID")):
        raise InputError(f"{shown(file)} is no DICOM object that is read here, or is damaged")
    # a name may be spelt differently in the series of one examination
    patient = (
        text(data, "PatientID") or f"{getattr(data, 'PatientName', '')}|{text(data, 'PatientBirthDate')}"
    )
    return Header(
        file=file,
        patient=patient,
        study=text(data, "StudyInstanceUID"),
        series=text(data, "SeriesInstanceUID"),
        instance=text(data, "SOPInstanceUID"),
        sop_class=text(data, "SOPClassUID"),
        modality=text(data, "Modality"),
        when=f"{text(data, 'StudyDate')} {text(data, 'StudyTime')}",
        number=whole(data, "SeriesNumber"),
        instance_number=whole(data, "InstanceNumber"),
        acquisition=whole(data, "AcquisitionNumber"),
        description=text(data, "SeriesDescription"),
        protocol=text(data, "ProtocolName"),
        scanning=texts(data, "ScanningSequence"),
        repetition=_repetition(data),
        inversion=number(data, "InversionTime") or _inversion(data),
        agent=text(data, "ContrastBolusAgent") or _agent(data),
        shape=(whole(data, "Rows") or 0, whole(data, "Columns") or 0),
        frames=_frames(data, file),
        name_words=_name_words(data),
        is_inverted=text(data, "PhotometricInterpretation") == "MONOCHROME1",
    )


def _name_words(data: Any) -> frozenset[str]:
    """Return the words of the patient's name; none of a name that only repeats the identifier."""
    name = str(getattr(data, "PatientName", "") or "")
    if name == text(data, "PatientID"):
        return frozenset()
    return frozenset(word for word in re.findall(r"[^\W\d_]+", name.lower()) if len(word) >= _SHORTEST_NAME)


# --- enhanced objects, whose facts lie in sequences of their own -----------------------------


def _repetition(data: Any) -> float | None:
    own = number(data, "RepetitionTime")
    timing = _group(data, 0, "MRTimingAndRelatedParametersSequence")
    return own if own is not None else number(timing, "RepetitionTime")


def _inversion(data: Any) -> float | None:
    return number(_group(data, 0, "MRModifierSequence"), "InversionTimes")


def _agent(data: Any) -> str:
    found = item(data, "ContrastBolusAgentSequence")
    return "" if found is None else text(found, "CodeMeaning") or "contrast"


def _group(data: Any, index: int, keyword: str) -> Any:
    """Return the functional group of a frame, else the one that all frames share; None if there is none."""
    try:
        own = data.PerFrameFunctionalGroupsSequence[index]
    except (AttributeError, IndexError, TypeError):
        own = None
    return item(own, keyword) or item(data, "SharedFunctionalGroupsSequence", keyword)


def _frames(data: Any, file: SliceFile) -> tuple[Frame, ...]:
    if getattr(data, "PerFrameFunctionalGroupsSequence", None) is None:
        return (_single(data),)
    count = len(data.PerFrameFunctionalGroupsSequence)
    if count != (whole(data, "NumberOfFrames") or 1) or count > _MOST_FRAMES:
        raise InputError(f"{shown(file)} is damaged: it does not describe as many frames as it declares")
    return tuple(_of_group(data, index) for index in range(count))


def _single(data: Any) -> Frame:
    frames = whole(data, "NumberOfFrames") or 1
    return Frame(
        index=0,
        # planes of an object without functional groups have no places
        position=numbers(data, "ImagePositionPatient", 3) if frames == 1 else None,
        orientation=numbers(data, "ImageOrientationPatient", 6),
        spacing=numbers(data, "PixelSpacing", 2),
        depth=_depth(data),
        echo=number(data, "EchoTime"),
        b_value=number(data, "DiffusionBValue"),
        time=whole(data, "TemporalPositionIdentifier"),
        image_type=texts(data, "ImageType"),
        slope=_slope(data),
        intercept=number(data, "RescaleIntercept") or 0.0,
    )


def _of_group(data: Any, index: int) -> Frame:
    def group(keyword: str) -> Any:
        return _group(data, index, keyword)

    measures, values = group("PixelMeasuresSequence"), group("PixelValueTransformationSequence")
    kind = group("MRImageFrameTypeSequence")
    return Frame(
        index=index,
        position=numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3),
        orientation=numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        spacing=numbers(measures, "PixelSpacing", 2),
        depth=_depth(measures),
        echo=number(group("MREchoSequence"), "EffectiveEchoTime"),
        b_value=number(group("MRDiffusionSequence"), "DiffusionBValue"),
        time=whole(group("FrameContentSequence"), "TemporalPositionIndex"),
        image_type=texts(kind, "FrameType") or texts(data, "ImageType"),
        slope=_slope(values),
        intercept=number(values, "RescaleIntercept") or 0.0,
    )


def _depth(data: Any) -> float | None:
    return number(data, "SpacingBetweenSlices") or number(data, "SliceThickness")


def _slope(data: Any) -> float:
    found = number(data, "RescaleSlope")
    return 1.0 if found is None or found == 0 else found
