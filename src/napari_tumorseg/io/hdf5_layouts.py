"""Layouts of HDF5 files: cases made from the datasets of a group, with the axes of each layout.

Each states what its array axes are taken to be, with a warning where that is an assumption
(`hdf5_axes`). Axes are named by the directions towards which they run: L(eft), P(osterior) and S(uperior)
are the canonical X, Y and Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from napari_tumorseg.errors import ChoiceNeededError, InputError, Notice, Remedy
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.io import hdf5_file as h5
from napari_tumorseg.io.arrays import attempt, not_finite, stacking
from napari_tumorseg.io.case import Case, Mask
from napari_tumorseg.io.hdf5_axes import Axes, axes_of, canonical, channel_names, grid_of, is_stack
from napari_tumorseg.io.label_arrays import decode_mask, looks_like_mask
from napari_tumorseg.io.limits import check_array
from napari_tumorseg.io.name_words import tokens
from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.io.side_files import side_convention
from napari_tumorseg.regions import CONVENTIONS, LabelConvention
from napari_tumorseg.scan import MODALITIES, Image, Role

OWN_FORMAT = "napari-tumorseg mask"
"""Value of the attribute `format` of files that `hdf5.write_mask` makes."""

_MSD_CHANNELS = (("FLAIR", Role.FLAIR), ("T1w", Role.T1), ("T1gd", Role.T1C), ("T2w", Role.T2))
_FLAIR_FIRST = ("flair", "t1", "t1ce", "t2")
_FLAIR_LAST = ("t1", "t1ce", "t2", "flair")
_BRATS_LABELS = (1, 2, 4)


# --- layouts ---------------------------------------------------------------------------------


def is_msd_patch(group: h5.Group) -> bool:
    """Return whether a group holds a patch of MSD Task01 as the usual generators write it."""
    x, y = group.datasets.get("x"), group.datasets.get("y")
    if x is None or y is None or len(x.shape) != 4 or len(y.shape) != 4:
        return False
    return bool(x.shape[0] == 4 and y.shape == (*x.shape[1:], 4))


def msd_patch(group: h5.Group, name: str) -> Case:
    """Read a patch of MSD Task01: `x` (4, X, Y, Z), `y` one-hot (X, Y, Z, 4).

    X, Y, Z run towards right, anterior, superior (RAS), as in the NIfTI files they were cut from. Channels
    are FLAIR, T1w, T1gd, T2w, the classes those of MSD. Where the patch lies and its voxel size are not
    stored: the unit is unknown.
    """
    values = h5.read(group, "x")
    grid, notes = grid_of(group, "x", values.shape[1:], Axes(("R", "A", "S")))
    images = tuple(
        Image(channel, role, canonical(grid, values[i]), grid, group.path)
        for i, (channel, role) in enumerate(_MSD_CHANNELS)
    )
    found, bad = attempt(lambda: _msd_labels(group, grid), group.path.parent)
    warnings = [*notes, *bad, *(w for i in images for w in not_finite(i.name, i.data))]
    return Case(name, images, found, layout="MSD patch", warnings=tuple(warnings))


def _msd_labels(group: h5.Group, grid: Grid) -> Mask:
    found = decode_mask(h5.read(group, "y"), group.where("y"), -1, are_classes=True)
    return Mask("y", canonical(grid, found.labels), grid, CONVENTIONS["msd"], group.path)


def is_figshare(group: h5.Group) -> bool:
    """Return whether a group is the `cjdata` of the Figshare brain tumour data set (MATLAB v7.3)."""
    return group.name.rsplit("/", 1)[-1] == "cjdata" and "image" in group.datasets


def figshare(group: h5.Group, name: str) -> Case:
    """Read a slice of the Figshare brain tumour data set: `cjdata/image`, `cjdata/tumorMask`.

    MATLAB stores arrays column by column, so HDF5 sees them transposed: the file's axes are (column, row),
    which run towards left and back in the axial slices. All are contrast-enhanced T1. The pixel size is
    not stored. The patient's number (`PID`) and the diagnosis (`label`) are not read.
    """
    codes = Axes(("L", "P"))
    values = h5.read(group, "image")
    if values.ndim != 2:
        raise InputError(f"{group.where('image')} has {values.ndim} axes where this data set has two")
    grid, notes = grid_of(group, "image", values.shape, codes)
    image = Image("image", Role.T1C, canonical(grid, values), grid, group.path)
    masks, bad = (
        attempt(lambda: mask_of(group, "tumorMask", codes, grid), group.path.parent)
        if "tumorMask" in group.datasets
        else ((), [])
    )
    masks = tuple(replace(mask, convention=CONVENTIONS["binary"]) for mask in masks)
    notes += [
        "taken as axial T1c; some slices of this data set are coronal or sagittal, but no file states it"
    ]
    return Case(name, (image,), masks, layout="MATLAB slice (Figshare)", warnings=(*notes, *bad))


def is_brats_slice(group: h5.Group) -> bool:
    """Return whether a group is a slice of the Kaggle BraTS 2020 set: (H, W, 4), mask (H, W, 3) or none."""
    image, mask = group.datasets.get("image"), group.datasets.get("mask")
    if image is None or len(image.shape) != 3 or image.shape[2] != 4:
        return False
    return mask is None or mask.shape == (*image.shape[:2], 3)


def brats_slices(paths: Sequence[Path], numbers: Sequence[int], name: str, source: Path) -> Case:
    """Read slices of the Kaggle BraTS 2020 set as one volume, in numeric order.

    Each file holds `image` (X, Y, 4) and `mask` (X, Y, 3), cut from the LPS NIfTI arrays as
    ``[:, :, s]``: X runs towards left, Y towards back, s towards the head. The stack's file axes are thus
    (S, L, P). Mask channels are NCR/NET, ED, ET: labels 1, 2, 4 of BraTS 2017-2021. The voxel size is not
    stored. The order of the image channels is not stored either, and its descriptions disagree; an
    attribute `channels` of `image` states it, else `_channel_order`.
    """
    place = stacking(numbers, name)
    values, labels, names, notes = _read_slices(paths, place.positions, place.depth)
    order, assumed = (names, []) if names else _channel_order(values, labels, name)
    with h5.opened(paths[0]) as file:
        grid, spaced = grid_of(_only(file, paths[0]), "image", values.shape[1:], Axes(("S", "L", "P")))
    images = tuple(
        Image(channel, guess_role(channel), canonical(grid, v), grid, source)
        for channel, v in zip(order, values, strict=True)
    )
    masks = (
        (Mask("mask", canonical(grid, labels), grid, CONVENTIONS["brats-2021"], source),)
        if labels is not None
        else ()
    )
    more = [w for i in images for w in not_finite(i.name, i.data)]
    warnings = (*place.warnings, *notes, *assumed, *spaced, *more)
    return Case(name, images, masks, layout="BraTS HDF5 slices", warnings=warnings)


def _read_slices(
    paths: Sequence[Path], positions: Sequence[int], depth: int
) -> tuple[Array, Array | None, tuple[str, ...], list[str]]:
    """Return channels (4, S, X, Y), labels (S, X, Y) or None, channel names if stored, and warnings."""
    values: Array | None = None
    labels: Array | None = None
    names: tuple[str, ...] = ()
    without: list[str] = []
    notes: list[str] = []
    for path, position in zip(paths, positions, strict=True):
        with h5.opened(path) as file:
            group = _only(file, path)
            if not is_brats_slice(group):
                raise InputError(f"{path} is no slice of 4 channels as the others of its volume are")
            picture = h5.read(group, "image")
            if values is None:
                check_array((4, depth, *picture.shape[:2]), picture.dtype, path)
                values = np.zeros((4, depth, *picture.shape[:2]), picture.dtype)
                names = channel_names(group, "image", 4)
            if picture.shape[:2] != values.shape[2:]:
                raise InputError(
                    f"{path} is {picture.shape[:2]} where the slices before are {values.shape[2:]}"
                )
            values[:, position] = np.moveaxis(picture, 2, 0)
            if "mask" not in group.datasets:
                without.append(path.name)
                continue
            if labels is None:
                labels = np.zeros(values.shape[1:], np.uint8)
            found, bad = attempt(partial(_brats_labels, group), path.parent)
            notes += bad
            for slice_labels in found:
                labels[position] = slice_labels
    assert values is not None
    if without and labels is not None:
        notes.append(f"{len(without)} slice(s) have no mask ({without[0]} ...), it was left empty there")
    return values, labels, names, notes


def _brats_labels(group: h5.Group) -> Array:
    channels = decode_mask(h5.read(group, "mask"), group.where("mask")).labels
    if channels.max() > 1:
        raise InputError(f"{group.where('mask')} is not one-hot, so it is no mask of this layout")
    labels = np.zeros(channels.shape[:2], np.uint8)
    for channel, value in enumerate(_BRATS_LABELS):
        labels[channels[..., channel] > 0] = value
    return labels


def _channel_order(values: Array, labels: Array | None, name: str) -> tuple[tuple[str, ...], list[str]]:
    """Distinguish the two orders in use by the oedema: bright on FLAIR and T2, dark on T1 and T1c.

    (FLAIR, T1, T1ce, T2) and (T1, T1ce, T2, FLAIR) are both in use for this data set. Channels 0 and 2 are
    FLAIR and T1ce in one, T1 and T2 in the other.
    """
    oedema = labels == 2 if labels is not None else None
    if oedema is None or not oedema.any():
        text = f"{name}: the order of the channels is not stored; assumed {', '.join(_FLAIR_LAST)}"
        return _FLAIR_LAST, [Notice(text, Remedy.STATE_ROLES)]
    first, third = (_contrast(values[i], oedema) for i in (0, 2))
    order = _FLAIR_FIRST if first > third else _FLAIR_LAST
    text = (
        f"{name}: the order of the channels is not stored; assumed {', '.join(order)}, since the oedema is "
        f"bright in channel {0 if first > third else 2}"
    )
    return order, [Notice(text, Remedy.STATE_ROLES)]


def _contrast(values: Array, inside: Array) -> float:
    """Return how far the mean in a region lies from that of the whole foreground, in deviations."""
    foreground = values[values != values.flat[0]]
    return (
        float((values[inside].mean() - foreground.mean()) / (foreground.std() + 1e-6))
        if foreground.size
        else 0.0
    )


def generic(group: h5.Group, name: str, dataset: str | None = None) -> Case:
    """Read a group of datasets that are images and masks by name or content.

    One dataset `image` with `mask`, a stack `images` (N, H, W[, C]) with `masks`, or a dataset for each
    modality. Two-dimensional arrays are taken as (row, column), rows running towards the back, columns
    towards the left; volumes as (slice, row, column) with slices towards the head, but as (X, Y, Z) running
    L, P, S where the last axis is the odd one out, as in arrays of axial NIfTI files. `axes` or
    `orientation` attributes override this. N images in one stack are read as a volume of N slices.

    Raises
    ------
    ChoiceNeededError
        If several datasets could be the image and their names do not distinguish modalities.
    """
    pictures, mask_names = _split(group)
    chosen = _choose(group, pictures, dataset)
    images, notes = _images(group, chosen, mask_names)
    masks, bad = _masks(group, mask_names, images, chosen)
    layout = "HDF5 mask" if not images else ("HDF5 image and mask" if masks else "HDF5 image")
    if chosen and is_stack(chosen[0]):
        layout = "HDF5 stack of slices"
    notes += [f"{group.path.name}: {reason} was left out" for reason in group.refused]
    return Case(name, images, masks, layout=layout, warnings=(*dict.fromkeys([*notes, *bad]),))


def _split(group: h5.Group) -> tuple[list[str], list[str]]:
    """Return the names of the datasets that are images and those that are masks."""
    pictures, masks = [], []
    for name in group.datasets:
        role = guess_role(name)
        if role is Role.TUMOUR_MASK or (role is Role.OTHER and _mask_by_content(group, name)):
            masks.append(name)
        elif role is not Role.BRAIN_MASK:
            pictures.append(name)
    if not pictures and len(masks) == 1 and not _says_mask(group, masks[0]):
        return masks, []  # a picture of few grey levels, alone in its file
    return pictures, masks


def _says_mask(group: h5.Group, name: str) -> bool:
    return guess_role(name) is Role.TUMOUR_MASK or guess_role(group.path.stem) is Role.TUMOUR_MASK


def _mask_by_content(group: h5.Group, name: str) -> bool:
    """Look at the values only where there is another dataset that could be the image, or the file says so."""
    if "image" in tokens(name) or "images" in tokens(name):
        return False
    return looks_like_mask(h5.read(group, name))


def _choose(group: h5.Group, pictures: list[str], dataset: str | None) -> list[str]:
    if dataset is not None:
        wanted = dataset.strip("/").removeprefix(f"{group.name}/")
        if wanted not in group.datasets:
            raise InputError(f"{group.path} has no dataset {dataset!r}; it has {', '.join(group.datasets)}")
        return [wanted]
    if len(pictures) < 2:
        return pictures
    modalities = [p for p in pictures if guess_role(p) in MODALITIES]
    if modalities:
        return modalities
    named = [p for p in pictures if p.lower() in ("image", "images", "img", "data")]
    if len(named) == 1:
        return named
    raise ChoiceNeededError(
        f"{group.path} has several datasets that could be the image: {', '.join(pictures)}",
        pictures,
        Remedy.CHOOSE_IMAGE,
    )


def _images(group: h5.Group, chosen: list[str], masks: list[str]) -> tuple[tuple[Image, ...], list[str]]:
    images: list[Image] = []
    notes: list[str] = []
    for name in chosen:
        shapes = [group.datasets[m].shape for m in masks]
        axes = axes_of(group, name, shapes)
        values = h5.read(group, name)
        channels = [values] if axes.channel is None else list(np.moveaxis(values, axes.channel, 0))
        if len(channels) > 1 and all(np.array_equal(channels[0], c) for c in channels[1:]):
            channels = channels[:1]  # grey stored as RGB
        grid, spaced = grid_of(group, name, channels[0].shape, axes)
        notes += [t for t in (axes.warning, *spaced) if t]
        named, unnamed = _named(group, name, len(channels))
        notes += unnamed
        images += [
            Image(label, role, canonical(grid, c), grid, group.path)
            for (label, role), c in zip(named, channels, strict=True)
        ]
    notes += [w for image in images for w in not_finite(image.name, image.data)]
    return tuple(images), notes


def _named(group: h5.Group, name: str, count: int) -> tuple[list[tuple[str, Role]], list[str]]:
    """Return name and role of each channel of a dataset."""
    if count == 1:
        role = guess_role(name)
        stem = guess_role(group.path.stem)
        return [(name, stem if role is Role.OTHER and stem in MODALITIES else role)], []
    names = channel_names(group, name, count)
    if names:
        return [(n, guess_role(n)) for n in names], []
    text = f"{group.shown(name)}: the modality of its {count} channels is not stored"
    return [(f"{name} {i}", Role.OTHER) for i in range(count)], [Notice(text, Remedy.STATE_ROLES)]


def _masks(
    group: h5.Group, names: list[str], images: tuple[Image, ...], chosen: list[str]
) -> tuple[tuple[Mask, ...], list[str]]:
    found: list[Mask] = []
    notes: list[str] = []
    for name in (n for n in names if n not in chosen):
        masks, bad = attempt(partial(_mask, group, name, images, chosen), group.path.parent)
        if len(names) == 1 and not images:
            masks = tuple(replace(m, name=group.path.stem) for m in masks)
        found += masks
        notes += bad
    return tuple(found), notes


def _mask(group: h5.Group, name: str, images: tuple[Image, ...], chosen: list[str]) -> Mask:
    """Return a mask on the grid of the image it belongs to, or on its own where there is no image."""
    if not images:
        return mask_of(group, name, axes_of(group, name, [], mask=True), None)
    grid = images[0].grid
    assert grid.file_layout is not None
    axes = axes_of(group, chosen[0], [group.datasets[name].shape])
    shape = group.datasets[name].shape
    spatial = tuple(n for a, n in enumerate(group.datasets[chosen[0]].shape) if a != axes.channel)
    channel = next((c for c in (len(shape) - 1, 0) if shape[:c] + shape[c + 1 :] == spatial), None)
    if shape != spatial and channel is None:
        raise InputError(f"{group.where(name)} has shape {shape}, which does not match the image's {spatial}")
    own = replace(axes, channel=None if shape == spatial else channel)
    return mask_of(group, name, own, grid)


# --- parts of layouts ------------------------------------------------------------------------


def mask_of(group: h5.Group, name: str, axes: Axes, grid: Grid | None) -> Mask:
    """Return a dataset as a mask, on a grid that is known or on its own."""
    values = h5.read(group, name)
    where = group.where(name)
    found = decode_mask(values, where, axes.channel)
    labels, notes = found.labels, [axes.warning] if axes.warning and grid is None else []
    if grid is None:
        grid, implausible = grid_of(group, name, labels.shape, axes)
        notes += implausible
    if labels.size != np.prod(grid.shape):
        raise InputError(f"{where} has shape {labels.shape}, which does not match the image's")
    placed = replace(found, labels=canonical(grid, labels))
    return Mask.of(name, placed, grid, _convention(group, name), group.path, notes)


def _convention(group: h5.Group, name: str) -> LabelConvention | None:
    stated = h5.text_attribute(group, name, "scheme") or ""
    return CONVENTIONS.get(stated) or (side_convention(group.path) if stated else None)


def _only(file: object, path: Path) -> h5.Group:
    """Return the root group of a slice file."""
    for group in h5.groups(file, path):
        if not group.name:
            return group
    raise InputError(f"{path} holds no image")
