"""Base class of networks that segment slices."""

from __future__ import annotations

from napari_tumorseg.models.segmentation_network import SegmentationNetwork


class SliceNetwork(SegmentationNetwork):
    """A network that takes (batch, channels, height, width) images to logits of the same height and width.

    A subclass builds its layers in `__init__`, from its arguments as keywords, and defines `forward`.
    """
