"""Rigid registration of a later scan to an earlier one.

Needs SimpleITK, the extra ``registration``. A registration can fail without an error, so a person has to
inspect its preview and approve it before anything is derived from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_tumorseg.errors import GeometryError, TumorSegError
from napari_tumorseg.geometry import Affine, Grid
from napari_tumorseg.intensity import normalise_intensity
from napari_tumorseg.io.resample import onto
from napari_tumorseg.io.simpleitk import matrix_of, simpleitk, to_simpleitk
from napari_tumorseg.scan import Image, Scan, Segmentation

_STEP_MM = 2.0
"""Images are reduced to about this before they are registered."""

_SAMPLED = 0.1
_BINS = 48


@dataclass(frozen=True, eq=False)
class Rigid:
    """A rigid motion of one scan onto another.

    Attributes
    ----------
    matrix : (4, 4) array
        Maps RAS mm of the moving scan to RAS mm of the fixed one.
    fixed, moving : Grid
        Grids of the scans.
    metric_before, metric_after : float or None
        Mutual information (Mattes) of both images without and with the motion; higher is better.
    preview : Image or None
        The moving scan's channel on the fixed grid, to be inspected over the fixed one.
    channel : str
        Channels that were compared, such as ``"flair with flair"``.
    approved : bool
        Whether a person has inspected the preview and agreed.
    """

    matrix: Affine
    fixed: Grid
    moving: Grid
    metric_before: float | None = None
    metric_after: float | None = None
    preview: Image | None = field(default=None, repr=False)
    channel: str = ""
    approved: bool = False

    @classmethod
    def same_space(cls, fixed: Grid, moving: Grid) -> Rigid:
        """Return no motion at all, for scans that a person knows to be registered already."""
        return cls(np.eye(4), fixed, moving, approved=True)

    @property
    def rotation_degrees(self) -> float:
        """Angle of rotation, about any axis."""
        cosine = (np.trace(self.matrix[:3, :3]) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    @property
    def shift_mm(self) -> float:
        """Displacement of the centre of the moving scan."""
        centre = self.moving.centre
        return float(np.linalg.norm(self.to_fixed(centre) - centre))

    def approve(self) -> Rigid:
        """Return the motion as approved by a person who has inspected the preview."""
        return replace(self, approved=True)

    def to_fixed(self, points: Affine) -> Affine:
        """Map (..., 3) RAS coordinates of the moving scan to those of the fixed one."""
        return np.asarray(points @ self.matrix[:3, :3].T + self.matrix[:3, 3])

    def moved(self, grid: Grid) -> Grid:
        """Return a grid of the moving scan as it lies in the fixed one's space."""
        return replace(grid, affine=self.matrix @ grid.affine)

    def to_dict(self) -> dict[str, Any]:
        """Return the motion as plain types, for JSON, without the preview."""
        return {
            "matrix_ras_mm": self.matrix.tolist(),
            "rotation_degrees": self.rotation_degrees,
            "shift_mm": self.shift_mm,
            "metric": "Mattes mutual information",
            "metric_before": self.metric_before,
            "metric_after": self.metric_after,
            "channel": self.channel,
            "approved": self.approved,
        }


def register(fixed: Scan, moving: Scan, seed: int = 1) -> Rigid:
    """Find the rigid motion that brings a scan onto another one, by mutual information.

    Parameters
    ----------
    fixed, moving : Scan
        The earlier and the later scan. Compared is a modality that both have, the fixed scan's reference if
        it is one of them.
    seed : int
        For the samples that the metric is taken from.

    Returns
    -------
    Rigid
        Not approved yet: a person has to inspect its preview.

    Raises
    ------
    GeometryError
        If a voxel size is unknown.
    TumorSegError
        If SimpleITK is not installed, or finds nothing.
    """
    sitk = simpleitk("registering two scans", "registration")
    for scan in (fixed, moving):
        if scan.grid.unit != "mm":
            raise GeometryError(
                f"{scan.case} cannot be registered: its voxel size is unknown; state it first"
            )
    one, other = _channels(fixed, moving)
    target, source = _reduced(sitk, one), _reduced(sitk, other)
    try:
        motion, before, after = _registered(sitk, target, source, seed)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise TumorSegError(f"{moving.case} could not be registered to {fixed.case}: {reason}") from error
    rigid = Rigid(
        matrix_of(motion), fixed.grid, moving.grid, before, after, channel=f"{one.role} with {other.role}"
    )
    data = onto(other.data, rigid.moved(other.grid), fixed.grid)
    note = f"moved onto {fixed.case} by a rigid motion"
    return replace(rigid, preview=replace(other, data=data, grid=fixed.grid, note=note))


