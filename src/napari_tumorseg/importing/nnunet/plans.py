"""Plans of nnU-Net v2: network, windows and normalisation of one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.json_file import entry
from napari_tumorseg.models.messages import quoted

WHERE = "plans.json"

_ARCHITECTURES = {"PlainConvUNet": "plain-conv-unet", "ResidualEncoderUNet": "residual-encoder-unet"}
_BLOCKS = {"plain-conv-unet": "n_conv_per_stage", "residual-encoder-unet": "n_blocks_per_stage"}
_CONVOLUTIONS = {"torch.nn.modules.conv.Conv2d": 2, "torch.nn.modules.conv.Conv3d": 3}
_NORMS = {"InstanceNorm": "instance", "BatchNorm": "batch"}
_ACTIVATIONS = {"LeakyReLU": 0.01, "ReLU": 0.0}
_READERS = {"NibabelIOWithReorient": ("S", "A", "R")}
_FILE_ORDER = ("S", "P", "L")
_RESAMPLING = "resample_data_or_seg_to_shape"
_ANISOTROPY = 3.0
"""nnU-Net's ANISO_THRESHOLD."""

_METHODS = {
    "ZScoreNormalization": "zscore",
    "NoNormalization": "none",
    "RescaleTo01Normalization": "minmax",
}


