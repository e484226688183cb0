"""``tumorseg evaluate``: a model over a data set, compared with the reference masks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console, show_warnings

if TYPE_CHECKING:
    from napari_tumorseg.evaluation import CaseScores, Evaluation, Failure, Plan, Split
    from napari_tumorseg.inference import PostSettings
    from napari_tumorseg.models import ModelCard
    from napari_tumorseg.report.learning import Learning

_PARTS = "train, validation or test"


def evaluate(
    model: Annotated[str, typer.Option("--model", "-m", help="Name or path of a model.", show_default=False)],
    data: Annotated[
        list[Path],
        typer.Option(
            "--data", "-d", help="Folder of cases with reference masks; may be repeated.", show_default=False
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder, which gets cases.csv, slices.csv, summary.json and report.html."
        ),
    ],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    case: Annotated[
        list[str] | None,
        typer.Option("--case", help="Only this case; may be repeated.", show_default=False),
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option(help="Split of a training (RUN/split.json); only cases of its --part are taken."),
    ] = None,
    part: Annotated[str, typer.Option(help=f"Which part of the split: {_PARTS}.")] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many cases.")] = None,
    labels: Annotated[
        str | None,
        typer.Option("--labels", help="Label scheme of reference masks that do not tell theirs."),
    ] = None,
    masks: Annotated[
        list[str] | None,
        typer.Option(
            help="Which mask is the reference where a case has several: parts of names, the best first, by "
            "commas or by repeating the option.",
            show_default=False,
        ),
    ] = None,
    same_voxels: Annotated[
        bool, typer.Option("--same-voxels", help="Take files of equal shape voxel for voxel.")
    ] = False,
    slices: Annotated[
        str,
        typer.Option(
            help="Per-slice figures over all slices (and over those with tumour), or over those with tumour "
            "only: all or tumour."
        ),
    ] = "all",
    at_network_size: Annotated[
        bool,
        typer.Option(
            "--at-network-size",
            help="Take per-slice figures at the network's own size, as papers do, without post-processing.",
        ),
    ] = False,
    lesions: Annotated[
        str, typer.Option(help="Rules of the lesion-wise scores, by task of BraTS 2023: GLI, MEN or MET.")
    ] = "GLI",
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip", help="Average with the flipped slice.", show_default="as the model says"
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0.01, max=0.99, help="Probability from which a voxel counts.")
    ] = None,
    post: Annotated[
        list[str] | None,
        typer.Option(help="Post-processing steps on top of the model's own, as `segment` takes them."),
    ] = None,
    no_post: Annotated[bool, typer.Option("--no-post", help="No post-processing.")] = False,
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of the training, whose learning curves are shown.", show_default=False),
    ] = None,
    masks_out: Annotated[
        Path | None,
        typer.Option("--masks-out", help="Also write each mask that was found into this folder."),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables.")] = False,
) -> None:
    """Evaluate a model: run it over every case of a data set and compare with the reference masks.

    Exits with 3 if a case could not be evaluated; the others are written all the same. Cases without a
    reference mask are left out, and are no failures unless there are no others. Stopped with Ctrl-C, it
    writes what is finished and exits with 130.
    """
    from napari_tumorseg.errors import CancelledError
    from napari_tumorseg.evaluation import EvaluationSettings, plan, read_split
    from napari_tumorseg.inference import Settings
    from napari_tumorseg.models import get_model
    from napari_tumorseg.report.evaluation_files import prepare_folder, write_evaluation

    _check_choices(slices, part, lesions)
    chosen = get_model(model)
    settings = EvaluationSettings(
        inference=Settings(
            device=device, flip=flip, threshold=threshold, post=_post(post, no_post, chosen.card)
        ),
        slices="tumour" if slices == "tumour" else "all",
        at_network_size=at_network_size,
        labels=labels,
        same_voxels=same_voxels,
        lesions=lesions,
    )
    used: Split | None = read_split(split) if split else None
    learning = _learning(run, chosen.weights)
    planned = plan(
        chosen,
        data,
        settings,
        cases=case or (),
        split=used,
        part=part,
        limit=limit,
        masks=[name for text in masks or () for name in text.split(",") if name],
    )
    prepare_folder(output, overwrite)
    if masks_out:
        _prepare_masks(planned, masks_out, overwrite)
    _tell_before(planned, part if split else "")
    found, error = _go_through(planned, masks_out, overwrite, quiet or as_json)
    if found.cases or found.failures:
        write_evaluation(found, output, learning, overwrite)
    if error is not None:
        raise error
    if found.stopped and not found.cases and not found.failures:
        raise CancelledError("cancelled before a case was finished; nothing was written")
    _show(found, output, as_json, quiet)
    _end(found, output)


def _check_choices(slices: str, part: str, lesions: str) -> None:
    from napari_tumorseg.evaluation.select import PARTS
    from napari_tumorseg.measure import LESION_RULES

    choices = (("--slices", slices, ("all", "tumour")), ("--part", part, PARTS))
    for option, value, known in (*choices, ("--lesions", lesions, tuple(LESION_RULES))):
        if value not in known:
            raise typer.BadParameter(f"{option} is one of {', '.join(known)}, not {value!r}")


def _post(texts: list[str] | None, none: bool, card: ModelCard) -> PostSettings:
    if none and texts:
        raise typer.BadParameter(
            "--no-post and --post contradict each other; `--post none,STEP` takes one step"
        )
    return options.parse_post(["none"] if none else texts, card)


def _learning(run: Path | None, weights: Path) -> Learning | None:
    """Return the learning curves; a log that was not asked for may be unreadable."""
    from napari_tumorseg.errors import InputError
    from napari_tumorseg.report.learning import find_log, read_log

    log = find_log(run, weights)
    try:
        return read_log(log) if log else None
    except InputError as error:
        if run is not None:
            raise
        show_warnings([f"{error}; no learning curves are shown"])
        return None


def _mask_path(folder: Path, name: str) -> Path:
    from napari_tumorseg.io.case import file_name

    return folder / f"{file_name(name)}_seg.nii.gz"


def _prepare_masks(planned: Plan, folder: Path, overwrite: bool) -> None:
    """Make the folder, and raise before any work is done if a mask could not be written."""
    from napari_tumorseg.errors import OutputError
    from napari_tumorseg.io import side_file
    from napari_tumorseg.io.atomic import check_target

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made: {error.strerror or error}") from error
    for case in planned.data.cases:
        mask = _mask_path(folder, case.name)
        for path in (mask, side_file(mask)):
            check_target(path, overwrite)


def _tell_before(planned: Plan, part: str) -> None:
    """Say what the figures cannot prove, before they are waited for."""
    total, known = len(planned.data.cases), planned.trained_on
    told = []
    if known:
        some = ", ".join(case.name for case in known[:3]) + (", ..." if len(known) > 3 else "")
        told.append(f"{len(known)} of {total} cases ({some}) were trained on: their scores prove nothing")
    if not planned.model.card.about.trained_on:
        told.append(
            f"the card of {planned.model.name} does not tell which cases it was trained on; some may be here"
        )
    if part == "validation":
        told.append("the validation part may have chosen the checkpoint: its scores flatter the model")
    show_warnings(told)


def _go_through(
    planned: Plan, masks_out: Path | None, overwrite: bool, quiet: bool
) -> tuple[Evaluation, Exception | None]:
    """Evaluate case by case and show how far it is; whatever stops it, what is finished is kept."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from napari_tumorseg.evaluation import Failure
    from napari_tumorseg.io import write_mask

    results: list[CaseScores | Failure] = []
    start, stopped = time.perf_counter(), ""
    failed: Exception | None = None
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    screen = console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=screen, disable=quiet, transient=True) as bars:
        cases = bars.add_task(planned.model.name, total=len(planned.data.cases))
        slices = bars.add_task("", total=None)
        try:
            for step in planned.run():
                bars.update(slices, description=step.name, completed=step.done, total=step.slices or None)
                if step.result is None:
                    continue
                if masks_out and step.segmentation is not None:
                    write_mask(step.segmentation, _mask_path(masks_out, step.name), overwrite=overwrite)
                results.append(step.result)
                bars.update(cases, completed=len(results))
                if isinstance(step.result, Failure):
                    show_warnings([f"{step.name} is left out: {step.result.error}"])
        except KeyboardInterrupt:
            stopped = f"cancelled after {len(results)} of {len(planned.data.cases)} cases"
        except Exception as error:  # raised again once what is finished is written
            stopped, failed = "an error ended the run", error
    return planned.conclude(results, time.perf_counter() - start, stopped), failed


