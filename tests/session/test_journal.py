from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tumorseg.edit import change_to
from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.session import (
    EditCounts,
    Journal,
    attached,
    discard,
    fingerprint,
    journal_folder,
    records,
    recover,
    state_folder,
    unfinished,
)

SHAPE = (10, 30, 40)
posix = pytest.mark.skipif(os.name != "posix", reason="kills and locks as POSIX has them")


def start_labels():
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:6, 10:20, 10:20] = 2
    return labels


def strokes(labels, number, seed=0):
    """Apply strokes to the labels and yield what each changed."""
    rng = np.random.default_rng(seed)
    for _ in range(number):
        z, y, x = (int(rng.integers(0, n - 4)) for n in labels.shape)
        block = np.full((1, 4, 4), rng.integers(0, 5), np.uint8)
        change = change_to(labels, (slice(z, z + 1), slice(y, y + 4), slice(x, x + 4)), block)
        if change is not None:
            change.apply(labels)
        yield change


def write_journal(folder, number=20, **options):
    """Return the labels after some strokes and their journal, which is left open."""
    labels = start_labels()
    journal = Journal.start(folder, "scan", labels, {"title": "Scan 1"}, **options)
    for change in strokes(labels, number):
        journal.append(change, "paint")
    return labels, journal


def test_gives_back_the_labels_and_what_was_done(tmp_path):
    before = time.time()
    labels, journal = write_journal(tmp_path)
    journal.append(None, "paint")
    found = recover(journal.path)
    assert np.array_equal(found.labels, labels)
    assert (found.key, found.about) == ("scan", {"title": "Scan 1"})
    assert found.edit_counts == journal.edit_counts
    assert found.edit_counts.total == len(found.actions) <= 20
    assert before <= found.edit_counts.first <= found.edit_counts.last <= time.time()
    assert (found.lost_bytes, found.base_sha256) == (0, fingerprint(start_labels()))


def test_nothing_is_written_before_the_first_edit(tmp_path):
    folder = tmp_path / "state" / "journals"
    labels = start_labels()
    journal = Journal.start(folder, "scan", labels)
    assert not folder.exists()
    change = next(strokes(labels, 1))
    journal.append(change, "fill")
    assert np.array_equal(recover(journal.path).labels, labels)
    if os.name == "posix":
        assert journal.path.stat().st_mode & 0o077 == 0
    journal.close()
    assert list(folder.iterdir()) == []


def test_the_file_name_tells_nothing_of_the_patient(tmp_path):
    journal = Journal.start(tmp_path, "/home/me/Miller_John/flair.nii", start_labels(), at_once=True)
    assert "Miller" not in journal.path.name and "flair" not in journal.path.name


def test_only_what_nobody_works_on_is_offered(tmp_path):
    assert unfinished(tmp_path / "missing") == []
    labels, journal = write_journal(tmp_path)
    assert unfinished(tmp_path) == []
    journal.close(saved=False)
    (left,) = unfinished(tmp_path)
    assert (left.key, left.about, left.problem) == ("scan", {"title": "Scan 1"}, "")
    assert left.edit_counts == journal.edit_counts and left.started <= left.edit_counts.first
    assert unfinished(tmp_path, "another") == []
    assert np.array_equal(recover(left.path).labels, labels)
    discard(left.path)
    assert unfinished(tmp_path) == [] and list(tmp_path.iterdir()) == []


def test_saved_sessions_are_gone(tmp_path):
    _, journal = write_journal(tmp_path)
    journal.close()
    journal.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        journal.append(change_to(start_labels(), (slice(0, 1),) * 3, np.ones((1, 1, 1))), "paint")


