"""Work that is done in steps, as a generator whose return value is the result."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

Step = TypeVar("Step")
Result = TypeVar("Result")


class Steps(Generic[Step, Result]):
    """Steps of a generator, to loop over without losing its return value.

    Parameters
    ----------
    steps : generator
        Yields its steps and returns the result.

    Attributes
    ----------
    result
        Return value of the generator, once a loop has run to its end.
    """

    result: Result

    def __init__(self, steps: Generator[Step, None, Result]) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[Step]:
        """Yield each step."""
        self.result = yield from self._steps


def result_of(steps: Generator[object, None, Result]) -> Result:
    """Run all steps of a generator and return its return value."""
    counted = Steps(steps)
    for _ in counted:
        pass
    return counted.result
