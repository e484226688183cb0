"""Intensities of each region in each channel: quantiles and histograms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from napari_tumorseg.errors import GeometryError
from napari_tumorseg.geometry import Array, bounding_box
from napari_tumorseg.measurement.volumes import listed
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Image, Role, Scan, Segmentation

REST = "rest"
"""Name of all voxels outside the labels: in the brain if a mask of it is known, else in the foreground."""

_SHOWN = (0.5, 99.5)
"""Percentiles of head and tumour between which the bins of a channel lie."""

_SAMPLES = 400_000


@dataclass(frozen=True)
class Distribution:
    """Intensities of one label or region in one channel.

    Attributes
    ----------
    name, title : str
        Abbreviation and full name of the region, or ``"rest"``.
    channel : str
        Name of the image.
    role : str
        Its modality, as the case states it.
    voxels : int
        Number of voxels of the region (or of the sample) whose intensity is finite.
    not_numbers : int
        Number of voxels whose intensity is not finite.
    p1, q1, median, q3, p99 : float or None
        1st percentile, quartiles, 99th percentile, linearly interpolated; None without voxels.
    edges : tuple of float
        Edges of the bins, the same for all regions of a channel; the outermost bins also hold what lies
        beyond. Empty if the channel holds no finite value.
    counts : tuple of int
        Number of voxels in each bin.
    """

    name: str
    title: str
    channel: str
    role: str
    voxels: int
    not_numbers: int
    p1: float | None
    q1: float | None
    median: float | None
    q3: float | None
    p99: float | None
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the distribution as plain types, for JSON."""
        return {**asdict(self), "edges": list(self.edges), "counts": list(self.counts)}


def intensities(scan: Scan, seg: Segmentation, bins: int = 48) -> tuple[Distribution, ...]:
    """Return the intensities of each label and region in each channel, and of the rest of the brain.

    Parameters
    ----------
    scan : Scan
        The channels, as the files hold them.
    seg : Segmentation
        On the scan's grid.
    bins : int
        Number of bins of the histograms.

    Returns
    -------
    tuple of Distribution
        Channel by channel; in each the labels and regions that are not empty, and the rest, which is sampled
        if it is large.

    Raises
    ------
    GeometryError
        If the segmentation does not lie on the scan's grid.
    """
    if not seg.grid.same_space(scan.grid):
        raise GeometryError(f"the mask {seg.name} does not lie on the grid of {scan.case}")
    images = [image for image in scan if image.role not in (Role.BRAIN_MASK, Role.TUMOUR_MASK)]
    found: list[Distribution] = []
    for image in images:
        found += _of_channel(image, scan, seg, bins)
    return tuple(found)


def _of_channel(image: Image, scan: Scan, seg: Segmentation, bins: int) -> list[Distribution]:
    box = bounding_box(seg.labels) or (slice(0, 0),) * 3
    labels, data = seg.labels[box], image.data[box]
    # labelled voxels are copied once per channel
    labelled = labels > 0
    inside, values = labels[labelled], np.asarray(data[labelled], dtype=np.float64)
    groups: dict[str, tuple[str, Array]] = {}
    for name, _, title, members in listed(seg.convention):
        chosen = region_mask(inside, members)
        if chosen.any():
            groups[name] = title, values[chosen]
    rest = _rest(image, scan, seg)
    if rest.size:
        groups[REST] = "outside all labels", rest
    edges = _edges(groups, bins)
    return [_distribution(name, title, image, v, edges) for name, (title, v) in groups.items()]


def _rest(image: Image, scan: Scan, seg: Segmentation) -> Array:
    """Return intensities outside all labels, of every n-th voxel in each direction of a large image."""
    step = max(1, round((image.data.size / _SAMPLES) ** (1 / 3)))
    some = (slice(step // 2, None, step),) * 3
    data = np.asarray(image.data[some], dtype=np.float64)
    outside = seg.labels[some] == 0
    if scan.brain_mask is not None:
        return np.asarray(data[outside & scan.brain_mask[some].astype(bool)])
    corners = np.asarray(image.data[np.ix_(*[(0, n - 1) for n in image.data.shape])], dtype=np.float64)
    finite = np.sort(corners[np.isfinite(corners)])
    background = finite[(finite.size - 1) // 2] if finite.size else np.nan
    return np.asarray(data[outside & np.isfinite(data) & (data != background)])


def _edges(groups: Mapping[str, tuple[str, Array]], bins: int) -> Array:
    """Return edges that hold nearly all of every group, however small it is beside another one."""
    ends = [np.percentile(v[np.isfinite(v)], _SHOWN) for _, v in groups.values() if np.isfinite(v).any()]
    if not ends:
        return np.zeros(0)
    low, high = float(min(e[0] for e in ends)), float(max(e[1] for e in ends))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def _distribution(name: str, title: str, image: Image, values: Array, edges: Array) -> Distribution:
    numbers = values[np.isfinite(values)]
    names = ("p1", "q1", "median", "q3", "p99")
    quantiles: dict[str, Any] = dict.fromkeys(names)
    if numbers.size:
        found = np.percentile(numbers, (1, 25, 50, 75, 99))
        quantiles = {name: float(value) for name, value in zip(names, found, strict=True)}
    counts: tuple[int, ...] = ()
    if edges.size:
        inside = np.clip(numbers, edges[0], edges[-1])
        counts = tuple(int(n) for n in np.histogram(inside, edges)[0])
    return Distribution(
        name=name,
        title=title,
        channel=image.name,
        role=str(image.role),
        voxels=int(numbers.size),
        not_numbers=int(values.size - numbers.size),
        edges=tuple(float(edge) for edge in edges),
        counts=counts,
        **quantiles,
    )
