from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer

from napari_tumorseg.scan import Role
from napari_tumorseg.viewer.layers.inputs import (
    ELSEWHERE,
    EVERYTHING,
    Inputs,
    case_of,
    groups_of,
    problem_with,
)
from napari_tumorseg.viewer.layers.to_layers import case_layers
from tests.viewer.conftest import case, image


def viewer_with(*cases) -> ViewerModel:
    viewer = ViewerModel()
    for one in cases:
        for data in case_layers(one)[0]:
            viewer.add_layer(Layer.create(*data))
    return viewer


def plain(name: str, shape=(4, 5, 6)) -> Image:
    return Image(np.zeros(shape), name=name)


def test_layers_of_one_case_are_one_group():
    groups = groups_of(viewer_with(case()).layers)
    assert [group.title for group in groups] == ["case"]
    assert len(groups[0].layers) == 2


def test_the_case_opened_last_comes_first_and_all_layers_last():
    groups = groups_of(viewer_with(case(name="one"), case(name="two")).layers)
    assert [group.title for group in groups] == ["two", "one", EVERYTHING]
    assert len(groups[-1].layers) == 4


def test_files_of_one_case_opened_one_by_one_are_one_group(tmp_path):
    from dataclasses import replace

    parts = [
        case(replace(image(f"p1_{role}", role), source=tmp_path / f"p1_{role}.nii"), name="p1")
        for role in (Role.FLAIR, Role.T1C)
    ]
    groups = groups_of(viewer_with(*parts).layers)
    assert [len(group.layers) for group in groups] == [2]


def test_layers_from_elsewhere_are_guessed_by_name():
    viewer = ViewerModel()
    for name in ("my_flair", "scan_t1ce", "camera"):
        viewer.add_layer(plain(name))
    (group,) = groups_of(viewer.layers)
    assert group.title == ELSEWHERE
    assert list(Inputs().roles(group).values()) == [Role.FLAIR, Role.T1C, Role.OTHER]


def test_what_cannot_be_a_channel_is_not_offered():
    viewer = ViewerModel()
    viewer.add_points(np.zeros((1, 3)))
    viewer.add_labels(np.zeros((4, 5, 6), int))
    viewer.add_layer(plain("time_flair", (2, 4, 5, 6)))
    assert groups_of(viewer.layers) == []


def test_a_choice_stays_whatever_the_name_becomes():
    layer, inputs = plain("a_t1"), Inputs()
    inputs.choose(layer, Role.FLAIR)
    layer.name = "a_t2"
    assert inputs.role(layer) is Role.FLAIR


def test_a_guess_follows_the_name():
    layer, inputs = plain("a_t1"), Inputs()
    layer.name = "a_t2"
    assert inputs.role(layer) is Role.T2


def test_two_panels_do_not_share_choices():
    layer, one, other = plain("a_t1"), Inputs(), Inputs()
    one.choose(layer, Role.FLAIR)
    assert other.role(layer) is Role.T1


def test_problems_are_told_in_a_sentence():
    a, b = plain("a"), plain("b")
    assert "no image layer" in problem_with({})
    assert "FLAIR, T1, T1c or T2" in problem_with({a: Role.OTHER})
    assert problem_with({a: Role.T1, b: Role.T1}).startswith("a and b are both T1")
    assert problem_with({a: Role.FLAIR, b: Role.OTHER}) == ""


def test_the_case_holds_what_is_used_and_copies_nothing():
    viewer = viewer_with(case())
    (group,) = groups_of(viewer.layers)
    made = case_of(group, {group.layers[0]: Role.FLAIR, group.layers[1]: Role.OTHER})
    assert made.name == "case"
    assert [i.role for i in made.images] == [Role.FLAIR]
    assert np.shares_memory(made.images[0].data, viewer.layers[0].data)


def test_a_layer_can_be_the_brain_mask():
    viewer = viewer_with(case())
    (group,) = groups_of(viewer.layers)
    made = case_of(group, {group.layers[0]: Role.FLAIR, group.layers[1]: Role.BRAIN_MASK})
    scan = made.scan()
    assert scan.brain_mask is not None and scan.brain_mask.dtype == bool
