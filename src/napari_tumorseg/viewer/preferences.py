"""Preferences of the user, as set in napari (npe2 ``configurations`` of the manifest)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

PLUGIN = "napari-tumorseg"
AUTOMATIC = "automatic"
COLOUR_BLIND, BRATS = "colour-blind safe", "BraTS"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preferences:
    """Preferences with which a panel starts.

    Attributes
    ----------
    model : str
        Name of a model; ``"automatic"`` for the one that suits the modalities.
    device : str
        Where it runs, as the panel's list names it; ``"auto"`` for the best that works.
    colours : {"colour-blind safe", "BraTS"}
        Of the labels.
    autosave_seconds : int
        How often edits are synchronised to the disk.
    """

    model: str = AUTOMATIC
    device: str = "auto"
    colours: str = COLOUR_BLIND
    autosave_seconds: int = 5


def preferences() -> Preferences:
    """Return the present preferences; the defaults if napari's settings cannot be read."""
    try:
        held = _held()
    except Exception as error:  # a preference is never worth a panel that does not open
        _LOG.info("preferences cannot be read: %s", error)
        return Preferences()
    return Preferences(
        model=str(held.segmentation.model).strip() or AUTOMATIC,
        device=str(held.segmentation.device).strip() or "auto",
        colours=str(held.editing.colours),
        autosave_seconds=int(held.editing.autosave_seconds),
    )


def _held() -> Any:
    from napari.settings import get_plugin_settings

    return get_plugin_settings(PLUGIN)
