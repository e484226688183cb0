"""Corrected cases: of folders with masks, and of worklists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_tumorseg.errors import InputError
from napari_tumorseg.finetuning.settings import Source
from napari_tumorseg.io.dataset import CaseRef, DataSet
from napari_tumorseg.session import State, Worklist

_TAKEN = {State.CORRECTED, State.DONE}


def corrected_cases(sources: Sequence[Source]) -> DataSet:
    """Return the corrected cases of some sources.

    Raises
    ------
    InputError
        If there are none, or one name stands for two cases.
    """
    cases = [case for source in sources for case in _cases(source)]
    names = [case.name for case in cases]
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise InputError(f"two of the cases are called {double}; rename one")
    if not cases:
        raise InputError(f"{sources[0].masks or sources[0].cases} holds no case that is corrected or done")
    return DataSet(tuple(cases))


def _cases(source: Source) -> Sequence[CaseRef]:
    if source.masks is None:
        return DataSet.find([source.cases]).cases
    entries = Worklist.open(source.cases, source.masks).entries
    return [replace(e.ref, mask_file=e.mask) for e in entries if e.mask is not None and e.state in _TAKEN]


def cases_of(masks: Path) -> Path | None:
    """Return the folder of cases beside that of their masks, as the panel names it; None if there is none."""
    cases = masks.with_name(masks.name.removesuffix("_masks"))
    return cases if cases != masks and cases.exists() else None
