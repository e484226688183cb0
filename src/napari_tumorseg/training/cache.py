"""Cases as the network sees them, cut once and kept: float16 slices and a byte a pixel for the targets.

A case is read, prepared by the code that inference uses, and written as plain arrays that are then mapped
into memory: no volume is read twice, and processes share what the system holds of the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
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
_WHOLE = 1 << 16  # a margin that makes the window all of the canvas
_AROUND = 8  # network pixels kept around the tissue of a case


@dataclass(frozen=True)
class CachedCase:
    """One case in the cache.

    Attributes
    ----------
    name, patient : str
        As `CaseRef` gives them.
    folder : str
        Where its arrays lie.
    slices : tuple of int
        Index in the volume of each cached slice.
    tissue : tuple of bool
        Whether it is run, having tissue; others are there as neighbours only.
    tumour : tuple of bool
        Whether any output has something on it.
    known : tuple of bool
        Of which outputs the reference knows.
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
        """(N, C, H, W) float16, mapped."""
        return np.asarray(np.load(Path(self.folder) / "images.npy", mmap_mode="r"))

    @cached_property
    def targets(self) -> Array:
        """(N, H, W) uint8, mapped; see `targets.pack`."""
        return np.asarray(np.load(Path(self.folder) / "targets.npy", mmap_mode="r"))

    @cached_property
    def ground(self) -> Array:
        """(N, C) float16: what lies outside the cut."""
        return np.asarray(np.load(Path(self.folder) / "ground.npy"))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the maps behind: a loader's process makes its own."""
        return {k: v for k, v in self.__dict__.items() if k not in ("images", "targets", "ground")}


@dataclass(frozen=True)
class SkippedCase:
    """A case that cannot be learnt from, and why, in a sentence."""

    name: str
    reason: str


def fill_cache(data: DataSet, recipe: Recipe, folder: Path) -> Iterator[CachedCase | SkippedCase]:
    """Yield every case as cached, reading only those that are not in the folder yet.

    Parameters
    ----------
    data : DataSet
        The cases.
    recipe : Recipe
        What the network sees, and which outputs it has.
    folder : Path
        Of the cache; may be shared by trainings, each preparation having a name of its own.

    Yields
    ------
    CachedCase or Left
        In the order of the data.
    """
    card = recipe.card()
    for case in data.cases:
        place = folder / _key(case, recipe, card)
        try:
            yield _read(place) or _make(case, recipe, card, place)
        except OutputError:  # the disk is full, say: no fault of the case
            raise
        except TumorSegError as error:
            yield SkippedCase(case.name, str(error))


def _key(case: CaseRef, recipe: Recipe, card: ModelCard) -> str:
    """Return a name that changes with whatever changes the arrays."""
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
    """Return the files that a case may be read from, its masks in the folder beside among them."""
    source = case.path / case.case
    if source.exists() and "/" in case.case:  # PATIENT/images: the masks may lie in PATIENT/masks
        source = source.parent
    if source.is_dir():
        return sorted(p for p in source.rglob("*") if p.is_file())
    if case.path.is_file():
        return [case.path]
    own = [p for p in case.path.iterdir() if p.name.startswith(case.case) and p.is_file()]
    return sorted(own or (p for p in case.path.iterdir() if p.is_file()))


def _read(place: Path) -> CachedCase | None:
    """Return what an earlier training left; its index is written last, so what has one is whole."""
    try:
        content = json.loads((place / "index.json").read_text(encoding="utf-8"))
        told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        return CachedCase(**{**told, "folder": str(place)})
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
    with np.errstate(over="ignore"):  # told below, in a sentence
        whole = np.stack([prepared.slice_input(index).astype(np.float16) for index in wanted])
    if not np.isfinite(whole).all():
        raise InputError(f"{case.name} has values beyond {np.finfo(np.float16).max:g}; normalise them")
    box = _tissue_box(whole) if recipe.fit.patch else (slice(None), slice(None))
    images, ground = whole[:, :, box[0], box[1]], whole[:, :, 0, 0]
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
    arrays = {"images": images, "targets": targets, "ground": ground}
    place.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        with atomic_path(place / f"{name}.npy", overwrite=True) as temporary:
            np.save(temporary, values)
    write_text(place / "index.json", json.dumps(asdict(found)), overwrite=True)
    return found


def _check(prepared: Prepared, case: CaseRef) -> None:
    """Raise where no slices of one size can be cut."""
    if not prepared.todo:
        raise InputError(f"{case.name} has no slice that differs from the background")
    if len({prepared.window(index) for index in prepared.todo}) > 1:
        raise InputError(f"{case.name} has tissue beyond the canvas; give input.size a larger one")


def _tissue_box(images: Array) -> tuple[slice, slice]:
    """Return rows and columns of (N, C, H, W) slices that hold all tissue of the case, and a little more."""
    hit = (images != images[:, :, :1, :1]).any(axis=(0, 1))
    sides = []
    for axis in (1, 0):
        found = np.flatnonzero(hit.any(axis=axis))
        low, high = (int(found[0]), int(found[-1]) + 1) if found.size else (0, hit.shape[1 - axis])
        sides.append(slice(max(low - _AROUND, 0), min(high + _AROUND, hit.shape[1 - axis])))
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
