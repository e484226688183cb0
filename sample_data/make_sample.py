#!/usr/bin/env python3
"""Make the synthetic sample scans that the package ships.

usage: python sample_data/make_sample.py [--out DIR] [--no-tumour]

Anatomy comes from the MNI152 template and its tissue maps (bundled with nilearn, read offline),
bent by smooth random fields; contrasts, tumours, skull, bias field and noise are drawn here.
Seeds are fixed. Needs numpy, scipy, scikit-image, nilearn, nibabel, h5py, tifffile and imagecodecs.

Arrays are (Z, Y, X): Z towards the head, Y towards the back, X towards the left. Positions are mm
in the same directions, zero at the MNI origin.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import imagecodecs
import nibabel as nib
import numpy as np
import tifffile
from nilearn import datasets
from scipy import ndimage as ndi
from scipy.interpolate import BSpline
from skimage.graph import MCP_Geometric
from skimage.morphology import convex_hull_image

CASE = "TumorSeg-Sample-000"
LGG_CASE = "TumorSeg_Sample"
BRATS_SEED = 20240
LGG_SEED = 30217

NCR, ED, ET = 1, 2, 3  # BraTS 2023

# Grey levels of pure tissue. The steps between tissues, in units of a scan's standard deviation,
# follow what public BraTS scans show; no more than 8 bits, so that the files stay small.
BRATS_LEVELS = {
    "t1n": {"csf": 42, "gm": 92, "wm": 117, "ncr": 74, "ed": 96, "et": 90, "vessel": 70},
    "t1c": {"csf": 42, "gm": 91, "wm": 113, "ncr": 68, "ed": 98, "et": 148, "vessel": 185},
    "t2w": {"csf": 225, "gm": 100, "wm": 80, "ncr": 170, "ed": 148, "et": 118, "vessel": 60},
    "t2f": {"csf": 38, "gm": 120, "wm": 111, "ncr": 152, "ed": 166, "et": 168, "vessel": 70},
}
# Channel order of the LGG layout: pre-contrast T1, FLAIR, post-contrast T1.
LGG_LEVELS = {
    "pre": {"csf": 28, "gm": 70, "wm": 84, "ncr": 48, "ed": 60, "et": 62, "vessel": 45,
            "fat": 205, "skin": 105, "bone": 10, "marrow": 95, "muscle": 62, "dura": 50},
    "flair": {"csf": 15, "gm": 67, "wm": 60, "ncr": 108, "ed": 122, "et": 118, "vessel": 35,
              "fat": 135, "skin": 90, "bone": 9, "marrow": 62, "muscle": 42, "dura": 45},
    "post": {"csf": 28, "gm": 70, "wm": 82, "ncr": 46, "ed": 60, "et": 128, "vessel": 150,
             "fat": 190, "skin": 120, "bone": 10, "marrow": 92, "muscle": 72, "dura": 95},
}  # fmt: skip
BRATS_NOISE = 3.4  # grey levels, before the slight smoothing that resampling leaves in real scans
LGG_NOISE = 2.2
GREY_STEP = 3  # grey levels merged into one in the BraTS volumes; the noise hides it, the files shrink
AIR_OFFSET = 2  # grey levels: scanners of the LGG scans cut the noise floor off
STRIP_RADIUS = 3.0  # mm
# Standard deviation of the logarithm of the bias field; BraTS scans have theirs mostly corrected.
BRATS_BIAS = 0.02
LGG_BIAS = 0.05

HDF5_SLICES = range(85, 105)  # of the 1 mm volume, counted from 0 as in the Kaggle data set
HDF5_STEP = 1 / 8  # of a standard deviation: the rounded scores compress four times better
HDF5_CHANNELS = ("t1n", "t1c", "t2w", "t2f")
BRATS_THICKNESS = 2  # slices of the 1 mm volume averaged into one of the NIfTI volume
LGG_THICKNESS = 3  # 2 mm steps averaged into one 6 mm slice


@dataclass(frozen=True)
class Grid:
    """A lattice in mm: voxel (0, 0, 0) lies at `origin`."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    brain_size: float  # relative to the template, which is larger than most brains

    def axes(self) -> list[np.ndarray]:
        """Positions along each axis, shaped to broadcast against each other."""
        lines = [o + s * np.arange(n) for n, s, o in zip(self.shape, self.spacing, self.origin, strict=True)]
        return list(np.ix_(*lines))


