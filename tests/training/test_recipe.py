from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.training.recipe import list_recipes, load_recipe, parse_recipe
from tests.builders import count_parameters

PUBLISHED = {
    "hassan2025": 31_042_113,
    "egwaoje2026": 7_787_393 + 5_632,
    "debasish2026": 31_037_633 + 11_776,
    "ragab2025": 7_759_908,
    "tharunteja2025": 31_031_745,
}
"""Parameters with the statistics of batch norms, as tests/models/test_unet.py derives them by arithmetic."""


@pytest.mark.parametrize("name", list_recipes())
def test_survives_writing(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert parse_recipe(tomllib.loads(recipe.to_toml()), name) == recipe
    assert recipe.card().input == recipe.input


def test_no_checkpoints_within_an_epoch_survive_writing() -> None:
    recipe = load_recipe("lgg-flair", ["fit.checkpoint_steps=0"])
    assert recipe.fit.checkpoint_steps == 0 and load_recipe("lgg-flair").fit.checkpoint_steps > 0
    assert parse_recipe(tomllib.loads(recipe.to_toml()), "x") == recipe


def test_what_was_added_to_the_publications_is_said() -> None:
    assert any("He's" in note for note in load_recipe("ragab2025").notes)
    assert any("shifts" in note for note in load_recipe("tharunteja2025").notes)


@pytest.mark.parametrize("name", PUBLISHED)
def test_network_has_the_published_size(name: str) -> None:
    assert sum(count_parameters(UNet(**load_recipe(name).arguments))) == PUBLISHED[name]


def test_table_of_the_publications() -> None:
    """Every figure that the publications state, as they state it."""
    hassan, egwaoje, debasish, ragab, tharun = (load_recipe(name) for name in PUBLISHED)
    assert hassan.split.by == "slice" and hassan.split.fractions == (0.64, 0.20, 0.16)
    assert (hassan.fit.batch, hassan.fit.epochs, hassan.fit.patience) == (32, 100, 8)
    assert (hassan.optimiser.name, hassan.optimiser.lr) == ("nadam", 1e-4)
    assert (hassan.schedule.factor, hassan.schedule.patience, hassan.schedule.min_lr) == (0.5, 4, 1e-7)
    assert [len(copy) for copy in hassan.offline] == [1, 1] and not hassan.augmentation
    assert [(t.name, t.smooth, t.over) for t in hassan.loss] == [("dice", 1e-6, "batch")]
    assert hassan.input.size.canvas == (256, 256) and hassan.fit.init == "he"
    assert egwaoje.data.slices == "tumour" and egwaoje.split.fractions == (0.70, 0.15, 0.15)
    assert egwaoje.input.size.canvas == (96, 96) and egwaoje.optimiser.clip_norm == 1.0
    assert (egwaoje.fit.batch, egwaoje.fit.epochs, egwaoje.fit.monitor) == (4, 10, "val_dice")
    assert egwaoje.fit.checkpoint_steps and [t.name for t in egwaoje.loss] == ["bce"]
    assert [t.name for t in debasish.loss] == ["bce", "dice"] and debasish.fit.batch == 4
    assert debasish.input.size.canvas == (128, 128) and debasish.optimiser.lr == 1e-4
    assert ragab.output.labels == (0, 1, 2, 4) and ragab.output.activation == "softmax"
    assert (ragab.fit.batch, ragab.fit.epochs) == (2, 25)
    assert (ragab.schedule.factor, ragab.schedule.patience) == (0.2, 2)
    assert {a.kind for a in ragab.augmentation} == {"flip", "affine", "elastic", "gain"}
    assert [(t.name, t.smooth) for t in tharun.loss] == [("dice", 100.0)]
    assert (tharun.optimiser.name, tharun.optimiser.lr, tharun.fit.epochs) == ("adamax", 1e-3, 119)


def test_changes() -> None:
    recipe = load_recipe("hassan2025", ["fit.epochs=3", "split.by=patient", "fit.patience=none", "name=mine"])
    assert (recipe.fit.epochs, recipe.split.by, recipe.fit.patience, recipe.name) == (
        3,
        "patient",
        None,
        "mine",
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("fit.epochs=0", "fit.epochs"),
        ("fit.epoch=3", "fit.epoch"),
        ("split.fractions=[0.5, 0.1, 0.1]", "sum to 0.7"),
        ("output.activation=softmax", "softmax needs a label for each class"),
        ("fit.patch=[100, 100]", "multiples of 16"),
        ("fit.epochs", "TABLE.FIELD=VALUE"),
        ("loss=[]", "loss"),
        ("optimiser.name=lion", "optimiser.name"),
        ("split.fold=7", "no fold 7"),
        ("split.fold=x", "neither a fold, counted from 0, nor"),
        ("split.fold=true", "neither a fold"),
    ],
)
def test_errors_name_the_field(change: str, told: str) -> None:
    with pytest.raises(InputError, match=r".") as error:
        load_recipe("lgg-flair", [change])
    assert told in str(error.value) and "\n" not in str(error.value)


def test_unknown_recipe_and_broken_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hassan2025"):
        load_recipe("hasan")
    (tmp_path / "x.toml").write_text("name = ")
    with pytest.raises(InputError, match=r"x\.toml is not valid TOML"):
        load_recipe(tmp_path / "x.toml")


def test_leaving_out_keeps_the_rest_on_the_other_sides() -> None:
    recipe = load_recipe("lgg-flair", ["split.fractions=[0.6, 0.2, 0.2]"]).leaving_out(["TCGA-CS-4941"])
    assert (
        recipe.split.test == ("TCGA-FG-6692", "TCGA-DU-7294", "TCGA-CS-4941") and recipe.split.folds is None
    )
    assert recipe.split.fractions == pytest.approx((0.75, 0.25, 0.0))


def test_weights_of_photographs_are_for_an_encoder_that_takes_them() -> None:
    with pytest.raises(InputError, match=r"imagenet is not for the network unet"):
        load_recipe("egwaoje2026", ["fit.init=imagenet"])
