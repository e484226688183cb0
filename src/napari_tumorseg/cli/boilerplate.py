"""Paragraph for the methods of a paper, with versions and citations."""

from __future__ import annotations

import platform
from importlib.metadata import version

from napari_tumorseg._version import __version__
from napari_tumorseg.notice import RESEARCH_USE

_PACKAGES = ("torch", "numpy", "scipy", "nibabel")


def methods(model: str | None = None) -> str:
    """Return the paragraph and its references.

    Parameters
    ----------
    model : str, optional
        Name or path of the model; without one those that are chosen by the images are listed.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    from napari_tumorseg.models import get_model, list_models

    models = [get_model(model)] if model else [m for m in list_models() if m.origin == "built-in"]
    names = " or ".join(
        f"{m.name} (version {m.card.version}, SHA-256 {m.weights_sha256()[:12]})" for m in models
    )
    chosen = "" if model else ", whichever suited the sequences and the presence of the skull"
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    text = (
        f"Brain tumours were segmented with napari-tumorseg {__version__}, slice by slice with the model "
        f"{names}{chosen}. Masks lie on the voxel grid of the FLAIR image, or of the first of T1c, T2 and T1 "
        f"where there was none; post-processing was that of the model's card. Volumes are numbers of voxels "
        f"times voxel volume. The program ran on Python {platform.python_version()} with {packages}. "
        f"{RESEARCH_USE}"
    )
    return "\n\n".join([text, *(f"* {m.card.about.citation}" for m in models if m.card.about.citation)])
