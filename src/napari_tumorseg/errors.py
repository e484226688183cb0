"""Errors and notices that are shown to the user, free of the words of any one front end.

Every error that this package raises on purpose is a `TumorSegError`. Its text states the facts: which file or
layer, and what is wrong with it. What the user can do about it is a `Remedy`; the command line words it as an
option, the panel as something to click. Neither shows a traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum, auto
from typing import SupportsIndex


class Remedy(StrEnum):
    """Kinds of things that a user can do about an error or a notice."""

    CHOOSE_CASE = auto()
    CHOOSE_IMAGE = auto()
    CHOOSE_REFERENCE = auto()
    """Choose which of several masks is the reference."""
    STATE_LABELS = auto()
    """State the label convention of a mask."""
    STATE_REFERENCE_LABELS = auto()
    STATE_ROLES = auto()
    """State which modality each image is."""
    STATE_SPACING = auto()
    IGNORE_AFFINE = auto()
    """Take images of equal shape voxel for voxel."""
    IGNORE_PREPARATION = auto()
    """Take the sequences where their files say that they lie, and the skull as it is."""
    CHOOSE_MODEL = auto()
    """Choose another model, or state the roles of the images."""
    RESUME_TRAINING = auto()
    RENAME_MODEL = auto()
    CHANGE_START = auto()
    """Start a training from another model."""
    CHANGE_DEVICES = auto()
    CHANGE_LEFT_OUT = auto()
    """Correct the names of cases that a training leaves out."""
    CHANGE_SPLIT = auto()
    """Name patients to validate a training on."""
    ADD_CASES = auto()
    """Train on more patients."""


class TumorSegError(Exception):
    """Base of all errors that are shown to the user as one sentence.

    Parameters
    ----------
    message : str
        The facts, in one sentence without a full stop.
    options : sequence of str
        Values to choose from, where the remedy is a choice.
    remedy : Remedy, optional
        What the user can do about it; each front end has words for it.
    """

    remedy: Remedy | None = None

    def __init__(self, message: str = "", options: Sequence[str] = (), remedy: Remedy | None = None) -> None:
        super().__init__(message)
        self.options = tuple(options)
        self.remedy = remedy if remedy is not None else type(self).remedy

    def __reduce__(self) -> tuple[type[TumorSegError], tuple[str, tuple[str, ...], Remedy | None]]:
        return type(self), (str(self), self.options, self.remedy)


class InputError(TumorSegError):
    """A file or folder cannot be read as a scan or mask."""


class TooLargeError(InputError):
    """A header claims more than can sensibly be held in memory."""


class UnsuitableError(InputError):
    """A file is not damaged but holds no scan: colours, complex numbers, a time series."""


class GeometryError(InputError):
    """Channels or masks do not lie in one space."""


class ChoiceNeededError(TumorSegError):
    """Something is ambiguous and is not guessed; `options` lists the choices."""


class ModelError(TumorSegError):
    """A model, its card or its weights cannot be used."""


class RoleError(ModelError):
    """A scan lacks a modality that the model needs."""

    remedy = Remedy.CHOOSE_MODEL


class PreparationError(TumorSegError):
    """A scan cannot be prepared, or a step of its preparation cannot be trusted."""

    remedy = Remedy.IGNORE_PREPARATION


class DeviceError(TumorSegError):
    """The device asked for is not available or too small."""


class ClusterError(DeviceError):
    """A cluster does not answer, or its workers cannot do what is asked."""


class OutputError(TumorSegError):
    """A result cannot be written; earlier files are untouched."""


class CancelledError(TumorSegError):
    """The user stopped a run; nothing of it was kept."""


class Notice(str):
    """A warning that also names a remedy; without a front end it reads as its plain text."""

    remedy: Remedy | None

    def __new__(cls, text: str, remedy: Remedy | None = None) -> Notice:
        """Return a notice of this text."""
        notice = super().__new__(cls, text)
        notice.remedy = remedy
        return notice

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> Notice:
        """Return the notice with a part of its text replaced; the remedy stays."""
        return Notice(super().replace(old, new, count), self.remedy)


def remedy_of(message: TumorSegError | str) -> Remedy | None:
    """Return the remedy that an error or a warning names, if it names one."""
    return getattr(message, "remedy", None)
