"""The shipped models on scans that everybody has, or that come with the project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg.inference import segment
from napari_tumorseg.io import read, read_mask
from napari_tumorseg.measurement import measure
from napari_tumorseg.regions import region_mask
from napari_tumorseg.samples import sample_path
from napari_tumorseg.scan import Role, Scan

NEGATIVE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "negatives" / "chris_t1.nii.gz"
LEAST = {"WT": 0.9, "TC": 0.8, "ET": 0.75}


def without_tumour(scan: Scan, mask: np.ndarray) -> Scan:
    """Return a scan whose half with the tumour is the mirror image of the other one."""
    middle = mask.shape[2] // 2
    is_left = mask[:, :, :middle].sum() > mask[:, :, -middle:].sum()
    images = []
    for image in scan.images:
        data = np.array(image.data)
        if is_left:
            data[:, :, :middle] = data[:, :, : -middle - 1 : -1]
        else:
            data[:, :, -middle:] = data[:, :, middle - 1 :: -1]
        images.append(replace(image, data=data))
    return replace(scan, images=tuple(images))


def test_brats_regions_outlines_the_sample_and_finds_nothing_in_its_healthy_half() -> None:
    folder = sample_path("brats")
    scan, reference = read(folder), read_mask(next(folder.rglob("*seg.nii.gz")))
    found = segment(scan, "brats-regions")
    for name, least in LEAST.items():
        values = found.convention.regions[name]
        one, other = region_mask(found.labels, values), region_mask(reference.labels, values)
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) >= least, name
    assert not segment(without_tumour(scan, reference.labels > 0), "brats-regions").labels.any()


@pytest.mark.slow
def test_lgg_flair_finds_nothing_in_a_healthy_volunteer() -> None:
    if not NEGATIVE.is_file():
        pytest.skip("the real scans are not here")
    scan = read(NEGATIVE, roles={"chris_t1": Role.FLAIR})
    (whole,) = (row for row in measure(segment(scan, "lgg-flair")).rows if row.name == "WT")
    assert whole.volume_ml is not None and whole.volume_ml <= 0.5
