"""Layer and legend that show where two masks agree and differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from napari.layers import Labels as LabelsLayer
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from napari_tumorseg.geometry import Array
from napari_tumorseg.measurement.error_map import AGREEMENT_COLOURS, AGREEMENT_NAMES, agreement_map
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.layers.to_layers import placement
from napari_tumorseg.viewer.layers.views import add_view, remove_views, view_metadata, views

if TYPE_CHECKING:
    from napari import Viewer

KIND = "agreement"
_SWATCH = 14


def show_agreement(
    viewer: Viewer, seg: Segmentation, reference: Segmentation, region: str, names: tuple[str, str]
) -> LabelsLayer:
    """Add a layer that shows where two masks agree in a region.

    Parameters
    ----------
    viewer : Viewer
        Viewer; an earlier agreement layer is replaced.
    seg, reference : Segmentation
        Masks A and B.
    region : str
        Region, such as ``"WT"``.
    names : (str, str)
        Names of A and B.
    """
    found = agreement_map(seg, reference, region)
    hide_agreement(viewer)
    layer = _layer(found, seg, f"agreement {region}: {names[0]} with {names[1]}")
    add_view(viewer, layer)
    return layer


def hide_agreement(viewer: Viewer) -> None:
    """Remove the agreement layer."""
    remove_views(viewer, KIND)


def is_agreement_shown(viewer: Viewer) -> bool:
    """Return whether there is an agreement layer, even of an earlier comparison."""
    return bool(views(viewer, KIND))


def _layer(found: Array, seg: Segmentation, name: str) -> LabelsLayer:
    colours: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    colours |= dict(AGREEMENT_COLOURS.items())
    features = pd.DataFrame({"index": [0, *AGREEMENT_NAMES], "label": ["", *AGREEMENT_NAMES.values()]})
    layer = LabelsLayer(
        found,
        name=name,
        opacity=0.7,
        colormap=DirectLabelColormap(color_dict=colours),
        features=features,
        metadata=view_metadata(KIND),
        **placement(seg.grid),
    )
    layer.editable = False
    return layer


class Legend(QWidget):
    """Meaning of the colours of the agreement layer."""

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(1)
        grid.setColumnStretch(1, 1)
        self._texts: dict[int, QLabel] = {}
        for line, (value, colour) in enumerate(AGREEMENT_COLOURS.items()):
            swatch = QPixmap(_SWATCH, _SWATCH)
            swatch.fill(QColor(colour))
            icon = QLabel()
            icon.setPixmap(swatch)
            text = QLabel()
            text.setTextFormat(Qt.TextFormat.PlainText)  # it shows names of files
            text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            self._texts[value] = text
            grid.addWidget(icon, line, 0)
            grid.addWidget(text, line, 1)
        self.hide()

    def show_names(self, one: str, other: str) -> None:
        """Show the legend for two masks."""
        ends = {"both": "in both", "only A": f"only in {one}", "only B": f"only in {other}"}
        for value, name in AGREEMENT_NAMES.items():
            self._texts[value].setText(ends[name])
            self._texts[value].setToolTip(ends[name])
        self.show()
