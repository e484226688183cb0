"""``tumorseg segment``: a mask and its volumes for one case."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.files import check_file
from napari_tumorseg.cli.output import console, show_json, show_warnings
from napari_tumorseg.cli.parse import (
    named_roles,
    parse_post,
    parse_precision,
    parse_roles,
    parse_slices,
    parse_spacing,
)
from napari_tumorseg.cli.wording import worded

if TYPE_CHECKING:
    from napari_tumorseg.errors import ChoiceNeededError
    from napari_tumorseg.inference import RunPlan, ScanAnalysis, Settings
    from napari_tumorseg.io import Case
    from napari_tumorseg.measurement import Measurements
    from napari_tumorseg.models import Model
    from napari_tumorseg.regions import LabelConvention
    from napari_tumorseg.scan import Scan, Segmentation

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


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
    from napari_tumorseg.conventions import get_convention
    from napari_tumorseg.inference import ScanAnalysis, Settings, plan_run
    from napari_tumorseg.io.side_files import input_files
    from napari_tumorseg.measurement import measure
    from napari_tumorseg.regions import check_conversion

    wanted = get_convention(labels_out) if labels_out else None
    opened = _case(paths, case, roles, output)
    plan = plan_run(opened, model, reference, same_voxels, not no_prepare)
    targets, files = _targets(plan.found, output, _layout(lgg, bids), picture, csv)
    targets = _with_dicom(targets, plan.found, dicom_seg)
    convention = get_convention(plan.model.card.output.scheme)
    if wanted:
        check_conversion(convention, wanted)
    outputs = plan.model.card.output.names if probabilities else ()
    targets, more = _further_targets(targets, plan.found, wanted or convention, outputs)
    files += more
    _check(targets, files, input_files(opened, paths), overwrite)
    scan = _scan(plan, spacing, device, quiet or as_json)
    chosen = plan.model_for(scan)
    settings = Settings(device, flip=flip, threshold=threshold, post=parse_post(post, chosen.card))
    # probabilities take few bytes a voxel and show how sure the model is
    settings = replace(
        settings, slices=parse_slices(slices), probabilities=True, precision=parse_precision(precision)
    )
    result = _segmented(scan, chosen, settings, ScanAnalysis(scan, plan.analysis.stripped), quiet or as_json)
    converted = in_wanted_convention(result, wanted) if wanted else result
    measurements = measure(converted)
    kept = _to_keep(converted, measurements, probabilities)
    written = save(kept, scan, targets, measurements, overwrite)
    if as_json or not quiet:
        _tell(result, measurements, chosen, written, as_json)


def _layout(lgg: bool, bids: bool) -> str:
    """Return the layout of the output: "file", "lgg" or "bids"."""
    if lgg and bids:
        raise typer.BadParameter("--lgg and --bids are two layouts of the output; name one of them")
    return "lgg" if lgg else "bids" if bids else "file"


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

    from napari_tumorseg.preparation import default_tools

    tools = default_tools(device) if plan.needs else None
    with Progress(console=console(stderr=True), disable=quiet, transient=True) as bars:
        bar = bars.add_task(plan.case.name, total=None)
        steps = plan.scan(tools)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                scan: Scan = end.value
                return scan
            bars.update(bar, completed=step.done, total=step.total, description=step.words)


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


def _to_keep(result: Segmentation, measurements: Measurements, probabilities: bool) -> Segmentation:
    """Return the result as it is written, with its numbers, and probabilities if requested."""
    provenance = {**result.provenance, "measurements": measurements.to_dict()}
    return replace(result, provenance=provenance, probabilities=result.probabilities if probabilities else {})


def _tell(
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


@dataclass(frozen=True)
class Targets:
    """Output paths of a run, checked before any work is done."""

    mask: Path  # a file, or the folder of another layout
    masks: tuple[Path, ...]  # every file of the mask
    side: Path  # the JSON beside them
    folder: Path
    is_folder: bool  # whether the folder was named, and is made if it is not there
    picture: Path | None
    csv: Path | None
    layout: str  # "file", "lgg" or "bids"
    dicom: Path | None = None  # the DICOM segmentation, which may be the mask itself
    fractions: Path | None = None  # the one of probabilities


def _targets(
    scan: Scan, output: Path, layout: str, picture: Path | None, csv: Path | None
) -> tuple[Targets, list[Path]]:
    """Return the output paths, and every file that is written except those that depend on the model."""
    from napari_tumorseg.errors import OutputError
    from napari_tumorseg.io import side_file
    from napari_tumorseg.io.bids.writing import DerivativeFiles, check_bids
    from napari_tumorseg.io.formats import WRITTEN_ENDINGS, looks_like_file, written_format
    from napari_tumorseg.io.tiff_writing import lgg_masks

    is_folder = layout != "file" or written_format(output) is None
    if is_folder and not output.is_dir() and (output.is_file() or looks_like_file(output)):
        endings = ", ".join(WRITTEN_ENDINGS)
        raise OutputError(f"{output}: a mask is written as one of {endings}, or into a folder")
    if picture and picture.suffix.lower() not in _PICTURES:
        raise OutputError(f"{picture}: a picture is written as one of {', '.join(_PICTURES)}")
    mask = output / f"{scan.case}_seg.nii.gz" if is_folder and layout == "file" else output
    masks, side = [mask], side_file(mask)
    if layout == "lgg":
        masks, side = lgg_masks(output, scan.case, scan.grid), output / f"{scan.case}_mask.json"
    elif layout == "bids":
        found = DerivativeFiles.of(scan, output)
        check_bids(found, scan.case)
        masks, side = [found.labels], side_file(found.labels)
    folder = side.parent
    others = [path for path in (picture, csv) if path]
    return Targets(mask, tuple(masks), side, folder, is_folder, picture, csv, layout), [*masks, side, *others]


def _with_dicom(targets: Targets, scan: Scan, wanted: bool) -> Targets:
    """Add the DICOM segmentation, if it is wanted or what the mask is written as."""
    from napari_tumorseg.io.dicom.seg_writing import check_source
    from napari_tumorseg.io.formats import DICOM, written_format

    is_mask = targets.layout == "file" and written_format(targets.mask) is DICOM
    if not (wanted or is_mask):
        return targets
    if targets.layout == "bids":
        raise typer.BadParameter("--dicom-seg adds a file that a BIDS data set does not allow")
    path = targets.mask if is_mask else targets.folder / f"{scan.case}_seg.dcm"
    check_source(scan.grid, path)
    return replace(targets, dicom=path)


def _further_targets(
    targets: Targets, scan: Scan, convention: LabelConvention, outputs: Sequence[str]
) -> tuple[Targets, list[Path]]:
    """Add DICOM segmentations, and files that depend on the model: masks of regions, and probabilities."""
    from napari_tumorseg.io.bids.writing import DerivativeFiles

    if targets.layout != "bids":
        maps = [targets.folder / f"{scan.case}_prob_{name}.nii.gz" for name in outputs]
        fractions = targets.folder / f"{scan.case}_prob.dcm" if targets.dicom and outputs else None
        more = [path for path in (targets.dicom, fractions) if path and path != targets.mask]
        return replace(targets, fractions=fractions), [*maps, *more]
    found = DerivativeFiles.of(scan, targets.mask)
    known = (*targets.masks, targets.side)
    every = [path for path in found.all(convention, outputs) if path not in known]
    return replace(targets, masks=tuple(found.masks(convention))), every


def _check(targets: Targets, files: list[Path], inputs: list[Path], overwrite: bool) -> None:
    """Check before any work is done that every file can be written at the end, and is no input."""
    from napari_tumorseg.errors import OutputError
    from napari_tumorseg.io.side_files import check_no_inputs, check_replaceable

    double = next((p for n, p in enumerate(files) if p in files[:n]), None)
    if double:
        raise OutputError(f"{double} would be written twice; choose another name for one of the results")
    for path in files:
        if not targets.is_folder or targets.folder.exists() or path.parent != targets.folder:
            check_file(path, overwrite)
    for path in targets.masks:
        check_replaceable(path, targets.side)
    there = next(p for p in (targets.folder, *targets.folder.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OutputError(f"the folder {targets.folder} cannot be made; choose another one")
    check_no_inputs(files, inputs)


def run_with_progress(
    scan: Scan, model: Model, settings: Settings, quiet: bool, analysis: ScanAnalysis | None = None
) -> Segmentation:
    """Run a model with a progress bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from napari_tumorseg.inference import run

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(stderr=True), disable=quiet, transient=True) as bars:
        bar = bars.add_task(f"{scan.case}: {model.name}", total=None)
        steps = run(scan, model, settings, analysis)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: Segmentation = end.value
                return result
            # a note is shown where it matters, and as a warning in the end
            name = step.note or bars.tasks[bar].description
            bars.update(bar, completed=step.done, total=step.total, description=name)


