"""Merge of a new model result into corrected labels, within a slice or box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_tumorseg.edit.boxes import Box, whole, within
from napari_tumorseg.edit.change import Change, change_to
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array


def merge_rerun(
    labels: Array,
    new: Array,
    where: int | Sequence[slice],
    *,
    axis: int = 0,
    edited: Array | None = None,
) -> Change | None:
    """Return the change that replaces labels within a slice or box by a new model result.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Corrected labels.
    new : array of uint8
        New result: of the shape of `labels`, or of the box.
    where : int or (slice, slice, slice)
        A slice by its index along `axis`, or a box.
    axis : int
        Axis of the slice.
    edited : array of bool, optional
        Voxels that stay also within the slice or box, such as `labels != first_result`.

    Raises
    ------
    InputError
        If the slice does not exist, or an array has another shape.
    """
    box = _slice_box(where, axis, labels.shape) if isinstance(where, int | np.integer) else None
    box = within(where, labels.shape) if box is None else box  # type: ignore[arg-type]
    block = _block(new, box, labels.shape, "new result").astype(np.uint8)
    if edited is not None:
        keep = _block(edited, box, labels.shape, "mask of edits") != 0
        block[keep] = labels[box][keep]
    return change_to(labels, box, block)


def _slice_box(index: int, axis: int, shape: Sequence[int]) -> Box:
    if not 0 <= index < shape[axis]:
        raise InputError(f"there is no slice {index}; the labels have slices 0 to {shape[axis] - 1}")
    sides = list(whole(shape))
    sides[axis] = slice(index, index + 1)
    return sides[0], sides[1], sides[2]


def _block(array: Array, box: Box, shape: Sequence[int], what: str) -> Array:
    if array.shape == tuple(shape):
        return array[box]
    if array.shape == tuple(side.stop - side.start for side in box):
        return array
    raise InputError(f"the {what} is of shape {array.shape}, which is neither the labels' nor the box's")
