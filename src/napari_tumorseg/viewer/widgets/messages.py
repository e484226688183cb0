"""Errors and warnings as the window shows them: with advice for the panel, without folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_tumorseg.errors import Remedy, TumorSegError, remedy_of

ADVICE = {
    Remedy.CHOOSE_CASE: "open one of them",
    Remedy.CHOOSE_IMAGE: "open a file that holds a single image",
    Remedy.CHOOSE_REFERENCE: "choose one of them as the reference",
    Remedy.STATE_LABELS: "open the mask by itself to state its label convention",
    Remedy.STATE_REFERENCE_LABELS: "open the reference by itself to state its label convention",
    Remedy.STATE_ROLES: "set the roles under Images",
    Remedy.STATE_SPACING: "type the voxel size under Images",
    Remedy.IGNORE_AFFINE: "if the voxels match, the command line can ignore the affine",
    Remedy.IGNORE_PREPARATION: "to take the scan as it is, untick Prepare native scans under Options",
    Remedy.CHOOSE_MODEL: "set the roles under Images, or choose another model",
    Remedy.RESUME_TRAINING: "resume it, or choose a new folder",
    Remedy.RENAME_MODEL: "choose another name",
    Remedy.CHANGE_START: "start from another model, or change the split",
    Remedy.CHANGE_DEVICES: "change the number of devices",
    Remedy.CHANGE_LEFT_OUT: "correct the names of the cases to leave out",
    Remedy.CHANGE_SPLIT: "keep patients for validation",
    Remedy.ADD_CASES: "add patients",
}

_FOLDERS = re.compile(
    r"(?<![\w.~:/\\-])"  # not within a relative path, an address or a fraction
    r"(?:[A-Za-z]:[\\/]+|[\\/]+)"
    r"(?:[^\\/\s:;,'\"()]+[\\/]+)+"
    r"(?=[^\s\\/])"
)
_LEFT_OUT = "left out"


def worded(message: TumorSegError | str) -> str:
    """Return an error or a warning with the advice for its remedy."""
    remedy = remedy_of(message)
    return f"{message}; {ADVICE[remedy]}" if remedy else str(message)


def short(message: TumorSegError | str, paths: Iterable[Path | str] = ()) -> str:
    """Return a message that fits into a notification, with its advice.

    Parameters
    ----------
    message : TumorSegError or str
        As raised or noted; absolute paths lose their folders.
    paths : iterable of path
        Files that it may name: their folders are removed even if they contain spaces.
    """
    text = worded(message)
    for folder in sorted({str(Path(p).parent) for p in paths}, key=len, reverse=True):
        if Path(folder).is_absolute() and folder != Path(folder).anchor:
            text = text.replace(f"{folder}/", "").replace(f"{folder}\\", "")
    return _FOLDERS.sub("", text)


def summary(messages: Sequence[str]) -> str:
    """Return several messages as one text: those about something left out first, counted if several."""
    texts = [worded(message) for message in messages]
    missing = [text for text in texts if _LEFT_OUT in text]
    others = [text for text in texts if _LEFT_OUT not in text]
    verdict = [f"{len(missing)} files are {_LEFT_OUT}."] if len(missing) > 1 else []
    return "\n".join([*verdict, *missing, *others])
