"""Turn the LGG slices into cases that look like BraTS, to teach brats-regions what a whole tumour is.

    python docs/strip_lgg.py kaggle_3m lgg_stripped
    tumorseg train --recipe brats-regions --data BRATS --data lgg_stripped -o runs/brats

FLAIR and T1c of every patient who has both, and T1 where there is one, the skull taken off by thresholds and
erosion, slice by slice: crude, but good enough for slices that only teach. Their masks know the whole tumour
alone. The voxel size is a guess (5 x 0.9 x 0.9 mm). Two patients who are among the BraTS cases, too, are left
out by name; six more are BraTS2021_01476 to 01484 (see docs/models.md): keep both on one side of a split.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import disk

from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.io import write_mask
from napari_tumorseg.io.dataset import CaseRef, DataSet
from napari_tumorseg.scan import Role, Segmentation

SPACING = (5.0, 0.9, 0.9)
TWICE = ("TCGA-FG-6692", "TCGA-DU-7294")
LEAST = 5000  # pixels of brain on an average slice; with fewer, the skull has fooled the thresholds


def main() -> None:
    """Write a folder for each patient."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("source", type=Path)
    parser.add_argument("goal", type=Path)
    arguments = parser.parse_args()
    for case in DataSet.find([arguments.source]).cases:
        if case.patient not in TWICE:
            print(case.name, write(case, arguments.goal / case.name))


def write(case: CaseRef, folder: Path) -> str:
    """Write one patient's files; return what became of it."""
    scan, reference = case.load()
    if not {Role.FLAIR, Role.T1C} <= scan.roles.keys():
        return "has no T1c of its own"
    volumes = {role: image.data.astype(np.float32) for role, image in scan.roles.items()}
    brain = strip(volumes[Role.T1C]) | (reference.labels > 0)
    if brain.sum() < LEAST * len(brain):
        return "left out: little brain was found"
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])
    for name, data in volumes.items():
        volume = (data * brain).transpose(2, 1, 0).astype(np.int16)
        nib.save(nib.Nifti1Image(volume, affine), folder / f"{case.name}_{name}.nii.gz")
    grid = Grid.from_codes(brain.shape, spacing=SPACING)
    seg = Segmentation(reference.labels, grid, reference.convention, case.name)
    write_mask(seg, folder / f"{case.name}_seg.nii.gz", overwrite=True)
    return "written"


def strip(volume: Array) -> Array:
    """Return where the brain is in (Z, Y, X) slices of a T1c with the skull on."""
    smooth = ndimage.gaussian_filter(volume, (0, 0.7, 0.7))
    bright = np.percentile(smooth[smooth > 0.05 * smooth.max()], 98)
    head = np.stack([ndimage.binary_fill_holes(s) for s in smooth > 0.12 * bright])
    low = 0.55 * threshold_otsu(np.clip(smooth[head], 0, bright))
    high = 1.15 * np.percentile(smooth[head], 97.5)
    depth = np.stack([ndimage.distance_transform_edt(s) for s in head])
    inner = (smooth > low) & (smooth < high) & (depth > 5)
    centre = ndimage.center_of_mass(head.any(axis=0))
    return np.stack([_brain(s, h, centre) for s, h in zip(inner, head, strict=True)])


def _brain(inner: Array, head: Array, centre: tuple[float, float]) -> Array:
    """Return the piece nearest to being a brain: large and in the middle once thin bridges are gone."""
    parts, count = ndimage.label(ndimage.binary_erosion(inner, disk(4)))
    if not count:
        return np.zeros_like(head)
    places = ndimage.center_of_mass(parts > 0, parts, range(1, count + 1))
    away = [((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 50**2 for y, x in places]
    best = 1 + int(np.argmax(np.bincount(parts.ravel())[1:] * np.exp(-np.array(away))))
    grown = ndimage.binary_closing(np.pad(ndimage.binary_dilation(parts == best, disk(4)), 8), disk(4))
    return ndimage.binary_fill_holes(grown[8:-8, 8:-8]) & head


if __name__ == "__main__":
    main()
