from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.models.card import Output
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.training.targets import known_outputs, output_masks, pack, unpack

REGIONS = Output(names=("WT", "TC", "ET"), labels=(2, 1, 3), scheme="brats-2023")
CLASSES = Output(
    names=("background", "NCR", "ED", "ET"),
    labels=(0, 1, 2, 4),
    scheme="brats-2021",
    activation="softmax",
)


def reference(labels: list[int], convention: str) -> Segmentation:
    array = np.array(labels, dtype=np.uint8).reshape(1, 1, -1)
    return Segmentation(
        array, Grid.from_codes(array.shape, spacing=(1, 1, 1)), CONVENTIONS[convention], "ref"
    )


@pytest.mark.parametrize(
    ("convention", "labels"),
    [("brats-2015", [0, 1, 2, 3, 4]), ("msd", [0, 2, 1, 2, 3]), ("brats-2023", [0, 1, 2, 1, 3])],
)
def test_regions_of_every_convention(convention: str, labels: list[int]) -> None:
    masks = output_masks(reference(labels, convention), REGIONS)[:, 0, 0]
    assert masks.astype(int).tolist() == [[0, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 0, 0, 1]]


def test_binary_mask_knows_the_whole_tumour_only() -> None:
    binary = reference([0, 1, 1], "binary")
    assert known_outputs(binary, REGIONS) == (True, False, False)
    assert output_masks(binary, REGIONS)[:, 0, 0].tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 0]]
    with pytest.raises(InputError):
        known_outputs(binary, CLASSES)


def test_classes_are_one_hot() -> None:
    masks = output_masks(reference([0, 1, 2, 3, 4], "brats-2015"), CLASSES)[:, 0, 0]
    assert (masks.sum(axis=0) == 1).all()
    assert masks.argmax(axis=0).tolist() == [0, 1, 2, 1, 3]


def test_packing() -> None:
    fractions = np.array([[[1.0, 0.6]], [[0.5, 0.4]], [[0.0, 0.0]]])
    assert unpack(pack(fractions, "sigmoid"), 3)[:, 0].tolist() == [[1, 1], [1, 0], [0, 0]]
    classes = np.array([[[0.2, 0.6]], [[0.5, 0.3]], [[0.3, 0.1]]])
    assert unpack(pack(classes, "softmax"), 3)[:, 0].tolist() == [[0, 1], [1, 0], [0, 0]]
