"""``tumorseg segment``: the main job."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console, show_json, show_warnings

if TYPE_CHECKING:
    from napari_tumorseg.inference import Settings
    from napari_tumorseg.measure import Measurements
    from napari_tumorseg.models import Model
    from napari_tumorseg.scan import Scan, Segmentation

_ENDINGS = (".nii", ".nii.gz", ".tif", ".tiff", ".h5", ".hdf5")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_OTHER_ENDINGS = (
    *_PICTURES,
    ".bmp",
    ".gz",
    ".mha",
    ".mhd",
    ".nrrd",
    ".img",
    ".hdr",
    ".npy",
    ".npz",
    ".dcm",
    ".mat",
    ".mgz",
)
"""What looks like a file name, though no mask is written so; any other name is a folder's."""


def segment(
    paths: options.Paths,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="A folder, which gets CASE_seg.nii.gz and CASE_seg.json, or a file name."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Name or path of a model; chosen by the images there are if left out."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    case: options.CaseName = None,
    roles: options.Roles = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Role or name of the image whose grid the mask is on.", show_default="flair"),
    ] = None,
    same_voxels: Annotated[
        bool, typer.Option("--same-voxels", help="Take images of equal shape voxel for voxel.")
    ] = False,
    spacing: options.Spacing = None,
    post: Annotated[
        list[str] | None,
        typer.Option(
            help="Post-processing steps on top of the model's own: min_component_mm3=N, fill_holes, "
            "closing_mm=N, opening_mm=N, largest_only, inside_brain, certain_voxels=N; `none` switches all "
            "off, STEP=off one."
        ),
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip", help="Average with the flipped slice.", show_default="as the model says"
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0.01, max=0.99, help="Probability from which a voxel counts.")
    ] = None,
    slices: Annotated[
        str | None, typer.Option(help="Only slices FIRST:LAST of the model's plane, counted from 0.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Also write an overlay picture (PNG) to this file.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the table to this CSV file.")] = None,
    lgg: Annotated[
        bool,
        typer.Option("--lgg", help="Write the mask slice by slice, X_N_mask.tif, into the folder OUTPUT."),
    ] = False,
    probabilities: Annotated[
        bool,
        typer.Option("--probabilities", help="Also write CASE_prob_NAME.nii.gz for each output."),
    ] = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
) -> None:
    """Segment a case: write the mask on the scan's own grid and tell the volumes."""
    from napari_tumorseg.inference import Settings, choose_model, find
    from napari_tumorseg.inference import warnings as check
    from napari_tumorseg.inference.findings import as_dict, in_words
    from napari_tumorseg.io import open_case
    from napari_tumorseg.measure import measure
    from napari_tumorseg.models import get_model

    if case is not None and len(paths) > 1:
        raise typer.BadParameter("--case names one case of a folder; several paths are the files of one case")
    found = open_case(paths, case)
    named = options.named_roles(options.parse_roles(roles), found)
    scan = (found.with_roles(named) if named else found).scan(reference, same_voxels)
    size = options.parse_spacing(spacing)
    scan = scan.with_spacing(size) if size else scan
    targets, files = _targets(scan, output, lgg, picture, csv)
    chosen = get_model(model) if model else choose_model(scan)
    if probabilities:
        files += [targets.folder / f"{scan.case}_prob_{n}.nii.gz" for n in chosen.card.output.names]
    _check(targets, files, overwrite)
    settings = Settings(
        device=device,
        flip=flip,
        threshold=threshold,
        post=options.parse_post(post, chosen.card),
        slices=options.parse_slices(slices),
        probabilities=True,  # few bytes a voxel: they tell how sure the model is
    )
    said = [*scan.warnings, *check(scan, chosen.card)]
    show_warnings(said)
    result = run_with_progress(scan, chosen, settings, quiet or as_json)
    show_warnings(w for w in result.provenance["warnings"] if w not in said)
    measurements = measure(result)
    findings = find(result.labels, result.probabilities, result.probability_box or (), chosen.card.output)
    kept = result.probabilities if probabilities else {}
    result = replace(
        result,
        provenance={**result.provenance, "measurements": measurements.to_dict()},
        probabilities=kept,
    )
    written = save(result, scan, targets, measurements, overwrite)
    if as_json:
        told = {"files": [str(p) for p in written], "model": chosen.name, "findings": as_dict(findings)}
        show_json({**told, **measurements.to_dict()})
    elif not quiet:
        show(measurements, chosen, written, in_words(findings))


