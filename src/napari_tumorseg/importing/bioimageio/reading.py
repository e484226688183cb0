"""Reading of a BioImage.IO package into a draft."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing import torch_layouts
from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.bioimageio import processing
from napari_tumorseg.importing.bioimageio.description import Description, Tensor, describe, text
from napari_tumorseg.importing.bioimageio.safe_yaml import MAX_BYTES, load_yaml
from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.importing.npy import read_npy
from napari_tumorseg.importing.onnx import draft_of
from napari_tumorseg.importing.package_files import PackageFiles, checked_name
from napari_tumorseg.io.limits import max_bytes
from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.models.messages import quoted
from napari_tumorseg.models.onnx.file import check_onnx
from napari_tumorseg.scan import MODALITIES

if TYPE_CHECKING:
    from napari_tumorseg.importing.kinds import Original

_NAMES = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
_ENDING = ".bioimageio.yaml"

_TORCH, _ONNX = "pytorch_state_dict", "onnx"
_OTHERS = {
    "keras_hdf5": "import that file as Keras",
    "keras_v3": "import that file as Keras",
    "torchscript": "a program, which is not run",
    "tensorflow_saved_model_bundle": "a program, which is not run",
    "tensorflow_js": "a program, which is not run",
}


def recognise(path: Path) -> bool:
    """Return whether a folder, a zip archive or a file is a package or its description."""
    if path.is_file() and path.suffix.lower() in (".yaml", ".yml"):
        return path.name in _NAMES or path.name.endswith(_ENDING)
    if not path.is_dir() and not (path.is_file() and path.suffix.lower() == ".zip"):
        return False
    try:
        return _description_name(PackageFiles(path)) is not None
    except (ModelError, OSError):
        return path.is_file()  # a damaged archive; reading it says so


def read(path: Path, answers: Answers) -> Draft:
    """Return the draft of a package.

    Raises
    ------
    ModelError
        If it is damaged, of an unknown format, or needs what is not run here; one sentence that names it.
    """
    files = _files(path)
    about = _description(files)
    try:
        return _draft(files, about, answers)
    except ModelError as error:
        if str(error).startswith(f"{files.path.name}: "):
            raise
        raise ModelError(f"{files.path.name}: {error}") from error


def original(path: Path, draft: Draft) -> Original | None:
    """Return the example of the package as an original that knows one input; None if none can be compared.

    Raises
    ------
    ModelError
        If its files are damaged.
    """
    files = _files(path)
    about = _description(files)
    output, comparable = processing.output_of(about.output)
    try:
        processing.normalisation_of(about.input)
    except ModelError:  # the user has stated another preparation
        comparable = False
    if not comparable or about.input.test is None or about.output.test is None:
        return None
    given, expected = (_example(files, tensor) for tensor in (about.input, about.output))
    inputs = processing.apply(about.input.steps, given, about.input.axes)
    order = "bc" + "".join(axis for axis in about.input.axes if axis not in "bc")
    inputs = _ordered(inputs, about.input.axes, order)
    expected = _ordered(expected, about.output.axes, order)
    if inputs.shape[2:] != expected.shape[2:]:
        return None
    from napari_tumorseg.importing.kinds import Original

    inside = draft.network.arguments.get("activation", "none") != "none"
    # networks of torch.hub's kind end with a sigmoid that the description does not list
    unlisted = isinstance(draft.weights, dict) and expected.min() >= 0 and expected.max() <= 1
    soft = "activation" in output or inside or bool(unlisted)
    name = f"the example of the package (BioImage.IO {about.version})"
    return Original(name, lambda _: expected, soft, inputs)


def _files(path: Path) -> PackageFiles:
    return PackageFiles(path.parent if path.suffix.lower() in (".yaml", ".yml") and path.is_file() else path)


def _description_name(files: PackageFiles) -> str | None:
    names = files.names()
    found = [name for name in _NAMES if name in names] or [n for n in names if n.endswith(_ENDING)]
    return found[0] if found else None


def _description(files: PackageFiles) -> Description:
    name = _description_name(files)
    if name is None:
        raise ModelError(f"{files.path.name}: holds no {_NAMES[0]}")
    content = files.read(name, MAX_BYTES)
    try:
        return describe(load_yaml(content))
    except (ModelError, ValueError) as error:
        raise ModelError(f"{files.path.name}: {name} {error}") from error


def _draft(files: PackageFiles, about: Description, answers: Answers) -> Draft:
    for tensor, verb in ((about.input, "takes"), (about.output, "gives")):
        if sorted(tensor.axes) != ["b", "c", "x", "y"]:
            raise ModelError(f"{verb} images with the axes {quoted(tensor.axes)}; slices have b, c, y and x")
    draft, warnings = _network(files, about)
    given, note = _input(about.input, answers)
    output, _ = processing.output_of(about.output)
    return replace(
        draft,
        input={**draft.input, **given},
        output={**draft.output, **output},
        about={k: v for k, v in (("licence", about.licence), ("citation", about.citation)) if v},
        tables={"summary": about.summary} if about.summary else {},
        title=about.title,
        format=f"BioImage.IO {about.version}",
        warnings=(*warnings, *note),
    )


def _input(tensor: Tensor, answers: Answers) -> tuple[dict[str, Any], list[str]]:
    """Return fields of the card's table ``input``, and warnings."""
    found: dict[str, Any] = {}
    notes: list[str] = []
    try:
        found["normalisation"] = processing.normalisation_of(tensor)
    except ModelError as error:
        if not (answers.normalisation or answers.like):
            raise
        notes.append(f"it {error}; yours is taken")
    roles = [guess_role(name, masks=False) for name in tensor.channels]
    if roles and all(role in MODALITIES for role in roles) and len(set(roles)) == len(roles):
        found["roles"] = tuple(roles)
    sides = [tensor.sizes.get(axis) for axis in "yx"]
    size = {"canvas": tuple(sides)} if None not in sides else {}
    if tensor.spacing:
        size["spacing"] = tensor.spacing  # type: ignore[assignment]
    return ({**found, "size": size} if size else found), notes