def test_two_viewers_on_one_mask_do_not_meet(tmp_path):
    one, first = write_journal(tmp_path)
    other = start_labels()
    second = Journal.start(tmp_path, "scan", other)
    for change, own in zip(strokes(other, 30, seed=5), strokes(one, 30, seed=6), strict=True):
        second.append(change, "paint")
        first.append(own, "paint")
    assert first.path != second.path
    assert np.array_equal(recover(first.path).labels, one)
    assert np.array_equal(recover(second.path).labels, other)
    with pytest.raises(OutputError, match="window that is open"):
        discard(second.path)
    second.close()
    assert np.array_equal(recover(first.path).labels, one)


def test_after_saving_the_session_goes_on(tmp_path):
    labels, journal = write_journal(tmp_path)
    count = journal.edit_counts.total
    journal.restart()
    assert unfinished(tmp_path) == [] and not journal.path.exists()
    saved = labels.copy()
    for change in strokes(labels, 5, seed=9):
        journal.append(change, "erase")
    found = recover(journal.path)
    assert np.array_equal(found.labels, labels)
    assert found.base_sha256 == fingerprint(saved)
    assert found.edit_counts.actions["paint"] == count
    journal.close(saved=False)
    assert len(unfinished(tmp_path)) == 1


def test_a_recovered_session_is_safe_at_once(tmp_path):
    labels, journal = write_journal(tmp_path)
    journal.close(saved=False)
    found = recover(journal.path)
    again = Journal.start(
        tmp_path, found.key, found.labels, found.about, edit_counts=found.edit_counts, at_once=True
    )
    discard(journal.path)
    again.close(saved=False)
    (left,) = unfinished(tmp_path)
    assert left.edit_counts == found.edit_counts and np.array_equal(recover(left.path).labels, labels)


def test_labels_that_nothing_else_holds_are_offered_without_an_edit(tmp_path):
    journal = Journal.start(tmp_path, "scan", start_labels(), at_once=True)
    journal.close(saved=False)
    (left,) = unfinished(tmp_path)
    assert not left.edit_counts.total and np.array_equal(recover(left.path).labels, start_labels())


def test_a_large_journal_starts_anew(tmp_path):
    labels, journal = write_journal(tmp_path, 400, compact_at=2000)
    assert journal.path.stat().st_size < 2000 + 2500
    found = recover(journal.path)
    assert np.array_equal(found.labels, labels)
    assert found.edit_counts == journal.edit_counts and len(found.actions) < found.edit_counts.total
    assert found.base_sha256 == fingerprint(start_labels())
    assert not list(tmp_path.glob("*.part"))


