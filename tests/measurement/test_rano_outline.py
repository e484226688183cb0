from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement import OUTLINES, change, rano
from napari_tumorseg.measurement.rano import Rano
from napari_tumorseg.measurement.rano_outline import lesion_mask
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation

SHAPE = (3, 40, 50)
NCR, ED, ET = 1, 2, 3


def ring(core=NCR, convention="brats-2023"):
    """A frame of enhancing tumour, 20 x 30 and 3 thick, around something else."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 10:30, 10:40] = ET
    labels[1, 13:27, 13:37] = core
    return Segmentation(labels, Grid.from_codes(SHAPE, "SPL", (1.0, 1.0, 1.0)), CONVENTIONS[convention], "x")


def lengths(seg, outline):
    lesion = rano(seg, outline=outline).lesions[0]
    return lesion.longest.length_mm, lesion.perpendicular.length_mm


def test_lines_cross_enclosed_necrosis_only_if_that_is_wanted():
    seg = ring()
    longest, perpendicular = lengths(seg, "with-necrosis")
    assert longest == pytest.approx(np.hypot(20, 30))
    assert perpendicular > 20
    longest, perpendicular = lengths(seg, "enhancing-only")
    # corner to corner of the lower beam, and up the side
    assert longest == pytest.approx(np.hypot(3, 30))
    assert perpendicular <= np.hypot(20, 3)
    assert rano(seg) == rano(seg, outline="enhancing-only")


def test_the_lesion_grows_by_the_necrosis_and_nothing_else():
    seg = ring()
    seg.labels[1, 15:20, 15:20] = ED  # oedema inside the ring
    seg.labels[1, 2:6, 2:6] = NCR  # necrosis outside of it
    mask = lesion_mask(seg.labels, seg.convention, "ET", "with-necrosis")
    expected = (seg.labels == ET) | (seg.labels == NCR)
    expected[1, 2:6, 2:6] = False
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(
        lesion_mask(seg.labels, seg.convention, "ET", "enhancing-only"), seg.labels == ET
    )
    assert rano(seg, outline="with-necrosis").lesions[0].voxels == expected.sum()


@pytest.mark.parametrize("core", [4, 2, 0])
def test_a_cavity_oedema_or_nothing_in_the_ring_is_not_crossed(core):
    seg = ring(core, "brats-2024")
    assert lengths(seg, "with-necrosis") == lengths(seg, "enhancing-only")


def test_a_cavity_beside_necrosis_is_not_crossed():
    seg = ring(1, "brats-2024")
    seg.labels[1, 13:27, 20:30] = 4
    mask = lesion_mask(seg.labels, seg.convention, "ET", "with-necrosis")
    np.testing.assert_array_equal(mask, np.isin(seg.labels, (1, 3)))
    assert lengths(seg, "with-necrosis")[0] < np.hypot(20, 30)


def test_an_open_ring_encloses_nothing():
    seg = ring()
    seg.labels[1, 10:13, 20] = ED
    assert lengths(seg, "with-necrosis") == lengths(seg, "enhancing-only")


def test_a_ring_that_closes_at_a_corner_is_closed():
    seg = ring()
    seg.labels[1, 10:13, 10:13] = 0
    seg.labels[1, 12, 12] = ET
    assert lesion_mask(seg.labels, seg.convention, "ET", "with-necrosis")[1, 20, 20]


def test_enclosing_is_decided_on_each_axial_slice():
    seg = ring()
    seg.labels[0, 13:27, 13:37] = NCR  # no ring on this slice
    mask = lesion_mask(seg.labels, seg.convention, "ET", "with-necrosis")
    assert not mask[0].any()
    assert mask[1].sum() == 20 * 30


def test_non_enhancing_core_counts_as_necrosis_where_labels_do_not_part_them():
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 10:30, 10:40] = 4
    labels[1, 13:27, 13:37] = 1
    seg = replace(ring(), labels=labels, convention=CONVENTIONS["brats-2021"])
    assert lengths(seg, "with-necrosis")[0] == pytest.approx(np.hypot(20, 30))


@pytest.mark.parametrize("outline", OUTLINES)
def test_the_outline_is_written_and_read(outline):
    found = rano(ring(), outline=outline)
    content = json.loads(json.dumps(found.to_dict()))
    assert content["outline"] == found.outline == outline
    assert Rano.from_dict(content) == found


def test_files_of_earlier_versions_have_the_outline_of_then():
    content = rano(ring()).to_dict()
    del content["outline"]
    assert Rano.from_dict(content) == rano(ring())


def test_other_regions_have_no_outline():
    assert rano(ring(), "WT", "with-necrosis").outline is None
    assert rano(ring(), "WT", "with-necrosis") == rano(ring(), "WT")


def test_an_unknown_outline():
    with pytest.raises(InputError, match="enhancing-only or with-necrosis, not 'outer'"):
        rano(ring(), outline="outer")


def test_products_of_different_outlines_are_not_compared():
    seg = ring()
    one, other = rano(seg), rano(seg, outline="with-necrosis")
    found = change(seg, seg, diameters=(one, other))
    assert found.product is None
    assert "the outlines of diameters differ before and after: not compared" in found.notes
    found = change(seg, seg, diameters=(other, other))
    assert found.product is not None and found.product.outline == "with-necrosis"
