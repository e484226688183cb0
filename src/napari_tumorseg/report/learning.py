"""Learning curves of a training, from the CSV log beside its model."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from napari_tumorseg.errors import InputError

LOG = Path("log") / "metrics.csv"
"""Path of the log in the folder of a training."""

COLUMNS = ("train_loss", "val_loss", "val_dice", "lr")
_MOST_BYTES = 32 << 20


@dataclass(frozen=True)
class Learning:
    """Points (epoch, value) of each column that has any.

    Attributes
    ----------
    lines : mapping of str to tuple of (float, float)
        By the name of the column, ordered by epoch; the last one where an epoch is there twice.
    """

    lines: dict[str, tuple[tuple[float, float], ...]]


def find_log(run: Path | None, weights: Path | None) -> Path | None:
    """Return the log of a run, or the one beside a model's weights or in the folder above; None without.

    Raises
    ------
    InputError
        If a run was named that has none.
    """
    if run is not None:
        path = run / LOG
        if not path.is_file():
            raise InputError(f"{path} is not there; name the folder of a training")
        return path
    places = [folder / LOG for folder in (weights.parent, weights.parent.parent)] if weights else []
    return next((path for path in places if path.is_file()), None)


def read_log(path: Path) -> Learning:
    """Read a log with the columns epoch, train_loss, val_loss, val_dice and lr; cells may be missing.

    Raises
    ------
    InputError
        If it cannot be read or has no column epoch.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is too large to be the log of a training")
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the log {path} cannot be read: {error}") from error
    if not rows or "epoch" not in rows[0]:
        raise InputError(f"{path} has no column epoch; it is not the log of a training")
    return Learning({name: points for name in COLUMNS if (points := _points(rows, name))})


def _points(rows: Iterable[dict[str, str]], name: str) -> tuple[tuple[float, float], ...]:
    found: dict[float, float] = {}
    for row in rows:
        epoch, value = _number(row.get("epoch")), _number(row.get(name))
        if epoch is not None and value is not None:
            found[epoch] = value
    return tuple(sorted(found.items()))


def _number(text: object) -> float | None:
    try:
        value = float(text) if isinstance(text, str) and text.strip() else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) else None
