"""Counts per slice against counting by hand, for conventions that differ."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.evaluation.compared_regions import outputs_of, rows_of, tumour_slices
from napari_tumorseg.evaluation.slicewise import pooled, slice_counts
from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement import agreement
from napari_tumorseg.models.card import Output
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation

SHAPE = (5, 9, 11)


def masks(ours: str, theirs: str, seed: int = 0) -> tuple[Segmentation, Segmentation]:
    rng = np.random.default_rng(seed)
    found = []
    for name in (ours, theirs):
        values = [0, *sorted(CONVENTIONS[name].values)]
        labels = rng.choice(values, size=SHAPE).astype(np.uint8)
        labels[0] = 0
        found.append(Segmentation(labels, Grid.from_codes(SHAPE, spacing=(1, 1, 1)), CONVENTIONS[name], name))
    return found[0], found[1]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("brats-2023", "brats-2023"),
        ("brats-2023", "brats-2015"),
        ("binary", "brats-2024"),
        ("msd", "brats-2021"),
    ],
)
def test_counts_add_up_to_those_in_3d(ours: str, theirs: str) -> None:
    seg, reference = masks(ours, theirs)
    agreed = agreement(seg, reference)
    rows = rows_of(agreed)
    counts = slice_counts(seg.labels, reference.labels, rows)
    assert counts.shape == (len(agreed.rows), SHAPE[0], 4)
    for row, volume, found in zip(rows, agreed.rows, counts, strict=True):
        together = pooled(found)
        assert (together.voxels, together.reference_voxels) == (volume.voxels, volume.reference_voxels)
        assert together.dice == volume.dice
        assert together.accuracy == volume.accuracy
        for z in range(SHAPE[0]):
            one, other = np.isin(seg.labels[z], row.ours), np.isin(reference.labels[z], row.theirs)
            expected = (one & other).sum(), (one & ~other).sum(), (~one & other).sum(), (~one & ~other).sum()
            assert tuple(found[z]) == expected


def test_slices_with_tumour_leave_cavities_out() -> None:
    labels = np.zeros((3, 4, 4), np.uint8)
    labels[1, 0, 0], labels[2, 0, 0] = 4, 1
    assert tumour_slices(labels, CONVENTIONS["brats-2024"]).tolist() == [False, False, True]


def test_which_outputs_are_a_row() -> None:
    seg, reference = masks("brats-2023", "brats-2023")
    rows = {row.name: row for row in rows_of(agreement(seg, reference))}
    nested = Output(names=("WT", "TC", "ET"), labels=(2, 1, 3), scheme="brats-2023")
    assert outputs_of(rows["TC"], nested) == ("TC",)
    assert outputs_of(rows["ED"], nested) == ()
    classes = Output(
        activation="softmax", names=("none", "NCR", "ED", "ET"), labels=(0, 1, 2, 3), scheme="brats-2023"
    )
    assert outputs_of(rows["TC"], classes) == ("NCR", "ET")
    assert outputs_of(rows["ED"], classes) == ("ED",)
