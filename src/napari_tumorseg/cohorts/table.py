"""The table of a cohort: a row for each case and region, columns with a description each.

The same records give the same bytes: there is no time in it, and cases are in the order of their names.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from napari_tumorseg.cohorts.flags import FLAGS
from napari_tumorseg.cohorts.record import Record
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.report.tables import cell

Row = Mapping[str, Any]


class Column(NamedTuple):
    """Column of the table.

    Attributes
    ----------
    name : str
        Heading.
    type : str
        ``string``, ``integer`` or ``number``.
    unit : str
        Empty if it has none.
    description : str
        Meaning, in a sentence.
    value : callable
        Takes a record and the row of a region, and returns the cell; None is an empty one.
    """

    name: str
    type: str
    unit: str
    description: str
    value: Callable[[Record, Row], Any]


def _of_case(name: str) -> Callable[[Record, Row], Any]:
    return lambda record, _: getattr(record, name) or None


def _of_region(name: str, digits: int | None = None) -> Callable[[Record, Row], Any]:
    def value(_: Record, row: Row) -> Any:
        found = row.get(name)
        return round(found, digits) if isinstance(found, float) and digits is not None else found

    return value


def _of_interval(name: str, digits: int = 6) -> Callable[[Record, Row], Any]:
    def value(_: Record, row: Row) -> Any:
        found = (row.get("interval") or {}).get(name)
        return None if found is None else round(found, digits)

    return value


COLUMNS: Sequence[Column] = (
    Column("case", "string", "", "Name of the case; the key to join other tables by.", _of_case("case")),
    Column("patient", "string", "", "Patient as the name of the case shows it.", _of_case("patient")),
    Column("time_point", "string", "", "Time point as names of folders show it.", _of_case("time_point")),
    Column(
        "status", "string", "", "done, or failed: then the reason follows.", lambda record, _: record.state
    ),
    Column("reason", "string", "", "Why the case failed.", _of_case("reason")),
    Column("model", "string", "", "Name of the model.", lambda record, _: record.model.get("name")),
    Column("roles", "string", "", "Modalities of the case.", lambda r, _: " ".join(r.roles) or None),
    Column(
        "scheme",
        "string",
        "",
        "Label convention of the mask.",
        lambda record, _: (record.measurements or {}).get("scheme"),
    ),
    Column("region", "string", "", "Region: WT, TC, ET, ...", _of_region("name")),
    Column("voxels", "integer", "voxels", "Size of the region.", _of_region("voxels")),
    Column("volume_ml", "number", "mL", "Volume; empty without a voxel size.", _of_region("volume_ml", 6)),
    Column("volume_low_ml", "number", "mL", "Lower end of its interval.", _of_interval("low_ml")),
    Column("volume_high_ml", "number", "mL", "Upper end of its interval.", _of_interval("high_ml")),
    Column(
        "coverage",
        "number",
        "",
        "Share of patients, like those of the model's cross-validation, whose volume lies in the interval.",
        _of_interval("coverage"),
    ),
    Column("components", "integer", "", "26-connected components.", _of_region("components")),
    Column(
        "longest_diameter_mm",
        "number",
        "mm",
        "Longest diameter of any one component, in three dimensions.",
        _of_region("longest_diameter_mm", 3),
    ),
    Column(
        "side",
        "string",
        "",
        "Side of the mid-sagittal plane, the patient's own: left, right or crosses; empty if unknown, and "
        "for a mask that was corrected, whose images are not read again.",
        lambda record, row: record.sides.get(row.get("name", "")),
    ),
    Column(
        "flags",
        "string",
        "",
        "Things worth a look, separated by semicolons: "
        + "; ".join(f"{flag} ({meaning})" for flag, meaning in FLAGS.items())
        + ".",
        lambda record, _: "; ".join(record.flags) or None,
    ),
    Column(
        "warnings",
        "integer",
        "",
        "Number of warnings; the record of the case has them.",
        lambda record, _: len(record.warnings),
    ),
    Column("precision", "string", "", "Precision in which the network ran.", _of_case("precision")),
    Column("mask", "string", "", "File of the mask.", _of_case("mask")),
)


def rows(records: Sequence[Record]) -> Iterator[list[Any]]:
    """Yield the cells of each region of each case, by name; a case that failed has one row."""
    for record in sorted(records, key=lambda one: one.case):
        for row in record.regions or [{}]:
            yield [_encodable(column.value(record, row)) for column in COLUMNS]


def _encodable(value: Any) -> Any:
    """Return text with undecodable bytes of file names, which are no Unicode, as escapes."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def to_text(records: Sequence[Record], delimiter: str = ",") -> str:
    """Return the table as CSV, or with another delimiter; unknown values are empty cells."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow([column.name for column in COLUMNS])
    for row in rows(records):
        writer.writerow(
            [cell(value.replace("\t", " ") if isinstance(value, str) else value) for value in row]
        )
    return text.getvalue()


def dictionary() -> str:
    """Return the data dictionary: type, unit and meaning of each column, as JSON."""
    columns = {c.name: {"type": c.type, "unit": c.unit, "description": c.description} for c in COLUMNS}
    return json.dumps({"notice": RESEARCH_USE, "columns": columns}, indent=2, ensure_ascii=False) + "\n"


def to_parquet(records: Sequence[Record]) -> bytes | None:
    """Return the table as Parquet; None if pyarrow is not installed."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        return None
    types = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64()}
    cells = list(zip(*rows(records), strict=True)) or [()] * len(COLUMNS)
    arrays = [pa.array(list(values), types[c.type]) for c, values in zip(COLUMNS, cells, strict=True)]
    table = pa.table(arrays, names=[c.name for c in COLUMNS])
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    return bytes(sink.getvalue())
