"""Figures of the page on one case, as SVG and PNG that stand in the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image as PILImage
from skimage import measure as skmeasure

from napari_tumorseg.geometry import Array
from napari_tumorseg.measure.intensity import REST, Distribution
from napari_tumorseg.measure.rano import LesionDiameters, Rano
from napari_tumorseg.regions import region_mask
from napari_tumorseg.report.montage import draw_tiles
from napari_tumorseg.report.slices import spread
from napari_tumorseg.scan import MODALITIES, Image, Role, Scan, Segmentation

_TILES = 6
_LETTERS = 30
"""Pixels, larger than elsewhere: on paper a tile is three centimetres wide."""
_WIDTH, _ROW, _LABEL, _FOOT = 220, 25, 60, 26
_REST_COLOUR = "#8a8f94"
_INK, _PALE = "#1b1f23", "#57606a"
_MARGIN_MM = 15.0
_SIDE = 130
_LINES = ("#F0E442", "#FFFFFF")
"""Colours of the longest diameter and of the perpendicular one."""

_find_contours: Any = skmeasure.find_contours  # typed in some versions of scikit-image only


def montage(scan: Scan, seg: Segmentation) -> str:
    """Return an ``<img>`` of some slices with the outlines of the labels, and what the colours mean."""
    tiles = draw_tiles(scan, seg, _slices(seg), text=_LETTERS)
    about = escape(f"axial slices of {scan.case} with the outlines of the labels", quote=True)
    told = "; ".join(text for text in (tiles.about, tiles.remark) if text)
    return (
        f'<img src="{_data_url(tiles.together())}" alt="{about}">'
        f'<p class="small">{_legend(seg)}{escape(told)}</p>'
    )


def _legend(seg: Segmentation) -> str:
    counts = np.bincount(seg.labels.ravel(), minlength=256)
    there = [label for label in seg.convention.labels if counts[label.value]]
    return "".join(f"{_swatch(label.colour)} {escape(label.short)}; " for label in there)


def _swatch(colour: str) -> str:
    square = f'<rect width="10" height="10" fill="{colour}"/>'
    return f'<svg class="swatch" aria-hidden="true" width="10" height="10">{square}</svg>'


def _slices(seg: Segmentation) -> list[int] | None:
    """Return slices spread over the tumour, that with most of it among them; None where there is none."""
    area = np.count_nonzero(seg.labels, axis=(1, 2))
    hit = np.flatnonzero(area)
    return spread(int(hit[0]), int(hit[-1]), int(area.argmax()), _TILES) if hit.size else None


def distribution_charts(found: Sequence[Distribution], seg: Segmentation) -> Iterator[str]:
    """Yield a chart for each channel: a histogram for each label, and for what has none."""
    colours = {label.short: label.colour for label in seg.convention.labels} | {REST: _REST_COLOUR}
    for channel in dict.fromkeys(each.channel for each in found):
        rows = [d for d in found if d.channel == channel and d.name in colours and d.counts]
        if rows:
            yield _chart(rows, [colours[row.name] for row in rows])


def _chart(rows: Sequence[Distribution], colours: Sequence[str]) -> str:
    top, low, high = 16, rows[0].edges[0], rows[0].edges[-1]
    bottom = top + len(rows) * _ROW
    title = rows[0].channel if rows[0].role == "other" else rows[0].role
    parts = [_text(0, 11, title, "start", _INK, bold=True)]
    for number, (row, colour) in enumerate(zip(rows, colours, strict=True)):
        parts += _histogram(row, colour, top + (number + 1) * _ROW - 2)
    parts += [
        f'<path d="M{_LABEL} {bottom}H{_WIDTH}" stroke="{_PALE}" stroke-width=".7"/>',
        _text(_LABEL, bottom + 12, f"{low:.4g}", "start", _PALE),
        _text(_WIDTH, bottom + 12, f"{high:.4g}", "end", _PALE),
        _text((_LABEL + _WIDTH) / 2, bottom + 12, "intensity", "middle", _PALE),
    ]
    return _svg(_WIDTH, bottom + _FOOT - 8, f"intensities in {title}", parts)


def _histogram(row: Distribution, colour: str, base: float) -> Iterator[str]:
    counts = np.array(row.counts, dtype=float)
    heights = (_ROW - 7) * counts / max(counts.max(), 1)
    step = (_WIDTH - _LABEL) / len(counts)
    path = "".join(f"V{base - h:.1f}h{step:.2f}" for h in heights)
    yield f'<path d="M{_LABEL} {base}{path}V{base}Z" fill="{colour}" fill-opacity=".65" stroke="{colour}"/>'
    yield _text(_LABEL - 5, base - 4, row.name, "end", _INK)
    if row.median is None or row.q1 is None or row.q3 is None:
        return
    median, q1, q3 = (_place(value, row.edges) for value in (row.median, row.q1, row.q3))
    # the quartiles as a bar below, the median as a mark on it
    yield f'<path d="M{q1:.1f} {base}H{q3:.1f}" stroke="{_INK}" stroke-width="1.6"/>'
    yield f'<path d="M{median:.1f} {base - 9:.1f}V{base + 2:.1f}" stroke="{_INK}" stroke-width="1.6"/>'


def _place(value: float, edges: Sequence[float]) -> float:
    share = min(max((value - edges[0]) / (edges[-1] - edges[0]), 0), 1)
    return _LABEL + share * (_WIDTH - _LABEL)


def diameter_figures(scan: Scan, seg: Segmentation, found: Rano, most: int = 2) -> Iterator[str]:
    """Yield the slices of the largest lesions, with the outline of the region and both diameters.

    Shown is T1c for enhancing tumour, where there is one, else the reference.
    """
    members = seg.convention.regions.get(found.region, ())
    image = scan.roles.get(Role.T1C, scan.reference) if found.region == "ET" else scan.reference
    measurable = [lesion for lesion in found.lesions if lesion.measurable]
    for lesion in (measurable or list(found.lesions[:1]))[:most]:
        if lesion.slice_index < seg.labels.shape[0]:
            mask = region_mask(seg.labels[lesion.slice_index], members)
            yield _diameters(image, mask, lesion, f"{found.region} {lesion.number}")


def _diameters(image: Image, mask: Array, lesion: LesionDiameters, name: str) -> str:
    steps = np.array(image.grid.spacing[1:])
    ends = np.array(
        [e[1:] for line in (lesion.longest, lesion.perpendicular) for e in (line.start, line.end)]
    )
    centre, reach = (ends.max(axis=0) + ends.min(axis=0)) / 2, np.ptp(ends, axis=0) * steps
    half = (max(reach) / 2 + _MARGIN_MM) / steps
    low = np.clip(np.floor(centre - half), 0, None).astype(int)
    high = np.minimum(np.ceil(centre + half).astype(int) + 1, mask.shape)
    box = slice(low[0], high[0]), slice(low[1], high[1])
    sizes = (high - low) * steps
    scale = _SIDE / sizes.max()
    tall, wide = (float(size) for size in sizes * scale)

    def at(point: Array) -> str:
        y, x = (point - low + 0.5) * steps * scale
        return f"{x:.1f},{y:.1f}"

    parts = [f'<image href="{_data_url(_grey(image, lesion.slice_index, box))}" width="{wide:.1f}" ']
    parts[0] += f'height="{tall:.1f}" preserveAspectRatio="none"/>'
    for outline in _find_contours(np.pad(mask[box], 1).astype(np.float32), 0.5):
        points = " ".join(at(point - 1 + low) for point in outline)
        parts.append(f'<polygon points="{points}" fill="none" stroke="#56B4E9" stroke-width="1.2"/>')
    for line, colour in zip((lesion.longest, lesion.perpendicular), _LINES, strict=True):
        points = f"{at(np.array(line.start[1:]))} {at(np.array(line.end[1:]))}"
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    channel = str(image.role) if image.role in MODALITIES else image.name
    caption = f"{name}: slice {lesion.slice_index}, {channel}"
    parts.append(_text(2, tall + 13, caption, "start", _INK))
    return _svg(wide, tall + 18, f"diameters of {caption}", parts)


def _grey(image: Image, index: int, box: tuple[slice, slice]) -> PILImage.Image:
    """Return part of a slice, windowed from its 1st to its 99th percentile."""
    plane = np.asarray(image.data[index][box], dtype=np.float32)
    finite = plane[np.isfinite(plane)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    shares = np.clip((np.nan_to_num(plane, nan=low) - low) / max(high - low, 1e-12), 0, 1)
    return PILImage.fromarray(np.round(255 * shares).astype(np.uint8))


def _data_url(picture: PILImage.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _text(x: float, y: float, text: str, anchor: str, colour: str, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="11"{weight}>'
        f"{escape(text)}</text>"
    )


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" font-family="sans-serif"><title>{escape(title)}</title>'
        f"{''.join(parts)}</svg>"
    )
