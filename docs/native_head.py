"""Native scan made from the synthetic sample: skull, scalp, thick slices, and a motion between sequences."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_tumorseg.samples import sample_path

Array = npt.NDArray[np.float64]

_PAD = 12
# mm from the brain to the outside of a shell, and its intensity as a share of the brain's brightest
_FLUID, _BONE, _SCALP = (4, 0.15), (10, 0.06), 16
_FAT = {"flair": 0.5, "t1c": 0.9}
_ENDING = {"flair": "t2f", "t1c": "t1c"}
_SIZE = {"flair": ((256, 256, 34), (0.94, 0.94, 5.5)), "t1c": ((240, 240, 37), (1.0, 1.0, 5.0))}
_NOISE = 0.02
_SHIFT_MM, _DEGREES = (3.0, -5.0, 4.0), (6.0, -3.0, 5.0)


def write_native_head(folder: Path) -> None:
    """Write FLAIR and T1c, each on a grid of its own; the head moves between them.

    Parameters
    ----------
    folder : Path
        Gets ``head_flair.nii.gz`` and ``head_t1c.nii.gz``.
    """
    folder.mkdir(parents=True)
    for seed, role in enumerate(_FAT):
        source = nib.nifti1.load(next(sample_path("brats").glob(f"*{_ENDING[role]}*")))
        head, affine = _dressed(np.asarray(source.dataobj, dtype=float), source.affine, _FAT[role])
        motion = np.eye(4) if role == "flair" else _motion(_centre(head.shape, affine))
        scan, grid = _acquired(head, motion @ affine, _centre(head.shape, affine), *_SIZE[role], seed)
        nib.nifti1.Nifti1Image(scan, grid).to_filename(folder / f"head_{role}.nii.gz")


def _dressed(brain: Array, affine: Array, fat: float) -> tuple[Array, Array]:
    """Return the brain within fluid, bone and scalp, and the affine of the larger array."""
    data = np.pad(brain, _PAD)
    inside = ndimage.binary_fill_holes(ndimage.binary_closing(data > 0, iterations=2))
    away = ndimage.distance_transform_edt(~inside, sampling=np.abs(np.diag(affine)[:3]))
    top = np.percentile(brain[brain > 0], 98)
    data[(away > 0) & (away <= _SCALP)] = fat * top
    for reach, share in (_BONE, _FLUID):
        data[(away > 0) & (away <= reach)] = share * top
    return data, affine @ nib.affines.from_matvec(np.eye(3), (-_PAD,) * 3)


def _motion(centre: Array) -> Array:
    """Return the motion of the head, turned about its centre."""
    turn = Rotation.from_euler("xyz", _DEGREES, degrees=True).as_matrix()
    return np.asarray(nib.affines.from_matvec(turn, centre + _SHIFT_MM - turn @ centre))


def _acquired(
    head: Array, affine: Array, centre: Array, shape: tuple[int, ...], spacing: tuple[float, ...], seed: int
) -> tuple[npt.NDArray[np.int16], Array]:
    """Return the head in thick axial slices around a place, with the noise of a magnitude image."""
    grid = np.diag([*spacing, 1.0]) * [-1, -1, 1, 1]
    grid[:3, 3] = centre - grid[:3, :3] @ ((np.array(shape) - 1) / 2)
    # a slice is the mean of what lies in it
    thickness = spacing[2] / np.linalg.norm(affine[:3, 2])
    thick = ndimage.uniform_filter1d(head, max(1, round(thickness)), axis=2)
    places = np.linalg.inv(affine) @ grid
    scan = ndimage.affine_transform(thick, places[:3, :3], places[:3, 3], shape, order=1)
    random, width = np.random.default_rng(seed), _NOISE * head.max()
    noisy = np.hypot(scan + random.normal(0, width, shape), random.normal(0, width, shape))
    return np.round(noisy).astype(np.int16), grid


def _centre(shape: tuple[int, ...], affine: Array) -> Array:
    """Return the middle of an array, in mm."""
    return np.asarray(nib.affines.apply_affine(affine, (np.array(shape) - 1) / 2))
