import numpy as np
import pytest

from napari_tumorseg.inference.refining import region_levels
from napari_tumorseg.models.card import Output
from napari_tumorseg.regions import CONVENTIONS

BRATS = CONVENTIONS["brats-2021"]
NESTED = Output(activation="sigmoid", names=("WT", "TC", "ET"), labels=(2, 1, 4), scheme="brats-2021")
CLASSES = Output(
    activation="softmax", names=("background", "NCR", "ED", "ET"), labels=(0, 1, 2, 4), scheme="brats-2021"
)
LEVELS = {name: np.array([value], dtype=np.uint8) for name, value in (("WT", 200), ("TC", 120), ("ET", 30))}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({1, 2, 4}, 200),
        ({1, 4}, 120),
        ({4}, 30),
        ({2}, 135),  # whole tumour, and not its core
        ({1}, 120),  # core, and not enhancing: the less of 120 and 225
        (set(range(1, 256)), 200),
    ],
)
def test_nested_outputs(members, expected):
    assert region_levels(LEVELS, NESTED, BRATS, frozenset(members)).item() == expected


def test_classes_are_added_up():
    levels = {
        name: np.array([value], dtype=np.uint8)
        for name, value in zip(CLASSES.names, (5, 40, 60, 150), strict=True)
    }
    assert region_levels(levels, CLASSES, BRATS, frozenset({1, 4})).item() == 190
    assert region_levels(levels, CLASSES, BRATS, frozenset({2})).item() == 60


def test_parts_in_another_convention_have_no_probability():
    other = CONVENTIONS["msd"]
    assert region_levels(LEVELS, NESTED, other, frozenset({1})) is None
    assert region_levels(LEVELS, NESTED, other, frozenset(other.values)).item() == 200
