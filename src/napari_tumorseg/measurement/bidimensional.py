"""Longest chords of a shape in a slice: straight lines inside it, with lengths in mm.

A shape is the area of its pixels, edges included, so that a chord may run along an edge or through the corner
at which two pixels touch. Whether a line between corners stays inside depends on pixels alone and is decided
in integers; its length depends on the metric of the slice, which may be anisotropic or sheared.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from napari_tumorseg.geometry import Affine, Array

TOLERANCE_DEGREES = 1.0
"""Largest deviation from a right angle of two chords that count as perpendicular."""

_SAME = 1e-9
"""Relative difference below which lengths are equal: lattices have many chords of equal length."""

_BLOCK = 256
_PAIRS = 2_000_000
"""Largest number of pairs of corners in memory at once: a ragged mask has many."""

_TOLERANCE = np.radians(TOLERANCE_DEGREES)


class Chord(NamedTuple):
    """A line in a slice, by its ends (y, x) in corner coordinates: pixel k lies between k and k + 1."""

    start: Affine
    end: Affine
    length: float


class Pair(NamedTuple):
    """The longest chord of a shape and the longest one perpendicular to it."""

    longest: Chord
    perpendicular: Chord

    @property
    def product(self) -> float:
        """Longest times perpendicular."""
        return self.longest.length * self.perpendicular.length


def bidimensional_diameters(mask: Array, basis: Affine, above: float = 0.0) -> Pair | None:
    """Return the longest chord inside a shape, and the longest one inside it that is perpendicular to that.

    The longest chord runs from one pixel corner of the outline to another one. The perpendicular one may end
    anywhere on the outline where the angle is right, and from corner to corner it may be
    `TOLERANCE_DEGREES` off. Of several longest chords that with the longest perpendicular one is taken.

    Parameters
    ----------
    mask : (Y, X) array of bool
        The shape; it may have holes and several components.
    basis : (n, 2) array
        Columns are the steps from one pixel to the next along Y and X in space.
    above : float
        Pairs whose product is not larger than this are not searched for.

    Returns
    -------
    Pair or None
        None where the mask is empty or its product is not above `above`.
    """
    shape = _Shape(np.pad(np.asarray(mask, dtype=bool), 1), basis.T @ basis)
    if not len(shape.corners) or shape.bound <= above:
        return None
    chords = [chord for chord in shape.longest(above) if chord.length * shape.widest_across(chord) > above]
    pairs = [Pair(chord, shape.perpendicular(chord)) for chord in chords]
    best = max(pairs, key=lambda pair: pair.product, default=None)
    if best is None or best.product <= above:
        return None
    return Pair(*(Chord(chord.start - 1, chord.end - 1, chord.length) for chord in best))


class _Shape:
    """A mask with a margin, its corners, and tables for quick tests whether a line stays inside."""

    def __init__(self, mask: Array, metric: Affine) -> None:
        self.mask = mask
        self.metric = metric
        filled = _filled_neighbours(mask)
        #: corners of the outline, and those of them where it turns
        self.corners = np.argwhere((filled > 0) & (filled < 4))
        self.turns = np.argwhere(_turning(mask, filled))

    @cached_property
    def places(self) -> Affine:
        """The corners in space, relative to their centre."""
        return np.asarray((self.corners - self.corners.mean(axis=0)) @ np.linalg.cholesky(self.metric))

    @cached_property
    def widths(self) -> Affine:
        """Width of the shape in each of 180 directions, one degree apart."""
        angles = np.radians(np.arange(180))
        return np.asarray(np.ptp(self.places @ np.stack([np.cos(angles), np.sin(angles)]), axis=0))

    @property
    def bound(self) -> float:
        """A number that the product cannot exceed: the largest box around the shape, turned by any angle."""
        # between two of the directions, and at an angle that is not quite right, a width grows by no more
        more = self.longest_possible * (np.radians(0.5) + np.array([0, _TOLERANCE]))
        return float(((self.widths + more[0]) * (np.roll(self.widths, 90) + more[1])).max())

    @property
    def longest_possible(self) -> float:
        """A length that no chord exceeds: the largest width, with what lies between two directions."""
        return float(self.widths.max() / np.cos(np.radians(0.5))) * (1 + _SAME)

    @cached_property
    def closed(self) -> Array:
        """Inside of the shape at twice the resolution: even indices are edges or corners, odd ones pixels."""
        closed = np.zeros([2 * n + 1 for n in self.mask.shape], dtype=bool)
        closed[1::2, 1::2] = self.mask
        closed[2:-1:2] = closed[1:-2:2] | closed[3::2]
        closed[:, 2:-1:2] |= closed[:, 1:-2:2] | closed[:, 3::2]
        return closed

    @cached_property
    def sums(self) -> tuple[Array, Array]:
        """Per axis: filled pixels before each one along it, as (along, across)."""
        return _running(self.mask), _running(self.mask.T)

    @cached_property
    def edges(self) -> tuple[Array, Array]:
        """Per axis: edges beside a filled pixel before each one along it, as (along, across)."""
        return _running(self.closed[1::2, ::2]), _running(self.closed[::2, 1::2].T)

    def longest(self, above: float) -> list[Chord]:
        """Return all chords of the greatest length; none if no product with them can be above `above`."""
        return self._between_corners(above / self.longest_possible)

    def widest_across(self, chord: Chord) -> float:
        """Return a length that no chord perpendicular to this one exceeds."""
        across = _turned(self.metric @ (chord.end - chord.start))
        unit = self.metric @ across / np.sqrt(across @ self.metric @ across)
        return float(np.ptp(self.corners @ unit) + _TOLERANCE * self.longest_possible)

    def perpendicular(self, chord: Chord) -> Chord:
        """Return the longest chord that is perpendicular to this one."""
        along = self.metric @ (chord.end - chord.start)
        exact = self._directed(_turned(along))
        found = self._between_corners(exact.length, self.corners @ along / chord.length)
        return found[0] if found else exact

    def _between_corners(self, above: float, shares: Affine | None = None) -> list[Chord]:
        """Return the longest chord between two corners, and all of equal length, if it is longer than this.

        Parameters
        ----------
        above : float
            The length.
        shares : (corners,) array, optional
            Where the corners lie along a line to which the chord is perpendicular.
        """
        found: list[Chord] = []
        rows = max(1, _PAIRS // len(self.corners))
        for start in range(0, len(self.corners), rows):
            block = slice(start, start + rows)
            apart = self._apart(block)
            wanted = apart > (found[0].length * (1 - 2 * _SAME) if found else above * (1 + _SAME))
            wanted &= np.arange(len(self.corners)) > np.arange(start, start + len(apart))[:, None]
            if shares is not None:
                wanted &= np.abs(shares[block, None] - shares) <= apart * np.sin(_TOLERANCE)
            found = _equals([*found, *self._longest_of(*self._promising(wanted, block))])
        return found

    def _apart(self, block: slice) -> Affine:
        """Return (some, corners) distances of some corners from all."""
        norms = (self.places**2).sum(axis=1)
        between = norms[block, None] + norms - 2 * self.places[block] @ self.places.T
        return np.asarray(np.sqrt(np.maximum(between, 0)))

    def _promising(self, wanted: Array, block: slice) -> tuple[Array, Array]:
        """Return the wanted pairs whose middle and quarters are inside, which most others have not."""
        flat = self.corners @ (self.closed.shape[1], 1)
        first, second = np.nonzero(wanted & self.closed.ravel()[flat[block, None] + flat])
        first += block.start
        for one, other in ((3, 1), (1, 3)):
            at = one * self.corners[first] + other * self.corners[second]
            at = 2 * (at // 4) + (at % 4 != 0)
            inside = self.closed[at[:, 0], at[:, 1]]
            first, second = first[inside], second[inside]
        return first, second

    def _longest_of(self, first: Array, second: Array) -> list[Chord]:
        """Return the longest chords inside of those between pairs of corners."""
        starts, steps = self.corners[first], self.corners[second] - self.corners[first]
        lengths = np.sqrt(((steps @ self.metric) * steps).sum(axis=1))
        order = np.argsort(-lengths, kind="stable")
        found: list[Chord] = []
        done, size = 0, _BLOCK
        while done < len(order):
            block = order[done : done + size]
            if found and lengths[block[0]] < found[0].length * (1 - _SAME):
                break
            for index in block[self._inside(starts[block], steps[block])]:
                start = starts[index].astype(float)
                found.append(Chord(start, start + steps[index], float(lengths[index])))
            done, size = done + size, 2 * size
        return found

    def _inside(self, starts: Array, steps: Array) -> Array:
        """Return whether each line between corners stays inside."""
        inside = np.zeros(len(starts), dtype=bool)
        height, width = np.abs(steps).T
        # strips across the axis along which a line is shorter: there are fewer of them
        for axis, chosen in ((0, height <= width), (1, height > width)):
            slanted, flat = chosen & (steps[:, axis] != 0), chosen & (steps[:, axis] == 0)
            inside[slanted] = self._in_strips(starts[slanted], steps[slanted], axis)
            inside[flat] = self._on_edges(starts[flat], steps[flat], 1 - axis)
        return inside

    def _in_strips(self, starts: Array, steps: Array, axis: int) -> Array:
        """Return whether each line meets only filled pixels in each strip of pixels across `axis`."""
        count = np.abs(steps[:, axis, None])
        strip = np.arange(count.max(initial=0))
        used = strip < count
        rise, base = steps[:, 1 - axis, None], starts[:, 1 - axis, None] * count
        one, two = base + strip * rise, base + (strip + 1) * rise
        low = np.minimum(one, two) // count
        high = -(-np.maximum(one, two) // count)
        down = steps[:, axis, None] < 0
        index = starts[:, axis, None] + np.where(down, -strip - 1, strip)
        low, high, index = (np.where(used, values, 0) for values in (low, high, index))
        sums = self.sums[1 - axis]
        return np.asarray((sums[high, index] - sums[low, index] == high - low).all(axis=1))

    def _on_edges(self, starts: Array, steps: Array, axis: int) -> Array:
        """Return whether each line along `axis` has a filled pixel beside every edge it runs on."""
        ends = starts[:, axis] + steps[:, axis]
        low, high = np.minimum(starts[:, axis], ends), np.maximum(starts[:, axis], ends)
        sums, at = self.edges[axis], starts[:, 1 - axis]
        return np.asarray(sums[high, at] - sums[low, at] == high - low)

    def _directed(self, direction: Affine) -> Chord:
        """Return the longest chord in one direction.

        It passes a corner where the outline turns: between two of these, lengths vary linearly.
        """
        direction = direction / np.abs(direction).max()
        times = _crossings(self.turns, direction, self.mask.shape)
        middle = self.turns[:, None] + (times[:, 1:] + times[:, :-1])[..., None] / 2 * direction
        # a step of no length is where the line passes a corner: it interrupts nothing
        inside = _filled(self.mask, middle, np.abs(direction) <= _SAME) | (np.diff(times, axis=1) < _SAME)
        first, last = _longest_runs(inside, times)
        best = int(np.argmax(last - first))
        start, end = (self.turns[best] + at[best] * direction for at in (first, last))
        return Chord(start, end, float(np.sqrt((end - start) @ self.metric @ (end - start))))


def _equals(chords: list[Chord]) -> list[Chord]:
    """Return the longest of some chords, and those that are as long."""
    longest = max((chord.length for chord in chords), default=0.0)
    return [chord for chord in chords if chord.length >= longest * (1 - _SAME)]


def _turned(vector: Affine) -> Affine:
    """Return a vector turned by a quarter."""
    return np.array([-vector[1], vector[0]])


def _filled_neighbours(mask: Array) -> Array:
    """Return the number of filled pixels at each corner, 0 to 4."""
    m = np.pad(mask, 1).astype(np.uint8)
    return np.asarray(m[1:, 1:] + m[1:, :-1] + m[:-1, 1:] + m[:-1, :-1])


def _turning(mask: Array, filled: Array) -> Array:
    """Return the corners at which the outline turns: one or three pixels filled, or two that touch there."""
    m = np.pad(mask, 1)
    diagonal = (filled == 2) & (m[1:, 1:] == m[:-1, :-1])
    return np.asarray((filled == 1) | (filled == 3) | diagonal)


def _running(filled: Array) -> Array:
    """Return the number of filled pixels before each index of the first axis, and in all."""
    return np.pad(np.cumsum(filled, axis=0, dtype=np.int32), ((1, 0), (0, 0)))


def _crossings(points: Array, direction: Affine, shape: tuple[int, ...]) -> Affine:
    """Return (points, n) sorted times at which lines through points cross the edges of pixels."""
    times = [
        (np.arange(size + 1) - points[:, axis, None]) / direction[axis]
        for axis, size in enumerate(shape)
        if abs(direction[axis]) > _SAME
    ]
    return np.sort(np.concatenate(times, axis=1), axis=1)


def _filled(mask: Array, places: Affine, flat: Array) -> Array:
    """Return which points are inside; along the `flat` axis they may be on an edge, and both sides count."""
    inside = np.zeros(places.shape[:-1], dtype=bool)
    for shift in (-_SAME, _SAME) if flat.any() else (0.0,):
        at = np.floor(places + shift * flat).astype(int)
        # what lies beyond the mask goes to its margin, which is empty
        y, x = (np.minimum(np.maximum(at[..., a], 0), mask.shape[a] - 1) for a in (0, 1))
        inside |= mask[y, x]
    return inside


def _longest_runs(inside: Array, times: Affine) -> tuple[Affine, Affine]:
    """Return for each row the times at which its longest run of True starts and ends."""
    last = np.full(inside.shape, -1)
    column = np.arange(inside.shape[1])
    last[~inside] = np.broadcast_to(column, inside.shape)[~inside]
    # index of the first True of the run that each True belongs to
    first = np.maximum.accumulate(last, axis=1) + 1
    begins = np.take_along_axis(times, np.minimum(first, inside.shape[1]), axis=1)
    lengths = np.where(inside, times[:, 1:] - begins, 0)
    best = lengths.argmax(axis=1)[:, None]
    ends = np.take_along_axis(times[:, 1:], best, axis=1)
    return np.take_along_axis(begins, best, axis=1)[:, 0], ends[:, 0]
