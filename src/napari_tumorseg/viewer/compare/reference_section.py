"""Panel section: how the active mask agrees with a reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari.layers import Labels as LabelsLayer
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_tumorseg.errors import ChoiceNeededError, InputError
from napari_tumorseg.io import read_mask
from napari_tumorseg.io.formats import file_dialog_filter
from napari_tumorseg.measure.agreement import Agreement, agreement
from napari_tumorseg.measure.metrics import MASK_METRICS, RegionAgreement
from napari_tumorseg.report.text import capital
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.compare.overlay import (
    Legend,
    hide_agreement,
    is_agreement_shown,
    show_agreement,
)
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.layers.views import add_view
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.mask_chooser import MaskChooser
from napari_tumorseg.viewer.widgets import ask
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.numbers_table import NumbersTable
from napari_tumorseg.viewer.widgets.section import Note

_FILES = file_dialog_filter("Masks")
_SHOW, _HIDE = "Show agreement", "Hide agreement"
STALE = "The mask has changed since; compare again."


class ReferenceSection(QWidget):
    """Choose or load a reference, see the numbers and where both differ."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._work = Background(self)
        self.found: Agreement | None = None
        self._pair: tuple[Segmentation, Segmentation] | None = None
        self.chooser = MaskChooser(context.viewer.layers, "choose a reference")
        self.load = QPushButton("Load true mask…")
        self.compare = QPushButton("Compare")
        self.compare.setToolTip("The mask whose numbers the table below shows, with this reference")
        self.note = Note()
        self.table = NumbersTable()
        self.copy = QPushButton("Copy")
        self.region = QComboBox()
        self.show_map = QPushButton(_SHOW)
        self.show_map.setToolTip(
            "A layer of its own: in both, only in this mask, only in the reference; "
            "press again to take it away"
        )
        self.legend = Legend()
        self._lay_out()
        self._connect()
        self.clear()

    def detach(self) -> None:
        """Follow the viewer no more."""
        self._work.cancel()
        self.chooser.detach()
        self._context.viewer.layers.events.removed.disconnect(self._show_pressed)

    def clear(self) -> None:
        """Show nothing: another mask is active."""
        self._work.cancel()
        self.found = self._pair = None
        self.note.value = ""
        self.table.hide()
        self._after.setVisible(False)
        hide_agreement(self._context.viewer)

    def on_changed(self) -> None:
        """Tell that the numbers are out of date."""
        if self.found is not None:
            self.note.value = STALE

    @property
    def fresh(self) -> Agreement | None:
        """What was found, unless one of both masks is another one since or lies on another grid."""
        if self._pair is None:
            return None
        layers = self._context.active_mask.layer, self.chooser.layer
        is_still = all(map(self._context.is_still, self._pair, layers))
        return self.found if is_still else None

    def run(self) -> None:
        """Compare the active mask with the chosen reference, in the background."""
        layer = self.chooser.layer
        if layer is None:
            raise InputError("Choose a reference, or load one from a file.")
        if layer == self._context.active_mask.layer:
            raise InputError(
                f"{layer.name} is the active mask itself: choose another one, or select the mask to compare."
            )
        seg, reference = self._context.mask(), self._context.mask_of(layer)
        self.note.value = "Comparing…"
        self._work.start(
            lambda: agreement(seg, reference),
            lambda found: self._on_found(found, (seg, reference)),
            self._on_failed,
        )

    def open_file(self, path: Path | None = None) -> None:
        """Load a reference from a file, which is asked for if none is named."""
        if path is None:
            name, _ = QFileDialog.getOpenFileName(self, "Load true mask", "", _FILES)
            path = Path(name) if name else None
        if path is not None:
            self._read(path)

    def overlay(self) -> None:
        """Show where both differ in the chosen region, or take it away if it is there."""
        if is_agreement_shown(self._context.viewer):
            hide_agreement(self._context.viewer)
        else:
            self._show_overlay()

    def _show_overlay(self) -> None:
        if self._pair is None:
            raise InputError("Compare with a reference first.")
        seg, reference = self._pair
        layer = self.chooser.layer
        other = layer.name if layer is not None else reference.name
        names = (self._name(), other)
        show_agreement(self._context.viewer, seg, reference, self.region.currentText(), names)
        self.legend.show_names(*names)
        self._show_pressed()

    # ---- the parts

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 4)
        first = QHBoxLayout()
        first.addWidget(self.load)
        first.addWidget(self.compare)
        column.addWidget(self.chooser)
        column.addLayout(first)
        column.addWidget(self.note.native)
        column.addWidget(self.table)
        self._after = QWidget()
        row = QHBoxLayout(self._after)
        row.setContentsMargins(0, 0, 0, 0)
        for widget in (self.region, self.show_map, self.copy):
            row.addWidget(widget)
        column.addWidget(self._after)
        column.addWidget(self.legend)

    def _connect(self) -> None:
        safely = self._context.safely
        self.load.clicked.connect(safely(self.open_file))
        self.compare.clicked.connect(safely(self.run))
        self.show_map.clicked.connect(safely(self.overlay))
        self.region.currentIndexChanged.connect(safely(self._follow_region))
        self._context.viewer.layers.events.removed.connect(self._show_pressed)
        self.copy.clicked.connect(self.table.copy)
        self.chooser.chosen.connect(self.clear)

    # ---- what happens

    def _read(self, path: Path, convention: str | None = None) -> None:
        self.note.value = f"Reading {path.name}…"
        self._work.start(
            lambda: _mask_or_question(path, convention),
            lambda found: self._on_read(path, found),
            self._on_failed,
        )

    def _on_read(self, path: Path, found: Segmentation | ChoiceNeededError) -> None:
        self._tell_age()
        if isinstance(found, ChoiceNeededError):
            self._context.safely(lambda: self._ask_convention(path, found))()
            return
        layer = self._add(path, found)
        self.chooser.choose(layer)
        if self._context.active_mask.layer is not None:
            self._context.safely(self.run)()

    def _ask_convention(self, path: Path, question: ChoiceNeededError) -> None:
        picked = ask.choose("Label convention", f"What do the labels of {path.name} mean?", question.options)
        if picked is None:
            raise question
        self._read(path, picked)

    def _add(self, path: Path, seg: Segmentation) -> LabelsLayer:
        """Add the reference, hidden, to the case of the active mask."""
        mine = self._context.active_mask.layer
        origin = origin_of(mine) if mine is not None else None
        data, arguments, _ = labels_layer(
            seg,
            visible=False,
            name=f"{path.name} (reference)",
            case=origin.case if origin else "",
            group=origin.group if origin else "",
        )
        layer = LabelsLayer(data, **arguments)
        add_view(self._context.viewer, layer)
        return layer

    def _on_found(self, found: Agreement, pair: tuple[Segmentation, Segmentation]) -> None:
        self.found, self._pair = found, pair
        rows = found.rows
        self.table.show_rows(["", *(row.name for row in rows)], _cells(rows), _tips())
        self._tell_age()
        self._offer_regions([row.name for row in rows if row.kind == "region"])
        self._after.setVisible(True)
        self._context.safely(self._follow_region)()

    def _offer_regions(self, names: Sequence[str]) -> None:
        """Offer these regions; the one that was chosen stays so."""
        before = self.region.currentText()
        self.region.blockSignals(True)
        self.region.clear()
        self.region.addItems(names)
        self.region.setCurrentText(before if before in names else names[0] if names else "")
        self.region.blockSignals(False)

    def _follow_region(self) -> None:
        """Show another region, or the same one of another comparison, where an overlay is seen."""
        if is_agreement_shown(self._context.viewer):
            self._show_overlay()

    def _show_pressed(self, event: Any = None) -> None:
        """Let button and legend follow the overlay, which can be taken away in napari's list, too."""
        is_shown = is_agreement_shown(self._context.viewer)
        self.show_map.setText(_HIDE if is_shown else _SHOW)
        if not is_shown:
            self.legend.hide()

    def _on_failed(self, why: str) -> None:
        self._tell_age()
        self._context.report_error(why)

    def _tell_age(self) -> None:
        """Say so if what is shown is out of date, else what is odd about it."""
        rows = self.found.rows if self.found is not None else ()
        flags = [f"{row.name}: {', '.join(row.flags)}" for row in rows if row.flags]
        self.note.value = STALE if self.found is not None and self.fresh is None else "; ".join(flags)

    def _name(self) -> str:
        layer = self._context.active_mask.layer
        return layer.name if layer is not None else "this mask"


def _mask_or_question(path: Path, convention: str | None) -> Segmentation | ChoiceNeededError:
    """Return the mask of a file, or what has to be asked about it."""
    try:
        return read_mask(path, convention)
    except ChoiceNeededError as error:
        return error


def _cells(rows: Sequence[RegionAgreement]) -> list[list[str]]:
    """Return a line for each metric: there are more of them than regions, and the panel is narrow."""
    return [
        [capital(metric.column), *(metric.text(row.metric(name)) for row in rows)]
        for name, metric in MASK_METRICS.items()
    ]


def _tips() -> list[str]:
    return [metric.tip for metric in MASK_METRICS.values()]
