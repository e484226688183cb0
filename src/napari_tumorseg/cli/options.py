"""Types and help texts of the options of all commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from napari_tumorseg.cli.parse import parse_threshold

_STEPS = "<steps>"
"""Stands for the list of post-processing steps in the help of an option."""


def with_steps(text: str) -> str:
    """Return a help text with the list of post-processing steps in its place."""
    if _STEPS not in text:
        return text
    from napari_tumorseg.post_settings import PostSettings

    steps = [f"{step.name}=N" if step.unit else step.name for step in PostSettings.steps()]
    return text.replace(_STEPS, ", ".join(steps))


class CommandWithSteps(TyperCommand):
    """Command whose help lists the post-processing steps; they are imported only when it is shown."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # click's types, which typer may bundle
        """Write the options, with the steps in place of `_STEPS`."""
        options: list[Any] = [option for option in self.params if getattr(option, "help", None)]
        for option in options:
            option.help = with_steps(option.help)
        super().format_options(ctx, formatter)


# ---------------------------------------------------------------- of several commands

CaseName = Annotated[
    str | None,
    typer.Option("--case", help="Name of the case to open, if a folder holds several.", show_default=False),
]
Device = Annotated[str, typer.Option("--device", help="Device: auto, cpu, cuda or mps.")]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="Arithmetic of the network: auto, float32, bfloat16 or int8. auto is float32, or bfloat16 where "
        "the model's card shows that masks stay as good and it is measured to be faster on this machine; "
        "int8 needs the extra `fast`.",
    ),
]
Spacing = Annotated[
    str | None,
    typer.Option("--spacing", help="Voxel size Z,Y,X in mm, for files that do not store one."),
]
SameVoxels = Annotated[
    bool,
    typer.Option(
        "--same-voxels", help="Match images of equal shape voxel for voxel, ignoring their affines."
    ),
]
NoPrepare = Annotated[
    bool,
    typer.Option(
        "--no-prepare",
        help="Neither find the brain nor register the sequences; take the scan as it is.",
    ),
]
Flip = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip",
        help="Average the result with that of the mirrored slice.",
        show_default="as the model says",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        parser=parse_threshold,
        metavar="<float>",
        help="Lowest probability of a voxel that counts as tumour, 0.01 to 0.99.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print neither progress nor tables.")]

# ---------------------------------------------------------------- segment

Paths = Annotated[
    list[Path],
    typer.Argument(help="A case folder, or the image files of one case.", show_default=False),
]
MaskOutput = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="Folder for CASE_seg.nii.gz and CASE_seg.json, or a file name for the mask (.dcm for a scan "
        "that was read from DICOM).",
    ),
]
SomeModel = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Name or path of a model; by default the one that suits the images."),
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--roles",
        help="Role of an image as NAME=ROLE, names as in `info`, the roles being t1, t1c, t2, flair "
        "and other; separate several by commas or repeat the option.",
        show_default=False,
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        help="Role or name of the image whose grid the mask has.",
        show_default="flair",
    ),
]
Post = Annotated[
    list[str] | None,
    typer.Option(
        "--post",
        help=f"Post-processing steps that replace the model's own: {_STEPS}; `none` switches all off, "
        "STEP=off one of them.",
    ),
]
SliceRange = Annotated[
    str | None,
    typer.Option("--slices", help="Segment only the slices FIRST:LAST of the model's plane, counted from 0."),
]
Picture = Annotated[
    Path | None, typer.Option("--picture", help="Also write an overlay picture (PNG) to this file.")
]
TableToo = Annotated[Path | None, typer.Option("--csv", help="Also write the table to this CSV file.")]
Lgg = Annotated[
    bool,
    typer.Option("--lgg", help="Write the mask slice by slice, X_N_mask.tif, into the folder OUTPUT."),
]
Bids = Annotated[
    bool,
    typer.Option(
        "--bids",
        help="Write a BIDS derivative data set into the folder OUTPUT: labels, a mask of each region, and "
        "with --probabilities a map of each output. Several cases may go into one data set.",
    ),
]
DicomSeg = Annotated[
    bool,
    typer.Option(
        "--dicom-seg",
        help="Also write the mask as a DICOM segmentation, CASE_seg.dcm, of a scan that was read from DICOM. "
        "It holds the name and identifiers of the patient. With --probabilities, CASE_prob.dcm, too.",
    ),
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="Also write CASE_prob_NAME.nii.gz for each output.")
]

LabelsOut = Annotated[
    str | None,
    typer.Option(
        "--labels-out", help="Write the mask in this label convention, such as brats-2021, or a TOML file."
    ),
]

# ---------------------------------------------------------------- cohort

