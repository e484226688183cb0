"""Panel page: a folder of cases to go through, one after the other, today and tomorrow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from napari.utils.notifications import show_warning
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.io import write_mask
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.session import Entry, State, Worklist
from napari_tumorseg.viewer.cases.opening import Opened, open_entry, stamp_of
from napari_tumorseg.viewer.keys import bind, key_of, titled
from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.layers.origin import is_view, origin_of
from napari_tumorseg.viewer.surroundings import Surroundings
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.section import Note
from napari_tumorseg.viewer.widgets.telling import short, together

SIGNS = {
    State.NEW: "○ new",
    State.SEGMENTED: "◔ segmented",
    State.CORRECTED: "◑ corrected",
    State.DONE: "● done",
}
_LEFT_TO_DO = {State.NEW, State.SEGMENTED, State.CORRECTED}
_MOST_SHOWN = 14
_ROW_HEIGHT = 22


class WorklistSection(QWidget):
    """The cases with their states; opens one at a time and keeps its mask.

    Parameters
    ----------
    around : Surroundings
        The viewer and the mask in hand.
    may_leave : callable
        Asks about unsaved edits, given how to save a layer; False if the user wants to stay.
    """

    def __init__(
        self, around: Surroundings, may_leave: Callable[[Callable[[LabelsLayer], None]], bool]
    ) -> None:
        super().__init__()
        self._around = around
        self._may_leave = may_leave
        self._work = Background(self)
        self.worklist: Worklist | None = None
        self.current: str | None = None
        self._groups: set[str] = set()
        self._stamp: int | None = None
        self.choose = QPushButton("Cases…")
        self.choose.setToolTip("A folder of cases, of any layout that can be read")
        self.choose_output = QPushButton("Masks…")
        self.choose_output.setToolTip("Where masks and the states of the cases are kept")
        self.folders = QLabel("Choose a folder of cases.")
        self.list = _list()
        self.previous = QPushButton(titled("◀ Previous", "previous_case"))
        self.next = QPushButton(titled("Next ▶", "next_case"))
        self.save = QPushButton("Save mask")
        self.save.setToolTip("Keep the mask in hand beside the others; the case stays on the list")
        self.done = QPushButton("Done, next")
        self.done.setToolTip("Keep the mask in hand, mark the case as done and go on with the next one to do")
        self.note = Note()
        self._paths: tuple[Path | None, Path | None] = (None, None)
        self._lay_out()
        self._connect()
        self._show_state()

    def let_go(self) -> None:
        """Follow the viewer no more."""
        self._work.drop()
        self._unbind()

    # ---- what the user does

    def open_folder(self, cases: Path | None = None, output: Path | None = None) -> None:
        """List the cases of a folder; without an output folder, one beside it with ``_masks`` is taken."""
        cases = cases or self._asked("Cases", self._paths[0])
        if cases is None:
            return
        output = output or cases.with_name(f"{cases.name}_masks")
        self.note.value = "Looking for cases…"
        self._paths = (cases, output)
        self._work.start(lambda: Worklist.open(cases, output), self._on_listed, self._on_failed)

    def set_output(self, output: Path | None = None) -> None:
        """Keep masks and states in another folder."""
        cases = self._paths[0]
        if cases is None:
            raise InputError("Choose a folder of cases first.")
        output = output or self._asked("Masks", self._paths[1])
        if output is not None:
            self.open_folder(cases, output)

    def open_case(self, name: str) -> None:
        """Open a case in place of the one that is open; edits that are not saved are asked about."""
        entry = self._listed().entry(name)
        if self.current is not None and not self._may_leave(self._keep_now):
            self._select(self.current)
            return
        self._close()
        self.note.value = f"Opening {entry.name}…"
        self._select(entry.name)
        self._work.start(lambda: open_entry(entry), self._on_opened, self._on_failed)

    def go(self, forward: bool = True) -> None:
        """Open the next or the previous case of the list."""
        worklist = self._listed()
        entry = (worklist.next if forward else worklist.previous)(self.current)
        if entry is None:
            self.note.value = "This is the last case." if forward else "This is the first case."
            return
        self.open_case(entry.name)

    def save_mask(self) -> None:
        """Keep the mask in hand where the worklist has it, in the background."""
        self._keep(State.SEGMENTED, lambda: None)

    def finish(self) -> None:
        """Keep the mask in hand, mark the case as done, and go on."""
        self._keep(State.DONE, self._go_on)

    # ---- the parts

    def _lay_out(self) -> None:
        self.folders.setTextFormat(Qt.TextFormat.PlainText)
        self.folders.setWordWrap(True)
        self.folders.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        grid = QGridLayout()
        buttons = (self.choose, self.choose_output)
        for column, button in enumerate(buttons):
            grid.addWidget(button, 0, column)
        steps = QGridLayout()
        for index, button in enumerate((self.previous, self.next, self.save, self.done)):
            steps.addWidget(button, index // 2, index % 2)
        column_of_all = QVBoxLayout(self)
        column_of_all.setContentsMargins(9, 4, 9, 4)
        column_of_all.addLayout(grid)
        column_of_all.addWidget(self.folders)
        column_of_all.addWidget(self.list)
        column_of_all.addLayout(steps)
        column_of_all.addWidget(self.note.native)

    def _connect(self) -> None:
        safely = self._around.safely
        self.choose.clicked.connect(safely(self.open_folder))
        self.choose_output.clicked.connect(safely(self.set_output))
        self.list.itemClicked.connect(self._on_clicked)
        self.list.itemActivated.connect(self._on_clicked)
        forward, backward = safely(lambda: self.go(True)), safely(lambda: self.go(False))
        self.next.clicked.connect(forward)
        self.previous.clicked.connect(backward)
        self.save.clicked.connect(safely(self.save_mask))
        self.done.clicked.connect(safely(self.finish))
        self._unbind = bind(self._around.viewer, {"next_case": forward, "previous_case": backward})

    def _asked(self, what: str, start: Path | None) -> Path | None:
        name = QFileDialog.getExistingDirectory(self, f"Folder: {what.lower()}", str(start or ""))
        return Path(name) if name else None

    # ---- what happens

    def _listed(self) -> Worklist:
        if self.worklist is None:
            raise InputError("Choose a folder of cases first.")
        return self.worklist

    def _on_clicked(self, item: QTreeWidgetItem, column: int = 0) -> None:
        name = item.data(0, Qt.ItemDataRole.UserRole)
        if name != self.current:
            self._around.safely(lambda: self.open_case(name))()

    def _on_listed(self, worklist: Worklist) -> None:
        self.worklist = worklist
        self.current = None
        self.note.value = "\n".join(worklist.problems)
        self._show_list()
        first = worklist.next(None, _LEFT_TO_DO)
        if first is not None:
            self._select(first.name)
            self.note.value += f"Go on with {first.name}: click it, or press {key_of('next_case')}."

    def _on_opened(self, opened: Opened) -> None:
        viewer, added = self._around.viewer, []
        for data in opened.layers:
            added.append(Layer.create(*data))
            viewer.add_layer(added[-1])
        self._groups = {origin.group for origin in map(origin_of, added) if origin}
        self.current, self._stamp = opened.entry.name, opened.stamp
        # a mask that came with the case is there to compare with, not the one to be drawn on
        viewer.layers.selection.active = added[-1] if opened.has_mask else added[0]
        viewer.reset_view()
        self.note.value = f"{opened.entry.name} is open."
        if opened.sentences:
            show_warning(short(together(opened.sentences)))
        self._show_list()

    def _on_failed(self, why: str) -> None:
        self.note.value = ""
        self._around.complain(why)
        self._show_state()

    def _close(self) -> None:
        """Remove the layers of the open case; what the user brought along stays."""
        layers = self._around.viewer.layers
        for layer in list(layers):
            origin = origin_of(layer)
            if (origin and origin.group in self._groups) or (self._groups and is_view(layer)):
                layers.remove(layer)
        self._groups, self.current, self._stamp = set(), None, None
        self._show_state()

    def _keep(self, state: State, then: Callable[[], None]) -> None:
        worklist, name = self._listed(), self.current
        if name is None:
            raise InputError("Open a case of the list first.")
        layer = self._around.in_hand.layer
        if layer is None or self._came_with_case(layer, worklist.mask_path(name)):
            if state is not State.DONE:
                raise InputError("There is no mask of yours to keep: segment the scan, draw or correct one.")
            worklist.set(name, state)
            self._after(f"{name} is done; no mask was kept, since there is none of yours.", then)
            return
        self._check_belongs(layer)
        path = self._target(worklist, name)
        seg = self._around.mask()
        self.note.value = f"Saving {path.name}…"
        self._work.start(
            lambda: _write(worklist, name, seg, path, state),
            lambda entry: self._on_kept(entry, layer, seg, then),
            self._on_failed,
        )

    @staticmethod
    def _came_with_case(layer: LabelsLayer, kept: Path) -> bool:
        """Tell whether a mask was read from a file of the case itself and nobody has touched it."""
        origin, edits = origin_of(layer), edits_of(layer)
        if origin is None or origin.source is None or Path(origin.source).resolve() == kept.resolve():
            return False
        return edits is None or not edits.tally.total

    def _keep_now(self, layer: LabelsLayer) -> None:
        """Keep a mask before its case is left, at once."""
        worklist, name = self._listed(), self.current
        if name is None:
            return
        self._check_belongs(layer)
        path = self._target(worklist, name)
        _write(worklist, name, self._around.mask_of(layer), path, State.SEGMENTED)
        edits = edits_of(layer)
        if edits is not None:
            edits.note_saved()

    def _target(self, worklist: Worklist, name: str) -> Path:
        """Return where a mask is kept, unless someone else wrote there meanwhile."""
        path = worklist.mask_path(name)
        if stamp_of(path) != self._stamp:
            raise OutputError(
                f"{path.name} was changed by another program since this case was opened; "
                "open the case again, or save the mask elsewhere"
            )
        return path

    def _check_belongs(self, layer: LabelsLayer) -> None:
        """Refuse a mask of another case."""
        origin = origin_of(layer)
        group = self._around.in_hand.group() if layer is self._around.in_hand.layer else None
        if (origin and origin.group in self._groups) or (group and group.key in self._groups):
            return
        raise InputError(f"{layer.name} does not belong to {self.current}; select the mask to keep")

    def _on_kept(self, entry: Entry, layer: LabelsLayer, seg: Segmentation, then: Callable[[], None]) -> None:
        self._stamp = stamp_of(entry.mask)
        edits = edits_of(layer)
        if edits is not None and np.array_equal(self._around.mask().labels, seg.labels):
            edits.note_saved()
        self._after(f"{layer.name} is kept as {entry.mask.name if entry.mask else ''}.", then)

    def _after(self, text: str, then: Callable[[], None]) -> None:
        self._show_list()
        self.note.value = text
        then()

    def _go_on(self) -> None:
        worklist = self._listed()
        entry = worklist.next(self.current, _LEFT_TO_DO) or worklist.next(None, _LEFT_TO_DO)
        if entry is None or entry.name == self.current:
            self.note.value = "All cases are done."
        else:
            self._around.safely(lambda: self.open_case(entry.name))()

    # ---- what is seen

    def _show_list(self) -> None:
        worklist = self._listed()
        self.list.clear()
        for entry in worklist.entries:
            item = QTreeWidgetItem([entry.name, SIGNS[entry.state]])
            item.setData(0, Qt.ItemDataRole.UserRole, entry.name)
            item.setToolTip(0, entry.name)
            if entry.mask is not None:
                item.setToolTip(1, entry.mask.name)
            self.list.addTopLevelItem(item)
        rows = min(max(len(worklist.entries), 3), _MOST_SHOWN)
        self.list.setFixedHeight(rows * _ROW_HEIGHT + self.list.header().sizeHint().height() + 6)
        self._select(self.current)
        self._show_state()

    def _show_state(self) -> None:
        worklist = self.worklist
        self.choose_output.setEnabled(worklist is not None)
        self.list.setVisible(worklist is not None)
        for button in (self.next, self.previous):
            button.setEnabled(worklist is not None)
        for button in (self.save, self.done):
            button.setEnabled(self.current is not None)
        if worklist is not None and self._paths[0] is not None:
            done = worklist.counts()[State.DONE]
            text = f"{self._paths[0].name}: {done} of {len(worklist.entries)} done. "
            self.folders.setText(f"{text}Masks are kept in {worklist.output.name}.")
            self.folders.setToolTip(f"{self._paths[0]}\n{worklist.output}")

    def _select(self, name: str | None) -> None:
        for index in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(index)
            if item is None:
                continue
            is_it = item.data(0, Qt.ItemDataRole.UserRole) == name
            font = item.font(0)
            font.setBold(is_it and name == self.current)
            item.setFont(0, font)
            if is_it:
                self.list.setCurrentItem(item)


def _write(worklist: Worklist, name: str, seg: Segmentation, path: Path, state: State) -> Entry:
    """Write a mask and note the state; what was there is an earlier version of the same mask."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {path.parent} cannot be made: {error.strerror or error}") from error
    write_mask(seg, path, overwrite=True)
    return worklist.set(name, state, path)


def _list() -> QTreeWidget:
    found: Any = QTreeWidget()
    found.setColumnCount(2)
    found.setHeaderLabels(["Case", "State"])
    found.setRootIsDecorated(False)
    found.setStyleSheet(f"QTreeWidget::item {{ height: {_ROW_HEIGHT}px; }}")
    found.setUniformRowHeights(True)
    header = found.header()
    header.setStretchLastSection(False)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
    assert isinstance(found, QTreeWidget)
    return found
