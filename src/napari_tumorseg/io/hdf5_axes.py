"""Axes, orientation and voxel size of an HDF5 dataset: stated by attributes, or assumed with a warning.

HDF5 has no convention for space. The attributes `affine`, `orientation`, `axes` and `spacing` are used where
they are valid; else the axes are assumed from the shape, and a warning states the assumption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Affine, Array, Grid
from napari_tumorseg.io import hdf5_file as h5
from napari_tumorseg.io.arrays import without_folder
from napari_tumorseg.io.plausible_size import plausible
from napari_tumorseg.io.roles import without_free_text

_MAX_CHANNELS = 5
_LETTERS = {"X": "L", "Y": "P", "Z": "S", "N": "S"}
_OPPOSITE = {"L": "R", "R": "L", "P": "A", "A": "P", "S": "I", "I": "S"}


@dataclass(frozen=True)
class Axes:
    """Axes of a dataset.

    Attributes
    ----------
    codes : tuple of str
        Direction of each spatial axis, in the file's order; two for a single slice.
    channel : int or None
        The channel axis.
    warning : str
        The assumption, if one was made.
    """

    codes: tuple[str, ...]
    channel: int | None = None
    warning: str = ""


def axes_of(
    group: h5.Group, name: str, mask_shapes: Sequence[tuple[int, ...]] = (), mask: bool = False
) -> Axes:
    """Return what the axes of a dataset are: by its attributes, else by its shape."""
    shape = group.datasets[name].shape
    axes = _stated(h5.text_attribute(group, name, "axes"), len(shape))
    if axes is None:
        axes = _guess(shape, is_stack(name), mask_shapes, mask, group.where(name))
        axes = replace(axes, warning=without_folder(axes.warning, group.path.parent))
    text = h5.text_attribute(group, name, "orientation")
    codes = tuple((text or "").upper())
    if len(codes) == len(axes.codes) and _are_codes(codes):
        return Axes(codes, axes.channel)
    return axes


def _stated(text: str | None, count: int) -> Axes | None:
    """Return the axes that an attribute such as ``"X,Y,C"`` names, or None if it does not."""
    letters = [c for c in (text or "").upper() if c.isalpha()]
    if len(letters) != count or len(set(letters)) != count or not set(letters) <= {*_LETTERS, "C"}:
        return None
    codes = tuple(_LETTERS[c] for c in letters if c != "C")
    if len(codes) not in (2, 3) or len(set(codes)) != len(codes):
        return None
    return Axes(codes, letters.index("C") if "C" in letters else None)


def _guess(
    shape: tuple[int, ...], stack: bool, mask_shapes: Sequence[tuple[int, ...]], mask: bool, where: str
) -> Axes:
    count = len(shape)
    small = [a for a in (0, count - 1) if shape[a] <= _MAX_CHANNELS]
    if count == 2:
        return Axes(("P", "L"))
    if count == 3 and (stack or not small or (small == [0] and (mask or shape in mask_shapes))):
        return Axes(*_volume(shape, stack, where))
    if count == 3:
        warning = (
            f"{where}: its axis of {shape[small[-1]]} was taken as channels, not slices"
            if shape[small[-1]] > 1
            else ""
        )
        return Axes(("P", "L"), small[-1], warning)
    if count == 4 and stack:
        small = [a for a in (3, 1) if shape[a] <= _MAX_CHANNELS]
    if count == 4 and small:
        channel = small[0]
        spatial = shape[:channel] + shape[channel + 1 :]
        codes, _, warning = _volume(spatial, stack, where)
        return Axes(codes, channel, warning)
    raise InputError(
        f"{where} has {count} axes of sizes {shape}; an image has 2 or 3, and perhaps one of channels"
    )


def _volume(shape: tuple[int, ...], stack: bool, where: str) -> tuple[tuple[str, ...], None, str]:
    if stack:
        warning = (
            f"{where}: {shape[0]} images in one stack were read as {shape[0]} slices of a volume, "
            "though they may be of different people"
        )
        return ("S", "P", "L"), None, warning
    if shape[0] == shape[1] != shape[2]:
        warning = (
            f"{where}: its orientation is not stored; its axes were taken as towards left, back and head"
        )
        return ("L", "P", "S"), None, warning
    warning = f"{where}: its orientation is not stored; its axes were taken as slices, rows and columns"
    return ("S", "P", "L"), None, warning


def grid_of(group: h5.Group, name: str, shape: Sequence[int], axes: Axes) -> tuple[Grid, list[str]]:
    """Return the grid of a dataset's spatial axes, and warnings about attributes that are not valid."""
    codes = axes.codes
    if len(shape) == 2:  # a slice is a volume of one
        shape, codes = (1, *shape), ("S", *codes)
    affine = _affine(group, name)
    if affine is not None and len(axes.codes) == 3:
        known = (h5.text_attribute(group, name, "unit") or "mm") == "mm"
        return plausible(Grid.from_file(shape, affine, "mm" if known else "unknown"), group.shown(name))
    spacing, notes = _spacing(group, name)
    grid, implausible = plausible(Grid.from_codes(shape, codes, spacing), group.shown(name))
    return grid, [*notes, *implausible]


def _affine(group: h5.Group, name: str) -> Affine | None:
    affine = h5.numbers_attribute(group, name, "affine")
    if affine is None or affine.shape != (4, 4) or not np.isfinite(affine).all():
        return None
    if not np.array_equal(affine[3], [0, 0, 0, 1]) or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        return None
    return affine


def _spacing(group: h5.Group, name: str) -> tuple[tuple[float, ...] | None, list[str]]:
    """Return the voxel size in mm in the file's order of axes (a single slice has its thickness first)."""
    micrometres = h5.numbers_attribute(group, name, "element_size_um")
    values = h5.numbers_attribute(
        group, name, "spacing_mm", "spacing", "voxel_size", "voxel_spacing", "pixdim"
    )
    if values is not None and values.size == 8:  # all of a NIfTI header's pixdim
        values = values.ravel()[1:4]
    if values is None and micrometres is not None:
        values = micrometres / 1000
    if values is None:
        return None, []
    values = values.ravel()
    if values.size != 3 or not np.isfinite(values).all() or (values <= 0).any():
        return None, [
            f"{group.shown(name)}: the voxel size that it states, {values.tolist()[:8]}, is not valid"
        ]
    return tuple(float(v) for v in values), []


def channel_names(group: h5.Group, name: str, count: int) -> tuple[str, ...]:
    """Return the names in a `channels` attribute if there are as many as channels, else none."""
    text = h5.text_attribute(group, name, "channels", "channel_names", "modalities") or ""
    names = [n.strip(" '\"[]()") for n in text.replace(";", ",").split(",")]
    is_complete = len(names) == count and len(set(names)) == count and all(names)
    return without_free_text(names) if is_complete else ()


def canonical(grid: Grid, values: Array) -> Array:
    """Return the canonical view of a file-ordered volume or slice."""
    assert grid.file_layout is not None
    return grid.file_layout.axis_order.apply(values.reshape(grid.file_layout.shape))


def is_stack(name: str) -> bool:
    """Return whether a dataset of this name holds many images, the first axis counting them."""
    return name.lower() in ("images", "imgs", "masks", "labels", "slices")


def _are_codes(codes: Sequence[str]) -> bool:
    return all(c in _OPPOSITE for c in codes) and all(
        _OPPOSITE[a] != b and a != b for i, a in enumerate(codes) for b in codes[i + 1 :]
    )
