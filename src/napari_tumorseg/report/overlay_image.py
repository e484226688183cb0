"""Picture of a segmentation: slices with outlines, a title above and a legend below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from napari_tumorseg.errors import OutputError
from napari_tumorseg.io.atomic import atomic_path, check_target
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.report.montage import GAP, INK, PAPER, Tiles, draw_tiles, font, outermost
from napari_tumorseg.report.text import amount
from napari_tumorseg.scan import Scan, Segmentation

_MARGIN = 14
_WARNING = "#FFC857"
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


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
        The scan that was segmented.
    seg : Segmentation
        On the scan's grid.
    path : Path, optional
        File to write: PNG, JPEG or WebP by its ending.
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
    tiles = draw_tiles(scan, seg, slices, reference=reference, channel=channel)
    when = f", {scan.time_point}" if scan.time_point else ""
    picture = _page(tiles, f"{scan.case}{when}", _legend(seg, reference))
    if path is not None:
        _save(picture, path, overwrite)
    return picture


@dataclass(frozen=True)
class _Entry:
    """An entry of the legend; ``dashed`` is drawn as a line."""

    text: str
    colour: str | None = None
    dashed: bool = False


def _legend(seg: Segmentation, reference: Segmentation | None) -> list[_Entry]:
    """Return labels, regions and the reference with their colours and sizes in the whole volume."""
    entries = [_Entry(f"Labels: {seg.convention.title}")]
    counts = np.bincount(seg.labels.ravel(), minlength=256)
    for label in seg.convention.labels:
        if counts[label.value]:
            size = _amount(seg, int(counts[label.value]))
            entries.append(_Entry(f"{label.short} {label.name} {size}", label.colour))
    sums = {name: int(counts[list(m)].sum()) for name, m in seg.convention.regions.items() if len(m) > 1}
    entries += [_Entry(f"{name} {_amount(seg, count)}") for name, count in sums.items() if count]
    if not counts[1:].any():
        entries.append(_Entry("no tumour found"))
    if reference is not None:
        name = next(iter(reference.convention.regions))
        count = int(np.count_nonzero(outermost(reference, reference.labels)))
        entries.append(_Entry(f"reference {name} {_amount(reference, count)}", "#FFFFFF", dashed=True))
    return entries


def _amount(seg: Segmentation, voxels: int) -> str:
    return amount(voxels, seg.grid.volume_ml(voxels))


def _page(tiles: Tiles, title: str, legend: Iterable[_Entry]) -> Image.Image:
    """Put the tiles together, with a title above and the legend below."""
    columns_width, tiles_height = tiles.size
    width, top = max(columns_width, 420) + 2 * _MARGIN, 68
    placed, end = _flow(legend, width, top + tiles_height + GAP + 10)
    foot = end + 34 + (26 if tiles.remark else 0)
    page = Image.new("RGB", (width, foot + 12), PAPER)
    draw = ImageDraw.Draw(page)
    for line, y, size in ((title, 10, 21), (tiles.about, 38, 18)):
        draw.text((_MARGIN, y), _shortened(line, size, width - 2 * _MARGIN), fill=INK, font=font(size))
    tiles.paste(page, (width - columns_width) // 2, top)
    for entry, x, y in placed:
        _draw_entry(draw, entry, x, y)
    if tiles.remark:
        draw.text((_MARGIN, end + 8), tiles.remark, fill=_WARNING, font=font(17))
    draw.text((_MARGIN, foot - 24), RESEARCH_USE, fill=_WARNING, font=font(20))
    return page


def _flow(entries: Iterable[_Entry], width: int, top: int) -> tuple[list[tuple[_Entry, int, int]], int]:
    """Place the entries in lines as words in a paragraph; return them and where the last line ends."""
    placed = []
    x, y = _MARGIN, top
    for entry in entries:
        length = int(font(18).getlength(entry.text)) + (30 if entry.colour else 0)
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
    draw.text((x + (30 if entry.colour else 0), y), entry.text, fill=INK, font=font(18))


def _shortened(text: str, size: int, width: int) -> str:
    """Return the text cut in the middle so that it fits: both ends of a name identify a case."""
    letters, kept = font(size), len(text)
    short = text
    while letters.getlength(short) > width and kept > 2:
        kept -= 1
        short = f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"
    return short


def _check_path(path: Path, overwrite: bool) -> None:
    """Raise before any work is done if the picture could not be written."""
    check_target(path, overwrite)
    if path.suffix.lower() not in _FORMATS:
        raise OutputError(f"{path} has none of the endings {', '.join(_FORMATS)}; call it {path.stem}.png")


def _save(picture: Image.Image, path: Path, overwrite: bool) -> None:
    with atomic_path(path, overwrite) as temporary:
        picture.save(temporary, format=_FORMATS[path.suffix.lower()], quality=92)
