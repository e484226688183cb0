"""Precision in which a network runs: the requested one, or bfloat16 if it is as good and faster here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from napari_tumorseg.errors import DeviceError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.networks import Conversion, as_bfloat16, as_float32
from napari_tumorseg.inference.precision_probe import WORTH_IT, relative_time
from napari_tumorseg.inference.settings import Precision
from napari_tumorseg.models.segmentation_network import SegmentationNetwork
from napari_tumorseg.models.store import Model

NATIVE = ("avx512_bf16", "amx_bf16", "avx10_2", "arm_bf16", "bf16")
"""Names that torch has for instructions in bfloat16; without them it is emulated, many times slower."""

Samples = Callable[[int], list[Array]]
"""Returns up to that number of inputs (C, H, W) of the network, from the scan of the run."""


@dataclass(frozen=True)
class Choice:
    """A precision, the reason for it, and the conversion of networks.

    Attributes
    ----------
    precision : {"float32", "bfloat16", "int8"}
        The precision.
    reason : str
        Reason of the choice.
    convert : callable
        Converts a network.
    calibration : list of str
        Source of each calibration; filled when networks are converted.
    notes : tuple of str
        Warnings for the user.
    """

    precision: Precision
    reason: str
    convert: Conversion
    calibration: list[str] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def explanation(self) -> str:
        """The reason, and the sources of calibrations."""
        return "; ".join((self.reason, *dict.fromkeys(self.calibration)))


def choose(
    wanted: Precision, model: Model, net: SegmentationNetwork, device: str, samples: Samples
) -> Choice:
    """Return the precision to run in.

    Parameters
    ----------
    wanted : {"auto", "float32", "bfloat16", "int8"}
        ``"auto"`` is bfloat16 if the card shows that masks stay as good, the processor has instructions for
        it, and a measurement of this network shows that it is faster; else float32.
    model : Model
        The model.
    net : SegmentationNetwork
        Its network.
    device : str
        Device that it runs on.
    samples : callable
        Returns inputs for a measurement or a calibration; called only if they are needed.

    Raises
    ------
    DeviceError
        If the precision is not available on the device.
    """
    if net.runtime:
        return _of_runtime(wanted, net.runtime)
    if wanted == "auto":
        return _automatic(model, net, device, samples)
    if wanted == "int8":
        if net.dimensions == 3:
            raise DeviceError(f"int8 is for networks that work on slices, and {model.name} works on volumes")
        return _int8(model, device, samples)
    return Choice(wanted, "as asked for", as_float32 if wanted == "float32" else as_bfloat16)


def _of_runtime(wanted: Precision, runtime: str) -> Choice:
    """Return the precision of a network that another library runs as its file states it."""
    if wanted not in ("auto", "float32"):
        raise DeviceError(f"{wanted} is for networks that torch runs; {runtime} runs this one in float32")
    return Choice("float32", f"{runtime} runs the network as its file states it", as_float32)


def _int8(model: Model, device: str, samples: Samples) -> Choice:
    if device != "cpu":
        raise DeviceError(f"int8 runs on the CPU only, not on {device}")
    from napari_tumorseg.inference.int8 import SLICES, conversion

    found = model.card.agreement.get("int8")
    known = found is not None and found.sha256 == model.weights_sha256()
    figures = f": {found.as_text()}" if found and known else ", and its card has no figures for that"
    calibration: list[str] = []
    convert = conversion(partial(samples, SLICES), calibration)
    note = f"masks in int8 differ from those in float32{figures}"
    return Choice("int8", "as asked for", convert, calibration, (note,))


def _automatic(model: Model, net: SegmentationNetwork, device: str, samples: Samples) -> Choice:
    obstacle = _obstacle(model, device)
    if obstacle:
        return Choice("float32", obstacle, as_float32)
    share = relative_time(net, model.weights_sha256(), partial(samples, 1))
    if share is None:
        return Choice("float32", "there is no slice to measure bfloat16 with", as_float32)
    reason = f"measured here, bfloat16 takes {share:.2f} of float32's time"
    if share > WORTH_IT:
        return Choice("float32", reason, as_float32)
    return Choice("bfloat16", reason, as_bfloat16)


def _obstacle(model: Model, device: str) -> str:
    """Return the reason against bfloat16; empty if there is none."""
    found = model.card.agreement.get("bfloat16")
    if found is None:
        return "the card has no figures for bfloat16"
    if found.sha256 != model.weights_sha256():
        return "the card's figures for bfloat16 are of other weights"
    if not found.sufficient:
        return "the card's figures show that bfloat16 changes masks too much"
    if device != "cpu":
        return f"bfloat16 is not measured on {device}"
    if not has_native_bfloat16():
        return "this processor has no instructions for bfloat16"
    return ""


def has_native_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16."""
    known: Any = getattr(torch.cpu, "get_capabilities", dict)()  # older torch has no such list
    return any(known.get(name) for name in NATIVE)
