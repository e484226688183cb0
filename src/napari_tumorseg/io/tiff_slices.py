"""Volumes of which every slice is a TIFF of its own, with the masks of the slices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.io import tiff_file
from napari_tumorseg.io.arrays import Stacking, attempt, stacking
from napari_tumorseg.io.case import Case, Mask
from napari_tumorseg.io.limits import check_array
from napari_tumorseg.io.tiff_images import images_of, labels_of, lgg_images
from napari_tumorseg.regions import CONVENTIONS, LabelConvention
from napari_tumorseg.scan import Image

NUMBERED = re.compile(
    r"(?P<prefix>.*?)[_\-. ]?(?P<number>\d{1,9})(?P<mask>[_-](?:mask|seg|label))?", re.IGNORECASE
)
TCGA = re.compile(r"TCGA[_-][A-Z]{2}[_-]", re.IGNORECASE)


@dataclass(frozen=True)
class Slices:
    """The numbered files of one case: slices and their masks, by number."""

    images: dict[int, Path]
    masks: dict[int, Path]

    @property
    def is_lgg(self) -> bool:
        """Whether masks lie beside slices, or the names are those of the data set."""
        first = next(iter(self.images.values()))
        return bool(self.masks.keys() & self.images.keys()) or TCGA.match(first.name) is not None


def open_slices(slices: Slices, name: str, source: Path) -> Case:
    """Read numbered slices as one volume, in numeric order, with the masks beside them."""
    if not slices.images:
        return _open_mask_slices(slices, name, source)
    numbers = sorted(slices.images)
    place = stacking(numbers, name)
    first = tiff_file.read(slices.images[numbers[0]])
    volume = _stack([slices.images[n] for n in numbers], place, first)
    stems = [slices.images[n].stem for n in numbers]
    grid = Grid.from_codes(volume.shape[1:]).with_slice_names(_placed(stems, place))
    if slices.is_lgg and len(volume) >= 3:
        images, told = lgg_images(volume[:3], name, grid, source)
        layout = "LGG folder" if source.is_dir() else "LGG slice"
    else:
        whole = tiff_file.TiffArray(volume, None, first.channel_names, is_rgb=first.is_rgb)
        images, told = images_of(whole, Path(name), grid)
        images = tuple(Image(i.name, i.role, i.data, grid, source) for i in images)
        layout = "TIFF slices"
    masks, bad = _stacked_masks(slices, numbers, place, grid, source)
    return Case(name, images, masks, layout=layout, warnings=(*place.warnings, *told, *bad))


def _open_mask_slices(slices: Slices, name: str, source: Path) -> Case:
    """Read a folder of nothing but masks, as `write_lgg` makes it."""
    numbers = sorted(slices.masks)
    place = stacking(numbers, name)
    rows, columns = tiff_file.read(slices.masks[numbers[0]]).data.shape[2:]
    check_array((place.depth, rows, columns), np.uint8, source)
    stems = [without_mask_word(slices.masks[n].stem) for n in numbers]
    grid = Grid.from_codes((place.depth, rows, columns)).with_slice_names(_placed(stems, place))
    labels = _mask_volume(slices, numbers, place, grid)
    mask = Mask(name, labels, grid, _convention(labels), source)
    return Case(name, (), (mask,), layout="TIFF mask slices", warnings=place.warnings)


def _placed(stems: Sequence[str], place: Stacking) -> list[str]:
    """Return a name for each slice of a volume, none for one that is missing."""
    names = [""] * place.depth
    for stem, position in zip(stems, place.positions, strict=True):
        names[position] = stem
    return names


def without_mask_word(stem: str) -> str:
    """Return the stem of a numbered mask without its mask word: the name of its slice."""
    match = NUMBERED.fullmatch(stem)
    return stem[: match.start("mask")] if match and match["mask"] else stem


def _stack(paths: Sequence[Path], place: Stacking, first: tiff_file.TiffArray) -> Array:
    """Return (C, Z, Y, X) of files of one slice each."""
    count, depth, *size = first.data.shape
    if depth != 1:
        raise InputError(f"{paths[0]} has {depth} slices, though it is numbered as one of many")
    check_array((count, place.depth, *size), first.data.dtype, paths[0])
    volume = np.zeros((count, place.depth, *size), first.data.dtype)
    for path, position in zip(paths, place.positions, strict=True):
        found = tiff_file.read(path).data
        if found.shape != (count, 1, *size):
            raise InputError(
                f"{path} has {len(found)} channel(s) of {found.shape[1:]}, "
                f"the slices before it {count} of {(1, *size)}"
            )
        if found.dtype != volume.dtype:
            volume = volume.astype(np.promote_types(volume.dtype, found.dtype), copy=False)
        volume[:, position] = found[:, 0]
    return volume


def _stacked_masks(
    slices: Slices, numbers: Sequence[int], place: Stacking, grid: Grid, source: Path
) -> tuple[tuple[Mask, ...], list[str]]:
    """Return the masks of the slices as one; where a slice has none it is empty, which is told."""
    if not slices.masks.keys() & set(numbers):
        return (), []
    folder = source if source.is_dir() else source.parent
    found, bad = attempt(partial(_mask_volume, slices, numbers, place, grid), folder)
    without = [n for n in numbers if n not in slices.masks]
    if found and without:
        shown = ", ".join(map(str, without[:5])) + (", ..." if len(without) > 5 else "")
        bad = [f"{len(without)} slice(s) have no mask (number {shown}); it was left empty there"]
    return tuple(Mask("mask", labels, grid, _convention(labels), source) for labels in found), bad


def _mask_volume(slices: Slices, numbers: Sequence[int], place: Stacking, grid: Grid) -> Array:
    labels = np.zeros(grid.shape, np.uint8)
    for number, position in zip(numbers, place.positions, strict=True):
        path = slices.masks.get(number)
        if path is None:
            continue
        found = labels_of(tiff_file.read(path), path)
        if found.shape != (1, *grid.shape[1:]):
            raise InputError(f"{path} has shape {found.shape[1:]}, its slice {grid.shape[1:]}")
        labels[position] = found[0]
    return labels


def _convention(labels: Array) -> LabelConvention | None:
    return CONVENTIONS["binary"] if labels.max() <= 1 else None
