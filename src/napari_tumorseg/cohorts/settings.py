"""Settings of a cohort, and the part of it that one process does."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from napari_tumorseg.errors import InputError
from napari_tumorseg.inference.settings import Settings
from napari_tumorseg.models.store import Model, get_model, list_models
from napari_tumorseg.scan import Role


@dataclass(frozen=True)
class CohortSettings:
    """Settings that are the same for all cases.

    Attributes
    ----------
    model : str or None
        Name or path of a model; None: for each case the one that suits its images.
    inference : Settings
        Settings of the runs.
    spacing : (Z, Y, X) or None
        Voxel size in mm of cases whose files store none; it is not applied to others.
    same_voxels : bool
        Take images of equal shape voxel for voxel, whatever their affines say.
    prepare : bool
        Whether brain extraction and registration are done where they are needed.
    bids : bool
        Write results as a BIDS derivative data set, with probabilities if the runs return them. Its tables
        are a matter of the group level: the table of the cohort is not written.
    page : bool
        Whether each case gets a thumbnail and the cohort a quality page; there is none of BIDS results.
    roles : mapping of str to Role
        Roles of images, by their name, that of their file, or a shell pattern of these: ``*_ax_7*``. The
        first that fits counts; cases without such an image are taken as they are.
    """

    model: str | None = None
    inference: Settings = field(default_factory=Settings)
    spacing: tuple[float, float, float] | None = None
    same_voxels: bool = False
    prepare: bool = True
    bids: bool = False
    page: bool = True
    roles: Mapping[str, Role] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what decides on results, fit for JSON: neither the device nor the size of batches does."""
        run = self.inference
        return {
            "flip": run.flip,
            "precision": run.precision,
            "threshold": run.threshold,
            "post": None if run.post is None else run.post.model_dump(),
            "spacing_mm": None if self.spacing is None else list(self.spacing),
            "same_voxels": self.same_voxels,
            "prepare": self.prepare,
            **({"roles": {name: str(role) for name, role in self.roles.items()}} if self.roles else {}),
            **({"bids": True, "probabilities": run.probabilities} if self.bids else {}),
        }

    def digest(self) -> str:
        """Return a SHA-256 of the settings and of the model, or of all models that may be chosen."""
        models = [get_model(self.model)] if self.model else list_models()
        return digest({"settings": self.to_dict(), "models": sorted(map(_identity, models))})


def _identity(model: Model) -> str:
    """Return a SHA-256 of a model's card, which names that of its weights."""
    return digest({"card": model.card.model_dump(mode="json"), "weights": model.weights_sha256()})


def digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON content."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Part(NamedTuple):
    """Share of the cases that one process does: every `total`-th, the `number`-th first.

    Attributes
    ----------
    number : int
        Of the part, from 1.
    total : int
        Number of parts.
    """

    number: int = 1
    total: int = 1

    @classmethod
    def parse(cls, text: str) -> Part:
        """Return the part that ``2/8`` names.

        Raises
        ------
        InputError
            If it is no part.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise InputError(f"{text!r} is no part; write for example 2/8, the second of eight")
        return cls(int(found[1]), int(found[2]))
