"""The same model by MONAI's SliceInferer, as its users would write it: whole volumes, full slices.

The preparation does what the card says, with the volume in one tensor. Nothing here imports the engine.
"""

from __future__ import annotations

import numpy as np
import torch
from monai.inferers import SliceInferer
from torch import Tensor
from torch.nn import functional

from napari_tumorseg.models.card import ModelCard, Normalisation
from napari_tumorseg.models.store import Model
from napari_tumorseg.scan import Role, Scan


def segment_by_slices(scan: Scan, model: Model, batch: int, slices: slice = slice(None)) -> np.ndarray:
    """Return labels (Z, Y, X) of a scan; those of `slices` where not all are wanted."""
    card, net = model.card, model.load()
    with torch.inference_mode():
        volume, tissue = volume_of(scan, card)
        padding = _padding(volume, card)
        volume = _reduced(functional.pad(volume, padding), card.input.size.reduce)[:, :, slices]
        inferer = SliceInferer(roi_size=volume.shape[3:], spatial_dim=0, sw_batch_size=batch)
        logits = _enlarged(inferer(volume, net), card.input.size.reduce)
        rows, columns = tissue.shape[1:]
        logits = logits[:, :, padding[2] : padding[2] + rows, padding[0] : padding[0] + columns]
        labels = torch.zeros(logits.shape[0], rows, columns, dtype=torch.uint8)
        for output, label in enumerate(card.output.labels):
            labels[logits[:, output] > 0] = label
        labels[~tissue[slices]] = 0
    return labels.numpy()


def volume_of(scan: Scan, card: ModelCard) -> tuple[Tensor, Tensor]:
    """Return the normalised volume (1, C, Z, Y, X) and where the card's output may have labels."""
    channels, tissue = [], torch.empty(0)
    for role in card.input.roles:
        image = torch.from_numpy(np.array(scan.roles[role].data, dtype=np.float32))
        inside = (image - image[0, 0, 0]).abs() > card.input.foreground.tolerance
        channels.append(_normalised(image, inside, card.input.normalisation))
        if role is (card.output.inside_foreground_of or Role.FLAIR):
            tissue = inside
    return torch.stack(channels)[None], tissue


def _normalised(image: Tensor, inside: Tensor, wanted: Normalisation) -> Tensor:
    """Clip to percentiles, z-score, clip, background to zero: what the card of brats-regions asks for."""
    values = image[inside].numpy()
    low, high = np.percentile(values, wanted.percentiles)
    values = np.clip(values, low, high)
    image = (image.clip(low, high) - float(values.mean())) / float(values.std())
    return image.clip(*wanted.clip) * inside


def _padding(volume: Tensor, card: ModelCard) -> tuple[int, int, int, int]:
    """Return what to pad around columns and rows to centre a slice on the canvas."""
    if card.input.size.canvas is None:
        return (0, 0, 0, 0)
    rows, columns = (c - n for c, n in zip(card.input.size.canvas, volume.shape[3:], strict=True))
    return (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)


def _reduced(volume: Tensor, factor: int) -> Tensor:
    return volume if factor == 1 else functional.avg_pool3d(volume, (1, factor, factor))


def _enlarged(logits: Tensor, factor: int) -> Tensor:
    """Return logits (1, O, Z, h, w) as (Z, O, H, W)."""
    logits = logits[0].transpose(0, 1)
    if factor == 1:
        return logits
    return functional.interpolate(logits, scale_factor=factor, mode="bilinear", align_corners=False)
