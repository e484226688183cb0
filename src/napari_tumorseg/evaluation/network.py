"""Voxel counts per slice at the network's own size, as most papers report them.

Whole slices go in (the window is not cut to the tissue), labels are taken from what comes out, and the
reference is brought to the same pixels by the map that brought the image there, cut at one half.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.evaluation.compared_regions import ComparedRegion
from napari_tumorseg.evaluation.slicewise import mask_counts
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.prepare import Prepared, prepare
from napari_tumorseg.inference.run import decode
from napari_tumorseg.inference.settings import Settings
from napari_tumorseg.inference.slice_plane import PLANES
from napari_tumorseg.inference.slice_resampling import apply_maps
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Scan, Segmentation

if TYPE_CHECKING:
    from napari_tumorseg.models.segmentation_network import SegmentationNetwork

_WHOLE = 1 << 20
"""A margin larger than any slice: the window is the whole canvas."""

_HALF = 0.5 - 1e-4
"""A pixel that is half tumour counts, however its sum was rounded."""


class NetworkSize:
    """A network that is run on whole slices, at its own size.

    Parameters
    ----------
    net : SegmentationNetwork
        In eval mode.
    card : ModelCard
        Its card.
    settings : Settings
        Device, flip, threshold and batch; in bfloat16 only if it is asked for.

    Raises
    ------
    InputError
        If the network works on volumes, or int8 is asked for.
    """

    def __init__(self, net: SegmentationNetwork, card: ModelCard, settings: Settings) -> None:
        from napari_tumorseg.inference import networks, predict  # torch

        if card.input.plane == "volume":
            raise InputError(f"{card.name} works on volumes: figures at the network's size are for slices")
        wants_flip = card.output.flip if settings.flip is None else settings.flip
        flip = wants_flip and (card.input.plane == "acquired" or PLANES[card.input.plane].left_right)
        self.card, self.settings, self.stride = card, settings, net.stride
        if settings.precision == "int8":
            raise InputError("figures at the network's size are not computed in int8")
        convert = networks.as_bfloat16 if settings.precision == "bfloat16" else networks.as_float32
        device = predict.device_for(net, settings.device)
        self._runner = predict.Runner(net, device, flip, settings.batch, convert)

    def counts(
        self, scan: Scan, reference: Segmentation, rows: Sequence[ComparedRegion], wanted: Sequence[int]
    ) -> Iterator[tuple[Array, tuple[int, int]]]:
        """Yield, for each slice that is wanted, (rows, 4) counts of TP, FP, FN, TN and the size in pixels.

        A slice without tissue is not run: nothing is found there.
        """
        prepared = prepare(scan, self.card, self.stride, margin=_WHOLE)
        truth = prepared.slice_plane.apply(reference.labels)
        for index, labels in self._labels(prepared, wanted):
            down, across = (axis.down for axis in prepared.windows[index])
            pairs = []
            for row in rows:
                theirs = region_mask(truth[index], row.theirs).astype(np.float32)
                there = apply_maps(down, across, theirs) >= _HALF
                pairs.append(mask_counts(region_mask(labels, row.ours), there))
            yield np.array(pairs, dtype=np.int64).reshape(-1, 4), prepared.window(index)

    def _labels(self, prepared: Prepared, wanted: Sequence[int]) -> Iterator[tuple[int, Array]]:
        """Yield the labels of each slice at the network's size."""
        from napari_tumorseg.inference.predict import chunk_of  # torch

        tissue = set(prepared.todo)
        position = 0
        while position < len(wanted):
            chunk = chunk_of(prepared, self._runner, wanted[position:])
            run = [index for index in chunk if index in tissue]
            logits = dict(
                zip(run, self._runner.logits([prepared.network_input(i) for i in run]), strict=True)
            )
            for index in chunk:
                empty = np.zeros(prepared.window(index), dtype=np.uint8)
                found = logits.get(index)
                yield index, empty if found is None else self._decode(found)
            position += len(chunk)

    def _decode(self, logits: Array) -> Array:
        return decode(logits, self.card.output, self.settings.threshold)
