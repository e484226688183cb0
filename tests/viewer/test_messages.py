from __future__ import annotations

import pytest

from napari_tumorseg.errors import ChoiceNeededError, Notice, Remedy
from napari_tumorseg.viewer.widgets.messages import short, summary


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/me/scans/a.nii: it is broken", "a.nii: it is broken"),
        ("/d/a.nii.gz against /d/e/b.nii.gz: no", "a.nii.gz against b.nii.gz: no"),
        ("C:\\Users\\me\\a.nii is broken", "a.nii is broken"),
        ("cannot read '/tmp/x/a.h5'", "cannot read 'a.h5'"),
        ("see https://example.org/some/page", "see https://example.org/some/page"),
        ("steps of 1/255, and/or sub/folder/a.nii", "steps of 1/255, and/or sub/folder/a.nii"),
        (
            Notice("2 channels of /d/a.tif", Remedy.STATE_ROLES),
            "2 channels of a.tif; set the roles under Images",
        ),
        (ChoiceNeededError("2 cases (p1, p2)", (), Remedy.CHOOSE_CASE), "2 cases (p1, p2); open one of them"),
    ],
)
def test_what_the_window_says(text, expected):
    assert short(text) == expected


def test_folders_with_spaces_go_if_the_file_is_known(tmp_path):
    path = tmp_path / "my scans" / "a b.nii"
    assert short(f"{path}: it is broken", [path]) == "a b.nii: it is broken"


def test_what_is_left_out_comes_first():
    sentences = ["a: resampled", "b is left out: odd", "c is left out: far"]
    assert summary(sentences).splitlines() == ["2 files are left out.", *sentences[1:], sentences[0]]
    assert summary(sentences[:2]).splitlines() == [sentences[1], sentences[0]]
