"""Folder of what can be made again at any time: measurements of this machine, calibrated networks."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

FOLDER_VARIABLE = "TUMORSEG_CACHE"
"""Environment variable that names another folder."""


def cache_folder() -> Path:
    """Return the folder (it may not exist yet)."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("napari-tumorseg", appauthor=False)
