"""Voxel counts (TP, FP, FN, TN) slice by slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_tumorseg.evaluation.compared_regions import ComparedRegion
from napari_tumorseg.geometry import Array
from napari_tumorseg.measurement import Confusion
from napari_tumorseg.regions import region_mask

_LABELS = 8
"""Upper limit of the label values of all conventions."""


def slice_counts(seg: Array, reference: Array, rows: Sequence[ComparedRegion]) -> Array:
    """Count every slice of two masks, at once for all rows.

    Parameters
    ----------
    seg, reference : (S, H, W) array of uint8
        Labels, slices first.
    rows : sequence of ComparedRegion
        Labels and regions to compare.

    Returns
    -------
    (rows, S, 4) array of int64
        TP, FP, FN, TN.
    """
    tables = np.stack([_table(one, other) for one, other in zip(seg, reference, strict=True)])
    return np.stack([_of_tables(tables, row) for row in rows])


def mask_counts(seg: Array, reference: Array) -> tuple[int, int, int, int]:
    """Return TP, FP, FN, TN of two masks."""
    counts = Confusion.of(seg, reference)
    return counts.tp, counts.fp, counts.fn, counts.tn


def confusions(counts: Array) -> list[Confusion]:
    """Return (S, 4) counts as one `Confusion` a slice."""
    return [Confusion(*(int(count) for count in line)) for line in counts]


def pooled(counts: Array) -> Confusion:
    """Return (S, 4) counts added up."""
    tp, fp, fn, tn = (int(count) for count in counts.sum(axis=0))
    return Confusion(tp, fp, fn, tn)


def _table(seg: Array, reference: Array) -> Array:
    """Return the number of voxels with each pair of labels: (labels, labels)."""
    pairs = (seg * np.uint8(_LABELS) + reference).ravel()
    return np.bincount(pairs, minlength=_LABELS**2).reshape(_LABELS, _LABELS)


def _of_tables(tables: Array, row: ComparedRegion) -> Array:
    numbers = np.arange(_LABELS)
    ours, theirs = region_mask(numbers, row.ours), region_mask(numbers, row.theirs)
    both = tables[:, ours][:, :, theirs].sum(axis=(1, 2))
    seg, ref = tables[:, ours].sum(axis=(1, 2)), tables[:, :, theirs].sum(axis=(1, 2))
    size = tables.sum(axis=(1, 2))
    return np.stack([both, seg - both, ref - both, size - seg - ref + both], axis=1)
