"""Cohorts: many cases, one unit of work each, one table.

Each case is read, segmented, measured and written as one unit, whole or not at all, with a record of the
files, the model and the settings that it was made from. A second run does what is missing or changed. Parts
of a cohort run anywhere, without communication, and are put together from their records.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_tumorseg.cohorts.collecting import collect
    from napari_tumorseg.cohorts.planning import CohortPlan, Task, plan
    from napari_tumorseg.cohorts.record import Record
    from napari_tumorseg.cohorts.run import cohort, run_plan
    from napari_tumorseg.cohorts.settings import CohortSettings, Part

_HOME = {
    "CohortPlan": "planning",
    "CohortSettings": "settings",
    "Part": "settings",
    "Record": "record",
    "Task": "planning",
    "cohort": "run",
    "collect": "collecting",
    "plan": "planning",
    "run_plan": "run",
}

__all__ = ["CohortPlan", "CohortSettings", "Part", "Record", "Task", "cohort", "collect", "plan", "run_plan"]


def __getattr__(name: str) -> Any:
    """Import a name on first use."""
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
