"""Facts about a mask that its side file states: whether it was corrected, and how sure the model was of it.

Those about the model are of the mask as the model made it, and stay when it is corrected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from napari_tumorseg.io.formats import side_file
from napari_tumorseg.io.json_files import read_json
from napari_tumorseg.measurement.intervals import VolumeInterval

MEASURED_BEFORE = "measurements_before_correction"
"""Entry of the side file of a corrected mask: the numbers of the mask as the model made it."""


@dataclass(frozen=True)
class MaskFacts:
    """Facts about a mask; of one without a side file nothing is known.

    Attributes
    ----------
    is_corrected : bool
        Whether it was corrected by hand.
    is_empty : bool
        Whether no tumour was found.
    interval : VolumeInterval or None
        Interval of its largest region that has one, in voxels.
    disagreement : float or None
        Expected Dice distance between two predictions, from 0 to 1; see `inference.disagreement`.
    voxel_ml : float or None
        Volume of a voxel, where it is known.
    """

    is_corrected: bool = False
    is_empty: bool = False
    interval: VolumeInterval | None = None
    disagreement: float | None = None
    voxel_ml: float | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> MaskFacts:
        """Return the facts in the content of a side file, or in the provenance of a mask."""
        edits = content.get("edits")
        rows = list(_rows(content))
        return cls(
            bool(content.get("corrected_by_hand") or (isinstance(edits, dict) and edits.get("total"))),
            bool(rows) and not any(row.get("voxels") for row in rows),
            _interval(content.get("intervals")),
            _share(content.get("disagreement")),
            _voxel_ml(rows),
        )

    @property
    def band(self) -> float | None:
        """Width of the interval as a share of the volume."""
        found = self.interval
        return (found.high - found.low) / found.voxels if found and found.voxels else None


def facts_of(mask: Path | None) -> MaskFacts:
    """Return the facts about a mask; `MaskFacts()` if there is no mask, or no side file that can be read."""
    if mask is None:
        return MaskFacts()
    side = side_file(mask)
    try:
        found = side.stat()
    except OSError:
        return MaskFacts()
    return _facts(side, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=20_000)
def _facts(side: Path, changed: int, size: int, number: int) -> MaskFacts:
    """Return the facts in a side file; the other arguments distinguish its versions."""
    return MaskFacts.of(read_json(side) or {})


def _rows(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the measured labels and regions."""
    measurements = content.get(MEASURED_BEFORE, content.get("measurements"))
    rows = measurements.get("rows") if isinstance(measurements, dict) else None
    yield from (row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()


def _interval(content: object) -> VolumeInterval | None:
    """Return the interval of the largest region that has one."""
    if not isinstance(content, dict):
        return None
    found = [one for one in map(VolumeInterval.from_dict, content.values()) if one is not None]
    return max(found, key=lambda one: one.voxels, default=None)


def _share(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


def _voxel_ml(rows: list[Mapping[str, Any]]) -> float | None:
    for row in rows:
        with suppress(TypeError, KeyError, ZeroDivisionError):
            return float(row["volume_ml"]) / float(row["voxels"])
    return None