CohortData = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Files and folders of cases, in any layout; with --collect, output folders of parts.",
        show_default=False,
    ),
]
CohortOutput = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="Folder for masks, records and tables, outside of the data.",
        show_default=False,
    ),
]
CohortRoles = Annotated[
    list[str] | None,
    typer.Option(
        "--roles",
        help="Role of images as NAME=ROLE in all cases that have such images; NAME may be a shell pattern, "
        "such as '*_ax_7*=flair', the roles being t1, t1c, t2, flair and other. Separate several by commas, "
        "or repeat the option.",
        show_default=False,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        help="Processes that share the cases and the threads.",
        show_default="1; with --dask local as many as cores",
    ),
]
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS|local",
        help="Have Dask workers do the cases: of the scheduler at this address, such as tcp://HOST:8786, or "
        "`local` ones. Needs the extra `cluster`.",
        show_default=False,
    ),
]
CohortPart = Annotated[
    str | None,
    typer.Option("--part", help="Do only this part of the cases, such as 2/8, the second of eight."),
]
Collect = Annotated[
    bool, typer.Option("--collect", help="Put parts together: write their table and page to OUTPUT.")
]
NoPage = Annotated[
    bool, typer.Option("--no-page", help="Draw no thumbnails and write no quality page, cohort_quality.html.")
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Run cases again that failed and have not changed.")
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="List the cases, what would be done with each, and what refused."),
]

# ---------------------------------------------------------------- measure

Mask = Annotated[Path, typer.Argument(help="Mask file.")]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels", help="Label convention of the mask, such as brats-2021, or a TOML file of your own."
    ),
]
Against = Annotated[
    Path | None,
    typer.Option(
        "--against",
        help="Reference mask to compare with (a file, or a case with one mask).",
    ),
]
RanoOutline = Annotated[
    str,
    typer.Option(
        "--rano-outline",
        help="Outline of enhancing lesions for bidimensional diameters: enhancing-only, or with-necrosis "
        "(with the necrosis that the enhancement encloses on the slice).",
    ),
]
AgainstLabels = Annotated[
    str | None, typer.Option("--against-labels", help="Label convention of the reference.")
]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the table to this CSV file.")]
JsonOutput = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the measurements to this JSON file.")
]

# ---------------------------------------------------------------- refine

Clicks = Annotated[
    Path,
    typer.Option("--clicks", help="JSON file of clicks, strokes and boxes.", show_default=False),
]
RefinedOutput = Annotated[
    Path, typer.Option("--output", "-o", help="File for the corrected mask.", show_default=False)
]
ScanOfMask = Annotated[
    list[Path] | None,
    typer.Option(
        "--scan",
        help="Case folder or image files of the scan; repeat the option for several files. By default "
        "the folder of the mask.",
        show_default=False,
    ),
]
ModelOfClicks = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Name or path of a model that is run for its probabilities, or none to judge by the images "
        "alone.",
        show_default="the one that made the mask",
    ),
]

# ---------------------------------------------------------------- evaluate

Model = Annotated[str, typer.Option("--model", "-m", help="Name or path of a model.", show_default=False)]
TestData = Annotated[
    list[Path],
    typer.Option(
        "--data", "-d", help="Folder of cases with reference masks; repeat for several.", show_default=False
    ),
]
EvaluationOutput = Annotated[
    Path,
    typer.Option("--output", "-o", help="Folder for cases.csv, slices.csv, summary.json and report.html."),
]
CaseNames = Annotated[
    list[str] | None,
    typer.Option("--case", help="Evaluate only this case; repeat for several.", show_default=False),
]
Split = Annotated[
    Path | None,
    typer.Option(
        "--split", help="Split of a training (RUN/split.json); only the cases of --part are evaluated."
    ),
]
Part = Annotated[str, typer.Option("--part", help="Part of the split: train, validation or test.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Largest number of cases.")]
ReferenceLabels = Annotated[
    str | None,
    typer.Option("--labels", help="Label convention of reference masks that do not name their own."),
]
Masks = Annotated[
    list[str] | None,
    typer.Option(
        "--masks",
        help="Name, or part of the name, of the reference mask if a case has several; best first, "
        "separated by commas.",
        show_default=False,
    ),
]
SliceChoice = Annotated[
    str,
    typer.Option(
        "--slices",
        help="Slices for the per-slice figures: all, or tumour for those with tumour only.",
    ),
]
AtNetworkSize = Annotated[
    bool,
    typer.Option(
        "--at-network-size",
        help="Compute per-slice figures at the network's size, without post-processing, as papers do.",
    ),
]
UnseenMembers = Annotated[
    bool,
    typer.Option(
        "--unseen-members",
        help="Run each case with those members of an ensemble only that were not trained on its patient.",
    ),
]
LesionRules = Annotated[
    str,
    typer.Option(
        "--lesions", help="Rules of the lesion-wise scores, by task of BraTS 2023: GLI, MEN or MET."
    ),
]
PostToo = Annotated[
    list[str] | None,
    typer.Option("--post", help="Post-processing steps that replace the model's own, as in `segment`."),
]
NoPost = Annotated[bool, typer.Option("--no-post", help="Switch all post-processing off.")]
RunFolder = Annotated[
    Path | None,
    typer.Option("--run", help="Folder of the training whose learning curves are shown.", show_default=False),
]
MasksOut = Annotated[
    Path | None, typer.Option("--masks-out", help="Also write the predicted masks to this folder.")
]

