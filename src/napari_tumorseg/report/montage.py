"""Axial slices with the outlines of a segmentation, one tile each, in radiological view.

Canonical arrays have Y towards the back and X towards the left, so a slice drawn as it is has anterior at
the top and the patient's left on the right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont
from skimage import measure as skmeasure

from napari_tumorseg.errors import GeometryError, InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.regions import region_mask
from napari_tumorseg.report.slices import MOST, Frame, Grey, chosen, columns
from napari_tumorseg.scan import MODALITIES, Scan, Segmentation
from napari_tumorseg.scan import Image as Channel

INK, PALE, PAPER = "#F2F2F2", "#B4B8BC", "#101214"
"""Colours of texts and of the background behind the tiles."""

GAP = 4
"""Pixels between tiles."""

_FINE = 3
"""Tiles are drawn this many times as large, then reduced: Pillow draws no smooth lines."""
_FILL = 0.28
_DASH = (7.0, 5.0)
_OBLIQUE = 5.0
"""Obliquity in degrees from which on the caption mentions that slices are tilted."""

_find_contours: Any = skmeasure.find_contours  # typed in some versions of scikit-image only


@dataclass(frozen=True, eq=False)
class Tiles:
    """Slices of a scan, drawn, from the feet upwards.

    Attributes
    ----------
    images : tuple of Image
        All of one size.
    about : str
        Channel and orientation.
    remark : str
        Warning for the reader; mostly empty.
    """

    images: tuple[Image.Image, ...]
    about: str
    remark: str

    @property
    def columns(self) -> int:
        """Number of tiles in a row."""
        return columns(len(self.images))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of all of them together."""
        wide, high = self.images[0].size
        rows = math.ceil(len(self.images) / self.columns)
        return self.columns * (wide + GAP) - GAP, rows * (high + GAP) - GAP

    def paste(self, picture: Image.Image, left: int, top: int) -> None:
        """Put them into a picture, row by row."""
        wide, high = self.images[0].size
        for number, tile in enumerate(self.images):
            row, column = divmod(number, self.columns)
            picture.paste(tile, (left + column * (wide + GAP), top + row * (high + GAP)))

    def together(self) -> Image.Image:
        """Return them as one picture, without any text."""
        picture = Image.new("RGB", self.size, PAPER)
        self.paste(picture, 0, 0)
        return picture


def draw_tiles(
    scan: Scan,
    seg: Segmentation,
    slices: Sequence[int] | None = None,
    *,
    reference: Segmentation | None = None,
    channel: str | None = None,
    text: int = 17,
    most: int = MOST,
    side: int | None = None,
) -> Tiles:
    """Draw slices of a scan with the outlines of a segmentation.

    Parameters
    ----------
    scan, seg, slices, reference, channel
        As in `napari_tumorseg.report.overlay`, errors too.
    text : int
        Height of the letters, in pixels of a tile; 0 for none.
    most : int
        Number of slices at most, where `slices` does not name them.
    side : int, optional
        Longer side of a tile in pixels; by default one that suits a page.
    """
    for mask in (seg, reference):
        if mask is not None and not mask.grid.same_space(scan.grid):
            raise GeometryError(f"the mask {mask.name or ''} does not lie on the grid of {scan.case}")
    shown = _channel(scan, channel)
    grey = Grey.of(shown.data, scan.brain_mask)
    indices = chosen(seg, reference, grey, slices, most)
    frame = Frame.enclosing(grey, indices, seg, scan.grid.spacing, side)
    images = tuple(_tile(grey, seg, reference, index, frame, text) for index in indices)
    return Tiles(images, _about(scan, shown), _remark(scan))


def outermost(seg: Segmentation, labels: Array) -> Array:
    """Return the mask of the outermost region of a segmentation in some of its labels."""
    members = next(iter(seg.convention.regions.values()))
    return region_mask(labels, members)


def font(size: int) -> Any:
    """Return the font of all texts."""
    return ImageFont.load_default(size)


def _channel(scan: Scan, wanted: str | None) -> Channel:
    if wanted is None:
        return scan.reference
    for image in scan:
        if wanted in (image.name, str(image.role)):
            return image
    names = ", ".join(f"{i.name} ({i.role})" for i in scan)
    raise InputError(f"{scan.case} has no image {wanted!r} to show; it has {names}")


