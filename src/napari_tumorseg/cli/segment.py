"""``tumorseg segment``: a mask and its volumes for one case."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console, progress, show_json, show_warnings
from napari_tumorseg.cli.parse import (
    inference_settings,
    named_roles,
    parse_post,
    parse_roles,
    parse_slices,
    parse_spacing,
)
from napari_tumorseg.cli.targets import OutputOptions, Targets, save
from napari_tumorseg.cli.wording import worded

if TYPE_CHECKING:
    from napari_tumorseg.errors import ChoiceNeededError
    from napari_tumorseg.inference import RunPlan, ScanAnalysis, Settings
    from napari_tumorseg.io import Case
    from napari_tumorseg.measurement import Measurements
    from napari_tumorseg.models import Model
    from napari_tumorseg.regions import LabelConvention
    from napari_tumorseg.scan import Scan, Segmentation


def segment(
    paths: options.Paths,
    output: options.MaskOutput,
    model: options.SomeModel = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    case: options.CaseName = None,
    roles: options.Roles = None,
    reference: options.Reference = None,
    same_voxels: options.SameVoxels = False,
    no_prepare: options.NoPrepare = False,
    spacing: options.Spacing = None,
    post: options.Post = None,
    flip: options.Flip = None,
    threshold: options.Threshold = None,
    slices: options.SliceRange = None,
    picture: options.Picture = None,
    csv: options.TableToo = None,
    lgg: options.Lgg = False,
    bids: options.Bids = False,
    dicom_seg: options.DicomSeg = False,
    probabilities: options.Probabilities = False,
    labels_out: options.LabelsOut = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Segment a case: write the mask on the scan's own grid and print the volumes."""
    from napari_tumorseg.inference import ScanAnalysis, plan_run
    from napari_tumorseg.io.side_files import input_files

    wanted = OutputOptions.of(
        output, picture, csv, labels_out, lgg=lgg, bids=bids, dicom_seg=dicom_seg, probabilities=probabilities
    )
    settings = inference_settings(device, precision, flip, threshold)
    # probabilities take few bytes a voxel and show how sure the model is
    settings = replace(settings, slices=parse_slices(slices), probabilities=True)
    opened = _case(paths, case, roles, output)
    plan = plan_run(opened, model, reference, same_voxels=same_voxels, prepare=not no_prepare)
    targets = Targets.of(plan.found, wanted, plan.model.card.output)
    targets.check(input_files(opened, paths), overwrite)
    scan = _scan(plan, spacing, device, quiet or as_json)
    chosen = plan.model_for(scan)
    settings = replace(settings, post=parse_post(post, chosen.card))
    result = _segmented(scan, chosen, settings, ScanAnalysis(scan, plan.analysis.stripped), quiet or as_json)
    kept, measurements = _to_keep(result, wanted)
    written = save(kept, scan, targets, measurements, overwrite)
    if as_json or not quiet:
        _report(result, measurements, chosen, written, as_json)


def _case(paths: list[Path], name: str | None, roles: list[str] | None, output: Path) -> Case:
    """Open a case with the given roles of its images."""
    from napari_tumorseg.errors import ChoiceNeededError
    from napari_tumorseg.io import open_case

    if name is not None and len(paths) > 1:
        raise typer.BadParameter("--case names one case of a folder; several paths are the files of one case")
    try:
        found = open_case(paths, name)
    except ChoiceNeededError as error:
        raise _or_all_of_them(error, paths, output) from error
    named = named_roles(parse_roles(roles), found)
    return found.with_roles(named) if named else found


def _or_all_of_them(error: ChoiceNeededError, paths: list[Path], output: Path) -> ChoiceNeededError:
    """Return an error about several cases with the command that segments them all."""
    from napari_tumorseg.errors import ChoiceNeededError, Remedy

    if error.remedy is not Remedy.CHOOSE_CASE:
        return error
    command = shlex.join(["tumorseg", "cohort", *map(str, paths), "-o", str(output)])
    return ChoiceNeededError(f"{worded(error)}, or segment them all with: {command}", error.options)


def _scan(plan: RunPlan, spacing: str | None, device: str, quiet: bool) -> Scan:
    """Make the scan, with its preparation shown step by step."""
    from napari_tumorseg.scan import refuse_known_spacing

    size = parse_spacing(spacing)
    if size:
        refuse_known_spacing(plan.case.reference(plan.reference).grid, plan.case.name)
    scan = prepare_with_progress(plan, device, quiet)
    return scan.with_spacing(size) if size else scan


