"""What the commands take: the type of each option and its help, for signatures of a line each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

_STEPS = "<steps>"
"""Stands for the list of post-processing steps in the help of an option."""


class CommandWithSteps(TyperCommand):
    """Command whose help lists the post-processing steps; they are imported only when it is shown."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # click's types, which typer may bundle
        """Write the options, with the steps in place of `_STEPS`."""
        from napari_tumorseg.post_settings import PostSettings

        steps = [f"{step.name}=N" if step.unit else step.name for step in PostSettings.steps()]
        options: list[Any] = [option for option in self.params if getattr(option, "help", None)]
        for option in options:
            option.help = option.help.replace(_STEPS, ", ".join(steps))
        super().format_options(ctx, formatter)


# ---------------------------------------------------------------- of several commands

CaseName = Annotated[
    str | None, typer.Option("--case", help="Which case, where a folder holds several.", show_default=False)
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Spacing = Annotated[
    str | None,
    typer.Option("--spacing", help="Voxel size Z,Y,X in mm, for files that do not tell theirs."),
]
SameVoxels = Annotated[bool, typer.Option("--same-voxels", help="Take files of equal shape voxel for voxel.")]
Flip = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip", help="Average with the flipped slice.", show_default="as the model says"
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", min=0.01, max=0.99, help="Probability from which a voxel counts."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write the result to the screen as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables.")]

# ---------------------------------------------------------------- segment

Paths = Annotated[
    list[Path],
    typer.Argument(help="One case: a case folder, or the files that are its channels.", show_default=False),
]
MaskOutput = Annotated[
    Path,
    typer.Option(
        "--output", "-o", help="A folder, which gets CASE_seg.nii.gz and CASE_seg.json, or a file name."
    ),
]
SomeModel = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="Name or path of a model; chosen by the images there are if left out."
    ),
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--roles",
        help="What an image is, as NAME=ROLE (t1, t1c, t2, flair, other), by the names that `info` shows; "
        "several by commas or by repeating the option.",
        show_default=False,
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference", help="Role or name of the image whose grid the mask is on.", show_default="flair"
    ),
]
Post = Annotated[
    list[str] | None,
    typer.Option(
        "--post",
        help=f"Post-processing steps on top of the model's own: {_STEPS}; `none` switches all off, "
        "STEP=off one.",
    ),
]
SliceRange = Annotated[
    str | None,
    typer.Option("--slices", help="Only slices FIRST:LAST of the model's plane, counted from 0."),
]
Picture = Annotated[
    Path | None, typer.Option("--picture", help="Also write an overlay picture (PNG) to this file.")
]
TableToo = Annotated[Path | None, typer.Option("--csv", help="Also write the table to this CSV file.")]
Lgg = Annotated[
    bool,
    typer.Option("--lgg", help="Write the mask slice by slice, X_N_mask.tif, into the folder OUTPUT."),
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="Also write CASE_prob_NAME.nii.gz for each output.")
]

# ---------------------------------------------------------------- measure

Mask = Annotated[Path, typer.Argument(help="A mask file.")]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels", help="Label convention of a mask: binary, brats-2015, -2021, -2023, -2024 or msd."
    ),
]
Against = Annotated[
    Path | None,
    typer.Option(
        "--against",
        help="Also tell how it agrees with this reference mask (a file, or a case with one mask).",
    ),
]
AgainstLabels = Annotated[
    str | None, typer.Option("--against-labels", help="Label convention of the reference.")
]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the table to this CSV file.")]
JsonOutput = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the measurements to this JSON file.")
]

# ---------------------------------------------------------------- evaluate

Model = Annotated[str, typer.Option("--model", "-m", help="Name or path of a model.", show_default=False)]
TestData = Annotated[
    list[Path],
    typer.Option(
        "--data", "-d", help="Folder of cases with reference masks; may be repeated.", show_default=False
    ),
]
EvaluationOutput = Annotated[
    Path,
    typer.Option(
        "--output", "-o", help="Folder, which gets cases.csv, slices.csv, summary.json and report.html."
    ),
]
CaseNames = Annotated[
    list[str] | None, typer.Option("--case", help="Only this case; may be repeated.", show_default=False)
]
Split = Annotated[
    Path | None,
    typer.Option("--split", help="Split of a training (RUN/split.json); only cases of its --part are taken."),
]
Part = Annotated[str, typer.Option("--part", help="Which part of the split: train, validation or test.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many cases.")]
ReferenceLabels = Annotated[
    str | None,
    typer.Option("--labels", help="Label convention of reference masks that do not tell theirs."),
]
Masks = Annotated[
    list[str] | None,
    typer.Option(
        "--masks",
        help="Which mask is the reference where a case has several: parts of names, the best first, by "
        "commas or by repeating the option.",
        show_default=False,
    ),
]
SliceChoice = Annotated[
    str,
    typer.Option(
        "--slices",
        help="Per-slice figures over all slices (and over those with tumour), or over those with tumour "
        "only: all or tumour.",
    ),
]
AtNetworkSize = Annotated[
    bool,
    typer.Option(
        "--at-network-size",
        help="Take per-slice figures at the network's own size, as papers do, without post-processing.",
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
    typer.Option("--post", help="Post-processing steps on top of the model's own, as `segment` takes them."),
]
NoPost = Annotated[bool, typer.Option("--no-post", help="No post-processing.")]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--run", help="Folder of the training, whose learning curves are shown.", show_default=False
    ),
]
MasksOut = Annotated[
    Path | None, typer.Option("--masks-out", help="Also write each mask that was found into this folder.")
]

# ---------------------------------------------------------------- train

Run = Annotated[Path, typer.Option("--output", "-o", help="New folder for all that comes of it.")]
RecipeName = Annotated[
    str | None,
    typer.Option("--recipe", help="Name or path of a recipe; `tumorseg recipes` lists them."),
]
TrainingData = Annotated[
    list[Path] | None, typer.Option("--data", help="Folder of cases with masks; may be given again.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the training in OUTPUT, as it began.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a field of the recipe: TABLE.FIELD=VALUE, such as fit.epochs=3."),
]
Fold = Annotated[
    str | None,
    typer.Option("--fold", help="Which of the recipe's folds is kept apart, from 0; `all` keeps none apart."),
]
LeaveOut = Annotated[
    list[str] | None,
    typer.Option("--leave-out", help="A patient or case to keep apart for testing; may be given again."),
]
StartFrom = Annotated[
    str | None,
    typer.Option("--start-from", help="Model whose weights it starts from, as far as they fit."),
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
    str | None, typer.Option("--name", help="What to call the model.", show_default="as the recipe")
]
Install = Annotated[
    bool, typer.Option("--install/--no-install", help="Put the model where the viewer finds it.")
]
NoCaseNames = Annotated[
    bool,
    typer.Option("--no-case-names", help="Leave the names of the training cases out of the model's card."),
]
Devices = Annotated[int, typer.Option("--devices", min=1, help="How many devices of a machine.")]
Nodes = Annotated[int, typer.Option("--nodes", min=1, help="How many machines.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare batches.")]
MaxSteps = Annotated[int, typer.Option("--max-steps", help="Stop after so many steps; -1: at the end.")]
