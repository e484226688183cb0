"""Change of a mask by a click."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from scipy import ndimage

from napari_tumorseg.edit.boxes import Box, is_in, whole, wider
from napari_tumorseg.edit.change import Change, change_to
from napari_tumorseg.edit.clicks.click import Click
from napari_tumorseg.edit.clicks.evidence import Evidence
from napari_tumorseg.edit.clicks.features import describe
from napari_tumorseg.edit.clicks.network import ClickNetwork, shipped_network
from napari_tumorseg.edit.clicks.scene import Scene, neighbourhood
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import CONNECTED_26, Array, bounding_box

_FARTHEST = 50.0
"""Cost of the way from a click beyond which nothing changes: next to nothing is gained there."""

_SPECK = 6
_IN_SLICE = np.zeros((3, 3, 3), dtype=bool)
_IN_SLICE[1] = True


def refine(
    labels: Array,
    evidence: Evidence,
    click: Click,
    earlier: Sequence[Click] = (),
    *,
    protected: Collection[int] = (),
    locked: Array | None = None,
    across: int | None = None,
    network: ClickNetwork | None = None,
) -> Change | None:
    """Return the change of a mask by a click; None if it changes nothing.

    Voxels near the click change where a classifier that is fitted to this patient, the way from the click
    through similar tissue and the model's probabilities speak for it, as far as they hang together with the
    click. Voxels of the click itself always change, and those of earlier clicks never change back.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Labels before the click; not modified.
    evidence : Evidence
        Images and probability of the region, on the same grid.
    click : Click
        The click.
    earlier : sequence of Click
        Clicks before it, whose voxels stay as they said.
    protected : collection of int
        Labels that do not change, but for the click's own.
    locked : array of bool, optional
        Voxels that do not change.
    across : int, optional
        Axis across the slices on the screen: look at the slice of the click only, for a first answer within
        milliseconds.
    network : ClickNetwork, optional
        Another network than the one of the package.

    Raises
    ------
    InputError
        If the images are not on the grid of the labels, or the click lies outside of it.
    """
    if evidence.shape != labels.shape:
        raise InputError(
            f"the images are of shape {evidence.shape}, the labels of {labels.shape}; "
            "choose a scan on their grid"
        )
    click.check_inside(labels.shape)
    box = _box_of(click, evidence, across)
    block = labels[box]
    inside = is_in(block, click.members)
    fixed = is_in(block, set(protected) - {click.label})
    if locked is not None:
        fixed |= locked[box]
    own = np.zeros(block.shape, dtype=bool)
    own[_places_in(click, box)] = True
    rivals = [other for other in earlier if other.members & click.members and not other.is_box]
    scene = Scene.around(evidence, inside, box, click, rivals)
    may = (inside != click.adds) & ~fixed
    if click.is_box:
        may &= _in_limits(click, evidence, box)
    moved = _moved(scene, own, may, network or shipped_network())
    if not moved.any():
        return None
    after = _painted(block, moved, click, evidence.steps)
    broken = _broken_by(after, block, earlier, box) & ~own
    after[broken] = block[broken]
    return change_to(labels, box, after)


def _box_of(click: Click, evidence: Evidence, across: int | None) -> Box:
    """Return the neighbourhood of a click, on request of its own slices only."""
    sides = list(neighbourhood(click, evidence))
    if across is not None:
        places = [voxel[across] for voxel in click.voxels]
        sides[across] = slice(min(places), max(places) + 1)
    z, y, x = sides
    return z, y, x


def _places_in(click: Click, box: Box) -> tuple[Array, ...]:
    """Return the index of a click's voxels in a box; of a box that was drawn, its middle."""
    voxels = click.points() if click.is_box else np.asarray(click.voxels, dtype=np.intp)
    local = voxels - [side.start for side in box]
    sizes = [side.stop - side.start for side in box]
    return tuple(local[((local >= 0) & (local < sizes)).all(axis=1)].T)


def _broken_by(after: Array, before: Array, earlier: Sequence[Click], box: Box) -> Array:
    """Return where labels would no longer be what an earlier click or scribble said of them."""
    found = np.zeros(before.shape, dtype=bool)
    for other in earlier:
        if not other.is_box:
            at = _places_in(other, box)
            then, now = (is_in(labels[at], other.members) for labels in (before, after))
            found[at] |= (then == other.adds) & (now != other.adds)
    return found


def _in_limits(click: Click, evidence: Evidence, box: Box) -> Array:
    """Return the voxels of a neighbourhood that lie in the box that was drawn."""
    whole = np.zeros([side.stop - side.start for side in box], dtype=bool)
    limits = click.limits(evidence.steps, evidence.shape)
    pairs = zip(limits, box, strict=True)
    inside = (slice(max(s.start - b.start, 0), max(s.stop - b.start, 0)) for s, b in pairs)
    whole[tuple(inside)] = True
    return whole


def _moved(scene: Scene, own: Array, may: Array, network: ClickNetwork) -> Array:
    """Return the voxels that a click changes, its own ones always, among those that may change."""
    places = np.flatnonzero(may & (scene.geodesic < _FARTHEST))
    found = np.zeros(may.shape, dtype=bool)
    found.reshape(-1)[places] = network.log_odds(describe(scene, places)) > 0
    place = wider(bounding_box(found | own) or whole(may.shape), (1, 4, 4), may.shape)
    found[place] |= _specks(may[place] & ~found[place])
    for points, sign in scene.others:
        if sign != scene.sign:
            found[tuple(points.T)] = False
    found |= own & may
    found[place] = _hanging_together(found[place], own[place])
    return found


def _specks(rest: Array) -> Array:
    """Return what a click would leave in bits of a few pixels of a slice."""
    parts, count = ndimage.label(rest, structure=_IN_SLICE)
    small = np.bincount(parts.reshape(-1), minlength=count + 1) <= _SPECK
    small[0] = False
    return np.asarray(small[parts])


def _hanging_together(found: Array, seeds: Array) -> Array:
    """Return the components that a click is in."""
    parts, count = ndimage.label(found, structure=CONNECTED_26)
    kept = np.zeros(count + 1, dtype=bool)
    kept[parts[seeds]] = True
    kept[0] = False
    return np.asarray(kept[parts])


def _painted(block: Array, moved: Array, click: Click, steps: Sequence[float]) -> Array:
    """Return the labels after the click; voxels that leave a part of a tumour go to what lies around it."""
    after = block.copy()
    after[moved] = click.label if click.adds else 0
    if not click.adds and not is_in(block, {0, *click.members}).all():
        place = wider(bounding_box(moved) or whole(block.shape), (3, 3, 3), block.shape)
        part = is_in(block[place], click.members)
        if part.all():
            place, part = whole(block.shape), is_in(block, click.members)
        nearest = ndimage.distance_transform_edt(
            part, sampling=steps, return_distances=False, return_indices=True
        )
        lost = moved[place]
        after[place][lost] = block[place][tuple(axis[lost] for axis in nearest)]
    return after
