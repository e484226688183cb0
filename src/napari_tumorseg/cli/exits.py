"""Exit codes, for scripts that call the command line."""

from __future__ import annotations

from napari_tumorseg.errors import (
    CancelledError,
    ChoiceNeededError,
    DeviceError,
    InputError,
    ModelError,
    OutputError,
    TumorSegError,
)

EXIT_CODES = {
    0: "done",
    1: "an error that should not happen; please report it",
    2: "wrong use of the command",
    3: "a file or folder cannot be read, or its images do not lie in one space",
    4: "ambiguous input; specify --case, --roles or --labels",
    5: "a model, its card or its weights cannot be used, or the scan lacks what it needs",
    6: "the result cannot be written; existing files are untouched",
    7: "the device or cluster is not available, or too small",
    8: "a fine-tuned model is not shown to be better than its parent; no model was changed",
    130: "cancelled; nothing half-written",
}
"""Meaning of each exit code."""

_BY_ERROR: tuple[tuple[type[TumorSegError], int], ...] = (
    (ChoiceNeededError, 4),
    (ModelError, 5),
    (OutputError, 6),
    (DeviceError, 7),
    (CancelledError, 130),
    (InputError, 3),
)


def code_of(error: TumorSegError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), 1)
