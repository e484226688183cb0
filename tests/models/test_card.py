"""Cards: what they say, and what is said of those that are wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models import ModelCard, get_model
from napari_tumorseg.models.weight_files import sha256
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role
from tests.builders import card_of

BUILTIN = ("brats-regions", "lgg-flair", "t1c-tumour")


def full() -> dict[str, Any]:
    """Return a card in which every field is set."""
    return {
        "format": 1,
        "name": "full-1.0",
        "title": 'A "full" card',
        "version": "2",
        "summary": "Line one.\nLine two, with \\ and Umlaut: Ödem.",
        "fallback": True,
        "sha256": "0" * 64,
        "network": {
            "architecture": "unet",
            "arguments": {"in_channels": 2, "widths": [4, 8], "dropout": 0.4},
        },
        "input": {
            "roles": ["t1", "flair"],
            "accepts": [["flair"], ["t1", "flair"]],
            "substitute": {"t1": "flair"},
            "plane": "coronal",
            "neighbours": 2,
            "skull": "stripped",
            "foreground": {"rule": "fraction-of-max", "tolerance": 0.5, "fraction": 0.2},
            "normalisation": {
                "method": "divide",
                "scope": "slice",
                "statistics": "all",
                "percentiles": [1.0, 99.0],
                "divisor": 4095.0,
                "clip": [-3.0, 5.0],
                "background": "zero",
            },
            "size": {"spacing": 0.9, "canvas": [96, 128], "fit": "stretch", "reduce": 2, "crop": False},
        },
        "output": {
            "activation": "softmax",
            "names": ["none", "NCR", "ED", "ET"],
            "labels": [0, 1, 2, 4],
            "scheme": "brats-2021",
            "threshold": 0.4,
            "certain": 0.9,
            "inside_foreground_of": "flair",
            "flip": True,
            "mean": "logits",
        },
        "postprocessing": {
            "min_component_mm3": 10.0,
            "fill_holes": True,
            "closing_mm": 1.0,
            "opening_mm": 2.0,
            "largest_only": True,
            "inside_brain": True,
            "min_confident_voxels": 12,
            "min_evidence": 2.5,
        },
        "agreement": {
            "bfloat16": {
                "sha256": "1" * 64,
                "scans": 3,
                "mean": 0.9995,
                "least": 0.998,
                "volume_percent": 0.1,
                "volume_percent_most": 0.4,
                "references": 2,
                "dice": 0.8,
                "dice_float32": 0.81,
                "measured_with": "m",
            },
        },
        "about": {
            "training": "t",
            "split": "s",
            "metrics": "m",
            "trained_on": ["a", "b"],
            "limits": "l",
            "licence": "CC0",
            "citation": "c",
        },
    }


def write(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "card.toml"
    path.write_text(tomli_w.dumps(content), encoding="utf-8")
    return path


def changed(where: str, value: Any) -> dict[str, Any]:
    content = full()
    *tables, key = where.split(".")
    place = content
    for table in tables:
        place = place[table]
    place[key] = value
    return content


def test_round_trip_of_every_field(tmp_path: Path) -> None:
    card = ModelCard.from_toml(write(tmp_path, full()))
    assert tomllib.loads(card.to_toml()) == full()
    again = tmp_path / "again.toml"
    again.write_text(card.to_toml(), encoding="utf-8")
    assert ModelCard.from_toml(again) == card


def test_round_trip_of_a_card_that_leaves_much_unset(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text(card_of().to_toml(), encoding="utf-8")
    assert ModelCard.from_toml(path) == card_of()


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        ("colour", "red", "colour: Extra inputs are not permitted"),
        ("input.sise", {}, "input.sise: Extra inputs"),
        ("format", 2, "format: "),
        ("name", "two words", "name: "),
        ("name", "../up", "name: "),
        ("sha256", "abc", "sha256: "),
        ("network.architecture", "transformer", "network.architecture: "),
        ("input.roles", [], "input.roles: "),
        ("input.roles", ["pet"], "input.roles.0: "),
        ("input.roles", ["brain mask", "flair"], "input: brain mask is not a modality"),
        ("input.accepts", [["t2"]], "input: accepts"),
        ("input.accepts", [[]], "input: accepts"),
        ("input.substitute", {"t1": "other"}, "input: other is not a modality"),
        ("input.plane", "oblique", "input.plane: "),
        ("input.plane", "volume", "input: plane volume needs a table windows"),
        ("input.windows", {"patch": [8, 8, 8]}, "input: a table windows needs plane volume"),
        ("input.foreground.rule", "nonzero", "input: foreground.rule nonzero needs plane volume"),
        ("input.normalisation.statistics", "box", "input: normalisation.statistics box needs plane volume"),
        ("input.foreground.tolerance", -1.0, "input.foreground.tolerance: "),
        ("input.foreground.fraction", 10.0, "input.foreground.fraction: "),
        (
            "input.normalisation.percentiles",
            [99.0, 1.0],
            "input.normalisation.percentiles: .* lower and a higher",
        ),
        ("input.normalisation.percentiles", [0.0, 101.0], r"input.normalisation.percentiles.1: "),
        ("input.normalisation.percentiles", [1.0], r"input.normalisation.percentiles.1: "),
        ("input.normalisation.clip", [5.0, -3.0], "input.normalisation.clip: "),
        ("input.normalisation.divisor", 0.0, "input.normalisation.divisor: "),
        ("input.size.spacing", 0.0, "input.size.spacing: "),
        ("input.size.spacing", float("inf"), "input.size.spacing: .*finite"),
        ("input.size.spacing", float("nan"), "input.size.spacing: "),
        ("input.size.canvas", [0, 96], "input.size.canvas.0: "),
        ("input.size.canvas", [96, 10**9], "input.size.canvas.1: "),
        ("input.size.reduce", 0, "input.size.reduce: "),
        ("output.labels", [0, 1], "output: 4 names for 2 labels"),
        ("output.labels", [0, 1, 2, 9], r"output: the labels \[9\] are not in the convention brats-2021"),
        ("output.scheme", "mine", "output: there is no convention 'mine'"),
        ("output.names", ["a", "a", "b", "c"], "output: two outputs have one name"),
        ("output.threshold", 1.0, "output.threshold: "),
        ("postprocessing.closing_mm", -1.0, "postprocessing.closing_mm: "),
        ("about.licence", 3, "about.licence: "),
    ],
)
def test_an_error_names_file_and_field(where: str, value: Any, says: str, tmp_path: Path) -> None:
    path = write(tmp_path, changed(where, value))
    with pytest.raises(ModelError, match=rf"the model card .*card\.toml: {says}") as told:
        ModelCard.from_toml(path)
    assert "\n" not in str(told.value)
    assert "Value error" not in str(told.value)


def test_several_errors_are_counted(tmp_path: Path) -> None:
    content = changed("name", "two words")
    content["input"]["plane"] = "oblique"
    with pytest.raises(ModelError, match=r"\(and 1 more\)"):
        ModelCard.from_toml(write(tmp_path, content))


def test_softmax_needs_classes(tmp_path: Path) -> None:
    content = full()
    content["output"] |= {"names": ["ET"], "labels": [4]}
    with pytest.raises(ModelError, match="softmax needs a label for each class"):
        ModelCard.from_toml(write(tmp_path, content))


def test_files_that_are_no_cards(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    with pytest.raises(ModelError, match=r"card\.toml cannot be read: No such file"):
        ModelCard.from_toml(path)
    path.write_text("name = ", encoding="utf-8")
    with pytest.raises(ModelError, match=r"card\.toml is not valid TOML"):
        ModelCard.from_toml(path)
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(ModelError, match=r"card\.toml is not valid TOML"):
        ModelCard.from_toml(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(ModelError, match="name: Field required"):
        ModelCard.from_toml(path)


def test_what_suffices_comes_fullest_first() -> None:
    card = card_of(("t1", "flair"), input={"accepts": [["flair"], ["t1", "flair"]]})
    assert card.input.sufficient == ((Role.T1, Role.FLAIR), (Role.FLAIR,))
    assert card_of(("t1", "flair")).input.sufficient == ((Role.T1, Role.FLAIR),)


def test_the_card_for_people(tmp_path: Path) -> None:
    text = ModelCard.from_toml(write(tmp_path, full())).as_text()
    for part in (
        'A "full" card',
        "runs with FLAIR; ",
        "coronal",
        "Licence: CC0",
        "Cite: c",
        "Limits: l",
    ):
        assert part in text
    assert text.endswith("Research use only, not for diagnosis.")
    assert "Cite" not in card_of().as_text()


@pytest.mark.parametrize("name", BUILTIN)
def test_built_in_cards_are_true(name: str) -> None:
    model = get_model(name)
    card = model.card
    assert model.origin == "built-in"
    assert sha256(model.weights) == card.sha256
    assert tomllib.loads(card.to_toml())["name"] == name
    net = model.load()
    assert net.arguments["in_channels"] == len(card.input.roles)
    assert net.arguments["out_channels"] == len(card.output.names)
    assert set(card.output.labels) == CONVENTIONS[card.output.scheme].values
    for text in (card.title, card.summary, card.about.training, card.about.metrics, card.about.citation):
        assert text
    assert ("CC BY 4.0" if name == "t1c-tumour" else "CC BY-NC-SA") in card.about.licence
    assert not net.training
