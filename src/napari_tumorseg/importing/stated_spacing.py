"""Voxel size that the user states, as fields of a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from napari_tumorseg.errors import InputError
from napari_tumorseg.models.windows import Windows, canonical_axis


def with_spacing(given: Mapping[str, Any], spacing: Sequence[float]) -> dict[str, Any]:
    """Return the table ``input`` with the stated spacing where it belongs.

    Parameters
    ----------
    given : mapping
        The table, without it.
    spacing : sequence of float
        In mm; empty if it is not stated. For slices it is one number. For volumes it is one for all
        directions (for both in the plane of a 2-D network), or three for Z, Y and X, whatever the network's
        axes.

    Raises
    ------
    InputError
        If the number of numbers does not fit.
    """
    if not spacing:
        return dict(given)
    if given.get("plane") != "volume":
        if len(spacing) != 1:
            raise InputError(f"a network of slices has one spacing in mm, but {_listed(spacing)} is stated")
        return {**given, "size": {**given.get("size", {}), "spacing": spacing[0]}}
    if len(spacing) not in (1, 3):
        raise InputError(
            f"the spacing of a volume is one number in mm or three, Z,Y,X, but {_listed(spacing)} is stated"
        )
    try:
        windows = Windows.model_validate(given.get("windows", {}))
    except ValidationError:  # the check of the whole card says so
        return dict(given)
    return {**given, "windows": {**given["windows"], "spacing": _along_axes(spacing, windows)}}


def _along_axes(spacing: Sequence[float], windows: Windows) -> list[float]:
    """Return the spacing along the network's axes; one number leaves the slices of a 2-D network alone."""
    if len(spacing) == 1:
        return [0.0 if windows.patch[0] == 1 else spacing[0], spacing[0], spacing[0]]
    return [spacing[canonical_axis(direction)] for direction in windows.axes]


def _listed(spacing: Sequence[float]) -> str:
    return ",".join(f"{step:g}" for step in spacing)
