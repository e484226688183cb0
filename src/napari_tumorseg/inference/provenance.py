"""Provenance of a segmentation: model, settings, inputs and versions that it was made with."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg._version import __version__
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.settings import Settings
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.store import Model
from napari_tumorseg.models.windows import Windows
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.post_settings import PostSettings
from napari_tumorseg.scan import Image, Scan


def provenance_of(
    scan: Scan,
    model: Model,
    settings: Settings,
    post: PostSettings,
    *,
    device: str,
    flip: bool,
    precision: tuple[str, str],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the provenance of a run, fit for JSON.

    Parameters
    ----------
    scan : Scan
        The scan that was segmented.
    model : Model
        The model.
    settings : Settings
        Settings of the run.
    post : PostSettings
        Post-processing, as it was done.
    device : str
        Device on which the run ended.
    flip : bool
        Whether it averaged with the flipped slice.
    precision : (str, str)
        Precision of the network's arithmetic, and why it was chosen.
    warnings : sequence of str
        Sentences for the user.
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "purpose": RESEARCH_USE,
        "model": _about_model(model),
        "settings": {
            **_about_settings(model.card, settings, post, device, flip),
            "precision": precision[0],
            "precision_reason": precision[1],
        },
        "inputs": _about_inputs(scan, model.card),
        **({"preparation": dict(scan.preparation)} if scan.preparation else {}),
        "warnings": list(warnings),
        "versions": _versions(model.card),
    }


def _about_model(model: Model) -> dict[str, Any]:
    card = model.card
    members = {"members": len(card.members)} if card.members else {}
    return {
        "name": card.name,
        "version": card.version,
        **members,
        "origin": model.origin,
        "sha256": model.weights_sha256(),
        "licence": card.about.licence,
    }


def _about_settings(
    card: ModelCard, settings: Settings, post: PostSettings, device: str, flip: bool
) -> dict[str, Any]:
    slices, output = settings.slices, card.output
    return {
        "device": device,
        "flip": flip,
        "threshold": (settings.threshold or output.threshold) if output.activation == "sigmoid" else None,
        "slices": None if slices is None else {"first": slices[0], "last": slices[-1]},
        **({"windows": _about_windows(card.input.windows, flip)} if card.input.windows else {}),
        "postprocessing": post.model_dump(),
    }


def _about_windows(windows: Windows, flip: bool) -> dict[str, Any]:
    """Return the windows of a volume and the number of copies, flipped and not, that were averaged."""
    return {
        **windows.model_dump(mode="json", include={"patch", "axes", "spacing", "overlap", "weights"}),
        "copies": 2 ** len(windows.flipped) if flip else 1,
    }


def _about_inputs(scan: Scan, card: ModelCard) -> list[dict[str, str]]:
    """Return name, role and hash of each input; names of files only, since paths can name patients."""
    entries = []
    for role, image in scan.roles.items():
        if role not in {*card.input.roles, *card.input.substitute.values()}:
            continue
        entry = {"role": str(role), "name": _name_of(image)}
        found = _file_sha256(image.source)
        if found is not None:
            entry["sha256"] = found
        else:
            entry["sha256_of_voxels"] = _voxels_sha256(image.data)
        if image.note:
            entry["note"] = image.note
        entries.append(entry)
    return entries


def _name_of(image: Image) -> str:
    """Return the name of an image's file, or its own where that is a folder or of a DICOM series.

    Those are often called by identifiers of the patient.
    """
    layout, source = image.grid.file_layout, image.source
    is_series = layout is not None and bool(layout.slice_files)
    return image.name if source is None or is_series or source.is_dir() else source.name


def _file_sha256(path: Path | None) -> str | None:
    """Return the SHA-256 of a file, or None if it is gone: the result is worth having without."""
    if path is None or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _voxels_sha256(data: Array) -> str:
    """Return the SHA-256 of an array in C order, slice by slice, so that a view is not copied as a whole."""
    found = hashlib.sha256()
    for plane in data:
        found.update(np.ascontiguousarray(plane).data)
    return found.hexdigest()


def _versions(card: ModelCard) -> Mapping[str, str]:
    import torch

    runs_onnx = card.network.architecture == "onnx"
    return {
        "napari-tumorseg": __version__,
        "torch": str(torch.__version__),
        **({"onnxruntime": metadata.version("onnxruntime")} if runs_onnx else {}),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
