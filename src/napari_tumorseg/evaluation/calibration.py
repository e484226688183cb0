"""Calibration of the intervals of volumes: a model's errors on patients of a cross-validation."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.io.dataset import patient_of
from napari_tumorseg.measurement.intervals import FLOOR_MM3, floor_voxels, residual
from napari_tumorseg.models.card import Intervals
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.regions import REGION_NAMES
from napari_tumorseg.scan import Role

TABLE = "cases.csv"
"""Name of the table in the folder of an evaluation."""

_NEEDED = ("case", "region", "voxels", "reference_voxels")


@dataclass(frozen=True)
class VolumePair:
    """Predicted and reference size of a region of one case, by a model not trained on the patient.

    Attributes
    ----------
    patient, region : str
        Names.
    predicted, reference : int
        In voxels.
    voxel_mm3 : float or None
        Volume of a voxel, where it is known and makes a difference.
    doubt : float or None
        The model's doubt about the region.
    fold : str
        Fold that kept the patient apart: the table's own column, else the table's name.
    """

    patient: str
    region: str
    predicted: int
    reference: int
    voxel_mm3: float | None = None
    doubt: float | None = None
    fold: str = ""

    def residual(self, by_doubt: bool) -> float:
        """Return the residual, over the doubt or not."""
        floor = floor_voxels(FLOOR_MM3, self.voxel_mm3)
        return residual(self.reference, self.predicted, floor, (self.doubt or 1.0) if by_doubt else 1.0)


def read_pairs(tables: Sequence[Path]) -> list[VolumePair]:
    """Return the regions in the tables of evaluations.

    Parameters
    ----------
    tables : sequence of Path
        Folders that ``tumorseg evaluate`` has written, or tables with the columns case, region, voxels and
        reference_voxels. Rows of labels and failed cases are skipped.

    Raises
    ------
    InputError
        If a table cannot be read, or a case was trained on.
    """
    return [pair for table in tables for pair in _pairs(table / TABLE if table.is_dir() else table)]


def intervals_of(
    pairs: Sequence[VolumePair], source: str = "", roles: Sequence[Role] = (), by_doubt: bool | None = None
) -> tuple[Intervals, ...]:
    """Return the tables of a card, one per region.

    Parameters
    ----------
    pairs : sequence of VolumePair
        From `read_pairs`. Where the model found nothing there is no interval and no residual. A patient with
        several rows (scans, seeds) counts once, by the largest residual.
    source : str
        Origin of the figures.
    roles : sequence of Role
        Modalities that the patients had; all of the model's if empty.
    by_doubt : bool, optional
        Whether residuals are divided by the model's doubt; by default where all rows state it.

    Raises
    ------
    InputError
        If no region was found in any patient, or doubts are needed and not stated.
    """
    found = [pair for pair in pairs if pair.predicted]
    if not found:
        raise InputError("the evaluations hold no region that was found, so there is nothing to calibrate")
    stated = all(pair.doubt is not None for pair in found)
    if by_doubt and not stated:
        raise InputError("the evaluations do not state the model's doubt; evaluate again with this version")
    chosen = stated if by_doubt is None else by_doubt
    tables = []
    there = {pair.region for pair in found}
    for region in (name for name in REGION_NAMES if name in there):
        largest: dict[str, float] = {}
        for pair in (pair for pair in found if pair.region == region):
            value = pair.residual(chosen)
            largest[pair.patient] = max(largest.get(pair.patient, 0.0), value, key=abs)
        tables.append(_table(region, list(largest.values()), chosen, source, roles))
    return tuple(tables)


def calibrate(model: Model, tables: Sequence[Path], source: str = "", roles: Sequence[Role] = ()) -> Model:
    """Write the errors of a cross-validation into a model's card, and return the model.

    Tables for other modalities that the card has are kept.

    Raises
    ------
    InputError
        If the tables cannot be used.
    OutputError
        If the card cannot be written.
    """
    made = [
        one.model_copy(update={"sha256": model.card.sha256})
        for one in intervals_of(read_pairs(tables), source, roles)
    ]
    kept = tuple(one for one in model.card.intervals if one.roles != tuple(roles))
    card = model.card.model_copy(update={"intervals": (*kept, *made)})
    path = model.weights.with_suffix(".toml")
    write_text(path, card.to_toml(), overwrite=True)
    return get_model(path)


def _table(
    region: str, residuals: Sequence[float], by_doubt: bool, source: str, roles: Sequence[Role]
) -> Intervals:
    return Intervals(
        region=region,
        score="log-ratio-by-doubt" if by_doubt else "log-ratio",
        floor_mm3=FLOOR_MM3,
        roles=tuple(roles),
        source=source,
        residuals=tuple(round(value, 4) for value in residuals),
    )


def _pairs(path: Path) -> Iterator[VolumePair]:
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as the table of an evaluation: {error}") from error
    lacking = [name for name in _NEEDED if not rows or name not in rows[0]]
    if lacking:
        raise InputError(f"{path} is not a table of an evaluation: it has no {' and no '.join(lacking)}")
    for row in rows:
        if row.get("error") or row.get("kind", "region") != "region":
            continue
        if row.get("trained_on") == "yes":
            raise InputError(
                f"{path}: {row['case']} was trained on, so its error does not hold for other patients"
            )
        yield _pair(row, path)


def _pair(row: dict[str, str], path: Path) -> VolumePair:
    try:
        predicted, reference = int(row["voxels"]), int(row["reference_voxels"])
        error = float(row.get("volume_error_ml") or "nan")
        doubt = float(row["doubt"]) if row.get("doubt") else None
    except ValueError as problem:
        raise InputError(f"{path}: the row of {row['case']} holds no numbers: {problem}") from problem
    # without a difference the residual is 0 for any size of a voxel
    known = error == error and predicted != reference
    voxel = 1000 * error / (predicted - reference) if known else None
    patient = row.get("patient") or patient_of(row["case"])
    fold = row.get("fold") or str(path)
    return VolumePair(patient, row["region"], predicted, reference, voxel, doubt, fold)
