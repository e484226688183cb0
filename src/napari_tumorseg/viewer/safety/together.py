"""Nothing lost, put together: autosave, recovery, and the question before the window closes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_tumorseg.viewer.results.in_hand import MaskInHand
from napari_tumorseg.viewer.safety import closing
from napari_tumorseg.viewer.safety.autosave import Autosave
from napari_tumorseg.viewer.safety.closing import Answer, CloseGuard
from napari_tumorseg.viewer.safety.recovery import Recovery
from napari_tumorseg.viewer.widgets.offers import OfferBar

if TYPE_CHECKING:
    from napari import Viewer


class Safety(QObject):
    """Keeps what was edited in one panel.

    Parameters
    ----------
    viewer : Viewer
        Of the panel.
    in_hand : MaskInHand
        Whose masks are kept.
    save : callable
        Saves a layer to a file that is asked for.

    Attributes
    ----------
    bar : OfferBar
        To be put where it is seen.
    """

    failed = Signal(str)
    """What went wrong, in a sentence."""

    def __init__(self, viewer: Viewer, in_hand: MaskInHand, save: Callable[[LabelsLayer], None]) -> None:
        super().__init__()
        self._save = save
        self.bar = OfferBar()
        self.autosave = Autosave(in_hand, viewer.layers)
        self.recovery = Recovery(viewer, self.autosave, self.bar)
        self._guard = CloseGuard(self.may_close)
        self.recovery.failed.connect(self.failed)
        self.autosave.journals.failed.connect(self._on_failed)

    def guard(self, inside: QWidget) -> None:
        """Guard the window around a widget, which may have changed."""
        self._guard.watch(inside)

    def may_close(self, save: Callable[[LabelsLayer], None] | None = None) -> bool:
        """Ask what becomes of unsaved edits, if there are any; False if the window has to stay.

        Parameters
        ----------
        save : callable, optional
            How a layer is saved; by default to a file that is asked for.
        """
        unsaved = self.autosave.unsaved
        if not unsaved:
            return True
        answer = closing.ask_about([mask.layer.name for mask in unsaved])
        if answer is Answer.SAVE:
            for mask in unsaved:
                (save or self._save)(mask.layer)
            return not self.autosave.unsaved
        if answer is Answer.DISCARD:
            for mask in unsaved:
                self.autosave.give_up(mask)
        return answer is not Answer.CANCEL

    def let_go(self) -> None:
        """Finish all journals and follow nothing any more."""
        self._guard.stop()
        self.recovery.disconnect_all()
        self.autosave.finish()

    def _on_failed(self, why: str) -> None:
        self.failed.emit(why)
