"""One precision for all cases of a plan, where workers and machines could each choose their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from napari_tumorseg.cohorts.planning import CohortPlan
from napari_tumorseg.cohorts.record import Record
from napari_tumorseg.cohorts.settings import CohortSettings
from napari_tumorseg.inference.settings import PRECISIONS
from napari_tumorseg.models.store import get_model, list_models


def is_open(settings: CohortSettings) -> bool:
    """Return whether something is chosen at the first run: bfloat16 by a measurement, int8's calibration.

    By the cards of most models nothing is: they run in float32 everywhere.
    """
    wanted = settings.inference.precision
    if wanted != "auto":
        return wanted == "int8"
    models = [get_model(settings.model)] if settings.model else list_models()
    figures = (model.card.agreement.get("bfloat16") for model in models)
    return any(found is not None and found.sufficient for found in figures)


def settled(planned: CohortPlan, records: Iterable[Record | None]) -> CohortPlan:
    """Return the plan with the precision that its model has run in already, if it has and none is asked for.

    Where each case has the model that suits it, each model chooses for itself.
    """
    settings = planned.settings
    if settings.model is None or settings.inference.precision != "auto" or not is_open(settings):
        return planned
    used = {one.precision for one in records if one is not None and one.settings == planned.digest}
    return replace(planned, precision=next((name for name in PRECISIONS if name in used), None))
