"""Settings of an evaluation, and the meaning of its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from napari_tumorseg.errors import InputError
from napari_tumorseg.inference.settings import Settings
from napari_tumorseg.measurement import LESION_METRICS, LESION_RULES, METRICS

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
        **{metric.title: metric.tip for metric in METRICS.values()},
        **{metric.title: metric.tip for metric in LESION_METRICS.values()},
        "sd": "standard deviation of the sample (n - 1)",
        "unknown voxel size": "values in mm or mL are left empty; n counts the cases that have them",
        "trained on": "the model has seen this patient: the score proves nothing",
    }
)
"""Meaning of the figures; stands in every output."""

AT_NETWORK_SIZE = (
    "per-slice figures at the network's own size: whole slices as the network gives them, without "
    "post-processing, against the reference resampled linearly and cut at one half"
)


UNSEEN_MEMBERS = (
    "each case is run with those members of the model only that were not trained on its patient; with all of "
    "them where each was"
)


@dataclass(frozen=True)
class EvaluationSettings:
    """Settings of an evaluation.

    Attributes
    ----------
    inference : Settings
        Settings of each run: device, flip, threshold, post-processing.
    slices : {"all", "tumour"}
        Whether per-slice figures are taken over all slices, too, or only those with tumour in the reference.
        Figures in 3-D are of the whole volume in any case.
    at_network_size : bool
        Take per-slice figures at the network's own size instead of the scan's; the network runs once more
        on whole slices, and there is no post-processing.
    labels : str or None
        Label convention of reference masks whose files do not state it.
    same_voxels : bool
        Take files of equal shape voxel for voxel, whatever their affines say.
    lesions : str
        Task of BraTS 2023 whose rules the lesion-wise scores follow: ``"GLI"``, ``"MEN"`` or ``"MET"``.
    unseen_members : bool
        Run each case with those members of an ensemble only that were not trained on its patient, and with
        all where each of them was.
    """

    inference: Settings = field(default_factory=Settings)
    slices: SliceChoice = "all"
    at_network_size: bool = False
    labels: str | None = None
    same_voxels: bool = False
    lesions: str = "GLI"
    unseen_members: bool = False

    def __post_init__(self) -> None:
        if self.slices not in ("all", "tumour"):
            raise InputError(f"slices are all or tumour, not {self.slices!r}")
        if self.lesions not in LESION_RULES:
            raise InputError(f"there are lesion rules for {', '.join(LESION_RULES)}, not {self.lesions!r}")
        if self.inference.slices is not None:
            raise InputError("whole volumes are evaluated; a range of slices cannot be")

    @property
    def variants(self) -> tuple[SliceChoice, ...]:
        """Slices over which per-slice figures are taken."""
        return ("all", "tumour") if self.slices == "all" else ("tumour",)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that concern the evaluation alone as plain types, for JSON."""
        return {
            "slices": self.slices,
            "per_slice_size": "network" if self.at_network_size else "scan",
            "labels": self.labels,
            "same_voxels": self.same_voxels,
            "lesion_rules": f"BraTS 2023 {self.lesions}",
            "unseen_members": self.unseen_members,
        }
