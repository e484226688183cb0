"""Windows of a volume, as a model card states them for networks that do not take whole slices."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from napari_tumorseg.geometry import CANONICAL
from napari_tumorseg.toml_table import TomlTable

MAX_SIDE = 1024
"""A longer side of a window is a mistake in a card."""

Direction: TypeAlias = Literal["S", "I", "P", "A", "L", "R"]
Side: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=MAX_SIDE)]
Spacing: TypeAlias = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]

_AXES = ("SI", "PA", "LR")
"""Directions along each canonical axis."""


class Windows(TomlTable):
    """Overlapping windows whose logits are averaged where they overlap, and the voxels they are cut from.

    Attributes
    ----------
    patch : (int, int, int)
        Voxels of a window along the network's axes. A 2-D network works on windows of one slice: its first
        side is 1.
    axes : tuple of {"S", "I", "P", "A", "L", "R"}
        Directions in which the network's axes run: superior, inferior, posterior, anterior, left, right.
    spacing : (float, float, float) or None
        Distances in mm between the network's voxels along these axes; 0 for the scan's own.
    interpolation : {"linear", "cubic"}
        Interpolation of images. Logits are interpolated linearly.
    separate_above : float or None
        Where the scan's or the network's voxels are longer in one direction than in another by more than this
        factor, values are not interpolated in that direction: the nearest slice counts. None: never so.
    crop : bool
        Whether windows cover the box of the foreground only, or the whole volume.
    overlap : float
        Share of a window's side that the next one covers.
    placement : {"even", "regular"}
        ``even``: at equal distances, at most the one that `overlap` gives. ``regular``: at that distance, the
        last window moved back to the end.
    weights : {"gaussian", "gaussian-voxel", "constant"}
        Weights of a window's voxels. Gaussians have a standard deviation of an eighth of each side, about the
        centre of the window or about its central voxel.
    half : bool
        Whether weights and sums of logits are rounded to half precision, as in nnU-Net: near the corners of
        the volume, where weights are tiny, results depend on it.
    mirror : tuple of int
        Axes (0, 1, 2) of the network; with ``output.flip``, logits are averaged over copies that are flipped
        along all combinations of them.
    """

    patch: tuple[Side, Side, Side]
    axes: tuple[Direction, Direction, Direction] = CANONICAL  # type: ignore[assignment]
    spacing: tuple[Spacing, Spacing, Spacing] | None = None
    interpolation: Literal["linear", "cubic"] = "linear"
    separate_above: float | None = Field(None, ge=1, le=1000)
    crop: bool = True
    overlap: float = Field(0.5, ge=0, le=0.9)
    placement: Literal["even", "regular"] = "even"
    weights: Literal["gaussian", "gaussian-voxel", "constant"] = "gaussian"
    half: bool = False
    mirror: tuple[Annotated[int, Field(strict=True, ge=0, le=2)], ...] = ()

    @field_validator("axes")
    @classmethod
    def _complete(cls, axes: tuple[Direction, ...]) -> tuple[Direction, ...]:
        if sorted(canonical_axis(one) for one in axes) != [0, 1, 2]:
            raise ValueError(
                f"{list(axes)} are not three directions, one of S or I, of P or A, and of L or R"
            )
        return axes

    @field_validator("mirror")
    @classmethod
    def _once(cls, mirror: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(mirror)) != len(mirror):
            raise ValueError(f"{list(mirror)} names an axis twice")
        return mirror

    @model_validator(mode="after")
    def _several_voxels(self) -> Self:
        single = [axis for axis in self.mirror if self.patch[axis] == 1]
        if single:
            raise ValueError(f"mirror names axis {single[0]}, along which a window has one voxel")
        return self

    @property
    def flipped(self) -> tuple[int, ...]:
        """Axes of the network along which copies are flipped: `mirror`, else that between left and right."""
        left_right = [canonical_axis(one) for one in self.axes].index(2)
        return tuple(axis for axis in self.mirror or (left_right,) if self.patch[axis] > 1)

    def as_text(self) -> str:
        """Return the windows for people."""
        sides = " x ".join(str(side) for side in self.patch)
        spacing = ""
        if self.spacing is not None:
            steps = " x ".join(f"{step:.3g}" if step else "the scan's" for step in self.spacing)
            spacing = f" of {steps} mm"
        return f"windows of {sides} voxels{spacing}, axes {''.join(self.axes)}"


def canonical_axis(direction: str) -> int:
    """Return the canonical axis (0, 1, 2 for Z, Y, X) along which a direction runs."""
    return next(axis for axis, both in enumerate(_AXES) if direction in both)