@given(st.data())
def test_a_torn_or_damaged_tail_costs_only_itself(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("torn")
    labels = start_labels()
    journal = Journal.start(folder, "scan", labels)
    states, ends = [], []
    for change in strokes(labels, 8):
        if change is not None:
            journal.append(change, "paint")
            states.append(labels.copy())
            ends.append(journal.path.stat().st_size)
    journal.close(saved=False)
    content = bytearray(journal.path.read_bytes())
    place = ends[0] + data.draw(st.integers(0, 1 << 20)) % (len(content) - ends[0])
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    journal.path.write_bytes(content)
    whole = sum(end <= place for end in ends)
    found = recover(journal.path)
    assert np.array_equal(found.labels, states[whole - 1])
    assert len(found.actions) == whole and found.lost_bytes == len(content) - ends[whole - 1]


@given(st.data())
def test_a_damaged_beginning_is_one_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("head")
    journal = Journal.start(
        folder, "scan", start_labels(), at_once=True, edit_counts=EditCounts({"paint": 1}, 1.0, 1.0)
    )
    journal.close(saved=False)
    content = bytearray(journal.path.read_bytes())
    place = data.draw(st.integers(0, 1 << 20)) % len(content)
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    journal.path.write_bytes(content)
    with pytest.raises(InputError, match="discard it") as error:
        recover(journal.path)
    assert str(error.value).count("\n") == 0
    listed = unfinished(folder)
    assert len(listed) == 1  # told, not hidden
    discard(listed[0].path)


@pytest.mark.parametrize(
    "payload",
    [
        b"M[]",
        b'M{"shape": [1, 2]}',
        b"M" + b"[" * 100_000,
        b"X",
        records.pack_head(records.Head("k", (0, 1, 1), 0.0, {}, "")),
        records.pack_head(records.Head("k", (1 << 20, 1 << 20, 1 << 20), 0.0, {}, "")),
        records.pack_head(records.Head("k", (2, 2, 2), 0.0, {}, "")),
    ],
)
def test_whole_records_that_say_nonsense_are_refused(tmp_path, payload):
    path = tmp_path / "a.journal"
    path.write_bytes(
        records.MAGIC + records.framed(payload) + records.framed(records.pack_base(start_labels()))
    )
    with pytest.raises(InputError, match="damaged"):
        recover(path)


def test_a_bomb_is_not_inflated(tmp_path):
    _, journal = write_journal(tmp_path)
    good = recover(journal.path).labels
    journal.close(saved=False)
    box = (slice(0, 2), slice(0, 2), slice(0, 2))
    for bad in (
        records.pack_edit(box, np.zeros(1 << 24, np.uint8), "paint", 0.0),
        records.pack_edit((slice(0, 99),) * 3, np.zeros(8, np.uint8), "paint", 0.0),
        records.pack_edit(box, np.zeros(7, np.uint8), "paint", 0.0),
        b"E",
        b"Eabcdefghijkl",
    ):
        content = journal.path.read_bytes()
        journal.path.write_bytes(content + records.framed(bad))
        found = recover(journal.path)
        assert np.array_equal(found.labels, good) and found.lost_bytes
        assert unfinished(tmp_path)
        journal.path.write_bytes(content)


def test_a_full_disk_is_told_and_spoils_nothing(tmp_path, monkeypatch):
    labels, journal = write_journal(tmp_path)
    good = labels.copy()
    size, write = journal.path.stat().st_size, os.write

    def half(handle, content):
        if len(content) > 8:
            return write(handle, content[:8])
        raise OSError(28, "No space left on device")

    lost, later = [c for c in strokes(labels, 9, seed=3) if c is not None][:2]
    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OutputError, match="No space left on device; save the mask now"):
        journal.append(lost, "paint")
    monkeypatch.undo()
    assert journal.path.stat().st_size == size
    assert np.array_equal(recover(journal.path).labels, good)
    journal.append(later, "paint")
    lost.apply(good)
    later.apply(good)
    found = recover(journal.path)
    assert np.array_equal(found.labels, good)  # both of them
    assert found.edit_counts == journal.edit_counts


def test_a_disk_that_is_full_from_the_start(tmp_path, monkeypatch):
    labels = start_labels()
    journal = Journal.start(tmp_path, "scan", labels)
    first, second = [c for c in strokes(labels, 9) if c is not None][:2]

    def full(handle, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match="No space left"):
        journal.append(first, "paint")
    monkeypatch.undo()
    journal.append(second, "paint")
    expected = start_labels()
    first.apply(expected)
    second.apply(expected)
    assert np.array_equal(recover(journal.path).labels, expected)
    assert recover(journal.path).edit_counts.total == 2
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_change_beyond_the_labels_is_a_mistake(tmp_path):
    _, journal = write_journal(tmp_path)
    size = journal.path.stat().st_size
    box = (slice(50, 51), slice(0, 1), slice(0, 1))
    change = change_to(np.zeros((99, 30, 40), np.uint8), box, np.ones((1, 1, 1)))
    with pytest.raises(ValueError, match="does not lie in labels"):
        journal.append(change, "paint")
    assert journal.path.stat().st_size == size


