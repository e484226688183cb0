"""The network of a bundle in MONAI, where that is installed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_tumorseg.importing.draft import Draft

if TYPE_CHECKING:
    from napari_tumorseg.importing.kinds import Original


def original(path: Path, draft: Draft) -> Original | None:
    """Return the same network as MONAI builds it, from our own checked arguments."""
    from napari_tumorseg.importing.kinds import Original

    assert not isinstance(draft.weights, bytes)
    try:
        monai = import_module("monai")
        nets = import_module("monai.networks.nets")
    except ImportError:
        return None
    name, options = _OPTIONS[draft.network.architecture](draft.network.arguments)
    net = getattr(nets, name)(**options)
    net.load_state_dict(draft.weights, strict=False)
    net.eval()

    def run(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = net(torch.from_numpy(inputs)).numpy()
        return found

    return Original(f"MONAI {monai.__version__}", run, False)


def _shared(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "spatial_dims": given["sides"],
        "in_channels": given["in_channels"],
        "out_channels": given["out_channels"],
    }


def _norm(given: dict[str, Any]) -> Any:
    kind = given["norm"]
    if kind == "group":
        return ("group", {"num_groups": given["groups"]})
    return ("instance", {"affine": kind == "instance-affine"}) if kind.startswith("instance") else kind


def _activation(given: dict[str, Any]) -> Any:
    if given["activation"] == "leaky-relu":
        return ("leakyrelu", {"negative_slope": given["slope"]})
    return given["activation"]


def _segresnet(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    modes = {"interpolated": "nontrainable", "transposed": "deconv"}
    return "SegResNet", {
        **_shared(given),
        "init_filters": given["width"],
        "blocks_down": given["blocks_down"],
        "blocks_up": given["blocks_up"],
        "upsample_mode": modes[given["upsampling"]],
        "norm": _norm(given),
        "act": _activation(given),
    }


def _basic_unet(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    fields = {"features": given["features"], "bias": given["bias"]}
    return "BasicUNet", {**_shared(given), **fields, "norm": _norm(given), "act": _activation(given)}


def _unet(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "UNet", {
        **_shared(given),
        "channels": given["features"],
        "strides": given["steps"],
        "kernel_size": given["kernel"],
        "up_kernel_size": given["up_kernel"],
        "num_res_units": given["units"],
        "bias": given["bias"],
        "norm": _norm(given),
        "act": _activation(given),
    }


def _dynunet(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "DynUNet", {
        **_shared(given),
        "filters": given["features"],
        "kernel_size": given["kernels"],
        "strides": given["steps"],
        "upsample_kernel_size": given["up_kernels"],
        "res_block": given["residual"],
        "trans_bias": given["up_bias"],
        "norm_name": _norm(given),
        "act_name": _activation(given),
    }


_OPTIONS = {"segresnet": _segresnet, "basic-unet": _basic_unet, "residual-unet": _unet, "dynunet": _dynunet}
