"""Folders of nnU-Net v2 with random weights, made as nnU-Net makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

BRATS = {
    "background": 0,
    "whole tumor": [1, 2, 3],
    "tumor core": [2, 3],
    "enhancing tumor": [3],
}
CLASSES = {"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumour": 3}


def architecture(dimensions: int, residual: bool = False) -> dict[str, Any]:
    blocks = "n_blocks_per_stage" if residual else "n_conv_per_stage"
    name = "ResidualEncoderUNet" if residual else "PlainConvUNet"
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{name}",
        "arch_kwargs": {
            "n_stages": 3,
            "features_per_stage": [4, 6, 8],
            "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
            "kernel_sizes": [[3] * dimensions] * 3,
            "strides": [[1] * dimensions, [2] * dimensions, [1] * (dimensions - 2) + [2, 2]],
            blocks: [1, 1, 1],
            "n_conv_per_stage_decoder": [1, 1],
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def older(dimensions: int) -> dict[str, Any]:
    given = architecture(dimensions)["arch_kwargs"]
    return {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 4,
        "unet_max_num_features": 8,
        "n_conv_per_stage_encoder": given["n_conv_per_stage"],
        "n_conv_per_stage_decoder": given["n_conv_per_stage_decoder"],
        "num_pool_per_axis": [2] * dimensions,
        "pool_op_kernel_sizes": given["strides"],
        "conv_kernel_sizes": given["kernel_sizes"],
    }


def plans(
    dimensions: int = 3,
    *,
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0),
    patch: tuple[int, ...] = (8, 16, 16),
    transpose: tuple[int, ...] = (0, 1, 2),
    masked: bool = True,
    network: dict[str, Any] | None = None,
) -> dict[str, Any]:
    kwargs = {"order_z": 0, "force_separate_z": None, "is_seg": False}
    back = [transpose.index(axis) for axis in range(3)]
    configuration = {
        "data_identifier": "nnUNetPlans",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(patch),
        "spacing": list(spacing[-dimensions:]),
        "normalization_schemes": ["ZScoreNormalization"] * 2,
        "use_mask_for_norm": [masked] * 2,
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": kwargs | {"order": 3},
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": kwargs | {"order": 1, "is_seg": True},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": kwargs | {"order": 1},
        "batch_dice": False,
        **(network or {"architecture": architecture(dimensions)}),
    }
    name = "2d" if dimensions == 2 else "3d_fullres"
    return {
        "dataset_name": "Dataset137_Tiny",
        "plans_name": "nnUNetPlans",
        "transpose_forward": list(transpose),
        "transpose_backward": back,
        "image_reader_writer": "SimpleITKIO",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {}, "1": {}},
        "configurations": {name: configuration},
    }


def dataset(labels: dict[str, Any]) -> dict[str, Any]:
    regions = {"regions_class_order": [1, 2, 3]} if labels is BRATS else {}
    return {
        "channel_names": {"0": "FLAIR", "1": "T1gd"},
        "labels": labels,
        "numTraining": 2,
        "file_ending": ".nii.gz",
        **regions,
    }


def write_folder(
    folder: Path,
    given: dict[str, Any],
    labels: dict[str, Any],
    folds: tuple[int, ...] = (0,),
    mirror: tuple[int, ...] | None = None,
    **extra: Any,
) -> Path:
    """Write a folder; networks are made by nnunetv2, with random weights that find all classes."""
    pytest.importorskip("nnunetv2")
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(given), encoding="utf-8")
    (folder / "dataset.json").write_text(json.dumps(dataset(labels)), encoding="utf-8")
    (name,) = given["configurations"]
    manager = PlansManager(json.loads(json.dumps(given)))
    found = manager.get_configuration(name)
    outputs = manager.get_label_manager(dataset(labels)).num_segmentation_heads
    for fold in folds:
        torch.manual_seed(fold + 1)
        net = get_network_from_plans(
            found.network_arch_class_name,
            found.network_arch_init_kwargs,
            found.network_arch_init_kwargs_req_import,
            2,
            outputs,
            deep_supervision=True,
        )
        for layer in net.decoder.seg_layers:
            torch.nn.init.normal_(layer.weight, std=2.0)
        content = {
            "network_weights": net.state_dict(),
            "optimizer_state": {"lr": 0.01},
            "logging": {"mean_fg_dice": [np.float64(0.5)]},
            "_best_ema": np.float32(0.5),
            "current_epoch": 1000,
            "init_args": {"plans": given, "configuration": name, "fold": fold},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": mirror,
            **extra,
        }
        place = folder / f"fold_{fold}"
        place.mkdir(exist_ok=True)
        torch.save(content, place / "checkpoint_final.pth")
    return folder


def predicted(folder: Path, data: Any, spacing: tuple[float, ...], folds: tuple[int, ...]) -> Any:
    """Return the mask (Z, Y, X) that nnU-Net's own predictor gives for (C, Z, Y, X) data."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        tile_step_size=0.5,
        use_gaussian=True,
        use_mirroring=True,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    predictor.initialize_from_trained_model_folder(str(folder), folds, "checkpoint_final.pth")
    properties = {"spacing": list(spacing)}
    return predictor.predict_single_npy_array(data.astype(np.float32), properties)
