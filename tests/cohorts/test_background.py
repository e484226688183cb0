"""A run in a process of its own: order, what is left alone, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from napari_tumorseg.cohorts import plan, run_plan
from napari_tumorseg.cohorts.background import Errand, events, parse_events
from napari_tumorseg.cohorts.record import mask_path, record_path
from napari_tumorseg.cohorts.remarks import Remark, remarks
from napari_tumorseg.io import read_mask, write_mask
from napari_tumorseg.io.output_set import PART
from napari_tumorseg.io.side_files import set_problems
from napari_tumorseg.session import State, Worklist
from tests.builders import write_case
from tests.cohorts.conftest import brain


def errand(data, out, settings, **more):
    return Errand((str(data),), str(out), model=settings.model, niceness=0, **more)


def todo(wanted):
    """Run an errand to its end; return what it set out to do."""
    first, *_ = events(wanted)
    return first["todo"]


def change(data):
    """Replace the images of b by those of a larger tumour."""
    shutil.rmtree(data / "b")
    write_case(data, {"flair": brain(5)}, "b")


def correct(out, name):
    """Do what a person does: change a voxel of a mask, and save it as corrected."""
    seg = read_mask(mask_path(out, name))
    labels = np.array(seg.labels)
    labels[0, 0, 0] = 1
    facts = {"corrected_by_hand": True}
    write_mask(replace(seg, labels=labels, name=name, provenance=facts), mask_path(out, name), overwrite=True)
    return labels


def test_cases_are_done_in_the_order_that_is_wanted(data, tmp_path, settings):
    wanted = errand(data, tmp_path / "out", settings, order=("c", "odd"))
    found = list(events(wanted))
    assert found[0] == {"todo": ["c", "odd", "a", "b"]}
    assert [(one["case"], one["state"]) for one in found[1:]] == [
        ("c", "done"),
        ("odd", "failed"),
        ("a", "done"),
        ("b", "done"),
    ]
    assert Errand.from_line(wanted.to_line()) == wanted
    assert todo(wanted) == ["odd"]  # what failed is tried again when it is asked for


def test_a_case_that_was_approved_without_a_mask_stays_without(data, tmp_path, settings):
    Worklist.open(data, tmp_path / "out").set("b", State.DONE)
    assert todo(errand(data, tmp_path / "out", settings)) == ["a", "c", "odd"]
    assert not mask_path(tmp_path / "out", "b").exists()


def test_masks_are_made_again_only_if_that_is_wanted(data, tmp_path, settings):
    out = tmp_path / "out"
    list(events(errand(data, out, settings)))
    change(data)
    before = mask_path(out, "b").read_bytes()
    assert todo(errand(data, out, settings)) == ["odd"]
    assert mask_path(out, "b").read_bytes() == before
    assert todo(errand(data, out, settings, redo=True)) == ["b", "odd"]
    assert np.count_nonzero(read_mask(mask_path(out, "b")).labels) == 3 * 25


def test_a_mask_of_another_program_in_the_place_of_one_made_before_is_kept(data, tmp_path, settings):
    out = tmp_path / "out"
    list(events(errand(data, out, settings)))
    seg = read_mask(mask_path(out, "b"))
    write_mask(replace(seg, name="b", provenance={}), mask_path(out, "b"), overwrite=True)
    before = mask_path(out, "b").read_bytes()
    change(data)
    assert todo(errand(data, out, settings, redo=True)) == ["odd"]
    assert mask_path(out, "b").read_bytes() == before


def test_the_whole_failing_is_an_event(tmp_path, settings):
    (found,) = events(errand(tmp_path / "nothing", tmp_path / "out", settings))
    assert "nothing" in found["error"]


def test_lines_that_are_no_events_are_left_out():
    assert list(parse_events(["hello", "[1]", '{"case": "a"}', ""])) == [{"case": "a"}]


@pytest.mark.parametrize("moment", ["before it is read", "while it is segmented"])
def test_a_mask_that_a_person_makes_meanwhile_is_kept(data, tmp_path, settings, moment, monkeypatch):
    out = tmp_path / "out"
    list(run_plan(plan(data, out, settings)))
    change(data)
    planned = plan(data, out, settings)
    assert [task.name for task in planned.todo()] == ["b"]
    if moment == "before it is read":
        labels = correct(out, "b")
    else:
        from napari_tumorseg.cohorts.unit import Unit

        found, run = {}, Unit.segment

        def segment(unit, *args, **kwargs):
            result = run(unit, *args, **kwargs)
            found["labels"] = correct(out, "b")
            return result

        monkeypatch.setattr(Unit, "segment", segment)
    record = next(one.record for one in run_plan(planned) if one.is_new)
    labels = labels if moment == "before it is read" else found["labels"]
    np.testing.assert_array_equal(read_mask(mask_path(out, "b")).labels, labels)
    assert record.state == "done" and record.flags == ("corrected by hand",)
    assert record.regions[0]["voxels"] == np.count_nonzero(labels)
    assert not set_problems(mask_path(out, "b"))


def test_remarks_tell_failures_and_flags(data, tmp_path, settings):
    out = tmp_path / "out"
    assert remarks(out) == {}
    list(run_plan(plan(data, out, settings)))
    (out / "cohort_records" / "x.json").write_text("{")
    found = remarks(out)
    assert set(found) == {"a", "b", "c", "odd"} and found["a"] == Remark(flags=found["a"].flags)
    assert "flair" in str(found["odd"].failure).lower() and not found["odd"].flags
    correct(out, "a")
    list(run_plan(plan(data, out, settings)))
    assert "corrected by hand" in remarks(out)["a"].flags


@pytest.mark.slow
def test_the_process_ends_with_its_window_and_leaves_nothing_half_written(tmp_path, settings):
    data, out = tmp_path / "many", tmp_path / "out"
    names = [f"p{number:03d}" for number in range(120)]  # more than get done before this process reacts
    for name in names:
        write_case(data, {"flair": brain()}, name)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "napari_tumorseg.cohorts.background"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(errand(data, out, settings).to_line())
        process.stdin.flush()
        told = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.stdin.close()  # what the system does, too, when a window is killed
        process.wait(60)
    assert told[0] == {"todo": names}
    done = [name for name in names if mask_path(out, name).exists()]
    assert {told[1]["case"], told[2]["case"]} <= set(done) and len(done) < len(names)
    assert all(not set_problems(mask_path(out, n)) and record_path(out, n).exists() for n in done)
    list(run_plan(plan(data, out, settings)))
    assert all(mask_path(out, name).exists() for name in names)
    assert not [path for path in out.iterdir() if path.name.startswith(PART)]
