"""Plan of a run: its model, and the preparation that the case needs for it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

from napari_tumorseg import preparation
from napari_tumorseg.errors import PreparationError, TumorSegError
from napari_tumorseg.inference.model_selection import (
    choose_model,
    picture_as_expected,
    suitability_warnings,
)
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.inference.steps import result_of
from napari_tumorseg.io.case import Case
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.preparation import Needs, Step, Tools, default_tools, missing_packages, needs
from napari_tumorseg.scan import Scan


@dataclass(frozen=True, eq=False)
class RunPlan:
    """Model of a run, and how its scan is made from the case.

    Attributes
    ----------
    case : Case
        Images on their own grids.
    found : Scan
        The same images with the reference first, still on their own grids.
    model : Model
        The one asked for, or the one that suits the case.
    model_is_given : bool
        Whether it was asked for.
    needs : Needs or None
        Steps of preparation; None where there are none, or where they cannot be done here.
    reference : str or None
        Role or name of the image whose grid it is.
    same_voxels : bool
        As for `Case.scan`.
    warnings : tuple of str
        A sentence on the packages that a preparation lacks.
    analysis : ScanAnalysis
        Of the reference image.
    """

    case: Case
    found: Scan
    model: Model
    model_is_given: bool
    needs: Needs | None
    reference: str | None
    same_voxels: bool
    warnings: tuple[str, ...]
    analysis: ScanAnalysis

    def scan(self, tools: Tools | None = None) -> Generator[Step, None, Scan]:
        """Make the scan, yielding before each step of its preparation; the scan is the return value.

        Raises
        ------
        PreparationError
            If the brain cannot be found and the model was asked for; one that was chosen here gives way to
            another.
        """
        notes = list(self.warnings)
        if self.needs is None:
            scan = self._as_it_is()
        else:
            try:
                scan = yield from preparation.prepare(self.needs, tools or default_tools(), self.same_voxels)
            except PreparationError as error:
                if self.model_is_given:
                    raise
                scan = self._as_it_is()
                notes.append(f"{scan.case} was not prepared: {error}")
        return picture_as_expected(replace(scan, warnings=(*scan.warnings, *notes)), self.model.card)

    def model_for(self, scan: Scan) -> Model:
        """Return the model, or another one where the preparation did not find the brain that it needs."""
        if self.model_is_given or self.needs is None:
            return self.model
        return choose_model(scan, self.analysis, prepared=scan.brain_mask is not None)

    def _as_it_is(self) -> Scan:
        return self.case.scan(self.reference, self.same_voxels)


def plan_run(
    case: Case,
    model: Model | str | Path | None = None,
    reference: str | None = None,
    same_voxels: bool = False,
    prepare: bool = True,
    stripped: bool | None = None,
) -> RunPlan:
    """Choose the model for a case, and the preparation that it needs.

    Parameters
    ----------
    case : Case
        From `open_case`.
    model : Model, str or Path, optional
        A model, its name or its path; chosen to suit the case if left out.
    reference, same_voxels
        As for `Case.scan`.
    prepare : bool
        Whether brain extraction and registration are done where they are needed.
    stripped : bool, optional
        Whether the skull is removed, if that is known already.

    Raises
    ------
    RoleError
        If no model is given and none can run.
    PreparationError
        If the model that is given needs a scan without skull, this one has it, and the packages that find
        the brain are not installed.
    """
    found = _as_found(case, reference)
    analysis = ScanAnalysis(found, stripped)
    if model is None:
        chosen = choose_for(found, analysis, prepare, case.brain_mask is not None)
    else:
        chosen = model if isinstance(model, Model) else get_model(model)
    needed = needs_for(case, chosen.card, reference, same_voxels, analysis.stripped) if prepare else None
    lacking = missing_packages(needed) if needed else ""
    if needed and lacking and model is not None:
        _refuse_skull(needed, chosen.card, lacking)
    steps, notes = (needed if needed and not lacking else None), (lacking,) if lacking else ()
    return RunPlan(case, found, chosen, model is not None, steps, reference, same_voxels, notes, analysis)


def _refuse_skull(needed: Needs, card: ModelCard, lacking: str) -> None:
    """Raise if a model that somebody named would see a skull that it was not trained on."""
    if needed.brain and card.input.skull == "stripped":
        raise PreparationError(f"{card.name} was trained on brain-extracted scans, and {lacking}")


def needs_for(
    case: Case,
    card: ModelCard,
    reference: str | None = None,
    same_voxels: bool = False,
    stripped: bool | None = None,
) -> Needs:
    """Return the steps that a case needs before the model of this card can run on it."""
    return needs(
        case,
        reference,
        card.input.roles,
        brain=card.input.skull == "stripped",
        same_voxels=same_voxels,
        stripped=stripped,
    )


def choose_for(
    found: Scan, analysis: ScanAnalysis, prepare: bool = True, brain_is_given: bool = False
) -> Model:
    """Return the model that suits a scan which may be prepared.

    Models for brain-extracted scans are chosen from, too, where the brain is given or sequences lie on grids
    of their own. On one grid with skull, a model for scans with skull did better (benchmarks/native.py:
    whole-tumour Dice of six LGG patients 0.85 against 0.77, although the other model had seen them); on the
    native FG-6692 it did worse (0.78 against 0.88).

    Parameters
    ----------
    found : Scan
        Images with the reference first, each on its own grid.
    analysis : ScanAnalysis
        Of the reference image.
    prepare : bool
        Whether the scan is prepared where that is needed.
    brain_is_given : bool
        Whether there is a brain mask.

    Raises
    ------
    RoleError
        If no model can run.
    """
    needed = needs(Case(found.case, found.images), found.reference.name, stripped=analysis.stripped)
    worth_it = prepare and bool(needed.moving) and not missing_packages(needed)
    return choose_model(found, analysis, prepared=brain_is_given or worth_it)


def notes_before_run(found: Scan, card: ModelCard, analysis: ScanAnalysis, prepare: bool) -> list[str]:
    """Return notes on a run before it starts: its preparation, or the differences of scan and model.

    Parameters
    ----------
    found : Scan
        Images with the reference first, each on its own grid, and a brain mask if there is one.
    card : ModelCard
        Of the model.
    analysis : ScanAnalysis
        Of the reference image.
    prepare : bool
        Whether the scan is prepared where that is needed.
    """
    case, base = Case(found.case, found.images), found.reference
    needed = needs_for(case, card, base.name, stripped=analysis.stripped)
    known = found.brain_mask is not None
    if not prepare or not (needed.moving or (needed.brain and not known)):
        return suitability_warnings(found, card, analysis)
    steps = replace(needed, brain=needed.brain and not known)
    return [missing_packages(steps) or f"the run begins with {steps.words()}"]


def prepared(case: Case, model: Model | str | Path | None = None, tools: Tools | None = None) -> Scan:
    """Return the scan of a case, prepared as a model needs it.

    Parameters
    ----------
    case : Case
        From `open_case`.
    model : Model, str or Path, optional
        A model, its name or its path; chosen to suit the case if left out.
    tools : Tools, optional
        Brain extractor and registration; deepbet and SimpleITK if left out.

    Raises
    ------
    TumorSegError
        If a package that it needs is not installed, or the brain cannot be found.
    """
    plan = plan_run(case, model)
    if plan.warnings:
        raise TumorSegError(plan.warnings[0])
    return result_of(plan.scan(tools))


def _as_found(case: Case, reference: str | None) -> Scan:
    """Return the images with the reference first, each on its own grid."""
    base = case.reference(reference)
    return Scan(case.name, (base, *(image for image in case.images if image is not base)))
