from __future__ import annotations

from pathlib import Path

import pytest
from napari.components import Dims

from napari_tumorseg.errors import InputError
from napari_tumorseg.inference.settings import Progress
from napari_tumorseg.viewer.layers.showing import shown_slice
from napari_tumorseg.viewer.state.job import progress_text
from napari_tumorseg.viewer.state.saving import suggested_name
from napari_tumorseg.viewer.widgets.background import sentence
from napari_tumorseg.viewer.widgets.spacing_row import parse_spacing
from tests.viewer.conftest import grid


@pytest.mark.parametrize("text", ["5 0.9 0.9", "5, 0.9, 0.9", " 5x0.9x0.9 "])
def test_a_spacing_is_three_numbers(text):
    assert parse_spacing(text) == (5, 0.9, 0.9)


@pytest.mark.parametrize("text", ["", "1 2", "1 2 3 4", "a b c", "0 1 1", "-1 1 1", "nan 1 1", "1 inf 1"])
def test_anything_else_is_refused(text):
    with pytest.raises(InputError):
        parse_spacing(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "."), (0.2, ", about 1 s left."), (300, ", about 5 min left.")]
)
def test_progress_is_told_in_words(seconds, text):
    assert progress_text(Progress(3, 9, 0, 3, None, seconds)) == "Slice 3 of 9" + text


def test_a_note_of_the_engine_is_passed_on():
    assert progress_text(Progress(3, 9, 0, 3, None, None, "Memory ran out.")).endswith(". Memory ran out.")


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("case", "case_seg.nii.gz"),
        ("case_seg", "case_seg.nii.gz"),
        ("a/b: c", "a_b_ c_seg.nii.gz"),
        ("", "case_seg.nii.gz"),
    ],
)
def test_a_suggested_name_is_a_file_name(case, name):
    assert suggested_name(case, ".nii.gz") == name
    assert Path(name).name == name


def test_errors_of_ours_are_told_as_they_are(caplog):
    assert sentence(InputError("no such scan")) == "no such scan"
    assert not caplog.records
    assert "ValueError: odd" in sentence(ValueError("odd"))
    assert caplog.records


def test_the_slice_that_is_shown():
    dims = Dims(ndim=3)
    dims.range = ((10, 40, 3), (0, 10, 1), (0, 10, 1))
    dims.point = (16, 5, 5)
    on = grid(origin=(0, 0, 10))
    assert shown_slice(dims, on, 0) == 2
    assert shown_slice(dims, on, 1) is None
    dims.order = (1, 0, 2)
    assert shown_slice(dims, on, 0) is None
    assert shown_slice(dims, on, 1) is not None
