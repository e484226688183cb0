"""Cache of prepared slices: float16 images, and targets with one byte a pixel.

Each case is read and prepared once, by the code that inference uses, and written as plain arrays that are
memory-mapped, so that worker processes share them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg.errors import InputError, OutputError, RoleError, TumorSegError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.model_selection import missing_roles
from napari_tumorseg.inference.prepare import Prepared, prepare
from napari_tumorseg.inference.slice_resampling import apply_maps
from napari_tumorseg.io.atomic import atomic_path, write_text
from napari_tumorseg.io.dataset import CaseRef, DataSet, as_wanted
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.training.recipe import Recipe
from napari_tumorseg.training.targets import known_outputs, output_masks, pack

FORMAT = 1
_WHOLE = 1 << 16  # a margin with which the window is the whole canvas
_MARGIN = 8  # network pixels kept around the tissue of a case


@dataclass(frozen=True)
class CachedCase:
    """Case in the cache.

    Attributes
    ----------
    name, patient : str
        Name of the case and identifier of the patient.
    folder : str
        Folder of its arrays.
    slices : tuple of int
        Index in the volume of each cached slice.
    tissue : tuple of bool
        Whether each slice has tissue; others serve as neighbours only.
    tumour : tuple of bool
        Whether each slice has tumour.
    known : tuple of bool
        Whether the reference knows each output.
    """

    name: str
    patient: str
    folder: str
    slices: tuple[int, ...]
    tissue: tuple[bool, ...]
    tumour: tuple[bool, ...]
    known: tuple[bool, ...]

    @cached_property
    def images(self) -> Array:
        """Images (N, C, H, W) of float16, memory-mapped."""
        return np.asarray(np.load(Path(self.folder) / "images.npy", mmap_mode="r"))

    @cached_property
    def targets(self) -> Array:
        """Targets (N, H, W) of uint8, memory-mapped; see `targets.pack`."""
        return np.asarray(np.load(Path(self.folder) / "targets.npy", mmap_mode="r"))

    @cached_property
    def background(self) -> Array:
        """Background values (N, C) of float16, outside the cut."""
        return np.asarray(np.load(Path(self.folder) / "ground.npy"))

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the arrays, which each worker process maps itself."""
        return {k: v for k, v in self.__dict__.items() if k not in ("images", "targets", "background")}


@dataclass(frozen=True)
class SkippedCase:
    """Case that cannot be used for training, and the reason in a sentence."""

    name: str
    reason: str


def fill_cache(data: DataSet, recipe: Recipe, folder: Path) -> Iterator[CachedCase | SkippedCase]:
    """Yield every case from the cache, preparing those that are not in it yet.

    Parameters
    ----------
    data : DataSet
        Cases with reference masks.
    recipe : Recipe
        Inputs and outputs of the network.
    folder : Path
        Folder of the cache; trainings may share it, since each preparation has its own name.

    Yields
    ------
    CachedCase or SkippedCase
        In the order of the data.
    """
    card = recipe.card()
    for case in data.cases:
        place = folder / _key(case, recipe, card)
        try:
            yield _read(place) or _make(case, recipe, card, place)
        except OutputError:  # not a problem of the case but, for example, a full disk
            raise
        except TumorSegError as error:
            yield SkippedCase(case.name, str(error))


