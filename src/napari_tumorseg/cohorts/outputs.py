"""Files about a whole cohort: tables, data dictionary and manifest."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_tumorseg._version import __version__
from napari_tumorseg.cohorts.planning import CohortPlan
from napari_tumorseg.cohorts.quality import quality_page
from napari_tumorseg.cohorts.record import Record, record_path
from napari_tumorseg.cohorts.settings import Part
from napari_tumorseg.cohorts.table import dictionary, to_parquet, to_text
from napari_tumorseg.io.atomic import atomic_path, write_text
from napari_tumorseg.io.json_files import read_json
from napari_tumorseg.io.output_set import output_set
from napari_tumorseg.notice import RESEARCH_USE

TABLE = "cohort.csv"
PAGE = "cohort_quality.html"
MANIFEST = "cohort_manifest.json"
_PARTS = "cohort_manifest_part_*.json"


def write_outputs(planned: CohortPlan, began: str) -> None:
    """Write the tables and the manifest of a plan; of a part the manifest alone."""
    names = [task.name for task in planned.tasks]
    found = [Record.read(record_path(planned.output, name)) for name in names]
    records = [record for record in found if record is not None]
    facts = {
        "settings": {"model": planned.settings.model, **planned.settings.to_dict()},
        "digest": planned.digest,
        "began": began,
        "part": f"{planned.part.number}/{planned.part.total}",
        "planned": list(planned.names),
    }
    if planned.part.total > 1:
        write_manifest(planned.output / _part_name(planned.part), records, facts)
    else:
        write_tables(planned.output, records, facts, planned.settings.page)


def write_tables(output: Path, records: Sequence[Record], facts: dict[str, Any], page: bool = True) -> None:
    """Write CSV, TSV, Parquet if pyarrow is there, the data dictionary, the quality page and the manifest.

    They are one set. Without `page` an earlier quality page is removed: it would be out of date.
    """
    parquet = to_parquet(records)
    with output_set() as files:
        write_text(output / TABLE, to_text(records), overwrite=True)
        write_text(output / "cohort.tsv", to_text(records, "\t"), overwrite=True)
        write_text(output / "cohort_columns.json", dictionary(), overwrite=True)
        if parquet is not None:
            with atomic_path(output / "cohort.parquet", overwrite=True) as temporary:
                temporary.write_bytes(parquet)
        if page:
            missing = len(set(facts["planned"]) - {record.case for record in records})
            write_text(output / PAGE, quality_page(records, output, missing), overwrite=True)
        else:
            files.remove(output / PAGE)
        write_manifest(output / MANIFEST, records, facts)


def write_manifest(path: Path, records: Sequence[Record], facts: dict[str, Any]) -> None:
    """Write versions, hashes, machine and times."""
    content = {
        "format": 1,
        "purpose": RESEARCH_USE,
        "program": {"napari-tumorseg": __version__},
        "machine": machine(),
        **facts,
        "done": sum(record.state == "done" for record in records),
        "failed": sum(record.state == "failed" for record in records),
        "cases": {record.case: _about(record) for record in sorted(records, key=lambda one: one.case)},
    }
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n", overwrite=True)


def _about(record: Record) -> dict[str, Any]:
    # hashes alone: the paths in the records can name patients
    facts = {"state": record.state, "settings": record.settings, "inputs": sorted(record.inputs.values())}
    times = {"seconds": record.seconds, "finished": record.finished}
    return {**facts, "model": dict(record.model), "versions": dict(record.versions), **times}


def machine() -> dict[str, Any]:
    """Return what kind of machine this is; not its name, which can tell whose it is."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _part_name(part: Part) -> str:
    return _PARTS.replace("*", f"{part.number}_of_{part.total}")


def part_manifests(output: Path) -> list[dict[str, Any]]:
    """Return the manifests of parts that lie in a folder."""
    return [content for path in sorted(output.glob(_PARTS)) if (content := read_json(path)) is not None]


def plans_of(cases: Mapping[Path, Sequence[str]]) -> dict[str, list[str]]:
    """Return the cases of the latest plan of each folder, and of folders that were collected from before.

    Keys are hashes of the folders' paths, which can name patients.

    Parameters
    ----------
    cases : mapping of Path to sequence of str
        Cases with a record, by folder: the plan of a folder that has no manifest.
    """
    manifests = {folder: read_json(folder / MANIFEST) or {} for folder in cases}
    plans: dict[str, list[str]] = {}
    for content in manifests.values():
        earlier = content.get("plans")
        plans |= {key: _names(names) for key, names in earlier.items()} if isinstance(earlier, dict) else {}
    for folder, known in cases.items():
        key = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        latest = _latest_plan(folder)
        if latest is not None:
            plans[key] = latest
        elif "plans" not in manifests[folder]:
            plans[key] = _names(manifests[folder].get("planned", list(known)))
    return plans


def _latest_plan(folder: Path) -> list[str] | None:
    """Return the cases of the newest manifest that a run has written; None if there is none.

    Manifests of parts have the cases of all parts.
    """
    paths = [folder / MANIFEST, *sorted(folder.glob(_PARTS))]
    found = [(path, content) for path in paths if (content := read_json(path)) and "part" in content]
    newest = max(found, key=lambda one: (str(one[1].get("began")), one[0].stat().st_mtime_ns), default=None)
    return _names(newest[1].get("planned")) if newest else None


def _names(value: Any) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else []
