"""Commands of the panel: a name, the text of a button, a key and a tip, each stated once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QPushButton

if TYPE_CHECKING:
    from napari import Viewer

Action = Callable[[], None]


@dataclass(frozen=True)
class Command:
    """An action of the panel that has a key.

    Attributes
    ----------
    name : str
        Identifier, such as ``"grow"``.
    label : str
        Text of its button.
    key : str
        Key as `viewer.bind_key` takes it; none of napari's own.
    tip : str
        Sentence without a full stop, for the button's tip, the help and the documentation.
    """

    name: str
    label: str
    key: str
    tip: str

    @property
    def shown_key(self) -> str:
        """Key as buttons show it, such as ``⇧G``."""
        return self.key.replace("Shift-", "⇧").replace("PageDown", "PgDn").replace("PageUp", "PgUp")

    @property
    def written_key(self) -> str:
        """Key as the documentation writes it, such as ``Shift + G``."""
        return self.key.replace("Shift-", "Shift + ")

    @property
    def button_text(self) -> str:
        """Label and key, such as ``Grow  [⇧G]``."""
        return f"{self.label}  [{self.shown_key}]"

    @property
    def help_line(self) -> str:
        """Key and tip as one line of help."""
        return f"{self.shown_key}: {self.tip}"


def command_button(command: Command, hint: str = "") -> QPushButton:
    """Return a button with a command's label and key; `hint` is added to its tip."""
    button = QPushButton(command.button_text)
    button.setToolTip(f"{command.tip}. {hint}".strip())
    return button


def bind(viewer: Viewer, actions: Mapping[Command, Action]) -> Callable[[], None]:
    """Bind commands to their keys in one viewer.

    Parameters
    ----------
    viewer : napari Viewer
        The only viewer in which the keys work.
    actions : mapping of Command to callable
        The function that each command calls.

    Returns
    -------
    callable
        Removes the keys again.
    """
    for command, action in actions.items():
        viewer.bind_key(command.key, _pressed(action), overwrite=True)

    def unbind() -> None:
        for command in actions:
            viewer.bind_key(command.key, None)

    return unbind


def _pressed(action: Action) -> Callable[[Any], None]:
    def pressed(viewer: Any) -> None:
        action()

    return pressed
