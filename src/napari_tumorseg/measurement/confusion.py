"""Voxel counts of two masks (TP, FP, FN, TN), and the ratios computed from them.

Every ratio is defined for empty masks, too, so that no mean over cases ever has a NaN to drop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_tumorseg.geometry import Array

BOTH_EMPTY = "both empty"
SEGMENTATION_EMPTY = "segmentation empty"
REFERENCE_EMPTY = "reference empty"


@dataclass(frozen=True)
class Confusion:
    """Counts of voxels (or pixels) of a mask against its reference.

    The definitions are those of Taha and Hanbury (2015, doi:10.1186/s12880-015-0068-x). A ratio of nothing
    to nothing is 1 if both masks are empty and 0 if one is; `specificity` and `accuracy` are 1 then, since no
    background was taken for tumour.

    Attributes
    ----------
    tp, fp, fn, tn : int
        In both; in the segmentation alone; in the reference alone; in neither.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    @classmethod
    def of(cls, seg_mask: Array, ref_mask: Array, total: int | None = None) -> Confusion:
        """Count two masks of one shape, of any number of dimensions.

        Parameters
        ----------
        seg_mask, ref_mask : array of bool
            The segmentation and the reference.
        total : int, optional
            Size of the whole image, where the masks are cut out of it; without it, that of the masks.
        """
        both = int(np.count_nonzero(seg_mask & ref_mask))
        ours, theirs = int(np.count_nonzero(seg_mask)), int(np.count_nonzero(ref_mask))
        size = int(seg_mask.size) if total is None else total
        return cls(both, ours - both, theirs - both, size - ours - theirs + both)

    @property
    def voxels(self) -> int:
        """Size of the segmentation."""
        return self.tp + self.fp

    @property
    def reference_voxels(self) -> int:
        """Size of the reference."""
        return self.tp + self.fn

    @property
    def flags(self) -> tuple[str, ...]:
        """Empty masks: at most one of the three constants above."""
        if not self.voxels:
            return (SEGMENTATION_EMPTY,) if self.reference_voxels else (BOTH_EMPTY,)
        return () if self.reference_voxels else (REFERENCE_EMPTY,)

    @property
    def dice(self) -> float:
        """``2 TP / (2 TP + FP + FN)`` (Dice 1945)."""
        return self._overlap(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of `precision` and `sensitivity`: the same number as `dice` for two masks."""
        return self.dice

    @property
    def iou(self) -> float:
        """``TP / (TP + FP + FN)``, intersection over union (Jaccard 1912)."""
        return self._overlap(self.tp, self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float:
        """``TP / (TP + FP)``, positive predictive value."""
        return self._overlap(self.tp, self.voxels)

    @property
    def sensitivity(self) -> float:
        """``TP / (TP + FN)``, recall."""
        return self._overlap(self.tp, self.reference_voxels)

    @property
    def specificity(self) -> float:
        """``TN / (TN + FP)``; 1 where the reference fills the image."""
        background = self.tn + self.fp
        return self.tn / background if background else 1.0

    @property
    def accuracy(self) -> float:
        """``(TP + TN) / all``; near 1 for any small structure, found or not."""
        size = self.tp + self.fp + self.fn + self.tn
        return (self.tp + self.tn) / size if size else 1.0

    def _overlap(self, part: int, whole: int) -> float:
        if whole:
            return part / whole
        return 1.0 if self.flags == (BOTH_EMPTY,) else 0.0
