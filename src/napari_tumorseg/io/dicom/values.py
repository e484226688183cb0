"""Values of DICOM headers, with None or an empty text for those that are missing or damaged."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


def text(data: Any, keyword: str) -> str:
    """Return a value as text, several of them divided by spaces; empty if it is missing."""
    return " ".join(texts(data, keyword))


def texts(data: Any, keyword: str) -> tuple[str, ...]:
    """Return the values of an element as texts."""
    return tuple(str(value).strip() for value in _values(data, keyword) if str(value).strip())


def number(data: Any, keyword: str) -> float | None:
    """Return the first value as a finite number; None if it is none."""
    found = _numbers(_values(data, keyword))
    return found[0] if found else None


def whole(data: Any, keyword: str) -> int | None:
    """Return the first value as a whole number; None if it is none."""
    found = number(data, keyword)
    return None if found is None or abs(found) > 2**53 else int(found)


def numbers(data: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return the values of an element as that many finite numbers; None if they are not."""
    found = _numbers(_values(data, keyword))
    return found if found is not None and len(found) == count else None


def item(data: Any, *keywords: str) -> Any:
    """Return the first item of a sequence, of the sequences in it; None if one is missing."""
    for keyword in keywords:
        try:
            data = getattr(data, keyword)[0]
        except (AttributeError, TypeError, IndexError, KeyError):
            return None
    return data


def _values(data: Any, keyword: str) -> list[Any]:
    try:
        found = getattr(data, keyword, None)
    except Exception:  # a value that cannot be decoded
        return []
    if found is None or found == "":
        return []
    is_list = isinstance(found, Iterable) and not isinstance(found, str | bytes) and hasattr(found, "__len__")
    return list(found) if is_list else [found]


def _numbers(values: Iterable[Any]) -> tuple[float, ...] | None:
    try:
        found = tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if all(map(math.isfinite, found)) else None
