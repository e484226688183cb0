"""Record of a case: state, sentence, numbers, and the files and settings that they come from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from napari_tumorseg.io.case import file_name

FOLDER = "cohort_records"
"""Folder of the records, in the output folder."""

FORMAT = 1

MADE_BY = "cohort"
"""Entry of the side file of a mask that a cohort has made: the digest of its settings."""

RecordState = Literal["done", "failed"]


@dataclass(frozen=True)
class Record:
    """Result of one case; neither paths nor times are part of its numbers.

    Attributes
    ----------
    case : str
        Name of the case.
    state : {"done", "failed"}
        Whether there is a mask.
    settings : str
        Digest of settings and models; see `CohortSettings.digest`.
    inputs : mapping of str to str
        SHA-256 of the input files, by their path below the data.
    signature : str
        Of names, sizes and times of the files; equal ones need not be read to be known as unchanged.
    reason : str
        Why the case failed, in a sentence; empty if it did not.
    remedy : str
        Name of the `Remedy` of that, if there is one.
    is_case_fault : bool
        False if it failed because its result could not be written, as on a full disk: it is tried again.
    mask : str
        File of the mask, below the output folder.
    patient, time_point, layout : str
        Facts about the case.
    roles : tuple of str
        Modalities that it has.
    model : mapping
        Name, version and SHA-256 of the model.
    precision : str
        Precision in which the network ran, as chosen or asked for.
    measurements : mapping
        From `Measurements.to_dict`; None if the case failed.
    sides : mapping of str to str
        Side of each region.
    flags : tuple of str
        Things worth a look, from `flags.FLAGS`.
    warnings : tuple of str
        Sentences of the run.
    seconds : float
        Time that it took.
    finished : str
        Date and time.
    versions : mapping
        Versions of the program and its libraries.
    """

    case: str
    state: RecordState
    settings: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    signature: str = ""
    reason: str = ""
    remedy: str = ""
    is_case_fault: bool = True
    mask: str = ""
    patient: str = ""
    time_point: str = ""
    layout: str = ""
    roles: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    precision: str = ""
    measurements: Mapping[str, Any] | None = None
    sides: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    finished: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def regions(self) -> list[Mapping[str, Any]]:
        """Measurements of each region, from the outermost inwards; none if the case failed."""
        rows = (self.measurements or {}).get("rows", ())
        return [row for row in rows if row["kind"] == "region"]

    def to_json(self) -> str:
        """Return the record as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """Return the record in a file; None if there is none that can be used."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT or content["state"] not in ("done", "failed"):
                return None
            known = {f.name for f in fields(cls)}
            lists = {name: tuple(content.get(name, ())) for name in ("roles", "flags", "warnings")}
            return cls(**{k: v for k, v in content.items() if k in known} | lists)
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return None


def mixed_precisions(records: Iterable[Record]) -> str:
    """Return a sentence if networks ran in more than one precision; else nothing."""
    counts = Counter(record.precision for record in records if record.precision)
    if len(counts) < 2:
        return ""
    some = " and ".join(f"{number} in {name}" for name, number in sorted(counts.items()))
    return f"cases were run in different precisions ({some}); ask for one to run all alike"


def record_path(output: Path, case: str) -> Path:
    """Return the file of a case's record."""
    return output / FOLDER / f"{file_name(case)}.json"


def picture_path(output: Path, case: str) -> Path:
    """Return the file of a case's thumbnail."""
    return output / FOLDER / f"{file_name(case)}.webp"


def mask_path(output: Path, case: str) -> Path:
    """Return the file of a case's mask, where the worklist looks for it."""
    return output / f"{file_name(case)}_seg.nii.gz"


def read_records(output: Path) -> list[Record]:
    """Return all records of an output folder, by the names of the cases."""
    found = map(Record.read, sorted((output / FOLDER).glob("*.json")))
    return sorted((record for record in found if record is not None), key=lambda record: record.case)
