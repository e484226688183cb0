"""Networks of MONAI bundles as ours, from an allow-list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.monai_bundle.config import target_of
from napari_tumorseg.models.messages import quoted

_UNTRAINED = frozenset(
    {"_target_", "_desc_", "dropout", "dropout_prob", "spatial_dims", "in_channels", "out_channels"}
)
"""Arguments without effect on inference, and those that all networks share."""


def network_of(given: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the table ``network`` of a card.

    Parameters
    ----------
    given : dict
        The definition of the network, with references resolved.
    where : str
        Name of its file.

    Raises
    ------
    ModelError
        If the network, or one of its arguments, is not on the list.
    """
    name = target_of(given)
    if name.casefold() not in _NETWORKS:
        known = ", ".join(title for title, _ in _NETWORKS.values())
        raise ModelError(f"{where}: the network {quoted(name)} is not known here; {known} are")
    try:
        title, translate = _NETWORKS[name.casefold()]
        left = {key: value for key, value in given.items() if key not in _UNTRAINED}
        table = translate(_Arguments(given, left))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise ModelError(f"{where}: the arguments of {quoted(name)} are not what it takes") from error
    if left:
        first = sorted(left)[0]
        raise ModelError(f"{where}: {title} with {first} {quoted(left[first])} is not known here")
    return table


class _Arguments:
    """Arguments of a network; those taken are struck off `left`."""

    def __init__(self, given: dict[str, Any], left: dict[str, Any]) -> None:
        self._given, self._left = given, left
        self.sides = int(given.get("spatial_dims", 3))

    def __getitem__(self, key: str) -> Any:
        self._left.pop(key, None)
        return self._given[key]

    def get(self, key: str, default: Any) -> Any:
        self._left.pop(key, None)
        return self._given.get(key, default)

    def expect(self, **usual: Any) -> None:
        """Strike off arguments that have their usual value."""
        for key, value in usual.items():
            if self._given.get(key, value) == value:
                self._left.pop(key, None)

    def table(self, architecture: str, **fields: Any) -> dict[str, Any]:
        """Return the table of a card."""
        given = self._given
        defaults = {"in_channels": 1, "out_channels": 2}
        channels = {key: given.get(key, default) for key, default in defaults.items()}
        return {"architecture": architecture, "arguments": {**channels, "sides": self.sides, **fields}}


def _named(value: Any) -> tuple[str, dict[str, Any]]:
    """Return the name and the options of a norm or activation."""
    if isinstance(value, str):
        return value.casefold(), {}
    name, options = value
    return str(name).casefold(), dict(options)


def _norm(value: Any) -> dict[str, Any]:
    name, options = _named(value)
    if name == "instance":
        affine = options.pop("affine", False)
        found: dict[str, Any] = {"norm": "instance-affine" if affine else "instance"}
    elif name == "group":
        found = {"norm": "group", "groups": options.pop("num_groups")}
    elif name == "batch":
        found = {"norm": "batch"}
    else:
        raise ValueError(name)
    if options:
        raise ValueError(options)
    return found


def _activation(value: Any) -> dict[str, Any]:
    name, options = _named(value)
    options.pop("inplace", None)
    if name == "leakyrelu":
        return {"activation": "leaky-relu", "slope": options.pop("negative_slope", 0.01)}
    if name not in ("relu", "prelu") or options:
        raise ValueError(name)
    return {"activation": name}


def _segresnet(given: _Arguments) -> dict[str, Any]:
    modes = {"nontrainable": "interpolated", "deconv": "transposed"}
    groups = given.get("num_groups", 8)
    old = given.get("norm_name", "")
    norm = ["group", {"num_groups": groups}] if old else given.get("norm", ["group", {"num_groups": 8}])
    given.expect(use_conv_final=True, norm=norm)
    return given.table(
        "segresnet",
        width=given.get("init_filters", 8),
        blocks_down=list(given.get("blocks_down", [1, 2, 2, 4])),
        blocks_up=list(given.get("blocks_up", [1, 1, 1])),
        upsampling=modes[given.get("upsample_mode", "nontrainable")],
        **_norm(norm),
        **_activation(given.get("act", "relu")),
    )


def _basic_unet(given: _Arguments) -> dict[str, Any]:
    given.expect(upsample="deconv")
    return given.table(
        "basic-unet",
        features=list(given.get("features", [32, 32, 64, 128, 256, 32])),
        bias=given.get("bias", True),
        **_norm(given.get("norm", ["instance", {"affine": True}])),
        **_activation(given.get("act", ["leakyrelu", {"negative_slope": 0.1}])),
    )


def _unet(given: _Arguments) -> dict[str, Any]:
    features = list(given["channels"])
    given.expect(adn_ordering="NDA")
    return given.table(
        "residual-unet",
        features=features,
        steps=list(given["strides"])[: len(features) - 1],
        kernel=given.get("kernel_size", 3),
        up_kernel=given.get("up_kernel_size", 3),
        units=given.get("num_res_units", 0),
        bias=given.get("bias", True),
        **_norm(given.get("norm", "instance")),
        **_activation(given.get("act", "prelu")),
    )


def _dynunet(given: _Arguments) -> dict[str, Any]:
    def by_axis(values: Any) -> list[list[int]]:
        return [list(one) if isinstance(one, list) else [one] * given.sides for one in values]

    steps = by_axis(given["strides"])
    most = 320 if given.sides == 3 else 512
    usual = [min(1 << (5 + level), most) for level in range(len(steps))]
    for key in ("deep_supervision", "deep_supr_num"):
        given.get(key, None)
    return given.table(
        "dynunet",
        features=list(given.get("filters", None) or usual),
        kernels=by_axis(given["kernel_size"]),
        steps=steps,
        up_kernels=by_axis(given["upsample_kernel_size"]),
        residual=given.get("res_block", False),
        up_bias=given.get("trans_bias", False),
        **_norm(given.get("norm_name", ["instance", {"affine": True}])),
        **_activation(given.get("act_name", ["leakyrelu", {"negative_slope": 0.01}])),
    )


_NETWORKS: dict[str, tuple[str, Callable[[_Arguments], dict[str, Any]]]] = {
    "segresnet": ("SegResNet", _segresnet),
    "basicunet": ("BasicUNet", _basic_unet),
    "unet": ("UNet", _unet),
    "dynunet": ("DynUNet", _dynunet),
}