def apply_transform(rigid: Rigid, seg: Segmentation) -> Segmentation:
    """Return a segmentation of the moving scan on the fixed one's grid, each voxel the nearest label.

    Volumes are to be taken before this, since resampling changes them a little.

    Parameters
    ----------
    rigid : Rigid
        From `register`.
    seg : Segmentation
        On the moving scan's grid.

    Raises
    ------
    GeometryError
        If it is not.
    """
    if not seg.grid.same_space(rigid.moving):
        raise GeometryError(f"{seg.name or 'the mask'} does not lie on the grid of the scan that was moved")
    if np.allclose(rigid.matrix, np.eye(4)) and rigid.fixed.same_space(rigid.moving):
        labels = seg.labels
    else:
        labels = _nearest(rigid, seg)
    provenance: Mapping[str, Any] = {**seg.provenance, "registration": rigid.to_dict()}
    return Segmentation(labels, rigid.fixed, seg.convention, seg.name, None, provenance)


def _nearest(rigid: Rigid, seg: Segmentation) -> Any:
    # outside the moving scan there are no labels, whatever its first voxel holds
    padded = np.pad(seg.labels, 1)
    affine = seg.grid.affine.copy()
    affine[:3, 3] = seg.grid.to_world((-1, -1, -1))
    return onto(padded, rigid.moved(replace(seg.grid, affine=affine)), rigid.fixed, nearest=True)


def _channels(fixed: Scan, moving: Scan) -> tuple[Image, Image]:
    """Return the images to compare: of one modality if there is one in both."""
    mine, theirs = fixed.roles, moving.roles
    roles = sorted(mine, key=lambda role: mine[role] is not fixed.reference)
    common = next((role for role in roles if role in theirs), None)
    if common is None:
        return fixed.reference, moving.reference
    return mine[common], theirs[common]


def _reduced(sitk: Any, image: Image) -> Any:
    """Return an image of SimpleITK with voxels of about 2 mm."""
    grid = image.grid
    found = to_simpleitk(normalise_intensity(image.data), grid, image.name)
    shrink = [max(1, min(round(_STEP_MM / s), n // 8)) for s, n in zip(grid.spacing, grid.shape, strict=True)]
    return sitk.BinShrink(found, shrink[::-1])


def _registered(sitk: Any, fixed: Any, moving: Any, seed: int) -> tuple[Any, float, float]:
    """Return the transform from fixed to moving LPS points, and the metric before and after."""
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method = _method(sitk, fixed, seed)
    method.SetInitialTransform(start, inPlace=False)
    motion = method.Execute(fixed, moving)
    before = _method(sitk, fixed, seed)
    before.SetInitialTransform(sitk.Euler3DTransform())
    after = _method(sitk, fixed, seed)
    after.SetInitialTransform(motion)
    values = [-float(each.MetricEvaluate(fixed, moving)) for each in (before, after)]
    return motion, values[0], values[1]


def _method(sitk: Any, fixed: Any, seed: int) -> Any:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(_SAMPLED, seed)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-4, numberOfIterations=200, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    large = min(fixed.GetSize()) >= 32
    method.SetShrinkFactorsPerLevel([4, 2, 1] if large else [1])
    method.SetSmoothingSigmasPerLevel([4, 2, 0] if large else [0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return method
