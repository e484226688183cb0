"""Reporting of errors that are meant for the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from napari_tumorseg.errors import CancelledError, TumorSegError
from napari_tumorseg.viewer.widgets.messages import worded

P = ParamSpec("P")


class Reporter(Protocol):
    """An object with a signal for error messages."""

    failed: Any


R = TypeVar("R", bound=Reporter)


@contextmanager
def errors_reported(report: Callable[[str], None]) -> Iterator[None]:
    """Pass the message of an error that is meant for the user to `report`.

    A cancelled dialog is an answer of the user, so nothing is reported; other errors are raised.
    """
    try:
        yield
    except CancelledError:
        return
    except TumorSegError as error:
        report(worded(error))


def reports_errors(method: Callable[Concatenate[R, P], None]) -> Callable[Concatenate[R, P], None]:
    """Decorate a method so that its errors that are meant for the user are emitted as `failed`."""

    @wraps(method)
    def reported(self: R, /, *args: P.args, **kwargs: P.kwargs) -> None:
        with errors_reported(self.failed.emit):
            method(self, *args, **kwargs)

    return reported
