"""Offering edits that were never saved: of an earlier session, or of a layer that was just removed."""

from __future__ import annotations

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

from napari_tumorseg.errors import InputError, TumorSegError
from napari_tumorseg.regions import get_scheme
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.session import Recovered, Unfinished, discard, recover, unfinished
from napari_tumorseg.viewer.layers.axes import LayerAxes
from napari_tumorseg.viewer.layers.case_files import place_of
from napari_tumorseg.viewer.layers.edits import EDITS_KEY, Edits
from napari_tumorseg.viewer.layers.from_layers import grid_of
from napari_tumorseg.viewer.layers.origin import METADATA_KEY, Origin, origin_of
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.results.held_mask import HeldMask
from napari_tumorseg.viewer.safety.autosave import Autosave
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.offers import Offer, OfferBar

if TYPE_CHECKING:
    from napari import Viewer

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
    """What went wrong, in a sentence."""

    def __init__(self, viewer: Viewer, autosave: Autosave, bar: OfferBar) -> None:
        super().__init__()
        self._viewer, self._autosave, self._bar = viewer, autosave, bar
        self._background = Background(self)
        self._answered: set[Path] = set()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._look)
        viewer.layers.events.inserted.connect(self._on_inserted)
        autosave.orphaned.connect(self._offer_back)
        self._timer.start()

    def disconnect_all(self) -> None:
        """Follow the viewer no more."""
        self._timer.stop()
        self._background.drop()
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)

    def _on_inserted(self, event: Any = None) -> None:
        self._timer.start()

    # ---- of an earlier session

    def _look(self) -> None:
        if len(self._viewer.layers):
            folder = self._autosave.journals.folder
            self._background.start(lambda: unfinished(folder), self._offer_all, self.failed.emit)

    def _offer_all(self, found: list[Unfinished]) -> None:
        layers = list(self._viewer.layers)
        for one in found:
            place = place_of(one, layers)
            if place is not None and one.path not in self._answered:
                self._bar.add(self._offer(one))

    def _offer(self, one: Unfinished) -> Offer:
        return Offer(
            one.path,
            told(one),
            ("Recover", partial(self._safely, self._recover, one)),
            ("Discard", partial(self._safely, self._discard, one)),
        )

    def _recover(self, one: Unfinished) -> None:
        self._answered.add(one.path)
        self._background.start(
            lambda: recover(one.path), partial(self._safely, self._show, one), self.failed.emit
        )

    def _discard(self, one: Unfinished) -> None:
        self._answered.add(one.path)
        discard(one.path)

    def _show(self, one: Unfinished, found: Recovered) -> None:
        place = place_of(one, list(self._viewer.layers))
        if place is None:
            self._answered.discard(one.path)
            raise InputError("the scan of these edits is closed; open it again to recover them")
        layer = recovered_layer(found, place, one.path)
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = layer
        self.recovered.emit(layer)

    # ---- of a layer that was removed

    def _offer_back(self, mask: HeldMask) -> None:
        text = f"{mask.layer.name} was removed with unsaved corrections ({actions(mask.edits.tally.total)})."
        back = partial(self._safely, self._put_back, mask)
        leave = partial(self._autosave.give_up, mask)
        self._bar.add(Offer(mask, text, ("Put back", back), ("Discard", leave)))

    def _put_back(self, mask: HeldMask) -> None:
        if mask.layer not in self._viewer.layers:
            self._viewer.add_layer(mask.layer)
        self._viewer.layers.selection.active = mask.layer

    def _safely(self, action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except TumorSegError as error:
            self.failed.emit(str(error))


def told(one: Unfinished) -> str:
    """Return what is left of a session, in a sentence."""
    name = one.about.get("layer") or Path(one.key).name
    last = one.tally.last or one.started
    when = f", last {datetime.fromtimestamp(last):%d %b %Y %H:%M}" if last else ""
    return f"Unsaved corrections of {name}: {actions(one.tally.total)}{when}."


def actions(count: int) -> str:
    """Return a number of edits in words."""
    return "1 edit" if count == 1 else f"{count} edits"


def recovered_layer(found: Recovered, place: Layer, journal: Path) -> LabelsLayer:
    """Return recovered labels as a layer of its own, which the journal still belongs to.

    Parameters
    ----------
    found : Recovered
        From the journal.
    place : Layer
        An open layer on the same grid.
    journal : Path
        It ends once another one holds these edits.

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
    name = f"{found.about.get('layer', 'mask')} (recovered)"
    layer = _ours(found, place, name) or _plain(found, place, name)
    at_first = {int(value): int(n) for value, n in found.about.get("at_first", {}).items()}
    layer.metadata[EDITS_KEY] = Edits(found.tally, True, journal, at_first)
    return layer


def _ours(found: Recovered, place: Layer, name: str) -> LabelsLayer | None:
    """Return a layer with scheme, origin and provenance, None where they are not known."""
    origin, scheme = origin_of(place), found.about.get("scheme")
    if origin is None or scheme is None:
        return None
    told = found.about
    source = Path(told["source"]) if told.get("source") else None
    mask = Segmentation(
        found.labels, origin.grid, get_scheme(scheme), told["case"], source, told["provenance"]
    )
    data, arguments, _ = labels_layer(mask, name=name, case=told["case"], group=origin.group)
    made: Origin = arguments["metadata"][METADATA_KEY]
    arguments["metadata"][METADATA_KEY] = replace(
        made, name=told["name"], fingerprint=told["fingerprint"], stated_spacing=origin.stated_spacing
    )
    return LabelsLayer(data, **arguments)


def _plain(found: Recovered, place: Layer, name: str) -> LabelsLayer:
    """Return a layer that lies where `place` does, as it is shown."""
    axes = LayerAxes.of(place)
    labels = np.array(axes.view.undo(found.labels), order="C")
    shown = {key: getattr(place, key) for key in ("scale", "translate", "rotate", "affine", "units")}
    return LabelsLayer(labels[0] if axes.is_flat else labels, name=name, **shown)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
