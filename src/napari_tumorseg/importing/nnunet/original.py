"""The network of a draft in dynamic-network-architectures, where that is installed."""

from __future__ import annotations

from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.models.weights import first_member

if TYPE_CHECKING:
    from napari_tumorseg.importing.kinds import Original

_PACKAGE = "dynamic_network_architectures"
_NORMS: dict[tuple[str, int], type[nn.Module]] = {
    ("instance", 2): nn.InstanceNorm2d,
    ("instance", 3): nn.InstanceNorm3d,
    ("batch", 2): nn.BatchNorm2d,
    ("batch", 3): nn.BatchNorm3d,
}


def original(path: Path, draft: Draft) -> Original | None:
    """Return the same network as nnU-Net builds it, with the weights of the first fold."""
    from napari_tumorseg.importing.kinds import Original

    assert not isinstance(draft.weights, bytes)
    try:
        library = import_module(f"{_PACKAGE}.architectures.unet")
        version = metadata.version(_PACKAGE)
    except (ImportError, metadata.PackageNotFoundError):
        return None
    given = draft.network.arguments
    plain = draft.network.architecture == "plain-conv-unet"
    dimensions = len(given["kernels"][0])
    norm = _NORMS.get((given.get("norm", "instance"), dimensions))
    options: dict[str, Any] = {
        "input_channels": given["in_channels"],
        "num_classes": given["out_channels"],
        "n_stages": len(given["features"]),
        "features_per_stage": given["features"],
        "conv_op": nn.Conv2d if dimensions == 2 else nn.Conv3d,
        "kernel_sizes": given["kernels"],
        "strides": given["steps"],
        "n_conv_per_stage" if plain else "n_blocks_per_stage": given["encoder_blocks"],
        "n_conv_per_stage_decoder": given["decoder_convs"],
        "conv_bias": given["conv_bias"],
        "norm_op": norm,
        "norm_op_kwargs": {"eps": given.get("norm_eps", 1e-5), "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"negative_slope": given.get("slope", 0.01)},
        **(
            {"nonlin_first": not given.get("norm_first", True)}
            if plain
            else {"stem_channels": given.get("stem")}
        ),
    }
    net = getattr(library, "PlainConvUNet" if plain else "ResidualEncoderUNet")(**options)
    weights = first_member(draft.weights) if "members" in draft.tables else draft.weights
    net.load_state_dict(weights, strict=False)
    net.eval()

    def run(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = net(torch.from_numpy(inputs)).numpy()
        return found

    return Original(f"{_PACKAGE} {version}", run, False)
