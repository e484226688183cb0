"""Recovery of masks that were never saved: of an earlier session, or of a layer that was just removed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.errors import InputError, TumorSegError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.session import Recovered, Unfinished, attached, discard, recover, unfinished
from napari_tumorseg.session.maps import unpack_maps
from napari_tumorseg.viewer.autosave.autosave import Autosave
from napari_tumorseg.viewer.autosave.case_files import place_of, source_among
from napari_tumorseg.viewer.layers.axes import LayerAxes
from napari_tumorseg.viewer.layers.edits import EDITS_KEY, Edits
from napari_tumorseg.viewer.layers.from_layers import grid_of
from napari_tumorseg.viewer.layers.inputs import FOREIGN_KEY
from napari_tumorseg.viewer.layers.origin import (
    CONVENTION_KEY,
    METADATA_KEY,
    PROBABILITIES_KEY,
    Origin,
    origin_of,
)
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.messages import worded
from napari_tumorseg.viewer.widgets.offers import Offer, OfferBar
from napari_tumorseg.viewer.widgets.reporting import errors_reported

if TYPE_CHECKING:
    from napari import Viewer

_RECOVERED = " (recovered)"
_RECOVERED_ENDING = re.compile(r"( \(recovered\)( \[\d+\])?)+$")  # napari numbers names that are taken
_PAUSE_MS = 100
"""Layers of one case arrive one by one; they are looked at together."""


class Recovery(QObject):
    """Looks for journals whenever layers arrive, and offers what fits them.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are looked at.
    autosave : Autosave
        Of the same panel.
    bar : OfferBar
        Where offers are shown.
    """

    recovered = Signal(object)
    """A layer with recovered edits was added."""
    failed = Signal(str)
    """An error message."""

    def __init__(self, viewer: Viewer, autosave: Autosave, bar: OfferBar) -> None:
        super().__init__()
        self._viewer, self._autosave, self._bar = viewer, autosave, bar
        self._background = Background(self)
        self._answered: set[Path] = set()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._look)
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_layers)
        autosave.orphaned.connect(self._offer_back)
        bar.destroyed.connect(self.detach)  # the window closed with the panel in it
        self._timer.start()

    def detach(self) -> None:
        """Unsubscribe from the viewer and cancel all recoveries."""
        self._timer.stop()
        for one in self.findChildren(Background):
            one.cancel()
        self._viewer.layers.events.inserted.disconnect(self._on_layers)
        self._viewer.layers.events.removed.disconnect(self._on_layers)

    def _on_layers(self, event: Any = None) -> None:
        self._timer.start()

    # ---- of an earlier session

    def _look(self) -> None:
        if len(self._viewer.layers):
            folder = self._autosave.journals.folder
            self._background.start(lambda: unfinished(folder), self._offer_all, self.failed.emit)
        else:
            self._offer_all([])

    def _offer_all(self, found: list[Unfinished]) -> None:
        """Offer what fits the layers, and no longer what fits none of them."""
        layers = list(self._viewer.layers)
        fitting = [one for one in found if place_of(one, layers) and one.path not in self._answered]
        for offer in list(self._bar.offers):
            if isinstance(offer.key, Path) and all(one.path != offer.key for one in fitting):
                self._bar.remove(offer.key)
        for one in fitting:
            self._bar.add(self._offer(one))

    def _offer(self, one: Unfinished) -> Offer:
        return Offer(
            one.path,
            offer_text(one),
            ("Recover", partial(self._safely, self._recover, one)),
            ("Discard", partial(self._safely, self._discard, one)),
        )

    def _recover(self, one: Unfinished) -> None:
        grid = grid_of(self._place_of(one))
        self._answered.add(one.path)

        def work() -> tuple[Recovered, StoredProbabilities | InputError | None]:
            return recover(one.path), _maps(one.path, grid)

        def done(read: tuple[Recovered, StoredProbabilities | InputError | None]) -> None:
            try:
                self._show(one, read)
            except TumorSegError as error:
                failed(worded(error))

        def failed(why: str) -> None:
            self._answered.discard(one.path)
            self._timer.start()  # it is offered again
            self.failed.emit(why)

        # of its own: neither another recovery nor layers that arrive stop this one
        Background(self).start(work, done, failed)

    def _discard(self, one: Unfinished) -> None:
        discard(one.path)
        self._answered.add(one.path)

    def _show(self, one: Unfinished, read: tuple[Recovered, StoredProbabilities | InputError | None]) -> None:
        found, maps = read
        source = source_among(found.about.get("source"), self._viewer.layers)
        layer = recovered_layer(found, self._place_of(one), one.path, source)
        if isinstance(maps, StoredProbabilities) and origin_of(layer) is not None:
            layer.metadata[PROBABILITIES_KEY] = maps
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = layer
        self.recovered.emit(layer)
        if isinstance(maps, InputError):
            self.failed.emit(str(maps))

    def _place_of(self, one: Unfinished) -> Layer:
        place = place_of(one, list(self._viewer.layers))
        if place is None:
            raise InputError("the scan of these corrections is closed; open it again to recover them")
        return place

    # ---- of a layer that was removed

    def _offer_back(self, mask: TrackedMask) -> None:
        unsaved = actions(mask.edits.edit_counts.total)
        text = f"{mask.layer.name} was removed with unsaved corrections ({unsaved})."
        back = partial(self._safely, self._put_back, mask)
        leave = partial(self._autosave.give_up, mask)
        self._bar.add(Offer(mask, text, ("Put back", back), ("Discard", leave)))

    def _put_back(self, mask: TrackedMask) -> None:
        if mask.layer not in self._viewer.layers:
            self._viewer.add_layer(mask.layer)
        self._viewer.layers.selection.active = mask.layer

    def _safely(self, action: Callable[..., None], *arguments: Any) -> None:
        with errors_reported(self.failed.emit):
            action(*arguments)


def offer_text(one: Unfinished) -> str:
    """Return the sentence that offers the rest of an earlier session."""
    name, total = plain_name(one.about.get("layer") or Path(one.key).name), one.edit_counts.total
    last = one.edit_counts.last or one.started
    day = datetime.fromtimestamp(last) if last else None
    when = f"on {day.day} {day:%b %Y at %H:%M}" if day else ""
    if not total:
        return f"The unsaved result {name} can be recovered{f' (made {when})' if when else ''}."
    several = "the last " if total > 1 else ""
    when = f", {several}{when}" if when else ""
    return f"Unsaved corrections of {name} can be recovered ({actions(total)}{when})."


def plain_name(name: str) -> str:
    """Return a layer's name as it was before it was recovered, however often."""
    return _RECOVERED_ENDING.sub("", name)