def _network(files: PackageFiles, about: Description) -> tuple[Draft, list[str]]:
    """Return the network, from a state dict in a known layout or from ONNX."""
    problem: ModelError | None = None
    if _TORCH in about.weights:
        try:
            return _torch_network(files, about.weights[_TORCH]), []
        except ModelError as error:
            problem = error
    if _ONNX in about.weights:
        notes = [f"the ONNX file is taken, since the state dict is not: {problem}"] if problem else []
        return _onnx_network(files, about), notes
    if problem is not None:
        raise problem
    known = ", ".join(f"{kind} ({_OTHERS.get(kind, 'unknown')})" for kind in list(about.weights)[:5])
    raise ModelError(f"has no weights as a state dict or ONNX, only {known or 'none'}")


def _torch_network(files: PackageFiles, entry: Mapping[str, Any]) -> Draft:
    """Return the network of a state dict; its architecture's source, a program, is not opened."""
    content = _weights(files, entry)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PurePosixPath(checked_name(entry.get("source"))).name
        path.write_bytes(content)
        draft = torch_layouts.read(path, Answers())
    return replace(draft, input={}, output={}, warnings=())


def _onnx_network(files: PackageFiles, about: Description) -> Draft:
    entry = about.weights[_ONNX]
    if entry.get("external_data"):
        raise ModelError("keeps the weights of its ONNX file in another file, which is not opened")
    name = text(entry.get("source"))
    return draft_of(check_onnx(_weights(files, entry), name), name)


def _weights(files: PackageFiles, entry: Mapping[str, Any]) -> bytes:
    return _checked(files, entry, max_bytes())


def _example(files: PackageFiles, tensor: Tensor) -> processing.Values:
    assert tensor.test is not None
    content = _checked(files, tensor.test, max_bytes())
    return read_npy(content, f"{files.path.name}: {quoted(text(tensor.test.get('source')))}")


def _checked(files: PackageFiles, entry: Mapping[str, Any], limit: int) -> bytes:
    """Return the content of a file that the description names, if it is the one that was meant."""
    source, wanted = entry.get("source"), entry.get("sha256")
    content = files.read(source, limit)  # type: ignore[arg-type]
    if wanted and hashlib.sha256(content).hexdigest() != wanted:
        raise ModelError(f"{quoted(text(source))} is not the file that was described (its sha256 differs)")
    return content


def _ordered(values: processing.Values, axes: str, order: str) -> processing.Values:
    return np.ascontiguousarray(np.transpose(values, [axes.index(axis) for axis in order]))
