"""What an evaluation can be told, and what its figures mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from napari_tumorseg.errors import InputError
from napari_tumorseg.inference.settings import Settings
from napari_tumorseg.measure import LESION_RULES

SliceChoice = Literal["all", "tumour"]
"""Slices that per-slice figures are taken over: every one, or those whose reference shows tumour."""

CONVENTIONS: Mapping[str, str] = MappingProxyType(
    {
        "3-D per case": "over all voxels of a case's volume at the scan's own size, after post-processing; "
        "the summary is over cases",
        "per slice": "each slice of the model's plane scored alone, each counting the same; 'all slices' are "
        "those of the whole volume, 'slices with tumour' those whose reference has any tumour",
        "pooled": "pixels of all slices of all cases together, then one ratio: large tumours weigh more",
        "lesion-wise": "BraTS 2023: mean over the reference's lesions and the false positives of each case",
        "both empty": "Dice, IoU, precision and sensitivity 1, HD95 0, NSD 1; one empty: 0, HD95 the "
        "diagonal of the image (lesion-wise 374 mm), NSD 0",
        "HD95": "larger of the two directed 95th percentiles of surface distances, in mm",
        "NSD": "share of both surfaces within 1 or 2 mm of the other, not weighted by area",
        "MSE": "of the model's probabilities (in steps of 1/255; 0 where nothing was run) against the 0/1 "
        "reference, over all voxels",
        "volume error": "segmentation less reference; in % empty where the reference alone is empty",
        "sd": "standard deviation of the sample (n - 1)",
        "unknown voxel size": "what is in mm or mL is left empty, and n tells how many cases have it",
        "trained on": "the model has seen this patient: the score proves nothing",
    }
)
"""What the figures mean; goes into every output."""

AT_NETWORK_SIZE = (
    "per-slice figures at the network's own size: whole slices as the network gives them, without "
    "post-processing, against the reference resampled linearly and cut at one half"
)


@dataclass(frozen=True)
class EvaluationSettings:
    """How a model is evaluated.

    Attributes
    ----------
    inference : Settings
        How it is run: device, flip, threshold, post-processing.
    slices : {"all", "tumour"}
        Whether per-slice figures are taken over all slices, too, or only those with tumour in the reference.
        Figures in 3-D are of the whole volume in any case.
    at_network_size : bool
        Take per-slice figures at the network's own size instead of the scan's; the network runs once more
        on whole slices, and there is no post-processing.
    labels : str or None
        Label convention of reference masks that do not tell theirs.
    same_voxels : bool
        Take files of equal shape voxel for voxel, whatever their affines say.
    lesions : str
        Task of BraTS 2023 whose rules the lesion-wise scores follow: ``"GLI"``, ``"MEN"`` or ``"MET"``.
    """

    inference: Settings = field(default_factory=Settings)
    slices: SliceChoice = "all"
    at_network_size: bool = False
    labels: str | None = None
    same_voxels: bool = False
    lesions: str = "GLI"

    def __post_init__(self) -> None:
        if self.slices not in ("all", "tumour"):
            raise InputError(f"slices are all or tumour, not {self.slices!r}")
        if self.lesions not in LESION_RULES:
            raise InputError(f"there are lesion rules for {', '.join(LESION_RULES)}, not {self.lesions!r}")
        if self.inference.slices is not None:
            raise InputError("whole volumes are evaluated; a range of slices cannot be")

    @property
    def variants(self) -> tuple[SliceChoice, ...]:
        """Over which slices per-slice figures are told."""
        return ("all", "tumour") if self.slices == "all" else ("tumour",)

    def to_dict(self) -> dict[str, Any]:
        """Return what concerns the evaluation alone as what JSON can hold."""
        return {
            "slices": self.slices,
            "per_slice_size": "network" if self.at_network_size else "scan",
            "labels": self.labels,
            "same_voxels": self.same_voxels,
            "lesion_rules": f"BraTS 2023 {self.lesions}",
        }
