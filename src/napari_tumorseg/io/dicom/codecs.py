"""Compressed pixels of DICOM files, decoded by imagecodecs after a look at the size that they declare.

pydicom itself inflates RLE. JPEG Lossless, the usual compression of MR, it reads only with libraries that are
under the GPL or load their symbols into the whole process.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array

_JPEG = "1.2.840.10008.1.2.4."
_CODECS: dict[str, tuple[str, ...]] = {
    f"{_JPEG}50": ("jpeg8_decode",),
    f"{_JPEG}51": ("jpeg8_decode",),
    f"{_JPEG}57": ("ljpeg_decode", "jpegsof3_decode", "jpeg8_decode"),
    f"{_JPEG}70": ("ljpeg_decode", "jpegsof3_decode", "jpeg8_decode"),
    f"{_JPEG}80": ("jpegls_decode",),
    f"{_JPEG}81": ("jpegls_decode",),
    f"{_JPEG}90": ("jpeg2k_decode",),
    f"{_JPEG}91": ("jpeg2k_decode",),
    f"{_JPEG}201": ("jpeg2k_decode",),
    f"{_JPEG}202": ("jpeg2k_decode",),
    f"{_JPEG}203": ("jpeg2k_decode",),
}
"""Transfer syntaxes, and the functions of imagecodecs that are tried in turn."""

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
"""Transfer syntaxes in little-endian order, without and with the types of elements."""

DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN, _RLE = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"

BY_PYDICOM = (IMPLICIT, EXPLICIT, DEFLATED, _BIG_ENDIAN, _RLE)
"""Transfer syntaxes without compression, deflated as a whole, or RLE."""

_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_2000_SIZE = b"\xff\x4f\xff\x51"


def can_decode(syntax: str) -> bool:
    """Return whether pixels of a transfer syntax can be read."""
    return syntax in BY_PYDICOM or syntax in _CODECS


def decode(frame: bytes, syntax: str, shape: tuple[int, int], where: str) -> Array:
    """Return a compressed frame of one sample a pixel.

    Raises
    ------
    InputError
        If it declares another size than the header, or cannot be decoded.
    """
    if _declared(frame) != shape:
        raise InputError(
            f"{where} is damaged: its compressed image has another size than its header declares"
        )
    library = import_module("imagecodecs")
    functions: list[Callable[[bytes], Any]] = [getattr(library, name) for name in _CODECS[syntax]]
    for function in functions:
        try:
            found = np.asarray(function(frame))
        except Exception:  # each codec has an error of its own
            continue
        if found.shape == shape and found.dtype.kind in "iu":
            return found
    raise InputError(f"{where} is damaged: its compressed image cannot be decoded")


def as_stored(values: Array, stored_bits: int, signed: bool) -> Array:
    """Return decoded numbers with the sign that the header states, taken from the top bit if need be."""
    if not signed or values.dtype.kind == "i":
        return values
    wide = values.astype(np.int32)
    numbers = np.where(wide >= 1 << (stored_bits - 1), wide - (1 << stored_bits), wide)
    return numbers.astype(np.int16 if stored_bits <= 16 else np.int32)


def _declared(frame: bytes) -> tuple[int, int] | None:
    """Return the rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream declares; None if it is none."""
    start = frame.find(_JPEG_2000_SIZE)
    if start >= 0:
        right, bottom, left, top = (int.from_bytes(frame[start + 8 + 4 * n :][:4]) for n in range(4))
        return bottom - top, right - left
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in _START_OF_FRAME or marker == 0xF7:
            return int.from_bytes(frame[at + 5 : at + 7]), int.from_bytes(frame[at + 7 : at + 9])
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4])
    return None
