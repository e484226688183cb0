"""Panel section to compare the active mask with a reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from napari.layers import Labels as LabelsLayer
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_tumorseg.errors import ChoiceNeededError, InputError
from napari_tumorseg.io import read_mask
from napari_tumorseg.io.formats import file_dialog_filter
from napari_tumorseg.measurement.agreement import Agreement, agreement
from napari_tumorseg.measurement.metrics import MASK_METRICS, RegionAgreement
from napari_tumorseg.report.text import capital
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.compare.agreement_view import AgreementView
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.layers.views import add_view
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.conventions import ask_convention
from napari_tumorseg.viewer.state.mask_chooser import MaskChooser
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.numbers_table import NumbersTable
from napari_tumorseg.viewer.widgets.section import Note

_FILES = file_dialog_filter("Masks")
STALE = "The mask has changed since; compare again."


class ReferenceSection(QWidget):
    """Choice of a reference, measures of agreement, and a map of the differences."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._work = Background(self)
        self.found: Agreement | None = None
        self._pair: tuple[Segmentation, Segmentation] | None = None
        self.chooser = MaskChooser(context.viewer.layers, "choose a reference")
        self.load = QPushButton("Load true mask…")
        self.compare = QPushButton("Compare")
        self.compare.setToolTip("Compare the mask of the results table with this reference")
        self.note = Note()
        self.table = NumbersTable()
        self.copy = QPushButton("Copy")
        self.view = AgreementView(context, self.copy)
        self._lay_out()
        self._connect()
        self.clear()

    def detach(self) -> None:
        """Stop following the viewer and cancel background work."""
        self._work.cancel()
        self.chooser.detach()
        self.view.detach()

    def clear(self) -> None:
        """Remove the results, for another mask or reference."""
        self._work.cancel()
        self.found = self._pair = None
        self.note.value = ""
        self.table.hide()
        self.view.clear()

    def on_changed(self) -> None:
        """Note that the results are out of date."""
        if self.found is not None:
            self.note.value = STALE

    @property
    def fresh(self) -> Agreement | None:
        """Agreement, unless one of the masks or grids changed since."""
        if self._pair is None:
            return None
        layers = self._context.active_mask.layer, self.chooser.layer
        is_still = all(map(self._context.is_still, self._pair, layers))
        return self.found if is_still else None

    def run(self) -> None:
        """Compare the active mask with the chosen reference, in the background.

        Raises
        ------
        InputError
            If no reference is chosen and there is not just one candidate, or it is the active mask.
        """
        layer = self.chooser.layer or self._only_candidate()
        if layer is None:
            raise InputError("Choose a reference, or load one from a file.")
        self.chooser.choose(layer)
        seg, reference = self._context.mask(), self._context.mask_of(layer)
        active = self._context.active_mask.layer
        assert active is not None
        if layer is active:
            raise InputError(
                f"{layer.name} is the active mask itself: choose another one, or select the mask to compare."
            )
        self.note.value = "Comparing…"
        self._work.start(
            lambda: agreement(seg, reference),
            lambda found: self._on_found(found, (seg, reference), (active, layer)),
            self._on_failed,
        )

    def open_file(self, path: Path | None = None) -> None:
        """Load a reference from a file; without a path, a dialog asks for it."""
        if path is None:
            name, _ = QFileDialog.getOpenFileName(self, "Load true mask", "", _FILES)
            path = Path(name) if name else None
        if path is not None:
            self._read(path)

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
        column.addWidget(self.view)

    def _connect(self) -> None:
        safely = self._context.safely
        self.load.clicked.connect(safely(self.open_file))
        self.compare.clicked.connect(safely(self.run))
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
        self._update_note()
        if isinstance(found, ChoiceNeededError):
            self._context.safely(lambda: self._ask_convention(path, found))()
            return
        layer = self._add(path, found)
        self.chooser.choose(layer)
        if self._context.active_mask.layer is not None:
            self._context.safely(self.run)()

    def _ask_convention(self, path: Path, question: ChoiceNeededError) -> None:
        picked = ask_convention(f"What do the labels of {path.name} mean?", question.options)
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

    def _only_candidate(self) -> LabelsLayer | None:
        """Return the other mask of the case, or else of this shape, if there is just one."""
        mine = self._context.active_mask.layer
        if mine is None:
            return None
        others = [layer for layer in self._context.masks() if layer is not mine]
        of_shape = [layer for layer in others if np.shape(layer.data) == np.shape(mine.data)]
        candidates = self._context.active_mask.beside() or of_shape
        return candidates[0] if len(candidates) == 1 else None

    def _on_found(
        self,
        found: Agreement,
        pair: tuple[Segmentation, Segmentation],
        layers: tuple[LabelsLayer, LabelsLayer],
    ) -> None:
        self.found, self._pair = found, pair
        rows = found.rows
        self.table.show_rows(["", *(row.name for row in rows)], _cells(rows), _tips())
        self._update_note()
        names = [row.name for row in rows if row.kind == "region"]
        self._context.safely(lambda: self.view.show_pair(pair, layers, names))()

    def _on_failed(self, message: str) -> None:
        self._update_note()
        self._context.report_error(message)

    def _update_note(self) -> None:
        """Show that the results are out of date, or else their flags."""
        rows = self.found.rows if self.found is not None else ()
        flags = [f"{row.name}: {', '.join(row.flags)}" for row in rows if row.flags]
        self.note.value = STALE if self.found is not None and self.fresh is None else "; ".join(flags)


def _mask_or_question(path: Path, convention: str | None) -> Segmentation | ChoiceNeededError:
    """Return the mask of a file, or the question that its labels raise."""
    try:
        return read_mask(path, convention)
    except ChoiceNeededError as error:
        return error


def _cells(rows: Sequence[RegionAgreement]) -> list[list[str]]:
    """Return a line for each metric: columns are regions, since the panel is narrow."""
    return [
        [capital(metric.column), *(metric.text(row.metric(name)) for row in rows)]
        for name, metric in MASK_METRICS.items()
    ]


def _tips() -> list[str]:
    return [metric.tip for metric in MASK_METRICS.values()]
