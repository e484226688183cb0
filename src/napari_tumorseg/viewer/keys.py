"""All commands of the panel that have a key, for its help and its documentation."""

from __future__ import annotations

from napari_tumorseg.viewer.cases import commands as cases
from napari_tumorseg.viewer.correct import tools
from napari_tumorseg.viewer.state import navigation

COMMANDS = (
    *tools.COMMANDS,
    navigation.NEXT_COMPONENT,
    navigation.PREVIOUS_COMPONENT,
    cases.NEXT_CASE,
    cases.PREVIOUS_CASE,
)
"""All commands in the order of the help."""


def help_text() -> str:
    """Return a line for each command: key and tip."""
    return "\n".join(command.help_line for command in COMMANDS)
