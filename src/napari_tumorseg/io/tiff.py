"""TIFF: single files, folders of numbered slices, the LGG layout; and masks written as TIFF.

In all of them rows run towards the back and columns towards the left, as axial slices are shown, and
slices towards the head: the file's order is the canonical one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from napari_tumorseg.errors import InputError, Notice, Remedy
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.io import tiff_file
from napari_tumorseg.io.arrays import (
    Stacking,
    as_labels,
    attempt,
    fitting,
    from_channels,
    is_mask_name,
    masks_beside,
    natural_key,
    not_finite,
    side_convention,
    stacking,
)
from napari_tumorseg.io.atomic import atomic_path, check_target
from napari_tumorseg.io.case import Case, Mask, pick_case
from napari_tumorseg.io.limits import check_array
from napari_tumorseg.io.nifti import is_labels
from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.regions import CONVENTIONS, LabelConvention, region_mask
from napari_tumorseg.scan import MODALITIES, Image, Role, Segmentation

ENDINGS = (".tif", ".tiff")

LGG_CHANNELS = (("pre", Role.T1), ("FLAIR", Role.FLAIR), ("post", Role.T1C))
"""Channels of the LGG data set in their order."""

_NUMBERED = re.compile(
    r"(?P<prefix>.*?)[_\-. ]?(?P<number>\d{1,9})(?P<mask>[_-](?:mask|seg|label))?", re.IGNORECASE
)
_SEQUENCE = re.compile(r"(?:^|[^a-z])t$", re.IGNORECASE)
"""What ``t1`` and ``X_t2`` are without their number, which is none of a slice."""

_TCGA = re.compile(r"TCGA[_-][A-Z]{2}[_-]", re.IGNORECASE)


@dataclass(frozen=True)
class _Slices:
    """The numbered files of one case: slices and their masks, by number."""

    images: dict[int, Path]
    masks: dict[int, Path]

    @property
    def is_lgg(self) -> bool:
        """Whether masks lie beside slices, or the names are those of the data set."""
        first = next(iter(self.images.values()))
        return bool(self.masks.keys() & self.images.keys()) or _TCGA.match(first.name) is not None


def list_cases(path: Path) -> list[str]:
    """Return the names of the cases in a file or folder.

    A folder of numbered slices is one case for each prefix (``X_1.tif``, ``X_2.tif``), other files are one
    each, and a folder of such folders (``kaggle_3m``) has a case for each of them.
    """
    if not path.is_dir():
        return [path.stem]
    inside = _contents(path)
    return list(inside) if inside else [folder.name for folder in _case_folders(path)]


def open_case(path: Path, case: str | None = None) -> Case:
    """Read a case from a file, a folder of slices, or a folder of such folders.

    A single slice of the LGG layout is a volume of one, with its mask if that lies beside it.

    Raises
    ------
    InputError
        If it cannot be read; the message names the file.
    ChoiceNeededError
        If there are several cases and none is named.
    """
    if not path.is_dir():
        return _open_file(path)
    inside = _contents(path)
    name = pick_case(_named_cases(path, inside), case, path)
    if not inside:
        return open_case(path / name)
    found = inside[name]
    if isinstance(found, Path):
        return _open_file(found)
    return _open_slices(found, name, path)


def stacks(folder: Path) -> dict[str, tuple[set[str], set[str]]]:
    """Return the names of the files of each case of numbered slices in a folder: slices, and masks."""
    found = {name: stack for name, stack in _contents(folder).items() if isinstance(stack, _Slices)}
    return {
        name: ({p.name for p in stack.images.values()}, {p.name for p in stack.masks.values()})
        for name, stack in found.items()
        if stack.images
    }


def write_mask(seg: Segmentation, path: Path, overwrite: bool = False) -> None:
    """Write a mask as a multi-page TIFF of 8 bits that ImageJ and napari open as a stack (axes ZYX).

    Slices run towards the head, rows towards the back, columns towards the left, whatever the order of the
    file that the scan came from. The voxel size is written where it is known; TIFF has no place for the rest
    of the geometry.
    """
    metadata: dict[str, object] = {"axes": "ZYX", "scheme": seg.convention.name}
    spacing = seg.grid.spacing_mm
    resolution = None
    if spacing is not None:
        metadata |= {"spacing": spacing[0], "unit": "mm"}
        resolution = (1 / spacing[2], 1 / spacing[1])
    labels = np.ascontiguousarray(seg.labels, dtype=np.uint8)
    with atomic_path(path, overwrite) as temporary:
        tifffile.imwrite(temporary, labels, imagej=True, resolution=resolution, metadata=metadata)


def lgg_masks(folder: Path, name: str, grid: Grid) -> list[Path]:
    """Return the files that `write_lgg` writes for a case on this grid."""
    return [folder / f"{stem}_mask.tif" for stem in _slice_names(name, grid) if stem]


def _slice_names(name: str, grid: Grid) -> Sequence[str]:
    """Return what the slices' own files are called, or NAME_N where the scan was no stack of files."""
    named = grid.file_layout.slice_names if grid.file_layout else ()
    return named or [f"{name}_{n}" for n in range(1, grid.shape[0] + 1)]


