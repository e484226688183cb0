"""Augmentations of training slices as recipes state them; `augment_transforms` makes their transforms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from napari_tumorseg.models.card import Share
from napari_tumorseg.scan import Role
from napari_tumorseg.toml_table import TomlTable

Range = tuple[float, float]


class _Chance(TomlTable):
    probability: Share = 1.0


class Flip(_Chance):
    """Mirror a slice left-right (``horizontal``) or up-down (``vertical``)."""

    kind: Literal["flip"]
    axis: Literal["horizontal", "vertical"] = "horizontal"


class Rotate90(_Chance):
    """Rotate by 90, 180 or 270 degrees."""

    kind: Literal["rotate90"]


class Affine(_Chance):
    """Rotate by up to `rotate` degrees, scale by up to 1 +- `scale`, shift by up to `shift` of each side."""

    kind: Literal["affine"]
    rotate: float = Field(0.0, ge=0, le=180)
    scale: float = Field(0.0, ge=0, lt=1)
    shift: float = Field(0.0, ge=0, lt=1)


class Elastic(_Chance):
    """Deform by random displacements up to `magnitude` pixels on a grid of `spacing` pixels."""

    kind: Literal["elastic"]
    spacing: int = Field(24, ge=4)
    magnitude: Range = (0.0, 3.0)


class ScaleShift(_Chance):
    """Scale each channel by 1 +- `factor` and shift it by +- `offset` (in units of the normalised image)."""

    kind: Literal["gain"]
    factor: float = Field(0.0, ge=0, lt=1)
    offset: float = Field(0.0, ge=0)


class Gamma(_Chance):
    """Raise each channel's intensities, taken between its extremes, to a power from `power`."""

    kind: Literal["gamma"]
    power: Range = (0.7, 1.5)


class Noise(_Chance):
    """Add Gaussian noise of a standard deviation up to `deviation`."""

    kind: Literal["noise"]
    deviation: float = Field(0.1, gt=0)


class Blur(_Chance):
    """Blur by a Gaussian of a standard deviation from `sigma`, in pixels."""

    kind: Literal["blur"]
    sigma: Range = (0.5, 1.0)


class LowResolution(_Chance):
    """Downsample by a factor from `zoom` and upsample again, as in thick or coarse scans."""

    kind: Literal["low-resolution"]
    zoom: Range = (0.5, 1.0)


class Bias(_Chance):
    """Multiply by a smooth bias field, a polynomial with coefficients up to `strength`."""

    kind: Literal["bias"]
    strength: float = Field(0.3, gt=0, le=1)


class ModalityDropout(_Chance):
    """Remove modalities, down to one of the sets that the model accepts; substitutes take their place.

    What a case never had stays missing, and a set that suffices is always left.

    Attributes
    ----------
    sets : tuple of tuple of Role
        Sets to draw from, instead of all that the model accepts. A set that is named twice is drawn twice as
        often.
    """

    kind: Literal["missing"]
    sets: tuple[tuple[Role, ...], ...] = ()


class ModalitySwap(_Chance):
    """Give one of `roles` as all channels, with an empty target.

    The network learns to recognise `instead_of`, not only bright regions. Slices on which the modality is a
    copy of that one, because it was never acquired, are not changed.
    """

    kind: Literal["mistaken"]
    roles: tuple[Role, ...] = Field((Role.T1, Role.T1C), min_length=1)
    instead_of: Role = Role.FLAIR


class CopyPaste(_Chance):
    """Paste the tumour of another training slice onto this one, shifted by up to `shift` pixels.

    It is applied before all others, whatever its position in the list, and only if the references of both
    slices know all outputs.
    """

    kind: Literal["paste"]
    shift: int = Field(16, ge=0)


class Appearance(_Chance):
    """Change brightness, contrast and texture of each part of a tumour in each channel.

    A few patients show only a few appearances of tumours; this keeps the network from learning these.

    Attributes
    ----------
    shift : tuple of float
        For each output from the outermost inwards, the largest change of brightness of the part that lies
        outside the next one, in units of the normalised image.
    level : tuple of tuple of (low, high)
        For each output and channel, the range of the new mean above the background, in place of `shift`: a
        core may be as dark as fluid or as bright as oedema. `shift` is used for an output without ranges.
    unenhanced : float
        Probability that patches of the innermost output lose their enhancement: they get the mean of the
        surrounding part and are removed from the output.
    contrast : (low, high)
        Range of the factor of the contrast within a part.
    texture : float
        Largest amplitude of a smooth pattern that is added.
    """

    kind: Literal["appearance"]
    shift: tuple[float, ...] = (0.5, 1.5, 1.0)
    level: tuple[tuple[Range, ...], ...] = ()
    unenhanced: float = Field(0.0, ge=0, le=1)
    contrast: Range = (0.4, 1.4)
    texture: float = Field(0.3, ge=0)


class SmallLesion(_Chance):
    """Draw a small lesion into tissue beside the tumour, so that the network learns to find small ones.

    The lesion is an ellipse with a soft border, the section of a ball by a slice; its outputs are added to
    the target. Modalities that are not named keep their tissue.

    Attributes
    ----------
    radius : (low, high)
        Range in pixels of the network's input: 3.6 mm is the radius of 0.2 mL, 6.2 mm of 1 mL.
    whole : mapping of Role to (low, high)
        Range by which the lesion is brighter than the tissue around, in units of the normalised image.
    core : mapping of Role to (low, high)
        The same for its inner half, an enhancing core; its pixels belong to all outputs.
    enhancing : float
        Probability that it has a core.
    """

    kind: Literal["small-lesion"]
    radius: Range = (1.2, 4.0)
    whole: dict[Role, Range] = Field(
        default_factory=lambda: {Role.FLAIR: (0.8, 2.5), Role.T2: (0.8, 2.5), Role.T1: (-1.0, 0.0)}
    )
    core: dict[Role, Range] = Field(default_factory=lambda: {Role.T1C: (1.2, 3.5)})
    enhancing: Share = 0.5


class SkullRemoval(_Chance):
    """Make scalp and skull background, as a brain extraction does, and normalise the rest again.

    Attributes
    ----------
    depth : (low, high)
        Range of the erosion of the head, as a share of the square root of its area.
    extent : (low, high)
        Range of the sides of an ellipse that cuts off face and neck, as a share of the head's sides.
    """

    kind: Literal["skull-removal"]
    depth: Range = (0.05, 0.12)
    extent: Range = (0.75, 1.3)


Augmentation = Annotated[
    Flip
    | Rotate90
    | Affine
    | Elastic
    | ScaleShift
    | Gamma
    | Noise
    | Blur
    | LowResolution
    | Bias
    | ModalityDropout
    | ModalitySwap
    | CopyPaste
    | Appearance
    | SmallLesion
    | SkullRemoval,
    Field(discriminator="kind"),
]
"""Any augmentation; recipes name it by `kind`."""
