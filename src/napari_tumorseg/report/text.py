"""Numbers and words as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Protocol

from napari_tumorseg.measurement.agreement import Agreement
from napari_tumorseg.measurement.metrics import NONE
from napari_tumorseg.measurement.volumes import Interval

SQUARE_MM = "mm\N{SUPERSCRIPT TWO}"

COMPONENTS = (
    "parts that touch by no face, edge or corner; single voxels and thin seams between labels count, too"
)
"""Meaning of the number of components of a label or region."""

INTERVALS = (
    "Interval: holds the reference's size for that share of patients like those the model was tested on; "
    "not for a corrected mask."
)
"""Meaning of the intervals of sizes."""


def amount(voxels: int, volume_ml: float | None) -> str:
    """Return a size: in mL where the volume is known, else in voxels."""
    return count(voxels, "voxel") if volume_ml is None else f"{millilitres(volume_ml)} mL"


def between(low: float, high: float, voxel_ml: float | None) -> str:
    """Return two sizes in voxels as a range: in mL where the volume of a voxel is known, else in voxels."""
    if voxel_ml is None:
        return f"{round(low)} to {round(high)} voxels"
    return f"{millilitres(low * voxel_ml)} to {millilitres(high * voxel_ml)} mL"


def millilitres(volume: float) -> str:
    """Return a volume in mL with three significant digits or so, never rounded to nothing."""
    if volume == 0:
        return "0"
    if volume >= 10:
        return f"{volume:.1f}"
    if volume >= 1:
        return f"{volume:.2f}"
    return f"{volume:.3f}" if volume >= 0.001 else "<0.001"


def in_interval(found: Interval, unit: bool = True) -> str:
    """Return an interval with its coverage, such as ``90 %: 26.0 to 37.0 mL``.

    A coverage is rounded down: none is claimed that the patients do not attain.
    """
    if found.low_ml is None or found.high_ml is None:
        ends, unit_name = f"{found.low_voxels} to {found.high_voxels}", " voxels"
    else:
        ends, unit_name = f"{millilitres(found.low_ml)} to {millilitres(found.high_ml)}", " mL"
    return f"{percentage(found.coverage)}: {ends}{unit_name if unit else ''}"


def percentage(coverage: float) -> str:
    """Return a coverage in whole per cent, rounded down."""
    return f"{math.floor(100 * coverage + 1e-9)}\N{NO-BREAK SPACE}%"


def interval_cell(found: Interval | None) -> str:
    """Return an interval for a table whose heading names the unit, or a dash for None."""
    return NONE if found is None else in_interval(found, unit=False)


class Sized(Protocol):
    """A row of a table that may have an interval."""

    @property
    def name(self) -> str:
        """Abbreviation of the label or name of the region."""

    @property
    def interval(self) -> Interval | None:
        """Interval of its size."""


def about_intervals(rows: Iterable[Sized]) -> str:
    """Return the meaning of the intervals of some rows, and which are wide; empty without any."""
    found = _named(rows)
    return f"{INTERVALS}{_on_wide(found)}" if found else ""


def intervals_in_words(rows: Iterable[Sized]) -> str:
    """Return the intervals of some rows, and which are wide, in a sentence or two; empty without any."""
    found = _named(rows)
    listed = "; ".join(f"{name} {in_interval(interval)}" for name, interval in found.items())
    return f"{listed}.{_on_wide(found)}" if found else ""


def _named(rows: Iterable[Sized]) -> dict[str, Interval]:
    return {row.name: row.interval for row in rows if row.interval}


def _on_wide(found: Mapping[str, Interval]) -> str:
    wide = ", ".join(name for name, interval in found.items() if interval.wide)
    return f" Wide interval of {wide}: check this case." if wide else ""


def number(value: float | None, decimals: int = 1) -> str:
    """Return a number, or a dash for None."""
    return NONE if value is None else f"{value:.{decimals}f}"


def signed(value: float | None, decimals: int = 1) -> str:
    """Return a number with its sign, or a dash for None."""
    return NONE if value is None else f"{value:+.{decimals}f}"


def count(number: int, noun: str) -> str:
    """Return a number and a noun, in the plural unless the number is one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def capital(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def titled(name: str, title: str) -> str:
    """Return an abbreviation with its full name in parentheses, if they differ."""
    return title if name == title else f"{name} ({title})"


def shortened(name: str, longest: int = 30) -> str:
    """Return a name cut in the middle, so that both ends are left to identify a case."""
    if len(name) <= longest:
        return name
    return f"{name[: longest // 2 - 1]}\N{HORIZONTAL ELLIPSIS}{name[-(longest // 2 - 1) :]}"


def flagged(name: str, flags: Iterable[str]) -> str:
    """Return the name of a row with its flags in parentheses."""
    words = ", ".join(flags)
    return f"{name} ({words})" if words else name


def compared(a: Agreement) -> str:
    """Return the title of an agreement, which names the mask and the reference."""
    reference = f"the reference {a.reference}" if a.reference not in ("", a.case) else "its reference"
    return f"agreement of {a.case or 'the mask'} with {reference}"


def duration(seconds: float) -> str:
    """Return a time in words, to two digits or so: ``40 s``, ``6 min``, ``2 h 10 min``."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest and hours < 10 else f"{hours} h"
