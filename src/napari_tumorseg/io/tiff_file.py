"""Pixels, axes and voxel size of one TIFF file, with checks against damage.

The axes are those that tifffile finds (ImageJ, OME or plain pages). Of the metadata, only axes and voxel
size are used: never text, names or dates.
"""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_tumorseg.errors import InputError, TumorSegError
from napari_tumorseg.geometry import Array
from napari_tumorseg.io.arrays import as_numbers
from napari_tumorseg.io.foreign import foreign_kind
from napari_tumorseg.io.limits import check_array
from napari_tumorseg.io.roles import without_free_text

_MM = {
    "nm": 1e-6,
    "um": 1e-3,
    "µm": 1e-3,
    "μm": 1e-3,
    "\\u00b5m": 1e-3,
    "micron": 1e-3,
    "microns": 1e-3,
    "micrometer": 1e-3,
    "mm": 1.0,
    "millimeter": 1.0,
    "cm": 10.0,
    "m": 1000.0,
    "inch": 25.4,
    "in": 25.4,
}
_MAX_OME = 10_000_000
_FEW_CHANNELS = 5
_NO_DEPTH = "the voxel size is not used: the file states the pixel size but not the distance of the slices"


@dataclass(frozen=True, eq=False)
class TiffArray:
    """Contents of a TIFF file.

    Attributes
    ----------
    data : (C, Z, Y, X) array
        Channels first; rows run towards the back, columns towards the left, slices towards the head.
    spacing : tuple of float or None
        (Z, Y, X) in mm, where the file states all three.
    channel_names : tuple of str
        Stated by OME, else empty.
    convention : str
        Label convention, in files that `tiff.write_mask` made.
    is_rgb : bool
        Whether the channels are samples of a colour picture.
    warnings : tuple of str
        What a user should know.
    """

    data: Array
    spacing: tuple[float, float, float] | None
    channel_names: tuple[str, ...] = ()
    convention: str = ""
    is_rgb: bool = False
    warnings: tuple[str, ...] = ()


def read(path: Path) -> TiffArray:
    """Read a TIFF file.

    Raises
    ------
    InputError
        If it is none, damaged, truncated, compressed in a way that cannot be undone here, a time series, or
        no image; the message names the file.
    TooLargeError
        If it declares more than the limit.
    """
    with _opened(path) as tif:
        series = tif.series[0]
        _check(tif, series, path)
        values = series.asarray()
        if values.shape != tuple(series.shape):
            raise InputError(f"{path} is damaged: its pixels do not make up the image that it declares")
        if series.keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            values = _inverted(values, series.keyframe.bitspersample)
        data = _channels_first(as_numbers(values, path), _axes(series), path)
        spacing, notes = _spacing(tif)
        more = (
            []
            if len(tif.series) == 1
            else [f"{path.name} holds {len(tif.series)} images; the first was read"]
        )
        imagej = tif.imagej_metadata or {}
        return TiffArray(
            data,
            spacing,
            _ome_channels(tif, len(data)),
            str(imagej.get("scheme", "")),
            "S" in _axes(series) and data.shape[0] >= 3,
            (*(f"{path.name}: {t}" for t in notes), *more),
        )


def convention(path: Path) -> str:
    """Return the label convention in a file written by this package, else an empty string."""
    try:
        with _opened(path) as tif:
            return str((tif.imagej_metadata or {}).get("scheme", ""))
    except InputError:
        return ""


