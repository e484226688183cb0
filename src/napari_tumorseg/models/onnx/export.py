"""Export of a model as one ONNX file, checked by running both."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_tumorseg.errors import ModelError, OutputError
from napari_tumorseg.extras import to_install
from napari_tumorseg.io.atomic import atomic_path
from napari_tumorseg.models.card import ModelCard, Network
from napari_tumorseg.models.messages import one_line
from napari_tumorseg.models.onnx.card import with_card
from napari_tumorseg.models.onnx.network import OnnxNetwork, need_runtime
from napari_tumorseg.models.segmentation_network import SegmentationNetwork
from napari_tumorseg.models.store import Model

INPUT, OUTPUT = "image", "logits"
"""Names of what the file takes and gives."""

TOLERANCE = 1e-3
"""Largest difference of probabilities, and of logits as a share of the largest, that is accepted."""

_OPSET = 17
_SEED = 20
_AXES = ("batch", "height", "width")

# torch.jit.trace, which the fast exporter needs, does not work from this version on
_WITHOUT_TRACING = (3, 14)


@dataclass(frozen=True)
class Exported:
    """An exported model and how it compares with its original on the same random input.

    Attributes
    ----------
    model : Model
        The ONNX file with the card that it holds.
    shape : tuple of int
        Batch, channels and sides of that input.
    logits, probabilities : float
        Largest absolute differences.
    notes : tuple of str
        A sentence on each thing that the file does not hold.
    """

    model: Model
    shape: tuple[int, ...]
    logits: float
    probabilities: float
    notes: tuple[str, ...] = ()


def export_onnx(model: Model, path: Path, overwrite: bool = False) -> Exported:
    """Write a model as an ONNX file that holds its card, too.

    The graph takes normalised slices (batch, channels, height, width) of any size on the network's stride
    and gives logits; normalisation, resampling, flips and post-processing stay outside, as the card says. The
    mean of an ensemble is part of the graph.

    Parameters
    ----------
    model : Model
        Its network is run by torch.
    path : Path
        Ends in ``.onnx``.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ModelError
        If packages are missing, the network cannot be exported, or the export gives something else.
    OutputError
        If the file cannot be written.
    """
    if path.suffix.lower() != ".onnx":
        raise OutputError(f"ONNX is written as .onnx, so {path.name} needs that ending")
    _need_packages()
    net = model.load()
    if net.runtime:
        raise ModelError(f"{model.weights} is run by {net.runtime} already; copy it")
    folded, card = net.folded(), _card(model.card, net)
    with atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(with_card(_converted(folded, card.name), card))
        shape, logits, chances = _compared(folded, temporary, card)
    return Exported(Model(card, path), shape, logits, chances, tuple(_notes(model.card)))


def _need_packages() -> None:
    need_runtime()
    wanted = ("onnx", "onnxscript") if sys.version_info >= _WITHOUT_TRACING else ("onnx",)
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"export needs {' and '.join(missing)}, which is not installed: {to_install('onnx')}"
        )


def _card(card: ModelCard, net: SegmentationNetwork) -> ModelCard:
    """Return the card of the exported model: one network; figures of other weights and runtimes left out."""
    arguments = {
        "in_channels": net.in_channels,
        "out_channels": net.arguments["out_channels"],
        "multiple": net.stride,
        "output": OUTPUT,
    }
    changes = {
        "network": Network(architecture="onnx", arguments=arguments),
        "sha256": "",
        "agreement": {},
        "members": (),
        "intervals": (),
    }
    return card.model_copy(update=changes)


def _notes(card: ModelCard) -> Iterator[str]:
    if card.members:
        yield "the disagreement of the members is not in the file, only the mean of their probabilities"
    if card.intervals:
        yield "intervals of volumes are left out: they hold for the original file"
    if card.output.flip:
        yield "the average with the mirrored slice is not in the graph; its card asks for it"


def _converted(net: SegmentationNetwork, name: str) -> bytes:
    """Return the network as ONNX.

    Raises
    ------
    ModelError
        If torch cannot convert it.
    """
    sample = _sample(net, 1, (4, 5))
    content = io.BytesIO()
    try:
        with _quiet(), torch.inference_mode():
            torch.onnx.export(net, (sample,), content, **_settings())  # type: ignore[arg-type]
    except Exception as error:  # the exporters' exceptions have no class in common
        raise ModelError(f"torch cannot write {name} as ONNX: {one_line(error)}") from error
    return content.getvalue()


def _settings() -> dict[str, Any]:
    """Return the exporter's arguments: the one that traces where it works, a hundred times faster."""
    names = {"input_names": [INPUT], "output_names": [OUTPUT]}
    axes = {0: _AXES[0], 2: _AXES[1], 3: _AXES[2]}
    if sys.version_info < _WITHOUT_TRACING:
        free = {INPUT: axes, OUTPUT: axes}
        return {**names, "dynamo": False, "opset_version": _OPSET, "dynamic_axes": free}
    free_axes = (dict.fromkeys(axes, torch.export.Dim.DYNAMIC),)
    return {**names, "dynamo": True, "external_data": False, "dynamic_shapes": free_axes, "verbose": False}


def _sample(net: SegmentationNetwork, batch: int, strides: tuple[int, int]) -> Tensor:
    """Return normally distributed noise of some strides, the same in every run."""
    generator = torch.Generator().manual_seed(_SEED)
    sides = [count * net.stride for count in strides]
    return torch.randn(batch, net.in_channels, *sides, generator=generator)


def _compared(net: SegmentationNetwork, path: Path, card: ModelCard) -> tuple[tuple[int, ...], float, float]:
    """Return the shape of an input and the largest differences of logits and of probabilities on it.

    Batch and sides differ from those that the network was converted with.

    Raises
    ------
    ModelError
        If they differ too much.
    """
    exported = OnnxNetwork.from_file(path, card.network.arguments)
    sample = _sample(net, 2, (3, 2))
    with torch.inference_mode():
        ours, theirs = net(sample), exported(sample)
    soft = card.output.activation == "softmax"
    chances = [logits.softmax(1) if soft else logits.sigmoid() for logits in (ours, theirs)]
    far, apart = (float((one - other).abs().max()) for one, other in (chances, (ours, theirs)))
    # noise lies far from any tumour, where different logits are one probability
    if not (far <= TOLERANCE and apart <= TOLERANCE * max(1.0, float(ours.abs().max()))):
        raise ModelError(
            f"the ONNX file of {card.name} gives other logits, by up to {apart:.2g}, so it was not kept"
        )
    return tuple(sample.shape), apart, far


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' warnings about themselves from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
