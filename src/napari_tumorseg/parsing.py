"""Numbers in text that people type, with comma or dot as the decimal mark."""

from __future__ import annotations

import math
import re


def parse_decimal(text: str) -> float:
    """Return a number; a text with two marks, such as ``1.234,5``, is refused.

    Raises
    ------
    ValueError
        If it is not a number.
    """
    if text.count(",") + text.count(".") > 1:
        raise ValueError(f"{text!r} has more than one decimal mark")
    return float(text.replace(",", "."))


def parse_spacing(text: str) -> tuple[float, float, float]:
    """Return a voxel size (Z, Y, X) in mm.

    The numbers are separated by spaces, semicolons or ``x``; then both marks are decimal. Without any of
    these, commas separate: ``5,0.94,0.94``.

    Raises
    ------
    ValueError
        If there are not three positive numbers.
    """
    words = [word.rstrip(",") for word in re.split(r"[\s;x×]+", text.strip()) if word != ","]
    z, y, x = (parse_decimal(word) for word in (words if len(words) > 1 else text.split(",")))
    if not all(0 < side < math.inf for side in (z, y, x)):
        raise ValueError(f"{text!r}: a voxel size is three positive numbers")
    return z, y, x
