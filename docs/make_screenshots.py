"""The pictures of the user guide, from a real session in a real window.

Run it where there is a screen: ``make screenshots``, or
``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_screenshots.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import nibabel as nib
import numpy as np
from napari.layers import Labels
from native_head import write_native_head
from PIL import Image
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QWidget

from napari_tumorseg.evaluation.clicks_simulation import next_click
from napari_tumorseg.samples import sample_path
from napari_tumorseg.viewer.layers.origin import is_brain
from napari_tumorseg.viewer.panel import SegmentPanel

FOLDER = Path(__file__).parent / "images"
SIZE = (1440, 900)


def main() -> None:
    """Open, segment, correct, compare, and take a picture after each step."""
    FOLDER.mkdir(exist_ok=True)
    os.environ["TUMORSEG_STATE"] = tempfile.mkdtemp()  # no edits of other sessions are offered
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    viewer.open_sample("napari-tumorseg", "brats")
    reference = viewer.layers[-1]
    viewer.layers.selection.active = viewer.layers[0]
    _, panel = viewer.window.add_plugin_dock_widget("napari-tumorseg", "Segment brain tumour")
    wait(lambda: len(panel.options.device.choices) > 1)
    show_largest_slice(viewer, reference)
    take(viewer, "opened")
    layer = segment(panel)
    take(viewer, "segmented")
    clicks(viewer, panel, layer, reference)
    take(viewer, "clicks")
    stop_clicks(panel, layer)
    correct(viewer, panel, layer, reference)
    take(viewer, "corrected")
    planes(viewer, layer)
    uncertainty(viewer, panel)
    compare(viewer, panel, reference, layer)
    with tempfile.TemporaryDirectory() as folder:
        leave(panel, Path(folder))
    viewer.layers.clear()
    same_from_another_file(viewer)
    from_dicom(viewer, panel)
    viewer.layers.clear()
    from_scanner(viewer, panel)
    viewer.close()


def uncertainty(viewer: napari.Viewer, panel: SegmentPanel) -> None:
    """Show where the model is unsure, on the page Correct."""
    open_page(panel, "Correct")
    where = panel.correct.uncertainty
    before = len(viewer.layers)
    where.map_buttons.toggle("uncertainty")
    wait(lambda: len(viewer.layers) > before and not where.is_busy)
    where.show_next()
    wait(lambda: not where.is_busy)
    bring_in_sight(panel, where)
    take(viewer, "uncertainty")
    where.map_buttons.toggle("uncertainty")
    bring_in_sight(panel, panel.correct.tools)
    take(viewer, "tools")


def compare(viewer: napari.Viewer, panel: SegmentPanel, reference: Labels, layer: Labels) -> None:
    """Show agreement with the true mask, diameters, and the regions in three dimensions."""
    open_page(panel, "Compare")
    page = panel.compare
    viewer.layers.selection.active = layer
    page.reference.chooser.choose(reference)
    page.reference.compare.click()
    wait(lambda: page.reference.found is not None)
    show_largest_slice(viewer, reference)
    page.reference.view.button.click()
    take(viewer, "agreement")
    viewer.layers.remove(next(each for each in viewer.layers if each.name.startswith("agreement")))
    page.diameters.measure.click()
    wait(lambda: page.diameters.found is not None)
    page.diameters.table.selectRow(0)
    bring_in_sight(panel, page.diameters)
    take(viewer, "diameters")
    page.presets.surfaces.click()
    wait(lambda: page.presets.preset.name == "surfaces")
    bring_in_sight(panel, page.presets)
    take(viewer, "surfaces")
    page.presets.back.click()
    pause(0.3)


def leave(panel: SegmentPanel, folder: Path) -> None:
    """Save everything, and photograph the report where there is a browser for it."""
    panel.compare.export.run(folder)
    wait(lambda: panel.compare.export.note.value.startswith("Saved in "))
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    page = next(folder.rglob("*.html"))
    if browser is None:
        print("no chromium here: the picture of the report stays as it is")
        return
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=900,1280"]
    command = [browser, *options, f"--screenshot={FOLDER / 'report.png'}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)


def open_page(panel: SegmentPanel, title: str) -> None:
    """Turn the panel to a page."""
    titles = [panel.tabs.tabText(index) for index in range(panel.tabs.count())]
    panel.tabs.setCurrentIndex(titles.index(title))
    pause(0.3)


def bring_in_sight(panel: SegmentPanel, part: QWidget) -> None:
    """Scroll the page so that a part of it is at the top."""
    area = panel.tabs.currentWidget()
    area.verticalScrollBar().setValue(part.mapTo(area.widget(), part.rect().topLeft()).y() - 30)
    pause(0.2)


def segment(panel: SegmentPanel) -> Labels:
    """Press Segment and wait for the numbers."""
    panel.runs.segment.native.click()
    wait(lambda: not panel.is_running)
    wait(lambda: bool(panel.results.rows) and panel.active_mask.layer is not None)
    pause(1)
    return panel.active_mask.layer


def correct(viewer: napari.Viewer, panel: SegmentPanel, layer: Labels, reference: Labels) -> None:
    """Paint oedema where the model missed most of it, with napari's own brush."""
    missed = (reference.data > 0) & (layer.data == 0)
    z = int(np.count_nonzero(missed, axis=(1, 2)).argmax())
    viewer.dims.set_current_step(0, z)
    layer.mode = "paint"
    layer.brush_size = 5
    layer.selected_label = 2
    for y, x in np.argwhere(missed[z])[::7]:
        layer.paint((z, int(y), int(x)), 2)
    pause(1)
    layer.mode = "pan_zoom"  # else the brush is in the picture


