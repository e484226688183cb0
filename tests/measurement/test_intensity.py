from __future__ import annotations

import json

import numpy as np
import pytest

from napari_tumorseg.errors import GeometryError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement.intensity import REST, intensities
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Image, Role, Scan, Segmentation

SHAPE = (5, 20, 24)
GRID = Grid.from_codes(SHAPE, "SPL", (1.0, 1.0, 1.0))


def scan_of(*channels, brain=None):
    roles = (Role.FLAIR, Role.T1C)
    images = tuple(Image(f"{r}", r, data, GRID) for r, data in zip(roles, channels, strict=False))
    return Scan("case", images, brain)


def noise(seed=0):
    data = np.random.default_rng(seed).normal(100, 20, SHAPE).astype(np.float32)
    data[:, :2] = data[:, -2:] = 0
    return data


@pytest.fixture
def seg():
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 5:12, 5:12] = 2
    labels[2, 7:10, 7:10] = 3
    return Segmentation(labels, GRID, CONVENTIONS["brats-2023"], "case")


def by_name(found):
    return {(d.channel, d.name): d for d in found}


def test_quantiles_of_each_region_in_each_channel(seg):
    one, other = noise(0), noise(1)
    found = by_name(intensities(scan_of(one, other), seg))
    assert [name for _, name in found] == ["ED", "WT", "TC", "ET", REST] * 2
    for channel, data in (("flair", one), ("t1c", other)):
        for name, where in (("ED", seg.labels == 2), ("WT", seg.labels > 0), ("ET", seg.labels == 3)):
            row = found[channel, name]
            quantiles = (row.p1, row.q1, row.median, row.q3, row.p99)
            assert np.allclose(quantiles, np.percentile(data[where].astype(float), (1, 25, 50, 75, 99)))
            assert row.voxels == np.count_nonzero(where)
            assert row.role == channel


def test_histograms_have_common_bins_and_lose_nothing(seg):
    data = noise()
    data[2, 8, 8] = 1e6
    rows = intensities(scan_of(data), seg, bins=16)
    assert len({row.edges for row in rows}) == 1
    for row in rows:
        assert len(row.counts) == 16
        assert sum(row.counts) == row.voxels
    row = by_name(rows)["flair", "ED"]
    inner = np.histogram(data[seg.labels == 2].astype(float), row.edges)[0]
    assert row.counts[1:-1] == tuple(inner[1:-1])


def test_channels_have_bins_of_their_own(seg):
    found = by_name(intensities(scan_of(noise(), 1000 * noise(1)), seg))
    assert found["flair", "WT"].edges[-1] < 1000 < found["t1c", "WT"].edges[-1]


def test_the_rest_is_brain_without_labels(seg):
    data = noise()
    brain = np.zeros(SHAPE, bool)
    brain[:, 4:16, 4:20] = True
    for mask, where in ((brain, brain & (seg.labels == 0)), (None, (data != 0) & (seg.labels == 0))):
        row = by_name(intensities(scan_of(data, brain=mask), seg))["flair", REST]
        assert row.voxels == np.count_nonzero(where)
        assert row.median == pytest.approx(np.median(data[where]), rel=1e-6)


def test_what_is_not_a_number_is_left_out_and_counted(seg):
    data = noise()
    data[2, 7, 7:10] = np.nan, np.inf, -np.inf
    row = by_name(intensities(scan_of(data), seg))["flair", "ET"]
    assert (row.voxels, row.not_numbers) == (6, 3)
    inner = data[seg.labels == 3]
    assert row.median == pytest.approx(np.median(inner[np.isfinite(inner)]))
    assert sum(row.counts) == 6
    assert np.isfinite(row.edges).all()


def test_a_region_without_any_number(seg):
    data = np.full(SHAPE, np.nan, np.float32)
    found = intensities(scan_of(data), seg)
    assert {row.name for row in found} == {"ED", "WT", "TC", "ET"}
    for row in found:
        assert row.median is None
        assert row.edges == row.counts == ()
    data[0, 0, 0] = 5
    json.dumps([row.to_dict() for row in found], allow_nan=False)


def test_a_constant_image(seg):
    rows = intensities(scan_of(np.full(SHAPE, 7, np.int16)), seg)
    assert by_name(rows)["flair", "WT"].median == 7
    assert sum(by_name(rows)["flair", "WT"].counts) == np.count_nonzero(seg.labels)
    assert ("flair", REST) not in by_name(rows)


def test_an_empty_mask(seg):
    empty = Segmentation(np.zeros(SHAPE, np.uint8), GRID, seg.convention, "case")
    assert [row.name for row in intensities(scan_of(noise()), empty)] == [REST]


def test_another_grid(seg):
    other = Grid.from_codes(SHAPE, "SPL", (2.0, 1.0, 1.0))
    with pytest.raises(GeometryError, match="does not lie on the grid of case"):
        intensities(scan_of(noise()), Segmentation(seg.labels, other, seg.convention, "mask"))


def test_it_goes_through_json(seg):
    content = [row.to_dict() for row in intensities(scan_of(noise()), seg)]
    assert json.loads(json.dumps(content, allow_nan=False)) == content