def _about(scan: Scan, shown: Channel) -> str:
    what = shown.role.title if shown.role in MODALITIES else shown.name
    tilt = scan.grid.obliquity_degrees
    tilted = f", tilted by up to {tilt:.0f} degrees" if tilt >= _OBLIQUE else ""
    return f"{what}, axial slices seen from the feet{tilted}"


def _remark(scan: Scan) -> str:
    if scan.grid.unit == "mm":
        return ""
    return "voxel size unknown: proportions and sides as the file's layout states them"


def _tile(
    grey: Grey, seg: Segmentation, reference: Segmentation | None, index: int, frame: Frame, text: int
) -> Image.Image:
    """Draw one slice."""
    large = (frame.size[0] * _FINE, frame.size[1] * _FINE)
    plane = Image.fromarray(np.ascontiguousarray(grey.slice(index)[frame.rect]))
    tile = plane.resize(large, Image.Resampling.BICUBIC).convert("RGB")
    labels = np.ascontiguousarray(seg.labels[index][frame.rect])
    tile = _filled(tile, labels, seg)
    draw = ImageDraw.Draw(tile)
    for label in seg.convention.labels:
        for line in _outlines(labels == label.value, large):
            draw.line(line, fill=label.colour, width=_FINE + 2, joint="curve")
    if reference is not None:
        outer = outermost(reference, reference.labels[index][frame.rect])
        for line in _outlines(outer, large):
            for dash in _dashes(line):
                draw.line(dash, fill="white", width=_FINE + 2)
    tile = tile.reduce(_FINE)
    if text:
        _marks(ImageDraw.Draw(tile), tile.size, index, text)
    return tile


def _filled(tile: Image.Image, labels: Array, seg: Segmentation) -> Image.Image:
    colours = np.zeros((256, 3), np.uint8)
    for label in seg.convention.labels:
        colours[label.value] = ImageColor.getrgb(label.colour)[:3]
    known = region_mask(labels, seg.convention.values)
    light = Image.fromarray(colours[labels]).resize(tile.size, Image.Resampling.NEAREST)
    where = Image.fromarray(np.where(known, round(255 * _FILL), 0).astype(np.uint8))
    return Image.composite(light, tile, where.resize(tile.size, Image.Resampling.NEAREST))


def _outlines(mask: Array, size: tuple[int, int]) -> Iterator[list[tuple[float, float]]]:
    """Yield the outlines of a mask as points (x, y) of a picture of this size."""
    if not mask.any():
        return
    scale = size[1] / mask.shape[0], size[0] / mask.shape[1]
    # padded, so that an outline closes at the edge; half a voxel, since a voxel is an area
    lines: list[Array] = _find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    for line in lines:
        yield [(float((x - 0.5) * scale[1]), float((y - 0.5) * scale[0])) for y, x in line]


def _dashes(line: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """Yield the drawn parts of a dashed line."""
    points = np.array(line)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    on, off = _DASH[0] * _FINE, _DASH[1] * _FINE
    for start in np.arange(0, along[-1], on + off):
        stop = min(start + on, along[-1])
        inner = along[(along > start) & (along < stop)]
        at = np.concatenate([[start], inner, [stop]])
        xs, ys = (np.interp(at, along, points[:, axis]) for axis in (0, 1))
        yield [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def _marks(draw: ImageDraw.ImageDraw, size: tuple[int, int], index: int, text: int) -> None:
    """Write the slice number and the sides."""
    wide, high = size
    style: dict[str, Any] = {"font": font(text), "stroke_width": 2, "stroke_fill": "black"}
    draw.text((6, 4), f"slice {index}", fill=INK, anchor="lt", **style)
    sides = (("R", 6, high / 2, "lm"), ("L", wide - 6, high / 2, "rm"))
    ends = (("A", wide / 2, 5, "mt"), ("P", wide / 2, high - 5, "mb"))
    for letter, x, y, anchor in sides + ends:
        draw.text((x, y), letter, fill=PALE, anchor=anchor, **style)