def test_no_room_to_start_anew_goes_on(tmp_path, monkeypatch):
    labels, journal = write_journal(tmp_path, 3, compact_at=100_000)
    monkeypatch.setattr(journal, "_compact_at", 1)
    monkeypatch.setattr(type(journal.path), "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    for change in strokes(labels, 10, seed=2):
        journal.append(change, "paint")
    assert np.array_equal(recover(journal.path).labels, labels)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be autosaved"):
        Journal.start(tmp_path / "file", "scan", start_labels(), at_once=True)


def test_threads_may_write(tmp_path):
    labels = start_labels()
    journal = Journal.start(tmp_path, "scan", labels)
    changes = [c for c in strokes(labels.copy(), 100) if c is not None]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda change: journal.append(change, "paint"), changes))
    assert recover(journal.path).edit_counts.actions == {"paint": len(changes)}


def test_the_state_folder_can_be_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TUMORSEG_STATE", str(tmp_path))
    assert state_folder() == tmp_path and journal_folder().parent == tmp_path
    monkeypatch.delenv("TUMORSEG_STATE")
    assert "napari-tumorseg" in str(state_folder())


def test_provenance_of_a_tally():
    edit_counts = EditCounts().plus("paint", 100.0).plus("paint", 50.0).plus("undo", 160.4)
    assert edit_counts.to_dict() == {
        "total": 3,
        "actions": {"paint": 2, "undo": 1},
        "first": "1970-01-01T00:00:50+00:00",
        "last": "1970-01-01T00:02:40+00:00",
    }
    assert json.dumps(EditCounts().to_dict())


PAINTER = """
    import sys
    from pathlib import Path
    from napari_tumorseg.session import Journal
    from tests.session.test_journal import start_labels, strokes

    labels = start_labels()
    journal = Journal.start(Path(sys.argv[1]), "scan", labels, compact_at=20_000)
    for number, change in enumerate(strokes(labels, 10**9)):
        journal.append(change, "paint")
        print(number, flush=True)
"""


@posix
@pytest.mark.parametrize("seconds", [0.02, 0.11, 0.23])
def test_a_killed_process_loses_at_most_the_stroke_in_work(tmp_path, seconds):
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PAINTER), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as painter:
        told = [painter.stdout.readline()]
        assert unfinished(tmp_path) == []  # it lives
        timer = time.monotonic() + seconds
        while time.monotonic() < timer:
            told.append(painter.stdout.readline())
        painter.send_signal(signal.SIGKILL)
        told += painter.stdout.readlines()
    done = len([line for line in told if line.endswith("\n")])
    (left,) = unfinished(tmp_path)
    found = recover(left.path).labels
    labels, states = start_labels(), []
    for _ in strokes(labels, done + 2):
        states.append(labels.copy())
    # a stroke that was told of is there; one more may have been written
    assert any(np.array_equal(found, state) for state in states[done - 1 :])
    discard(left.path)
    assert list(tmp_path.iterdir()) == []


# ---- locked components

OLD = (
    "VFNFR0pSTjH2AAAAaa31mE17ImZvcm1hdCI6IDEsICJrZXkiOiAic2NhbiIsICJhYm91dCI6IHsibGF5ZXIiOiAibWFzayJ9LCAi"
    "c2hhcGUiOiBbMywgNCwgNV0sICJzdGFydGVkIjogMTc5NTI3NDI2OS45ODU2Mjc0LCAiYmFzZV9zaGEyNTYiOiAiMzFhMjk4MWQw"
    "Yjk5N2M0ODFjNjc4NzE4OWMzNjEwY2JhYWJlNzU1OWM3ODE2MjkxM2NhZDc0ZGMxMjIyZWNhMCIsICJ0YWxseSI6IHsiYWN0aW9u"
    "cyI6IHt9LCAiZmlyc3QiOiBudWxsLCAibGFzdCI6IG51bGx9fSQAAADvAH1lQgEAAAACAAAAAQAAAAMAAAABAAAABAAAAHgBY2IC"
    "AQAAMAANMwAAACDh5GlFYxZ/h23A2kEFcGFpbnQCAAAAAwAAAAAAAAACAAAAAAAAAAIAAAB4AWNmZmYGAAAiAA0="
)
"""A journal of format 1, as it was written before there were marks: a box of 2, then a stroke of 3."""


