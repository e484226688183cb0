"""What can go wrong, each told in one sentence fit to be shown to a user.

Every error that this package raises on purpose is a `TumorSegError`; its text names the file or
layer it is about and says what to do. The command line prints it as one line, the viewer as a
notification; neither shows a traceback for it.
"""

from __future__ import annotations

from collections.abc import Sequence


class TumorSegError(Exception):
    """Base of all errors that are told to the user as one sentence."""


class InputError(TumorSegError):
    """A file or folder cannot be read as a scan or mask."""


class TooLargeError(InputError):
    """A header claims more than can sensibly be held in memory."""


class GeometryError(InputError):
    """Channels or masks do not lie in one space."""


class ChoiceNeededError(TumorSegError):
    """Something is ambiguous and must not be guessed.

    Attributes
    ----------
    options : tuple of str
        What can be chosen from.
    """

    def __init__(self, message: str, options: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.options = tuple(options)


class ModelError(TumorSegError):
    """A model, its card or its weights cannot be used."""


class RoleError(ModelError):
    """A scan lacks a modality that the model needs."""


class DeviceError(TumorSegError):
    """The device asked for is not there or too small."""


class OutputError(TumorSegError):
    """A result cannot be written; what was there before is untouched."""


class CancelledError(TumorSegError):
    """The user stopped a run; nothing was kept of it."""
