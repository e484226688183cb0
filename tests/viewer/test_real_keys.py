"""Keys that a person presses while the picture has the focus."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from tests.viewer import test_correct_window as window
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.test_correct_window import drag, start, world

pytestmark = NEEDS_SCREEN
nobody_looks, at_work, with_model = window.nobody_looks, window.at_work, window.with_model


@pytest.fixture
def shown(at_work):
    """The page Correct in a window on the screen, with a key press that goes to the picture."""
    canvas = at_work.viewer.window._qt_viewer.canvas.native
    at_work.viewer.window._qt_window.show()
    QTest.qWaitForWindowExposed(at_work.viewer.window._qt_window)

    def press(key: Qt.Key) -> None:
        canvas.setFocus()
        QTest.keyClick(canvas, key)

    at_work.press = press
    return at_work


@pytest.mark.parametrize("mode", ["pan_zoom", "paint", "polygon"])
@pytest.mark.parametrize("action", ["reject", "lock"])
def test_escape_ends_the_wait_for_a_click(shown, mode, action):
    shown.layer.mode = mode
    shown.page.tools.buttons[action].click()
    assert shown.page.pointing.is_waiting
    shown.press(Qt.Key.Key_Escape)
    assert not shown.page.pointing.is_waiting
    assert shown.layer.mode == mode and shown.page.status.value == ""
    drag(shown.viewer, [world(shown.layer, (3, 19, 19))])
    shown.settle()
    np.testing.assert_array_equal(shown.layer.data, start())
