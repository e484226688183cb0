"""Waiting times in the window: from stroke to table, during a run, during autosave.

Needs a screen (``xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/viewer.py`` where there is none).
A block is the time between two turns of the window's event loop. Besides the time on the clock, the CPU time
that the window's own thread spent is told: what a busy machine adds is in the first only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from measuring import about_machine, default_case

STROKES = 200
_TICK_MS = 2
_LATE_SECONDS = 0.04


class Heartbeat:
    """Notes the gaps between turns of the event loop, and where the long ones were spent."""

    def __init__(self, tell_where: bool) -> None:
        from qtpy.QtCore import QTimer

        self.gaps: list[tuple[float, float]] = []
        self.places: dict[str, int] = {}
        self._tell_where = tell_where
        self._last = self._last_cpu = 0.0
        self._is_on = False
        self._main = threading.get_ident()
        self._timer = QTimer()
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._beat)

    def __enter__(self) -> Heartbeat:
        self._last, self._last_cpu, self._is_on = time.perf_counter(), time.thread_time(), True
        self._timer.start()
        if self._tell_where:
            threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._beat()
        self._is_on = False
        self._timer.stop()

    def told(self, what: str) -> str:
        """Return the longest blocks in a line."""
        wall = sorted((gap for gap, _ in self.gaps), reverse=True)
        cpu = sorted((own for _, own in self.gaps), reverse=True)
        late = sum(gap > 0.05 for gap in wall)
        return (
            f"  {what:<28} longest {_ms(wall[:5])} ms; own CPU time {_ms(cpu[:5])} ms;"
            f" {late} of {len(wall)} turns above 50 ms"
        )

    def _beat(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self.gaps.append((now - self._last, cpu - self._last_cpu))
        self._last, self._last_cpu = now, cpu

    def _look(self) -> None:
        """Note the innermost places of this project while the window is late."""
        while self._is_on:
            time.sleep(0.005)
            if time.perf_counter() - self._last > _LATE_SECONDS:
                stack = traceback.extract_stack(sys._current_frames()[self._main])
                place = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in stack[:-7:-1])
                self.places[place] = self.places.get(place, 0) + 1


def open_window(folder: Path) -> tuple[Any, Any]:
    """Return a viewer with a case, and its panel."""
    import napari
    from napari.layers import Layer

    from napari_tumorseg.viewer.readers import read_layers

    viewer = napari.Viewer()
    for data in read_layers(str(folder)):
        viewer.add_layer(Layer.create(*data))
    _, panel = viewer.window.add_plugin_dock_widget("napari-tumorseg", "Segment brain tumour")
    return viewer, panel


def wait_for(condition: Callable[[], bool]) -> None:
    """Let the window live until something is so."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    timer = QTimer()
    timer.timeout.connect(lambda: loop.quit() if condition() else None)
    timer.start(5)
    loop.exec()


def settle(seconds: float = 1.0) -> None:
    """Let the window do what is left to do."""
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > end)


def segment(panel: Any, beat: Heartbeat) -> Any:
    """Run the model, and return the layer once its numbers are told."""
    wait_for(lambda: panel.runs.segment.enabled)  # a new scan is looked at first
    with beat:
        panel.segment()
        wait_for(lambda: not panel.is_running and panel.numbers.table.is_complete)
        settle()
    return panel.results_layer


def stroke(layer: Any, rng: np.random.Generator, inside: np.ndarray) -> None:
    """Do one random thing: a stroke of a random brush across some voxels, an undo, or a redo."""
    kind = rng.choice(["stroke", "undo", "redo"], p=[0.7, 0.2, 0.1])
    if kind != "stroke":
        getattr(layer, kind)()
        return
    layer.brush_size = int(rng.integers(2, 25))
    place = inside[rng.integers(len(inside))]
    label = int(rng.integers(0, 5))
    with layer.block_history():
        for step in range(int(rng.integers(1, 12))):
            layer.paint(place + np.array([0, step, step]), label)