def _show(found: Evaluation, output: Path, as_json: bool, quiet: bool) -> None:
    from napari_tumorseg.report.evaluation_files import FILES
    from napari_tumorseg.report.evaluation_tables import case_table, slice_table, summary_json, summary_tables

    if as_json:
        print(summary_json(found), end="")
    if as_json or quiet:
        return
    screen = console()
    if found.cases:
        for table in (case_table(found), *summary_tables(found), slice_table(found)):
            screen.print(table)
    screen.print(f"Model {found.model['name']}, licence {found.model['licence']}.", markup=False)
    screen.print(
        f"{len(found.cases)} of {found.planned} cases in {found.seconds:.0f} s, "
        f"{found.cases_per_minute:.1f} cases a minute."
    )
    for name in FILES:
        screen.print(f"wrote {output / name}", markup=False)


def _end(found: Evaluation, output: Path) -> None:
    """Exit with what has become of it."""
    from napari_tumorseg.errors import CancelledError, InputError

    if found.stopped:
        raise CancelledError(f"{found.stopped}; those finished are written to {output}")
    failed = found.failed if found.cases else found.failures
    if failed:
        names = ", ".join(failure.name for failure in failed[:3])
        more = ", ..." if len(failed) > 3 else ""
        raise InputError(
            f"{len(failed)} of {found.planned} cases could not be evaluated ({names}{more}); the "
            f"others are written to {output}"
        )
