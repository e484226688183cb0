"""Grammar of contrast agent in names and headers: agents, negations before and behind them, and times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from napari_tumorseg.io import role_words as w

_NO_AGENT = ("", "no", "none", "non", "0", "not applicable", "n/a", "na", "unknown", "without")
"""Values of a header for the agent of a scan without one."""


@dataclass(frozen=True)
class Contrast:
    """Contrast agent as the words describe it.

    Attributes
    ----------
    given : bool
        Whether it was given.
    word : str
        The word that decides; empty if none does.
    is_both : bool
        Whether the name says with and without.
    is_doubtful : bool
        Whether others may read the word differently.
    """

    given: bool = False
    word: str = ""
    is_both: bool = False
    is_doubtful: bool = False


def contrast_of(words: Sequence[str]) -> Contrast:
    """Return the contrast agent that the words describe; plain words win over "post" alone."""
    hint = [c for i in range(len(words)) if (c := _contrast_at(words, i)) is not None]
    strong = [c for c in hint if c.word not in ("pre", "post")]
    if "both" in words and not [c for c in hint if c.word != "both"]:
        return Contrast(word="both", is_both=True)
    return (strong or hint or [Contrast()])[-1]


def _contrast_at(words: Sequence[str], at: int) -> Contrast | None:
    word = words[at]
    if _is_agent(word):
        return _agent(words, at)
    if word in w.WITH_ALONE and at and at == len(words) - 1:
        is_given = words[at - 1] not in w.NEGATIONS
        return Contrast(is_given, word, is_doubtful=is_given)
    if word in ("pre", "post"):
        leads = is_time(words, at) or _is_agent(_next(words, at))
        return None if leads else Contrast(word == "post", word)
    if word in w.PLAIN:
        return Contrast(word=word)
    if word in w.NEGATIONS_ALONE and not _is_agent(_next(words, at)):
        return Contrast(word=word)
    if word == "c" and "t1" in (*words[max(at - 1, 0) : at], *words[at + 1 : at + 2]):
        return Contrast(True, word)
    return None


def _agent(words: Sequence[str], at: int) -> Contrast | None:
    """Return whether contrast agent was given: not behind a negation, unknown behind "with and without"."""
    earlier = (word for word in reversed(words[:at]) if word not in w.FILLERS and not _is_agent(word))
    before = next(earlier, "")
    if before == "both":
        return None
    word = words[at]
    if before in w.NEGATION_LETTERS:
        return Contrast(False, f"{before} {word}", is_doubtful=True)
    if before in w.NEGATIONS:
        return Contrast(False, word)
    denied = _is_denied(words, at)
    return Contrast(not denied, word, is_doubtful=denied is None or word not in w.AGENTS)


def _is_agent(word: str) -> bool:
    return word in w.AGENTS or word.startswith(w.AGENT_STEM)


def _is_denied(words: Sequence[str], at: int) -> bool | None:
    """Return whether a negation stands right behind an agent; None if it may belong to the word behind it."""
    word, after = [*words[at + 1 : at + 3], "", ""][:2]
    if word in w.NEGATIONS_BEHIND:
        return True
    if word not in w.NEGATIONS - {"un", "o"} or is_time(words, at + 1) or _is_agent(after):
        return False
    return True if after == "" or after.isdigit() or after in w.SEQUENCES else None


def _next(words: Sequence[str], at: int) -> str:
    return next((word for word in words[at + 1 :] if word not in w.FILLERS), "")


def names_agent(value: str) -> bool:
    """Return whether the value of a header for the contrast agent is one."""
    return value.strip().lower() not in _NO_AGENT


def is_time(words: Sequence[str], at: int) -> bool:
    """Return whether "pre", "post" or the like is a time: an operation or a number of months follows."""
    if at >= len(words) or words[at] not in w.TIMED:
        return False
    after = [*words[at + 1 : at + 3], "", ""]
    number = re.match(r"\d*", after[0])
    assert number is not None
    if not number.group():
        return after[0] in w.TIMES
    unit = after[0][number.end() :] or after[1]
    return unit in w.UNITS or unit in w.TIMES
