"""Distributions of volumes over many cases: histogram, and intervals in the order of the volumes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from napari_tumorseg.report.page import svg
from napari_tumorseg.report.text import count, millilitres

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 440, 190, 48, 12, 420, 152
_BINS = 5
"""Bins of a decade."""
_LOWEST = 0.001
"""Smallest volume in mL that has a place of its own on an axis."""
_ZERO, _APART = 36, 16
"""Width of the place for volumes of 0, and of the gap between it and the axis."""


class Band(NamedTuple):
    """Volume of a case in mL, and its interval."""

    volume: float
    low: float
    high: float
    wide: bool = False


@dataclass(frozen=True)
class _Axis:
    """Logarithmic axis over whole decades, between two places of a chart."""

    first: int
    last: int
    start: float
    stop: float

    @classmethod
    def of(cls, values: Iterable[float], start: float, stop: float) -> _Axis:
        """Return the axis that holds some values above 0."""
        shown = [max(value, _LOWEST) for value in values if value > 0] or [1.0]
        first = math.floor(math.log10(min(shown)))
        return cls(first, max(math.ceil(math.log10(max(shown))), first + 1), start, stop)

    def at(self, value: float) -> float:
        """Return the place of a value; those below the axis are at its start."""
        exponent = math.log10(max(value, 10.0**self.first))
        share = (exponent - self.first) / (self.last - self.first)
        return self.start + share * (self.stop - self.start)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Places and names of the powers of ten."""
        values = [10.0**power for power in range(self.first, self.last + 1)]
        return [(self.at(value), f"{value:g}") for value in values]

    @property
    def edges(self) -> list[float]:
        """Limits of the bins."""
        bins = _BINS * (self.last - self.first)
        return [10.0 ** (self.first + number / _BINS) for number in range(bins + 1)]


def histogram(volumes: Sequence[float], title: str) -> Markup:
    """Return a histogram of volumes in mL over a logarithmic axis, with those of 0 apart at its left."""
    axis = _Axis.of(volumes, _LEFT + _ZERO, _RIGHT)
    edges = axis.edges
    counts = [0] * (len(edges) - 1)
    for volume in filter(None, volumes):
        counts[_bin(axis, volume, len(counts))] += 1
    none = sum(volume == 0 for volume in volumes)
    most = max([none, *counts, 1])
    bars = [
        _bar(axis.at(low), axis.at(high), n, most, f"{millilitres(low)} to {millilitres(high)} mL")
        for low, high, n in zip(edges, edges[1:], counts, strict=False)
    ]
    bars.append(_bar(_LEFT, _LEFT + _ZERO - _APART, none, most, "0 mL"))
    return _chart(
        title,
        x_ticks=[(_LEFT + (_ZERO - _APART) / 2, "0"), *axis.ticks],
        x_name="volume, mL",
        y_ticks=[(_BOTTOM, "0"), (_TOP, str(most))],
        bars=bars,
    )


def _bin(axis: _Axis, volume: float, bins: int) -> int:
    place = (math.log10(max(volume, _LOWEST)) - axis.first) * _BINS
    return min(max(math.floor(place + 1e-9), 0), bins - 1)


def _bar(start: float, stop: float, cases: int, most: int, what: str) -> dict[str, object]:
    """Return a bar as the template takes it."""
    high = (_BOTTOM - _TOP) * cases / most
    tip = f"{what}: {count(cases, 'case')}"
    return {"x": start + 0.5, "width": stop - start - 1, "y": _BOTTOM - high, "height": high, "tip": tip}


def intervals(bands: Sequence[Band], title: str) -> Markup:
    """Return the intervals of volumes as upright lines, in the order of the volumes; wide ones stand out."""
    ordered = sorted(bands)
    axis = _Axis.of((end for band in ordered for end in band[:3]), _BOTTOM, _TOP)
    step = (_RIGHT - _LEFT) / max(len(ordered), 1)
    places = [(_LEFT + (number + 0.5) * step, band) for number, band in enumerate(ordered)]
    lines = {
        wide: "".join(
            f"M{x:.1f} {axis.at(band.low):.1f}V{axis.at(band.high):.1f}"
            for x, band in places
            if band.wide == wide
        )
        for wide in (False, True)
    }
    return _chart(
        title,
        x_ticks=[],
        x_name="cases, in the order of their volumes",
        y_ticks=axis.ticks,
        y_name="mL",
        lines=lines[False],
        wide_lines=lines[True],
        points="".join(f"M{x:.1f} {axis.at(band.volume):.1f}h0" for x, band in places),
        stroke=min(max(0.6 * step, 0.4), 6),
    )


def _chart(title: str, **content: object) -> Markup:
    """Return a chart; marks that it does not have are left out."""
    sides = {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM}
    empty = {"bars": [], "lines": "", "wide_lines": "", "points": "", "stroke": 1, "y_name": "cases"}
    frame = {"title": title, "width": _WIDTH, "height": _HEIGHT, **sides}
    return svg("distribution.svg", **(frame | empty | content))
