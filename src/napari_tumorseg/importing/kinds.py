"""Kinds of model files that can be imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing import bioimageio, keras, monai_bundle, nnunet, onnx, torch_layouts
from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.draft import Draft

Run: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Runs the original on (batch, channels, *space) inputs, to outputs of the same layout."""


class Original(NamedTuple):
    """A model in its own framework.

    Attributes
    ----------
    framework : str
        Name and version.
    run : callable
        Takes inputs to outputs.
    probabilities : bool
        Whether these outputs are probabilities rather than logits.
    inputs : array or None
        The only inputs that it can be run on; None for any.
    """

    framework: str
    run: Run
    probabilities: bool
    inputs: NDArray[np.float32] | None = None


class Kind(NamedTuple):
    """A kind of model file.

    Attributes
    ----------
    name, title : str
        Name in cards, and for people.
    recognise : callable
        Return whether a file or folder is of this kind, by its name and first bytes; nothing of it is run.
    read : callable
        Return the draft of a file or folder.
    original : callable
        Return the model in its own framework, made without running anything of the file; None where that is
        not installed.
    """

    name: str
    title: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path, Answers], Draft]
    original: Callable[[Path, Draft], Original | None]


KINDS: tuple[Kind, ...] = (
    Kind(
        "pytorch",
        "PyTorch state dict",
        torch_layouts.recognise,
        torch_layouts.read,
        torch_layouts.original,
    ),
    Kind("keras", "Keras model", keras.recognise, keras.read, keras.original),
    Kind("monai", "MONAI bundle", monai_bundle.recognise, monai_bundle.read, monai_bundle.original),
    Kind("nnunet", "nnU-Net v2 folder", nnunet.recognise, nnunet.read, nnunet.original),
    Kind("bioimageio", "BioImage.IO package", bioimageio.recognise, bioimageio.read, bioimageio.original),
    Kind("onnx", "ONNX file", onnx.recognise, onnx.read, onnx.original),
)
"""Kinds in the order in which they are tried."""


def kind_of(path: Path) -> Kind:
    """Return the kind of a model file or folder.

    Raises
    ------
    ModelError
        If there is no such file, or it is of no known kind.
    """
    if not path.exists():
        raise ModelError(f"there is no file or folder {path}")
    found = next((kind for kind in KINDS if kind.recognise(path)), None)
    if found is None:
        known = ", ".join(kind.title for kind in KINDS)
        raise ModelError(f"{path} is of no kind that can be imported; known are: {known}")
    return found
