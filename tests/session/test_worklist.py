from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.session import STATE_FILE, State, Worklist
from tests.builders import head, write_case

CASES = ("anna", "bert", "carl", "dora")


@pytest.fixture
def folder(tmp_path):
    for name in CASES:
        write_case(tmp_path / "in", {"flair": head((2, 12, 12))}, name)
    return tmp_path


def open_list(folder):
    return Worklist.open(folder / "in", folder / "out")


def save_mask(folder, name, provenance=None):
    (folder / "out").mkdir(exist_ok=True)
    (folder / "out" / f"{name}.nii.gz").write_bytes(b"mask")
    if provenance is not None:
        (folder / "out" / f"{name}.json").write_text(json.dumps(provenance))


def states(worklist):
    return {entry.name: entry.state for entry in worklist.entries}


def test_all_new_and_nothing_written(folder):
    worklist = open_list(folder)
    assert states(worklist) == dict.fromkeys(CASES, State.NEW)
    assert not worklist.output.exists() and not worklist.problems
    assert worklist.entry("bert").ref.open().images[0].data.shape == (2, 12, 12)


def test_states_are_told_from_masks(folder):
    save_mask(folder, "anna_seg")
    save_mask(folder, "bert_seg", {"model": "x", "corrected_by_hand": False})
    save_mask(folder, "carl_seg", {"corrected_by_hand": True})
    save_mask(folder, "dora_seg", {"edits": {"total": 3}})
    worklist = open_list(folder)
    assert list(states(worklist).values()) == ["segmented", "segmented", "corrected", "corrected"]
    assert worklist.entry("anna").mask == folder / "out" / "anna_seg.nii.gz"


def test_goes_on_where_it_stopped(folder):
    worklist = open_list(folder)
    assert worklist.set("anna", State.DONE).state is State.DONE
    worklist.set("carl", State.SEGMENTED)
    again = open_list(folder)
    assert states(again) == {"anna": "done", "bert": "new", "carl": "segmented", "dora": "new"}
    assert again.counts() == {"new": 2, "segmented": 1, "corrected": 0, "done": 1}
    assert again.set("anna", State.NEW).state is State.NEW
    save_mask(folder, "anna_seg", {"corrected_by_hand": True})
    again.refresh()
    assert states(again)["anna"] is State.CORRECTED


def test_next_and_previous(folder):
    worklist = open_list(folder)
    worklist.set("bert", State.DONE)
    to_do = {State.NEW}
    assert worklist.next().name == "anna" and worklist.previous().name == "dora"
    assert worklist.next("anna").name == "bert"
    assert worklist.next("anna", to_do).name == "carl"
    assert worklist.previous("carl", to_do).name == "anna"
    assert worklist.next("dora") is None and worklist.previous("anna") is None
    assert worklist.next("anna", {State.CORRECTED}) is None


def test_a_mask_of_another_name(folder):
    save_mask(folder, "my mask")
    worklist = open_list(folder)
    assert worklist.mask_path("bert").name == "bert_seg.nii.gz"
    worklist.set("bert", State.CORRECTED, folder / "out" / "my mask.nii.gz")
    assert open_list(folder).mask_path("bert").name == "my mask.nii.gz"


def test_another_windows_notes_are_kept(folder):
    one, other = open_list(folder), open_list(folder)
    one.set("anna", State.DONE)
    other.set("bert", State.DONE)
    one.set("carl", State.DONE)
    assert states(open_list(folder)) == {"anna": "done", "bert": "done", "carl": "done", "dora": "new"}


