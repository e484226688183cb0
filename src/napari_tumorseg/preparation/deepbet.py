"""Brain extraction by deepbet (Fisch et al. 2024), from its weights alone.

The package ``deepbet`` (MIT) brings two TorchScript files. They are found through its metadata, checked by
hash and run here. Nothing of the package is imported, so neither its window nor pandas comes along.
TorchScript is read by torch's own interpreter; no Python object is unpickled.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg.errors import PreparationError
from napari_tumorseg.geometry import Array, bounding_box
from napari_tumorseg.preparation.components import largest_component
from napari_tumorseg.scan import Image

COARSE = "data/models/bbox_model.pt"
FINE = "data/models/model.pt"

HASHES = {
    COARSE: "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
    FINE: "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
}
"""SHA-256 of the weights of deepbet 1.0.2; no others are run."""

_COARSE_SIDE, _FINE_SIDE = 128, 256
_MARGIN = 0.1
"""Share of the brain's size that is kept around it on each side."""

_PROFILE = 0.02
"""Share of a plane that must be brain for the plane to count."""

_CLIPPED = (0.5, 99.5)
_MEAN, _DEVIATION = 0.449, 0.226
"""Intensities that the networks were trained with."""


def is_installed() -> bool:
    """Return whether the weights are there; neither torch nor deepbet is imported."""
    try:
        files = metadata.files("deepbet") or []
    except metadata.PackageNotFoundError:
        return False
    return {COARSE, FINE} <= {str(f).replace("\\", "/") for f in files}


@dataclass(frozen=True)
class DeepBet:
    """Brain extractor that runs deepbet's two networks: one finds the brain's box, one its outline.

    Attributes
    ----------
    device : str
        ``"auto"`` (CUDA, else the CPU) or a device of torch; all others than CUDA run on the CPU, since they
        lack the networks' operations.
    """

    device: str = "auto"
    _networks: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def name(self) -> str:
        """Name and version of the package."""
        return f"deepbet {metadata.version('deepbet')}"

    def extract(self, image: Image) -> Array:
        """Return the probability of brain, as the protocol says."""
        values = np.nan_to_num(_to_ras(image.data).astype(np.float32), posinf=0.0, neginf=0.0)
        coarse = _sampled(values, (_COARSE_SIDE,) * 3)
        low, high = np.percentile(coarse, _CLIPPED)
        if not high > low:
            raise PreparationError(f"{image.name} is nearly uniform, so no brain can be found in it")
        rough = largest_component(self._run(COARSE, _normalised(coarse, low, high)) > 0.5)
        box = _box_around(rough, values.shape)
        if box is None:
            raise PreparationError(f"no brain was found in {image.name}")
        inside = self._run(FINE, _normalised(_sampled(values[box], (_FINE_SIDE,) * 3), low, high))
        found = np.zeros(values.shape, dtype=np.float32)
        found[box] = _sampled(inside, found[box].shape)
        return _to_canonical(found)

    def _run(self, name: str, values: Array) -> Array:
        """Return the second output of a network for a cube."""
        import torch

        on = "cuda" if self.device in ("auto", "cuda") and torch.cuda.is_available() else "cpu"
        with torch.inference_mode():
            given = torch.from_numpy(values)[None, None].to(on)
            found: Array = self._network(name, on)(given)[0, 1].float().cpu().numpy()
        return found

    def _network(self, name: str, device: str) -> Any:
        if name not in self._networks:
            self._networks[name] = _load(name, device)
        return self._networks[name]


def _load(name: str, device: str) -> Any:
    """Read a network from the bytes that were checked."""
    import torch

    content = _weights(name).read_bytes()
    if sha256(content).hexdigest() != HASHES[name]:
        raise PreparationError(
            f"the file {name} of the installed deepbet is not that of version 1.0.2, so it is not run"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch recommends its exporter to authors
        return torch.jit.load(io.BytesIO(content), map_location=device).eval()  # type: ignore[no-untyped-call]


def _weights(name: str) -> Path:
    files = {str(f).replace("\\", "/"): f for f in metadata.files("deepbet") or []}
    return Path(str(files[name].locate()))


def _to_ras(data: Array) -> Array:
    """Return a canonical array with the axes R, A, S, as the networks were trained (a view)."""
    return data[:, ::-1, ::-1].transpose(2, 1, 0)


def _to_canonical(data: Array) -> Array:
    return np.ascontiguousarray(data.transpose(2, 1, 0)[:, ::-1, ::-1])


def _sampled(values: Array, shape: tuple[int, ...]) -> Array:
    """Return the voxel nearest to each of a regular grid, as torch's ``nearest-exact``."""
    picks = [
        np.minimum(((np.arange(n) + 0.5) * (length / n)).astype(int), length - 1)
        for n, length in zip(shape, values.shape, strict=True)
    ]
    return values[np.ix_(*picks)]


def _normalised(values: Array, low: float, high: float) -> Array:
    clipped = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    scaled = (clipped - clipped.mean()) / max(float(clipped.std(ddof=1)), 1e-6)
    return np.asarray(_DEVIATION * scaled + _MEAN, dtype=np.float32)


def _box_around(rough: Array, shape: tuple[int, ...]) -> tuple[slice, ...] | None:
    """Return the box of a coarse brain in a volume, with a margin; None without a brain."""
    spans = [_span(rough, axis) for axis in range(3)]
    if bounding_box(rough) is None or None in spans:
        return None
    sides = zip(spans, rough.shape, shape, strict=True)
    return tuple(_widened(span, length / n, length) for span, n, length in sides if span is not None)


def _span(rough: Array, axis: int) -> tuple[int, int] | None:
    others = tuple(a for a in range(3) if a != axis)
    hit = np.flatnonzero(rough.mean(axis=others) > _PROFILE)
    return (int(hit[0]), int(hit[-1]) + 1) if hit.size else None


def _widened(span: tuple[int, int], factor: float, length: int) -> slice:
    centre = round(factor * (span[0] + span[1]) / 2)
    size = round(factor * (1 + 2 * _MARGIN) * (span[1] - span[0]))
    return slice(max(0, int(centre - size / 2)), min(length, int(centre + size / 2)))
