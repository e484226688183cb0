"""Panel page: a folder of cases to go through, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from napari.utils.notifications import show_warning
from qtpy.QtWidgets import (
    QFileDialog,
    QTreeWidgetItem,
)

from napari_tumorseg.cohorts.background import Errand
from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.session import Entry, Order, State, Worklist, last_worklist, note_worklist
from napari_tumorseg.viewer.cases.case_list import name_of
from napari_tumorseg.viewer.cases.commands import NEXT_CASE, PREVIOUS_CASE
from napari_tumorseg.viewer.cases.controls import CaseControls
from napari_tumorseg.viewer.cases.finetune_section import FinetuneSection
from napari_tumorseg.viewer.cases.following import Follower
from napari_tumorseg.viewer.cases.mask_keeper import MaskKeeper, is_own_mask
from napari_tumorseg.viewer.cases.open_case import OpenCase
from napari_tumorseg.viewer.cases.opening import Opened, open_entry, open_mask
from napari_tumorseg.viewer.cases.segment_all import SegmentAll
from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import LayerData
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.placing import settle_place
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.commands import bind
from napari_tumorseg.viewer.widgets.messages import short, summary

MayLeave = Callable[[Collection[Layer], Callable[[LabelsLayer], None]], bool]

_LEFT_TO_DO = {State.NEW, State.SEGMENTED, State.CORRECTED}


class WorklistPage(CaseControls):
    """The cases with their states; opens one at a time and keeps its mask.

    Parameters
    ----------
    context : PanelContext
        The viewer and the active mask.
    may_leave : callable
        Asks about unsaved edits of layers that are about to go, given how to save the active mask; False if
        the user wants to stay.
    """

    def __init__(self, context: PanelContext, may_leave: MayLeave) -> None:
        super().__init__()
        self._context = context
        self._may_leave = may_leave
        self._work = Background(self)
        self.worklist: Worklist | None = None
        self.current: str | None = None
        self._case = OpenCase(context.viewer.layers)
        self._keeper = MaskKeeper()
        self._asked_for: str | None = None
        self._saving = False
        self._paths: tuple[Path | None, Path | None] = (None, None)
        self._follower = Follower(self, self._on_followed)
        self._masks = Background(self)
        self.segment_all = SegmentAll(self._errand, context.report_error)
        self.place_below_list(self.segment_all)
        self.finetune = FinetuneSection(context.safely, self._opened)
        self._connect()
        self._show_state()

    def detach(self) -> None:
        """Follow the viewer no more."""
        self._work.cancel()
        self._masks.cancel()
        self._follower.stop()
        self.segment_all.end()
        self._case.detach()
        self.finetune.detach()
        self._unbind()

    # ---- what the user does

    def open_folder(self, cases: Path | None = None, output: Path | None = None) -> None:
        """List the cases of a folder; without an output folder, one beside it with ``_masks`` is taken.

        Raises
        ------
        InputError
            If masks would be kept among the files of the cases, of which one may have their name.
        """
        self._check_idle()
        cases = cases or self._asked("Cases", self._paths[0])
        if cases is None:
            return
        paths = (cases, output or cases.with_name(f"{cases.name}_masks"))
        if paths[1].resolve() == cases.resolve():
            raise InputError(f"{cases.name} holds the cases: choose another folder for the masks")
        self.note.value = "Looking for cases…"

        def done(found: Worklist) -> None:
            self._context.safely(lambda: self._on_listed(found, paths))()

        order = self.chosen_order
        self._work.start(lambda: Worklist.open(*paths, order), done, self._on_failed)

    def open_last(self) -> None:
        """Go on with the folder that was gone through last."""
        last = last_worklist()
        if last is not None:
            self.open_folder(last.cases, last.output)

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
        self._check_idle()
        if not self._leave():
            self._select(self.current)
            return
        self._asked_for = entry.name
        self.note.value = f"Opening {entry.name}…"
        self._select(entry.name)
        self._work.start(lambda: open_entry(entry), self._on_opened, self._on_failed)

    def go(self, forward: bool = True) -> None:
        """Open the next or the previous case of the list."""
        worklist = self._listed()
        step = worklist.next if forward else worklist.previous
        here = self.current or self._asked_for  # one that is being read, or could not be, is passed
        entry = (step(None, _LEFT_TO_DO) if here is None else None) or step(here)
        if entry is None:
            self.note.value = "This is the last case." if forward else "This is the first case."
            return
        self.open_case(entry.name)

    def save_mask(self) -> None:
        """Keep the active mask where the worklist has it, in the background."""
        self._keep(State.SEGMENTED, lambda: None)

    def mark_done(self) -> None:
        """Keep the active mask, mark the case as done, and go on."""
        self._keep(State.DONE, self._go_on)

    def sort(self, order: Order) -> None:
        """Put the list into another order."""
        self.order.setCurrentIndex(tuple(Order).index(order))
        if self.worklist is not None:
            self.worklist.sort(order)
            self._show_list()

    # ---- the parts

    def _connect(self) -> None:
        safely = self._context.safely
        self.go_on.clicked.connect(safely(self.open_last))
        self.choose.clicked.connect(safely(self.open_folder))
        self.choose_output.clicked.connect(safely(self.set_output))
        self.list.itemClicked.connect(self._on_clicked)
        self.list.itemActivated.connect(self._on_clicked)
        self.order.activated.connect(safely(lambda: self.sort(self.chosen_order)))
        self.search.returnPressed.connect(safely(self._open_found))
        self.segment_all.changed.connect(self._show_cases)
        forward, backward = safely(lambda: self.go(True)), safely(lambda: self.go(False))
        self.next.clicked.connect(forward)
        self.previous.clicked.connect(backward)
        self.save.clicked.connect(safely(self.save_mask))
        self.done.clicked.connect(safely(self.mark_done))
        self._unbind = bind(self._context.viewer, {NEXT_CASE: forward, PREVIOUS_CASE: backward})

    def _asked(self, what: str, start: Path | None) -> Path | None:
        name = QFileDialog.getExistingDirectory(self, f"Folder: {what.lower()}", str(start or ""))
        return Path(name) if name else None

    # ---- what happens

    def _listed(self) -> Worklist:
        if self.worklist is None:
            raise InputError("Choose a folder of cases first.")
        return self.worklist

    def _opened(self) -> tuple[Worklist, Path] | None:
        cases = self._paths[0]
        return (self.worklist, cases) if self.worklist is not None and cases is not None else None

    def _on_clicked(self, item: QTreeWidgetItem, column: int = 0) -> None:
        name = name_of(item)
        if name != self.current:
            self._context.safely(lambda: self.open_case(name))()

    def _errand(self) -> Errand:
        names = tuple(entry.name for entry in self._listed().entries)
        return Errand((str(self._paths[0]),), str(self._paths[1]), names)

    def _open_found(self) -> None:
        name = self.list.first_shown()
        if name is None:
            raise InputError(f"No case has {self.search.text()!r} in its name, state or flags.")
        if name != self.current:
            self.open_case(name)

    def _on_listed(self, worklist: Worklist, paths: tuple[Path, Path]) -> None:
        """Show another list; the open case stays if it is of that, too, else it is closed."""
        is_same = self.worklist is not None and paths[0] == self._paths[0]
        if not is_same and not self._leave():
            self.note.value = ""
            return
        if paths != self._paths:
            self._keeper.close()  # no mask there was opened
            self.segment_all.end()
        if not is_same:
            self._asked_for = None
        self.worklist, self._paths = worklist, paths
        with suppress(OutputError):  # it is only a convenience
            note_worklist(*paths)
        self._follower.follow(worklist)
        self.note.value = "\n".join(worklist.problems)
        self._show_list()
        first = worklist.next(None, _LEFT_TO_DO)
        if first is not None and self.current is None:
            self._select(first.name)
            self.note.value += f"Continue with {first.name}: click it, or press {NEXT_CASE.shown_key}."

    def _on_opened(self, opened: Opened) -> None:
        viewer, added = self._context.viewer, []
        self._context.active_mask.activate(None)  # a mask of before is not this case's
        before = list(viewer.layers)
        for data in opened.layers:
            added.append(Layer.create(*data))
            viewer.add_layer(added[-1])
        self._case.open(added)
        self.current = opened.entry.name
        self._keeper.open(opened.stamp)
        # a mask that came with the case is there to compare with, not the one to be drawn on
        viewer.layers.selection.active = added[-1] if opened.has_mask else added[0]
        viewer.reset_view()
        others = ", ".join(sorted({origin.case for origin in map(origin_of, before) if origin}))
        self.note.value = f"{opened.entry.name} is open{f', beside {others}' if others else ''}."
        if opened.sentences:
            show_warning(short(summary(opened.sentences)))
        self._show_list()

    def _on_followed(self) -> None:
        """Show the changes in the folder of masks; add the mask of the open case if it is new."""
        self._show_cases()
        if self.worklist is None or self.current is None or self._keeper.is_opened or self._saving:
            return
        entry = self.worklist.entry(self.current)
        if entry.mask is None or is_own_mask(self._context.active_mask.layer, entry.mask):
            return
        self._masks.start(
            lambda: open_mask(entry), lambda found: self._on_mask(entry, *found), self._context.report_error
        )

    def _on_mask(self, entry: Entry, data: LayerData, stamp: int | None) -> None:
        if entry.name != self.current or self._keeper.is_opened or self._saving:
            return
        self._keeper.open(stamp)
        layer = self._context.viewer.add_layer(Layer.create(*data))
        self._context.viewer.layers.selection.active = layer
        self.note.value = f"The mask of {entry.name} is ready."

    def _on_failed(self, why: str) -> None:
        self._saving = False
        self.note.value = ""
        self._context.report_error(why)
        self._show_state()

    def _leave(self) -> bool:
        """Close the open case once it is settled what becomes of its edits; False if the user wants to stay.

        What the user brought along stays.
        """
        layers = self._context.viewer.layers
        going = self._case.to_close()
        if not self._may_leave(going, self._keep_now):
            return False
        for layer in going:
            layer.visible = False  # one that goes before it was ever drawn takes napari with it
        for layer in going:
            if layer in layers:  # one may take others along
                layers.remove(layer)
        self._case.close()
        self.current = None
        self._keeper.close()
        self._show_state()
        return True

    def _keep(self, state: State, then: Callable[[], None]) -> None:
        worklist, name = self._listed(), self.current
        if name is None:
            raise InputError("Open a case of the list first.")
        self._check_idle()
        layer = self._context.active_mask.layer
        if layer is None or not is_own_mask(layer, worklist.mask_path(name)):
            if state is not State.DONE:
                raise InputError("There is no mask of yours to keep: segment the scan, draw or correct one.")
            worklist.set(name, state)
            self._after(f"{name} is done; no mask was kept, since there is none of yours.", then)
            return
        self._check_belongs(layer)
        path = self._keeper.target(worklist, name)
        seg = self._context.mask()
        self.note.value = f"Saving {path.name}…"
        self._saving = True
        self._work.start(
            lambda: self._keeper.write(worklist, name, seg, path, state),
            lambda entry: self._on_kept(entry, layer, seg, then),
            self._on_failed,
        )

    def _keep_now(self, layer: LabelsLayer) -> None:
        """Keep a mask before its case is left, at once."""
        worklist, name = self._listed(), self.current
        if name is None:
            return
        self._check_belongs(layer)
        path = self._keeper.target(worklist, name)
        self._keeper.write(worklist, name, self._context.mask_of(layer), path, State.SEGMENTED)
        self._keeper.written(path)
        edits = edits_of(layer)
        if edits is not None:
            edits.note_saved()

    def _check_idle(self) -> None:
        """Refuse what would come between a mask and its file."""
        if self._saving:
            raise InputError("The mask is being saved: try again in a moment.")

    def _check_belongs(self, layer: LabelsLayer) -> None:
        """Refuse a mask of another case; one that lies beside the scan can be laid on it."""
        settle_place(layer, self._context.viewer.layers)
        if not self._case.owns(layer):
            raise InputError(f"{layer.name} does not belong to {self.current}; select the mask to keep")

    def _on_kept(self, entry: Entry, layer: LabelsLayer, seg: Segmentation, then: Callable[[], None]) -> None:
        self._saving = False
        self._keeper.written(entry.mask)
        self._context.note_saved(layer, seg)
        self._after(f"{layer.name} is kept as {entry.mask.name if entry.mask else ''}.", then)

    def _after(self, text: str, then: Callable[[], None]) -> None:
        self._show_list()
        self.note.value = text
        then()

    def _go_on(self) -> None:
        worklist = self._listed()
        first = worklist.next(None, _LEFT_TO_DO)
        in_turn = worklist.order is Order.NAME
        entry = (worklist.next(self.current, _LEFT_TO_DO) if in_turn else None) or first
        if entry is None or entry.name == self.current:
            self.note.value = "All cases are done."
        else:
            self._context.safely(lambda: self.open_case(entry.name))()

    # ---- what is seen

    def _show_list(self) -> None:
        self._show_cases()
        self._select(self.current)

    def _show_cases(self) -> None:
        if self.worklist is not None:
            self.list.show_cases(self.worklist, self._follower.remarks, self.segment_all.current)
        self._show_state()

    def _show_state(self) -> None:
        self.show_last(last_worklist() if self.worklist is None else None)
        self.show_worklist(self.worklist, self._paths[0], has_case=self.current is not None)
        self.segment_all.setVisible(self.worklist is not None)

    def _select(self, name: str | None) -> None:
        self.list.select(name, is_open=name is not None and name == self.current)
