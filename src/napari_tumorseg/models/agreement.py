"""Agreement of a model's masks in a reduced precision with those in float32, as its card states it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from napari_tumorseg.toml_table import TomlTable

ReducedPrecision: TypeAlias = Literal["bfloat16", "int8"]
"""Precisions whose masks differ from those of float32."""

_Dice: TypeAlias = Annotated[float, Field(ge=0, le=1)]

MEAN_DICE, LEAST_DICE, REFERENCE_CHANGE = 0.999, 0.997, 0.001
"""Limits within which a reduced precision replaces float32 by default."""


class Agreement(TomlTable):
    """Agreement of masks in a reduced precision with those in float32, of the same weights and scans.

    Every region counts that is not empty in both, however small. The differences in volume are of regions
    that are not empty in float32.

    Attributes
    ----------
    sha256 : str
        SHA-256 of the measured weights; the figures do not apply to other weights.
    scans : int
        Scans that were segmented in both precisions.
    mean, least : float
        Mean and smallest Dice between the two masks, over scans and regions.
    volume_percent, volume_percent_most : float
        Mean and largest absolute difference of a region's volume, in per cent of that in float32.
    references : int
        Scans that have a reference mask.
    dice, dice_float32 : float or None
        Mean Dice against the references in the reduced precision and in float32.
    measured_with : str
        Library and processor.
    """

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scans: int = Field(ge=1)
    mean: _Dice
    least: _Dice
    volume_percent: float = Field(ge=0)
    volume_percent_most: float = Field(ge=0)
    references: int = Field(0, ge=0)
    dice: _Dice | None = None
    dice_float32: _Dice | None = None
    measured_with: str = ""

    @property
    def sufficient(self) -> bool:
        """True if the precision may replace float32 by default."""
        if self.dice is None or self.dice_float32 is None:
            return False
        change = round(abs(self.dice - self.dice_float32), 6)  # figures are stored to a few digits
        return self.mean >= MEAN_DICE and self.least >= LEAST_DICE and change <= REFERENCE_CHANGE

    def as_text(self) -> str:
        """Return the figures as one sentence."""
        text = (
            f"Dice with float32's masks mean {self.mean:.4f}, least {self.least:.4f} on {self.scans} scans, "
            f"volumes differ by {self.volume_percent:.2f} %, at most {self.volume_percent_most:.2f} %"
        )
        if self.dice is None or self.dice_float32 is None:
            return text
        return (
            f"{text}; Dice against {self.references} references {self.dice:.4f} instead of "
            f"{self.dice_float32:.4f}"
        )