def test_a_journal_of_the_first_format_still_opens(tmp_path):
    path = tmp_path / "a.journal"
    path.write_bytes(base64.b64decode(OLD))
    expected = np.zeros((3, 4, 5), np.uint8)
    expected[1, 1:3, 1:4] = 2
    expected[2, :2, :2] = 3
    found = recover(path)
    assert np.array_equal(found.labels, expected)
    assert (found.edit_counts.actions, found.locked, found.lost_bytes) == ({"paint": 1}, (), 0)
    assert unfinished(tmp_path)[0].about == {"layer": "mask"}


def tell_format(path, number):
    """Let a journal say that it is of another format."""
    content = path.read_bytes()
    ((payload, end), *_) = records.payloads(content)
    other = payload.replace(b'"format": 3', b'"format": %d' % number)
    assert other != payload
    path.write_bytes(records.MAGIC + records.framed(other) + content[end:])


def test_a_journal_of_a_later_format_is_left_to_a_later_version(tmp_path):
    _, journal = write_journal(tmp_path)
    journal.close(saved=False)
    tell_format(journal.path, 4)
    with pytest.raises(InputError, match="later version"):
        recover(journal.path)
    assert "later version" in unfinished(tmp_path)[0].problem


MARKS = ((3, 10, 10), (9, 29, 39))


def test_marks_come_back_as_they_were_last(tmp_path):
    labels, journal = write_journal(tmp_path)
    assert recover(journal.path).locked == ()
    journal.set_locked(MARKS)
    for change in strokes(labels, 3, seed=1):
        journal.append(change, "paint")
    assert recover(journal.path).locked == MARKS
    journal.set_locked(MARKS[:1])
    found = recover(journal.path)
    assert found.locked == MARKS[:1] and np.array_equal(found.labels, labels) and not found.lost_bytes
    journal.set_locked(())
    assert recover(journal.path).locked == ()


def test_marks_alone_are_no_edit(tmp_path):
    labels = start_labels()
    journal = Journal.start(tmp_path / "new", "scan", labels)
    journal.set_locked(MARKS)
    assert not (tmp_path / "new").exists()
    journal.append(next(strokes(labels, 1)), "paint")
    assert recover(journal.path).locked == MARKS
    assert recover(journal.path).edit_counts.total == 1


def test_marks_outlive_compaction_and_saving(tmp_path):
    labels, journal = write_journal(tmp_path, 1, compact_at=2000)
    journal.set_locked(MARKS)
    for change in strokes(labels, 300, seed=4):
        journal.append(change, "paint")
    found = recover(journal.path)
    assert found.locked == MARKS and len(found.actions) < found.edit_counts.total
    journal.restart()
    for change in strokes(labels, 2, seed=5):
        journal.append(change, "paint")
    assert recover(journal.path).locked == MARKS


def test_marks_that_a_full_disk_refused_come_with_the_next_edit(tmp_path, monkeypatch):
    labels, journal = write_journal(tmp_path)

    def full(handle, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match="No space left"):
        journal.set_locked(MARKS)
    monkeypatch.undo()
    assert recover(journal.path).locked == ()
    journal.append(next(c for c in strokes(labels, 9, seed=3) if c is not None), "paint")
    assert recover(journal.path).locked == MARKS


@pytest.mark.parametrize("payload", [b"Kabc", b"K" + b"\xff" * 12])
def test_marks_that_cannot_be_are_taken_for_damage(tmp_path, payload):
    labels, journal = write_journal(tmp_path)
    journal.close(saved=False)
    content = journal.path.read_bytes()
    journal.path.write_bytes(content + records.framed(payload))
    found = recover(journal.path)
    assert np.array_equal(found.labels, labels) and found.locked == () and found.lost_bytes


