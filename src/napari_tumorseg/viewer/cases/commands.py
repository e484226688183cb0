"""Commands of the page Cases that have a key."""

from __future__ import annotations

from napari_tumorseg.viewer.widgets.commands import Command

NEXT_CASE = Command("next_case", "Next ▶", "PageDown", "Open the next case of the worklist")
PREVIOUS_CASE = Command("previous_case", "◀ Previous", "PageUp", "Open the previous case of the worklist")
