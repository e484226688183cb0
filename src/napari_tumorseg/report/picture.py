"""A picture of a segmentation: axial slices with outlines, as a radiologist is used to see them.

Canonical arrays have Y towards the back and X towards the left, so a slice drawn as it is has anterior at
the top and the patient's left on the right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont
from skimage import measure as skmeasure

from napari_tumorseg.errors import GeometryError, InputError, OutputError
from napari_tumorseg.geometry import Array, bounding_box
from napari_tumorseg.io.atomic import atomic_path, check_target
from napari_tumorseg.regions import region_mask
from napari_tumorseg.report.tables import NOTICE, amount
from napari_tumorseg.scan import MODALITIES, Role, Scan, Segmentation
from napari_tumorseg.scan import Image as Channel

_WIDTH = 1280
"""About how wide a page is; its columns share it, but none gets more than `_LARGEST`."""
_LARGEST = 900
_MAX_TILES = 9
_GAP = 4
_MARGIN = 14
_FINE = 3
"""Tiles are drawn this many times as large, then reduced: Pillow draws no smooth lines."""
_FILL = 0.28
_DASH = (7.0, 5.0)
_SAMPLES = 1_000_000
_NOISE, _AIR = 0.01, 0.12
"""Shares of the window: how far above the sides a voxel is no air, and from where on it is none anyway."""

_OBLIQUE = 5.0
"""Degrees from which on it is told that slices are tilted."""
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

_PAPER, _INK, _PALE, _WARNING = "#101214", "#F2F2F2", "#B4B8BC", "#FFC857"

Rect = tuple[slice, slice]

_find_contours: Any = skmeasure.find_contours  # typed in some versions of scikit-image only


def overlay(
    scan: Scan,
    seg: Segmentation,
    path: Path | None = None,
    slices: Sequence[int] | None = None,
    overwrite: bool = False,
    *,
    reference: Segmentation | None = None,
    channel: str | None = None,
) -> Image.Image:
    """Draw slices of a scan with the outlines of a segmentation.

    Parameters
    ----------
    scan : Scan
        What was segmented.
    seg : Segmentation
        On the scan's grid.
    path : Path, optional
        Where it is written, as PNG, JPEG or WebP by its ending.
    slices : sequence of int, optional
        Z indices from 0; by default up to nine, spread over the tumour, the one with most of it among them.
    overwrite : bool
        Whether a file at `path` may be replaced.
    reference : Segmentation, optional
        A mask to compare with; the outline of its outermost region is drawn in dashed white.
    channel : str, optional
        Role or name of the image to show; the scan's reference by default.

    Raises
    ------
    GeometryError
        If a mask does not lie on the scan's grid.
    InputError
        If there is no such slice or channel.
    OutputError
        If the file cannot be written.
    """
    if path is not None:
        _check_path(path, overwrite)
    for mask in (seg, reference):
        if mask is not None and not mask.grid.same_space(scan.grid):
            raise GeometryError(f"the mask {mask.name or ''} does not lie on the grid of {scan.case}")
    shown = _channel(scan, channel)
    grey = _Grey.of(shown.data, scan.brain_mask)
    indices = _slices(seg, reference, grey, slices)
    frame = _Frame.around(grey, indices, seg, scan.grid.spacing)
    tiles = [_tile(grey, seg, reference, index, frame) for index in indices]
    picture = _page(tiles, _title(scan, shown), _legend(seg, reference), _remark(scan))
    if path is not None:
        _save(picture, path, overwrite)
    return picture


@dataclass(frozen=True, eq=False)
class _Grey:
    """An image and the window in which it is shown."""

    data: Array
    background: float
    low: float
    high: float
    air: float

    @classmethod
    def of(cls, data: Array, brain: Array | None) -> _Grey:
        """Return the window from the 1st to the 99th percentile of the foreground."""
        step = max(1, math.ceil((data.size / _SAMPLES) ** (1 / 3)))
        coarse = (slice(None, None, step),) * 3
        values = np.asarray(data[coarse], dtype=np.float32)
        sides = _sides(data)
        background = _commonest(sides)
        inside = np.isfinite(values) & (values != background)
        if brain is not None and (inside & brain[coarse].astype(bool)).any():
            inside &= brain[coarse].astype(bool)
        low, high = np.percentile(values[inside], (1, 99)) if inside.any() else (background, background)
        # air may be noise, and a head may reach the sides
        width = high - low
        air = min(float(np.percentile(sides, 95)) + _NOISE * width, low + _AIR * width)
        return cls(data, background, float(low), float(high), float(air))

    def slice(self, index: int) -> Array:
        """Return a slice as uint8."""
        plane = np.nan_to_num(np.asarray(self.data[index], dtype=np.float32), nan=self.background)
        if not self.high > self.low:
            return np.zeros(plane.shape, np.uint8)
        share = np.clip((plane - self.low) / (self.high - self.low), 0, 1)
        # in z-scored scans air may be as bright as tissue: it is black all the same
        share[plane == self.background] = 0
        return np.asarray(np.round(255 * share), dtype=np.uint8)

    def body(self, index: int) -> Array:
        """Return where a slice is not air, roughly; a row or column with next to nothing in it is noise."""
        plane = np.asarray(self.data[index], dtype=np.float32)
        solid = (plane > self.air) & (plane != self.background)
        rows, columns = solid.mean(axis=1, keepdims=True), solid.mean(axis=0)
        return np.asarray(solid & (rows > 0.02) & (columns > 0.02))


@dataclass(frozen=True)
class _Frame:
    """The part of each slice that is shown, and how large."""

    rect: Rect
    size: tuple[int, int]

    @classmethod
    def around(
        cls, grey: _Grey, indices: Sequence[int], seg: Segmentation, spacing: tuple[float, float, float]
    ) -> _Frame:
        """Return the frame that holds the head and the tumour in all of the slices."""
        seen: Array = np.zeros(seg.labels.shape[1:], dtype=bool)
        for index in indices:
            seen |= grey.body(index) | (seg.labels[index] > 0)
        box = bounding_box(seen) or (slice(0, seen.shape[0]), slice(0, seen.shape[1]))
        rect = _padded(box[0], seen.shape[0]), _padded(box[1], seen.shape[1])
        high, wide = ((s.stop - s.start) * step for s, step in zip(rect, spacing[1:], strict=True))
        scale = min(_WIDTH // _columns(len(indices)), _LARGEST) / max(high, wide)
        return cls(rect, (max(1, round(wide * scale)), max(1, round(high * scale))))


def _columns(tiles: int) -> int:
    return math.ceil(math.sqrt(tiles))


def _padded(part: slice, size: int) -> slice:
    margin = max(2, round(0.04 * (part.stop - part.start)))
    return slice(max(part.start - margin, 0), min(part.stop + margin, size))


def _sides(data: Array) -> Array:
    """Return the voxels on the four sides of some slices, where there mostly is air."""
    some = data[:: max(1, data.shape[0] // 16)]
    sides = np.concatenate([side.ravel() for side in (some[:, 0], some[:, -1], some[..., 0], some[..., -1])])
    return np.nan_to_num(sides.astype(np.float32), posinf=0, neginf=0)


def _commonest(values: Array) -> float:
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])


def _channel(scan: Scan, wanted: str | None) -> Channel:
    if wanted is None:
        return scan.reference
    for image in scan:
        if wanted in (image.name, str(image.role)):
            return image
    names = ", ".join(f"{i.name} ({i.role})" for i in scan)
    raise InputError(f"{scan.case} has no image {wanted!r} to show; it has {names}")


def _slices(
    seg: Segmentation, reference: Segmentation | None, grey: _Grey, wanted: Sequence[int] | None
) -> list[int]:
    """Return the slices to show, from the feet upwards."""
    count = seg.labels.shape[0]
    if wanted is not None:
        strange = [index for index in wanted if not 0 <= index < count]
        if strange or not len(wanted):
            raise InputError(f"slices are numbered from 0 to {count - 1}; asked for {list(wanted)}")
        return [int(index) for index in wanted]
    area = np.count_nonzero(seg.labels, axis=(1, 2))
    weight = area if reference is None else area + np.count_nonzero(reference.labels, axis=(1, 2))
    if not weight.any():
        weight = np.array([np.count_nonzero(grey.body(z)) for z in range(count)])
        weight = weight * (weight > 0.2 * weight.max())
    hit = np.flatnonzero(weight) if weight.any() else np.arange(count)
    return _spread(int(hit[0]), int(hit[-1]), int(weight.argmax()))


def _spread(first: int, last: int, best: int) -> list[int]:
    """Return up to nine indices in the middle of equal parts, the closest one moved to the best slice."""
    length = last - first + 1
    if length <= _MAX_TILES:
        return list(range(first, last + 1))
    indices = [first + int((i + 0.5) * length / _MAX_TILES) for i in range(_MAX_TILES)]
    indices[min(range(_MAX_TILES), key=lambda i: abs(indices[i] - best))] = best
    return indices


def _tile(
    grey: _Grey, seg: Segmentation, reference: Segmentation | None, index: int, frame: _Frame
) -> Image.Image:
    """Draw one slice."""
    large = (frame.size[0] * _FINE, frame.size[1] * _FINE)
    plane = Image.fromarray(np.ascontiguousarray(grey.slice(index)[frame.rect]))
    tile = plane.resize(large, Image.Resampling.BICUBIC).convert("RGB")
    labels = np.ascontiguousarray(seg.labels[index][frame.rect])
    tile = _filled(tile, labels, seg)
    draw = ImageDraw.Draw(tile)
    for label in seg.scheme.labels:
        for line in _outlines(labels == label.value, large):
            draw.line(line, fill=label.colour, width=_FINE + 2, joint="curve")
    if reference is not None:
        outer = _outermost(reference, reference.labels[index][frame.rect])
        for line in _outlines(outer, large):
            for dash in _dashes(line):
                draw.line(dash, fill="white", width=_FINE + 2)
    tile = tile.reduce(_FINE)
    _marks(ImageDraw.Draw(tile), tile.size, index)
    return tile


def _filled(tile: Image.Image, labels: Array, seg: Segmentation) -> Image.Image:
    colours = np.zeros((256, 3), np.uint8)
    for label in seg.scheme.labels:
        colours[label.value] = ImageColor.getrgb(label.colour)[:3]
    known = region_mask(labels, seg.scheme.values)
    light = Image.fromarray(colours[labels]).resize(tile.size, Image.Resampling.NEAREST)
    where = Image.fromarray(np.where(known, round(255 * _FILL), 0).astype(np.uint8))
    return Image.composite(light, tile, where.resize(tile.size, Image.Resampling.NEAREST))


def _outermost(seg: Segmentation, labels: Array) -> Array:
    members = next(iter(seg.scheme.regions.values()))
    return region_mask(labels, members)


def _outlines(mask: Array, size: tuple[int, int]) -> Iterator[list[tuple[float, float]]]:
    """Give the outlines of a mask as points (x, y) of a picture of this size."""
    if not mask.any():
        return
    scale = size[1] / mask.shape[0], size[0] / mask.shape[1]
    # padded, so that an outline closes at the edge; half a voxel, since a voxel is an area
    lines: list[Array] = _find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    for line in lines:
        yield [(float((x - 0.5) * scale[1]), float((y - 0.5) * scale[0])) for y, x in line]


def _dashes(line: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """Give the drawn parts of a dashed line."""
    points = np.array(line)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    on, off = _DASH[0] * _FINE, _DASH[1] * _FINE
    for start in np.arange(0, along[-1], on + off):
        stop = min(start + on, along[-1])
        inner = along[(along > start) & (along < stop)]
        at = np.concatenate([[start], inner, [stop]])
        xs, ys = (np.interp(at, along, points[:, axis]) for axis in (0, 1))
        yield [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def _marks(draw: ImageDraw.ImageDraw, size: tuple[int, int], index: int) -> None:
    """Write the slice number and the sides."""
    wide, high = size
    style: dict[str, Any] = {"stroke_width": 2, "stroke_fill": "black"}
    draw.text((6, 4), f"slice {index}", fill=_INK, font=_font(17), anchor="lt", **style)
    sides = (("R", 6, high / 2, "lm"), ("L", wide - 6, high / 2, "rm"))
    ends = (("A", wide / 2, 5, "mt"), ("P", wide / 2, high - 5, "mb"))
    for text, x, y, anchor in sides + ends:
        draw.text((x, y), text, fill=_PALE, font=_font(17), anchor=anchor, **style)


def _title(scan: Scan, shown: Channel) -> tuple[str, str]:
    when = f", {scan.time_point}" if scan.time_point else ""
    what = {Role.T1C: "T1c"}.get(shown.role, shown.role.upper() if shown.role in MODALITIES else shown.name)
    tilt = scan.grid.obliquity_degrees
    tilted = f", tilted by up to {tilt:.0f} degrees" if tilt >= _OBLIQUE else ""
    return f"{scan.case}{when}", f"{what}, axial slices seen from the feet{tilted}"


def _remark(scan: Scan) -> str:
    if scan.grid.unit == "mm":
        return ""
    return "voxel size unknown: proportions and sides as the file's layout states them"


@dataclass(frozen=True)
class _Entry:
    """A piece of the legend; ``dashed`` is drawn as a line."""

    text: str
    colour: str | None = None
    dashed: bool = False


def _legend(seg: Segmentation, reference: Segmentation | None) -> list[_Entry]:
    """Return what the colours mean and how much there is of it in the whole volume."""
    entries = [_Entry(f"Labels: {seg.scheme.title}")]
    counts = np.bincount(seg.labels.ravel(), minlength=256)
    for label in seg.scheme.labels:
        if counts[label.value]:
            size = _amount(seg, int(counts[label.value]))
            entries.append(_Entry(f"{label.short} {label.name} {size}", label.colour))
    sums = {name: int(counts[list(m)].sum()) for name, m in seg.scheme.regions.items() if len(m) > 1}
    entries += [_Entry(f"{name} {_amount(seg, count)}") for name, count in sums.items() if count]
    if not counts[1:].any():
        entries.append(_Entry("no tumour found"))
    if reference is not None:
        name = next(iter(reference.scheme.regions))
        count = int(np.count_nonzero(_outermost(reference, reference.labels)))
        entries.append(_Entry(f"reference {name} {_amount(reference, count)}", "#FFFFFF", dashed=True))
    return entries


def _amount(seg: Segmentation, voxels: int) -> str:
    volume = seg.grid.voxel_volume_mm3
    return amount(voxels, None if volume is None else voxels * volume / 1000)


def _page(
    tiles: Sequence[Image.Image], title: Iterable[str], legend: Iterable[_Entry], remark: str
) -> Image.Image:
    """Put the tiles together, with a title above and the legend below."""
    columns = _columns(len(tiles))
    rows = math.ceil(len(tiles) / columns)
    wide, high = tiles[0].size
    width = max(columns * (wide + _GAP) - _GAP, 420) + 2 * _MARGIN
    top = 68
    bottom = top + rows * (high + _GAP)
    placed, end = _flow(legend, width, bottom + 10)
    foot = end + 34 + (26 if remark else 0)
    page = Image.new("RGB", (width, foot + 12), _PAPER)
    draw = ImageDraw.Draw(page)
    for line, y, size in zip(title, (10, 38), (21, 18), strict=True):
        draw.text((_MARGIN, y), _shortened(line, size, width - 2 * _MARGIN), fill=_INK, font=_font(size))
    left = (width - columns * (wide + _GAP) + _GAP) // 2
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        page.paste(tile, (left + column * (wide + _GAP), top + row * (high + _GAP)))
    for entry, x, y in placed:
        _draw_entry(draw, entry, x, y)
    if remark:
        draw.text((_MARGIN, end + 8), remark, fill=_WARNING, font=_font(17))
    draw.text((_MARGIN, foot - 24), NOTICE, fill=_WARNING, font=_font(20))
    return page


def _flow(entries: Iterable[_Entry], width: int, top: int) -> tuple[list[tuple[_Entry, int, int]], int]:
    """Place the entries in lines as words in a paragraph; return them and where the last line ends."""
    placed = []
    x, y = _MARGIN, top
    for entry in entries:
        length = int(_font(18).getlength(entry.text)) + (30 if entry.colour else 0)
        if x > _MARGIN and x + length > width - _MARGIN:
            x, y = _MARGIN, y + 28
        placed.append((entry, x, y))
        x += length + 26
    return placed, y + 26


def _draw_entry(draw: ImageDraw.ImageDraw, entry: _Entry, x: int, y: int) -> None:
    if entry.dashed:
        for start in (0, 9, 18):
            draw.line([(x + start, y + 11), (x + start + 5, y + 11)], fill=entry.colour, width=2)
    elif entry.colour:
        draw.rectangle((x, y + 3, x + 20, y + 18), fill=entry.colour)
    draw.text((x + (30 if entry.colour else 0), y), entry.text, fill=_INK, font=_font(18))


def _shortened(text: str, size: int, width: int) -> str:
    """Return the text so that it fits, cut in the middle: both ends of a name tell cases apart."""
    font, kept = _font(size), len(text)
    short = text
    while font.getlength(short) > width and kept > 2:
        kept -= 1
        short = f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"
    return short


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _check_path(path: Path, overwrite: bool) -> None:
    """Raise before any work is done if the picture could not be written."""
    check_target(path, overwrite)
    if path.suffix.lower() not in _FORMATS:
        raise OutputError(f"{path} has none of the endings {', '.join(_FORMATS)}; call it {path.stem}.png")


def _save(picture: Image.Image, path: Path, overwrite: bool) -> None:
    with atomic_path(path, overwrite) as temporary:
        picture.save(temporary, format=_FORMATS[path.suffix.lower()], quality=92)
