"""A Keras model in Keras itself, made of the layers that were imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_tumorseg.importing.draft import Draft

if TYPE_CHECKING:
    from napari_tumorseg.importing.kinds import Original


def original(path: Path, draft: Draft) -> Original | None:
    """Return None for now."""
    return None
