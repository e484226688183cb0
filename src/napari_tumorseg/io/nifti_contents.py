"""Contents of one NIfTI file: images, a mask or a brain mask, distinguished by name, side file and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.io import nifti
from napari_tumorseg.io.arrays import fitting
from napari_tumorseg.io.case import Mask
from napari_tumorseg.io.label_arrays import are_binary, decode_mask, is_labels
from napari_tumorseg.io.named_conventions import named_convention
from napari_tumorseg.io.nifti_groups import Source
from napari_tumorseg.io.roles import RoleGuess, guess_role, may_be_mask
from napari_tumorseg.io.side_files import side_convention
from napari_tumorseg.scan import MODALITIES, Image, Role

_BY_CONTENT_MOST = 8
"""A file whose name shows nothing is taken as a mask if it holds no other integers than 0 to this."""


@dataclass(frozen=True, eq=False)
class Contents:
    """Images, mask or brain mask of one file, or the error why there is none.

    Attributes
    ----------
    is_series : bool
        Whether the images are volumes that nothing names, such as those of a perfusion series.
    """

    images: tuple[Image, ...] = ()
    mask: Mask | None = None
    brain_mask: Image | None = None
    warnings: tuple[str, ...] = ()
    error: InputError | None = None
    is_series: bool = False


def read_contents(source: Source, case: str, hint: RoleGuess, channel_names: Sequence[str]) -> Contents:
    """Read a file and decide what it holds.

    Parameters
    ----------
    source : Source
        A NIfTI file and its name.
    case : str
        Name of the case that it belongs to.
    hint : RoleGuess
        Role that the names of the case's files show together.
    channel_names : sequence of str
        Names of the channels of a 4-D file, where something states them.
    """
    path, name = source.path, source.name
    try:
        found = nifti.read_file(path)
    except InputError as error:
        return Contents(error=error)
    is_unnamed = hint.role is Role.OTHER and not hint.is_known
    if len(found.channels) > 1:
        if hint.role is Role.TUMOUR_MASK or (is_unnamed and are_binary(found.channels)):
            return _mask_contents(found, source, case)
        return _volumes(found, source, hint, channel_names)
    data = found.channels[0]
    role = Role.TUMOUR_MASK if _is_stated_mask(path, data) else hint.role
    if role is Role.BRAIN_MASK:
        return Contents(brain_mask=Image(name, role, data, found.grid, path), warnings=found.warnings)
    if role is Role.TUMOUR_MASK:
        contents = _mask_contents(found, source, case)
        role = guess_role(name, masks=False)
        if contents.mask is not None or role is Role.OTHER:
            return contents
    if (is_unnamed or may_be_mask(name)) and is_labels(data, _BY_CONTENT_MOST):
        return _mask_contents(found, source, case)
    image = Image(name, role, data, found.grid, path, role_note=_note(hint, role))
    return Contents(images=(image,), warnings=found.warnings)


def _note(hint: RoleGuess, role: Role) -> str:
    """Return the contested word that a modality rests on."""
    return hint.note if role is hint.role and role in MODALITIES else ""


def _volumes(
    found: nifti.NiftiFile, source: Source, hint: RoleGuess, channel_names: Sequence[str]
) -> Contents:
    """Return the volumes of a 4-D file: channels that something names, or an image of which one is used."""
    path, count = source.path, len(found.channels)
    if len(channel_names) != count and hint.role in MODALITIES:
        image = Image(source.name, hint.role, found.channels[0], found.grid, path, role_note=hint.note)
        notes = (*found.warnings, f"{path.name} holds {count} volumes; the first one is used")
        return Contents(images=(image,), warnings=notes)
    images = _channels(found, path, channel_names)
    return Contents(images=images, warnings=found.warnings, is_series=len(channel_names) != count)


def _mask_contents(found: nifti.NiftiFile, source: Source, case: str) -> Contents:
    """Return a file's volumes as a mask, or the error why they are none."""
    path = source.path
    single = len(found.channels) == 1
    try:
        values = found.channels[0] if single else np.stack(found.channels)
        decoded = decode_mask(values, f"{path} is named like a mask but", None if single else 0)
    except InputError as error:
        return Contents(error=error)
    convention = named_convention(path, case, decoded.labels)
    mask = Mask.of(source.name, decoded, found.grid, convention, path)
    return Contents(mask=mask, warnings=found.warnings)


def _is_stated_mask(path: Path, data: np.ndarray) -> bool:
    """Return whether the side file says that this is a mask, and the labels are those of its convention."""
    convention = side_convention(path)
    if convention is None or not is_labels(data):
        return False
    return fitting(convention, decode_mask(data, path).labels) is not None


def _channels(found: nifti.NiftiFile, path: Path, names: Sequence[str]) -> tuple[Image, ...]:
    """Return the channels of a 4-D file, with roles where something states their names."""
    if len(names) != len(found.channels):
        names = [f"channel {c}" for c in range(len(found.channels))]
    return tuple(
        Image(name, guess_role(name), data, found.grid, path)
        for name, data in zip(names, found.channels, strict=True)
    )
