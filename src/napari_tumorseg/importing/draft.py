"""Draft of an imported model: its network, its weights, and what its source says of inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_tumorseg.models.card import Network
from napari_tumorseg.models.weight_files import State


@dataclass(frozen=True, eq=False)
class Draft:
    """Content of a model file, checked and converted.

    Attributes
    ----------
    network : Network
        Architecture and arguments; its ``in_channels`` and ``out_channels`` count the channels.
    weights : dict of Tensor, or bytes
        Weights under the architecture's own names, to be written as safetensors; or the content of a file
        that is kept as it is.
    ending : str
        Ending of the file of weights.
    input, output, about : mapping
        Fields of these tables of the card that the source states; what it leaves open is absent.
    tables : mapping
        Other tables or fields of the card, such as ``members`` or ``postprocessing``.
    title : str
        Title that the source gives.
    format : str
        Format and version that the source states.
    whole : bool
        Whether a pixel of the output may depend on the whole image, beyond what the architecture's arguments
        tell.
    warnings : tuple of str
        Sentences about what was assumed or left out.
    """

    network: Network
    weights: State | bytes
    ending: str = ".safetensors"
    input: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    format: str = ""
    whole: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Channels of the network's input."""
        return int(self.network.arguments["in_channels"])

    @property
    def outputs(self) -> int:
        """Channels of the network's output."""
        return int(self.network.arguments["out_channels"])