def slice_count(path: Path) -> int:
    """Return how many slices a file's header declares; one, too, for a file that cannot be read."""
    try:
        with _opened(path) as tif:
            series = tif.series[0]
            sizes = zip(series.shape, _axes(series), strict=True)
            return math.prod(int(n) for n, letter in sizes if letter not in "YXCS")
    except (InputError, ValueError):
        return 1


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a TIFF file; whatever a damaged one makes the library raise becomes one sentence.

    The library logs a line for every broken tag, hundreds for a mangled file; that is kept quiet.
    """
    if not path.is_file():
        raise InputError(f"{path} is not there")
    logger = logging.getLogger("tifffile")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with tifffile.TiffFile(path) as tif:
            _check_directories(tif, path)
            yield tif
    except TumorSegError:
        raise
    except PermissionError:
        raise InputError(f"{path} cannot be read: no permission") from None
    except Exception as error:  # what damaged bytes raise in the library and its codecs is open-ended
        foreign = foreign_kind(path) if isinstance(error, tifffile.TiffFileError) else None
        cause = f"it is no TIFF file: it {foreign}" if foreign else _cause(error)
        raise InputError(f"{path} cannot be read: {cause}") from None
    finally:
        logger.setLevel(before)


def _check_directories(tif: Any, path: Path) -> None:
    """Refuse a file whose directories (one for each page) run in a circle: tifffile would follow it for ever.

    Raises
    ------
    InputError
        If they do.
    """
    form, seen = tif.tiff, set()
    place = tif.pages.first.offset
    while 0 < place < tif.filehandle.size:
        if place in seen:
            raise InputError(f"{path} cannot be read: it is damaged, its pages run in a circle")
        seen.add(place)
        tif.filehandle.seek(place)
        count = tif.filehandle.read(form.tagnosize)
        if len(count) < form.tagnosize:
            return
        tif.filehandle.seek(struct.unpack(form.tagnoformat, count)[0] * form.tagsize, 1)
        following = tif.filehandle.read(form.offsetsize)
        place = struct.unpack(form.offsetformat, following)[0] if len(following) == form.offsetsize else 0


def _cause(error: Exception) -> str:
    text = str(error)
    if isinstance(error, ImportError) or "imagecodecs" in text or "cannot decompress" in text.lower():
        return "it is compressed with a method that is not installed here; save it uncompressed or as deflate"
    if isinstance(error, tifffile.TiffFileError) and "not a TIFF" in text:
        return "it is no TIFF file"
    return "it is damaged or truncated"


def _check(tif: Any, series: Any, path: Path) -> None:
    """Refuse what must not be read: nothing, too much, or pixels that lie in other files."""
    if not series.shape or 0 in series.shape or series.dtype is None:
        raise InputError(
            f"{path} is damaged: it declares no pixels (a TIFF changed as if it were text looks so)"
        )
    check_array(series.shape, series.dtype, path)
    for page in series.pages:
        if page is None:
            raise InputError(f"{path} is damaged: pages of it are missing")
        owner = page.parent if isinstance(page, tifffile.TiffPage) else tif
        if owner is not tif and getattr(owner, "filename", "") != tif.filename:
            raise InputError(
                f"{path} takes pixels from other files (multi-file OME-TIFF), which is not read here"
            )
    first = series.keyframe
    if first.chunks:  # a tile may be far larger than the image and is decompressed whole
        check_array(first.chunks, series.dtype, path)
    if any(_lacks_segments(page) for page in series.pages):
        raise InputError(f"{path} is damaged: it holds fewer strips or tiles of pixels than it declares")
    length = path.stat().st_size
    beyond = any(offset + count > length for p in series.pages for offset, count in _segments(p))
    if beyond or _chain_is_broken(tif, length):
        raise InputError(f"{path} is truncated: pixels that it declares lie beyond its end")


def _chain_is_broken(tif: Any, length: int) -> bool:
    """Return whether the last page that was found names a further one beyond the end of the file.

    The library then just stops there, and a truncated stack would pass for a shorter one.
    """
    big = tif.is_bigtiff
    count_size, entry_size, offset_size = (8, 20, 8) if big else (2, 12, 4)
    order: Literal["little", "big"] = "little" if tif.byteorder == "<" else "big"
    handle = tif.filehandle
    handle.seek(tif.pages[-1].offset)
    entries = int.from_bytes(handle.read(count_size), order)
    handle.seek(entries * entry_size, 1)
    return int.from_bytes(handle.read(offset_size), order) >= length


def _lacks_segments(page: Any) -> bool:
    """Return whether a page stores less than its size needs: the library would fill the rest with zeros."""
    form = page.keyframe
    offsets, counts = page.dataoffsets, page.databytecounts
    if min(len(offsets), len(counts)) < math.prod(form.chunked) or not all(counts):
        return True
    plain = form.compression == tifffile.COMPRESSION.NONE and form.bitspersample % 8 == 0
    return bool(plain and sum(counts) < form.nbytes)


def _segments(page: Any) -> Iterator[tuple[int, int]]:
    return zip(page.dataoffsets, page.databytecounts, strict=False)


def _axes(series: Any) -> str:
    """Return the library's names of the axes; where pages have none, a short axis of four is channels."""
    axes, shape = str(series.axes), series.shape
    if len(axes) != 4 or not axes.endswith("YX") or not set(axes[:2]) <= set("QI"):
        return axes
    short = [axis for axis, count in enumerate(shape) if count <= _FEW_CHANNELS]
    return ("CZYX", "ZCYX", axes, "ZYXC")[short[0]] if len(short) == 1 else axes


def _inverted(values: Array, bits: int) -> Array:
    """Return the values of an image in which 0 is white as they are shown: bright is high."""
    if values.dtype.kind == "b":
        return ~values
    if values.dtype.kind == "u":
        return np.asarray(values.dtype.type(2**bits - 1) - values)
    return np.asarray(values.max() - values)


