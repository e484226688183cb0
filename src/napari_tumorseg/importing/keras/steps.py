"""Steps that a Keras layer is translated into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_tumorseg.importing.keras.hdf5_weights import Floats


@dataclass(frozen=True, eq=False)
class Step:
    """A layer of a `GraphNetwork` without its place.

    Attributes
    ----------
    fields : mapping
        Its arguments, ``op`` among them.
    tensors : mapping of str to array
        Its weights, by their names in the module.
    """

    fields: Mapping[str, Any]
    tensors: Mapping[str, Floats] = field(default_factory=dict)
