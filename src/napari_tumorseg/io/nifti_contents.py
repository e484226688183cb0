"""Contents of one NIfTI file: images, a mask or a brain mask, told apart by name, side file and values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.io import nifti
from napari_tumorseg.io.arrays import fitting
from napari_tumorseg.io.case import Mask
from napari_tumorseg.io.formats import stem
from napari_tumorseg.io.label_arrays import are_binary, decode_mask, is_labels
from napari_tumorseg.io.named_conventions import named_convention
from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.io.side_files import side_convention
from napari_tumorseg.scan import Image, Role

_BY_CONTENT_MOST = 8
"""A file whose name tells nothing is taken as a mask if it holds no other integers than 0 to this."""


@dataclass(frozen=True, eq=False)
class Contents:
    """Images, mask or brain mask of one file, or the error why there is none."""

    images: tuple[Image, ...] = ()
    mask: Mask | None = None
    brain_mask: Image | None = None
    warnings: tuple[str, ...] = ()
    error: InputError | None = None


def read_contents(path: Path, case: str, channel_names: Sequence[str]) -> Contents:
    """Read a file and decide what it holds.

    Parameters
    ----------
    path : Path
        A NIfTI file.
    case : str
        Name of the case that it belongs to; its words say nothing about the file.
    channel_names : sequence of str
        Names of the channels of a 4-D file, where something tells them.
    """
    try:
        found = nifti.read_file(path)
    except InputError as error:
        return Contents(error=error)
    name = stem(path)
    role = role_in_case(name, case)
    if len(found.channels) > 1:
        if role is Role.TUMOUR_MASK or (role is Role.OTHER and are_binary(found.channels)):
            return _mask_contents(found, path, case)
        return Contents(images=_channels(found, path, channel_names), warnings=found.warnings)
    data = found.channels[0]
    role = Role.TUMOUR_MASK if _is_told_mask(path, data) else role
    if role is Role.BRAIN_MASK:
        return Contents(brain_mask=Image(name, role, data, found.grid, path), warnings=found.warnings)
    if role is Role.TUMOUR_MASK:
        contents = _mask_contents(found, path, case)
        role = guess_role(name, masks=False)
        if contents.mask is not None or role is Role.OTHER:
            return contents
    if role is Role.OTHER and is_labels(data, _BY_CONTENT_MOST):
        return _mask_contents(found, path, case)
    return Contents(images=(Image(name, role, data, found.grid, path),), warnings=found.warnings)


def _mask_contents(found: nifti.NiftiFile, path: Path, case: str) -> Contents:
    """Return a file's volumes as a mask, or the error why they are none."""
    single = len(found.channels) == 1
    try:
        values = found.channels[0] if single else np.stack(found.channels)
        decoded = decode_mask(values, f"{path} is named like a mask but", None if single else 0)
    except InputError as error:
        return Contents(error=error)
    convention = named_convention(path, case, decoded.labels)
    mask = Mask.of(stem(path), decoded, found.grid, convention, path)
    return Contents(mask=mask, warnings=found.warnings)


def _is_told_mask(path: Path, data: np.ndarray) -> bool:
    """Tell whether the side file says that this is a mask, and the labels are those of its convention."""
    told = side_convention(path)
    return told is not None and is_labels(data) and fitting(told, decode_mask(data, path).labels) is not None


def _channels(found: nifti.NiftiFile, path: Path, names: Sequence[str]) -> tuple[Image, ...]:
    """Return the channels of a 4-D file, with roles where something tells their names."""
    if len(names) != len(found.channels):
        names = [f"channel {c}" for c in range(len(found.channels))]
    return tuple(
        Image(name, guess_role(name), data, found.grid, path)
        for name, data in zip(names, found.channels, strict=True)
    )


def role_in_case(name: str, case: str) -> Role:
    """Return the role that a file's name tells; what the case is called tells nothing about a mask."""
    own = name.removeprefix(case)
    if own == name or not re.match(r"[^A-Za-z0-9]", own):
        return guess_role(name)
    role = guess_role(own)
    return guess_role(name, masks=False) if role is Role.OTHER else role
