"""pydicom and highdicom: imported when a DICOM file is met, with a sentence where they are not installed."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from napari_tumorseg.errors import InputError, OutputError, TumorSegError
from napari_tumorseg.extras import to_install


def pydicom(where: object) -> Any:
    """Import and return pydicom.

    Raises
    ------
    InputError
        If it is not installed; `where` names the file.
    """
    try:
        return import_module("pydicom")
    except ImportError:
        raise InputError(
            f"{where} is DICOM, which needs pydicom; it is not installed: {to_install('dicom')}"
        ) from None


def highdicom(where: object) -> Any:
    """Import and return highdicom, which writes DICOM segmentation objects.

    Raises
    ------
    OutputError
        If it is not installed; `where` names the file.
    """
    try:
        return import_module("highdicom")
    except ImportError:
        missing = f"is not installed ({to_install('dicom')})"
        reason = "does not exist for Python 3.14 yet" if sys.version_info >= (3, 14) else missing
        raise OutputError(f"{where} cannot be written: highdicom {reason}; write NIfTI instead") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings and log records of pydicom in the block to itself: they quote values of headers."""
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.disabled = True
        try:
            yield
        finally:
            logger.disabled = before


@contextmanager
def reading(where: object) -> Iterator[None]:
    """Turn the errors of pydicom in the block into a sentence, and keep its warnings to itself.

    Both can quote values of the header, such as the name of the patient.

    Raises
    ------
    InputError
        If anything that pydicom does in the block fails; `where` names the file.
    """
    with quiet():
        try:
            yield
        except (TumorSegError, KeyboardInterrupt):
            raise
        except MemoryError:
            raise InputError(f"{where} declares more than this machine can hold") from None
        except Exception:  # pydicom raises many kinds for damaged files
            raise InputError(f"{where} is damaged or incomplete; copy it again") from None
