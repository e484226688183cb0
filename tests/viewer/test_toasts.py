"""Error messages in a real window disappear after a while."""

from __future__ import annotations

import pytest

from napari_tumorseg.viewer.widgets import toasts
from tests.viewer.conftest import NEEDS_SCREEN

pytestmark = NEEDS_SCREEN


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(toasts, "STANDS_MS", 300)


def shown() -> list[str]:
    return [toasts.text_of(toast) for toast in toasts.all_toasts()]


def test_an_error_goes_after_a_while_from_status_and_screen(open_panel, wait, soon):
    _, panel = open_panel(show=True)
    panel.report_error("First, something went wrong.")
    panel.report_error("Then something else did.")
    assert shown() == ["Then something else did."]
    assert panel.runs.status.value == "Then something else did."
    wait(lambda: not shown())
    wait(lambda: panel.runs.status.value == "")


def test_an_error_of_the_page_correct_goes_from_there_too(open_panel, wait, soon):
    _, panel = open_panel()
    page = panel.correct
    height = page.status.native.minimumHeight()
    assert height >= 2 * page.status.native.fontMetrics().lineSpacing()  # buttons below stay where they are
    page.report_error("Something went wrong.")
    assert page.status.value == panel.runs.status.value == "Something went wrong."
    wait(lambda: page.status.value == panel.runs.status.value == "")


def test_what_was_said_since_stays(open_panel, wait, soon):
    _, panel = open_panel(show=True)
    panel.report_error("Something went wrong.")
    panel.show_status("Something went well.")
    wait(lambda: not shown())
    assert panel.runs.status.value == "Something went well."


def test_why_a_run_failed_stays_in_the_status(open_panel, wait, soon):
    _, panel = open_panel(show=True)
    panel.segment_page._on_failure("The run failed.")
    assert shown() == ["The run failed."]
    wait(lambda: not shown())
    assert panel.runs.status.value == "The run failed."


def test_one_that_is_read_stays(open_panel, wait, soon):
    _, panel = open_panel(show=True)
    panel.report_error("Something went wrong.")
    (toast,) = toasts.all_toasts()
    toast.toggle_expansion()
    wait(lambda: panel.runs.status.value == "")
    assert shown() == ["Something went wrong."]
    toast.close()
    assert not shown()