def prepare_with_progress(plan: RunPlan, device: str, quiet: bool) -> Scan:
    """Make the scan of a plan with a progress bar."""
    from rich.progress import Progress

    from napari_tumorseg.inference.steps import Steps
    from napari_tumorseg.preparation import default_tools

    tools = default_tools(device) if plan.needs else None
    with Progress(console=console(stderr=True), disable=quiet, transient=True) as bars:
        bar = bars.add_task(plan.case.name, total=None)
        steps = Steps(plan.scan(tools))
        for step in steps:
            bars.update(bar, completed=step.done, total=step.total, description=step.words)
        return steps.result


def _segmented(
    scan: Scan, model: Model, settings: Settings, analysis: ScanAnalysis, quiet: bool
) -> Segmentation:
    """Run a model and show every warning once, as early as it is known."""
    from napari_tumorseg.inference import suitability_warnings

    known = [*scan.warnings, *suitability_warnings(scan, model.card, analysis)]
    show_warnings(known)
    result = run_with_progress(scan, model, settings, quiet, analysis)
    show_warnings(w for w in result.provenance["warnings"] if w not in known)
    return result


def in_wanted_convention(result: Segmentation, wanted: LabelConvention) -> Segmentation:
    """Return a result in another convention; a cavity for which that has no label becomes background.

    A warning says so: the run is over, and all but the cavity can be written.
    """
    from napari_tumorseg.regions import CAVITY, region_mask

    lost = [label.value for label in result.convention.labels if label.tissue == CAVITY]
    cavity = region_mask(result.labels, lost)
    if any(label.tissue == CAVITY for label in wanted.labels) or not cavity.any():
        return result.in_convention(wanted)
    warning = f"the resection cavity was written as background: {wanted.name} has no label for it"
    show_warnings([warning])
    known = {**result.provenance, "warnings": [*result.provenance.get("warnings", ()), warning]}
    rest = replace(result, labels=result.labels * ~cavity, provenance=known)
    return rest.in_convention(wanted)


def _to_keep(result: Segmentation, wanted: OutputOptions) -> tuple[Segmentation, Measurements]:
    """Return the result as it is written, with its numbers, and probabilities if requested."""
    from napari_tumorseg.measurement import measure

    converted = in_wanted_convention(result, wanted.convention) if wanted.convention else result
    measurements = measure(converted)
    provenance = {**converted.provenance, "measurements": measurements.to_dict()}
    maps = converted.probabilities if wanted.probabilities else {}
    return replace(converted, provenance=provenance, probabilities=maps), measurements


def _report(
    result: Segmentation, measurements: Measurements, model: Model, written: list[Path], as_json: bool
) -> None:
    """Print the findings and the confidence of the model."""
    from napari_tumorseg.inference import find
    from napari_tumorseg.inference.confidence import as_dict, in_words

    findings = find(result.labels, result.probabilities, result.probability_box or (), model.card.output)
    if as_json:
        content = {"files": [str(p) for p in written], "model": model.name, "findings": as_dict(findings)}
        show_json({**content, **measurements.to_dict()})
    else:
        show(measurements, model, written, in_words(findings))


def run_with_progress(
    scan: Scan, model: Model, settings: Settings, quiet: bool, analysis: ScanAnalysis | None = None
) -> Segmentation:
    """Run a model with a progress bar."""
    from napari_tumorseg.inference import run
    from napari_tumorseg.inference.steps import Steps

    with progress(disable=quiet) as bars:
        bar = bars.add_task(f"{scan.case}: {model.name}", total=None)
        steps = Steps(run(scan, model, settings, analysis))
        for step in steps:
            # a note is shown where it matters, and as a warning in the end
            name = step.note or bars.tasks[bar].description
            bars.update(bar, completed=step.done, total=step.total, description=name)
        return steps.result


def show(measurements: Measurements, model: Model, written: list[Path], sure: str = "") -> None:
    """Print the table, the findings, the confidence of the model, and the files."""
    from napari_tumorseg.report import summary, to_rich

    screen = console()
    screen.print(to_rich(measurements))
    screen.print(summary(measurements), markup=False)
    if sure:
        screen.print(sure, markup=False)
    screen.print(f"Model {model.name}, licence {model.card.about.licence}.", markup=False)
    for path in written[:4]:
        screen.print(f"wrote {path}", markup=False)
    if len(written) > 4:
        screen.print(f"wrote {len(written) - 4} more files", markup=False)
