"""Sentences as the window shows them: file names without their folders, no words of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_FOLDERS = re.compile(
    r"(?<![\w.~:/\\-])"  # not within a relative path, an address or a fraction
    r"(?:[A-Za-z]:[\\/]+|[\\/]+)"
    r"(?:[^\\/\s:;,'\"()]+[\\/]+)+"
    r"(?=[^\s\\/])"
)

_IN_THE_WINDOW = {
    ": say which with --labels": "",
    "; say which with --case": "; open one of them",
    "say which is which with --roles NAME=ROLE": "choose the roles in the panel",
    "say which image it is with --roles NAME=flair": "choose its role in the panel",
    "say otherwise with --roles NAME=ROLE": "the roles can be changed in the panel",
    "say it with --roles NAME=ROLE": "choose the roles in the panel",
    "say --same-voxels": "the command line can take them as they lie",
}
"""What the command line is told to do, and what there is to do in the window."""

_LEFT_OUT = "left out"


def short(text: str, paths: Iterable[Path | str] = ()) -> str:
    """Return a sentence fit for a notification, which has room for few words.

    Parameters
    ----------
    text : str
        As it was raised; absolute paths lose their folders.
    paths : iterable of path
        Files that it may be about: their folders go even if there are spaces in them.
    """
    for folder in sorted({str(Path(p).parent) for p in paths}, key=len, reverse=True):
        if Path(folder).is_absolute() and folder != Path(folder).anchor:
            text = text.replace(f"{folder}/", "").replace(f"{folder}\\", "")
    for said, meant in _IN_THE_WINDOW.items():
        text = text.replace(said, meant)
    return _FOLDERS.sub("", text)


def together(sentences: Sequence[str]) -> str:
    """Return several sentences as one text, what is not shown at all first, counted where it is several."""
    missing = [text for text in sentences if _LEFT_OUT in text]
    others = [text for text in sentences if _LEFT_OUT not in text]
    verdict = [f"{len(missing)} files are {_LEFT_OUT}."] if len(missing) > 1 else []
    return "\n".join([*verdict, *missing, *others])
