"""Files of one JSON object."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_tumorseg.errors import OutputError
from napari_tumorseg.io.json_files import read_json, write_json


def test_an_object_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "Jérôme", "labels": [1, 2]})
    assert read_json(tmp_path / "a.json") == {"name": "Jérôme", "labels": [1, 2]}
    with pytest.raises(OutputError, match="exists already"):
        write_json(tmp_path / "a.json", {})
    write_json(tmp_path / "a.json", {}, overwrite=True)
    assert read_json(tmp_path / "a.json") == {}


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"scheme": "msd"}', encoding="utf-8-sig")
    assert read_json(tmp_path / "a.json") == {"scheme": "msd"}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"\xff\xfe", b"[" * 200_000])
def test_what_is_no_object_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert read_json(tmp_path / "a.json") is None


def test_a_missing_file_is_none(tmp_path: Path) -> None:
    assert read_json(tmp_path / "a.json") is None
