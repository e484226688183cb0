"""Questions for the label convention of a mask."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels

from napari_tumorseg.errors import CancelledError, InputError
from napari_tumorseg.viewer.layers.origin import CONVENTION_KEY
from napari_tumorseg.viewer.state.conventions import FROM_FILE, segmentation_of
from napari_tumorseg.viewer.widgets import ask


@pytest.fixture
def answer_with(tmp_path, monkeypatch):
    """Answer the question with a file of this content; the path is empty where the dialog is dismissed."""

    def answer(content: str | None) -> None:
        path = tmp_path / "ward-seven.toml"
        path.write_text(content or "")
        monkeypatch.setattr(
            ask, "choose", lambda _title, _question, options: options[options.index(FROM_FILE)]
        )
        monkeypatch.setattr(
            ask.QFileDialog, "getOpenFileName", lambda *_: (str(path) if content is not None else "", "")
        )
        monkeypatch.setattr(ask, "window", lambda: None)

    return answer


def layer_of(*values: int) -> Labels:
    return Labels(np.array([[values]], np.uint8), name="drawn")


def test_the_users_own_file_is_an_answer(answer_with):
    answer_with("[labels]\n41 = 'oedema'\n42 = 'enhancing'")
    layer = layer_of(0, 41, 42)
    seg = segmentation_of(layer, [])
    assert seg.convention.name == "ward-seven"
    assert {label.value: label.tissue for label in seg.convention.labels} == {41: "oedema", 42: "enhancing"}
    assert segmentation_of(layer, []).convention.name == "ward-seven"  # asked once


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("name = 'ward-eight'\n[labels]\n41 = 'oedema'", InputError),
        ("no TOML", InputError),
        (None, CancelledError),
    ],
)
def test_a_file_that_does_not_fit_is_not_kept(answer_with, content, error):
    answer_with(content)
    layer = layer_of(0, 41, 42)
    with pytest.raises(error):
        segmentation_of(layer, [])
    assert CONVENTION_KEY not in layer.metadata
