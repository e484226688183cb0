"""Advice for errors and warnings in the words of the command line."""

from __future__ import annotations

from napari_tumorseg.errors import Remedy, TumorSegError, remedy_of

ADVICE = {
    Remedy.CHOOSE_CASE: "choose one with --case NAME",
    Remedy.CHOOSE_IMAGE: "give a file that holds a single image",
    Remedy.CHOOSE_REFERENCE: "choose one with --masks NAME",
    Remedy.STATE_LABELS: "state the convention with --labels NAME",
    Remedy.STATE_REFERENCE_LABELS: "state the convention with --against-labels NAME",
    Remedy.STATE_ROLES: "state the modalities with --roles NAME=ROLE",
    Remedy.STATE_SPACING: "state the voxel size in mm with --spacing Z,Y,X",
    Remedy.IGNORE_AFFINE: "if the voxels match, add --same-voxels",
    Remedy.IGNORE_PREPARATION: "to take the scan as it is, add --no-prepare",
    Remedy.CHOOSE_MODEL: "state the modalities with --roles NAME=ROLE, or choose another model with --model",
    Remedy.RESUME_TRAINING: "continue it with --resume, or choose a new folder",
    Remedy.RENAME_MODEL: "choose another --name",
    Remedy.CHANGE_START: "choose another model for --start-from, or another split",
    Remedy.CHANGE_DEVICES: "change --device, --devices or --nodes",
    Remedy.CHANGE_LEFT_OUT: "correct --leave-out",
    Remedy.CHANGE_SPLIT: "keep them with --set \"split.validation=['NAME']\", or a share of all with "
    "--set split.fractions=[0.8,0.2,0.0]",
    Remedy.ADD_CASES: "add patients with --data, or split its slices with --set split.by=slice "
    "--set split.fractions=[0.8,0.2,0.0]",
}


def worded(message: TumorSegError | str) -> str:
    """Return an error or a warning with the advice for its remedy."""
    remedy = remedy_of(message)
    return f"{message}; {ADVICE[remedy]}" if remedy else str(message)
