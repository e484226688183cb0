"""Description of the voxels around a click, as numbers that mean the same in every scan."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from napari_tumorseg.edit.clicks.scene import Scene
from napari_tumorseg.geometry import Array

NAMES = (
    "log odds", "wide log odds", "coarse log odds",
    "log odds at click", "wide log odds at click", "has log odds",
    "classified", "smooth classified", "wide classified", "classified at click",
    "difference", "raw difference", "wide difference",
    "log within", "within", "through", "log geodesic", "geodesic",
    "log depth", "depth", "depth at click", "clearance", "within to clearance", "beyond clearance",
    "near opposite clicks", "near like clicks", "sign", "step",
)  # fmt: skip
"""Features in the order of `describe`. Log-odds and depth are towards the click's sign."""


def describe(scene: Scene, candidates: Array) -> Array:
    """Return the features of some voxels of a scene.

    Parameters
    ----------
    scene : Scene
        Of the click.
    candidates : (N,) array of int
        Flat places in its box.

    Returns
    -------
    (N, F) array of float32
        In the order of `NAMES`.
    """
    found = np.empty((len(NAMES), len(candidates)), dtype=np.float32)
    for row, values in zip(found, _columns(scene, candidates), strict=True):
        row[:] = values
    return found.T


def _columns(scene: Scene, candidates: Array) -> Iterator[Array | float]:
    def at(values: Array) -> Array:
        return values.reshape(-1)[candidates]

    def there(values: Array) -> float:
        return float(values[scene.at_seeds].mean())

    sign = scene.sign
    if scene.log_odds is None or scene.wide_log_odds is None or scene.coarse_log_odds is None:
        yield from (0.0,) * 6
    else:
        yield at(scene.log_odds) * (sign / 3)
        yield at(scene.wide_log_odds) * (sign / 3)
        yield at(scene.coarse_log_odds) * (sign / 3)
        yield there(scene.log_odds) * sign / 3
        yield there(scene.wide_log_odds) * sign / 3
        yield 1.0
    yield at(scene.classified) * (sign / 4)
    yield at(scene.smooth_classified) * (sign / 4)
    yield at(scene.wide_classified) * (sign / 4)
    yield there(scene.smooth_classified) * sign / 4
    yield at(scene.difference)
    yield at(scene.raw_difference)
    yield at(scene.wide_difference)
    within, geodesic, depth = at(scene.within), at(scene.geodesic), at(scene.depth)
    deep = max(there(scene.depth), 0.0)
    yield np.log1p(within)
    yield within / 20
    yield at(scene.through) / 10
    yield np.log1p(geodesic)
    yield geodesic / 30
    yield np.log1p(np.maximum(depth, 0))
    yield np.clip(depth, -10, 20) / 10
    yield float(np.log1p(deep))
    clear = scene.clearance
    yield float(np.log1p(clear))
    yield np.minimum(within / (clear + 1), 4)
    yield np.clip((within - clear) / 10, -2, 4)
    yield from (_nearness(scene, candidates, like) for like in (-sign, sign))
    yield float(sign)
    yield scene.steps[0] / scene.steps[1] / 5


def _nearness(scene: Scene, candidates: Array, sign: int) -> Array | float:
    """Return how near the voxels are to earlier clicks of a sign: 1 at a click, 0 far from all."""
    points = [found for found, other in scene.others if other == sign]
    if not points:
        return 0.0
    return np.asarray(np.exp(scene.distance_to(np.concatenate(points)).reshape(-1)[candidates] / -8))
