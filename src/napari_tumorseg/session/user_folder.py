"""Folders of the user's own state, such as journals."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

FOLDER_VARIABLE = "TUMORSEG_STATE"
"""Environment variable that names another folder."""


def state_folder() -> Path:
    """Return the folder of the user's own state (it may not exist yet)."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else platformdirs.user_state_path("napari-tumorseg", appauthor=False)


def journal_folder() -> Path:
    """Return the folder of the journals of edits (it may not exist yet)."""
    return state_folder() / "journals"
