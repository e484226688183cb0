"""Folds of a model of nnU-Net v2: checkpoints that hold plain values and weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.json_file import check_inside
from napari_tumorseg.models.messages import quoted
from napari_tumorseg.models.weight_files import State, load_checkpoint

_FOLD = re.compile(r"fold_([0-9]{1,2}|all)")
_CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")


class Fold(NamedTuple):
    """A fold's weights and what its checkpoint says of them.

    Attributes
    ----------
    name : str
        Of its folder.
    weights : dict of Tensor
        Under the names of the checkpoint.
    configuration : str
        Configuration of the plans that was trained.
    mirror : list of int
        Axes along which the network may be mirrored.
    trainer : str
        Class of its trainer, by name only.
    """

    name: str
    weights: State
    configuration: str
    mirror: list[int]
    trainer: str


def fold_files(folder: Path) -> list[Path]:
    """Return the checkpoint of each fold, the final one before the best.

    Where there are folds by number, ``fold_all`` is left out.
    """
    found = []
    for place in sorted(path for path in folder.iterdir() if _FOLD.fullmatch(path.name)):
        files = [place / name for name in _CHECKPOINTS if (place / name).is_file()]
        found += files[:1]
    numbered = [path for path in found if path.parent.name != "fold_all"]
    return numbered or found


def read_fold(path: Path, root: Path) -> Fold:
    """Return a fold; nothing in its checkpoint is run.

    Raises
    ------
    ModelError
        If it is no checkpoint of nnU-Net v2.
    """
    check_inside(path, root)
    weights, rest = load_checkpoint(path, "network_weights")
    given = rest.get("init_args")
    configuration = given.get("configuration") if isinstance(given, dict) else None
    if not isinstance(configuration, str):
        raise ModelError(f"{path} does not say which configuration it holds")
    return Fold(
        path.parent.name, weights, configuration, _axes(rest, path), str(rest.get("trainer_name"))[:80]
    )


def _axes(rest: Any, path: Path) -> list[int]:
    axes = rest.get("inference_allowed_mirroring_axes") or ()
    if not isinstance(axes, list | tuple) or any(type(axis) is not int or not 0 <= axis < 3 for axis in axes):
        raise ModelError(f"{path}: {quoted(axes)} are no axes of an image")
    return sorted(set(axes))
