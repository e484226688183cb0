"""Remarks about cases, from the records of a cohort: why one failed, and what is worth a look."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from napari_tumorseg.cohorts.record import FOLDER, Record
from napari_tumorseg.errors import Notice, Remedy


@dataclass(frozen=True)
class Remark:
    """Remark about a case.

    Attributes
    ----------
    failure : Notice or None
        Why the last run of the case failed; None if it did not.
    flags : tuple of str
        Flags of its result, from `flags.FLAGS`.
    """

    failure: Notice | None = None
    flags: tuple[str, ...] = ()


def remarks(output: Path) -> dict[str, Remark]:
    """Return a remark for each case that has a record in an output folder; each record is read once."""
    found: dict[str, Remark] = {}
    with suppress(OSError), os.scandir(output / FOLDER) as entries:
        for entry in entries:
            if entry.name.endswith(".json") and not entry.name.startswith("."):
                with suppress(OSError):
                    state = entry.stat()
                    found.update([_remark(Path(entry.path), state.st_mtime_ns, state.st_size)])
    found.pop("", None)
    return found


@lru_cache(maxsize=20_000)
def _remark(path: Path, changed: int, size: int) -> tuple[str, Remark]:
    """Return the case of a record and the remark; the other arguments distinguish versions of the file."""
    record = Record.read(path)
    if record is None:
        return "", Remark()
    if record.state == "done":
        return record.case, Remark(flags=record.flags)
    remedy = Remedy(record.remedy) if record.remedy in tuple(Remedy) else None
    return record.case, Remark(Notice(record.reason, remedy))