def actions(count: int) -> str:
    """Return a number of edits in words."""
    return "1 edit" if count == 1 else f"{count} edits"


def recovered_layer(found: Recovered, place: Layer, journal: Path, source: Path | None = None) -> LabelsLayer:
    """Return recovered labels as a layer of its own, which the journal still belongs to.

    Parameters
    ----------
    found : Recovered
        From the journal.
    place : Layer
        An open layer on the same grid.
    journal : Path
        It ends once another one holds these edits.
    source : Path, optional
        The file that the mask was read from, if it is open.

    Raises
    ------
    InputError
        If the layer has another shape than the labels.
    """
    grid = grid_of(place)
    if grid.shape != found.labels.shape:
        raise InputError(
            f"the recovered mask has {_times(found.labels.shape)} voxels, but {place.name} has "
            f"{_times(grid.shape)}; open the scan that was corrected"
        )
    name = plain_name(found.about.get("layer", "mask")) + _RECOVERED
    layer = _ours(found, place, name, source) or _plain(found, place, name)
    if found.about.get("named"):
        layer.metadata[CONVENTION_KEY] = found.about["named"]
    at_first = {int(value): int(n) for value, n in found.about.get("at_first", {}).items()}
    layer.metadata[EDITS_KEY] = Edits(
        found.edit_counts, True, journal, at_first, found.locked, dict(found.thresholds)
    )
    return layer


def _ours(found: Recovered, place: Layer, name: str, source: Path | None) -> LabelsLayer | None:
    """Return a layer with convention, origin and provenance, None where they are not known."""
    about = found.about
    origin, convention = origin_of(place), about.get("scheme")
    if convention is None or (origin is None and about.get("fingerprint") is None):
        return None
    mask = Segmentation(
        found.labels, grid_of(place), get_convention(convention), about["case"], source, about["provenance"]
    )
    group = origin.group if origin else FOREIGN_KEY
    data, arguments, _ = labels_layer(mask, name=name, case=about["case"], group=group)
    made: Origin = arguments["metadata"][METADATA_KEY]
    arguments["metadata"][METADATA_KEY] = replace(
        made,
        name=about["name"],
        fingerprint=about["fingerprint"],
        stated_spacing=origin.stated_spacing if origin else False,
    )
    return LabelsLayer(data, **arguments)


def _plain(found: Recovered, place: Layer, name: str) -> LabelsLayer:
    """Return a layer that lies where `place` does, as it is shown."""
    axes = LayerAxes.of(place)
    labels = np.array(axes.axis_order.undo(found.labels), order="C")
    shown = {key: getattr(place, key) for key in ("scale", "translate", "rotate", "affine", "units")}
    return LabelsLayer(labels[0] if axes.is_flat else labels, name=name, **shown)


def _maps(journal: Path, grid: Grid) -> StoredProbabilities | InputError | None:
    """Return the probability maps beside a journal, or the error if they cannot be read."""
    try:
        content = attached(journal)
        return None if content is None else unpack_maps(content, grid)
    except InputError as error:  # the edits are worth having without
        return error


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
