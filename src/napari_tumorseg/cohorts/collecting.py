"""Parts of a cohort put together: their records and masks in one folder, and one table."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from napari_tumorseg.cohorts.outputs import part_manifests, write_tables
from napari_tumorseg.cohorts.record import Record, mask_path, picture_path, read_records, record_path
from napari_tumorseg.cohorts.unit import prepare
from napari_tumorseg.errors import InputError
from napari_tumorseg.io.atomic import atomic_path, write_text
from napari_tumorseg.io.formats import side_file
from napari_tumorseg.io.output_set import output_set


@dataclass(frozen=True)
class Collected:
    """Cohort that was put together.

    Attributes
    ----------
    records : tuple of Record
        Of all cases that were run.
    missing : tuple of str
        Cases that the parts planned and none has run.
    """

    records: tuple[Record, ...]
    missing: tuple[str, ...]


def collect(output: Path | str, parts: Sequence[Path | str] = (), *, page: bool = True) -> Collected:
    """Put the parts of a cohort together and write its table and its quality page.

    Parameters
    ----------
    output : path
        Folder of the whole cohort; parts that were written into it need not be named.
    parts : sequence of paths
        Output folders of parts elsewhere; their masks and records are copied.
    page : bool
        Whether to write the quality page.

    Raises
    ------
    InputError
        If a folder holds no part, or two parts disagree about the settings.
    OutputError
        If something cannot be written.
    """
    output, folders = Path(output), [Path(part) for part in parts]
    own = [output] if output.is_dir() else []
    found = {folder: read_records(folder) for folder in dict.fromkeys([*own, *folders])}
    _check(found, output)
    manifests = [manifest for folder in found for manifest in part_manifests(folder)]
    prepare(output)
    records: dict[str, Record] = {}
    for folder, some in found.items():
        for record in some:
            if _is_better(record, records.get(record.case)):
                if folder != output:
                    _copy(record, folder, output)
                records[record.case] = record
    planned = [name for manifest in manifests for name in manifest.get("planned", ())]
    missing = tuple(sorted(set(planned) - set(records)))
    began = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"began": began, "planned": sorted(set(planned) | set(records)), "parts": len(manifests)}
    write_tables(output, list(records.values()), facts, page)
    return Collected(tuple(records.values()), missing)


def _check(found: dict[Path, list[Record]], output: Path) -> None:
    empty = next((folder for folder, records in found.items() if not records and folder != output), None)
    if empty is not None or not any(found.values()):
        raise InputError(f"{empty or output} holds no results of a cohort")
    digests = {record.settings: folder for folder, records in found.items() for record in records}
    if len(digests) > 1:
        folders = " and ".join(dict.fromkeys(str(folder) for folder in digests.values()))
        raise InputError(f"results in {folders} were made with different settings or models; run them again")


def _is_better(record: Record, other: Record | None) -> bool:
    """Tell whether a record goes before another one of the same case: one with a result, else the later."""
    if other is None:
        return True
    return (record.state == "done", record.finished) > (other.state == "done", other.finished)


def _copy(record: Record, source: Path, output: Path) -> None:
    """Copy a case's files as one set."""
    with output_set():
        if record.state == "done":
            mask = mask_path(source, record.case)
            for path in (mask, side_file(mask)):
                _copy_file(path, output / path.name)
            picture = picture_path(source, record.case)
            if picture.is_file():
                _copy_file(picture, picture_path(output, record.case))
        write_text(record_path(output, record.case), record.to_json(), overwrite=True)


def _copy_file(path: Path, target: Path) -> None:
    with atomic_path(target, overwrite=True) as temporary:
        shutil.copyfile(path, temporary)
