from __future__ import annotations

import errno
import os

import pytest

from napari_tumorseg.errors import OutputError
from napari_tumorseg.io import locks
from napari_tumorseg.io.locks import FileLock, held


def test_one_holder_at_a_time(tmp_path):
    one, other = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    assert not other.is_held()
    assert one.acquire() and one.acquire()
    assert one.is_held() and other.is_held()
    assert not other.acquire()
    one.release()
    assert not (tmp_path / "a.lock").exists()
    assert other.acquire()
    one.release()
    assert other.is_held()
    other.release()


def test_a_file_that_a_crash_left_behind_holds_nothing(tmp_path):
    (tmp_path / "a.lock").write_bytes(b"")
    lock = FileLock(tmp_path / "a.lock")
    assert not lock.is_held() and lock.path.exists()
    assert lock.acquire()
    lock.release()


def test_a_lock_that_others_keep_is_an_error(tmp_path):
    other = FileLock(tmp_path / "a.lock")
    assert other.acquire()
    with pytest.raises(OutputError, match="another program is writing"), held(tmp_path / "a.lock", 0.01):
        pytest.fail("went on without the lock")
    other.release()
    with held(tmp_path / "a.lock", 0.01):
        assert not FileLock(tmp_path / "a.lock").acquire()


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(handle):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", refuse)
    lock = FileLock(tmp_path / "a.lock")
    assert lock.acquire()
    lock.release()
    (tmp_path / "a.lock").write_bytes(b"")
    assert not lock.is_held()  # else nothing would ever be offered


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root opens everything")
def test_what_is_not_ours_is_held(tmp_path):
    (tmp_path / "a.lock").write_bytes(b"")
    (tmp_path / "a.lock").chmod(0)
    assert FileLock(tmp_path / "a.lock").is_held()
