"""``tumorseg models``: the list and the cards."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_the_list(tumorseg: Run) -> None:
    done = tumorseg("models")
    assert done.code == 0
    for part in ("brats-regions", "lgg-flair", "CC BY-NC-SA", "no models"):
        assert part in done.out
    listed = json.loads(tumorseg("models", "--json").out)
    assert [(m["name"], m["origin"]) for m in listed] == [
        ("brats-regions", "built-in"),
        ("lgg-flair", "built-in"),
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


def test_no_such_model(tumorseg: Run) -> None:
    done = tumorseg("models", "nope")
    assert done.code == 5
    assert "brats-regions, lgg-flair" in done.err
