"""Known displacements of real scans, found again by the registration of sequences.

A sequence is resampled to thick, tilted slices, its header is turned by up to 15 degrees and moved by up to
20 mm, and it is registered onto another sequence of the patient. Two errors are told: against the motion that
is found without the displacement, and, for scans that were co-registered before, against where they were
delivered (which has errors of its own). Then cases that no registration can solve are tried, to see whether
each is recognised.

    python benchmarks/registration.py ../shared/data
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from napari_tumorseg.geometry import Affine, Array, Grid
from napari_tumorseg.intensity import background_value
from napari_tumorseg.io import open_case
from napari_tumorseg.io.resample import onto
from napari_tumorseg.preparation import DeepBet, Head, SimpleITKRegistration, align
from napari_tumorseg.preparation.components import without_specks
from napari_tumorseg.scan import Image, Role

MAX_DEGREES, MAX_MM = 15.0, 20.0
TOLERATED_DEGREES, TOLERATED_MM = 1.0, 1.0


@dataclass(frozen=True, eq=False)
class Pair:
    """Two sequences of a patient, and whether they were delivered lying on each other."""

    name: str
    fixed: Head
    moving: Head
    is_registered: bool = True


def main() -> None:
    """Print a row for each displacement, then one for each impossible case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that holds brats/ and negatives/")
    parser.add_argument("--rounds", type=int, default=3, help="displacements of each pair of sequences")
    arguments = parser.parse_args()
    pairs = list(_pairs(arguments.data))
    noise = np.random.default_rng(0)
    print(
        "pair  turned (degrees)  moved (mm)  error (degrees, mm)  against delivery  overlap  CPU s  verdict"
    )
    good: list[bool] = []
    for pair in pairs:
        still = SimpleITKRegistration().motion(pair.fixed, pair.moving)
        good += [_one(pair, still, noise) for _ in range(arguments.rounds)]
    print(f"found within {TOLERATED_MM:g} mm and {TOLERATED_DEGREES:g} degree: {sum(good)} of {len(good)}")
    recognised = [_impossible(name, fixed, moving) for name, fixed, moving in _impossible_cases(pairs)]
    print(f"failures recognised: {sum(recognised)} of {len(recognised)}")


def _one(pair: Pair, still: Affine, noise: np.random.Generator) -> bool:
    """Displace, register, and print the error."""
    turn, shift = noise.uniform(0, MAX_DEGREES), noise.uniform(0, MAX_MM)
    centre = _centre(pair.moving)
    displaced = _motion(turn * _direction(noise), shift * _direction(noise), centre)
    start = time.process_time()
    found = align(pair.fixed, _moved(pair.moving, displaced), SimpleITKRegistration())
    seconds = time.process_time() - start
    angle, distance = _error(found.motion @ displaced, still, centre)
    delivered = ""
    if pair.is_registered:
        delivered = "{:5.2f} {:5.2f}".format(*_error(found.motion @ displaced, np.eye(4), centre))
    right = angle < TOLERATED_DEGREES and distance < TOLERATED_MM
    verdict = found.problem or ("accepted" if right else "accepted, though wrong")
    print(
        f"{pair.name:<30} {turn:5.1f} {shift:5.1f}   {angle:5.2f} {distance:5.2f}   {delivered:<11}   "
        f"{found.after.overlap:.3f} {seconds:5.1f}  {verdict}",
        flush=True,
    )
    return right and not found.problem


def _error(found: Affine, wanted: Affine, centre: Affine) -> tuple[float, float]:
    """Return degrees, and mm at a point of the moving image, between two motions."""
    rest = found @ np.linalg.inv(wanted)
    angle = np.degrees(Rotation.from_matrix(rest[:3, :3]).magnitude())
    apart = (found - wanted)[:3, :3] @ centre + (found - wanted)[:3, 3]
    return float(angle), float(np.linalg.norm(apart))


def _impossible(name: str, fixed: Head, moving: Head) -> bool:
    found = align(fixed, moving, SimpleITKRegistration())
    print(f"{name:<50} overlap {found.after.overlap:.3f}  {found.problem or 'accepted'}", flush=True)
    return bool(found.problem)


# ---------------------------------------------------------------- the sequences


def _pairs(data: Path) -> Iterator[Pair]:
    brats = data / "brats"
    yield from _registered(brats / "BraTS-GLI-00001-000", (Role.T1C, Role.T1, Role.T2))
    for number in ("1", "4", "5", "6"):
        yield from _registered(brats / f"brats_2013_pat000{number}_1", (Role.T1C,))
    for patient in ("TCGA-DU-7294", "TCGA-FG-6692"):
        yield from _registered(brats / patient / "brain_extracted", (Role.T1C,))
    yield from _native(brats / "TCGA-FG-6692" / "native")
    yield from _itself(data / "negatives" / "chris_t1.nii.gz")


