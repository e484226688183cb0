"""Picture of the first batches as the network gets them, to check inputs and targets."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage.measure import find_contours

from napari_tumorseg.geometry import Array
from napari_tumorseg.io.atomic import atomic_path
from napari_tumorseg.training.data import Batch

_COLOURS = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#F0E442", "#D55E00", "#0072B2", "#FFFFFF")
_TILE = 160
_MAX_SLICES = 16


def write_preview(path: Path, batches: Iterable[Batch], names: tuple[str, ...], skip: int | None) -> None:
    """Draw slices in rows: their channels side by side, the outline of every output on each.

    Parameters
    ----------
    path : Path
        PNG to write; replaced if it exists.
    batches : iterable of Batch
        First batches of an epoch.
    names : tuple of str
        Names of the outputs, for the legend.
    skip : int or None
        Index of the background among the outputs.
    """
    pairs = [(i, t) for b in batches for i, t in zip(b["image"].numpy(), b["target"].numpy(), strict=True)]
    rows = [_row(image, target, skip) for image, target in islice(pairs, _MAX_SLICES)]
    columns = 2 if len(rows) > 4 else 1
    height = -(-len(rows) // columns)
    width = rows[0].width + 8
    page = Image.new("RGB", (width * columns, height * (_TILE + 4) + 20), "black")
    for number, row in enumerate(rows):
        page.paste(row, (number // height * width, number % height * (_TILE + 4) + 20))
    draw, left = ImageDraw.Draw(page), 4
    for number, name in enumerate(names):
        if number != skip:
            draw.text((left, 4), name, fill=_COLOURS[number])
            left += 8 * len(name) + 12
    with atomic_path(path, overwrite=True) as temporary:
        page.save(temporary, format="PNG")


def _row(image: Array, target: Array, skip: int | None) -> Image.Image:
    tiles = [_tile(channel, target, skip) for channel in image]
    width = tiles[0].width + 2
    row = Image.new("RGB", (len(tiles) * width, _TILE), "black")
    for number, tile in enumerate(tiles):
        row.paste(tile, (number * width, 0))
    return row


def _tile(channel: Array, target: Array, skip: int | None) -> Image.Image:
    low, high = np.percentile(channel, (0.5, 99.5))
    grey = np.clip((channel - low) / max(high - low, 1e-6), 0, 1) * 255
    scale = _TILE / channel.shape[0]
    size = (round(channel.shape[1] * scale), _TILE)
    tile = Image.fromarray(grey.astype(np.uint8)).convert("RGB").resize(size)
    draw = ImageDraw.Draw(tile)
    for number, mask in enumerate(target):
        if number == skip:
            continue
        for line in find_contours(np.pad(mask, 1), 0.5):
            points = [(float(x), float(y)) for y, x in (line - 0.5) * scale]
            draw.line(points, fill=_COLOURS[number])
    return tile
