"""Charts of an evaluation: bars of each case, and curves over epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from napari_tumorseg.report.page import svg
from napari_tumorseg.report.text import shortened

_BAR, _GAP, _BETWEEN = 11, 2, 9
_TOP, _LABEL, _PLOT, _VALUE = 26, 230, 560, 60


@dataclass(frozen=True)
class Series:
    """One quantity of a bar chart.

    Attributes
    ----------
    name, colour : str
        Of the quantity.
    mean : float or None
        Drawn as a line across all bars.
    """

    name: str
    colour: str
    mean: float | None = None


@dataclass(frozen=True)
class BarGroup:
    """The bars of one case.

    Attributes
    ----------
    name : str
        Of the case.
    values : sequence of float or None
        From 0 to 1, one for each series.
    pale : bool
        Whether its bars are drawn pale.
    """

    name: str
    values: Sequence[float | None]
    pale: bool = False


@dataclass(frozen=True)
class Curve:
    """A line of a chart: points (x, y), by x."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]


def bars(groups: Sequence[BarGroup], series: Sequence[Series], title: str) -> Markup:
    """Return horizontal bars from 0 to 1, a group of them for each case, from the top downwards."""
    step = len(series) * (_BAR + _GAP) + _BETWEEN
    bottom = _TOP + step * len(groups)
    tops = [_TOP + number * step + _BETWEEN / 2 for number in range(len(groups))]
    means = [(_bar_end(s.mean), s) for s in series if s.mean is not None and len(groups) > 1]
    return svg(
        "bars.svg",
        title=title,
        width=_LABEL + _PLOT + _VALUE,
        height=bottom + 8,
        left=_LABEL,
        right=_LABEL + _PLOT,
        top=_TOP,
        bottom=bottom,
        bar=_BAR,
        ticks=[(_bar_end(tick / 10), f"{tick / 10:g}") for tick in range(0, 11, 2)],
        groups=[_bar_group(group, series, top) for group, top in zip(groups, tops, strict=True)],
        means=means,
    )


def _bar_group(group: BarGroup, series: Sequence[Series], top: float) -> dict[str, Any]:
    """Return the label of a case and its bars, as the template takes them."""
    drawn = [
        {
            "y": top + number * (_BAR + _GAP),
            "length": max(_bar_end(value) - _LABEL, 1.5),
            "value": value,
            "name": one.name,
            "colour": one.colour,
        }
        for number, (value, one) in enumerate(zip(group.values, series, strict=True))
        if value is not None
    ]
    short = shortened(group.name) + (" \N{DAGGER}" if group.pale else "")
    middle = top + len(series) * (_BAR + _GAP) / 2 + 3
    return {"name": group.name, "short": short, "middle": middle, "pale": group.pale, "bars": drawn}


def _bar_end(value: float) -> float:
    return _LABEL + _PLOT * min(max(value, 0.0), 1.0)


def curves(lines: Sequence[Curve], title: str, unit: str) -> Markup:
    """Return lines over epochs; those without a point are left out.

    Parameters
    ----------
    lines : sequence of Curve
        The lines.
    title, unit : str
        Of the chart and of its upright axis.
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return Markup()
    area = _Area.of(lines)
    return svg(
        "curves.svg",
        title=title,
        unit=unit,
        area=area,
        x_ticks=[(area.x(value), f"{value:g}") for value in _ticks(*area.xs, whole=True)],
        y_ticks=[(area.y(value), f"{value:g}") for value in _ticks(*area.ys)],
        lines=[(line, [(area.x(x), area.y(y)) for x, y in line.points]) for line in lines],
    )


@dataclass(frozen=True)
class _Area:
    """Limits and margins of a chart of curves."""

    xs: tuple[float, float]
    ys: tuple[float, float]
    width: int = 500
    height: int = 270
    left: int = 62
    top: int = 14
    right: int = 486
    bottom: int = 208

    @classmethod
    def of(cls, lines: Sequence[Curve]) -> _Area:
        """Return the area that holds all points."""
        xs, ys = zip(*(point for line in lines for point in line.points), strict=True)
        return cls(_range(xs, whole=True), _range(ys))

    def x(self, value: float) -> float:
        """Return the place of a value on the horizontal axis."""
        return self.left + (value - self.xs[0]) / (self.xs[1] - self.xs[0]) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Return the place of a value on the upright axis."""
        share = (value - self.ys[0]) / (self.ys[1] - self.ys[0])
        return self.top + (1 - share) * (self.bottom - self.top)


def _range(values: Sequence[float], whole: bool = False) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high <= low:
        return low - 0.5, high + 0.5
    margin = 0 if whole else 0.04 * (high - low)
    return low - margin, high + margin


def _ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Return some round numbers between two."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    step = max(step, 1.0) if whole else step
    first = math.ceil(low / step)
    return [round(n * step, 10) for n in range(first, math.floor(high / step) + 1)]
