"""Small scans, cards and networks whose result can be told voxel for voxel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from torch import nn

from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.models import Model, ModelCard
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.models.weight_files import save_weights, sha256
from napari_tumorseg.scan import Image, Role, Scan

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real scans; tests that use them skip where the folder is absent."""


def make_scan(
    channels: Mapping[str, Array],
    spacing: Sequence[float] | None = (1.0, 1.0, 1.0),
    brain: Array | None = None,
    case: str = "case",
) -> Scan:
    """Return a scan of canonical arrays by role."""
    images = []
    for role, data in channels.items():
        grid = Grid.from_codes(data.shape, spacing=spacing)
        images.append(Image(f"{case}_{role}", Role(role), data, grid))
    return Scan(case, tuple(images), brain)


def head(shape: tuple[int, int, int] = (6, 40, 48), background: float = 0.0) -> Array:
    """Return a float32 ellipsoid of 100 to 200 with a lesion of 400 at its left, on `background`."""
    z, y, x = (np.linspace(-1, 1, n) for n in shape)
    radius = z[:, None, None] ** 2 * 0.3 + (y[None, :, None] / 0.75) ** 2 + (x[None, None, :] / 0.8) ** 2
    noise = np.random.default_rng(3).uniform(100, 200, shape)
    data = np.where(radius < 1, noise, background)
    data[2:5, 10:18, 30:36] = 400
    return data.astype(np.float32)


def card_of(roles: Sequence[str] = ("flair",), **changes: Any) -> ModelCard:
    """Return a card: intensities as they are, the whole slice, one output; `changes` by table."""
    tables: dict[str, Any] = {
        "name": "tiny",
        "input": {"roles": list(roles), "normalisation": {"method": "none"}},
        "output": {"names": ["WT"], "labels": [1], "scheme": "binary"},
    }
    for table, content in changes.items():
        both = isinstance(content, dict) and isinstance(tables.get(table), dict)
        tables[table] = tables[table] | content if both else content
    return ModelCard.model_validate(tables)


def count_parameters(net: nn.Module) -> tuple[int, int]:
    """Return how many trainable parameters and how many batch-norm running statistics there are.

    Their sum is what Keras calls the total; `num_batches_tracked`, which Keras has not, is left out.
    """
    trainable = sum(p.numel() for p in net.parameters() if p.requires_grad)
    statistics = sum(b.numel() for n, b in net.named_buffers() if n.endswith(("running_mean", "running_var")))
    return trainable, statistics


def threshold_net(channels: Sequence[int], limits: Sequence[float], inputs: int = 1) -> UNet:
    """Return a U-Net whose output k is the input channel `channels[k]` (negative as 0) minus `limits[k]`."""
    net = UNet(inputs, len(limits), [inputs], inputs, order="conv-relu")
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.zero_()
        for channel in range(inputs):
            for conv in (net.encoder[0].conv1, net.encoder[0].conv2, net.decoder[0].conv2):
                conv.weight[channel, channel, 1, 1] = 1
            # the decoder sees what was upsampled first, then the skip
            net.decoder[0].conv1.weight[channel, inputs + channel, 1, 1] = 1
        for output, (channel, limit) in enumerate(zip(channels, limits, strict=True)):
            net.head.weight[output, channel] = 1
            net.head.bias[output] = -limit
    return net.eval()


def save_model(folder: Path, net: UNet, card: ModelCard) -> Model:
    """Write a network and its card, and return the model."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{card.name}.safetensors"
    save_weights(net.state_dict(), weights)
    network = card.network.model_copy(update={"arguments": net.arguments})
    card = card.model_copy(update={"network": network, "sha256": sha256(weights)})
    weights.with_suffix(".toml").write_text(card.to_toml(), encoding="utf-8")
    return Model(ModelCard.from_toml(weights.with_suffix(".toml")), weights)


def write_case(folder: Path, channels: Mapping[str, Array], name: str = "case") -> Path:
    """Write canonical arrays as the NIfTI files (LPS, 1 mm) of a case folder."""
    case = folder / name
    case.mkdir(parents=True)
    for role, data in channels.items():
        image = nib.Nifti1Image(data.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]))
        image.header.set_xyzt_units("mm")
        nib.save(image, case / f"{name}_{role}.nii.gz")
    return case


def dice(one: Array, other: Array) -> float:
    """Return the overlap of two masks, 1 where both are empty."""
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero((one > 0) & (other > 0)) / total if total else 1.0