def _registered(folder: Path, roles: tuple[Role, ...]) -> Iterator[Pair]:
    """Yield sequences on one grid, the second one in thick, tilted slices."""
    scan = open_case(folder).scan()
    name = folder.parent.name if folder.name == "brain_extracted" else folder.name
    fixed = Head(scan.reference, _brain_of(scan.reference))
    for role in roles:
        if role in scan.roles:
            moving = _thick(Head(scan.roles[role], _brain_of(scan.roles[role])))
            yield Pair(f"{name} {role.title}", fixed, moving)


def _native(folder: Path) -> Iterator[Pair]:
    """Yield native sequences."""
    case = open_case(folder)
    heads = {image.role: _extracted(image) for image in case.images}
    fixed = heads.pop(Role.FLAIR)
    for role, moving in heads.items():
        yield Pair(f"TCGA-FG-6692 native {role.title}", fixed, moving, is_registered=False)


def _itself(path: Path) -> Iterator[Pair]:
    """Yield a head with skull and the same in thick slices, twice."""
    head = _extracted(open_case(path).reference())
    for name, tilt in (("axial", 8.0), ("steep", 25.0)):
        yield Pair(f"chris_t1 {name}", head, _thick(head, tilt))


def _extracted(image: Image) -> Head:
    return Head(image, without_specks(DeepBet().extract(image) > 0.5, image.grid))


def _brain_of(image: Image) -> Array:
    return np.asarray(image.data != background_value(image.data))


def _thick(head: Head, tilt: float = 10.0) -> Head:
    """Return a head in slices of 5 mm, tilted about the axis from left to right."""
    grid, middle = head.image.grid, _centre(head)
    steps, size = np.array([5.0, 1.2, 1.2]), np.array([36, 190, 160])
    affine = np.eye(4)
    turn = Rotation.from_euler("x", tilt, degrees=True).as_matrix()
    affine[:3, :3] = turn @ (grid.affine[:3, :3] / grid.spacing) * steps
    affine[:3, 3] = middle - affine[:3, :3] @ ((size - 1) / 2)
    target = Grid((int(size[0]), int(size[1]), int(size[2])), affine)
    assert head.brain is not None
    brain = onto(head.brain.astype(np.float32), grid, target) > 0.5
    return Head(replace(head.image, data=onto(head.image.data, grid, target), grid=target), np.asarray(brain))


# ---------------------------------------------------------------- displacements


def _moved(head: Head, motion: Affine) -> Head:
    grid = replace(head.image.grid, affine=motion @ head.image.grid.affine)
    return Head(replace(head.image, grid=grid), head.brain)


def _motion(turn: Affine, shift: Affine, centre: Affine) -> Affine:
    """Return the matrix of a rotation vector in degrees about a point, and a shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn, degrees=True).as_matrix()
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + shift
    return matrix


def _direction(noise: np.random.Generator) -> Affine:
    vector = noise.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def _centre(head: Head) -> Affine:
    return head.image.grid.to_world(np.argwhere(head.tissue).mean(axis=0))


def _impossible_cases(pairs: list[Pair]) -> Iterator[tuple[str, Head, Head]]:
    """Yield what must not be accepted."""
    for pair in (pairs[0], pairs[-3]):
        moving, centre = pair.moving, _centre(pair.moving)
        for axis in np.eye(3):
            upside_down = _moved(moving, _motion(150 * axis, np.zeros(3), centre))
            yield f"{pair.name}, turned by 150 degrees", pair.fixed, upside_down
        assert moving.brain is not None
        third = len(moving.image.data) // 3
        grid = replace(moving.image.grid, shape=(third, *moving.image.grid.shape[1:]))
        slab = Head(replace(moving.image, data=moving.image.data[:third], grid=grid), moving.brain[:third])
        yield f"{pair.name}, a third of its slices", pair.fixed, slab
        blank = np.random.default_rng(1).normal(100, 10, moving.image.data.shape).astype(np.float32)
        ball = np.zeros(blank.shape, dtype=bool)
        ball[tuple(slice(n // 3, 2 * n // 3) for n in ball.shape)] = True
        yield f"{pair.name}, noise", pair.fixed, Head(replace(moving.image, data=blank), ball)


if __name__ == "__main__":
    main()