@dataclass(frozen=True)
class Targets:
    """Where the results of a run go; checked before any work is done."""

    mask: Path  # a file, or a folder for slices in the LGG layout
    folder: Path
    is_folder: bool  # whether the folder was named, and is made if it is not there
    picture: Path | None
    csv: Path | None
    lgg: bool


def _targets(
    scan: Scan, output: Path, lgg: bool, picture: Path | None, csv: Path | None
) -> tuple[Targets, list[Path]]:
    """Return where results go, and every file that will be written beside probabilities."""
    from napari_tumorseg.errors import OutputError
    from napari_tumorseg.io import side_file
    from napari_tumorseg.io.tiff import lgg_masks

    is_folder = lgg or not output.name.lower().endswith(_ENDINGS)
    if is_folder and not output.is_dir() and (output.is_file() or output.suffix.lower() in _OTHER_ENDINGS):
        raise OutputError(f"{output}: a mask is written as one of {', '.join(_ENDINGS)}, or into a folder")
    if picture and picture.suffix.lower() not in _PICTURES:
        raise OutputError(f"{picture}: a picture is written as one of {', '.join(_PICTURES)}")
    folder = output if is_folder else output.parent
    mask = output / f"{scan.case}_seg.nii.gz" if is_folder and not lgg else output
    masks = lgg_masks(output, scan.case, scan.grid) if lgg else [mask, side_file(mask)]
    return Targets(mask, folder, is_folder, picture, csv, lgg), [*masks, *(p for p in (picture, csv) if p)]


def _check(targets: Targets, files: list[Path], overwrite: bool) -> None:
    """Raise before any work is done if something could not be written in the end."""
    from napari_tumorseg.errors import OutputError
    from napari_tumorseg.io.atomic import check_target

    double = next((p for n, p in enumerate(files) if p in files[:n]), None)
    if double:
        raise OutputError(f"{double} would be written twice; choose another name for one of the results")
    for path in files:
        if not targets.is_folder or targets.folder.exists() or path.parent != targets.folder:
            check_target(path, overwrite)
    there = next(p for p in (targets.folder, *targets.folder.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OutputError(f"the folder {targets.folder} cannot be made; choose another one")


def run_with_progress(scan: Scan, model: Model, settings: Settings, quiet: bool) -> Segmentation:
    """Run a model and show the slices go by."""
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
        steps = run(scan, model, settings)
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
    """Write all that was asked for and return the files."""
    from napari_tumorseg.errors import OutputError
    from napari_tumorseg.io import write_lgg, write_mask, write_probabilities
    from napari_tumorseg.io.atomic import write_text
    from napari_tumorseg.report import overlay, to_csv

    try:
        targets.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {targets.folder} cannot be made: {error.strerror}") from error
    write = write_lgg if targets.lgg else write_mask
    written = write(seg, targets.mask, overwrite=overwrite)
    written += write_probabilities(seg, targets.folder, overwrite=overwrite)
    if targets.picture:
        overlay(scan, seg, targets.picture, overwrite=overwrite)
        written.append(targets.picture)
    if targets.csv:
        write_text(targets.csv, to_csv(measurements), overwrite)
        written.append(targets.csv)
    return written


def show(measurements: Measurements, model: Model, written: list[Path], sure: str = "") -> None:
    """Print the table, what was found, how sure the model is of it, and where it went."""
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
