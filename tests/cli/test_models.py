"""``tumorseg models``: the list and the cards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_the_list(tumorseg: Run) -> None:
    done = tumorseg("models")
    assert done.code == 0
    for part in ("brats-regions", "lgg-flair", "CC BY-NC-SA", "no models"):
        assert part in done.out
    listed = json.loads(tumorseg("models", "--json").out)
    assert [(m["name"], m["origin"]) for m in listed] == [
        ("brats-regions-four", "built-in"),
        ("brats-regions", "built-in"),
        ("lgg-flair", "built-in"),
        ("t1c-tumour", "built-in"),
    ]


def test_a_card(tumorseg: Run) -> None:
    done = tumorseg("models", "lgg-flair")
    assert done.code == 0
    assert "Licence: CC BY-NC-SA" in done.out
    assert json.loads(tumorseg("models", "lgg-flair", "--json").out)["name"] == "lgg-flair"


def test_a_card_by_path(tumorseg: Run, model: Path) -> None:
    assert "tiny" in tumorseg("models", model).out


def test_a_broken_card(tumorseg: Run, model: Path) -> None:
    model.write_text(model.read_text().replace('plane = "axial"', 'plane = "oblique"'))
    done = tumorseg("models", model)
    assert done.code == 5
    assert f"{model}: input.plane: " in done.err
    assert len(done.err.splitlines()) == 1


def test_a_card_that_cannot_be_read_hides_no_other(
    tumorseg: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "deep.toml").write_text("a = " + "[" * 100_000, encoding="utf-8")
    (folder / "dotted.toml").write_text(".".join(["a"] * 50_000) + " = 1", encoding="utf-8")
    monkeypatch.setenv("TUMORSEG_MODELS", str(folder))
    done = tumorseg("models")
    assert done.code == 0 and "brats-regions" in done.out and "lgg-flair" in done.out
    said = " ".join(done.err.split())
    assert said.count("warning: ") == said.count("nested too deeply") == 2
    assert "Traceback" not in said
    assert tumorseg("models", "deep").code == 5
    assert len(json.loads(tumorseg("models", "--json").out)) == 4


def test_no_such_model(tumorseg: Run) -> None:
    done = tumorseg("models", "nope")
    assert done.code == 5
    assert "brats-regions, lgg-flair" in done.err
