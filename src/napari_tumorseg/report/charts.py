"""Charts as SVG, to stand in a page: no script, no font and no file from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_INK, _PALE, _LINE = "#1b1f23", "#57606a", "#d0d7de"
_BAR, _GAP, _BETWEEN = 11, 2, 9
_LABEL, _PLOT, _VALUE = 230, 560, 60
_LONGEST = 30


@dataclass(frozen=True)
class Series:
    """A colour and what it stands for.

    Attributes
    ----------
    name, colour : str
        For the legend.
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


def bars(groups: Sequence[BarGroup], series: Sequence[Series], title: str) -> str:
    """Return horizontal bars from 0 to 1, a group of them for each case, from the top downwards."""
    step = len(series) * (_BAR + _GAP) + _BETWEEN
    top = 26
    bottom = top + step * len(groups)
    parts = [_axis(top, bottom)]
    for number, group in enumerate(groups):
        parts.append(_bar_group(group, series, top + number * step + _BETWEEN / 2))
    for one in series:
        if one.mean is not None and len(groups) > 1:
            parts.append(_mean_line(one, top, bottom))
    return _svg(_LABEL + _PLOT + _VALUE, bottom + 8, title, parts)


def curves(lines: Sequence[Curve], title: str, unit: str, limits: tuple[float, float] | None = None) -> str:
    """Return lines over epochs.

    Parameters
    ----------
    lines : sequence of Curve
        Those without a point are left out.
    title, unit : str
        Of the chart and of its upright axis.
    limits : (float, float), optional
        Of that axis; by default those of the points.
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    area = _Area(_range(xs, whole=True), limits or _range(ys))
    parts = [*area.frame(unit)]
    for line in lines:
        points = " ".join(f"{area.x(x):.1f},{area.y(y):.1f}" for x, y in line.points)
        if len(line.points) == 1:
            x, y = line.points[0]
            parts.append(f'<circle cx="{area.x(x):.1f}" cy="{area.y(y):.1f}" r="3" fill="{line.colour}"/>')
        parts.append(f'<polyline points="{points}" fill="none" stroke="{line.colour}" stroke-width="1.8"/>')
    parts += area.legend(lines)
    return _svg(area.width, area.height, title, parts)


def shortened(name: str, longest: int = _LONGEST) -> str:
    """Return a name cut in the middle: both ends tell cases apart."""
    if len(name) <= longest:
        return name
    return f"{name[: longest // 2 - 1]}\N{HORIZONTAL ELLIPSIS}{name[-(longest // 2 - 1) :]}"


@dataclass(frozen=True)
class _Area:
    """Where the lines of a chart are drawn."""

    xs: tuple[float, float]
    ys: tuple[float, float]
    width: int = 500
    height: int = 270
    left: int = 62
    top: int = 14
    right: int = 14
    bottom: int = 62

    def x(self, value: float) -> float:
        return self.left + (value - self.xs[0]) / (self.xs[1] - self.xs[0]) * self._wide

    def y(self, value: float) -> float:
        share = (value - self.ys[0]) / (self.ys[1] - self.ys[0])
        return self.top + (1 - min(max(share, 0.0), 1.0)) * self._high

    @property
    def _wide(self) -> int:
        return self.width - self.left - self.right

    @property
    def _high(self) -> int:
        return self.height - self.top - self.bottom

    def frame(self, unit: str) -> list[str]:
        parts = []
        for value in _ticks(*self.ys):
            y = self.y(value)
            parts.append(_rule(self.left, y, self.width - self.right, y))
            parts.append(_text(self.left - 6, y + 4, f"{value:g}", _PALE, "end"))
        base = self.height - self.bottom
        for value in _ticks(*self.xs, whole=True):
            parts.append(_text(self.x(value), base + 16, f"{value:g}", _PALE, "middle"))
        parts.append(_text(self.left + self._wide / 2, base + 32, "epoch", _PALE, "middle"))
        middle = self.top + self._high / 2
        turned = f'transform="rotate(-90 14 {middle:.1f})"'
        return [*parts, _text(14, middle, unit, _PALE, "middle", turned)]

    def legend(self, lines: Sequence[Curve]) -> list[str]:
        parts, x = [], float(self.left)
        for line in lines:
            y = self.height - 12
            parts.append(f'<rect x="{x:.1f}" y="{y - 9}" width="16" height="4" fill="{line.colour}"/>')
            parts.append(_text(x + 22, y - 3, line.name, _INK))
            x += 40 + 7.2 * len(line.name)
        return parts


def _axis(top: float, bottom: float) -> str:
    parts = []
    for tick in range(0, 11, 2):
        x = _LABEL + _PLOT * tick / 10
        parts.append(_rule(x, top, x, bottom))
        parts.append(_text(x, top - 8, f"{tick / 10:g}", _PALE, "middle"))
    return "".join(parts)


def _bar_group(group: BarGroup, series: Sequence[Series], top: float) -> str:
    middle = top + len(series) * (_BAR + _GAP) / 2 + 3
    name = shortened(group.name) + (" \N{DAGGER}" if group.pale else "")
    parts = [_text(_LABEL - 8, middle, name, _INK, "end", hint=group.name)]
    for number, (value, one) in enumerate(zip(group.values, series, strict=True)):
        if value is None:
            continue
        y = top + number * (_BAR + _GAP)
        length = max(_PLOT * min(max(value, 0.0), 1.0), 1.5)
        light = ' fill-opacity="0.4"' if group.pale else ""
        parts.append(
            f'<rect x="{_LABEL}" y="{y:.1f}" width="{length:.1f}" height="{_BAR}" fill="{one.colour}"{light}>'
            f"<title>{escape(group.name)}, {escape(one.name)}: {value:.3f}</title></rect>"
        )
        parts.append(_text(_LABEL + _PLOT + 10, y + _BAR - 1.5, f"{value:.2f}", _PALE, size=11))
    return "".join(parts)


def _mean_line(one: Series, top: float, bottom: float) -> str:
    x = _LABEL + _PLOT * min(max(one.mean or 0.0, 0.0), 1.0)
    return (
        f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="{one.colour}" '
        f'stroke-width="1.5" stroke-dasharray="5 4"><title>mean {escape(one.name)}: {one.mean:.3f}</title>'
        "</line>"
    )


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


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{_LINE}"/>'


def _text(
    x: float,
    y: float,
    text: str,
    colour: str,
    anchor: str = "start",
    more: str = "",
    size: int = 12,
    hint: str = "",
) -> str:
    title = f"<title>{escape(hint)}</title>" if hint else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" text-anchor="{anchor}" {more}>'
        f"{title}{escape(text)}</text>"
    )


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="{escape(title, quote=True)}" font-family="system-ui, sans-serif">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
