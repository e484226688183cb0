"""NIfTI-1 and NIfTI-2 files, plain or gzipped: reading with checked headers, writing of matching masks.

The bytes are inflated once, by ISA-L where it is installed, never beyond what the header declares, and
the array is a view of them. nibabel interprets the header; what it would pass over in silence (an infinite
slope, imaginary parts) gives a warning or an error here; `nifti_geometry` does so for the geometry.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from napari_tumorseg.errors import InputError, TooLargeError, UnsuitableError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.io.atomic import atomic_path
from napari_tumorseg.io.foreign import foreign_kind
from napari_tumorseg.io.formats import NIFTI
from napari_tumorseg.io.limits import check_array, max_bytes
from napari_tumorseg.io.nifti_geometry import grid_of, header_for
from napari_tumorseg.io.other_volumes import read_volume
from napari_tumorseg.io.plausible_size import plausible
from napari_tumorseg.scan import Segmentation

inflate_library: Any = zlib
with suppress(ImportError):  # two to three times as fast; not built for every platform
    inflate_library = import_module("isal.isal_zlib")

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31
_START_BYTES = 2048  # a header has 348 or 540; files of other kinds show themselves further on
_MAX_CHANNELS = 16
_FEW_CHANNELS = 8
_LONGEST_AXIS = 4
"""A volume is at most so many times as long as it is wide, in voxels; a time series may be longer."""

_MOST_OFFSET = 2**26  # bytes of extensions before the voxels
_FIRST_CHUNK = 4096
_REFUSED_TYPES = {
    32: "complex",
    1792: "complex",
    2048: "complex",
    128: "RGB colour",
    2304: "RGBA colour",
    1: "1-bit",
}


@dataclass(frozen=True, eq=False)
class NiftiFile:
    """Contents of a NIfTI file.

    Attributes
    ----------
    channels : tuple of (Z, Y, X) arrays
        One for a 3-D file, several for a 4-D one; read-only views where nothing had to be converted.
    grid : Grid
        Common to all channels.
    warnings : tuple of str
        Oddities of the file, one sentence each.
    """

    channels: tuple[Array, ...]
    grid: Grid
    warnings: tuple[str, ...]


def read_file(path: Path) -> NiftiFile:
    """Read a NIfTI file.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz`` in any case of letters; 2-D to 4-D.

    Raises
    ------
    InputError
        If the file is no NIfTI, is truncated or damaged, or holds colours or complex numbers.
    TooLargeError
        If the header declares more than the limit.
    """
    if not path.name.lower().endswith(NIFTI.written):
        return _read_other(path)
    content = _Content(path)
    header = _parse_header(content, path)
    shape, channel_axis = _shape(header, path)
    dtype = _data_type(header, path)
    nbytes = check_array(shape, dtype, path)
    offset = _offset(header, path)
    raw = content.up_to(offset + nbytes + 1)  # one more, so that the inflater comes to the checksum
    if len(raw) < offset + nbytes:
        raise InputError(
            f"{path} is truncated: {len(raw)} of {offset + nbytes} bytes are there; copy it again"
        )
    warnings: list[str] = []
    flat = np.frombuffer(raw, dtype=dtype, count=int(np.prod(shape)), offset=offset)
    array = _scaled(flat.reshape(shape, order="F"), header, path)
    space = tuple(n for axis, n in enumerate(shape) if axis != channel_axis)
    grid = grid_of(header, space, path, warnings)
    assert grid.file_layout is not None
    volumes = [array] if channel_axis is None else list(np.moveaxis(array, channel_axis, 0))
    if channel_axis == 0:
        warnings.append(
            f"{path.name}: its first dimension, of {shape[0]}, was taken as channels, and the header's voxel "
            "size and position as those of the other three"
        )
    _warn_of_values(array, path, warnings)
    return NiftiFile(tuple(grid.file_layout.axis_order.apply(v) for v in volumes), grid, tuple(warnings))


def _read_other(path: Path) -> NiftiFile:
    """Read a volume of another format as if it were NIfTI."""
    array, affine, warnings = read_volume(path)
    if array.ndim > 4 or (array.ndim == 4 and array.shape[3] > _MAX_CHANNELS):
        raise InputError(f"{path} has the dimensions {array.shape}; a scan has three, or four with channels")
    array = _native(array)
    grid, implausible = plausible(Grid.from_file(array.shape[:3], affine), path.name)
    assert grid.file_layout is not None
    warnings += implausible
    _warn_of_values(array, path, warnings)
    volumes = [array] if array.ndim == 3 else [array[..., c] for c in range(array.shape[3])]
    return NiftiFile(tuple(grid.file_layout.axis_order.apply(v) for v in volumes), grid, tuple(warnings))


def write_mask(seg: Segmentation, path: Path, overwrite: bool = False) -> None:
    """Write the labels as uint8 NIfTI on the grid of their source, index for index.

    Affine, q/s-form codes and orientation are the source's where that was a NIfTI file. For a source
    without geometry the voxel order is kept and the unit stays unknown.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    write_bytes_as(seg.labels, seg.grid, path, overwrite=overwrite)