def save(
    seg: Segmentation, scan: Scan, targets: Targets, measurements: Measurements, overwrite: bool
) -> list[Path]:
    """Write all requested files as one set and return their paths."""
    from napari_tumorseg.io.atomic import make_folder, write_text
    from napari_tumorseg.io.output_set import output_set
    from napari_tumorseg.report import overlay, to_csv

    make_folder(targets.folder)
    with output_set():
        written = _write_masks(seg, scan, targets, overwrite)
        if targets.picture:
            overlay(scan, seg, targets.picture, overwrite=overwrite)
            written.append(targets.picture)
        if targets.csv:
            write_text(targets.csv, to_csv(measurements), overwrite)
            written.append(targets.csv)
    return written


def _write_masks(seg: Segmentation, scan: Scan, targets: Targets, overwrite: bool) -> list[Path]:
    """Write the mask and its probabilities in the layout of the output."""
    from napari_tumorseg import io

    if targets.layout == "bids":
        return io.write_bids(seg, scan, targets.mask, overwrite=overwrite)
    write = io.write_lgg if targets.layout == "lgg" else io.write_mask
    written = write(seg, targets.mask, overwrite=overwrite)
    if targets.dicom and targets.dicom != targets.mask:
        written += io.write_dicom_seg(seg, targets.dicom, overwrite=overwrite)
    if targets.fractions:
        written += io.write_dicom_probabilities(seg, targets.fractions, overwrite=overwrite)
    return written + io.write_probabilities(seg, targets.folder, overwrite=overwrite)


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
