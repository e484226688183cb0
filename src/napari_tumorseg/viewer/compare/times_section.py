"""Panel section for the change between two time points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from napari.layers import Labels as LabelsLayer
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_tumorseg.errors import InputError
from napari_tumorseg.measurement.change import ChangeOverTime, LesionChange, change
from napari_tumorseg.measurement.rano import rano
from napari_tumorseg.measurement.rano_outline import OUTLINES
from napari_tumorseg.measurement.registration import Rigid, register
from napari_tumorseg.scan import Scan, Segmentation
from napari_tumorseg.viewer.compare.preview import hide_preview, registration_text, show_preview
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.mask_chooser import MaskChooser
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.numbers_table import NumbersTable, number, signed
from napari_tumorseg.viewer.widgets.section import Note

_STALE = "A mask has changed since; compare again."
_SQUARE = "mm\N{SUPERSCRIPT TWO}"


@dataclass(frozen=True, eq=False)
class _Pair:
    """Copies of both masks, and their registration."""

    before: Segmentation
    after: Segmentation
    rigid: Rigid | None = None

    def changed(self, outline: str) -> ChangeOverTime:
        """Compare both masks, with diameters of this outline."""
        diameters = rano(self.before, outline=outline), rano(self.after, outline=outline)
        return change(self.before, self.after, rigid=self.rigid, diameters=diameters)


class TimesSection(QWidget):
    """Volumes and diameters of two masks; lesions are matched only after an approved registration.

    Parameters
    ----------
    context : PanelContext
        Shared by all sections.
    outline : callable
        Returns the outline of diameters that is chosen.
    """

    def __init__(self, context: PanelContext, outline: Callable[[], str]) -> None:
        super().__init__()
        self._context = context
        self._outline = outline
        self._work = Background(self)
        self.found: ChangeOverTime | None = None
        self._pair: _Pair | None = None
        self._shown: _Pair | None = None
        self._offered: Rigid | None = None
        layers = context.viewer.layers
        self.before = MaskChooser(layers, "choose the earlier mask")
        self.after = MaskChooser(layers, "choose the later mask")
        self.compare = QPushButton("Compare")
        self.register = QPushButton("Register…")
        self.register.setToolTip(
            "Align the later scan with the earlier one by a rigid motion. You approve it before it is used."
        )
        self.aligned = QPushButton("Are aligned")
        self.aligned.setToolTip("State that both scans are aligned: lesions are matched as they lie")
        self.approve = QPushButton("It fits: use it")
        self.reject = QPushButton("It does not fit")
        self.note = Note()
        self.table = NumbersTable()
        self.more = Note()
        self.lesions = NumbersTable()
        self._lay_out()
        self._connect()
        self.clear()

    def detach(self) -> None:
        """Stop following the viewer and cancel background work."""
        self._work.cancel()
        self.before.detach()
        self.after.detach()

    def clear(self) -> None:
        """Remove the results, for other masks."""
        self._work.cancel()
        self.found = self._pair = self._shown = None
        self._discard_offer()
        self.note.value = self.more.value = ""
        self.table.hide()
        self.lesions.hide()

    def on_changed(self, layer: LabelsLayer) -> None:
        """Note that the results are out of date if one of these masks changed."""
        if self.found is not None and layer in (self.before.layer, self.after.layer):
            self.note.value = _STALE

    @property
    def fresh(self) -> ChangeOverTime | None:
        """Change over time, unless one of the masks or grids changed since."""
        if self._shown is None:
            return None
        pairs = (self._shown.before, self.before.layer), (self._shown.after, self.after.layer)
        return self.found if all(self._context.is_still(*pair) for pair in pairs) else None

    def run(self) -> None:
        """Compare the masks, with the registration if one was approved."""
        before, after = self._layers()
        rigid = self._pair.rigid if self._pair is not None else None
        self._compute(_Pair(self._named(before), self._named(after), rigid))

    def start_registration(self) -> None:
        """Register the later scan to the earlier one in the background, for approval."""
        before, after = self._layers()
        fixed, moving = self._context.scan_of(before), self._context.scan_of(after)
        self.note.value = "Registering, which takes up to a minute…"
        self._work.start(
            lambda: register(fixed, moving), lambda rigid: self._offer(rigid, fixed), self._on_failed
        )

    def take_as_aligned(self) -> None:
        """Match lesions as the scans lie, as the user stated."""
        before, after = self._named(self._layers()[0]), self._named(self._layers()[1])
        self._compute(_Pair(before, after, Rigid.same_space(before.grid, after.grid)))

    def take_offer(self) -> None:
        """Use the registration that the user approved."""
        if self._offered is None:
            raise InputError("There is no registration to approve.")
        before, after = self._layers()
        rigid = self._offered.approve()
        self._discard_offer()
        self._compute(_Pair(self._named(before), self._named(after), rigid))

    def refuse_offer(self) -> None:
        """Discard the registration."""
        self._discard_offer()
        self.note.value = "The registration was discarded; volumes are compared without it."

    # ---- the parts

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 4)
        form = QFormLayout()
        form.addRow("Earlier", self.before)
        form.addRow("Later", self.after)
        column.addLayout(form)
        column.addLayout(_row(self.compare, self.register, self.aligned))
        column.addWidget(self.note.native)
        self._verdict = QWidget()
        self._verdict.setLayout(_row(self.approve, self.reject))
        for widget in (self._verdict, self.table, self.more.native, self.lesions):
            column.addWidget(widget)

    def _connect(self) -> None:
        safely = self._context.safely
        self.compare.clicked.connect(safely(self.run))
        self.register.clicked.connect(safely(self.start_registration))
        self.aligned.clicked.connect(safely(self.take_as_aligned))
        self.approve.clicked.connect(safely(self.take_offer))
        self.reject.clicked.connect(safely(self.refuse_offer))
        self.before.chosen.connect(self.clear)
        self.after.chosen.connect(self.clear)

    # ---- what happens

    def _layers(self) -> tuple[LabelsLayer, LabelsLayer]:
        before, after = self.before.layer, self.after.layer
        if before is None or after is None:
            raise InputError("Choose an earlier and a later mask.")
        if before is after:
            raise InputError("The earlier and the later mask are the same layer; choose two.")
        return before, after

    def _named(self, layer: LabelsLayer) -> Segmentation:
        return replace(self._context.mask_of(layer), name=layer.name)

    def _compute(self, pair: _Pair) -> None:
        self._pair = pair
        self.note.value = "Comparing…"
        outline = self._outline()
        self._work.start(
            lambda: pair.changed(outline), lambda found: self._on_found(found, pair), self._on_failed
        )

    def _offer(self, rigid: Rigid, fixed: Scan) -> None:
        self._offered = rigid
        show_preview(self._context.viewer, rigid, fixed)
        self.note.value = registration_text(rigid)
        self._verdict.setVisible(True)

    def _discard_offer(self) -> None:
        self._offered = None
        self._verdict.setVisible(False)
        hide_preview(self._context.viewer)

    def _on_found(self, found: ChangeOverTime, pair: _Pair) -> None:
        self.found, self._shown = found, pair
        self._update_note()
        self.table.show_rows(("", "before, mL", "after, mL", "change, mL", "%"), _volume_rows(found))
        self.more.value = "\n".join(_sentences(found))
        rows = [_lesion_row(lesion) for lesion in found.lesions or ()]
        self.lesions.show_rows(("lesions", "before, mL", "after, mL"), rows)

    def _on_failed(self, message: str) -> None:
        self._update_note()
        self._context.report_error(message)

    def _update_note(self) -> None:
        """Show whether the results are out of date: a mask may have been edited meanwhile."""
        self.note.value = _STALE if self.found is not None and self.fresh is None else ""


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget)
    return row


def _volume_rows(found: ChangeOverTime) -> Iterator[list[str]]:
    for row in found.rows:
        volumes = number(row.before_ml, 2), number(row.after_ml, 2), signed(row.change_ml, 2)
        yield [row.name, *volumes, signed(row.change_percent)]


def _sentences(found: ChangeOverTime) -> Iterator[str]:
    if found.product is not None:
        p = found.product
        outline = f", {OUTLINES[p.outline]}" if p.outline else ""
        percent = "" if p.change_percent is None else f" ({p.change_percent:+.1f} %)"
        yield (
            f"Sum of products of diameters ({p.region}{outline}, measurable lesions): "
            f"{p.before_mm2:.0f} to {p.after_mm2:.0f} {_SQUARE}, {p.change_mm2:+.0f} {_SQUARE}{percent}."
        )
    if found.lesions is not None:
        counts = ", ".join(f"{found.count(status)} {status}" for status in _STATUSES)
        yield f"Lesions of {found.region}: {counts}."
    yield from (f"{note[0].upper()}{note[1:]}." for note in found.notes)
    yield "These are plain differences; no response is derived from them."


_STATUSES: tuple[Literal["new", "vanished", "matched"], ...] = ("new", "vanished", "matched")


def _lesion_row(lesion: LesionChange) -> list[str]:
    old, new = (", ".join(map(str, numbers)) for numbers in (lesion.before, lesion.after))
    name = {"new": f"new: {new}", "vanished": f"vanished: {old}", "matched": f"matched: {old} → {new}"}
    return [name[lesion.status], number(lesion.before_ml, 2), number(lesion.after_ml, 2)]
