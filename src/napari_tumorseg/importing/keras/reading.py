"""Reading of a Keras file into a draft."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from napari_tumorseg.errors import InputError, ModelError
from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.importing.keras import hdf5_weights, zip_file
from napari_tumorseg.importing.keras.building import build
from napari_tumorseg.importing.keras.config import MAX_CONFIG, parse, table
from napari_tumorseg.importing.keras.hdf5_weights import LayerWeights
from napari_tumorseg.importing.keras.weights_only import draft_of_weights
from napari_tumorseg.io import hdf5_file
from napari_tumorseg.models.card import Network
from napari_tumorseg.models.weight_files import about

_HDF5 = (".h5", ".hdf5", ".keras")
_HDF5_SIGNATURE, _ZIP_SIGNATURE = b"\x89HDF\r\n\x1a\n", b"PK"


@dataclass(frozen=True, eq=False)
class KerasFile:
    """Content of a Keras file.

    Attributes
    ----------
    model : mapping or None
        Class and configuration of the model; None for weights only.
    weights : LayerWeights
        Weights of its layers, readable while the file is open.
    version : str
        Version of Keras that wrote it; empty where it is not stated.
    file : h5py.File
        The weights.
    """

    model: Mapping[str, Any] | None
    weights: LayerWeights
    version: str
    file: h5py.File

    @property
    def major(self) -> int:
        """First number of the version."""
        first = self.version.partition(".")[0]
        return int(first) if first.isascii() and first.isdigit() and len(first) < 4 else 2


def recognise(path: Path) -> bool:
    """Return whether a file has an ending and a signature that Keras writes."""
    if not path.is_file() or path.suffix.lower() not in _HDF5:
        return False
    with path.open("rb") as file:
        return file.read(8).startswith((_HDF5_SIGNATURE, _ZIP_SIGNATURE))


def read(path: Path, answers: Answers) -> Draft:
    """Return the draft of a whole model, or of weights alone.

    For the latter, the network is that of a JSON file beside it or of the system in `answers`.

    Raises
    ------
    OpenQuestionsError
        If the file holds weights only and the network is not known.
    ModelError
        If it holds code, unknown layers, links or damaged parts.
    """
    with about(path), opened(path) as content:
        model = content.model or _model_beside(path)
        if model is None:
            return draft_of_weights(path, content.file, answers)
        built = build(model, content.weights, content.major)
    size = {"size": {"canvas": built.size, "fit": "stretch"}} if built.size else {}
    return Draft(
        Network(architecture="graph", arguments=built.arguments),
        built.weights,
        input=size,
        output={"activation": built.activation} if built.activation else {},
        format=f"Keras {content.version}".strip(),
    )


def _model_beside(path: Path) -> Mapping[str, Any] | None:
    """Return the configuration in a JSON file of the same name, as `model.to_json` writes it."""
    beside = path.with_name(f"{path.name.removesuffix('.weights.h5').removesuffix('.h5')}.json")
    if not beside.is_file():
        return None
    if beside.stat().st_size > MAX_CONFIG:
        raise ModelError(f"{beside.name} has more than {MAX_CONFIG} bytes")
    return parse(beside.read_bytes())


@contextmanager
def opened(path: Path) -> Iterator[KerasFile]:
    """Open a Keras file.

    Raises
    ------
    ModelError
        If it is damaged or holds no model.
    """
    with path.open("rb") as file:
        zipped = file.read(2) == _ZIP_SIGNATURE
    try:
        with _opened_archive(path) if zipped else _opened_hdf5(path) as content:
            yield content
    except InputError as error:
        raise ModelError(str(error).removeprefix(f"{path} ")) from error
    except (OSError, RuntimeError, KeyError, TypeError, UnicodeError) as error:
        raise ModelError("it is damaged; copy or download it again") from error


@contextmanager
def _opened_archive(path: Path) -> Iterator[KerasFile]:
    with zip_file.opened(path) as archive:
        model = parse(archive.read("config.json", MAX_CONFIG))
        metadata = parse(archive.read("metadata.json", MAX_CONFIG))
        weights = archive.read("model.weights.h5")
    if hdf5_file.has_endless_heap(weights):
        raise ModelError("its weights are damaged; copy or download it again")
    with h5py.File(io.BytesIO(weights), "r") as file:
        version = str(metadata.get("keras_version", ""))[:20]
        yield KerasFile(model, hdf5_weights.weights_in(file), version, file)


@contextmanager
def _opened_hdf5(path: Path) -> Iterator[KerasFile]:
    with hdf5_file.opened(path) as file:
        text = hdf5_weights.text_in(file, "model_config")
        version = hdf5_weights.text_in(file, "keras_version")[:20]
        if not version and "model_weights" not in file and not hdf5_weights.has_names(file):
            version = "3"
        model = table(parse(text), "configuration") if text else None
        yield KerasFile(model, hdf5_weights.weights_in(file), version, file)
