"""Settings of a run, and its progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.post_settings import PostSettings

Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "int8"]
"""Precision of the network's arithmetic."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class Settings:
    """Settings of a run.

    Attributes
    ----------
    device : str
        ``"auto"`` (CUDA, else MPS, else CPU), or one of `available_devices`.
    flip : bool or None
        Average with the left-right flipped slice; None: as the card says.
    probabilities : bool
        Whether to keep them (uint8, in the box of what was run).
    post : PostSettings or None
        Post-processing; None: the card's defaults.
    slices : range or None
        Slices to run, counted along the card's plane in canonical order; None: all.
    batch : int or None
        Slices at a time; None: 1 on the CPU, 16 on a GPU.
    threshold : float or None
        Probability above which an output counts; None: the card's. Without effect on softmax models.
    precision : {"auto", "float32", "bfloat16", "int8"}
        ``"auto"``: bfloat16 where the card shows that masks stay as good and it is measured to be faster
        here, else float32. ``"int8"`` is for a quick look and needs the extra ``fast``.
    """

    device: str = "auto"
    flip: bool | None = None
    probabilities: bool = False
    post: PostSettings | None = None
    slices: range | None = None
    batch: int | None = None
    threshold: float | None = None
    precision: Precision = "auto"

    @property
    def device_wanted(self) -> str:
        """The device; int8 is not looked for on any but the CPU."""
        return "cpu" if self.precision == "int8" and self.device.lower() == "auto" else self.device

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f"the precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise InputError(f"a threshold lies between 0 and 1, not at {self.threshold}")
        if self.batch is not None and self.batch < 1:
            raise InputError(f"at least one slice is run at a time, not {self.batch}")


@dataclass(frozen=True, eq=False)
class Progress:
    """Progress of a run after a slice.

    Attributes
    ----------
    done, total : int
        Slices finished and slices to do; empty ones are not counted.
    plane_axis : int
        Canonical axis (0, 1, 2) that is sliced.
    index : int
        Of the slice along that axis.
    labels : 2-D array of uint8
        The whole slice, its axes the two other canonical axes in order; before post-processing.
    seconds_left : float or None
        Estimate; None before there is one.
    note : str
        Something the user should know, such as a change of device; else empty.
    """

    done: int
    total: int
    plane_axis: int
    index: int
    labels: Array
    seconds_left: float | None = None
    note: str = ""