def _key(case: CaseRef, recipe: Recipe, card: ModelCard) -> str:
    """Return a name that depends on everything that the arrays depend on."""
    state = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in _files(case)]
    about = {
        "format": FORMAT,
        "case": case.case,
        "masks": case.masks,
        "labels": recipe.data.labels,
        "files": state,
        "input": card.input.model_dump(mode="json"),
        "output": [card.output.activation, card.output.names, card.output.labels, card.output.scheme],
        "whole": recipe.fit.patch is None,
        "stride": recipe.stride,
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return f"{case.name[:60]}-{digest[:12]}"


def _files(case: CaseRef) -> list[Path]:
    """Return the files that a case may be read from, including masks in a neighbouring folder."""
    if case.mask_file is not None:
        return [*_files(replace(case, mask_file=None)), case.mask_file]
    if case.found is not None and case.found.files:
        return list(case.found.files)
    source = case.path / case.case
    if source.exists() and "/" in case.case:  # PATIENT/images: the masks may lie in PATIENT/masks
        source = source.parent
    if source.is_dir():
        return sorted(p for p in source.rglob("*") if p.is_file())
    if case.path.is_file():
        return [case.path]
    files = sorted(p for p in case.path.iterdir() if p.is_file())
    return [p for p in files if p.name.startswith(case.case)] or files


def _read(place: Path) -> CachedCase | None:
    """Return a case that is in the cache; its index is written last, so that it is complete."""
    try:
        content = json.loads((place / "index.json").read_text(encoding="utf-8"))
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        return CachedCase(**{**fields, "folder": str(place)})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _make(case: CaseRef, recipe: Recipe, card: ModelCard, place: Path) -> CachedCase:
    scan, reference = case.load(recipe.data.labels)
    scan = as_wanted(scan, card.input.roles)
    lacking = missing_roles(card, scan.roles.keys())
    if lacking:
        raise RoleError(f"{case.name}: {lacking}")
    known = known_outputs(reference, card.output)
    prepared = prepare(scan, card, recipe.stride, _WHOLE)
    _check(prepared, case)
    wanted = range(prepared.shape[0]) if card.input.neighbours else prepared.todo
    masks = prepared.slice_plane.apply_each(output_masks(reference, card.output))
    with np.errstate(over="ignore"):  # reported below
        whole = np.stack([prepared.slice_input(index).astype(np.float16) for index in wanted])
    if not np.isfinite(whole).all():
        raise InputError(f"{case.name} has values beyond {np.finfo(np.float16).max:g}; normalise them")
    box = _tissue_box(whole) if recipe.fit.patch else (slice(None), slice(None))
    images, background = whole[:, :, box[0], box[1]], whole[:, :, 0, 0]
    targets = np.stack([_target(prepared, masks[:, index], index, card)[box] for index in wanted])
    tumour = [_has_tumour(bits, card) for bits in targets]
    todo = set(prepared.todo)
    found = CachedCase(
        case.name,
        case.patient,
        str(place),
        tuple(wanted),
        tuple(index in todo for index in wanted),
        tuple(tumour),
        known,
    )
    arrays = {"images": images, "targets": targets, "ground": background}
    place.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        with atomic_path(place / f"{name}.npy", overwrite=True) as temporary:
            np.save(temporary, values)
    write_text(place / "index.json", json.dumps(asdict(found)), overwrite=True)
    return found


def _check(prepared: Prepared, case: CaseRef) -> None:
    """Raise if the case has no slices, or not all of one size."""
    if not prepared.todo:
        raise InputError(f"{case.name} has no slice that differs from the background")
    if len({prepared.window(index) for index in prepared.todo}) > 1:
        raise InputError(f"{case.name} has tissue beyond the canvas; give input.size a larger one")


def _tissue_box(images: Array) -> tuple[slice, slice]:
    """Return rows and columns of (N, C, H, W) slices that contain all tissue, with a margin."""
    hit = (images != images[:, :, :1, :1]).any(axis=(0, 1))
    sides = []
    for axis in (1, 0):
        found = np.flatnonzero(hit.any(axis=axis))
        low, high = (int(found[0]), int(found[-1]) + 1) if found.size else (0, hit.shape[1 - axis])
        sides.append(slice(max(low - _MARGIN, 0), min(high + _MARGIN, hit.shape[1 - axis])))
    return sides[0], sides[1]


def _target(prepared: Prepared, masks: Array, index: int, card: ModelCard) -> Array:
    rows, columns = prepared.windows[index]
    fractions = np.stack([apply_maps(rows.down, columns.down, mask.astype(np.float32)) for mask in masks])
    if card.output.activation == "softmax":  # what lies outside the slice is background
        fractions[card.output.labels.index(0)] += 1 - fractions.sum(axis=0)
    return pack(fractions, card.output.activation)


def _has_tumour(bits: Array, card: ModelCard) -> bool:
    if card.output.activation == "softmax":
        return bool((bits != 1 << card.output.labels.index(0)).any())
    return bool(bits.any())