# ---- thresholds

MOVED = {"WT": 0.5, "TC": 0.7}


def test_a_journal_of_the_second_format_still_opens(tmp_path):
    labels, journal = write_journal(tmp_path)
    journal.set_locked(MARKS)
    journal.close(saved=False)
    tell_format(journal.path, 2)
    found = recover(journal.path)
    assert np.array_equal(found.labels, labels) and found.locked == MARKS
    assert found.thresholds == {} and not found.lost_bytes


def test_thresholds_come_back_as_they_were_last(tmp_path):
    labels, journal = write_journal(tmp_path, 1, compact_at=2000)
    assert recover(journal.path).thresholds == {}
    journal.set_thresholds({"WT": 0.3, "TC": 0.3})
    journal.set_thresholds(MOVED)
    found = recover(journal.path)
    assert found.thresholds == MOVED and not found.lost_bytes
    assert np.array_equal(found.labels, labels) and found.edit_counts.actions == {"paint": 1}
    for change in strokes(labels, 300, seed=4):
        journal.append(change, "paint")
    found = recover(journal.path)
    assert found.thresholds == MOVED and len(found.actions) < found.edit_counts.total
    assert unfinished(tmp_path) == []  # in work
    journal.close(saved=False)
    assert unfinished(tmp_path)[0].edit_counts == found.edit_counts


@pytest.mark.parametrize(
    "payload",
    [b"T", b"T[1]", b'T{"WT": "x"}', b'T{"WT": 1.5}', b'T{"WT": NaN}', b'T{"WT": 1%s}' % (b"0" * 400)],
)
def test_thresholds_that_cannot_be_are_passed_over(tmp_path, payload):
    labels, journal = write_journal(tmp_path)
    change = next(c for c in strokes(labels, 9, seed=3) if c is not None)
    journal.close(saved=False)
    edit = records.pack_edit(change.box, change.after, "erase", 1.0)
    content = journal.path.read_bytes() + records.framed(payload) + records.framed(edit)
    journal.path.write_bytes(content)
    found = recover(journal.path)
    assert np.array_equal(found.labels, labels) and found.edit_counts.actions["erase"] == 1
    assert found.thresholds == {} and not found.lost_bytes


# ---- what goes with a journal


def test_an_attachment_goes_with_the_journal(tmp_path):
    labels, journal = write_journal(tmp_path, 0)
    asked = []
    journal.attach(lambda: asked.append(1) or b"maps")
    assert not asked and list(tmp_path.iterdir()) == []
    for change in strokes(labels, 5):
        journal.append(change, "paint")
    assert asked == [1] and attached(journal.path) == b"maps"
    if os.name == "posix":
        assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
    journal.restart()  # saved
    assert list(tmp_path.glob("*.maps")) == [] and attached(journal.path) is None
    for change in strokes(labels, 5, seed=1):
        journal.append(change, "paint")
    assert attached(journal.path) == b"maps"
    journal.close(saved=False)
    assert attached(journal.path) == b"maps"
    discard(journal.path)
    assert list(tmp_path.iterdir()) == []


def test_an_attachment_of_a_journal_that_is_there_is_written_at_once(tmp_path):
    _, journal = write_journal(tmp_path)
    journal.attach(lambda: b"maps")
    assert attached(journal.path) == b"maps"
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_an_attachment_costs_no_edit(tmp_path, monkeypatch):
    labels, journal = write_journal(tmp_path)
    write = os.write

    def small(handle, content):
        if len(content) > 100_000:
            raise OSError(28, "No space left on device")
        return write(handle, content)

    monkeypatch.setattr(os, "write", small)
    journal.attach(lambda: bytes(200_000))
    for change in strokes(labels, 5, seed=1):
        journal.append(change, "paint")
    assert np.array_equal(recover(journal.path).labels, labels)
    assert attached(journal.path) is None