# ---------------------------------------------------------------- train

Run = Annotated[
    Path, typer.Option("--output", "-o", help="New folder for everything that the training writes.")
]
RecipeName = Annotated[
    str | None,
    typer.Option("--recipe", help="Name or path of a recipe; `tumorseg recipes` lists them."),
]
TrainingData = Annotated[
    list[Path] | None, typer.Option("--data", help="Folder of cases with masks; repeat for several.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue the training in OUTPUT with its own settings.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a field of the recipe: TABLE.FIELD=VALUE, such as fit.epochs=3."),
]
Fold = Annotated[
    str | None,
    typer.Option("--fold", help="Fold that is kept apart for testing, from 0; `all` keeps none apart."),
]
LeaveOut = Annotated[
    list[str] | None,
    typer.Option("--leave-out", help="Patient or case to keep apart for testing; repeat for several."),
]
Groups = Annotated[
    Path | None,
    typer.Option(
        "--groups",
        help="CSV with the columns case and group: cases of a group, such as near duplicates, stay on one "
        "side of the split.",
        exists=True,
        dir_okay=False,
    ),
]
StartFrom = Annotated[
    str | None,
    typer.Option("--start-from", help="Model whose weights the training starts from, as far as they fit."),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Folder for prepared slices, shared by trainings.",
        show_default="OUTPUT/cache",
    ),
]
ModelName = Annotated[
    str | None, typer.Option("--name", help="Name of the model.", show_default="as the recipe")
]
Install = Annotated[bool, typer.Option("--install/--no-install", help="Add the model to the list of models.")]
NoCaseNames = Annotated[
    bool,
    typer.Option("--no-case-names", help="Leave the names of the training cases out of the model's card."),
]
TuneData = Annotated[
    list[Path] | None,
    typer.Option(
        "--data", help="Folder of cases with corrected masks; repeat for several.", show_default=False
    ),
]
TuneWorklist = Annotated[
    Path | None,
    typer.Option(
        "--worklist",
        help="Folder of the masks of a worklist: the cases that are corrected or done there are taken. Their "
        "scans are in --data, or in the folder beside it that is called the same without _masks.",
        show_default=False,
    ),
]
TuneName = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="Name of the new model.",
        show_default="a model of yours keeps its own, with a new version; a built-in one becomes NAME-tuned",
    ),
]
TuneRun = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Folder for everything that is written; an interrupted fine-tuning in it is continued.",
        show_default="a new one beside your models",
    ),
]
TuneRoles = Annotated[
    str | None,
    typer.Option(
        "--roles",
        help="Modalities of the new model, separated by commas: the parent's and more, such as flair,t1c.",
        show_default="those of the parent",
    ),
]
TuneScope = Annotated[
    str | None,
    typer.Option(
        "--normalise",
        help="Voxels that intensities are normalised by: slice or volume. A parent made for single pictures "
        "does better on volumes with volume.",
        show_default="as the parent",
    ),
]
Rehearsal = Annotated[
    list[Path] | None,
    typer.Option(
        "--rehearse",
        help="Folder of cases with masks of the kind that the parent was trained on: they are trained on, "
        "too, and the new model is refused if it forgets them.",
        show_default=False,
    ),
]
TuneSteps = Annotated[int, typer.Option("--steps", min=1, help="Training steps of each network.")]
TuneMembers = Annotated[
    int,
    typer.Option(
        "--members",
        min=1,
        max=8,
        help="Networks of the new model, which are averaged; at least as many as the parent has.",
    ),
]
TuneThreads = Annotated[int, typer.Option("--threads", min=1, help="Threads to compute with.")]
Background = Annotated[
    bool, typer.Option("--background", help="Start it as a process of its own at a low priority, and return.")
]
Devices = Annotated[int, typer.Option("--devices", min=1, help="Number of devices on each machine.")]
Nodes = Annotated[int, typer.Option("--nodes", min=1, help="Number of machines.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare batches.")]
MaxSteps = Annotated[
    int, typer.Option("--max-steps", help="Stop after this many steps; -1 trains to the end.")
]