def configuration_of(plans: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration with what it inherits.

    Raises
    ------
    ModelError
        If there is none of that name, it inherits from itself, or is a stage of a cascade.
    """
    known = entry(plans, "configurations", dict, WHERE)
    found: dict[str, Any] = {}
    seen: list[str] = []
    while name:
        if name in seen or not isinstance(known.get(name), dict):
            raise ModelError(f"{WHERE}: there is no configuration {quoted(name)}, or it inherits from itself")
        seen.append(name)
        found = {**known[name], **found}
        name = str(known[name].get("inherits_from") or "")
    if found.get("previous_stage"):
        raise ModelError(f"{WHERE}: {seen[0]} is the second stage of a cascade, which is not supported")
    if found.get("preprocessor_name", "DefaultPreprocessor") != "DefaultPreprocessor":
        raise ModelError(f"{WHERE}: the preprocessor {quoted(found['preprocessor_name'])} is not known here")
    return found


def network_of(configuration: dict[str, Any], inputs: int, outputs: int) -> dict[str, Any]:
    """Return the table ``network`` of a card.

    Parameters
    ----------
    configuration : dict
        From `configuration_of`; its network in the present or the older style.
    inputs, outputs : int
        Channels.

    Raises
    ------
    ModelError
        If it is none of the networks on the list, or a class is named that is not.
    """
    if "architecture" not in configuration:
        return _older(configuration, inputs, outputs)
    given = entry(configuration, "architecture", dict, WHERE)
    name = _architecture(str(given.get("network_class_name")).rpartition(".")[2])
    arguments = entry(given, "arch_kwargs", dict, WHERE)
    dimensions = _CONVOLUTIONS.get(str(arguments.get("conv_op")))
    if dimensions is None:
        raise ModelError(f"{WHERE}: the convolution {quoted(arguments.get('conv_op'))} is not known here")
    stages = entry(arguments, "n_stages", int, WHERE)
    if not 2 <= stages <= 12:
        raise ModelError(f"{WHERE}: a network of {stages} stages is not known here")
    fields = {
        "features": _by_stage(arguments.get("features_per_stage"), stages),
        "kernels": [_by_axis(k, dimensions) for k in _by_stage(arguments.get("kernel_sizes"), stages)],
        "steps": [_by_axis(k, dimensions) for k in _by_stage(arguments.get("strides"), stages)],
        "encoder_blocks": _by_stage(arguments.get(_BLOCKS[name]), stages),
        "decoder_convs": _by_stage(arguments.get("n_conv_per_stage_decoder"), stages - 1),
        "conv_bias": bool(arguments.get("conv_bias", False)),
        **_norm(arguments),
        **_activation(arguments),
        **_special(name, arguments),
    }
    return _table(name, inputs, outputs, fields)


def _architecture(name: str) -> str:
    if name not in _ARCHITECTURES:
        known = " and ".join(_ARCHITECTURES)
        raise ModelError(f"{WHERE}: the network {quoted(name)} is not known here; {known} are")
    return _ARCHITECTURES[name]


def _table(name: str, inputs: int, outputs: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    channels = {"in_channels": inputs, "out_channels": outputs}
    return {"architecture": name, "arguments": {**channels, **fields}}


def _older(configuration: dict[str, Any], inputs: int, outputs: int) -> dict[str, Any]:
    """Read the style that plans had before they named classes."""
    name = _architecture(str(configuration.get("UNet_class_name")))
    blocks = entry(configuration, "n_conv_per_stage_encoder", list, WHERE)
    base = entry(configuration, "UNet_base_num_features", int, WHERE)
    most = entry(configuration, "unet_max_num_features", int, WHERE)
    if len(blocks) > 12:
        raise ModelError(f"{WHERE}: a network of {len(blocks)} stages is not known here")
    fields = {
        "features": [min(base * 2**stage, most) for stage in range(len(blocks))],
        "kernels": entry(configuration, "conv_kernel_sizes", list, WHERE),
        "steps": entry(configuration, "pool_op_kernel_sizes", list, WHERE),
        "encoder_blocks": blocks,
        "decoder_convs": entry(configuration, "n_conv_per_stage_decoder", list, WHERE),
        "conv_bias": True,
    }
    return _table(name, inputs, outputs, fields)


def _by_stage(value: Any, stages: int) -> list[Any]:
    return list(value) if isinstance(value, list) else [value] * stages


def _by_axis(value: Any, dimensions: int) -> list[Any]:
    return list(value) if isinstance(value, list) else [value] * dimensions


def _norm(arguments: dict[str, Any]) -> dict[str, Any]:
    stated = arguments.get("norm_op")
    if stated is None:
        return {"norm": "none"}
    found = next(
        (norm for name, norm in _NORMS.items() if str(stated).rpartition(".")[2].startswith(name)), None
    )
    options = arguments.get("norm_op_kwargs") or {}
    if found is None or not isinstance(options, dict) or not options.get("affine", found == "batch"):
        raise ModelError(f"{WHERE}: the norm {quoted(stated)} is not known here")
    return {"norm": found, "norm_eps": options.get("eps", 1e-5)}


def _activation(arguments: dict[str, Any]) -> dict[str, Any]:
    name = str(arguments.get("nonlin")).rpartition(".")[2]
    if name not in _ACTIVATIONS:
        raise ModelError(f"{WHERE}: the activation {quoted(arguments.get('nonlin'))} is not known here")
    options = arguments.get("nonlin_kwargs") or {}
    slope = options.get("negative_slope", 0.01) if name == "LeakyReLU" else 0.0
    return {"slope": slope}


def _special(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of one of the networks alone; refuse what ours do not have."""
    for key in ("block", "bottleneck_channels"):
        if arguments.get(key) is not None and not str(arguments[key]).endswith("BasicBlockD"):
            raise ModelError(f"{WHERE}: {key} {quoted(arguments[key])} is not known here")
    if name == "residual-encoder-unet":
        stem = arguments.get("stem_channels")
        return {"stem": stem} if stem is not None else {}
    return {"norm_first": not arguments.get("nonlin_first", False)}


def windows_of(plans: dict[str, Any], configuration: dict[str, Any], mirror: list[int]) -> dict[str, Any]:
    """Return the table ``input.windows`` of a card.

    Parameters
    ----------
    plans, configuration : dict
        The plans, and one of their configurations.
    mirror : list of int
        Axes of the network along which it may be mirrored.

    Raises
    ------
    ModelError
        If an entry is not what plans hold.
    """
    patch = entry(configuration, "patch_size", list, WHERE)
    spacing = entry(configuration, "spacing", list, WHERE)
    order = entry(plans, "transpose_forward", list, WHERE)
    if sorted(map(repr, order)) != ["0", "1", "2"] or len(patch) not in (2, 3):
        raise ModelError(f"{WHERE}: transpose_forward or patch_size is not what plans hold")
    lacking = 3 - len(patch)
    axes = _READERS.get(str(plans.get("image_reader_writer")), _FILE_ORDER)
    return {
        "patch": [1] * lacking + patch,
        "axes": [axes[place] for place in order],
        "spacing": [0.0] * (3 - len(spacing)) + spacing,
        "mirror": sorted(axis + lacking for axis in mirror),
        "placement": "even",
        "weights": "gaussian-voxel",
        "half": True,
        **_resampling(configuration),
    }


def _resampling(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return how images are brought to the network's voxels; refuse ways that ours does not have."""
    names = {configuration.get(f"resampling_fn_{of}", _RESAMPLING) for of in ("data", "probabilities")}
    data = configuration.get("resampling_fn_data_kwargs") or {}
    back = configuration.get("resampling_fn_probabilities_kwargs") or {}
    orders = {1: "linear", 3: "cubic"}
    order = data.get("order", 3)
    separate = data.get("force_separate_z")
    usual = back.get("order", 1) == 1 and all(k.get("order_z", 0) == 0 for k in (data, back))
    if names != {_RESAMPLING} or order not in orders or separate not in (None, False) or not usual:
        raise ModelError(f"{WHERE}: its resampling is not known here, only that of {_RESAMPLING}")
    return {"interpolation": orders[order], "separate_above": _ANISOTROPY if separate is None else None}


def normalisation_of(configuration: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the table ``input.normalisation`` of a card, and whether it is confined to what is not 0.

    Raises
    ------
    ModelError
        If channels are normalised differently, or in a way that is not known here.
    """
    schemes = set(map(str, entry(configuration, "normalization_schemes", list, WHERE)))
    masks = set(map(bool, entry(configuration, "use_mask_for_norm", list, WHERE)))
    if len(schemes) != 1 or len(masks) != 1:
        raise ModelError(f"{WHERE}: its channels are normalised in different ways, which is not supported")
    (scheme,), (masked,) = schemes, masks
    if scheme not in _METHODS:
        raise ModelError(f"{WHERE}: {quoted(scheme)} is not known here; {', '.join(_METHODS)} are")
    inside = masked and scheme == "ZScoreNormalization"
    return {
        "method": _METHODS[scheme],
        "statistics": "foreground" if inside else "box",
        "background": "zero" if inside else "keep",
    }, inside
