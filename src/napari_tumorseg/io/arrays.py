"""Helpers that the readers share: number types, file names, stacks of numbered slices."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from napari_tumorseg.errors import InputError, Notice, TumorSegError
from napari_tumorseg.geometry import Array
from napari_tumorseg.io import formats
from napari_tumorseg.io.formats import Format
from napari_tumorseg.io.label_arrays import present
from napari_tumorseg.io.name_words import tokens
from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.regions import LabelConvention
from napari_tumorseg.scan import Image, Role

T = TypeVar("T")

_IMAGE_WORDS = {"image", "images", "img", "imgs", "scan", "scans", "data", "x", "y"}


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts ``slice_2`` before ``slice_10``."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts if p]


def files_in(folder: Path, form: Format) -> list[Path]:
    """Return the files of a format that lie directly in a folder, in natural order."""
    return [folder / name for name in sorted(names_in(folder, form), key=natural_key)]


def names_in(folder: Path, form: Format) -> list[str]:
    """Return the names of the files of a format that lie directly in a folder, in no order.

    Tens of thousands of slices in one folder are usual: no path is made of them here, none is looked at.
    """
    with os.scandir(folder) as entries:
        return [e.name for e in entries if form.has_ending(e.name) and e.is_file()]


def memory_type(dtype: np.dtype[np.generic], where: object) -> np.dtype[np.generic]:
    """Return the type in which values of a file's type are held, in native byte order.

    float64 (and float16) become float32: scans carry 12 to 16 bits, networks compute in float32, and the
    array takes half the memory.

    Raises
    ------
    InputError
        If the values are no real numbers.
    """
    if dtype.kind == "c":
        raise InputError(f"{where} holds complex numbers; save the magnitude image and open that")
    if dtype.kind not in "buif":
        raise InputError(f"{where} holds no numbers ({dtype}), so it is not an image")
    if dtype.kind == "f":
        return np.dtype(np.float32)
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")


def as_numbers(array: Array, where: object) -> Array:
    """Return an array in the type that `memory_type` says; a view where it has that type already."""
    return array.astype(memory_type(array.dtype, where), copy=False)


def not_finite(name: str, array: Array) -> list[str]:
    """Return a warning if an image has voxels that are not finite (they are kept as they are)."""
    if array.dtype.kind != "f":
        return []
    count = int(array.size - np.count_nonzero(np.isfinite(array)))
    return [f"{name} has {count} voxel(s) that are NaN or infinite"] if count else []


@dataclass(frozen=True)
class Stacking:
    """Positions of numbered slices in a volume.

    Attributes
    ----------
    positions : tuple of int
        Index in the volume of each slice, in numeric order.
    depth : int
        Slices of the volume.
    warnings : tuple of str
        Slices that are missing, if any are.
    """

    positions: tuple[int, ...]
    depth: int
    warnings: tuple[str, ...] = ()


def stacking(numbers: Sequence[int], name: str) -> Stacking:
    """Decide where slices with these (sorted) numbers go.

    A missing number leaves an empty slice, so that distances along the stack stay right; where more are
    missing than there, the slices are put one behind the other. A warning says so in both cases.
    """
    span = numbers[-1] - numbers[0] + 1
    missing = span - len(numbers)
    if not missing:
        return Stacking(tuple(range(span)), span)
    if missing > len(numbers):
        warning = (
            f"{name}: {missing} of {span} slice numbers are missing; the others were put one behind the other"
        )
        return Stacking(tuple(range(len(numbers))), len(numbers), (warning,))
    absent = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    shown = ", ".join(map(str, absent[:5])) + (", ..." if missing > 5 else "")
    warning = f"{name}: {missing} slice(s) are missing (number {shown}) and were left empty"
    return Stacking(tuple(n - numbers[0] for n in numbers), span, (warning,))


def is_mask_name(stem: str) -> bool:
    """Return whether a file name says that it is a tumour mask.

    Stricter than `guess_role`: ``brain_tumor_12`` is what a picture of a tumour is called, too.
    """
    return guess_role(stem) is Role.TUMOUR_MASK and any(_is_mask_word(w) for w in tokens(stem))


def subject(stem: str) -> tuple[str, ...]:
    """Return the words of a stem without those such as ``image`` and ``mask``: its subject."""
    return tuple(w for w in tokens(stem) if w not in _IMAGE_WORDS and not _is_mask_word(w))


def masks_beside(path: Path, endings: Iterable[str]) -> list[Path]:
    """Return the files beside an image that are named as its mask (``X_mask.png`` for ``X.png``)."""
    found = []
    for ending in endings:
        for word in ("mask", "seg", "label", "segmentation"):
            for joint in ("_", "-"):
                mask = path.with_name(f"{path.stem}{joint}{word}{ending}")
                if mask != path and mask.is_file():
                    found.append(mask)
    return found


def distinct(images: Sequence[Image]) -> tuple[Image, ...]:
    """Return the images with a name each of its own, since roles are set by name."""
    names = [image.name for image in images]
    return tuple(_renamed(image) if names.count(image.name) > 1 else image for image in images)


def _renamed(image: Image) -> Image:
    """Return an image named by its file in full: ``old/flair.nii``, ``old/a.nii: channel 0``."""
    path = image.source
    if path is None:
        return image
    file = f"{path.parent.name}/{path.name}"
    return replace(image, name=file if image.name == formats.stem(path) else f"{file}: {image.name}")


def fitting(convention: LabelConvention | None, labels: Array) -> LabelConvention | None:
    """Return the convention that a name suggests, if the labels of the mask fit it."""
    return convention if convention is not None and set(present(labels)) <= convention.values else None


def without_folder(text: str, folder: Path) -> str:
    """Return a sentence without the folder of the files it names: warnings are kept with results."""
    return text.replace(f"{folder}{os.sep}", "")


def attempt(make: Callable[[], T], folder: Path) -> tuple[tuple[T, ...], list[str]]:
    """Return what `make` makes, or nothing and a warning: a bad mask never keeps an image from opening."""
    try:
        return (make(),), []
    except TumorSegError as error:
        return (), [Notice(f"the mask is left out: {without_folder(str(error), folder)}", error.remedy)]


def _is_mask_word(word: str) -> bool:
    return word not in ("tumor", "tumour", "lesion") and guess_role(word) is Role.TUMOUR_MASK