@dataclass(frozen=True)
class TumourPlan:
    """Where a tumour lies and how it grows; lengths in mm."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    roughness: float  # amplitude of the irregular core surface
    rim: float  # mean thickness of the enhancing rim
    reach: float  # how far oedema runs along white matter
    push: float  # mass effect at the core's surface


BRATS_GRID = Grid((155, 240, 240), (1.0, 1.0, 1.0), (-75.0, -102.0, -119.5), 0.94)
LGG_GRID = Grid((66, 256, 256), (2.0, 0.9, 0.9), (-48.0, -98.0, -115.0), 0.95)
BRATS_TUMOUR = TumourPlan((20.0, 24.0, -37.0), (18.0, 21.0, 17.0), 2.6, 5.5, 19.0, 6.0)
LGG_TUMOUR = TumourPlan((26.0, -24.0, 31.0), (9.0, 11.0, 8.0), 2.0, 3.0, 25.0, 5.0)


# --- random fields ---------------------------------------------------------------------------


def spline_basis(count: int, step: float, scale: float) -> np.ndarray:
    """Cubic B-spline weights of knots `scale` apart at `count` positions `step` apart.

    Returns
    -------
    numpy.ndarray
        Shape (count, knots).
    """
    knots = int(np.ceil(count * step / scale)) + 4
    places = np.arange(count) * step / scale + 3
    return BSpline.design_matrix(places, np.arange(knots + 4, dtype=float), 3).toarray()


def smooth_noise(grid: Grid, rng: np.random.Generator, scale: float) -> np.ndarray:
    """Gaussian noise with features of about `scale` mm, mean 0 and standard deviation 1."""
    bases = [spline_basis(n, s, scale) for n, s in zip(grid.shape, grid.spacing, strict=True)]
    field = rng.standard_normal([b.shape[1] for b in bases])
    for basis in bases:  # each pass works on the first axis and puts it last
        field = np.moveaxis(np.tensordot(basis, field, (1, 0)), 0, -1)
    return ((field - field.mean()) / field.std()).astype(np.float32)


def sigmoid(depth: np.ndarray, width: float = 0.6) -> np.ndarray:
    """Soft step over `width` mm: partial volume instead of a staircase."""
    return (1 / (1 + np.exp(-np.clip(depth / width, -30, 30)))).astype(np.float32)


# --- anatomy ---------------------------------------------------------------------------------


def load_templates() -> dict[str, np.ndarray]:
    """MNI152 T1, grey and white matter at 1 mm as (Z, Y, X) arrays, and the origin's index."""
    loaders = {
        "t1": datasets.load_mni152_template,
        "gm": datasets.load_mni152_gm_template,
        "wm": datasets.load_mni152_wm_template,
    }
    images = {name: load(resolution=1) for name, load in loaders.items()}
    maps = {n: np.asarray(i.dataobj, np.float32).T[:, ::-1, ::-1] for n, i in images.items()}
    _, height, width = maps["t1"].shape
    right, front, up = -images["t1"].affine[:3, 3]
    maps["origin"] = np.array([up, height - 1 - front, width - 1 - right], np.float32)
    maps["brain"] = (maps["t1"] > 0).astype(np.float32)
    return maps


def push_out(grid: Grid, plan: TumourPlan) -> list[np.ndarray]:
    """Displacement away from a tumour: `push` mm at its surface, fading over about one radius."""
    offsets = [a - c for a, c in zip(grid.axes(), plan.centre, strict=True)]
    radius = np.sqrt(sum((o / r) ** 2 for o, r in zip(offsets, plan.radii, strict=True)))
    strength = plan.push * np.minimum(radius, 1.0) * np.exp(-np.clip(radius - 1, 0, None))
    length = np.sqrt(sum(o**2 for o in offsets)) + 1e-3
    return [(strength * o / length).astype(np.float32) for o in offsets]