def clicks(viewer: napari.Viewer, panel: SegmentPanel, layer: Labels, reference: Labels) -> None:
    """Click three times where the whole tumour differs most from the true mask."""
    open_page(panel, "Correct")
    layer.selected_label = 2
    section = panel.correct.clicks
    section.scope.value = "WT"
    section.button.click()
    bring_in_sight(panel, section)
    for _ in range(3):
        click = next_click(layer.data > 0, reference.data > 0)
        assert click is not None
        viewer.dims.set_current_step(0, click.voxels[0][0])
        pause(0.3)
        section.clicker.click(click.voxels, click.adds)
        wait(lambda: not panel.correct.is_busy)
    pause(1)


def stop_clicks(panel: SegmentPanel, layer: Labels) -> None:
    """Switch clicks off and undo them."""
    panel.correct.clicks.button.click()
    for _ in range(3):
        layer.undo()
    panel.tabs.setCurrentIndex(0)
    pause(1)


def planes(viewer: napari.Viewer, layer: Labels) -> None:
    """Show that the head is up in coronal and sagittal slices, too."""
    middle = [int(np.median(i)) for i in np.nonzero(layer.data)]
    parts = []
    for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
        viewer.dims.order = order
        viewer.dims.set_current_step(range(3), middle)
        viewer.reset_view()
        pause(0.5)
        parts.append(viewer.screenshot(canvas_only=True, flash=False)[..., :3])
    viewer.dims.order = (0, 1, 2)
    save(np.concatenate([square(part) for part in parts], axis=1), "planes")


def same_from_another_file(viewer: napari.Viewer) -> None:
    """Show the sample from files of LPS axial and of RAS sagittal slices: they must look the same."""
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        for name, axes in (("axial", ("L", "P", "S")), ("sagittal", ("A", "S", "R"))):
            path = Path(folder) / f"{name}_flair.nii.gz"
            source = nib.nifti1.load(next(sample_path("brats").glob("*t2f*")))
            wanted = nib.orientations.axcodes2ornt(axes)
            found = nib.orientations.io_orientation(source.affine)
            source.as_reoriented(nib.orientations.ornt_transform(found, wanted)).to_filename(path)
            viewer.open(path, plugin="napari-tumorseg")
            viewer.dims.set_current_step(0, 45)
            viewer.reset_view()
            pause(0.5)
            parts.append(square(viewer.screenshot(canvas_only=True, flash=False)[..., :3]))
            viewer.layers.clear()
    if not np.array_equal(parts[0], parts[1]):
        sys.exit("the same scan looks different when its file holds it in another order")
    save(np.concatenate(parts, axis=1), "orientations")


