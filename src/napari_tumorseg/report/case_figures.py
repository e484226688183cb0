"""Figures of the report on one case: slices with outlines, histograms, diameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image as PILImage
from skimage import measure as skmeasure

from napari_tumorseg.geometry import Array
from napari_tumorseg.measurement.intensity import REST, Distribution
from napari_tumorseg.measurement.lesion_diameters import LesionDiameters
from napari_tumorseg.measurement.rano import Rano
from napari_tumorseg.measurement.rano_outline import lesion_mask
from napari_tumorseg.report.montage import draw_tiles
from napari_tumorseg.report.page import png_url, svg
from napari_tumorseg.report.slices import spread
from napari_tumorseg.scan import MODALITIES, Image, Role, Scan, Segmentation

_TILES = 6
_LETTERS = 30
"""Pixels, larger than elsewhere: on paper a tile is three centimetres wide."""
_TOP, _WIDTH, _ROW, _LABEL, _FOOT = 16, 220, 25, 60, 26
_REST_COLOUR = "#8a8f94"
_MARGIN_MM = 15.0
_SIDE = 130
_LINES = ("#F0E442", "#FFFFFF")
"""Colours of the longest diameter and of the perpendicular one."""
_NAMES = ("longest", "perpendicular")

_find_contours: Any = skmeasure.find_contours  # typed in some versions of scikit-image only


@dataclass(frozen=True)
class Montage:
    """Picture of some slices, and its legend.

    Attributes
    ----------
    url, alt : str
        Source and description of the picture.
    legend : tuple of (name, colour)
        Labels that the segmentation holds.
    note : str
        Channel, and remarks.
    """

    url: str
    alt: str
    legend: tuple[tuple[str, str], ...]
    note: str


def montage(scan: Scan, seg: Segmentation) -> Montage:
    """Draw some slices with the outlines of the labels."""
    tiles = draw_tiles(scan, seg, _slices(seg), text=_LETTERS)
    counts = np.bincount(seg.labels.ravel(), minlength=256)
    return Montage(
        png_url(tiles.together()),
        f"axial slices of {scan.case} with the outlines of the labels",
        tuple((label.short, label.colour) for label in seg.convention.labels if counts[label.value]),
        "; ".join(text for text in (tiles.about, tiles.remark) if text),
    )


def _slices(seg: Segmentation) -> list[int] | None:
    """Return slices spread over the tumour, that with most of it among them; None where there is none."""
    area = np.count_nonzero(seg.labels, axis=(1, 2))
    hit = np.flatnonzero(area)
    return spread(int(hit[0]), int(hit[-1]), int(area.argmax()), _TILES) if hit.size else None


def distribution_charts(found: Sequence[Distribution], seg: Segmentation) -> Iterator[Markup]:
    """Yield a chart for each channel: a histogram for each label, and one of all that has no label."""
    colours = {label.short: label.colour for label in seg.convention.labels} | {REST: _REST_COLOUR}
    for channel in dict.fromkeys(each.channel for each in found):
        rows = [d for d in found if d.channel == channel and d.name in colours and d.counts]
        if rows:
            yield _chart(rows, [colours[row.name] for row in rows])


def _chart(rows: Sequence[Distribution], colours: Sequence[str]) -> Markup:
    bottom = _TOP + len(rows) * _ROW
    bases = [_TOP + (number + 1) * _ROW - 2 for number in range(len(rows))]
    return svg(
        "histograms.svg",
        title=rows[0].channel if rows[0].role == "other" else rows[0].role,
        width=_WIDTH,
        height=bottom + _FOOT - 8,
        left=_LABEL,
        bottom=bottom,
        low=f"{rows[0].edges[0]:.4g}",
        high=f"{rows[0].edges[-1]:.4g}",
        rows=[_histogram(*row) for row in zip(rows, colours, bases, strict=True)],
    )


def _histogram(row: Distribution, colour: str, base: float) -> dict[str, Any]:
    """Return the path of a histogram, and the places of median and quartiles."""
    counts = np.array(row.counts, dtype=float)
    heights = (_ROW - 7) * counts / max(counts.max(), 1)
    step = (_WIDTH - _LABEL) / len(counts)
    path = "".join(f"V{base - h:.1f}h{step:.2f}" for h in heights)
    quantiles = [_place(v, row.edges) for v in (row.q1, row.median, row.q3) if v is not None]
    return {"name": row.name, "colour": colour, "base": base, "path": path, "quantiles": quantiles}


def _place(value: float, edges: Sequence[float]) -> float:
    share = min(max((value - edges[0]) / (edges[-1] - edges[0]), 0), 1)
    return _LABEL + share * (_WIDTH - _LABEL)


def diameter_figures(scan: Scan, seg: Segmentation, found: Rano, most: int = 2) -> Iterator[Markup]:
    """Yield the slices of the largest lesions, with the outline of the region and both diameters.

    Shown is T1c for enhancing tumour, where there is one, else the reference.
    """
    image = scan.roles.get(Role.T1C, scan.reference) if found.region == "ET" else scan.reference
    measurable = [lesion for lesion in found.lesions if lesion.measurable]
    for lesion in (measurable or list(found.lesions[:1]))[:most]:
        if lesion.slice_index < seg.labels.shape[0]:
            plane = seg.labels[lesion.slice_index][None]
            mask = lesion_mask(plane, seg.convention, found.region, found.outline or "enhancing-only")[0]
            yield _diameters(image, mask, lesion, f"{found.region} {lesion.number}")


def _diameters(image: Image, mask: Array, lesion: LesionDiameters, name: str) -> Markup:
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

    outlines = _find_contours(np.pad(mask[box], 1).astype(np.float32), 0.5)
    channel = str(image.role) if image.role in MODALITIES else image.name
    return svg(
        "diameters.svg",
        caption=f"{name}: slice {lesion.slice_index}, {channel}",
        url=png_url(_grey(image, lesion.slice_index, box)),
        width=wide,
        height=tall,
        outlines=[" ".join(at(point - 1 + low) for point in outline) for outline in outlines],
        lengths=[
            (f"{kind} {line.length_mm:.1f} mm", colour)
            for kind, line, colour in zip(_NAMES, (lesion.longest, lesion.perpendicular), _LINES, strict=True)
            if line.length_mm is not None
        ],
        lines=[
            (f"{at(np.array(line.start[1:]))} {at(np.array(line.end[1:]))}", colour)
            for line, colour in zip((lesion.longest, lesion.perpendicular), _LINES, strict=True)
        ],
    )


def _grey(image: Image, index: int, box: tuple[slice, slice]) -> PILImage.Image:
    """Return part of a slice, windowed from its 1st to its 99th percentile."""
    plane = np.asarray(image.data[index][box], dtype=np.float32)
    finite = plane[np.isfinite(plane)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    shares = np.clip((np.nan_to_num(plane, nan=low) - low) / max(high - low, 1e-12), 0, 1)
    return PILImage.fromarray(np.round(255 * shares).astype(np.uint8))
