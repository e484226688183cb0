"""npe2 writer: a Labels layer as NIfTI, TIFF, HDF5 or DICOM, index for index on the grid of its scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Labels, Layer


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one Labels layer; napari has asked already before it replaces a file.

    In a window, an error is shown as a notification.

    Returns
    -------
    list of str
        The mask and the JSON beside it; nothing if they could not be written.
    """
    from napari_tumorseg.errors import TumorSegError
    from napari_tumorseg.viewer.widgets import ask

    try:
        return _write(path, data, attributes)
    except TumorSegError as error:
        ask.report_error(error, [path])
        return []


def _write(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    from napari.utils.notifications import show_warning

    from napari_tumorseg.viewer.layers.edits import edits_of
    from napari_tumorseg.viewer.state.conventions import segmentation_of
    from napari_tumorseg.viewer.state.placing import settle_place
    from napari_tumorseg.viewer.state.saving import save_mask

    beside = _layers_of_viewer()
    layer = _layer_of(data, attributes, beside)
    warning = settle_place(layer, beside)
    written = save_mask(segmentation_of(layer, beside), Path(path))
    edits = edits_of(layer)
    if edits is not None:
        edits.note_saved()
    if warning:
        show_warning(warning)
    return [str(p) for p in written]


def _layer_of(data: Any, attributes: dict[str, Any], layers: list[Layer]) -> Labels:
    """Return the layer in the viewer, which keeps the user's answers, or a new one."""
    from napari.layers import Labels, Layer

    found = next((x for x in layers if isinstance(x, Labels) and x.data is data), None)
    layer = found or Layer.create(data, attributes, "labels")
    assert isinstance(layer, Labels)
    return layer


def _layers_of_viewer() -> list[Layer]:
    """Return the layers of the viewer in which the layer was saved."""
    import napari

    viewer = napari.current_viewer()
    return list(viewer.layers) if viewer is not None else []
