"""Uncertainty of a model at each voxel, from the probabilities that a run kept.

The measure is the entropy of the probabilities, in bits, as a share of the most it could be:

* outputs that are each a yes or no (sigmoid): of each output ``h(p) = -p log2 p - (1 - p) log2 (1 - p)``,
  and of these the largest; 1 where some output has p = 0.5;
* classes of which one is right (softmax): ``-sum p_k log2 p_k / log2 K`` over the K classes; 1 where all
  are equally probable.

The probabilities are those that the mask is made from: where the model averages with the left-right flipped
slice (test-time augmentation), they are of the averaged logits, so that two passes that disagree make an
uncertain voxel. It shows where the model hesitates, not where it is wrong: confident mistakes have low
entropy.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_tumorseg.geometry import Array

_LEVELS = 256
_BLIND = 0.05
"""Share of the highest slice below which a slice is not worth going to."""


def entropy_map(probabilities: Mapping[str, Array], activation: str = "sigmoid") -> Array:
    """Return the normalised entropy of each voxel as uint8, 255 for the most uncertain.

    Parameters
    ----------
    probabilities : mapping of str to array of uint8
        Per output, 255 for 1, as `Segmentation.probabilities` holds them.
    activation : {"sigmoid", "softmax"}
        The card's.

    Returns
    -------
    array of uint8
        Of their shape; see the module for the formula.
    """
    volumes = list(probabilities.values())
    if activation == "softmax":
        total = np.zeros(volumes[0].shape, dtype=np.float32)
        terms = (_terms() / np.log2(max(len(volumes), 2))).astype(np.float32)
        for volume in volumes:
            total += terms[volume]
        return np.asarray(np.rint(np.clip(total, 0, 1) * 255), dtype=np.uint8)
    table = _binary_entropy()
    found = table[volumes[0]]
    for volume in volumes[1:]:
        np.maximum(found, table[volume], out=found)
    return np.asarray(found)


def uncertain_slices(entropy: Array, axis: int = 0, apart: int = 2) -> list[int]:
    """Return the slices that are most worth a look, the most uncertain first.

    Slices are ranked by the sum of their entropies: how many voxels there are to doubt. One that lies next
    to a higher one shows the same doubt and is left out.

    Parameters
    ----------
    entropy : (Z, Y, X) array of uint8
        From `entropy_map`.
    axis : int
        Along which slices follow each other.
    apart : int
        Slices nearer to a chosen one than this are left out.

    Returns
    -------
    list of int
        Indices along `axis`; empty where the model doubts nothing.
    """
    others = tuple(a for a in range(3) if a != axis % 3)
    sums = entropy.sum(axis=others, dtype=np.int64)
    left = sums.copy()
    found: list[int] = []
    while left.size and left.max() > max(0.0, _BLIND * sums.max()):
        index = int(left.argmax())
        found.append(index)
        left[max(index - apart + 1, 0) : index + apart] = 0
    return found


def _terms() -> Array:
    """Return ``-p log2 p`` for each level of p."""
    p = np.arange(_LEVELS) / (_LEVELS - 1)
    return np.asarray(-p * np.log2(np.where(p > 0, p, 1)))


def _binary_entropy() -> Array:
    terms = _terms()
    bits = terms + terms[::-1]
    return np.asarray(np.rint(np.clip(bits, 0, 1) * 255), dtype=np.uint8)
