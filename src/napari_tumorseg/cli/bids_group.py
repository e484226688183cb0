"""Group level of the BIDS App: volumes of all sessions in one table, with a description of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tumorseg.errors import InputError
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.regions import REGION_NAMES

_SESSION = {
    "participant_id": "Participant",
    "session_id": "Session; n/a without sessions",
    "model": "Model that made the segmentation",
}
_NUMBERS = {
    "voxels": "Number of voxels",
    "volume_ml": "Volume in mL",
    "components": "Number of connected components",
}
_NO_VALUE = "n/a"


def write_group(output: Path) -> list[Path]:
    """Write ``group_tumour.tsv`` and the JSON that describes it.

    BIDS has no place for a table with a line for each session, so ``.bidsignore`` lists it.

    Parameters
    ----------
    output : Path
        Folder of a derivative data set with results of the participant level.

    Raises
    ------
    InputError
        If it holds no results.
    OutputError
        If a file cannot be written.
    """
    from napari_tumorseg.io.atomic import write_text
    from napari_tumorseg.io.bids.dataset import ignore
    from napari_tumorseg.io.json_files import write_json
    from napari_tumorseg.io.output_set import output_set

    rows = [_row(side) for side in sorted(output.glob("sub-*/**/*_seg-tumour_dseg.json"))]
    if not rows:
        raise InputError(f"{output} holds no results; run the participant level first")
    table = output / "group_tumour.tsv"
    columns = _columns()
    described = {"Purpose": RESEARCH_USE, **{name: {"Description": t} for name, t in columns.items()}}
    ignore(output, "group_*")
    with output_set():
        lines = (columns.keys(), *rows)
        write_text(table, "".join("\t".join(line) + "\n" for line in lines), overwrite=True)
        write_json(table.with_suffix(".json"), described, overwrite=True)
    return [table, table.with_suffix(".json")]


def _columns() -> dict[str, str]:
    """Return the columns with a description each; n/a stands for a region that the labels do not define."""
    of_regions = {
        f"{region}_{number}": f"{text} of the {title}"
        for region, title in REGION_NAMES.items()
        for number, text in _NUMBERS.items()
    }
    return {**_SESSION, **of_regions}


def _row(side: Path) -> list[str]:
    """Return the line of a session."""
    from napari_tumorseg.io.bids.names import BidsName
    from napari_tumorseg.io.side_files import read_side_file

    content = read_side_file(side) or {}
    name = BidsName.parse(side.stem)
    entities: Mapping[str, str] = name.entities if name else {}
    session = f"ses-{entities['ses']}" if "ses" in entities else _NO_VALUE
    model = str((content.get("model") or {}).get("name", _NO_VALUE))
    measured = (content.get("measurements") or {}).get("rows", ())
    found = {row.get("name"): row for row in measured if row.get("kind") == "region"}
    numbers = [_text(found.get(region, {}).get(key)) for region in REGION_NAMES for key in _NUMBERS]
    return [f"sub-{entities.get('sub')}", session, model, *numbers]


def _text(value: Any) -> str:
    return _NO_VALUE if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
