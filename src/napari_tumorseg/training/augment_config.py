"""What can be done to a training slice, as recipes state it; `augment` turns it into transforms."""

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
    """Turn by 90, 180 or 270 degrees."""

    kind: Literal["rotate90"]


class Affine(_Chance):
    """Turn by up to `rotate` degrees, scale by up to 1 +- `scale`, shift by up to `shift` of each side."""

    kind: Literal["affine"]
    rotate: float = Field(0.0, ge=0, le=180)
    scale: float = Field(0.0, ge=0, lt=1)
    shift: float = Field(0.0, ge=0, lt=1)


class Elastic(_Chance):
    """Bend: random displacements on a grid of `spacing` pixels, `magnitude` pixels large at most."""

    kind: Literal["elastic"]
    spacing: int = Field(24, ge=4)
    magnitude: Range = (0.0, 3.0)


class ScaleShift(_Chance):
    """Multiply each channel by 1 +- `factor` and add +- `offset` (in units of the normalised image)."""

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
    """Sample down to a share from `zoom` and up again, as thick or coarse scans look."""

    kind: Literal["low-resolution"]
    zoom: Range = (0.5, 1.0)


class Bias(_Chance):
    """Multiply by a smooth field, a polynomial with coefficients up to `strength`, as coils make it."""

    kind: Literal["bias"]
    strength: float = Field(0.3, gt=0, le=1)


class ModalityDropout(_Chance):
    """Take modalities away, down to one of the sets that the model accepts; their stand-ins take over."""

    kind: Literal["missing"]


class ModalitySwap(_Chance):
    """Hand over one of `roles` as all of the channels, in which nothing is to be found.

    So the network learns what `instead_of` looks like, and not only where the bright is. Slices on which the
    modality repeats that one, since it was never acquired, are left alone.
    """

    kind: Literal["mistaken"]
    roles: tuple[Role, ...] = Field((Role.T1, Role.T1C), min_length=1)
    instead_of: Role = Role.FLAIR


class CopyPaste(_Chance):
    """Lay the tumour of another training slice over the tissue of this one, up to `shift` pixels away.

    It comes before all others, whatever its place in the list, and only where both references know all.
    """

    kind: Literal["paste"]
    shift: int = Field(16, ge=0)


class Appearance(_Chance):
    """Change how the parts of a tumour look: brightness, contrast and texture of each in each channel.

    Few patients show few kinds of tumour; outlines are what they teach, not grey values.

    Attributes
    ----------
    shift : tuple of float
        For each output from the outermost inwards, how far the brightness of the part that it has beyond
        the next one moves at most, in units of the normalised image.
    level : tuple of tuple of (low, high)
        For each output, for each channel, the mean above the background that the part gets instead of being
        moved by `shift`: a core may be as dark as fluid or as bright as oedema, whatever it was. Empty for an
        output: `shift`.
    unenhanced : float
        Chance that patches of the innermost output lose their enhancement: they leave it, and take the mean
        of the part around it.
    contrast : (low, high)
        Factors of the contrast within a part.
    texture : float
        Largest amplitude of a smooth pattern that is added.
    """

    kind: Literal["appearance"]
    shift: tuple[float, ...] = (0.5, 1.5, 1.0)
    level: tuple[tuple[Range, ...], ...] = ()
    unenhanced: float = Field(0.0, ge=0, le=1)
    contrast: Range = (0.4, 1.4)
    texture: float = Field(0.3, ge=0)


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
    | Appearance,
    Field(discriminator="kind"),
]
"""Any of them; a recipe names it by `kind`."""
