"""ONNX files: kept as they are, behind a card."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.models.card import ModelCard, Network
from napari_tumorseg.models.onnx.card import card_in
from napari_tumorseg.models.onnx.file import OnnxFile, check_onnx, read_onnx
from napari_tumorseg.models.onnx.network import OnnxNetwork, arguments_of
from napari_tumorseg.models.onnx.operators import WHOLE_IMAGE
from napari_tumorseg.models.onnx.ports import single_ports

if TYPE_CHECKING:
    from napari_tumorseg.importing.kinds import Original

_MOST_CHANNELS = 64
"""An image with more channels than this is taken for one whose channels are another axis."""

_WINDOW = 96
"""Side of the windows of a network that takes volumes of any size."""

_AXES = (
    "its axes are taken as towards the head, the back and the left; if they are others, change "
    "input.windows.axes of the card"
)

_MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 128)
_ACTIVATIONS = {"Sigmoid": "sigmoid", "HardSigmoid": "sigmoid", "Softmax": "softmax"}


def recognise(path: Path) -> bool:
    """Return whether a file has the ending of ONNX."""
    return path.is_file() and path.suffix.lower() == ".onnx"


def read(path: Path, answers: Answers) -> Draft:
    """Return the draft of an ONNX file; one that holds a card of this package states everything.

    Raises
    ------
    ModelError
        If the file is damaged, holds what is not run here, or does not run.
    """
    found = read_onnx(path)
    card = card_in(found, path.name)
    return _of_card(found, card) if card else draft_of(found, path.name)


def draft_of(found: OnnxFile, name: str, output: str = "") -> Draft:
    """Return the draft of an ONNX file without a card.

    Parameters
    ----------
    found : OnnxFile
        The file.
    name : str
        Name of the file, for messages.
    output : str
        Name of the result to take, where there are several.

    Raises
    ------
    ModelError
        If the file does not run.
    """
    try:
        image, result = single_ports(found.inputs, found.outputs, output)
        arguments = arguments_of(found, _channels_last(image.shape), output)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    activation = _ACTIVATIONS.get(found.last[result.name], "none")
    arguments["activation"] = activation
    if "sides" not in arguments:
        arguments["multiple"] = _multiple(found, arguments, name)
    volumes = arguments["volumes"]
    return Draft(
        Network(architecture="onnx", arguments=arguments),
        found.content,
        ".onnx",
        input=_windows(arguments) if volumes else _size(arguments),
        output={} if activation == "none" else {"activation": activation},
        format=_format(found),
        whole=not found.operators.isdisjoint(WHOLE_IMAGE),
        warnings=(f"{name}: {_AXES}",) if volumes else (),
    )


def _size(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return fields of the card's table ``input`` for slices."""
    return {"size": {"canvas": arguments["sides"]}} if "sides" in arguments else {}


def _windows(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return fields of the card's table ``input`` for volumes."""
    side = -(-_WINDOW // arguments.get("multiple", 1)) * arguments.get("multiple", 1)
    return {"plane": "volume", "windows": {"patch": arguments.get("sides", [side] * 3)}}


def original(path: Path, draft: Draft) -> Original | None:
    """Return the file as ONNX Runtime runs it with its own settings."""
    assert isinstance(draft.weights, bytes)
    return original_of(draft.weights, draft.network.arguments, path.name)


def original_of(content: bytes, arguments: dict[str, Any], name: str) -> Original:
    """Return an ONNX file as ONNX Runtime runs it with its own settings.

    Parameters
    ----------
    content : bytes
        The whole file; it is checked.
    arguments : dict
        Arguments of the network.
    name : str
        Name of the file, for messages.
    """
    import onnxruntime

    from napari_tumorseg.importing.kinds import Original

    found = check_onnx(content, name)
    image, result = single_ports(found.inputs, found.outputs, arguments.get("output", ""))
    session = onnxruntime.InferenceSession(found.content, providers=["CPUExecutionProvider"])
    last, batch = arguments.get("channels_last", False), image.shape[0] or 1

    def run(inputs: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        given = np.moveaxis(inputs, 1, -1) if last else inputs
        each = [np.ascontiguousarray(np.repeat(one[np.newaxis], batch, axis=0)) for one in given]
        outputs = np.stack([session.run([result.name], {image.name: one})[0][0] for one in each])
        return np.moveaxis(outputs, -1, 1) if last else outputs

    version, soft = metadata.version("onnxruntime"), arguments.get("activation", "none") != "none"
    return Original(f"ONNX Runtime {version}", run, soft, _of_fixed_size(arguments))


def _of_fixed_size(arguments: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    """Return random inputs of the only size that a file takes; None if it takes others."""
    if "sides" not in arguments:
        return None
    shape = (2, arguments["in_channels"], *arguments["sides"])
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _of_card(found: OnnxFile, card: ModelCard) -> Draft:
    """Return the draft of a file that this package has exported."""
    stated = card.model_dump(mode="json", exclude_none=True)
    return Draft(
        card.network,
        found.content,
        ".onnx",
        input=stated["input"],
        output=stated["output"],
        about=stated["about"],
        tables={key: stated[key] for key in ("summary", "version", "postprocessing")},
        title=card.title,
        format=_format(found),
    )


def _format(found: OnnxFile) -> str:
    written = f", written by {found.producer}" if found.producer.isprintable() and found.producer else ""
    return f"ONNX, operators of version {found.opset}{written}"


def _channels_last(shape: tuple[int | None, ...]) -> bool:
    """Return whether an image has its channels behind its sides, as Keras' have."""
    first, last = shape[1], shape[-1]
    return last is not None and last <= _MOST_CHANNELS and (first is None or first > _MOST_CHANNELS)


def _multiple(found: OnnxFile, arguments: dict[str, Any], name: str) -> int:
    """Return the least power of two of which sides must be multiples, by running images of zeros.

    Raises
    ------
    ModelError
        If none of them runs.
    """
    problem: Exception = ModelError(f"{name}: does not run")
    for multiple in _MULTIPLES:
        net = OnnxNetwork.of(found, {**arguments, "multiple": multiple}, name)
        try:
            with torch.inference_mode():
                for counts in ((1, 3, 5), (3, 5, 7)):
                    net(torch.zeros(1, net.in_channels, *(n * multiple for n in counts[-net.dimensions :])))
            return multiple
        except ModelError as error:
            problem = error
        except MemoryError as error:
            raise ModelError(f"{name}: needs more memory than there is, even for a small image") from error
    raise ModelError(f"{name}: runs on no size that was tried: {problem}") from problem