def write_lgg(seg: Segmentation, folder: Path, overwrite: bool = False) -> list[Path]:
    """Write a mask slice by slice as the LGG layout has it: ``NAME_N_mask.tif``, {0, 255}.

    A scan that was read from slices gives its masks their names and numbers, and none to a slice that was
    missing; else N counts from 1. Every label that is tumour becomes 255. Files appear only after all have
    been written.

    Raises
    ------
    OutputError
        If one of the files exists and `overwrite` is false, or the folder cannot be written to; nothing is
        written then.
    """
    tumour = region_mask(seg.labels, seg.convention.regions["WT"]).astype(np.uint8) * np.uint8(255)
    paths = lgg_masks(folder, seg.name, seg.grid)
    there = [bool(stem) for stem in _slice_names(seg.name, seg.grid)]
    for path in paths:
        check_target(path, overwrite)
    with ExitStack() as stack:
        for path, picture in zip(paths, tumour[there], strict=True):
            temporary = stack.enter_context(atomic_path(path, overwrite))
            tifffile.imwrite(temporary, picture, photometric="minisblack", metadata=None)
    return paths


# --- single files ----------------------------------------------------------------------------


def _open_file(path: Path) -> Case:
    match = _NUMBERED.fullmatch(path.stem)
    if match and not match["mask"] and _is_lgg_slice(path):
        beside = dict(zip([1], masks_beside(path, ENDINGS), strict=False))
        return _open_slices(_Slices({1: path}, beside), path.stem, path)
    if is_mask_name(path.stem) or _is_told_mask(path):
        return Case(path.stem, (), (_mask(path, None),), layout="TIFF mask")
    found = tiff_file.read(path)
    grid = Grid.from_codes(found.data.shape[1:], spacing=found.spacing)
    if grid.shape[0] == 1:
        grid = grid.with_slice_names([path.stem])
    if guess_role(path.stem) is Role.BRAIN_MASK:
        brain = Image(path.stem, Role.BRAIN_MASK, found.data[0], grid, path)
        return Case(path.stem, (), brain_mask=brain, layout="TIFF mask", warnings=found.warnings)
    images, told = _images(found, path, grid)
    masks, bad = _masks_for(path, grid)
    return Case(path.stem, images, masks, layout="TIFF", warnings=(*found.warnings, *told, *bad))


def _is_told_mask(path: Path) -> bool:
    """Tell whether a file that is not named as a mask is one: a label convention is told, and its labels fit.

    They must, since an image may lie beside a NIfTI mask of the same name and its side file.
    """
    told = side_convention(path)
    if told is None and not tiff_file.convention(path):
        return False
    found = tiff_file.read(path)
    convention = CONVENTIONS.get(found.convention) or told
    if len(found.data) != 1 or not is_labels(found.data[0]):
        return False
    return fitting(convention, as_labels(found.data[0], path)) is not None


def _is_lgg_slice(path: Path) -> bool:
    """Tell whether a file is an LGG slice: three channels, and named so or with a mask beside."""
    beside = path.with_name(f"{path.stem}_mask{path.suffix}")
    if not (_TCGA.match(path.name) or beside.is_file()) or tiff_file.slice_count(path) != 1:
        return False
    return tiff_file.read(path).is_rgb


def _images(found: tiff_file.TiffArray, path: Path, grid: Grid) -> tuple[tuple[Image, ...], list[str]]:
    """Return the channels as images with roles, where names tell them."""
    channels = list(found.data)
    told: list[str] = []
    if found.is_rgb:
        channels = channels[:3]  # a fourth is alpha
        if all(np.array_equal(channels[0], c) for c in channels[1:]):
            channels = channels[:1]
    if len(channels) == 1:
        role = guess_role(path.stem)
        named = [(path.stem, role if role in MODALITIES else Role.OTHER)]
    elif found.channel_names:
        named = [(name, guess_role(name)) for name in found.channel_names]
    else:
        colours = ("red", "green", "blue") if found.is_rgb else ()
        named = [(c, Role.OTHER) for c in colours or [f"channel {i}" for i in range(len(channels))]]
        text = f"{path.name}: the modality of its {len(named)} channels is not stored"
        told.append(Notice(text, Remedy.STATE_ROLES))
    images = tuple(Image(n, role, c, grid, path) for (n, role), c in zip(named, channels, strict=True))
    return images, told + [w for i in images for w in not_finite(i.name, i.data)]


def _masks_for(path: Path, grid: Grid) -> tuple[tuple[Mask, ...], list[str]]:
    masks: list[Mask] = []
    told: list[str] = []
    for beside in masks_beside(path, ENDINGS):
        found, bad = attempt(partial(_mask, beside, grid), path.parent)
        masks += found
        told += bad
    return tuple(masks), told


