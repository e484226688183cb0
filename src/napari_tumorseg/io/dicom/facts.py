"""Facts of DICOM files by which slices become series, volumes and modalities.

Nothing that names the patient is among them but keys that distinguish patients and words to avoid; these are
never shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_tumorseg.geometry import SliceFile


@dataclass(frozen=True)
class Frame:
    """Place and kind of one image plane.

    Attributes
    ----------
    index : int
        Number of the frame in its file, from 0.
    position : tuple of float or None
        Centre of the first pixel, LPS mm.
    orientation : tuple of float or None
        Unit vectors along a row and along a column, LPS.
    spacing : tuple of float or None
        Distance of rows and of columns in mm.
    depth : float or None
        Stated distance of slices in mm, else their thickness.
    echo, b_value : float or None
        Echo time in ms, diffusion weighting.
    time : int or None
        Number of the point in time.
    image_type : tuple of str
        Values of Image Type, or of the frame's.
    slope, intercept : float
        From stored numbers to values.
    """

    index: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    depth: float | None
    echo: float | None
    b_value: float | None
    time: int | None
    image_type: tuple[str, ...]
    slope: float
    intercept: float


@dataclass(frozen=True)
class Header:
    """Facts of one file.

    Attributes
    ----------
    file : SliceFile
        The file.
    patient, study, series, instance : str
        Keys that distinguish them; never shown.
    sop_class, modality : str
        Kind of object.
    when : str
        Date and time of the study, to sort by; never shown.
    number, instance_number, acquisition : int or None
        Series, instance and acquisition number.
    description, protocol : str
        Words for the series.
    scanning : tuple of str
        Scanning Sequence: SE, GR, IR, EP.
    repetition, inversion : float or None
        Times in ms.
    agent : str
        Contrast agent; empty if none is stated.
    shape : tuple of int
        Rows and columns.
    frames : tuple of Frame
        Its image planes.
    name_words : frozenset of str
        Words of the patient's name, lower case, to find them in names of folders; never shown.
    is_inverted : bool
        Its large numbers are dark.
    tiles_in_row : int
        Planes beside each other in the image of a Siemens mosaic, of which `shape` is that of one; else 0.
    """

    file: SliceFile
    patient: str
    study: str
    series: str
    instance: str
    sop_class: str
    modality: str
    when: str
    number: int | None
    instance_number: int | None
    acquisition: int | None
    description: str
    protocol: str
    scanning: tuple[str, ...]
    repetition: float | None
    inversion: float | None
    agent: str
    shape: tuple[int, int]
    frames: tuple[Frame, ...]
    name_words: frozenset[str] = frozenset()
    is_inverted: bool = False
    tiles_in_row: int = 0

    @property
    def image_type(self) -> tuple[str, ...]:
        """Image Type of the first frame."""
        return self.frames[0].image_type if self.frames else ()
