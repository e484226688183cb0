"""Scores of one case of an evaluation."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_tumorseg.evaluation.settings import SliceChoice
from napari_tumorseg.evaluation.slicewise import confusions, pooled
from napari_tumorseg.geometry import Array, Unit
from napari_tumorseg.io.dataset import CaseRef
from napari_tumorseg.measurement import Confusion, LesionScores, RegionAgreement
from napari_tumorseg.measurement.metrics import SLICE_METRICS
from napari_tumorseg.models.card import Plane


@dataclass(frozen=True)
class PackedMask:
    """Labels of a volume, compressed: some tens of kB where an array takes ten MB."""

    shape: tuple[int, ...]
    packed: bytes

    @classmethod
    def of(cls, labels: Array) -> PackedMask:
        """Pack an array of uint8."""
        return cls(labels.shape, zlib.compress(np.ascontiguousarray(labels).tobytes(), 1))

    def labels(self) -> Array:
        """Return the array."""
        return np.frombuffer(zlib.decompress(self.packed), dtype=np.uint8).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class RowScores:
    """Scores of one label or region of a case.

    Attributes
    ----------
    volume : RegionAgreement
        In 3-D.
    mse : float or None
        Mean squared error of the probabilities over all voxels; None where the model gives none for it.
    lesions : LesionScores or None
        Lesion-wise; None for labels.
    counts : (S, 4) array of int64
        TP, FP, FN, TN of each slice that was scored.
    doubt : float or None
        The model's doubt about a region, as `inference.doubt` defines it; None for labels.
    """

    volume: RegionAgreement
    mse: float | None
    lesions: LesionScores | None
    counts: Array
    doubt: float | None = None

    @property
    def name(self) -> str:
        """Abbreviation of the label or region."""
        return self.volume.name

    def in_3d(self, metric: str) -> float | None:
        """Return one of `METRICS`."""
        return self.mse if metric == "mse" else self.volume.metric(metric)

    def lesion_wise(self, metric: str) -> float | None:
        """Return one of `LESION_METRICS`; None for a label."""
        return None if self.lesions is None else getattr(self.lesions, metric)


@dataclass(frozen=True)
class Members:
    """Sets of weights that a case is run with.

    Attributes
    ----------
    run : tuple of int
        Their places in the model; 0 for a model of one set.
    trained_on : int
        Number of them that were trained on the patient.
    """

    run: tuple[int, ...] = (0,)
    trained_on: int = 0

    @classmethod
    def of(cls, patient: str, seen: Sequence[frozenset[str]], unseen_only: bool) -> Members:
        """Return the members to run on a patient.

        Parameters
        ----------
        patient : str
            Patient identifier.
        seen : sequence of frozenset of str
            Patients that each member was trained on.
        unseen_only : bool
            Leave out those that were trained on this one, unless that leaves none.
        """
        every = tuple(range(len(seen)))
        unseen = tuple(index for index in every if patient not in seen[index])
        run = unseen if unseen_only and unseen else every
        return cls(run, len(set(run) - set(unseen)))


@dataclass(frozen=True, eq=False)
class CaseScores:
    """Scores of one case.

    Attributes
    ----------
    ref : CaseRef
        Case on disk.
    trained_on : bool
        Whether the model has seen this patient.
    convention, reference_convention : str
        Names of the label conventions.
    unit : {"mm", "unknown"}
        Whether the voxel size is known.
    plane : str
        Plane of the slices.
    pixels : (int, int) or None
        Rows and columns of the slices that per-slice scores are of; None where none was scored.
    at_network_size : bool
        Whether that is the network's size rather than the scan's.
    slices : tuple of int
        Numbers, along the plane, of the slices that were scored.
    tumour : (S,) array of bool
        Which of them have tumour in the reference.
    rows : tuple of RowScores
        Labels first, then regions.
    seconds : float
        How long it took, reading included.
    warnings : tuple of str
        Warnings of the run.
    mask : PackedMask
        The segmentation.
    members : Members
        Sets of weights that made it.
    """

    ref: CaseRef
    trained_on: bool
    convention: str
    reference_convention: str
    unit: Unit
    plane: Plane
    pixels: tuple[int, int] | None
    at_network_size: bool
    slices: tuple[int, ...]
    tumour: Array
    rows: tuple[RowScores, ...]
    seconds: float
    warnings: tuple[str, ...]
    mask: PackedMask
    members: Members = Members()

    @property
    def name(self) -> str:
        """The case's name."""
        return self.ref.name

    @property
    def patient(self) -> str:
        """Patient identifier."""
        return self.ref.patient

    @property
    def regions(self) -> tuple[RowScores, ...]:
        """The rows that are regions."""
        return tuple(row for row in self.rows if row.volume.kind == "region")

    @property
    def dice(self) -> float:
        """Mean 3-D Dice of its regions, by which cases are ordered."""
        rows = self.regions or self.rows
        return float(np.mean([row.volume.dice for row in rows])) if rows else 0.0

    def chosen(self, row: RowScores, slices: SliceChoice) -> Array:
        """Return the counts of all slices of a row, or of those with tumour in the reference."""
        return row.counts if slices == "all" else row.counts[self.tumour]

    def per_slice(self, row: RowScores, slices: SliceChoice) -> list[Confusion]:
        """Return one `Confusion` a slice."""
        return confusions(self.chosen(row, slices))

    def slice_mean(self, row: RowScores, slices: SliceChoice, metric: str) -> float | None:
        """Return a metric's mean over the case's slices; None where there is none."""
        values = slice_values(self.per_slice(row, slices), metric)
        return float(np.mean(values)) if values else None

    def to_dict(self, variants: tuple[SliceChoice, ...]) -> dict[str, Any]:
        """Return the scores as plain types, for JSON, without the mask."""
        return {
            "case": self.name,
            "patient": self.patient,
            "trained_on": self.trained_on,
            "members": len(self.members.run),
            "members_trained_on": self.members.trained_on,
            "scheme": self.convention,
            "reference_scheme": self.reference_convention,
            "unit": self.unit,
            "slices": len(self.slices),
            "slices_with_tumour": int(self.tumour.sum()),
            "slice_pixels": list(self.pixels) if self.pixels else None,
            "seconds": round(self.seconds, 3),
            "warnings": list(self.warnings),
            "rows": [self._row(row, variants) for row in self.rows],
        }

    def _row(self, row: RowScores, variants: tuple[SliceChoice, ...]) -> dict[str, Any]:
        return {
            "name": row.name,
            "kind": row.volume.kind,
            "title": row.volume.title,
            "in_3d": {**row.volume.to_dict(), "mse": row.mse},
            "doubt": row.doubt,
            "lesion_wise": row.lesions.to_dict() if row.lesions else None,
            "per_slice_mean": {v: {m: self.slice_mean(row, v, m) for m in SLICE_METRICS} for v in variants},
            "pooled": {v: pooled_metrics(self.chosen(row, v)) for v in variants},
        }


def slice_values(counts: Sequence[Confusion], metric: str) -> list[float]:
    """Return one of `SLICE_METRICS` for each slice."""
    of_counts = SLICE_METRICS[metric].of_counts
    return [] if of_counts is None else [of_counts(one) for one in counts]


def pooled_metrics(counts: Array) -> dict[str, float]:
    """Return all `SLICE_METRICS` of (S, 4) counts added up."""
    together = [pooled(counts)]
    return {metric: slice_values(together, metric)[0] for metric in SLICE_METRICS}


@dataclass(frozen=True)
class FailedCase:
    """A case that could not be scored.

    Attributes
    ----------
    ref : CaseRef
        Case on disk.
    trained_on : bool
        Whether the model has seen this patient.
    error : str
        Why, in one sentence.
    unlabelled : bool
        Whether it has no image or no reference mask, so that there was nothing to score.
    """

    ref: CaseRef
    trained_on: bool
    error: str
    unlabelled: bool = False

    @property
    def name(self) -> str:
        """The case's name."""
        return self.ref.name
