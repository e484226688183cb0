"""Counts of editor actions and their times, for the provenance of corrected masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class EditCounts:
    """Editor actions by kind.

    Attributes
    ----------
    actions : mapping of str to int
        Number of actions of each kind.
    first, last : float or None
        Time of the first and the last action, in seconds since 1970 (UTC); None if there was none.
    """

    actions: Mapping[str, int] = field(default_factory=dict)
    first: float | None = None
    last: float | None = None

    @property
    def total(self) -> int:
        """Number of actions."""
        return sum(self.actions.values())

    def plus(self, action: str, time: float) -> EditCounts:
        """Return the counts with one more action; an empty one continues the action before, uncounted."""
        more = {action: self.actions.get(action, 0) + 1} if action else {}
        actions = {**self.actions, **more}
        first = time if self.first is None else min(self.first, time)
        return EditCounts(actions, first, time if self.last is None else max(self.last, time))

    def to_dict(self) -> dict[str, Any]:
        """Return the content for the JSON beside a mask: counts, and times in ISO 8601, UTC."""
        return {
            "total": self.total,
            "actions": dict(sorted(self.actions.items())),
            "first": None if self.first is None else iso(self.first),
            "last": None if self.last is None else iso(self.last),
        }


def iso(time: float) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