def _channels_first(values: Array, axes: str, path: Path) -> Array:
    """Return (C, Z, Y, X) from what tifffile calls the axes."""
    if axes.count("Y") != 1 or axes.count("X") != 1:
        raise InputError(f"{path} has the axes {axes}, which are not those of an image")
    depth = _depth_axis(values.shape, axes, path)
    colours = [a for a, letter in enumerate(axes) if letter in "CS"]
    kept = [*colours, *([depth] if depth is not None else []), axes.index("Y"), axes.index("X")]
    dropped = [a for a in range(len(axes)) if a not in kept]
    ordered = np.transpose(values, [*dropped, *kept])
    rows, columns = ordered.shape[-2:]
    slices = values.shape[depth] if depth is not None else 1
    return ordered.reshape(-1, slices, rows, columns)


def _depth_axis(shape: tuple[int, ...], axes: str, path: Path) -> int | None:
    """Return the axis of the slices: Z, or pages of which nothing says what they are; None for one slice."""
    spare = [a for a, letter in enumerate(axes) if letter not in "YXZCS" and shape[a] > 1]
    if "Z" not in axes and len(spare) == 1 and axes[spare[0]] in "QI":
        return spare[0]
    if spare:
        what = {"T": "time points", "Q": "pages", "I": "pages"}.get(axes[spare[0]], "images")
        raise InputError(
            f"{path} has {shape[spare[0]]} {what} (axes {axes}); save the volume that is wanted on its own"
        )
    return axes.index("Z") if "Z" in axes else None


# --- voxel size ------------------------------------------------------------------------------


def _spacing(tif: Any) -> tuple[tuple[float, float, float] | None, list[str]]:
    """Return (Z, Y, X) in mm as stated by OME or ImageJ.

    The resolution tags of a plain TIFF are for printing (72 dpi, 1/1) and no voxel size.
    """
    found = _ome_spacing(tif) if tif.is_ome else _imagej_spacing(tif) if tif.is_imagej else None
    if found is None:
        return None, []
    depth_mm, row, column = found
    if not all(v is None or (math.isfinite(v) and v > 0) for v in found):
        return None, ["the voxel size that it states is not valid and not used"]
    if row is None or column is None:
        return None, []
    return (None, [_NO_DEPTH]) if depth_mm is None else ((depth_mm, row, column), [])


def _imagej_spacing(tif: Any) -> tuple[float | None, float | None, float | None] | None:
    metadata = tif.imagej_metadata or {}
    factor = _MM.get(str(metadata.get("unit", "")).strip().lower())
    if factor is None:
        return None
    tags = tif.pages[0].tags
    depth = metadata.get("spacing")
    return (
        float(depth) * factor if isinstance(depth, int | float) else None,
        _step(tags.get("YResolution"), factor),
        _step(tags.get("XResolution"), factor),
    )


def _step(tag: Any, factor: float) -> float | None:
    """Return the distance of pixels from a resolution tag, pixels per unit as a fraction."""
    if tag is None or not isinstance(tag.value, tuple) or len(tag.value) != 2:
        return None
    pixels, units = tag.value
    return float(units) / float(pixels) * factor if pixels else None


def _ome_spacing(tif: Any) -> tuple[float | None, float | None, float | None] | None:
    pixels = _ome_pixels(tif)
    if pixels is None:
        return None
    return tuple(_ome_size(pixels, axis) for axis in "ZYX")  # type: ignore[return-value]


def _ome_size(pixels: ElementTree.Element, axis: str) -> float | None:
    factor = _MM.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    try:
        return float(pixels.get(f"PhysicalSize{axis}", "")) * factor if factor else None
    except ValueError:
        return None


def _ome_channels(tif: Any, count: int) -> tuple[str, ...]:
    pixels = _ome_pixels(tif) if tif.is_ome else None
    if pixels is None:
        return ()
    names = [c.get("Name", "") for c in pixels.iter() if c.tag.rpartition("}")[2] == "Channel"]
    is_complete = len(names) == count and all(names) and len(set(names)) == count
    return without_free_text(names) if is_complete else ()


def _ome_pixels(tif: Any) -> ElementTree.Element | None:
    """Return the description of the first image; none if the XML is broken, or declares entities."""
    text = tif.ome_metadata or ""
    if len(text) > _MAX_OME or "<!ENTITY" in text or "<!DOCTYPE" in text:
        return None
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    return next((e for e in root.iter() if e.tag.rpartition("}")[2] == "Pixels"), None)
