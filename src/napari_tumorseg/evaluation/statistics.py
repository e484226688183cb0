"""Summary statistics over cases: number, mean, median, standard deviation, range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from napari_tumorseg.evaluation.scores import CaseScores, RowScores, pooled_metrics, slice_values
from napari_tumorseg.evaluation.settings import SliceChoice
from napari_tumorseg.measurement.metrics import LESION_METRICS, METRICS, SLICE_METRICS, Metric

EVERY, UNSEEN, SEEN = "all cases", "not trained on", "trained on"
"""Groups of cases that are summarised apart."""


@dataclass(frozen=True)
class Stats:
    """Summary statistics of some numbers.

    Attributes
    ----------
    n : int
        Number of values.
    mean, median, minimum, maximum : float
        Their statistics.
    sd : float or None
        Standard deviation of the sample (n - 1); None of fewer than two.
    """

    n: int
    mean: float
    median: float
    sd: float | None
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Stats | None:
        """Return the statistics of the values that are not None; None where there is none."""
        known = np.array([value for value in values if value is not None], dtype=float)
        if not known.size:
            return None
        spread = float(known.std(ddof=1)) if known.size > 1 else None
        middle, ends = float(np.median(known)), (float(known.min()), float(known.max()))
        return cls(known.size, float(known.mean()), middle, spread, *ends)


Table = Mapping[str, Stats]


@dataclass(frozen=True)
class RegionSummary:
    """One label or region over several cases.

    Attributes
    ----------
    name, kind, title : str
        Of the label or region.
    in_3d, lesion_wise : mapping of metric to Stats
        Over cases; a metric that no case has is left out.
    per_slice : mapping of slice choice to mapping of metric to Stats
        Over slices of all cases, each counting the same.
    pooled : mapping of slice choice to mapping of metric to float
        Of the pixels of all those slices counted together.
    """

    name: str
    kind: str
    title: str
    in_3d: Table
    lesion_wise: Table
    per_slice: Mapping[SliceChoice, Table]
    pooled: Mapping[SliceChoice, Mapping[str, float]]

    def scores(self) -> Iterator[tuple[Metric, Stats | None]]:
        """Yield every metric in 3-D, then the lesion-wise ones, with their statistics."""
        for metrics, table in ((METRICS, self.in_3d), (LESION_METRICS, self.lesion_wise)):
            for name, metric in metrics.items():
                yield metric, table.get(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain types, for JSON."""
        return asdict(self)


def summarise(cases: Sequence[CaseScores], variants: Sequence[SliceChoice]) -> tuple[RegionSummary, ...]:
    """Return a summary of each label and region that any case has, labels first.

    Parameters
    ----------
    cases : sequence of CaseScores
        Each case counts the same in 3-D, each slice the same per slice.
    variants : sequence of {"all", "tumour"}
        Slices over which per-slice figures are taken.
    """
    rows: dict[tuple[str, str], list[tuple[CaseScores, RowScores]]] = {}
    for case in cases:
        for row in case.rows:
            # by title: NCR/NET of one convention is NCR of another
            rows.setdefault((row.volume.kind, row.volume.title), []).append((case, row))
    ordered = sorted(rows.values(), key=lambda found: found[0][1].volume.kind)
    return tuple(_summary(found, variants) for found in ordered)


def groups(
    cases: Sequence[CaseScores], variants: Sequence[SliceChoice]
) -> dict[str, tuple[RegionSummary, ...]]:
    """Return the summary of all cases, and those of cases the model has and has not seen where both exist."""
    found = {EVERY: summarise(cases, variants)}
    unseen, known = unseen_first(cases)
    if unseen and known:
        found[UNSEEN], found[SEEN] = summarise(unseen, variants), summarise(known, variants)
    return found


def unseen_first(cases: Sequence[CaseScores]) -> tuple[list[CaseScores], list[CaseScores]]:
    """Return the cases that the model was not trained on, and the others."""
    return [c for c in cases if not c.trained_on], [c for c in cases if c.trained_on]


def by_dice(cases: Sequence[CaseScores]) -> dict[str, CaseScores]:
    """Return the worst, median and best case by mean 3-D Dice of their regions, fewer where there are fewer.

    Cases the model was trained on are left out if there are others.
    """
    ordered = sorted(unseen_first(cases)[0] or cases, key=lambda case: (case.dice, case.name))
    if not ordered:
        return {}
    chosen = {"worst": 0, "median": (len(ordered) - 1) // 2, "best": len(ordered) - 1}
    if len(ordered) < 3:
        del chosen["median"]
    if len(ordered) == 1:
        return {"only": ordered[0]}
    return {title: ordered[index] for title, index in chosen.items()}


def _summary(found: Sequence[tuple[CaseScores, RowScores]], variants: Sequence[SliceChoice]) -> RegionSummary:
    volume = found[0][1].volume
    rows = [row for _, row in found]
    return RegionSummary(
        name=volume.name,
        kind=volume.kind,
        title=volume.title,
        in_3d=_table({m: [row.in_3d(m) for row in rows] for m in METRICS}),
        lesion_wise=_table({m: [row.lesion_wise(m) for row in rows] for m in LESION_METRICS}),
        per_slice={v: _per_slice(found, v) for v in variants},
        pooled={v: _pooled(found, v) for v in variants},
    )


def _table(values: Mapping[str, Sequence[float | None]]) -> Table:
    made = {metric: Stats.of(numbers) for metric, numbers in values.items()}
    return {metric: stats for metric, stats in made.items() if stats is not None}


def _per_slice(found: Sequence[tuple[CaseScores, RowScores]], slices: SliceChoice) -> Table:
    counts = [one for case, row in found for one in case.per_slice(row, slices)]
    return _table({metric: slice_values(counts, metric) for metric in SLICE_METRICS})


def _pooled(found: Sequence[tuple[CaseScores, RowScores]], slices: SliceChoice) -> Mapping[str, float]:
    counts = np.concatenate([case.chosen(row, slices) for case, row in found])
    return pooled_metrics(counts) if len(counts) else {}
