"""HDF5 and MATLAB v7.3: files of one case, of many, and folders of slices; `hdf5_layouts` has the layouts."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np

from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.io import hdf5_file as h5
from napari_tumorseg.io import hdf5_layouts as layouts
from napari_tumorseg.io.arrays import attempt, files_in, is_mask_name, names_in, natural_key, subject
from napari_tumorseg.io.atomic import atomic_path
from napari_tumorseg.io.case import Case, Mask, pick_case
from napari_tumorseg.io.formats import HDF5
from napari_tumorseg.io.label_arrays import decode_mask, looks_like_mask
from napari_tumorseg.scan import Segmentation

_SLICE = re.compile(r"(?P<volume>.*volume_\d+)_slice_(?P<number>\d+)", re.IGNORECASE)
_DIGITS = 9


def list_cases(path: Path) -> list[str]:
    """Return the names of the cases in a file or folder.

    In a folder, files ``volume_V_slice_S.h5`` are one case for each V and every other file is one, unless
    its name says that it is the mask of another. In a file, each group that holds images is a case.
    """
    if path.is_dir():
        return list(_folder(path))
    with h5.opened(path) as file:
        return _cases_of(path, h5.groups(file, path))


def open_case(path: Path, case: str | None = None, dataset: str | None = None) -> Case:
    """Read a case from a file or folder.

    Parameters
    ----------
    path : Path
        File or folder.
    case : str, optional
        Which one, if there are several; a name from `list_cases`, or of a dataset.
    dataset : str, optional
        The dataset that is the image, where a file has several.

    Raises
    ------
    InputError
        If it cannot be read; the message names the file.
    ChoiceNeededError
        If there are several cases or images and none is named.
    """
    if path.is_dir():
        cases = _folder(path, case)
        name = pick_case(list(cases), case, path)
        files = cases[name]
        numbers = [_number(f) for f in files]
        if len(files) > 1 or (numbers[0] is not None and _is_brats(files[0])):
            return layouts.brats_slices(files, [n or 0 for n in numbers], name, path)
        return open_case(files[0], None, dataset)
    number = _number(path)
    if number is not None and case in (None, path.stem) and dataset is None and _is_brats(path):
        return layouts.brats_slices([path], [number], path.stem, path)
    found = _open_file(path, case, dataset)
    return _with_partner(found, path)


def stacks(folder: Path) -> dict[str, tuple[set[str], set[str]]]:
    """Return the names of the files of each case of numbered slices in a folder: slices, and masks (none)."""
    return {
        name: ({f.name for f in files}, set())
        for name, files in _folder(folder).items()
        if _number(files[0]) is not None
    }


def write_mask(seg: Segmentation, path: Path, overwrite: bool = False) -> None:
    """Write a mask as dataset `mask`, in the order of axes in which the scan's file held its array.

    Attributes hold the label convention and its labels (JSON), the affine of the file's order of axes, its
    orientation, and the voxel size in mm where that is known.
    """
    file_layout = seg.grid.file_layout
    affine = file_layout.affine if file_layout else seg.grid.affine
    labels = np.ascontiguousarray(seg.grid.to_file_order(seg.labels).astype(np.uint8, copy=False))
    names = {str(label.value): f"{label.short} ({label.name})" for label in seg.convention.labels}
    attributes = {
        "format": layouts.OWN_FORMAT,
        "scheme": seg.convention.name,
        "labels": json.dumps(names),
        "orientation": "".join(nib.aff2axcodes(affine)),
        "affine": affine,
        "unit": seg.grid.unit,
    }
    if seg.grid.unit == "mm":
        attributes["spacing_mm"] = np.linalg.norm(affine[:3, :3], axis=0)
    with atomic_path(path, overwrite) as temporary:
        try:
            with h5py.File(temporary, "w") as file:
                data = file.create_dataset(
                    "mask", data=labels, compression="gzip", shuffle=True, track_times=False
                )
                data.attrs.update(attributes)
        except RuntimeError as error:  # how HDF5 reports a full disk when it closes a file
            raise OutputError(f"{path} could not be written: {error}") from error


# --- files -----------------------------------------------------------------------------------


def _open_file(path: Path, case: str | None, dataset: str | None) -> Case:
    with h5.opened(path) as file:
        found = h5.groups(file, path)
        _refuse_empty(path, found)
        readable = [g for g in found if g.datasets]
        names = _cases_of(path, found)
        if case is not None and dataset is None and case not in names:
            owner = _owner(readable, case)
            if owner is not None:
                return _case(owner, path.stem, case)
        if dataset is not None and case is None:
            owner = _owner(readable, dataset)
            if owner is not None:
                return _case(owner, path.stem, dataset)
        name = pick_case(names, case, path)
        return _case(readable[names.index(name)], name, dataset)


def _case(group: h5.Group, name: str, dataset: str | None) -> Case:
    if dataset is None:
        if layouts.is_msd_patch(group):
            return layouts.msd_patch(group, name)
        if layouts.is_figshare(group):
            return layouts.figshare(group, name)
        if not group.name and layouts.is_brats_slice(group) and "mask" in group.datasets:
            return layouts.brats_slices([group.path], [0], name, group.path)
    return layouts.generic(group, name, dataset)


def _cases_of(path: Path, found: Sequence[h5.Group]) -> list[str]:
    readable = [g for g in found if g.datasets]
    return [path.stem] if len(readable) == 1 else [g.name or path.stem for g in readable]


def _owner(groups: Sequence[h5.Group], dataset: str) -> h5.Group | None:
    """Return the group of a dataset that is named in full, or by its own name if only one group has it."""
    parent, _, name = dataset.strip("/").rpartition("/")
    owners = [g for g in groups if name in g.datasets and (not parent or g.name == parent)]
    return owners[0] if len(owners) == 1 else None


def _refuse_empty(path: Path, found: Sequence[h5.Group]) -> None:
    if not found:
        raise InputError(f"{path} holds no image: no dataset has two axes of 8 pixels or more")
    refused = [reason for group in found for reason in group.refused]
    if not any(g.datasets for g in found):
        raise InputError(f"{path} holds no image that can be read: {', '.join(refused[:3])}")


# --- a file of images and a file of masks ----------------------------------------------------


def _with_partner(case: Case, path: Path) -> Case:
    """Return a case with the masks (or images) that a second file in the folder holds for it."""
    if (case.images and case.masks) or _is_own(path):
        return case
    partner = _partner(path, case)
    if partner is None:
        return case
    found, bad = attempt(lambda: _open_file(partner, None, None), path.parent)
    other = found[0] if found else None
    if other is None:
        return replace(case, warnings=(*case.warnings, *bad))
    if case.images:
        masks = tuple(_on(case, mask) for mask in _masks_of(other) if _fits(case, mask))
        return replace(case, masks=masks) if masks else case
    if case.masks and other.images and _fits(other, case.masks[0]):
        masks = tuple(_on(other, mask) for mask in case.masks)
        return replace(other, name=case.name, masks=masks)
    return case


def _partner(path: Path, case: Case) -> Path | None:
    """Return the file with the same name but for mask words, or the only other one in the folder."""
    others = [p for p in files_in(path.parent, HDF5) if p != path and not _is_own(p)]
    wanted, about = not case.images, subject(path.stem)
    named = [p for p in others if subject(p.stem) == about and is_mask_name(p.stem) is not wanted]
    if len(named) == 1:
        return named[0]
    return others[0] if len(others) == 1 and _number(path) is None else None


def _masks_of(case: Case) -> list[Mask]:
    """Return the masks of a partner file; what it holds may be one by content alone."""
    by_content = [i for i in case.images if looks_like_mask(i.data)]
    return [
        *case.masks,
        *(Mask.of(i.name, decode_mask(i.data, i.name), i.grid, None, i.source) for i in by_content),
    ]


def _fits(case: Case, mask: Mask) -> bool:
    return bool(case.images) and mask.grid.shape == case.images[0].grid.shape


def _on(case: Case, mask: Mask) -> Mask:
    return replace(mask, grid=case.images[0].grid)


def _is_own(path: Path) -> bool:
    """Return whether a file was written by `write_mask`; such a mask is whole in itself."""
    try:
        with h5.opened(path) as file:
            found = h5.groups(file, path)
            return any(
                h5.text_attribute(g, n, "format") == layouts.OWN_FORMAT for g in found[:1] for n in g.datasets
            )
    except InputError:
        return False


# --- folders ---------------------------------------------------------------------------------


def _folder(path: Path, wanted: str | None = None) -> dict[str, list[Path]]:
    """Return the files of each case in a folder, or only those of a volume that is wanted if it is there."""
    names = names_in(path, HDF5)
    if wanted is not None:
        own = _volumes(path, [name for name in names if name.startswith(wanted)])
        if wanted in own:
            return {wanted: own[wanted]}
    cases = _volumes(path, names)
    alone = sorted({n for n in names if not _SLICE.fullmatch(_stem(n))}, key=natural_key)
    subjects = {subject(_stem(name)) for name in alone if not is_mask_name(_stem(name))}
    for name in alone:
        if not (is_mask_name(_stem(name)) and subject(_stem(name)) in subjects):
            cases[name if _stem(name) in cases else _stem(name)] = [path / name]
    return dict(sorted(cases.items(), key=lambda item: natural_key(item[0])))


def _volumes(folder: Path, names: Sequence[str]) -> dict[str, list[Path]]:
    """Return the files of slices by volume, in the order of their numbers."""
    numbered: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name in names:
        match = _SLICE.fullmatch(_stem(name))
        if match:
            numbered[match["volume"]].append((int(match["number"][:_DIGITS]), name))
    return {volume: [folder / name for _, name in sorted(slices)] for volume, slices in numbered.items()}


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _number(path: Path) -> int | None:
    match = _SLICE.fullmatch(path.stem)
    return int(match["number"][:_DIGITS]) if match else None


def _is_brats(path: Path) -> bool:
    with h5.opened(path) as file:
        return any(not g.name and layouts.is_brats_slice(g) for g in h5.groups(file, path))