def write_bytes_as(
    values: Array, grid: Grid, path: Path, *, slope: float = 1.0, overwrite: bool = False
) -> None:
    """Write a canonical array as uint8 NIfTI on a grid, as `write_mask` does.

    Parameters
    ----------
    values : (Z, Y, X) array of uint8
        What to write.
    grid : Grid
        Where it lies; its file layout holds the file's order and header.
    path : Path
        ``.nii`` or ``.nii.gz``.
    slope : float
        Value of a step of 1.
    overwrite : bool
        Whether a file that exists may be replaced.
    """
    data = grid.to_file_order(values).astype(np.uint8, copy=False)
    header = header_for(grid, data.shape)
    header["scl_slope"] = slope
    parts = header.binaryblock, b"\0" * 4, data.tobytes(order="F")  # no extensions
    with atomic_path(path, overwrite) as temporary, temporary.open("wb") as file:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                packed.writelines(parts)
        else:
            file.writelines(parts)


class _Content:
    """The bytes of a file, read and inflated only as far as they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._packed = b""
        try:
            with path.open("rb") as file:
                self._size = os.fstat(file.fileno()).st_size
                if file.read(2) == _GZIP_MAGIC:
                    if self._size > max_bytes():
                        raise TooLargeError(
                            f"{path}: {self._size / 2**30:.1f} GiB of packed data are more than the limit of "
                            f"{max_bytes() / 2**30:g} GiB"
                        )
                    file.seek(0)
                    self._packed = file.read()
        except OSError as error:
            raise self._failure(error) from error

    def up_to(self, length: int) -> bytes:
        """Return the first `length` bytes, or fewer where the file has no more."""
        try:
            if self._packed:
                return _inflate(self._packed, length)
            with self.path.open("rb") as file:
                return file.read(min(length, self._size))  # memory is taken before anything is read
        except OSError as error:
            raise self._failure(error) from error
        except (zlib.error, inflate_library.error) as error:
            raise InputError(f"{self.path} is damaged: it cannot be inflated ({error})") from error

    def _failure(self, error: OSError) -> InputError:
        return InputError(f"{self.path} cannot be read: {error.strerror or error}")


def _inflate(packed: bytes, length: int) -> bytes:
    """Return the first `length` bytes of gzip members that follow each other."""
    parts: list[bytes] = []
    view, position, chunk = memoryview(packed), 0, len(packed)
    while length > 0 and packed[position : position + 2] == _GZIP_MAGIC:
        inflater = inflate_library.decompressobj(_GZIP_WINDOW)
        while length > 0 and not inflater.eof and position < len(packed):
            parts.append(inflater.decompress(view[position : position + chunk], length))
            length -= len(parts[-1])
            position = min(position + chunk, len(packed))
            chunk *= 2
        position -= len(inflater.unused_data)
        chunk = _FIRST_CHUNK  # what a member leaves of a piece is copied: a million times in a bomb
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _parse_header(content: _Content, path: Path) -> Any:
    start = content.up_to(_START_BYTES)
    if not start:
        raise InputError(f"{path} is empty")
    kinds: tuple[tuple[Any, int], ...] = ((nib.Nifti1Header, 348), (nib.Nifti2Header, 540))
    for kind, size in kinds:
        orders = [order for order in "<>" if start[:4] == struct.pack(f"{order}i", size)]
        if len(start) < size or not orders:
            continue
        try:
            header = kind(start[:size], endianness=orders[0], check=False)
        except Exception:  # nibabel raises several kinds for a damaged header
            break
        if bytes(header["magic"].tobytes())[:3] in (b"n+1", b"n+2"):
            return header
        if bytes(header["magic"].tobytes())[:3] in (b"ni1", b"ni2"):
            raise InputError(f"{path} is the header of a .hdr/.img pair; convert it to a single .nii file")
        break
    foreign = foreign_kind(path, start)
    cause = f": it {foreign}" if foreign else ", or its header is damaged"
    raise InputError(f"{path} is not a NIfTI file{cause}")


def _shape(header: Any, path: Path) -> tuple[tuple[int, ...], int | None]:
    """Return a 3-D or 4-D shape and the axis of the channels, if there is one.

    Dimensions of one voxel are dropped behind and added up to three.
    """
    dims = [int(n) for n in header["dim"]]
    if not 1 <= dims[0] <= 7:
        raise InputError(f"{path}: the header declares {dims[0]} dimensions; the file is damaged")
    shape = dims[1 : dims[0] + 1]
    if min(shape) <= 0:
        raise InputError(f"{path}: the header declares an empty array of shape {tuple(shape)}")
    space, rest = [*shape[:3], 1, 1][:3], [n for n in shape[3:] if n > 1]
    if len(rest) > 1:
        raise InputError(
            f"{path} has {len(shape)} dimensions {tuple(shape)}; a scan has three, or four with channels"
        )
    if not rest:
        return tuple(space), None
    if _is_channel_first(space, rest[0]):
        return (*space, *rest), 0
    if rest[0] > _MAX_CHANNELS:
        raise UnsuitableError(_too_many(space, rest[0], path))
    return (*space, *rest), 3


def _is_channel_first(space: list[int], last: int) -> bool:
    """Return whether the first dimension is one of channels: few, and the others are those of a volume."""
    few = space[0] <= _FEW_CHANNELS < last and space[0] < min(space[1:])
    return few and last <= _LONGEST_AXIS * max(space[1:])


def _too_many(space: list[int], volumes: int, path: Path) -> str:
    """Return the sentence on a fourth dimension that is no channels."""
    if space[2] == 1:
        return (
            f"{path} holds one slice {volumes} times in its fourth dimension: if these are the slices of a "
            "volume, save it with three dimensions; of a time series, extract one volume"
        )
    return (
        f"{path} holds {volumes} volumes, which looks like a time series or diffusion data; "
        "extract the volume to segment"
    )


def _data_type(header: Any, path: Path) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code in _REFUSED_TYPES:
        raise UnsuitableError(f"{path} holds {_REFUSED_TYPES[code]} data; a scan holds one number per voxel")
    try:
        dtype: np.dtype[Any] = np.dtype(header.get_data_dtype())
    except Exception:  # nibabel raises several kinds
        dtype = np.dtype("V")
    if dtype.kind not in "iuf":
        raise InputError(f"{path}: the header declares the unknown data type {code}")
    return dtype


def _offset(header: Any, path: Path) -> int:
    offset = float(header["vox_offset"])
    smallest = int(header["sizeof_hdr"])
    if not np.isfinite(offset) or offset < 0 or offset > _MOST_OFFSET or 0 < offset < smallest:
        raise InputError(f"{path}: the header puts the voxels at byte {offset:g}; the file is damaged")
    return int(offset) or smallest + 4


def _scaled(array: Array, header: Any, path: Path) -> Array:
    """Apply slope and intercept as the standard says: a slope of 0 (or NaN) means none."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if max(abs(slope), abs(intercept)) > float(np.finfo(np.float32).max):
        raise InputError(f"{path}: the header declares an infinite scale ({slope:g}, {intercept:g})")
    if slope == 0 or np.isnan(slope) or (slope == 1 and (intercept == 0 or np.isnan(intercept))):
        return _native(array)
    check_array(array.shape, np.float32, path)
    with np.errstate(over="ignore", invalid="ignore"):  # voxels that are not finite give a warning later
        scaled = array.astype(np.float32)
        scaled *= np.float32(slope)
        scaled += np.float32(0 if np.isnan(intercept) else intercept)
    return scaled


def _native(array: Array) -> Array:
    """Return the array in this machine's byte order, and no wider than the package needs.

    float64 becomes float32: images are noise far above its 7 digits, and memory halves.
    """
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _warn_of_values(array: Array, path: Path, warnings: list[str]) -> None:
    low, high = array.min(), array.max()  # NaN if there is one
    if low == high:
        warnings.append(f"{path.name} is constant ({low})")
    elif array.dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        bad = int(array.size - np.isfinite(array).sum())
        warnings.append(f"{path.name} has {bad} voxels that are not numbers; they are taken as background")
