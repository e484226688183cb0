"""Result of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_tumorseg.evaluation.scores import CaseScores, FailedCase
from napari_tumorseg.evaluation.settings import EvaluationSettings


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's scores on a data set.

    Attributes
    ----------
    model, run : mapping
        Name, version, sha256 and licence of the model; settings of its runs (device, flip, threshold,
        post-processing) and versions of libraries.
    data : tuple of str
        Names of the folders.
    settings : EvaluationSettings
        Settings of the evaluation.
    planned : int
        Number of cases that were chosen.
    cases : tuple of CaseScores
        Cases that were scored.
    failures : tuple of FailedCase
        Cases that were not.
    seconds : float
        Duration.
    created : str
        Time at the end, ISO 8601.
    stopped : str
        Reason for a stop before all cases were done; else empty.
    weights : Path or None
        Of the model; learning curves are looked for beside them.
    """

    model: Mapping[str, Any]
    run: Mapping[str, Any]
    data: tuple[str, ...]
    settings: EvaluationSettings
    planned: int
    cases: tuple[CaseScores, ...]
    failures: tuple[FailedCase, ...]
    seconds: float
    created: str
    stopped: str = ""
    weights: Path | None = None

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Names of the cases, scored or not, that the model has seen."""
        scored = tuple(case.name for case in self.cases if case.trained_on)
        return scored + tuple(failure.name for failure in self.failures if failure.trained_on)

    @property
    def failed(self) -> tuple[FailedCase, ...]:
        """Failures of cases that have a reference."""
        return tuple(failure for failure in self.failures if not failure.unlabelled)

    @property
    def unlabelled(self) -> tuple[FailedCase, ...]:
        """Cases without a reference (or an image), which cannot be scored."""
        return tuple(failure for failure in self.failures if failure.unlabelled)

    @property
    def cases_per_minute(self) -> float:
        """Speed, cases that failed included."""
        done = len(self.cases) + len(self.failures)
        return 60 * done / self.seconds if self.seconds else 0.0
