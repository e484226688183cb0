"""Writing: whatever goes wrong, what was there stays and nothing half-written is left."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest

from napari_tumorseg.errors import OutputError
from napari_tumorseg.io import atomic
from napari_tumorseg.io.atomic import atomic_path, check_target, write_text


def full(*args: object, **kwargs: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_new_file(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a_seg.nii.gz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")  # no reader takes it for a scan
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("new")
        assert not (tmp_path / "a_seg.nii.gz").exists()
    assert names(tmp_path) == ["a_seg.nii.gz"]
    assert (tmp_path / "a_seg.nii.gz").read_text() == "new"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_text_is_utf8_with_plain_newlines(tmp_path: Path) -> None:
    write_text(tmp_path / "ä ö.txt", "Größe\n")
    assert (tmp_path / "ä ö.txt").read_bytes() == "Größe\n".encode()


def test_an_existing_file_is_kept_unless_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OutputError, match=r"a\.txt exists already"):
        write_text(path, "new")
    assert path.read_text() == "old"
    write_text(path, "new", overwrite=True)
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyError("bug"), KeyboardInterrupt()]
)
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected), atomic_path(path, overwrite=True) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(("module", "function"), [(tempfile, "mkstemp"), (os, "fsync")])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, function: str) -> None:
    (tmp_path / "a.txt").write_text("old")
    monkeypatch.setattr(module, function, full)
    with pytest.raises(OutputError, match=r"a\.txt could not be written: No space left"):
        write_text(tmp_path / "a.txt", "new", overwrite=True)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        check_target(tmp_path / "no" / "a.txt")


def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(OutputError, match="cannot be written to"):
        write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == []


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    for overwrite in (False, True):
        with pytest.raises(OutputError):
            write_text(tmp_path / "a.txt", "x", overwrite)
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("length", [250, 255])
def test_long_names(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("x" * (length - 4) + ".txt")
    write_text(path, "x")
    assert path.read_text() == "x"


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="too long"):
        write_text(tmp_path / ("x" * 300), "x")


@pytest.mark.parametrize("links", [True, False])
def test_a_name_taken_in_the_meantime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(atomic.os, "link", full)
    with pytest.raises(OutputError, match="exists already"), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("mine")
        (tmp_path / "a.txt").write_text("theirs")
    assert (tmp_path / "a.txt").read_text() == "theirs"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic.os, "link", full)
    write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == ["a.txt"]