def _mask(path: Path, grid: Grid | None) -> Mask:
    """Read a mask; on the grid of its image if that is known."""
    found = tiff_file.read(path)
    labels = _labels(found, path)
    if grid is None:
        grid = Grid.from_codes(labels.shape, spacing=found.spacing)
        if grid.shape[0] == 1:
            grid = grid.with_slice_names([_without_mask(path.stem)])
    if labels.shape != grid.shape:
        raise InputError(f"{path} has shape {labels.shape}, its image {grid.shape}")
    return Mask(path.stem, labels, grid, CONVENTIONS.get(found.convention) or side_convention(path), path)


def _labels(found: tiff_file.TiffArray, path: Path) -> Array:
    return as_labels(found.data[0], path) if len(found.data) == 1 else from_channels(found.data, 0, path)


# --- stacks of slices ------------------------------------------------------------------------


def _open_slices(slices: _Slices, name: str, source: Path) -> Case:
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
        images, told = _images(whole, Path(name), grid)
        images = tuple(Image(i.name, i.role, i.data, grid, source) for i in images)
        layout = "TIFF slices"
    masks, bad = _stacked_masks(slices, numbers, place, grid, source)
    return Case(name, images, masks, layout=layout, warnings=(*place.warnings, *told, *bad))


def _open_mask_slices(slices: _Slices, name: str, source: Path) -> Case:
    """Read a folder of nothing but masks, as `write_lgg` makes it."""
    numbers = sorted(slices.masks)
    place = stacking(numbers, name)
    rows, columns = tiff_file.read(slices.masks[numbers[0]]).data.shape[2:]
    check_array((place.depth, rows, columns), np.uint8, source)
    stems = [_without_mask(slices.masks[n].stem) for n in numbers]
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


def _without_mask(stem: str) -> str:
    match = _NUMBERED.fullmatch(stem)
    return stem[: match.start("mask")] if match and match["mask"] else stem


def lgg_images(volume: Array, name: str, grid: Grid, source: Path) -> tuple[tuple[Image, ...], list[str]]:
    """Return the three channels of the LGG data set: pre-contrast T1, FLAIR, post-contrast T1.

    Where a sequence was never acquired the data set repeats FLAIR in its place; such a channel is left out,
    since it would be taken for what it is not.
    """
    images, told = [], []
    for (channel, role), values in zip(LGG_CHANNELS, volume, strict=True):
        if role is not Role.FLAIR and np.array_equal(values, volume[1]):
            told.append(
                f"{name}: the {channel}-contrast channel repeats FLAIR, so it was never acquired; left out"
            )
            continue
        images.append(Image(channel, role, values, grid, source))
    return tuple(images), told


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
    slices: _Slices, numbers: Sequence[int], place: Stacking, grid: Grid, source: Path
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


def _mask_volume(slices: _Slices, numbers: Sequence[int], place: Stacking, grid: Grid) -> Array:
    labels = np.zeros(grid.shape, np.uint8)
    for number, position in zip(numbers, place.positions, strict=True):
        path = slices.masks.get(number)
        if path is None:
            continue
        found = _labels(tiff_file.read(path), path)
        if found.shape != (1, *grid.shape[1:]):
            raise InputError(f"{path} has shape {found.shape[1:]}, its slice {grid.shape[1:]}")
        labels[position] = found[0]
    return labels


def _convention(labels: Array) -> LabelConvention | None:
    return CONVENTIONS["binary"] if labels.max() <= 1 else None


# --- folders ---------------------------------------------------------------------------------


def _contents(folder: Path) -> dict[str, _Slices | Path]:
    """Return the cases that lie directly in a folder: numbered slices by prefix, and other files."""
    stacks: dict[str, _Slices] = {}
    single: dict[str, Path] = {}
    for path in _files(folder):
        match = _NUMBERED.fullmatch(path.stem)
        if match is None:
            single[path.stem] = path
            continue
        stack = stacks.setdefault(match["prefix"] or folder.name, _Slices({}, {}))
        (stack.masks if match["mask"] else stack.images)[int(match["number"])] = path
    cases: dict[str, _Slices | Path] = {}
    for prefix, stack in stacks.items():
        first = next(iter(stack.images.values()), None)
        many = len(stack.images) > 1 and not _SEQUENCE.search(prefix)
        if first is None or (many and tiff_file.slice_count(first) == 1):
            cases[prefix] = stack
        else:  # volumes with numbers in their names
            cases |= {p.stem: p for p in stack.images.values()}
    images = [p for p in single.values() if not (is_mask_name(p.stem) or _is_told_mask(p))]
    cases |= {p.stem: p for p in (images or (() if cases else single.values()))}
    return cases


def _named_cases(path: Path, inside: dict[str, _Slices | Path]) -> list[str]:
    names = list(inside) or [folder.name for folder in _case_folders(path)]
    if not names:
        raise InputError(f"{path} holds no TIFF file")
    return names


def _case_folders(path: Path) -> list[Path]:
    folders = [p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return sorted((f for f in folders if _files(f)), key=lambda f: natural_key(f.name))


def _files(folder: Path) -> list[Path]:
    found = [
        f
        for f in folder.iterdir()
        if f.suffix.lower() in ENDINGS and not f.name.startswith(".") and f.is_file()
    ]
    return sorted(found, key=lambda f: natural_key(f.name))
