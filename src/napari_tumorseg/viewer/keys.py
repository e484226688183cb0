"""The keys of the panel: one table, none of which napari uses itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari import Viewer

Action = Callable[[], None]


@dataclass(frozen=True)
class Key:
    """A key and what it does.

    Attributes
    ----------
    key : str
        As `viewer.bind_key` takes it.
    does : str
        For people, in a few words.
    """

    key: str
    does: str

    @property
    def shown(self) -> str:
        """The key as it is written on a button."""
        return self.key.replace("Shift-", "⇧").replace("PageDown", "PgDn").replace("PageUp", "PgUp")


KEYS: Mapping[str, Key] = {
    "accept": Key("K", "mark the component under the cursor as kept, or take the mark away"),
    "reject": Key("U", "take away the component under the cursor"),
    "keep_only": Key("Shift-K", "keep only the component under the cursor and those marked as kept"),
    "relabel": Key("W", "give the component under the cursor the selected label"),
    "fill_between": Key("J", "fill between the two painted slices around the one shown"),
    "grow": Key("G", "grow the selected label"),
    "shrink": Key("Shift-G", "shrink the selected label"),
    "smooth": Key("H", "smooth the selected label"),
    "erase_outside": Key("Shift-U", "erase everything outside the brain"),
    "rerun_slice": Key("Shift-R", "run the model again on the slice that is shown"),
    "rerun_box": Key("Shift-W", "run the model again in a box"),
    "next_uncertain": Key("Q", "go to the next most uncertain slice"),
    "next_component": Key("N", "go to the next component"),
    "previous_component": Key("Shift-N", "go to the component before"),
    "next_case": Key("PageDown", "open the next case of the worklist"),
    "previous_case": Key("PageUp", "open the case before in the worklist"),
}
"""Every key of the panel by its action."""


def key_of(action: str) -> str:
    """Return an action's key as it is shown on a button."""
    return KEYS[action].shown


def titled(text: str, action: str) -> str:
    """Return a button's text with its key, such as ``Grow  [G]``."""
    return f"{text}  [{key_of(action)}]"


def help_lines(actions: Iterable[str] | None = None) -> list[str]:
    """Return a line for each key: the key and what it does."""
    return [f"{KEYS[name].shown}: {KEYS[name].does}" for name in (actions or KEYS)]


def bind(viewer: Viewer, actions: Mapping[str, Action]) -> Callable[[], None]:
    """Bind actions to their keys in one viewer.

    Parameters
    ----------
    viewer : napari Viewer
        Others are not touched.
    actions : mapping of str to callable
        By the names in `KEYS`.

    Returns
    -------
    callable
        Takes the keys away again.
    """
    for name, action in actions.items():
        viewer.bind_key(KEYS[name].key, _pressed(action), overwrite=True)

    def unbind() -> None:
        for name in actions:
            viewer.bind_key(KEYS[name].key, None)

    return unbind


def _pressed(action: Action) -> Callable[[Any], None]:
    def pressed(viewer: Any) -> None:
        action()

    return pressed
