from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy import ndimage

from napari_tumorseg.measurement import bidimensional
from napari_tumorseg.measurement.bidimensional import bidimensional_diameters

# spacings as fractions, so that the oracle decides everything exactly
SPACINGS = [(1, 1), (Fraction(3, 4), Fraction(5, 4)), (Fraction(2), Fraction(1, 2)), (Fraction(15, 16), 1)]


def inside(mask, y, x):
    """Tell exactly whether a point lies in a filled pixel, edges included."""
    rows = {y // 1} | ({y - 1} if y == y // 1 else set())
    columns = {x // 1} | ({x - 1} if x == x // 1 else set())
    return any(
        0 <= i < mask.shape[0] and 0 <= j < mask.shape[1] and mask[int(i), int(j)]
        for i in rows
        for j in columns
    )


def crossings(start, step, low, high):
    """Return the exact times between two at which a line crosses the edges of pixels."""
    times = {low, high}
    for s, d in zip(start, step, strict=True):
        if d:
            ends = sorted((s + low * d, s + high * d))
            ks = range(int(ends[0] // 1), int(ends[1] // 1) + 2)
            times |= {t for t in (Fraction(k - s) / d for k in ks) if low <= t <= high}
    return sorted(times)


def stays_inside(mask, start, end):
    step = [Fraction(e - s) for s, e in zip(start, end, strict=True)]
    times = crossings(start, step, Fraction(0), Fraction(1))
    middles = ((t + u) / 2 for t, u in pairwise(times))
    return all(inside(mask, *(s + t * d for s, d in zip(start, step, strict=True))) for t in middles)


def runs(mask, start, step):
    """Return the exact length, in steps, of the longest run inside on a line through a point."""
    reach = Fraction(4 * max(mask.shape)) / max(abs(d) for d in step)
    longest = run = Fraction(0)
    for t, u in pairwise(crossings(start, step, -reach, reach)):
        at = (s + (t + u) / 2 * d for s, d in zip(start, step, strict=True))
        run = run + u - t if inside(mask, *at) else Fraction(0)
        longest = max(longest, run)
    return longest


def corners(mask):
    m = np.pad(mask, 1).astype(int)
    around = m[1:, 1:] + m[:-1, 1:] + m[1:, :-1] + m[:-1, :-1]
    return [(int(y), int(x)) for y, x in np.argwhere((around > 0) & (around < 4))]


class Brute:
    """Every pair of corners, and every perpendicular through a corner, in exact arithmetic."""

    def __init__(self, mask, spacing):
        self.mask = mask
        self.squares = tuple(Fraction(s) ** 2 for s in spacing)
        self.corners = corners(mask)
        self.chords = [pair for pair in combinations(self.corners, 2) if stays_inside(mask, *pair)]
        self.longest = max(self.square(self.step(c)) for c in self.chords)

    def step(self, chord):
        return [Fraction(e - s) for s, e in zip(*chord, strict=True)]

    def dot(self, one, other):
        return sum(a * b * s for a, b, s in zip(one, other, self.squares, strict=True))

    def square(self, step):
        return self.dot(step, step)

    def perpendicular(self):
        """Longest one to any of the longest chords."""
        best = 0.0
        for chord in self.chords:
            along = self.step(chord)
            if self.square(along) == self.longest:
                best = max(best, self.exact(along), self.nearly(along))
        return best

    def exact(self, along):
        across = [-along[1] * self.squares[1], along[0] * self.squares[0]]
        longest = max(runs(self.mask, corner, across) for corner in self.corners)
        return float(longest) * float(self.square(across)) ** 0.5

    def nearly(self, along):
        limit = np.sin(np.radians(1)) ** 2
        steps = (self.step(c) for c in self.chords)
        lengths = [
            float(self.square(s)) ** 0.5
            for s in steps
            if self.dot(s, along) ** 2 <= limit * self.square(s) * self.longest
        ]
        return max(lengths, default=0.0)


def shape(seed):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.random(rng.integers(2, 9, 2)), (0, 0.7, 1.2)[seed % 3])
    return field >= np.quantile(field, rng.uniform(0.1, 0.7))


def length(step, basis):
    return float(np.linalg.norm(basis @ step))


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
@pytest.mark.parametrize("seed", range(12))
def test_random_shapes_against_brute_force(seed, spacing):
    mask = shape(seed)
    brute = Brute(mask, spacing)
    found = bidimensional_diameters(mask, np.diag([float(s) for s in spacing]))
    assert found.longest.length == pytest.approx(float(brute.longest) ** 0.5, rel=1e-9)
    assert found.perpendicular.length == pytest.approx(brute.perpendicular(), rel=1e-7)


@pytest.mark.parametrize("seed", range(20))
def test_ends_lengths_and_the_angle_belong_together(seed):
    mask = shape(seed)
    basis = np.array([[1.0, 0.2], [0.0, 0.8], [0.3, 0.0]])  # oblique and sheared
    found = bidimensional_diameters(mask, basis)
    steps = [chord.end - chord.start for chord in found]
    for chord, step in zip(found, steps, strict=True):
        assert length(step, basis) == pytest.approx(chord.length)
    cosine = (basis @ steps[0]) @ (basis @ steps[1]) / found.product
    assert abs(np.degrees(np.arcsin(cosine))) <= 1 + 1e-9
    assert stays_inside(mask, *(tuple(int(v) for v in end) for end in found.longest[:2]))


@pytest.mark.parametrize("seed", range(6))
def test_a_shape_that_is_turned_or_mirrored_has_the_same_diameters(seed):
    mask, basis = shape(seed), np.diag([0.7, 1.3])
    wanted = bidimensional_diameters(mask, basis)
    for other, its in ((mask[::-1], basis), (mask[:, ::-1], basis), (mask.T, basis[::-1, ::-1])):
        found = bidimensional_diameters(other, its)
        assert found.longest.length == pytest.approx(wanted.longest.length)
        assert found.product == pytest.approx(wanted.product)


@pytest.mark.parametrize("seed", range(6))
def test_pairs_in_blocks(seed, monkeypatch):
    mask, basis = shape(seed), np.diag([0.7, 1.3])
    wanted = bidimensional_diameters(mask, basis)
    monkeypatch.setattr(bidimensional, "_PAIRS", 1)
    assert bidimensional_diameters(mask, basis).product == pytest.approx(wanted.product)


def test_a_rectangle_by_hand():
    found = bidimensional_diameters(np.ones((3, 4), bool), np.eye(2))
    assert found.longest.length == pytest.approx(5)
    # through a corner, at right angles to the diagonal: 3 high, 9/4 wide
    assert found.perpendicular.length == pytest.approx(np.hypot(3, 9 / 4))


def test_a_rectangle_is_perpendicular_in_mm_not_in_pixels():
    found = bidimensional_diameters(np.ones((3, 4), bool), np.diag([4.0, 3.0]))
    # a square of 12 mm
    assert found.longest.length == pytest.approx(12 * np.sqrt(2))
    assert found.perpendicular.length == pytest.approx(12 * np.sqrt(2))


def test_one_pixel():
    found = bidimensional_diameters(np.ones((1, 1), bool), np.diag([3.0, 4.0]))
    assert found.longest.length == pytest.approx(5)
    assert found.perpendicular.length == pytest.approx(np.hypot(3, 9 / 4))


def test_a_chord_does_not_cross_a_hole():
    ring = np.ones((9, 9), bool)
    ring[2:7, 2:7] = False
    found = bidimensional_diameters(ring, np.eye(2))
    # past a corner of the hole, from the side of one arm to the end of another
    assert found.longest.length == pytest.approx(float(Brute(ring, (1, 1)).longest) ** 0.5)
    assert found.longest.length < np.hypot(9, 9) - 2


def test_a_chord_does_not_leap_from_piece_to_piece():
    mask = np.zeros((3, 20), bool)
    mask[1, 2:6] = mask[1, 10:17] = True
    assert bidimensional_diameters(mask, np.eye(2)).longest.length == pytest.approx(np.hypot(7, 1))


def test_pixels_that_touch_at_a_corner_are_one_shape():
    found = bidimensional_diameters(np.eye(5, dtype=bool), np.eye(2))
    assert found.longest.length == pytest.approx(5 * np.sqrt(2))
    assert found.perpendicular.length == pytest.approx(np.sqrt(2))


def test_a_disc():
    y, x = np.indices((41, 41)) - 20
    found = bidimensional_diameters(y**2 + x**2 <= 400, np.eye(2))
    assert found.longest.length == pytest.approx(41, abs=1)
    assert found.perpendicular.length == pytest.approx(41, abs=1)


def test_what_cannot_be_larger_is_not_looked_for():
    mask = np.ones((3, 4), bool)
    product = bidimensional_diameters(mask, np.eye(2)).product
    assert bidimensional_diameters(mask, np.eye(2), above=product * 0.999).product == pytest.approx(product)
    assert bidimensional_diameters(mask, np.eye(2), above=product * 1.001) is None
    assert bidimensional_diameters(mask, np.eye(2), above=1000.0) is None


def test_an_empty_mask():
    assert bidimensional_diameters(np.zeros((4, 4), bool), np.eye(2)) is None


@pytest.mark.parametrize("seed", range(8))
def test_the_bound_holds(seed):
    mask, basis = shape(seed), np.diag([0.7, 1.3])
    found = bidimensional_diameters(mask, basis)
    outline = bidimensional._Shape(np.pad(mask, 1), basis.T @ basis)
    assert outline.bound >= found.product
    assert outline.longest_possible >= found.longest.length
    assert outline.widest_across(found.longest) >= found.perpendicular.length
