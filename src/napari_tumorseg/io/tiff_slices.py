"""Volumes of which every slice is a TIFF of its own, with the masks of the slices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.io import tiff_file
from napari_tumorseg.io.arrays import Stacking, attempt, stacking
from napari_tumorseg.io.case import Case, Mask
from napari_tumorseg.io.label_arrays import GREY, LabelArray, decode_mask
from napari_tumorseg.io.limits import check_array
from napari_tumorseg.io.tiff_images import images_of, lgg_images, without_alpha
from napari_tumorseg.regions import CONVENTIONS
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
        images, notes = lgg_images(volume[:3], name, grid, source)
        layout = "LGG folder" if source.is_dir() else "LGG slice"
    else:
        whole = tiff_file.TiffArray(volume, None, first.channel_names, is_rgb=first.is_rgb)
        images, notes = images_of(whole, Path(name), grid)
        images = tuple(Image(i.name, i.role, i.data, grid, source) for i in images)
        layout = "TIFF slices"
    masks, bad = _stacked_masks(slices, numbers, place, grid, source)
    return Case(name, images, masks, layout=layout, warnings=(*place.warnings, *notes, *bad))


def _open_mask_slices(slices: Slices, name: str, source: Path) -> Case:
    """Read a folder of nothing but masks, as `write_lgg` makes it."""
    numbers = sorted(slices.masks)
    place = stacking(numbers, name)
    rows, columns = tiff_file.read(slices.masks[numbers[0]]).data.shape[2:]
    check_array((place.depth, rows, columns), np.uint8, source)
    stems = [without_mask_word(slices.masks[n].stem) for n in numbers]
    grid = Grid.from_codes((place.depth, rows, columns)).with_slice_names(_placed(stems, place))
    decoded = _mask_volume(slices, numbers, place, grid)
    mask = _volume_mask(name, decoded, grid, source)
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
    """Return the masks of the slices as one; a slice without a mask is empty there, with a warning."""
    if not slices.masks.keys() & set(numbers):
        return (), []
    folder = source if source.is_dir() else source.parent
    found, warnings = attempt(partial(_mask_volume, slices, numbers, place, grid), folder)
    without = [n for n in numbers if n not in slices.masks]
    if found and without:
        shown = ", ".join(map(str, without[:5])) + (", ..." if len(without) > 5 else "")
        warnings = [f"{len(without)} slice(s) have no mask (number {shown}); it was left empty there"]
    return tuple(_volume_mask("mask", decoded, grid, source) for decoded in found), warnings


def _volume_mask(name: str, decoded: LabelArray, grid: Grid, source: Path) -> Mask:
    return Mask.of(name, decoded, grid, CONVENTIONS["binary"] if decoded.labels.max() <= 1 else None, source)


def _mask_volume(slices: Slices, numbers: Sequence[int], place: Stacking, grid: Grid) -> LabelArray:
    """Return the labels of all slices, decoded together: one slice alone may hold nothing but soft edges."""
    values: dict[int, Array] = {}
    path = next(iter(slices.masks.values()))
    for number, position in zip(numbers, place.positions, strict=True):
        if number not in slices.masks:
            continue
        path = slices.masks[number]
        values[position] = _mask_slice(path)
        if values[position].shape[1:] != grid.shape[1:]:
            raise InputError(f"{path} has shape {values[position].shape[1:]}, its slice {grid.shape[1:]}")
    full = max((float(v.max()) for v in values.values()), default=0.0)
    kind = np.result_type(*(v.dtype for v in values.values())) if values else np.dtype(np.uint8)
    channels = _channel_count(values.values(), path.parent)
    check_array((channels, *grid.shape), kind, path)
    volume = np.zeros((channels, *grid.shape), kind)
    for position, picture in values.items():
        volume[:, position] = _at_full_scale(picture, full)
    return decode_mask(volume, path.parent, 0)


def _channel_count(slices: Iterable[Array], where: Path) -> int:
    """Return the number of channels of masks whose slices have either that many or, if all are alike, 1."""
    counts = {len(channels) for channels in slices} - {1}
    if len(counts) > 1:
        raise InputError(f"{where} has masks of {' and of '.join(map(str, sorted(counts)))} channels")
    return max(counts, default=1)


def _mask_slice(path: Path) -> Array:
    """Return the values (C, Y, X) of the mask of one slice; channels that are alike become one."""
    found = tiff_file.read(path)
    channels = without_alpha(found)
    if channels.shape[1] != 1:
        raise InputError(f"{path} has {channels.shape[1]} slices, though it is numbered as one of many")
    alike = all(np.array_equal(channels[0], c) for c in channels[1:])
    return np.asarray(channels[:1, 0] if alike else channels[:, 0])


def _at_full_scale(picture: Array, full: float) -> Array:
    """Return a slice of {0, 1} as {0, 255} where others of the volume are so."""
    values = np.unique(picture)
    if full <= GREY or values.size != 2 or values[0] != 0:
        return picture
    return np.where(picture > 0, picture.dtype.type(min(full, _most(picture))), 0)


def _most(picture: Array) -> float:
    return float(np.iinfo(picture.dtype).max) if picture.dtype.kind in "ui" else np.inf
