"""Windows of a volume in a model card."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models import Model
from napari_tumorseg.models.nnunet import PlainConvUNet
from napari_tumorseg.models.windows import Windows
from tests.builders import card_of, save_model

SMALL = {"features": [2, 2], "encoder_blocks": [1, 1], "decoder_convs": [1]}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"patch": [8, 8]}, "patch"),
        ({"patch": [8, 8, 0]}, "patch"),
        ({"patch": [8, 8, 10**6]}, "patch"),
        ({"axes": ["S", "P", "Q"]}, "axes"),
        ({"axes": ["S", "I", "L"]}, "are not three directions"),
        ({"spacing": [1, 1]}, "spacing"),
        ({"spacing": [1, -1, 1]}, "spacing"),
        ({"spacing": [1, float("nan"), 1]}, "spacing"),
        ({"overlap": 1}, "overlap"),
        ({"mirror": [3]}, "mirror"),
        ({"mirror": [1, 1]}, "names an axis twice"),
        ({"patch": [1, 8, 8], "mirror": [0]}, "mirror names axis 0, along which a window has one voxel"),
        ({"separate_above": 0.5}, "separate_above"),
        ({"weights": "lambda"}, "weights"),
    ],
)
def test_wrong_windows_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Windows.model_validate({"patch": [8, 8, 8]} | changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"neighbours": 1}, "has no neighbours"),
        ({"normalisation": {"scope": "slice"}}, "normalisation.scope must be volume"),
        ({"size": {"canvas": [8, 8]}}, "plane volume has no size"),
    ],
)
def test_what_belongs_to_slices_is_refused_for_volumes(changes: dict[str, Any], says: str) -> None:
    volume = {"plane": "volume", "windows": {"patch": [8, 8, 8]}}
    card_of(input=volume)
    with pytest.raises(ValidationError, match=says):
        card_of(input=volume | changes)


def model_of(folder: Any, kernel: list[int], given: dict[str, Any]) -> Model:
    step = [2] * len(kernel)
    net = PlainConvUNet(
        in_channels=1, out_channels=1, kernels=[kernel] * 2, steps=[[1] * len(kernel), step], **SMALL
    )
    return save_model(folder, net, card_of(input=given, network={"architecture": "plain-conv-unet"}))


@pytest.mark.parametrize(
    ("kernel", "given", "says"),
    [
        ([3, 3, 3], {}, "a network for volumes needs plane volume and windows"),
        (
            [3, 3, 3],
            {"plane": "volume", "windows": {"patch": [8, 9, 8]}},
            "8 x 9 x 8, are no multiples of 2 x 2",
        ),
        ([3, 3], {"plane": "volume", "windows": {"patch": [8, 8, 8]}}, "takes windows of one slice"),
        ([3, 3], {"plane": "volume", "windows": {"patch": [1, 7, 8]}}, "7 x 8, are no multiples of 2 x 2"),
    ],
)
def test_windows_that_do_not_fit_the_network_are_refused(
    tmp_path: Any, kernel: list[int], given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        model_of(tmp_path, kernel, given).load()


def test_a_card_tells_its_windows() -> None:
    windows = {"patch": [64, 96, 96], "spacing": [0, 1, 1], "axes": ["I", "A", "R"]}
    text = card_of(input={"plane": "volume", "windows": windows}).as_text()
    assert "windows of 64 x 96 x 96 voxels of the scan's x 1 x 1 mm, axes IAR" in text
