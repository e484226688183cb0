"""Facts about a scan that several steps of a run need, found once and passed on."""

from __future__ import annotations

from functools import cached_property

from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.foreground import foreground
from napari_tumorseg.intensity import IntensityRange, looks_stripped
from napari_tumorseg.models.card import Foreground
from napari_tumorseg.scan import Scan

_FACE = "the face may still be in this scan: deface it, or extract the brain, before sharing"


class ScanAnalysis:
    """Intensity range, skull and brain of a scan, from its reference image.

    Each is computed on first use, since a run seldom needs all three.

    Parameters
    ----------
    scan : Scan
        Its reference image and brain mask are used.
    stripped : bool, optional
        Whether the skull is removed, if that is known already.
    """

    def __init__(self, scan: Scan, stripped: bool | None = None) -> None:
        self._scan = scan
        self._known_stripped = stripped

    @cached_property
    def intensity_range(self) -> IntensityRange:
        """Background and range of the reference image."""
        return IntensityRange.of(self._scan.reference.data)

    @cached_property
    def stripped(self) -> bool:
        """True if the skull seems to be removed."""
        if self._known_stripped is not None:
            return self._known_stripped
        return looks_stripped(self._scan.reference.data, self.intensity_range)

    @property
    def privacy_warning(self) -> str:
        """Sentence on a head with its skull, which a face can be drawn from; empty for a brain or one slice.

        Whether the face itself was removed is not looked for.
        """
        return "" if self.stripped or self._scan.grid.shape[0] < 2 else _FACE

    @cached_property
    def brain(self) -> Array | None:
        """The scan's brain mask, else the foreground of a skull-stripped scan, else None."""
        if self._scan.brain_mask is not None:
            return self._scan.brain_mask
        if not self.stripped:
            return None
        return foreground(self._scan.reference.data, Foreground(), self.intensity_range)
