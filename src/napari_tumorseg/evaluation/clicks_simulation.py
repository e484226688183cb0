"""Simulated users who click where a mask differs most from a reference, and what their clicks achieve.

The robot looks for the largest error within a slice, too much or too little, and clicks in its middle. A less
careful one clicks anywhere in it, and one with a brush draws a stroke along it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from scipy import ndimage

from napari_tumorseg.edit.clicks import Click
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, bounding_box
from napari_tumorseg.measurement import Confusion

Robot: TypeAlias = Literal["centre", "noisy", "scribble"]
"""Ways to click: in the middle of the largest error, anywhere in it, with a stroke along it."""

ROBOTS: tuple[Robot, ...] = get_args(Robot)

Method: TypeAlias = Callable[[Array, Click, tuple[Click, ...], Array], Array]
"""Return the mask after a click from the mask before, the click, the earlier clicks and the reference.

Only an oracle looks at the reference.
"""

_STROKE = 0.4
"""A stroke goes on as long as the error is at least this wide, as a share of its middle."""


@dataclass(frozen=True, eq=False)
class SliceError:
    """Largest connected error within a slice.

    Attributes
    ----------
    index : int
        Of the slice.
    missing : bool
        Whether the mask lacks it.
    depth : (Y, X) array of float
        Distance of its pixels from its border, 0 outside of it.
    """

    index: int
    missing: bool
    depth: Array

    @property
    def centre(self) -> tuple[int, int, int]:
        """Voxel in the middle: the farthest from the border."""
        y, x = np.unravel_index(int(self.depth.argmax()), self.depth.shape)
        return self.index, int(y), int(x)


def largest_error(mask: Array, reference: Array) -> SliceError | None:
    """Return the largest 4-connected error within a slice, None where there is none.

    Parameters
    ----------
    mask, reference : (Z, Y, X) array of bool
        The mask and what it should be.
    """
    box = bounding_box(mask != reference)
    if box is None:
        return None
    most, found = 0, None
    for missing, wrong in ((True, reference[box] & ~mask[box]), (False, mask[box] & ~reference[box])):
        for index in np.flatnonzero(wrong.any(axis=(1, 2))):
            parts, _ = ndimage.label(wrong[index])
            sizes = np.bincount(parts.ravel())
            sizes[0] = 0
            if sizes.max() > most:
                most, found = int(sizes.max()), (missing, int(index), parts == sizes.argmax())
    assert found is not None
    is_missing, place, part = found
    depth = np.zeros(mask.shape[1:])
    depth[box[1:]] = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    return SliceError(place + box[0].start, is_missing, depth)


def next_click(
    mask: Array, reference: Array, robot: Robot = "centre", random: np.random.Generator | None = None
) -> Click | None:
    """Return the next click of a robot, None where nothing is wrong.

    Parameters
    ----------
    mask, reference : (Z, Y, X) array of bool
        The mask and what it should be.
    robot : {"centre", "noisy", "scribble"}
        Way to click.
    random : Generator, optional
        For the noisy robot; by default one of seed 0.

    Raises
    ------
    InputError
        If there is no such robot.
    """
    if robot not in ROBOTS:
        raise InputError(f"a robot is one of {', '.join(ROBOTS)}, not {robot!r}")
    error = largest_error(mask, reference)
    if error is None:
        return None
    voxels: tuple[tuple[int, int, int], ...] = (error.centre,)
    if robot == "noisy":
        voxels = (_anywhere(error, random or np.random.default_rng(0)),)
    elif robot == "scribble":
        voxels = _stroke(error)
    return Click(voxels, adds=error.missing)


def _anywhere(error: SliceError, random: np.random.Generator) -> tuple[int, int, int]:
    y, x = random.choice(np.argwhere(error.depth > 0))
    return error.index, int(y), int(x)


def _stroke(error: SliceError) -> tuple[tuple[int, int, int], ...]:
    """Return a straight stroke through the middle along the error's longer axis."""
    _, y, x = error.centre
    pixels = np.argwhere(error.depth > 0)
    along = np.linalg.eigh(np.cov(pixels.T) if len(pixels) > 2 else np.eye(2))[1][:, -1]
    limit = _STROKE * error.depth[y, x]
    found = [(y, x)]
    for sign in (-1, 1):
        for step in range(1, max(error.depth.shape)):
            py, px = (round(float(p)) for p in np.array([y, x]) + sign * step * along)
            if not (0 <= py < error.depth.shape[0] and 0 <= px < error.depth.shape[1]):
                break
            if error.depth[py, px] < limit:
                break
            found.insert(0 if sign < 0 else len(found), (py, px))
    return tuple((error.index, py, px) for py, px in dict.fromkeys(found))


def oracle_disc(mask: Array, click: Click, earlier: tuple[Click, ...], reference: Array) -> Array:
    """Return the mask with the disc around a click, in its slice, that brings it nearest to the reference."""
    index, y, x = click.voxels[len(click.voxels) // 2]
    rows, columns = np.ogrid[: mask.shape[1], : mask.shape[2]]
    radius = np.rint(np.hypot(rows - y, columns - x)).astype(np.intp)
    gain = np.where(reference[index] == click.adds, 1.0, -1.0) * (mask[index] != click.adds)
    best = int(np.cumsum(np.bincount(radius.ravel(), gain.ravel())).argmax())
    found = mask.copy()
    found[index][radius <= best] = click.adds
    return found


def dice_by_clicks(
    mask: Array,
    reference: Array,
    method: Method,
    clicks: int = 5,
    robot: Robot = "centre",
    seed: int = 0,
) -> list[float]:
    """Return Dice before any click and after each.

    Parameters
    ----------
    mask, reference : (Z, Y, X) array of bool
        The mask to begin with and what it should be.
    method : callable
        Corrects the mask by a click; see `Method`.
    clicks : int
        Number of clicks.
    robot : {"centre", "noisy", "scribble"}
        Way to click.
    seed : int
        Of the noisy robot.
    """
    random = np.random.default_rng(seed)
    found = [Confusion.of(mask, reference).dice]
    done: list[Click] = []
    for _ in range(clicks):
        click = next_click(mask, reference, robot, random)
        if click is not None:
            mask = method(mask, click, tuple(done), reference)
            done.append(click)
        found.append(Confusion.of(mask, reference).dice)
    return found
