"""TIFF files and folders of them as cases; `tiff_slices` has volumes of one file a slice.

In all of them rows run towards the back and columns towards the left, as axial slices are shown, and
slices towards the head: the file's order is the canonical one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import tiff_file
from napari_tumorseg.io.arrays import (
    attempt,
    files_in,
    fitting,
    is_mask_name,
    masks_beside,
    names_in,
    natural_key,
)
from napari_tumorseg.io.case import Case, Mask, pick_case
from napari_tumorseg.io.formats import TIFF
from napari_tumorseg.io.label_arrays import is_labels
from napari_tumorseg.io.plausible_size import plausible
from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.io.side_files import side_convention
from napari_tumorseg.io.tiff_images import images_of, labels_of
from napari_tumorseg.io.tiff_slices import NUMBERED, TCGA, Slices, open_slices, without_mask_word
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Image, Role

_SEQUENCE = re.compile(r"(?:^|[^a-z])t$", re.IGNORECASE)
"""End of ``t`` and ``X_t``, the prefixes of ``t1`` and ``X_t2``: a number after it is none of a slice."""


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
    inside = _contents(path, case)
    name = pick_case(_named_cases(path, inside), case, path)
    if not inside:
        return open_case(path / name)
    found = inside[name]
    if isinstance(found, Path):
        return _open_file(found)
    return open_slices(found.slices(path), name, path)


def stacks(folder: Path) -> dict[str, tuple[set[str], set[str]]]:
    """Return the names of the files of each case of numbered slices in a folder: slices, and masks."""
    found = {name: stack for name, stack in _contents(folder).items() if isinstance(stack, _Numbered)}
    return {
        name: (set(stack.images.values()), set(stack.masks.values()))
        for name, stack in found.items()
        if stack.images
    }


# --- single files ----------------------------------------------------------------------------


def _open_file(path: Path) -> Case:
    match = NUMBERED.fullmatch(path.stem)
    if match and not match["mask"] and _is_lgg_slice(path):
        beside = dict(zip([1], masks_beside(path, TIFF.endings), strict=False))
        return open_slices(Slices({1: path}, beside), path.stem, path)
    if is_mask_name(path.stem) or _is_stated_mask(path):
        return Case(path.stem, (), (_mask(path, None),), layout="TIFF mask")
    found = tiff_file.read(path)
    grid, implausible = plausible(Grid.from_codes(found.data.shape[1:], spacing=found.spacing), path.name)
    if grid.shape[0] == 1:
        grid = grid.with_slice_names([path.stem])
    if guess_role(path.stem) is Role.BRAIN_MASK:
        brain = Image(path.stem, Role.BRAIN_MASK, found.data[0], grid, path)
        return Case(path.stem, (), brain_mask=brain, layout="TIFF mask", warnings=found.warnings)
    images, notes = images_of(found, path, grid)
    masks, bad = _masks_for(path, grid)
    return Case(
        path.stem, images, masks, layout="TIFF", warnings=(*found.warnings, *implausible, *notes, *bad)
    )


def _is_stated_mask(path: Path) -> bool:
    """Return whether a file that is not named as a mask is one: a convention is stated, and its labels fit.

    They must, since an image may lie beside a NIfTI mask of the same name and its side file.
    """
    stated = side_convention(path)
    if stated is None and not tiff_file.convention(path):
        return False
    found = tiff_file.read(path)
    convention = CONVENTIONS.get(found.convention) or stated
    if len(found.data) != 1 or not is_labels(found.data[0]):
        return False
    return fitting(convention, labels_of(found, path).labels) is not None


def _is_lgg_slice(path: Path) -> bool:
    """Return whether a file is an LGG slice: three channels, and named so or with a mask beside."""
    beside = path.with_name(f"{path.stem}_mask{path.suffix}")
    if not (TCGA.match(path.name) or beside.is_file()) or tiff_file.slice_count(path) != 1:
        return False
    return tiff_file.read(path).is_rgb


def _masks_for(path: Path, grid: Grid) -> tuple[tuple[Mask, ...], list[str]]:
    masks: list[Mask] = []
    warnings: list[str] = []
    for beside in masks_beside(path, TIFF.endings):
        found, bad = attempt(partial(_mask, beside, grid), path.parent)
        masks += found
        warnings += bad
    return tuple(masks), warnings


def _mask(path: Path, grid: Grid | None) -> Mask:
    """Read a mask, on the grid of its image if that is known."""
    found = tiff_file.read(path)
    decoded = labels_of(found, path)
    labels = decoded.labels
    notes: list[str] = []
    if grid is None:
        grid, notes = plausible(Grid.from_codes(labels.shape, spacing=found.spacing), path.name)
        if grid.shape[0] == 1:
            grid = grid.with_slice_names([without_mask_word(path.stem)])
    if labels.shape != grid.shape:
        raise InputError(f"{path} has shape {labels.shape}, its image {grid.shape}")
    convention = CONVENTIONS.get(found.convention) or side_convention(path)
    return Mask.of(path.stem, decoded, grid, convention, path, notes)


# --- folders ---------------------------------------------------------------------------------


@dataclass
class _Numbered:
    """Names of the numbered files with one prefix, by number: slices and their masks, or volumes."""

    images: dict[int, str] = field(default_factory=dict)
    masks: dict[int, str] = field(default_factory=dict)

    def is_stack(self, folder: Path, prefix: str) -> bool:
        """Return whether they are the slices of one volume, by their names and the first of them."""
        if not self.images:
            return True
        first = folder / self.images[min(self.images)]
        return len(self.images) > 1 and not _SEQUENCE.search(prefix) and tiff_file.slice_count(first) == 1

    def slices(self, folder: Path) -> Slices:
        """Return them as files."""
        images, masks = ({n: folder / name for n, name in d.items()} for d in (self.images, self.masks))
        return Slices(images, masks)


def _contents(folder: Path, wanted: str | None = None) -> dict[str, _Numbered | Path]:
    """Return the cases that lie directly in a folder: numbered slices by prefix, and other files.

    Only the slices of one that is wanted are returned, if they are there.
    """
    names = names_in(folder, TIFF)
    if wanted is not None:
        own, _ = _stacks([name for name in names if name.startswith(wanted)])
        if wanted in own and own[wanted].is_stack(folder, wanted):
            return {wanted: own[wanted]}
    stacks, others = _stacks(names)
    cases: dict[str, _Numbered | Path] = {}
    for prefix, stack in stacks.items():
        if stack.is_stack(folder, prefix):
            cases[prefix or folder.name] = stack
        else:  # volumes with numbers in their names
            cases |= {Path(name).stem: folder / name for name in stack.images.values()}
    single = [folder / name for name in others]
    images = [p for p in single if not (is_mask_name(p.stem) or _is_stated_mask(p))]
    cases |= {p.stem: p for p in (images or (() if cases else single))}
    return dict(sorted(cases.items(), key=lambda item: natural_key(item[0])))


def _stacks(names: Sequence[str]) -> tuple[dict[str, _Numbered], list[str]]:
    """Return the numbered files by what stands before the number, and the others."""
    stacks: dict[str, _Numbered] = defaultdict(_Numbered)
    others: list[str] = []
    for name in names:
        match = NUMBERED.fullmatch(name.rpartition(".")[0])
        if match is None:
            others.append(name)
            continue
        stack = stacks[match["prefix"]]
        (stack.masks if match["mask"] else stack.images)[int(match["number"])] = name
    return stacks, others


def _named_cases(path: Path, inside: dict[str, _Numbered | Path]) -> list[str]:
    names = list(inside) or [folder.name for folder in _case_folders(path)]
    if not names:
        raise InputError(f"{path} holds no TIFF file")
    return names


def _case_folders(path: Path) -> list[Path]:
    folders = [p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return sorted((f for f in folders if files_in(f, TIFF)), key=lambda f: natural_key(f.name))