def sample_positions(grid: Grid, rng: np.random.Generator, plan: TumourPlan | None) -> list[np.ndarray]:
    """Where in the template each voxel of the grid takes its anatomy from, in mm."""
    positions = []
    for axis in grid.axes():
        bend = 2.2 * smooth_noise(grid, rng, 45.0) + 0.9 * smooth_noise(grid, rng, 11.0)
        positions.append(axis.astype(np.float32) + bend)
    if plan is not None:
        positions = [p - u for p, u in zip(positions, push_out(grid, plan), strict=True)]
    return [p / grid.brain_size for p in positions]


def warp_anatomy(grid: Grid, rng: np.random.Generator, plan: TumourPlan | None) -> dict[str, np.ndarray]:
    """Tissue fractions, T1 texture and brain mask of one made-up person."""
    maps = load_templates()
    places = sample_positions(grid, rng, plan)
    index = np.stack([p + o for p, o in zip(places, maps["origin"], strict=True)])
    warped = {n: ndi.map_coordinates(maps[n], index, order=1) for n in ("t1", "gm", "wm", "brain")}
    tissue = sharpen(warped)
    tissue["brain"] = strip_brain(warped["brain"] > 0.5, grid)
    return tissue


def strip_brain(brain: np.ndarray, grid: Grid) -> np.ndarray:
    """Brain mask without thin or loose bits, as skull-stripping tools leave it."""
    core = ndi.distance_transform_edt(brain, sampling=grid.spacing) > STRIP_RADIUS
    opened = ndi.distance_transform_edt(~core, sampling=grid.spacing) <= STRIP_RADIUS
    parts, _ = ndi.label(opened)
    return parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1


def sharpen(warped: dict[str, np.ndarray], power: float = 2.2) -> dict[str, np.ndarray]:
    """Turn the population's tissue probabilities into one person's tissue fractions.

    The template averages 152 people; raising its probabilities to a power brings back borders
    as sharp as in a single scan. What T1 shows beyond the fractions is kept as texture.
    """
    gm, wm = warped["gm"], warped["wm"]
    csf = np.clip(1 - gm - wm, 0, 1)
    powers = np.stack([(1.5 * csf) ** power, gm**power, wm**power])  # sulci blur most in the average
    csf, gm, wm = powers / np.maximum(powers.sum(0), 1e-6)
    brain = warped["brain"] > 0.5
    levels = [warped["t1"][brain & (p > 0.9)].mean() for p in (csf, gm, wm)]
    texture = warped["t1"] - sum(v * p for v, p in zip(levels, (csf, gm, wm), strict=True))
    texture = (texture - ndi.gaussian_filter(texture, 12)) / (levels[2] - levels[0])
    return {"csf": csf, "gm": gm, "wm": wm, "texture": np.clip(texture, -0.25, 0.25)}


def draw_vessels(grid: Grid, rng: np.random.Generator, anatomy: dict[str, np.ndarray]) -> np.ndarray:
    """Thin tubes in the fluid around the brain, where two random surfaces cross, and the sagittal sinus."""
    first, second = smooth_noise(grid, rng, 9.0), smooth_noise(grid, rng, 9.0)
    tubes = np.exp(-(first**2 + second**2) / (2 * 0.2**2)) * np.clip(2 * anatomy["csf"] - 0.2, 0, 1)
    depth = ndi.distance_transform_edt(anatomy["brain"], sampling=grid.spacing)
    up, back, left = grid.axes()
    behind = sigmoid(back + np.clip(up, 0, 90) - 20, 8.0)  # the sinus runs over the top to the back
    sinus = sigmoid(2.5 - np.abs(left), 0.8) * sigmoid(3.5 - depth, 0.8) * behind * sigmoid(up + 5, 4.0)
    return np.clip(tubes + 0.9 * sinus, 0, 1).astype(np.float32)


# --- tumour ----------------------------------------------------------------------------------


def core_depth(grid: Grid, rng: np.random.Generator, plan: TumourPlan) -> np.ndarray:
    """Depth below the irregular surface of the tumour core, in mm."""
    offsets = [a - c for a, c in zip(grid.axes(), plan.centre, strict=True)]
    radius = np.sqrt(sum((o / r) ** 2 for o, r in zip(offsets, plan.radii, strict=True)))
    mean = float(np.mean(plan.radii))
    bumps = smooth_noise(grid, rng, 13.0) + 0.45 * smooth_noise(grid, rng, 5.0)
    return mean * (1 - radius) + plan.roughness * bumps


