from __future__ import annotations

import pytest

from napari_tumorseg.errors import CancelledError
from napari_tumorseg.viewer.widgets import ask


def test_nobody_is_asked_where_there_is_no_window(monkeypatch):
    monkeypatch.setattr(ask, "window", lambda: None)
    assert ask.choose("title", "question", ["a", "b"]) is None


def test_the_answer_counts_if_it_was_confirmed(monkeypatch):
    monkeypatch.setattr(ask, "window", lambda: object())
    monkeypatch.setattr(ask.QInputDialog, "getItem", lambda *_: ("b", True))
    assert ask.choose("title", "question", ["a", "b"]) == "b"
    monkeypatch.setattr(ask.QInputDialog, "getItem", lambda *_: ("b", False))
    with pytest.raises(CancelledError):
        ask.choose("title", "question", ["a", "b"])
