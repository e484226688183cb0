"""Preparation, windows and outputs of MONAI bundles, as tables of a card."""

from __future__ import annotations

from typing import Any

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.monai_bundle.config import Config, target_of
from napari_tumorseg.models.messages import quoted

_FILE_AXES = ["L", "P", "S"]
"""Axes of files whose orientation is not changed, as BraTS files have them."""

_NO_EFFECT = {
    "LoadImaged", "EnsureChannelFirstd", "AddChanneld", "AsChannelFirstd", "EnsureTyped", "ToTensord",
    "CastToTyped", "Lambdad", "DivisiblePadd", "SpatialPadd", "ConcatItemsd", "SelectItemsd", "CopyItemsd",
}  # fmt: skip
"""Transforms that change neither intensities nor voxels of images that are read by ourselves."""


def input_of(config: Config) -> dict[str, Any]:
    """Return fields of the table ``input`` that the transforms before the network state.

    Raises
    ------
    ModelError
        If a transform is not on the list.
    """
    found: dict[str, Any] = {"axes": list(_FILE_AXES), "crop": False}
    for step in _transforms(config, "preprocessing"):
        name = target_of(step)
        if name in _NO_EFFECT and name != "Lambdad":
            continue
        if name not in _STEPS:
            raise ModelError(f"{config.name}: the preparation {quoted(name)} is not known here")
        _STEPS[name]({key: _value(config, value) for key, value in step.items()}, found)
    return found


def _value(config: Config, value: Any) -> Any:
    """Return a plain value; an expression where it may not matter stays as it is."""
    value = config.follow(value)
    return value if isinstance(value, str) else config.resolved(value)


def _transforms(config: Config, key: str) -> list[dict[str, Any]]:
    given = config.follow(config.raw(key))
    listed = config.follow(given.get("transforms")) if isinstance(given, dict) else given
    listed = listed if isinstance(listed, list) else []
    steps = [config.follow(step) for step in listed]
    return [step for step in steps if isinstance(step, dict) and step.get("_disabled_") not in (True, "true")]


def _normalise(step: dict[str, Any], found: dict[str, Any]) -> None:
    inside = step.get("nonzero") is True
    if step.get("channel_wise") is not True or {"subtrahend", "divisor"} & set(step):
        raise ModelError("NormalizeIntensityd is known for each channel alone only")
    found["normalisation"] = {
        "method": "zscore",
        "statistics": "foreground" if inside else "all",
        "background": "zero" if inside else "keep",
    }
    if inside:
        found["foreground"] = {"rule": "differs", "tolerance": 0.0}
        found["skull"] = "stripped"


def _scale(step: dict[str, Any], found: dict[str, Any]) -> None:
    if (step.get("minv", 0.0), step.get("maxv", 1.0)) != (0.0, 1.0):
        raise ModelError("ScaleIntensityd is known for the range 0 to 1 only")
    found["normalisation"] = {"method": "minmax", "statistics": "all"}


def _orient(step: dict[str, Any], found: dict[str, Any]) -> None:
    found["axes"] = list(str(step.get("axcodes", "RAS")))


def _space(step: dict[str, Any], found: dict[str, Any]) -> None:
    spacing = step.get("pixdim")
    if not isinstance(spacing, list) or len(spacing) != 3:
        raise ModelError(f"Spacingd with {quoted(spacing)} is not known here")
    found["spacing"] = spacing


def _crop(step: dict[str, Any], found: dict[str, Any]) -> None:
    found["crop"] = True


_STEPS = {
    "NormalizeIntensityd": _normalise,
    "ScaleIntensityd": _scale,
    "Orientationd": _orient,
    "Spacingd": _space,
    "CropForegroundd": _crop,
}


def windows_of(config: Config, prepared: dict[str, Any], sides: int) -> dict[str, Any]:
    """Return the table ``input.windows`` from the bundle's sliding window inference.

    Parameters
    ----------
    config : Config
        The configuration.
    prepared : dict
        From `input_of`.
    sides : {2, 3}
        Of the network.

    Raises
    ------
    ModelError
        If the network is not run in windows of a stated size.
    """
    given = config.follow(config.raw("inferer"))
    if target_of(given) != "SlidingWindowInferer":
        raise ModelError(f"{config.name}: {quoted(target_of(given))} is no sliding window inference")
    patch = config.resolved(given.get("roi_size"))
    patch = [patch] * sides if isinstance(patch, int) else patch
    if not isinstance(patch, list) or len(patch) != sides:
        raise ModelError(
            f"{config.name}: its windows of {quoted(patch)} do not fit a network of {sides} axes"
        )
    spacing = {"spacing": prepared["spacing"]} if "spacing" in prepared else {}
    mode = str(config.resolved(given.get("mode", "constant"))).casefold()
    return {
        "patch": [1] * (3 - sides) + patch,
        "axes": prepared["axes"] if sides == 3 else ["S", "P", "L"],
        "overlap": config.resolved(given.get("overlap", 0.25)),
        "placement": "regular",
        "weights": "gaussian" if mode == "gaussian" else "constant",
        "crop": prepared["crop"],
        **spacing,
    }


def activation_of(config: Config) -> tuple[str | None, float | None]:
    """Return the activation and the threshold that the transforms after the network state."""
    activation: str | None = None
    threshold: float | None = None
    for step in _transforms(config, "postprocessing"):
        name = target_of(step)
        if name == "Activationsd":
            activation = next((one for one in ("sigmoid", "softmax") if step.get(one) is True), activation)
        elif name == "AsDiscreted":
            activation = "softmax" if step.get("argmax") is True else activation
            limit = step.get("threshold")
            threshold = float(limit) if type(limit) is float else threshold
    return activation, threshold