def walk_from(core: np.ndarray, anatomy: dict[str, np.ndarray], grid: Grid) -> np.ndarray:
    """Shortest way from the core, in mm of white matter; grey matter is slower, fluid a barrier.

    Computed on every second voxel: the way is smooth, and four times cheaper than it looks.
    """
    cost = anatomy["wm"] + 3.6 * anatomy["gm"] + 12.0 * anatomy["csf"] + 50.0 * ~anatomy["brain"]
    step = tuple(max(1, round(2 / s)) for s in grid.spacing)
    thin = tuple(slice(None, None, s) for s in step)
    sampling = [s * k for s, k in zip(grid.spacing, step, strict=True)]
    starts = np.argwhere(core[thin])
    ways, _ = MCP_Geometric(ndi.gaussian_filter(cost, 0.7)[thin], sampling=sampling).find_costs(starts)
    index = np.meshgrid(*[np.arange(n) / k for n, k in zip(grid.shape, step, strict=True)], indexing="ij")
    ways = ndi.gaussian_filter(np.minimum(ways, 60.0), 0.8)
    return ndi.map_coordinates(ways, index, order=1, mode="nearest")


def grow_tumour(
    grid: Grid, rng: np.random.Generator, anatomy: dict[str, np.ndarray], plan: TumourPlan
) -> dict[str, np.ndarray]:
    """Fractions of necrosis, enhancing rim and oedema in each voxel."""
    depth = core_depth(grid, rng, plan)
    rim = np.maximum(plan.rim * (1 + 0.45 * smooth_noise(grid, rng, 8.0)), 1.6)
    edge = plan.reach * (1 + 0.2 * smooth_noise(grid, rng, 16.0) + 0.1 * smooth_noise(grid, rng, 7.0))
    way = walk_from(depth > 0, anatomy, grid)
    inside = ndi.gaussian_filter(anatomy["brain"].astype(np.float32), 1.0)
    solid = sigmoid(depth) * (inside > 0.5)
    dead = solid * sigmoid(depth - rim)
    swollen = sigmoid(edge - way, 1.2) * (inside > 0.5) * (1 - anatomy["csf"])
    fade = np.clip(1 - way / np.maximum(edge, 1), 0, 1)  # oedema is densest near the core
    swollen = connected(np.maximum(swollen, solid), depth > 0) - solid
    return {"ncr": dead, "et": solid - dead, "ed": swollen, "fade": fade}


