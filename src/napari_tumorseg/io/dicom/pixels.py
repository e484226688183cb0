"""Pixels of DICOM volumes, read file by file into one array of the file's order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from napari_tumorseg.errors import InputError, TumorSegError
from napari_tumorseg.geometry import Array, SliceFile
from napari_tumorseg.io.dicom import library
from napari_tumorseg.io.dicom.codecs import BY_PYDICOM, EXPLICIT, IMPLICIT, as_stored, can_decode, decode
from napari_tumorseg.io.dicom.files import shown
from napari_tumorseg.io.dicom.headers import read_data
from napari_tumorseg.io.dicom.stacks import Plane, Stack
from napari_tumorseg.io.dicom.values import text, whole
from napari_tumorseg.io.limits import check_array

_MOST_BITS = 32


def read_volume(stack: Stack) -> Array:
    """Return the values of a volume.

    Returns
    -------
    (I, J, K) array
        Columns, rows from the last one upwards, slices: the order of the stack's affine. Rescaled values are
        float32, others of the file's own type; slices that are missing are 0.

    Raises
    ------
    InputError
        If a file is damaged, truncated, of colours, or compressed in a way that is not read here.
    TooLargeError
        If the headers declare more than the limit.
    """
    columns, rows, slices = stack.shape
    check_array((columns, rows, slices), np.float32, stack.header.file.path)
    rescaled = any((plane.frame.slope, plane.frame.intercept) != (1.0, 0.0) for plane in stack.planes)
    volume: Array | None = None
    slots = {_key(plane): slot for plane, slot in zip(stack.planes, stack.slots, strict=True)}
    ordered = sorted(stack.planes, key=lambda p: (p.header.file, p.frame.index))
    for _, planes in groupby(ordered, key=lambda p: p.header.file):
        for plane, pixels in _planes_of(list(planes)):
            values = _rescaled(pixels, plane) if rescaled else pixels
            if volume is None:
                volume = np.zeros((slices, rows, columns), values.dtype)
            elif not np.can_cast(values.dtype, volume.dtype):
                volume = volume.astype(np.promote_types(values.dtype, volume.dtype))
            volume[slots[_key(plane)]] = values
    assert volume is not None
    return from_frames(volume)


def _key(plane: Plane) -> tuple[SliceFile, int]:
    """Return the file and frame of a plane, quick to hash: a header lists all frames."""
    return plane.header.file, plane.frame.index


def has_same_pixels(one: Plane, other: Plane) -> bool:
    """Return whether two planes hold the same values; files that cannot be read are left to the reading."""
    if (one.frame.slope, one.frame.intercept) != (other.frame.slope, other.frame.intercept):
        return False
    try:
        ((_, first),), ((_, second),) = _planes_of([one]), _planes_of([other])
    except TumorSegError:
        return True
    return bool(np.array_equal(first, second))


def from_frames(frames: Array) -> Array:
    """Return (slices, rows, columns) in the order of `read_volume`."""
    return frames[:, ::-1, :].transpose(2, 1, 0)


def as_frames(values: Array) -> Array:
    """Return an array of the order of `read_volume` as frames: (slices, rows, columns)."""
    return values.transpose(2, 1, 0)[:, ::-1, :]


def read_frames(file: SliceFile, frames: int, shape: tuple[int, int]) -> Array:
    """Return the stored numbers of all frames of a file, (frames, rows, columns).

    Raises
    ------
    InputError
        As `read_volume`.
    """
    where = shown(file)
    data = read_data(file, pixels=True)
    check_array((frames, *shape), np.float32, file.path)
    syntax = _checked(data, where)
    with library.reading(where):
        if syntax in BY_PYDICOM:
            pixels = library.pydicom(where).pixels.pixel_array(data, raw=True)
        else:
            pixels = _decompressed(data, syntax, frames, shape, where)
    if pixels.size != frames * shape[0] * shape[1]:
        raise InputError(f"{where} is damaged: it holds another number of pixels than its header declares")
    native = np.asarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    return native.reshape(frames, *shape)


def _planes_of(planes: Sequence[Plane]) -> list[tuple[Plane, Array]]:
    """Return the pixels of planes that lie in one file."""
    header = planes[0].header
    side = header.tiles_in_row
    if not side:
        frames = read_frames(header.file, len(header.frames), header.shape)
        return [(plane, frames[plane.frame.index]) for plane in planes]
    rows, columns = header.shape
    image = read_frames(header.file, 1, (rows * side, columns * side))[0]
    tiles = image.reshape(side, rows, side, columns).swapaxes(1, 2).reshape(-1, rows, columns)
    return [(plane, tiles[plane.frame.index]) for plane in planes]


def _rescaled(pixels: Array, plane: Plane) -> Array:
    return pixels.astype(np.float32) * np.float32(plane.frame.slope) + np.float32(plane.frame.intercept)


def _checked(data: Any, where: str) -> str:
    """Return the transfer syntax of pixels that can be read."""
    if "PixelData" not in data:
        raise InputError(f"{where} is truncated or holds no pixels; copy it again")
    if (whole(data, "SamplesPerPixel") or 1) != 1:
        raise InputError(f"{where} is a picture in colours, no scan")
    if not 0 < (whole(data, "BitsAllocated") or 0) <= _MOST_BITS:
        raise InputError(f"{where} is damaged: its header lacks the size of its pixels")
    syntax = text(getattr(data, "file_meta", None), "TransferSyntaxUID")
    if not syntax:
        syntax = IMPLICIT if data.original_encoding[0] else EXPLICIT
        data.file_meta.TransferSyntaxUID = syntax
    if not can_decode(syntax):
        raise InputError(
            f"{where} is compressed in a way that is not read here ({_name(syntax)}); save the series "
            "uncompressed"
        )
    return syntax


def _name(syntax: str) -> str:
    """Return the name of a transfer syntax, such as MPEG-4; that of the standard, or "a private one"."""
    uid = library.pydicom("").uid.UID(syntax)
    return str(uid.name) if uid.name != syntax and not uid.is_private else "a private one"


def _decompressed(data: Any, syntax: str, count: int, shape: tuple[int, int], where: str) -> Array:
    generate = library.pydicom(where).encaps.generate_frames
    frames = generate(data.PixelData, number_of_frames=count)
    bits, signed = whole(data, "BitsStored") or 16, bool(whole(data, "PixelRepresentation"))
    return np.stack([as_stored(decode(bytes(f), syntax, shape, where), bits, signed) for f in frames])