def from_dicom(viewer: napari.Viewer, panel: SegmentPanel) -> None:
    """Show the sample as a DICOM folder that was dropped on the window, segmented."""
    sys.path.insert(0, str(Path(__file__).parents[1]))  # the series are made as those of the tests are
    from tests.dicom_files import GE, SEQUENCES, write_series

    kinds = {"t2f": ("AX FLAIR", "flair"), "t1c": ("AX T1 +C", "t1"), "t2w": ("AX T2", "t2")}
    with tempfile.TemporaryDirectory() as folder:
        for number, (ending, (words, times)) in enumerate(kinds.items(), start=1):
            source = nib.nifti1.load(next(sample_path("brats").glob(f"*{ending}*")))
            place = Path(folder, "My scan", f"S{number}")
            array = np.asarray(source.dataobj).astype(np.int16)
            write_series(place, array, source.affine, number, words, **GE, **SEQUENCES[times])
        viewer.open(Path(folder, "My scan"), plugin="napari-tumorseg")
        viewer.layers.selection.active = viewer.layers[0]
        open_page(panel, "Segment")
        show_largest_slice(viewer, segment(panel))
        viewer.reset_view()
        take(viewer, "dicom")


def from_scanner(viewer: napari.Viewer, panel: SegmentPanel) -> None:
    """Show a scan with the skull on, its brain, its registered sequence, and the mask in thick slices."""
    with tempfile.TemporaryDirectory() as folder:
        write_native_head(Path(folder, "My scan"))
        viewer.open(Path(folder, "My scan"), plugin="napari-tumorseg")
    viewer.layers.selection.active = viewer.layers[0]
    open_page(panel, "Segment")
    mask = segment(panel)
    brain = next(layer for layer in viewer.layers if is_brain(layer))
    show_largest_slice(viewer, mask)
    viewer.reset_view()
    mask.visible = False
    take(viewer, "native_brain")
    brain.visible = False
    section = panel.segment_page.registration
    bring_in_sight(panel, section.native)
    section.board.native.click()
    take(viewer, "native_registered")
    section.board.native.click()
    mask.visible = brain.visible = True
    show_coronal(viewer, mask)
    take(viewer, "native_mask")
    viewer.dims.order = (0, 1, 2)


def show_coronal(viewer: napari.Viewer, mask: Labels) -> None:
    """Turn to the middle of the tumour from the front, where thick slices are seen as such."""
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, int(np.median(np.nonzero(mask.data)[1])))
    viewer.reset_view()


def show_largest_slice(viewer: napari.Viewer, mask: Labels) -> None:
    """Turn to the slice with most tumour."""
    viewer.dims.set_current_step(0, int(np.count_nonzero(mask.data, axis=(1, 2)).argmax()))


def take(viewer: napari.Viewer, name: str) -> None:
    """Save a picture of the whole window."""
    pause(0.7)
    save(viewer.screenshot(canvas_only=False, flash=False)[..., :3], name)


def save(pixels: np.ndarray, name: str) -> None:
    """Write a picture."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    path = FOLDER / f"{name}.png"
    picture.save(path, optimize=True)
    print(f"{path}: {picture.width} x {picture.height}, {path.stat().st_size / 1024:.0f} kB")


def square(pixels: np.ndarray, size: int = 480) -> np.ndarray:
    """Return the middle of a picture, scaled to a square."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    picture = Image.fromarray(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))


def wait(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Keep the window alive until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("it took too long")
        pause(0.02)


def pause(seconds: float) -> None:
    """Keep the window alive for some time."""
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()


if __name__ == "__main__":
    main()