def test_cases_that_are_gone_or_added(folder):
    worklist = open_list(folder)
    worklist.set("anna", State.DONE)
    (folder / "in" / "anna").rename(folder / "anna")
    write_case(folder / "in", {"flair": head((2, 12, 12))}, "emil")
    fewer = open_list(folder)
    assert "anna" not in states(fewer) and states(fewer)["emil"] is State.NEW
    with pytest.raises(InputError, match="no case 'anna'"):
        fewer.set("anna", State.NEW)
    fewer.set("emil", State.DONE)
    (folder / "anna").rename(folder / "in" / "anna")
    assert states(open_list(folder))["anna"] is State.DONE


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"cases": []}', '{"cases"', "[" * 100_000, "\x00\x01", '{"states": {}}']
)
def test_a_damaged_file_is_told_and_kept(folder, text):
    save_mask(folder, "bert_seg")
    (folder / "out" / STATE_FILE).write_text(text)
    worklist = open_list(folder)
    assert len(worklist.problems) == 2 and "damaged" in worklist.problems[0]
    assert states(worklist)["bert"] is State.SEGMENTED
    worklist.refresh()
    kept = list((folder / "out").glob("*damaged-*"))
    assert [p.read_text() for p in kept] == [text]
    worklist.set("anna", State.DONE)
    again = open_list(folder)
    assert states(again)["anna"] is State.DONE and not again.problems
    assert kept[0].read_text() == text


def test_a_file_edited_by_hand(folder):
    (folder / "out").mkdir()
    noted = {
        "anna": {"state": "Done"},
        "bert": {"state": "done", "note": "biopsy", "mask": "../../secret.nii"},
        "carl": "done",
        "zoe": {"state": "corrected"},
    }
    text = json.dumps({"cases": noted})
    (folder / "out" / STATE_FILE).write_text(text, encoding="utf-8-sig")
    (folder / "secret.nii").write_bytes(b"")
    worklist = open_list(folder)
    assert "no known state of anna, carl" in worklist.problems[0]
    assert states(worklist) == {"anna": "new", "bert": "done", "carl": "new", "dora": "new"}
    assert worklist.entry("bert").mask is None
    worklist.set("dora", State.DONE)
    written = json.loads((folder / "out" / STATE_FILE).read_text())["cases"]
    assert written["bert"]["note"] == "biopsy" and written["zoe"] == {"state": "corrected"}
    assert (folder / "out" / "tumorseg-worklist.damaged-1.json").read_text("utf-8-sig") == text


def test_what_cannot_be_read_is_not_overwritten(folder):
    (folder / "out" / STATE_FILE).mkdir(parents=True)
    worklist = open_list(folder)
    assert len(worklist.problems) == 2
    with pytest.raises(OutputError, match="cannot be kept"):
        worklist.set("anna", State.DONE)


def test_cases_of_one_folder_name_do_not_share_a_mask(tmp_path):
    for patient in ("one", "two"):
        write_case(tmp_path / "in" / patient, {"flair": head((2, 12, 12))}, "images")
        write_case(tmp_path / "in" / patient, {"t1": head((2, 12, 12))}, f"other {patient}")
    save_mask(tmp_path, "images_seg")
    save_mask(tmp_path, "other one_seg")
    worklist = open_list(tmp_path)
    assert {name for name, state in states(worklist).items() if state != "new"} == {"one_other one"}


def test_real_folders(shared_data, tmp_path):
    worklist = Worklist.open(shared_data / "brats", tmp_path)
    assert len(worklist.entries) >= 6
    assert np.all([entry.state is State.NEW for entry in worklist.entries])


NOTER = """
import sys
from pathlib import Path
from napari_tumorseg.session import State, Worklist

worklist = Worklist.open(Path(sys.argv[1]), Path(sys.argv[2]))
for name in sys.argv[3:]:
    worklist.set(name, State.DONE)
"""


def test_two_processes_lose_no_states(tmp_path):
    cases = [f"case{number:02d}" for number in range(30)]
    for name in cases:
        write_case(tmp_path / "in", {"flair": head((1, 12, 12))}, name)
    command = [sys.executable, "-c", NOTER, str(tmp_path / "in"), str(tmp_path / "out")]
    noters = [subprocess.Popen([*command, *cases[start::3]]) for start in range(3)]
    assert [noter.wait(timeout=120) for noter in noters] == [0, 0, 0]
    worklist = Worklist.open(tmp_path / "in", tmp_path / "out")
    assert worklist.counts()[State.DONE] == len(cases)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [STATE_FILE]
