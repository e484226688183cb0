"""Response of the window while all cases are segmented: by a niced process, a plain one, or a thread.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/segment_all.py FOLDER --seconds 20

FOLDER holds cases that a shipped model can segment. A case is open, and a stroke is painted every 0.1 s. Told
are the gaps between turns of the window's event loop, which is what a user feels; the ways take turns, since
other work on the machine changes what is measured. The page Cases does it by a niced process.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from measuring import about_machine
from napari_tumorseg.cohorts.background import Errand, events
from viewer import Heartbeat, settle, wait_for


@contextmanager
def by_process(page: Any, errand: Errand) -> Iterator[None]:
    """Segment in a process while the block runs, as the page does; a case is done before it begins."""
    run, cases = page.segment_all._run, []
    run.told.connect(lambda event: cases.append(event) if "case" in event else None)
    run.start(errand)
    try:
        wait_for(lambda: bool(cases))
        yield
    finally:
        run.end()


@contextmanager
def by_thread(errand: Errand) -> Iterator[None]:
    """Segment in a thread of the window's process while the block runs; a case is done before it begins."""
    is_over, cases = threading.Event(), []

    def work() -> None:
        for event in events(errand):
            cases.append(event)
            if is_over.is_set():
                return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        wait_for(lambda: len(cases) > 1)
        yield
    finally:
        is_over.set()
        with suppress(RuntimeError):
            wait_for(lambda: not thread.is_alive())


def strokes(layer: Any, seconds: float) -> None:
    """Paint a stroke every tenth of a second."""
    end = time.monotonic() + seconds
    place = np.array(layer.data.shape) // 2
    while time.monotonic() < end:
        layer.paint(tuple(place + np.random.default_rng().integers(-5, 6, 3) * (0, 1, 1)), 1)
        settle(0.1)


def told(beat: Heartbeat, way: str) -> str:
    """Return the gaps of a way as a row."""
    gaps = 1000 * np.array([gap for gap, _ in beat.gaps])
    waited = 100 * gaps[gaps > 100].sum() / gaps.sum()
    percentiles = " | ".join(f"{value:.0f} ms" for value in np.percentile(gaps, (50, 95, 99)))
    return f"| {way} | {percentiles} | {gaps.max():.0f} ms | {waited:.0f} % |"


def main() -> None:
    """Measure and print."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ways", nargs="+", default=["nothing", "niced", "process", "thread"])
    options = parser.parse_args()
    print(about_machine("napari"))
    import napari

    viewer = napari.Viewer()
    _, panel = viewer.window.add_plugin_dock_widget("napari-tumorseg", "Segment brain tumour")
    page = panel.cases
    with tempfile.TemporaryDirectory() as temporary:
        page.open_folder(options.data, Path(temporary) / "masks")
        wait_for(lambda: page.worklist is not None)
        page.open_case(page.worklist.entries[0].name)
        wait_for(lambda: page.current is not None)
        image = viewer.layers[0]
        mask = viewer.add_labels(
            np.zeros(image.data.shape, np.uint8), scale=image.scale, translate=image.translate
        )
        mask.brush_size = 8
        print("| segmented by | median | 95 % | 99 % | longest gap | time in gaps above 0.1 s |")
        print("| --- | --- | --- | --- | --- | --- |")
        for number in range(options.rounds):
            errand = Errand((str(options.data),), str(Path(temporary) / f"out{number}"))
            ways = {
                "nothing": None,
                "niced": by_process(page, errand),
                "process": by_process(page, replace(errand, output=f"{errand.output}p", niceness=0)),
                "thread": by_thread(replace(errand, output=f"{errand.output}t")),
            }
            for way in options.ways:
                run = ways[way]
                beat = Heartbeat(False)
                if run is None:
                    with beat:
                        strokes(mask, options.seconds)
                else:
                    with run, beat:
                        strokes(mask, options.seconds)
                print(told(beat, way), flush=True)
    panel.safety.autosave.close()
    viewer.close()


if __name__ == "__main__":
    main()
