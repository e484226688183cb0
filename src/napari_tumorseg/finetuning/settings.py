"""Settings of a fine-tuning, kept in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.atomic import make_folder, write_text
from napari_tumorseg.models.store import Model
from napari_tumorseg.scan import Role
from napari_tumorseg.toml_table import TomlTable, first_problem

FILE = "finetune.json"
"""File of the settings; a folder without it holds no fine-tuning."""


class Source(TomlTable):
    """Cases, and where their corrected masks are.

    Attributes
    ----------
    cases : Path
        Folder or file of cases, of any layout.
    masks : Path or None
        Folder of a worklist's masks: the cases corrected or done there are taken. None: the masks lie with
        the cases, and all of them are taken.
    """

    cases: Path
    masks: Path | None = None


class Settings(TomlTable):
    """Settings of a fine-tuning.

    Attributes
    ----------
    parent : str
        Name or path of the model to start from.
    data : tuple of Source
        Corrected cases.
    name : str
        Name of the new model; a model of that name must be the parent.
    roles : tuple of Role
        Modalities of the new model, the parent's among them; the parent's own if empty.
    scope : {"slice", "volume"} or None
        Voxels that intensities are normalised by; those of the parent's card if None.
    rehearsal : tuple of Path
        Folders of cases with masks of the kind the parent was trained on, which it should not forget.
    labels : str or None
        Label convention of masks without a known one.
    steps : int
        Training steps of each network.
    members : int
        Networks of the new model, each trained without another part of the patients; at least as many as the
        parent has.
    seed : int
        Random seed.
    threads : int
        Threads of the process.
    nice : int
        Niceness of a process in the background.
    """

    parent: str = Field(min_length=1)
    data: tuple[Source, ...] = Field(min_length=1)
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    roles: tuple[Role, ...] = ()
    scope: Literal["slice", "volume"] | None = None
    rehearsal: tuple[Path, ...] = ()
    labels: str | None = None
    steps: int = Field(240, ge=1)
    members: int = Field(1, ge=1, le=8)
    seed: int = Field(0, ge=0)
    threads: int = Field(2, ge=1)
    nice: int = Field(10, ge=0, le=19)

    def write(self, run: Path) -> None:
        """Write the settings into a folder, which is made.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        make_folder(run)
        write_text(run / FILE, self.model_dump_json(indent=2), overwrite=True)


def read_settings(run: Path) -> Settings:
    """Return the settings in the folder of a fine-tuning.

    Raises
    ------
    InputError
        If it holds none.
    """
    try:
        return Settings.model_validate(json.loads((run / FILE).read_text(encoding="utf-8")))
    except ValidationError as error:
        raise InputError(f"{run / FILE}: {first_problem(error)}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{run} holds no fine-tuning ({error})") from error


def checked(**values: Any) -> Settings:
    """Return settings.

    Raises
    ------
    InputError
        If one is wrong; the message names it.
    """
    try:
        return Settings(**values)
    except ValidationError as error:
        raise InputError(first_problem(error)) from error


def default_name(parent: Model) -> str:
    """Return the name of a model tuned from another: its own, or for a built-in one a name beside it."""
    return parent.name if parent.origin == "user" else f"{parent.name}-tuned"
