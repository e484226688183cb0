from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari", reason="the viewer extra is not installed")
pytest.importorskip("qtpy", reason="the viewer extra is not installed")

from napari_tumorseg.geometry import Grid
from napari_tumorseg.io.case import Case
from napari_tumorseg.samples import sample_path
from napari_tumorseg.scan import Image, Role

NEEDS_SCREEN = pytest.mark.skipif(
    sys.platform.startswith("linux") and not os.environ.get("DISPLAY"),
    reason="needs a screen: run under xvfb-run",
)


def grid(shape=(4, 5, 6), spacing=(3.0, 2.0, 1.0), unit="mm", origin=(0.0, 0.0, 0.0)) -> Grid:
    """A grid along the body's axes, held by a file in canonical order; origin of the first voxel in RAS."""
    affine = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=float)
    affine[:3, :3] = affine[:3, :3] @ np.diag(spacing)
    affine[:3, 3] = origin
    return Grid.from_file(shape, affine, unit)


def image(name: str, role: Role, on: Grid | None = None, seed: int = 0) -> Image:
    on = on or grid()
    values = np.random.default_rng(seed).normal(100, 20, on.shape).astype(np.float32)
    return Image(name, role, values, on)


def case(*images: Image, name: str = "case", **more) -> Case:
    return Case(
        name, images or (image("case_flair", Role.FLAIR), image("case_t1c", Role.T1C, seed=1)), **more
    )


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory, monkeypatch) -> Path:
    """A folder for journals that no other test sees."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("TUMORSEG_STATE", str(folder))
    return folder


@pytest.fixture(scope="session")
def brats() -> Path:
    return sample_path("brats")


@pytest.fixture
def wait() -> Callable[..., None]:
    """Keep the window alive until something is so."""
    from qtpy.QtCore import QEventLoop, QTimer

    def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it took too long"
            loop = QEventLoop()
            QTimer.singleShot(5, loop.quit)
            loop.exec()

    return until


@pytest.fixture
def open_panel(make_napari_viewer):
    """A viewer and its panel; what a test leaves running is stopped."""
    panels = []

    def make(show: bool = False):
        viewer = make_napari_viewer(show=show)
        _, panel = viewer.window.add_plugin_dock_widget("napari-tumorseg", "Segment brain tumour")
        panels.append(panel)
        return viewer, panel

    yield make
    for panel in panels:
        panel.cancel()
    panels.clear()
    from napari.qt.threading import WorkerBase

    WorkerBase.await_workers(60_000)


@pytest.fixture
def new_panel(open_panel, monkeypatch):
    """A viewer and its panel, where nobody looks; what a test leaves running is stopped."""
    from napari_tumorseg.viewer.widgets import ask

    monkeypatch.setattr(ask, "window", lambda: None)
    return open_panel


@pytest.fixture
def complaints(monkeypatch) -> list[str]:
    """Return the list that receives each error message shown to the user."""
    from napari_tumorseg.viewer import panel

    told: list[str] = []
    monkeypatch.setattr(panel, "show_error", told.append)
    return told
