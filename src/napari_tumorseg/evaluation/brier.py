"""Mean squared error of probabilities (Brier 1950), without a copy of them in floating point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_tumorseg.evaluation.compared_regions import ComparedRegion, outputs_of
from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Output
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Segmentation


def squared_errors(
    seg: Segmentation, reference: Segmentation, rows: Sequence[ComparedRegion], output: Output
) -> list[float | None]:
    """Return for each row the mean of ``(p - r)^2`` over all voxels; None if the model gives no ``p``.

    Parameters
    ----------
    seg : Segmentation
        With probabilities (uint8, 255 for 1) in its box; outside it ``p`` is 0.
    reference : Segmentation
        On the same grid; ``r`` is 1 in the row's labels, else 0.
    rows : sequence of ComparedRegion
        Labels and regions to compare.
    output : Output
        Of the model's card.
    """
    inside = reference.labels[seg.probability_box] if seg.probability_box else None
    return [_error(seg, reference.labels, inside, row, outputs_of(row, output)) for row in rows]


def _error(
    seg: Segmentation, labels: Array, inside: Array | None, row: ComparedRegion, names: Sequence[str]
) -> float | None:
    if not names:
        return None
    total = float(np.count_nonzero(region_mask(labels, row.theirs)))  # the sum of r^2
    if inside is not None and seg.probabilities:
        chance = _sum([seg.probabilities[name] for name in names])
        values = np.arange(256) / 255
        every = np.bincount(chance.ravel(), minlength=256)
        tumour = np.bincount(chance[region_mask(inside, row.theirs)], minlength=256)
        total += float(every @ values**2 - 2 * (tumour @ values))
    return max(total, 0.0) / labels.size


def _sum(volumes: Sequence[Array]) -> Array:
    """Return the sum of probabilities; rounded as they are, they may add up to a little more than 1."""
    if len(volumes) == 1:
        return volumes[0]
    added = volumes[0].astype(np.uint16)
    for volume in volumes[1:]:
        added += volume
    return np.minimum(added, 255).astype(np.uint8)
