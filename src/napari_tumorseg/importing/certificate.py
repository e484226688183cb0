"""Comparison of an imported network with the original framework on the same random inputs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.kinds import Original
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.origin import Certificate
from napari_tumorseg.models.segmentation_network import SegmentationNetwork

SEED = 0
INPUTS = 2

TOLERANCE = 1e-3
"""Difference above which an import fails, relative to the original's largest value if that exceeds 1."""

_SIDE, _SHORT_SIDE = 64, 32
"""Sides of inputs where a card states none: of a slice, and of a window of a volume."""

_LONGEST = 256
"""Longest side of an input, whatever a file states, so that the comparison takes seconds."""


def certify(net: SegmentationNetwork, card: ModelCard, original: Original) -> Certificate:
    """Return the agreement of a network with the original on random inputs.

    Raises
    ------
    ModelError
        If they differ by more than rounding explains, or outputs that are taken for logits look like
        probabilities.
    """
    given = original.inputs is not None
    inputs = original.inputs if original.inputs is not None else random_inputs(net, card)
    ours = outputs_of(net, inputs, card.output.activation if original.probabilities else None)
    theirs = original.run(inputs)
    if theirs.shape != ours.shape:
        raise ModelError(f"the original gives an output of {theirs.shape}, the imported network {ours.shape}")
    difference = float(np.abs(ours - theirs).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(theirs).max())):
        raise ModelError(
            f"the imported network differs from the original in {original.framework} by {difference:.3g}, "
            "so it was not imported; please report it"
        )
    if not original.probabilities and 0 <= theirs.min() < theirs.max() <= 1:
        raise ModelError(
            "its outputs lie between 0 and 1, as probabilities do, but no sigmoid or softmax comes last, so "
            "they would be taken for logits; write it again without what follows that layer"
        )
    shape = " x ".join(str(side) for side in inputs.shape[1:])
    return Certificate(
        framework=original.framework,
        largest_difference=difference,
        inputs=f"{len(inputs)} {'given' if given else 'random'} inputs of {shape}",
        seed=SEED,
    )


def random_inputs(net: SegmentationNetwork, card: ModelCard) -> NDArray[np.float32]:
    """Return inputs (batch, channels, ...) from the standard normal distribution."""
    if net.dimensions == 3:
        canvas: tuple[int, ...] = (_SHORT_SIDE,) * 3
    else:
        canvas = tuple(min(side, _LONGEST) for side in card.input.size.canvas or (_SIDE, _SIDE))
    sides = [-(-side // step) * step for side, step in zip(canvas, net.strides, strict=True)]
    shape = (INPUTS, net.in_channels, *sides)
    return np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)


def outputs_of(
    net: SegmentationNetwork, inputs: NDArray[np.float32], activation: str | None
) -> NDArray[np.float32]:
    """Return the outputs of a network, as probabilities if an activation is given."""
    with torch.inference_mode():
        logits = net(torch.from_numpy(inputs))
    if activation is not None:
        logits = logits.sigmoid() if activation == "sigmoid" else logits.softmax(dim=1)
    found: NDArray[np.float32] = logits.numpy()
    return found
