"""npe2 writer: a Labels layer as NIfTI, TIFF or HDF5, index for index on the grid of its scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Layer


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one Labels layer; napari has asked already before it replaces a file.

    In a window, what goes wrong is a notification instead of an error.

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
    from napari.layers import Labels, Layer

    from napari_tumorseg.viewer.layers.edits import edits_of
    from napari_tumorseg.viewer.state.conventions import segmentation_of
    from napari_tumorseg.viewer.state.saving import save_mask

    layer = Layer.create(data, attributes, "labels")
    assert isinstance(layer, Labels)
    segmentation = segmentation_of(layer, _layers_of_viewer())
    written = save_mask(segmentation, Path(path))
    edits = edits_of(layer)
    if edits is not None:
        edits.note_saved()
    return [str(p) for p in written]


def _layers_of_viewer() -> list[Layer]:
    """Return the layers of the viewer in which the layer was saved."""
    import napari

    viewer = napari.current_viewer()
    return list(viewer.layers) if viewer is not None else []
