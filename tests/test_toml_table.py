"""Reading of TOML files."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_tumorseg.toml_table import read_toml


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_table(tmp_path: Path) -> None:
    text = "a.b.c = 1\n[d]\ne = 'www.example.org/" + "x." * 20 + "'\n"
    assert read_toml(written(tmp_path, text))["a"] == {"b": {"c": 1}}


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{b = " * 100_000,
        ".".join(["a"] * 50_000) + " = 1",
        "[" + " . ".join(["a"] * 50_000) + "]",
        "[" + ".".join(['"a"'] * 50_000) + "]",
    ],
)
def test_deep_tables_are_refused_at_once(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"^cannot be read: its tables or lists are nested too deeply$"):
        read_toml(written(tmp_path, text))


@pytest.mark.parametrize("text", ["a = ", b"\xff\xfe", "a = 1\na = 2"])
def test_what_is_no_toml_is_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"^is not valid TOML: "):
        read_toml(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^cannot be read: "):
        read_toml(tmp_path / "gone.toml")


def test_a_long_word_takes_no_time(tmp_path: Path) -> None:
    assert len(read_toml(written(tmp_path, "a = '" + "x" * 2_000_000 + "'"))["a"]) == 2_000_000
