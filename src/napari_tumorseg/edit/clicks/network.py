"""Small network that tells from the features of a voxel whether a click changes it.

Two hidden layers; its weights were fitted by `benchmarks/fit_clicks.py` and lie beside this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from napari_tumorseg.geometry import Array

WEIGHTS = Path(__file__).with_name("weights.npz")
_ROWS = 1 << 14
"""Rows at a time: what lies between the layers stays in the cache."""


@dataclass(frozen=True, eq=False)
class ClickNetwork:
    """Layers of a perceptron with rectifiers between them.

    Attributes
    ----------
    layers : tuple of ((inputs, outputs) array, (outputs,) array)
        Weights and biases of each layer, the scaling of the features folded into the first.
    """

    layers: tuple[tuple[Array, Array], ...]

    @classmethod
    def read(cls, path: Path = WEIGHTS) -> ClickNetwork:
        """Read the weights of a network from an NPZ file."""
        with np.load(path, allow_pickle=False) as found:
            count = len(found.files) // 2
            return cls(tuple((found[f"weight {i}"], found[f"bias {i}"]) for i in range(count)))

    def write(self, path: Path) -> None:
        """Write the weights to an NPZ file."""
        arrays = {}
        for i, (weight, bias) in enumerate(self.layers):
            arrays[f"weight {i}"], arrays[f"bias {i}"] = weight, bias
        np.savez_compressed(path, allow_pickle=False, **arrays)  # type: ignore[arg-type,unused-ignore]

    def log_odds(self, features: Array) -> Array:
        """Return the log-odds (N,) that the click changes each voxel, from (N, F) features."""
        found = np.empty(len(features), dtype=np.float32)
        for start in range(0, len(features), _ROWS):
            values = features[start : start + _ROWS]
            for weight, bias in self.layers[:-1]:
                values = values @ weight
                values += bias
                np.maximum(values, 0, out=values)
            weight, bias = self.layers[-1]
            found[start : start + _ROWS] = (values @ weight + bias)[:, 0]
        return found


@lru_cache(maxsize=1)
def shipped_network() -> ClickNetwork:
    """Return the network that comes with the package, read once."""
    return ClickNetwork.read()
