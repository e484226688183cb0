"""Import of a model file or folder into the folder of the user's models."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save

from napari_tumorseg.errors import ModelError, OutputError, Remedy, TumorSegError
from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.certificate import certify
from napari_tumorseg.importing.composing import compose, printable
from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.importing.kinds import Kind, kind_of
from napari_tumorseg.io.atomic import atomic_path, make_folder, write_text
from napari_tumorseg.io.output_set import output_set
from napari_tumorseg.models.assumed_card import name_from
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.messages import one_line
from napari_tumorseg.models.onnx.file import check_onnx
from napari_tumorseg.models.onnx.network import OnnxNetwork
from napari_tumorseg.models.origin import Origin
from napari_tumorseg.models.segmentation_network import SegmentationNetwork
from napari_tumorseg.models.store import Model, get_model, list_models, user_folder
from napari_tumorseg.models.weight_files import sha256
from napari_tumorseg.models.weights import first_member, network_of

Report = Callable[[str], None]

_ENDINGS = (".toml", ".safetensors", ".onnx")
"""Endings of the files that an import writes."""


def import_model(
    path: Path,
    *,
    name: str | None = None,
    answers: Answers | None = None,
    folder: Path | None = None,
    overwrite: bool = False,
    report: Report = lambda sentence: None,
) -> Model:
    """Import a model file or folder: write its weights as safetensors and a card.

    Nothing of the file is run. Where the original framework is installed, the network is compared with it.

    Parameters
    ----------
    path : Path
        File or folder of one of the known kinds.
    name : str, optional
        Name of the model; by default from that of the file.
    answers : Answers, optional
        Facts that the file does not state, or other ones than it states.
    folder : Path, optional
        Folder to write to; by default one of the user's models, where panel and command line find them.
    overwrite : bool
        Whether a model of that name may be replaced, or hidden if it is built in.
    report : callable
        Receives warnings, a sentence each.

    Returns
    -------
    Model
        The imported model.

    Raises
    ------
    OpenQuestionsError
        If the file leaves facts open that `answers` do not state.
    ModelError
        If the file cannot be imported.
    OutputError
        If there is a model of that name, the files would replace the imported one or cannot be written.
    """
    answers = answers or Answers()
    kind = kind_of(path)
    name = name or name_from(path)
    target = (folder or user_folder() / name) / name
    _check_free(path, name, target, folder, overwrite)
    with _damage(path):
        draft = kind.read(path, answers)
    origin = Origin(
        kind=kind.name, file=path.name, sha256=sha256(path) if path.is_file() else "", format=draft.format
    )
    card = _certified(kind, path, draft, compose(draft, answers, name, path, origin))
    _write(draft, card, target)
    for warning in draft.warnings:
        report(printable(warning))
    return get_model(target.parent / f"{name}.toml")


def _check_free(path: Path, name: str, target: Path, folder: Path | None, overwrite: bool) -> None:
    """Raise `OutputError` if a file of that name is there and may not be replaced, as the input never may."""
    there = [file for ending in _ENDINGS if (file := target.parent / f"{name}{ending}").exists()]
    if any(file.samefile(path) for file in there):
        raise OutputError(f"{path} would be replaced by its import", remedy=Remedy.RENAME_MODEL)
    known = {m.origin for m in list_models() if m.name == name} if folder is None else set()
    if (there or "user" in known) and not overwrite:
        raise OutputError(f"{target.parent} already holds a model named {name}", remedy=Remedy.RENAME_MODEL)
    if "built-in" in known and not overwrite:
        raise OutputError(f"there is a built-in model named {name}", remedy=Remedy.RENAME_MODEL)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn what values of a wrong type or size lead to, wherever they are used, into a sentence."""
    try:
        yield
    except TumorSegError:
        raise
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        raise ModelError(
            f"{path.name}: holds values that no such model has, so it was not imported ({one_line(error)})"
        ) from error


def _certified(kind: Kind, path: Path, draft: Draft, card: ModelCard) -> ModelCard:
    """Return the card with the comparison, where the original framework is installed.

    Raises
    ------
    ModelError
        If the weights do not fit the network, or it differs from the original.
    """
    try:
        net = _network(draft, card, path)
        with _damage(path):
            original = kind.original(path, draft)
            found = certify(net, card, original) if original else None
    except ModelError as error:
        if str(error).startswith(f"{path.name}: "):
            raise
        raise ModelError(f"{path.name}: {error}") from error
    if found is None or card.origin is None:
        return card
    return card.model_copy(update={"origin": card.origin.model_copy(update={"certificate": found})})


def _network(draft: Draft, card: ModelCard, path: Path) -> SegmentationNetwork:
    """Return the imported network; of an ensemble the first member."""
    if isinstance(draft.weights, bytes):
        return OnnxNetwork.of(check_onnx(draft.weights, path.name), card.network.arguments, path.name)
    weights = first_member(draft.weights) if card.members else dict(draft.weights)
    return network_of(weights, card.network.arguments, card.network.architecture)


def _write(draft: Draft, card: ModelCard, target: Path) -> None:
    """Write weights and card together."""
    content = draft.weights if isinstance(draft.weights, bytes) else _safetensors(draft)
    card = card.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    make_folder(target.parent)
    with output_set():
        with atomic_path(target.parent / f"{target.name}{draft.ending}", overwrite=True) as temporary:
            temporary.write_bytes(content)
        write_text(target.parent / f"{target.name}.toml", card.to_toml(), overwrite=True)


def _safetensors(draft: Draft) -> bytes:
    assert not isinstance(draft.weights, bytes)
    # copies, since safetensors refuses tensors that share memory
    tensors = {
        key: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for key, tensor in draft.weights.items()
    }
    return save(tensors, metadata={"format": "pt"})
