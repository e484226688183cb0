"""Serialised probabilities of a run, kept beside the journal of its mask's edits."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid, bounding_box
from napari_tumorseg.inference.stored_probabilities import Box, StoredProbabilities
from napari_tumorseg.models.card import Output
from napari_tumorseg.post_settings import PostSettings

_FORMAT = 1
_BROKEN = (
    ValueError,  # pydantic's errors among them
    KeyError,
    TypeError,
    OSError,
    EOFError,
    RecursionError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def pack_maps(stored: StoredProbabilities) -> bytes:
    """Return the probabilities of a run as a compressed archive of arrays (NPZ) with a description in JSON.

    The grid is left out, since that of the scan is known when they are restored.
    """
    labels = stored.result()
    where = bounding_box(labels) or (slice(0, 0),) * 3
    description = {
        "format": _FORMAT,
        "box": _ends(stored.box),
        "result_box": _ends(where),
        "output": stored.output.model_dump(mode="json"),
        "post": stored.post.model_dump(),
        "threshold": stored.threshold,
        "flipped": stored.flipped,
    }
    arrays = {
        "told": np.frombuffer(json.dumps(description).encode(), dtype=np.uint8),
        "result": labels[where],
        **{f"map {i}": stored.probabilities[name] for i, name in enumerate(stored.output.names)},
    }
    if stored.brain is not None:
        arrays["brain"] = np.packbits(stored.brain)
    if stored.disagreement is not None:
        arrays["disagreement"] = stored.disagreement
    file = BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)  # type: ignore[arg-type,unused-ignore]
    return file.getvalue()


def unpack_maps(content: bytes, grid: Grid) -> StoredProbabilities:
    """Return the probabilities in an archive of `pack_maps`, on the grid of the scan.

    Raises
    ------
    InputError
        If it is damaged, of a later format, or of a scan of another shape.
    """
    try:
        with np.load(BytesIO(content), allow_pickle=False) as found:
            description = json.loads(found["told"].tobytes())
            if description["format"] != _FORMAT:
                raise ValueError("another format")
            return _restored(description, found, grid)
    except _BROKEN as error:
        raise InputError(
            "the stored probability maps are damaged; run the model again to have them"
        ) from error


def _restored(description: Mapping[str, Any], arrays: Mapping[str, Array], grid: Grid) -> StoredProbabilities:
    output = Output.model_validate(description["output"])
    box, where = _box(description["box"], grid.shape), _box(description["result_box"], grid.shape)
    brain, disagreement = arrays.get("brain"), arrays.get("disagreement")
    return StoredProbabilities(
        probabilities={
            name: _checked(arrays[f"map {i}"], _shape(box)) for i, name in enumerate(output.names)
        },
        box=box,
        grid=grid,
        output=output,
        post=PostSettings(**description["post"]),
        brain=None if brain is None else _unpacked(brain, grid.shape),
        threshold=float(description["threshold"]),
        flipped=bool(description["flipped"]),
        disagreement=None if disagreement is None else _checked(disagreement, _shape(box)),
        _result=(where, _checked(arrays["result"], _shape(where))),
    )


def _ends(box: Box) -> list[list[int]]:
    return [[int(side.start), int(side.stop)] for side in box]


def _box(ends: Sequence[Sequence[int]], shape: Sequence[int]) -> Box:
    box = tuple(slice(int(start), int(stop)) for start, stop in ends)
    if any(not 0 <= side.start <= side.stop <= n for side, n in zip(box, shape, strict=True)):
        raise ValueError("a box beyond the scan")
    return box


def _shape(box: Box) -> tuple[int, ...]:
    return tuple(side.stop - side.start for side in box)


def _checked(values: Array, shape: tuple[int, ...]) -> Array:
    if values.dtype != np.uint8 or values.shape != shape:
        raise ValueError("an array of another shape than its box")
    return values


def _unpacked(bits: Array, shape: Sequence[int]) -> Array:
    count = int(np.prod(shape))
    return np.unpackbits(bits, count=count).astype(bool).reshape(shape)
