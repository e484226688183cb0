"""Order of a worklist by what the side files of its masks say."""

from __future__ import annotations

import json

import pytest

from napari_tumorseg.session import Order, State, Worklist
from napari_tumorseg.session.mask_facts import MEASURED_BEFORE, MaskFacts, facts_of
from napari_tumorseg.session.order import ranking
from tests.builders import head, write_case


@pytest.fixture
def folder(tmp_path):
    for name in "abcdefg":
        write_case(tmp_path / "in", {"flair": head((2, 12, 12))}, name)
    (tmp_path / "out").mkdir()
    return tmp_path


def mask(folder, name, band=None, disagreement=None, voxels=100, **more):
    """Write a mask whose volume has an interval of that relative width."""
    interval = (
        {"voxels": voxels, "low": voxels * (1 - band / 2), "high": voxels * (1 + band / 2)} if band else None
    )
    content = {
        "scheme": "binary",
        "intervals": {"WT": {**interval, "coverage": 0.9, "patients": 20}} if interval else {},
        "disagreement": disagreement,
        "measurements": {"rows": [{"name": "WT", "voxels": voxels, "volume_ml": voxels / 1000}]},
        **more,
    }
    (folder / "out" / f"{name}_seg.nii.gz").write_bytes(b"mask")
    (folder / "out" / f"{name}_seg.json").write_text(json.dumps(content))


def names(folder, order):
    return "".join(entry.name for entry in Worklist.open(folder / "in", folder / "out", order).entries)


def fill(folder):
    mask(folder, "a", 0.2, 0.1)
    mask(folder, "b", 0.9, 0.3)
    mask(folder, "c", 0.5, 0.4)
    mask(folder, "d", 1.4, 0.05)
    mask(folder, "e", voxels=0)
    mask(folder, "f")  # as of another program: nothing known


def test_orders(folder):
    fill(folder)
    assert names(folder, Order.NAME) == "abcdefg"
    assert names(folder, Order.BAND) == "edbcafg"
    assert names(folder, Order.DISAGREEMENT) == "ecbadfg"
    # mean ranks: a (1 + 2) / 2, b (3 + 3) / 2, c (2 + 4) / 2, d (4 + 1) / 2
    assert names(folder, Order.BOTH) == "ebcdafg"


def test_a_case_keeps_its_place_when_it_is_corrected_and_done(folder):
    fill(folder)
    worklist = Worklist.open(folder / "in", folder / "out", Order.BAND)
    mask(folder, "d", 1.4, 0.05, corrected_by_hand=True)
    worklist.set("d", State.DONE)
    assert [entry.name for entry in worklist.entries] == list("edbcafg")
    assert worklist.next("d", {State.SEGMENTED}).name == "b"
    worklist.sort(Order.NAME)
    assert [entry.name for entry in worklist.entries] == list("abcdefg")
    mask(folder, "g", 1.8)
    worklist.sort(Order.BAND)
    worklist.refresh()
    assert [entry.name for entry in worklist.entries] == list("egdbcaf")


def test_both_takes_the_rank_there_is_where_the_other_is_not_known(folder):
    mask(folder, "a", 0.2)
    mask(folder, "b", 0.9)
    mask(folder, "c", None, 0.4)
    mask(folder, "d", None, 0.1)
    assert names(folder, Order.BOTH) == "bcadefg"


def test_facts_of_a_side_file(folder):
    mask(folder, "a", 0.5, 0.25, voxels=200)
    facts = facts_of(folder / "out" / "a_seg.nii.gz")
    assert facts.band == pytest.approx(0.5) and facts.disagreement == 0.25
    assert facts.voxel_ml == pytest.approx(0.001) and not facts.is_empty and not facts.is_corrected
    mask(folder, "a", 0.5, voxels=0)
    assert facts_of(folder / "out" / "a_seg.nii.gz").is_empty


def test_numbers_of_before_a_correction_go_first():
    empty, full = ({"rows": [{"name": "WT", "voxels": voxels}]} for voxels in (0, 9))
    assert MaskFacts.of({"measurements": full, MEASURED_BEFORE: empty}).is_empty
    assert not MaskFacts.of({"measurements": full}).is_empty


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"intervals": [1]}',
        '{"intervals": {"WT": 3}, "disagreement": "x"}',
        '{"measurements": 3}',
    ],
)
def test_damaged_side_files_tell_nothing(folder, text):
    (folder / "out" / "a_seg.json").write_text(text)
    assert facts_of(folder / "out" / "a_seg.nii.gz") == MaskFacts()
    assert facts_of(None) == MaskFacts()


def test_equal_values_share_a_rank():
    assert ranking([3.0, 1.0, 3.0, None]) == [2.5 / 3, 1 / 3, 2.5 / 3, None]
