"""Post-processing steps, as files, options and forms see them."""

from __future__ import annotations

import pytest
import typer
from pydantic import ValidationError

from napari_tumorseg.cli.parse import parse_post
from napari_tumorseg.post_settings import PostSettings, Step
from tests.builders import card_of


def test_a_step_has_what_a_form_shows() -> None:
    steps = {step.name: step for step in PostSettings.steps()}
    assert list(steps) == list(PostSettings.model_fields)
    assert all(step.title and step.help for step in steps.values())
    assert steps["opening_mm"] == Step(
        "opening_mm",
        float,
        "Opening",
        "Removes spurs and bridges that a ball of this radius does not fit into",
        "mm",
        0.5,
    )
    assert steps["opening_mm"].label == "Opening (mm)" and steps["fill_holes"].label == "Fill holes"
    in_mm = {name for name, step in steps.items() if step.needs_voxel_size}
    assert in_mm == {"opening_mm", "closing_mm", "min_component_mm3"}


def test_names_of_earlier_versions_are_read() -> None:
    assert PostSettings.model_validate({"certain_voxels": 3}) == PostSettings(min_confident_voxels=3)
    assert card_of(postprocessing={"certain_voxels": 3}).postprocessing.min_confident_voxels == 3
    assert list(PostSettings().model_dump()).count("certain_voxels") == 0


@pytest.mark.parametrize("wrong", [{"closing_mm": -1}, {"min_confident_voxels": 2.5}, {"dilate": 1}])
def test_a_senseless_value_names_its_step(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        PostSettings.model_validate(wrong)


@pytest.mark.parametrize(
    ("texts", "changes"),
    [
        (None, {}),
        (["fill_holes"], {"fill_holes": True}),
        (["fill-holes=on,opening_mm=2.5"], {"fill_holes": True, "opening_mm": 2.5}),
        (["certain_voxels=7"], {"min_confident_voxels": 7}),
        (["min_confident_voxels=off", "largest_only=no"], {"min_confident_voxels": 0}),
        (["none", "closing_mm=1"], {"min_confident_voxels": 0, "inside_brain": False, "closing_mm": 1}),
    ],
)
def test_steps_from_options(texts: list[str] | None, changes: dict[str, float]) -> None:
    card = card_of(postprocessing={"min_confident_voxels": 20, "inside_brain": True})
    assert parse_post(texts, card) == PostSettings(**{**card.postprocessing.model_dump(), **changes})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("opening_mm", "opening_mm takes a number"),
        ("opening_mm=nan", "opening_mm takes a number"),
        ("min_component_mm3=-1", "min_component_mm3 takes a number"),
        ("min_confident_voxels=2.5", "min_confident_voxels takes a whole number"),
        ("fill_holes=perhaps", "fill_holes takes on or off"),
        ("dilate=3", "'dilate=3': the steps are none, inside_brain, "),
    ],
)
def test_options_that_are_no_steps_are_refused(text: str, says: str) -> None:
    with pytest.raises(typer.BadParameter, match=says):
        parse_post([text], card_of())
