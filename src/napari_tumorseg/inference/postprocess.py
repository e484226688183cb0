"""Post-processing of a segmentation: optional steps, in mm, region by region, inside the tumour's box.

A mask is worked on as nested regions, from the outermost inwards (whole tumour, core, enhancing), not as
loose labels: what one region loses falls to the region around it, and no inner region can leave its outer
one. Labels in no region, such as the resection cavity, are neither changed nor grown over.

Two steps do not treat all regions alike, since tumours do not. Holes are not filled in the enhancing
tumour: it is a shell, and what it encloses is necrosis. `largest_only` looks at the whole tumour and keeps
all that the largest one holds: an enhancing rim in several pieces is still one rim. Where probabilities are
known, each voxel counts with its own, since a large component of low ones is seldom the tumour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_tumorseg.geometry import CONNECTED_26, Array, Grid, bounding_box
from napari_tumorseg.inference.evidence import component_evidence, voxels_of
from napari_tumorseg.post_settings import PostSettings
from napari_tumorseg.regions import LabelConvention, region_mask

_SHELLS = ("ET",)
_ROUNDING = 1e-6
"""Share by which a distance or volume may be off without counting as larger or smaller."""


def postprocess(
    labels: Array,
    grid: Grid,
    convention: LabelConvention,
    settings: PostSettings,
    brain: Array | None = None,
    certain: Array | None = None,
    levels: Array | None = None,
) -> tuple[Array, tuple[str, ...]]:
    """Return the mask after the steps asked for, and notes on steps that had no effect.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        A mask in `convention`; it is not modified.
    grid : Grid
        Its spacing; under shear the axes are taken to be perpendicular.
    convention : LabelConvention
        Convention of the labels.
    settings : PostSettings
        The steps.
    brain : (Z, Y, X) array of bool, optional
        The brain, for `inside_brain`.
    certain : (Z, Y, X) array of bool, optional
        Voxels where the model is confident of tumour, for `min_confident_voxels`.
    levels : (Z, Y, X) array of uint8, optional
        Probability of tumour, 255 for 1, for `min_evidence` and `largest_only`.

    Returns
    -------
    labels : (Z, Y, X) array of uint8
        A new array.
    notes : tuple of str
        One sentence for each step that could not be taken.
    """
    maps = ((labels, "mask"), (brain, "brain mask"), (certain, "map of certainty"), (levels, "map of levels"))
    for array, what in maps:
        if array is not None and array.shape != grid.shape:
            raise ValueError(f"a {what} of shape {array.shape} is not on a grid of shape {grid.shape}")
    confidence = _Confidence(certain, levels)
    steps, notes = _possible(settings, grid, brain, confidence)
    out = labels.copy()
    outer = bounding_box(out)
    if steps is None or outer is None:
        return out, notes
    reach = _with_rim(outer, grid.shape)
    inside = brain[reach].astype(bool, copy=False) if brain is not None and steps.inside_brain else None
    # a slice of the copy: what is written there is written to the result, and nothing else is touched
    _tidy_regions(out[reach], convention, steps, inside, confidence.within(reach))
    return out, notes


@dataclass(frozen=True)
class _Confidence:
    """Confidence of the model in each voxel, as far as it is known."""

    certain: Array | None = None
    levels: Array | None = None

    def within(self, box: tuple[slice, ...]) -> _Confidence:
        """Return the part in a box."""
        certain, levels = (None if a is None else a[box] for a in (self.certain, self.levels))
        return _Confidence(certain, levels)


@dataclass(frozen=True)
class _Steps:
    """The steps that can be taken on this grid, in its units."""

    spacing: tuple[float, float, float]
    opening: float
    closing: float
    fill: bool
    min_voxels: int
    largest: bool
    inside_brain: bool
    min_confident: int
    min_evidence: float
    evidence_voxels: float

    @property
    def idle(self) -> bool:
        """True if nothing is left to do."""
        asked = (self.opening, self.closing, self.fill, self.min_voxels > 1, self.largest, self.inside_brain)
        return not (any(asked) or self.min_confident or self.min_evidence)


def _possible(
    settings: PostSettings, grid: Grid, brain: Array | None, confidence: _Confidence
) -> tuple[_Steps | None, tuple[str, ...]]:
    """Return the steps that can be taken (None if there are none), and why others cannot."""
    notes: list[str] = []
    volume = grid.voxel_volume_mm3
    asked = [n for n in ("opening_mm", "closing_mm", "min_component_mm3") if getattr(settings, n)]
    if volume is None and asked:
        notes.append(f"the voxel size is unknown, so {_listed(asked)} had no effect; state a spacing")
    inside_brain = settings.inside_brain and _usable(brain, notes)
    maps = {"min_confident_voxels": confidence.certain, "min_evidence": confidence.levels}
    blind = [name for name, there in maps.items() if getattr(settings, name) and there is None]
    if blind:
        notes.append(f"there are no probabilities, so {_listed(blind)} had no effect")
    sizes = {n: getattr(settings, n) if volume is not None else 0.0 for n in asked}
    for name in ("opening_mm", "closing_mm"):
        if 0 < sizes.get(name, 0) * (1 + _ROUNDING) < min(grid.spacing):
            notes.append(f"{name} {sizes[name]:g} is less than the distance of two voxels and had no effect")
            sizes[name] = 0.0
    smallest = sizes.get("min_component_mm3", 0.0) / (volume or 1.0)
    steps = _Steps(
        spacing=grid.spacing,
        opening=sizes.get("opening_mm", 0.0),
        closing=sizes.get("closing_mm", 0.0),
        fill=settings.fill_holes,
        min_voxels=math.ceil(smallest * (1 - _ROUNDING)),
        largest=settings.largest_only,
        inside_brain=inside_brain,
        min_confident=0 if "min_confident_voxels" in blind else settings.min_confident_voxels,
        min_evidence=0.0 if "min_evidence" in blind else settings.min_evidence,
        evidence_voxels=voxels_of(grid),
    )
    return (None if steps.idle else steps), tuple(notes)


def _usable(brain: Array | None, notes: list[str]) -> bool:
    if brain is None:
        notes.append("there is no brain mask, so inside_brain had no effect")
    elif not brain.any():
        notes.append("the brain mask is empty, so inside_brain had no effect")
    else:
        return True
    return False


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _tidy_regions(
    labels: Array, convention: LabelConvention, steps: _Steps, brain: Array | None, confidence: _Confidence
) -> None:
    """Post-process each region of `labels`, a box, in place, from the outermost inwards."""
    free = np.ones(256, dtype=bool)
    in_regions = {value for members in convention.regions.values() for value in members}
    free[[v for v in range(1, 256) if v not in in_regions]] = False
    # where a region may be: not over labels of no region, not outside the brain, not outside its outer one
    allowed = free[labels]
    if brain is not None:
        allowed &= brain
    fallback = 0
    for name, members in convention.regions.items():
        before = region_mask(labels, members)
        whole = None if fallback else confidence
        after = _tidy(before, allowed, steps, whole, shell=name in _SHELLS)
        own = convention.own_label(name)
        labels[before & ~after] = fallback
        labels[after & ~before] = own
        allowed, fallback = after, own


def _tidy(mask: Array, allowed: Array, steps: _Steps, whole: _Confidence | None, *, shell: bool) -> Array:
    """Return one region after all steps, never outside `allowed`.

    Steps that judge tumours as a whole are taken where `whole` is given, the outermost region's confidence.
    """
    out = np.zeros_like(mask)
    inner = bounding_box(mask)
    if inner is None:
        return out
    box = _with_rim(inner, mask.shape)
    region, may = mask[box] & allowed[box], allowed[box]
    if steps.opening:
        region = _opened(region, steps.opening, steps.spacing)
    if steps.closing:
        region = _closed(region, steps.closing, steps.spacing) & may
    if steps.fill and not shell:
        region = (region | _holes(region)) & may
    if steps.min_voxels > 1:
        region = _components(region, lambda sizes: sizes >= steps.min_voxels)
    out[box] = region if whole is None else _whole_tumours(region, steps, whole.within(box))
    return out


def _whole_tumours(region: Array, steps: _Steps, confidence: _Confidence) -> Array:
    """Return the components that are sure enough, or the largest of them."""
    if steps.min_confident:
        counted = confidence.certain
        region = _components(region, lambda sizes: sizes >= steps.min_confident, counted=counted)
    if steps.min_evidence and confidence.levels is not None:
        parts, _ = ndimage.label(region, structure=CONNECTED_26)
        evidence = component_evidence(parts, confidence.levels, steps.evidence_voxels)
        region = np.concatenate([[False], evidence >= steps.min_evidence])[parts]
    if steps.largest:
        region = _components(
            region, lambda sizes: np.arange(sizes.size) == sizes.argmax(), weights=confidence.levels
        )
    return region


def _opened(mask: Array, radius: float, spacing: tuple[float, float, float]) -> Array:
    """Return what a ball fits into; a tumour cut off by the edge of the volume goes on beyond it."""
    ball = _ball(radius, spacing)
    return _dilated(_eroded(mask, ball), ball)


def _closed(mask: Array, radius: float, spacing: tuple[float, float, float]) -> Array:
    """Return the mask without gaps; one to the edge of the volume is none, beyond it there is no tumour."""
    ball = _ball(radius, spacing)
    widths = [max(abs(row[axis]) for row in ball) for axis in range(3)]
    padded = np.pad(mask, [(width, width) for width in widths])
    closed = _eroded(_dilated(padded, ball), ball)
    return closed[tuple(slice(width, width + n) for width, n in zip(widths, mask.shape, strict=True))]


def _ball(radius: float, spacing: tuple[float, float, float]) -> list[tuple[int, int, int]]:
    """Return the rows that make up a ball in voxels, as (z, y, half length along x), the shortest first."""
    limit = (radius * (1 + _ROUNDING)) ** 2
    high, deep = (int(limit**0.5 // step) for step in spacing[:2])
    rows = []
    for z in range(-high, high + 1):
        for y in range(-deep, deep + 1):
            left = limit - (z * spacing[0]) ** 2 - (y * spacing[1]) ** 2
            if left >= 0:
                rows.append((z, y, int(left**0.5 // spacing[2])))
    return sorted(rows, key=lambda row: row[2])


def _dilated(mask: Array, ball: list[tuple[int, int, int]]) -> Array:
    """Return what lies within the ball around any voxel.

    Equal to a distance transform and a threshold, but ten times as fast for the few mm that are usual:
    the mask is widened along x once for each length of row, then laid over itself.
    """
    out, wide, width = np.zeros_like(mask), mask.copy(), 0
    for z, y, length in ball:
        while width < length:
            width += 1
            _lay_over(wide, mask, (0, 0, width))
            _lay_over(wide, mask, (0, 0, -width))
        _lay_over(out, wide, (z, y, 0))
    return out


def _eroded(mask: Array, ball: list[tuple[int, int, int]]) -> Array:
    return ~_dilated(~mask, ball)


def _lay_over(out: Array, mask: Array, shift: tuple[int, int, int]) -> None:
    """Add a mask moved by `shift` to `out`; what leaves the array is lost."""
    to = tuple(slice(max(s, 0), min(n + s, n)) for s, n in zip(shift, out.shape, strict=True))
    of = tuple(slice(max(-s, 0), min(n - s, n)) for s, n in zip(shift, out.shape, strict=True))
    if all(abs(s) < n for s, n in zip(shift, out.shape, strict=True)):
        out[to] |= mask[of]


def _holes(mask: Array) -> Array:
    """Return the 6-connected parts of the background that do not reach the edge of the array.

    The array is wider than the region except where the volume ends, so that a hole open at the volume's
    border is not a hole.
    """
    parts, count = ndimage.label(~mask)
    if count < 2:
        return np.zeros_like(mask)
    enclosed = np.ones(count + 1, dtype=bool)
    enclosed[0] = False
    for axis in range(3):
        for edge in (0, -1):
            enclosed[parts.take(edge, axis=axis).ravel()] = False
    return np.asarray(enclosed[parts])


def _components(
    mask: Array,
    choose: Callable[[Array], Array],
    counted: Array | None = None,
    weights: Array | None = None,
) -> Array:
    """Return the 26-connected components whose sizes in voxels are chosen; the first of equals is first.

    Only voxels in `counted` make up a size, where it is given; with `weights` it is the sum of these.
    """
    parts, count = ndimage.label(mask, structure=CONNECTED_26)
    if count == 0:
        return mask
    inside = mask if counted is None else mask & counted
    sizes = np.bincount(parts[inside], None if weights is None else weights[inside], minlength=count + 1)
    kept = np.concatenate([[False], choose(sizes[1:])])
    return np.asarray(kept[parts])


def _with_rim(box: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the box one voxel wider, so that all but the volume's own edge is background around it."""
    return tuple(slice(max(s.start - 1, 0), min(s.stop + 1, n)) for s, n in zip(box, shape, strict=True))
