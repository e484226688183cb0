"""Networks in int8, run by OpenVINO; NNCF calibrates each once, and the user's cache keeps it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_tumorseg.errors import DeviceError, InputError
from napari_tumorseg.extras import to_install
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.networks import Conversion
from napari_tumorseg.inference.user_cache import cache_folder
from napari_tumorseg.models.segmentation_network import SegmentationNetwork

SLICES = 32
"""Slices that a network is calibrated on."""

_LAYOUT = 1
"""Goes up when networks are calibrated in another way: those in the cache are made again then."""

_MODEL, _ABOUT = "model.xml", "about.json"


class Int8(nn.Module):
    """A network that OpenVINO runs; it takes and gives tensors on the CPU.

    Parameters
    ----------
    compiled : openvino.CompiledModel
        Takes and gives (batch, channels, height, width) float32, of any batch, height and width.
    """

    def __init__(self, compiled: Any) -> None:
        super().__init__()
        self._compiled = compiled

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        values = np.ascontiguousarray(x.numpy())
        return torch.from_numpy(np.array(self._compiled(values)[0]))


def conversion(samples: Callable[[], Sequence[Array]], notes: list[str]) -> Conversion:
    """Return a function that makes a network in int8, from the cache or calibrated.

    Parameters
    ----------
    samples : callable
        Inputs (C, H, W) to calibrate on, made only if they are needed.
    notes : list of str
        Gets a sentence on where the calibration comes from, for each network that is made.

    Raises
    ------
    DeviceError
        If OpenVINO or NNCF is not installed.
    """
    openvino, nncf = _libraries()
    inputs = cache(samples)  # members of an ensemble are calibrated on the same ones

    def convert(net: SegmentationNetwork) -> nn.Module:
        folder = cache_folder() / "int8" / network_key(net)
        found = _kept(openvino, folder)
        if found is None:
            given = inputs()
            if not given:
                raise InputError("int8 is calibrated on slices with tissue, and this scan has none")
            model, source = _quantised(openvino, nncf, net, given), f"{len(given)} slices of this scan"
            if not _keep(openvino, model, folder, len(given)):
                model, source = _kept(openvino, folder) or (model, source)  # another process was faster
        else:
            model, source = found
        notes.append(f"int8 was calibrated on {source}")
        return Int8(_compiled(openvino, model))

    return convert


def network_key(net: SegmentationNetwork) -> str:
    """Return a name for what a calibration depends on: architecture, weights and versions."""
    found = hashlib.sha256()
    versions = [metadata.version(name) for name in ("openvino", "nncf")]
    found.update(json.dumps([_LAYOUT, type(net).__name__, net.arguments, *versions]).encode())
    for name, tensor in sorted(net.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _libraries() -> tuple[Any, Any]:
    """Return OpenVINO and NNCF.

    Their telemetry is kept out: this package never uses the network. Both do without it if it is not there.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        with _quiet():
            return import_module("openvino"), import_module("nncf")
    except ImportError:
        raise DeviceError(
            f"int8 needs OpenVINO and NNCF, which are not installed: {to_install('fast')}"
        ) from None


def _quantised(openvino: Any, nncf: Any, net: SegmentationNetwork, samples: Sequence[Array]) -> Any:
    """Return the network as an OpenVINO model whose convolutions are int8, but for its sensitive ones."""
    inputs = [np.ascontiguousarray(sample[np.newaxis], dtype=np.float32) for sample in samples]
    folded = net.folded()
    with _quiet(), torch.inference_mode():
        shape = [-1, net.in_channels, -1, -1]
        model = openvino.convert_model(folded, example_input=torch.from_numpy(inputs[0]), input=shape)
        # the whole range of values: NNCF's mean of ranges cuts off what large tumours have
        ranges = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX
        return nncf.quantize(
            model,
            nncf.Dataset(inputs),
            subset_size=len(inputs),
            ignored_scope=nncf.IgnoredScope(names=_sensitive(folded, model)),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_range_estimator_params=ranges
            ),
        )


def _sensitive(net: SegmentationNetwork, model: Any) -> list[str]:
    """Return the names of a network's sensitive layers in the OpenVINO model."""
    layers = net.sensitive_layers()
    paths = {f"__module.{name}" for name, m in net.named_modules() if any(m is layer for layer in layers)}
    named = [(op.get_friendly_name(), op.get_type_name()) for op in model.get_ordered_ops()]
    return [name for name, kind in named if "Convolution" in kind and name.partition("/")[0] in paths]


def _compiled(openvino: Any, model: Any) -> Any:
    """Return the model ready to run; what is not int8 stays in float32, and threads are as torch's."""
    wanted = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    return openvino.Core().compile_model(model, "CPU", wanted)


def _kept(openvino: Any, folder: Path) -> tuple[Any, str] | None:
    """Return the model in a folder of the cache and a word on its calibration; None if there is none."""
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        model = openvino.Core().read_model(folder / _MODEL)
        return model, f"{about['slices']} slices of an earlier scan, {about['created']}"
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):  # not there, or damaged
        return None


def _keep(openvino: Any, model: Any, folder: Path, slices: int) -> bool:
    """Put a model into the cache, whole or not at all, and return whether it is the one there now.

    A folder is only ever moved as a whole, and one that another process has put there stays: all processes
    run the same calibration. Without a cache it is calibrated again next time.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    except OSError:
        return False
    try:
        made = temporary / "made"
        made.mkdir()
        openvino.save_model(model, made / _MODEL, compress_to_fp16=False)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        (made / _ABOUT).write_text(json.dumps({"slices": slices, "created": created}), encoding="utf-8")
        if folder.exists() and _kept(openvino, folder) is None:
            os.replace(folder, temporary / "damaged")  # noqa: PTH105 (a folder)
        os.replace(made, folder)  # noqa: PTH105 (fails if there is a folder by now)
    except (OSError, RuntimeError):
        return False
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' warnings about themselves, logs and progress bars from the user."""
    loggers = [logging.getLogger(name) for name in ("nncf", "openvino")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
