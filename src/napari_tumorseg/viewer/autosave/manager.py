"""Manager of unsaved masks: autosave, recovery, and the question before the window closes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from psygnal import Signal
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_tumorseg.viewer.autosave import close_guard
from napari_tumorseg.viewer.autosave.autosave import Autosave
from napari_tumorseg.viewer.autosave.close_guard import Answer, CloseGuard
from napari_tumorseg.viewer.autosave.recovery import Recovery
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.offers import OfferBar

if TYPE_CHECKING:
    from napari import Viewer


class AutosaveManager(QObject):
    """Autosaves the masks of one panel, recovers them, and asks before the window closes.

    Parameters
    ----------
    viewer : Viewer
        Of the panel.
    active_mask : ActiveMask
        Whose masks are kept.
    save : callable
        Saves a layer to a file that is asked for.

    Attributes
    ----------
    bar : OfferBar
        To be put where it is seen.
    """

    failed = Signal(str)
    """An error message."""
    reported = Signal(str)
    """A status message."""

    def __init__(self, viewer: Viewer, active_mask: ActiveMask, save: Callable[[LabelsLayer], None]) -> None:
        super().__init__()
        self._save = save
        self._active_mask = active_mask
        self.bar = OfferBar()
        self.autosave = Autosave(active_mask, viewer.layers)
        self.recovery = Recovery(viewer, self.autosave, self.bar)
        self._guard = CloseGuard(self.may_close)
        self.recovery.failed.connect(self.failed)
        self.autosave.journals.failed.connect(self._on_failed)
        self.autosave.journals.works_again.connect(self._on_works_again)

    def guard(self, inside: QWidget) -> None:
        """Guard the window around a widget, which may have changed."""
        self._guard.watch(inside)

    def may_close(self) -> bool:
        """Ask what becomes of unsaved masks, if there are any; False if the window has to stay."""
        return self._settled(self.autosave.unsaved, self._save) is not Answer.CANCEL

    def may_leave(self, layers: Collection[Layer], save: Callable[[LabelsLayer], None]) -> bool:
        """Ask what becomes of unsaved masks among layers that are about to go; False if they have to stay.

        Parameters
        ----------
        layers : collection of Layer
            Others are not asked about.
        save : callable
            How the active mask is saved; others are saved to files that are asked for.
        """
        unsaved = [mask for mask in self.autosave.unsaved if mask.layer in layers]
        active_mask = self._active_mask.layer
        answer = self._settled(unsaved, lambda layer: (save if layer is active_mask else self._save)(layer))
        if answer is Answer.LATER:
            for mask in unsaved:
                self.autosave.put_off(mask)
        return answer is not Answer.CANCEL

    def _settled(self, unsaved: list[TrackedMask], save: Callable[[LabelsLayer], None]) -> Answer:
        """Ask what becomes of these masks and do so; `Answer.CANCEL` where some could not be saved."""
        if not unsaved:
            return Answer.SAVE
        answer = close_guard.ask_about([mask.layer.name for mask in unsaved])
        if answer is Answer.SAVE:
            before = self._active_mask.layer
            for mask in unsaved:
                save(mask.layer)
            self._active_mask.activate(before)  # saving activates the mask
            return Answer.CANCEL if any(mask.edits.unsaved for mask in unsaved) else answer
        if answer is Answer.DISCARD:
            for mask in unsaved:
                self.autosave.give_up(mask)
        return answer

    def detach(self) -> None:
        """Finish all journals and follow nothing any more."""
        self._guard.detach()
        self.recovery.detach()
        self.autosave.close()

    def _on_failed(self, why: str) -> None:
        self.failed.emit(why)

    def _on_works_again(self) -> None:
        self.reported.emit("Edits are autosaved again.")
