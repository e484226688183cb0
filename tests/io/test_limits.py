"""Limits on the sizes that a header states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg.errors import InputError, TooLargeError
from napari_tumorseg.io.limits import LIMIT_VARIABLE, check_array, max_bytes

FILE = Path("scan.nii")


def test_sizes_are_right_and_never_overflow() -> None:
    assert check_array((3, 4, 5), np.float32, FILE) == 240
    with pytest.raises(TooLargeError, match=r"scan\.nii.*32767 x 32767 x 32767"):
        check_array((32767, 32767, 32767), np.float64, FILE)
    with pytest.raises(TooLargeError):
        check_array((2**62, 2**62, 4), np.uint8, FILE)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 4), (-1, 2, 2), (-2, -2, 2)])
def test_nothing_to_read(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="empty array"):
        check_array(shape, np.uint8, FILE)


def test_the_limit_can_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "0.5")
    assert max_bytes() == 2**29
    with pytest.raises(TooLargeError, match=r"limit of 0\.5 GiB.*TUMORSEG_MAX_GIB"):
        check_array((1024, 1024, 1024), np.uint8, FILE)


@pytest.mark.parametrize("text", ["much", "", "nan", "inf", "-1", "0", "1e999"])
def test_a_limit_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    assert max_bytes() == 4 * 2**30
