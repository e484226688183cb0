"""The folder that was gone through last."""

from __future__ import annotations

import os

import pytest

from napari_tumorseg.errors import OutputError
from napari_tumorseg.session import LastWorklist, last_worklist, note_worklist


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("TUMORSEG_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_it_is_remembered(tmp_path, own_state, monkeypatch):
    assert last_worklist() is None
    note_worklist(tmp_path / "one", tmp_path / "masks")
    note_worklist(tmp_path / "zwei Ärzte", tmp_path / "out")
    assert last_worklist() == LastWorklist(tmp_path / "zwei Ärzte", tmp_path / "out")
    if os.name == "posix":
        assert own_state.stat().st_mode & 0o077 == 0  # names of folders can be names of patients
    monkeypatch.chdir(tmp_path)
    note_worklist(tmp_path.__class__("here"), tmp_path.__class__("there"))
    assert last_worklist() == LastWorklist(tmp_path / "here", tmp_path / "there")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"cases": 1, "output": "x"}', '{"cases": "", "output": ""}', "[" * 100_000]
)
def test_a_damaged_note_is_none(own_state, text):
    own_state.mkdir()
    (own_state / "worklist.json").write_text(text)
    assert last_worklist() is None


def test_a_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUMORSEG_STATE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot be made"):
        note_worklist(tmp_path, tmp_path)
    assert last_worklist() is None