def strokes(panel: Any, layer: Any, count: int) -> tuple[list[float], list[float]]:
    """Return the time from the start of each stroke until the table is up to date: by the clock, and CPU."""
    from qtpy.QtWidgets import QApplication

    rng = np.random.default_rng(0)
    inside = np.argwhere(layer.data)
    layer.mode = "paint"
    taken, own = [], []
    for _ in range(count):
        start, start_own = time.perf_counter(), time.thread_time()
        stroke(layer, rng, inside)
        while not panel.numbers.table.is_complete:
            QApplication.processEvents()
        taken.append(time.perf_counter() - start)
        own.append(time.thread_time() - start_own)
        QApplication.processEvents()
    return taken, own


def strokes_while_alive(layer: Any, count: int, beat: Heartbeat) -> None:
    """Paint stroke by stroke as the window lives on, with the journal being written and synced."""
    from qtpy.QtCore import QTimer

    rng = np.random.default_rng(1)
    inside = np.argwhere(layer.data)
    left = [count]

    def one() -> None:
        left[0] -= 1
        stroke(layer, rng, inside)

    timer = QTimer()
    timer.timeout.connect(one)
    with beat:
        timer.start(30)
        wait_for(lambda: left[0] <= 0)
        timer.stop()


def with_four_labels(viewer: Any, layer: Any) -> Any:
    """Return a copy of a mask with four labels in use, which gives the longest table."""
    from napari.layers import Labels

    from napari_tumorseg.regions import get_convention
    from napari_tumorseg.scan import Segmentation
    from napari_tumorseg.viewer.layers.origin import origin_of
    from napari_tumorseg.viewer.layers.to_layers import labels_layer

    labels = np.array(layer.data)
    labels[:, :, : labels.shape[2] // 2][labels[:, :, : labels.shape[2] // 2] == 2] = 4
    mask = Segmentation(labels, origin_of(layer).grid, get_convention("brats-2024"), "four labels")
    data, arguments, _ = labels_layer(mask)
    made = viewer.add_layer(Labels(data, **arguments))
    viewer.layers.selection.active = made
    return made


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scan", type=Path, default=None, help="folder of a case")
    parser.add_argument("--strokes", type=int, default=STROKES)
    parser.add_argument("--where", action="store_true", help="tell where long blocks were spent")
    parser.add_argument("--no-run", action="store_true", help="paint on the case's own mask")
    options = parser.parse_args()
    os.environ.setdefault("TUMORSEG_STATE", tempfile.mkdtemp())
    print(about_machine("napari", "qtpy", "numpy", "torch"))
    viewer, panel = open_window(options.scan or default_case())
    settle(2)
    wait_for(lambda: len(panel.options.device.choices) > 1)  # torch is there
    settle()
    if options.no_run:
        layer = viewer.layers[-1]
        layer.visible = True
        viewer.layers.selection.active = layer
    else:
        beats = [Heartbeat(options.where) for _ in range(2)]
        for turn, beat in enumerate(beats, start=1):
            layer = segment(panel, beat)
            print(beat.told(f"run {turn}"))
            _show_places(beat)
    layer = with_four_labels(viewer, layer)
    settle()
    print(f"  volume {' x '.join(map(str, layer.data.shape))}, {len(panel.numbers.table.rows)} rows")
    for what, taken in zip(
        ("by the clock", "own CPU time"), strokes(panel, layer, options.strokes), strict=True
    ):
        print(
            f"  stroke to table, {what}: median {1e3 * statistics.median(taken):.1f} ms,"
            f" longest {_ms(sorted(taken, reverse=True)[:5])} ms"
        )
    panel.safety.autosave.journals.set_interval(1)
    beat = Heartbeat(options.where)
    strokes_while_alive(layer, options.strokes, beat)
    print(beat.told("painting with autosave"))
    _show_places(beat)
    assert panel.active_mask.counts.counts() == panel.active_mask.counts.recount()
    panel.safety.autosave.close()
    viewer.close()


def _show_places(beat: Heartbeat) -> None:
    for place, times in sorted(beat.places.items(), key=lambda item: -item[1])[:12]:
        print(f"    {times:4d} x 5 ms  {place}")


def _ms(seconds: list[float]) -> str:
    return ", ".join(f"{1e3 * s:.0f}" for s in seconds)


if __name__ == "__main__":
    main()