def connected(fraction: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Fractions without islands that touch nothing of the seed."""
    parts, _ = ndi.label(fraction > 0.1)
    kept = np.unique(parts[seed & (parts > 0)])
    return np.where(np.isin(parts, kept), fraction, 0)


def no_tumour(grid: Grid) -> dict[str, np.ndarray]:
    """Return the fractions of a healthy brain."""
    return {name: np.zeros(grid.shape, np.float32) for name in ("ncr", "et", "ed", "fade")}


def labels_of(tumour: dict[str, np.ndarray], thickness: int) -> np.ndarray:
    """Label of the largest fraction in each voxel of the thickened volume."""
    parts = [thicken(tumour[name], thickness) for name in ("ncr", "ed", "et")]
    parts.insert(0, 1 - sum(parts))
    return np.argmax(parts, axis=0).astype(np.uint8)


# --- images ----------------------------------------------------------------------------------


def thicken(volume: np.ndarray, thickness: int) -> np.ndarray:
    """Average slices in groups; a last incomplete group is dropped."""
    count = len(volume) // thickness
    return volume[: count * thickness].reshape(count, thickness, *volume.shape[1:]).mean(1)


def paint(
    grid: Grid,
    rng: np.random.Generator,
    levels: dict[str, float],
    anatomy: dict[str, np.ndarray],
    tumour: dict[str, np.ndarray],
) -> np.ndarray:
    """Noise-free signal of the brain in one contrast."""
    contrast = levels["wm"] - levels["csf"]
    signal = sum(levels[t] * anatomy[t] for t in ("csf", "gm", "wm")) + 0.6 * contrast * anatomy["texture"]
    signal += 0.025 * levels["wm"] * smooth_noise(grid, rng, 6.0) * (1 - anatomy["csf"])
    signal += (levels["vessel"] - signal) * anatomy["vessels"]
    patchy = 0.45 * (tumour["fade"] - 0.35) + 0.13 * smooth_noise(grid, rng, 8.0)
    oedema = levels["ed"] + (levels["ed"] - levels["wm"]) * patchy
    healthy = signal
    signal = healthy + tumour["ed"] * (oedema + 0.35 * (healthy - levels["wm"]) - healthy)
    for name, spread in (("ncr", 0.12), ("et", 0.10)):
        lumps = smooth_noise(grid, rng, 7.0) + 0.5 * smooth_noise(grid, rng, 3.5)
        signal += tumour[name] * (levels[name] * (1 + spread * lumps) - healthy)
    return signal


def scan(
    grid: Grid, rng: np.random.Generator, signal: np.ndarray, thickness: int, noise: float, bias: float
) -> np.ndarray:
    """Slices as a scanner would give them: bias field, slice profile, Rician noise."""
    biased = signal * np.exp(bias * smooth_noise(grid, rng, 90.0))
    slices = thicken(biased, thickness)
    real, imaginary = noise * rng.standard_normal((2, *slices.shape))
    slices = np.hypot(slices + real, imaginary)
    return ndi.gaussian_filter(slices, (0, 0.55, 0.55))


def make_person(
    grid: Grid, seed: int, plan: TumourPlan, with_tumour: bool
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.random.Generator]:
    """Anatomy and tumour fractions of one made-up person, and the generator for what follows."""
    rng = np.random.default_rng(seed)
    anatomy = warp_anatomy(grid, rng, plan if with_tumour else None)
    anatomy["vessels"] = draw_vessels(grid, rng, anatomy)
    # spawned, so that leaving the tumour out changes nothing else
    tumour = grow_tumour(grid, rng.spawn(1)[0], anatomy, plan) if with_tumour else no_tumour(grid)
    return anatomy, tumour, rng


# --- skull and scalp, for the LGG layout -----------------------------------------------------

# Outer border of each shell around the brain's hull in mm.
SHELLS = (
    ("csf", 1.4),
    ("dura", 2.0),
    ("bone", 3.6),
    ("marrow", 5.6),
    ("bone", 7.0),
    ("fat", 11.0),
    ("skin", 12.4),
)
SKULL_RADIUS = 18.0  # mm: the skull bridges sulci and the gap between the hemispheres
BASE = -24.0  # mm: below this the head no longer follows the brain


def brain_hull(brain: np.ndarray, grid: Grid) -> np.ndarray:
    """Signed distance in mm to the closed brain, positive outside."""
    far = ndi.distance_transform_edt(~brain, sampling=grid.spacing) > SKULL_RADIUS
    hull = ndi.distance_transform_edt(~far, sampling=grid.spacing) > SKULL_RADIUS
    outside = ndi.distance_transform_edt(~hull, sampling=grid.spacing)
    inside = ndi.distance_transform_edt(hull, sampling=grid.spacing)
    return ndi.gaussian_filter(outside - inside, (2, 4, 4))


def extend_head(head: np.ndarray, grid: Grid) -> np.ndarray:
    """Head below the skull's base: its outline there, slowly narrowing downwards."""
    head = head.copy()
    base = int((BASE - grid.origin[0]) / grid.spacing[0])
    rows, columns = np.nonzero(head[base])
    middle = np.array([(rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2])
    outline = head[base].astype(np.float32)
    for z in range(base):
        scale = 1 + 0.0045 * (base - z)
        shrunk = ndi.affine_transform(outline, [scale, scale], middle * (1 - scale), order=1)
        head[z] |= shrunk > 0.5
    return head


def skull_signal(levels: dict[str, float], fields: dict[str, np.ndarray]) -> np.ndarray:
    """Signal outside the brain: shells around the skull, soft tissue and bone below it."""
    distance, depth = fields["distance"], fields["depth"]
    signal = np.full(distance.shape, float(levels["csf"]), np.float32)
    for (_, start), (name, _) in itertools.pairwise(SHELLS):
        signal += (levels[name] - signal) * sigmoid(distance - start, 0.35)
    soft = levels["muscle"] + (levels["fat"] - levels["muscle"]) * sigmoid(fields["streaks"] - 0.9, 0.15)
    soft += (levels["bone"] - soft) * sigmoid(fields["cavities"] - 0.75, 0.1)
    deep = np.maximum(sigmoid(distance - SHELLS[4][1], 0.5), fields["base"]) * sigmoid(depth - 6.0, 0.5)
    signal += (soft - signal) * deep
    shallow = sigmoid(5.0 - depth, 0.5) * sigmoid(distance - SHELLS[4][1], 0.5)
    signal += (levels["fat"] - signal) * shallow
    signal += (levels["skin"] - signal) * sigmoid(1.3 - depth, 0.3)
    return signal * fields["head"]


def head_fields(grid: Grid, rng: np.random.Generator, brain: np.ndarray) -> dict[str, np.ndarray]:
    """Distances and random patterns that `skull_signal` paints from."""
    distance = brain_hull(brain, grid)
    distance += 0.9 * smooth_noise(grid, rng, 30.0) * np.clip(distance / 4, 0, 1)
    head = distance < SHELLS[-1][1]
    # the skin also bridges the hollow at the temples
    head = np.stack([convex_hull_image(h) if h.any() else h for h in head])
    head = extend_head(head, grid)
    depth = ndi.distance_transform_edt(head, sampling=grid.spacing)
    # below the skull's base bone and soft tissue, not fluid, fill what lies between parts of the brain
    gap = ndi.distance_transform_edt(~brain, sampling=grid.spacing)
    return {
        "distance": distance,
        "depth": depth,
        "base": sigmoid(gap - 4.0, 0.5) * sigmoid(BASE + 8 - grid.axes()[0], 2.0),
        "head": ndi.gaussian_filter(head.astype(np.float32), (0, 0.5, 0.5)),
        "streaks": smooth_noise(grid, rng, 6.0),
        "cavities": smooth_noise(grid, rng, 10.0),
    }


# --- files -----------------------------------------------------------------------------------


def write_nifti(path: Path, volume: np.ndarray) -> None:
    """Write a (Z, Y, X) volume as BraTS does: int16, LPS, q- and s-form 1, mm."""
    affine = np.diag([-1.0, -1.0, BRATS_THICKNESS, 1.0])
    affine[1, 3] = volume.shape[1] - 1
    image = nib.Nifti1Image(np.ascontiguousarray(volume.T.astype(np.int16)), affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    path.write_bytes(imagecodecs.gzip_encode(image.to_bytes(), level=12))  # without a time stamp


def write_brats(folder: Path, volumes: dict[str, np.ndarray], labels: np.ndarray) -> None:
    """Write one BraTS 2023 case folder."""
    folder = folder / CASE
    folder.mkdir(parents=True, exist_ok=True)
    for name, volume in {**volumes, "seg": labels}.items():
        write_nifti(folder / f"{CASE}-{name}.nii.gz", volume)
    side = {"case": CASE, "scheme": "brats-2023", "labels": {"1": "NCR", "2": "ED", "3": "ET"}}
    text = json.dumps(side, indent=2) + "\n"
    (folder / f"{CASE}-seg.json").write_text(text, encoding="utf-8")


def write_hdf5_slice(path: Path, image: np.ndarray, labels: np.ndarray) -> None:
    """Write one slice of the Kaggle HDF5 layout, which holds arrays as (X, Y, channel)."""
    options = {"compression": "gzip", "compression_opts": 9, "shuffle": True, "track_times": False}
    masks = np.stack([labels == k for k in (NCR, ED, ET)], -1).astype(np.uint8)
    with h5py.File(path, "w") as file:
        chunks = (*image.shape[1::-1], 1)  # channels apart: they share no values
        data = file.create_dataset("image", data=image.transpose(1, 0, 2), chunks=chunks, **options)
        data.attrs["channels"] = "t1,t1c,t2,flair"
        data.attrs["axes"] = "X,Y,C"
        data = file.create_dataset("mask", data=masks.transpose(1, 0, 2), **options)
        data.attrs["channels"] = "NCR,ED,ET"
        data.attrs["axes"] = "X,Y,C"


def write_hdf5(folder: Path, volumes: dict[str, np.ndarray], labels: np.ndarray) -> None:
    """Write a range of 1 mm slices as z-scores of the brain."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = []
    for name in HDF5_CHANNELS:
        volume = volumes[name].astype(np.float32)
        brain = volume[volume > 0]
        scores.append((volume - brain.mean()) / brain.std())
    stack = (np.rint(np.stack(scores, -1) / HDF5_STEP) * HDF5_STEP).astype(np.float32)
    for z in HDF5_SLICES:
        write_hdf5_slice(folder / f"volume_1_slice_{z}.h5", stack[z], labels[z])


def write_lgg(folder: Path, image: np.ndarray, mask: np.ndarray) -> None:
    """Write one patient folder of the LGG layout."""
    folder = folder / LGG_CASE
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "compression": "zlib",
        "compressionargs": {"level": 12},
        "predictor": True,
        "rowsperstrip": 256,
    }
    options |= {"metadata": None, "software": False}
    for number, (picture, truth) in enumerate(zip(image, mask, strict=True), start=1):
        stem = folder / f"{LGG_CASE}_{number}"
        tifffile.imwrite(f"{stem}.tif", picture, photometric="rgb", **options)
        tifffile.imwrite(f"{stem}_mask.tif", truth, photometric="minisblack", **options)


# --- the three samples -----------------------------------------------------------------------


def quantise(slices: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Whole grey levels, at least 1 inside so that 0 means background and nothing else."""
    return np.where(inside, np.clip(np.rint(slices / GREY_STEP), 1, 255), 0).astype(np.uint8)


def make_brats(out: Path, with_tumour: bool) -> None:
    """Make the NIfTI case and the HDF5 slices: one person, scanned at 2 mm and at 1 mm."""
    anatomy, tumour, rng = make_person(BRATS_GRID, BRATS_SEED, BRATS_TUMOUR, with_tumour)
    thick, thin = {}, {}
    for name, levels in BRATS_LEVELS.items():
        signal = paint(BRATS_GRID, rng, levels, anatomy, tumour)
        for target, thickness in ((thick, BRATS_THICKNESS), (thin, 1)):
            inside = thicken(anatomy["brain"], thickness) > 0.5
            slices = scan(BRATS_GRID, rng, signal, thickness, BRATS_NOISE, BRATS_BIAS)
            target[name] = quantise(slices, inside)
    brain = anatomy["brain"]
    write_brats(out / "brats", thick, labels_of(tumour, BRATS_THICKNESS) * (thick["t1n"] > 0))
    write_hdf5(out / "hdf5", thin, labels_of(tumour, 1) * brain)


def make_lgg(out: Path, with_tumour: bool) -> None:
    """Make the LGG case: another person, with skull and scalp, in thick slices."""
    anatomy, tumour, rng = make_person(LGG_GRID, LGG_SEED, LGG_TUMOUR, with_tumour)
    fields = head_fields(LGG_GRID, rng, anatomy["brain"])
    inside = ndi.gaussian_filter(anatomy["brain"].astype(np.float32), (0, 0.5, 0.5))
    channels = []
    for levels in LGG_LEVELS.values():
        signal = paint(LGG_GRID, rng, levels, anatomy, tumour)
        signal = inside * signal + (1 - inside) * skull_signal(levels, fields)
        slices = scan(LGG_GRID, rng, signal, LGG_THICKNESS, LGG_NOISE, LGG_BIAS)
        channels.append(np.clip(np.rint(slices - AIR_OFFSET), 0, 255).astype(np.uint8))
    mask = np.where(labels_of(tumour, LGG_THICKNESS) > 0, 255, 0).astype(np.uint8)
    write_lgg(out / "lgg", np.stack(channels, -1), mask)


def main() -> None:
    """Read the command line and make all samples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder to write to (default: beside this script)")
    parser.add_argument("--no-tumour", action="store_true", help="leave the tumours out; needs --out")
    options = parser.parse_args()
    if options.no_tumour and options.out is None:
        parser.error("--no-tumour needs --out: the shipped samples have tumours")
    out = options.out or Path(__file__).resolve().parent
    make_brats(out, not options.no_tumour)
    make_lgg(out, not options.no_tumour)


if __name__ == "__main__":
    main()
