"""Metrics of agreement: one table that every output reads, and the row that holds their values.

To add a metric, add its entry to `METRICS` and a field of the same name to `RegionAgreement`: it then stands
in CSV, JSON, the HTML pages, the terminal and the panel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

from napari_tumorseg.measurement.comparison import Comparison
from napari_tumorseg.measurement.confusion import Confusion

NONE = "\N{EM DASH}"
"""Text in place of a number that does not exist."""

Table = Literal["agreement", "cases", "summary"]
"""Narrow tables: agreement of a case, cases of an evaluation, summary of an evaluation on a terminal."""

BETTER: Mapping[str, str] = MappingProxyType(
    {"higher": "higher is better", "lower": "lower is better", "zero": "best near zero"}
)


@dataclass(frozen=True)
class Metric:
    """Definition of a metric, and how its values are written.

    Attributes
    ----------
    title : str
        Name for people, without the unit.
    definition : str
        Formula or convention, as a tooltip shows it.
    of : callable, optional
        Computes it from two masks; None where it needs more than these.
    of_counts : callable, optional
        Computes it from voxel counts; such metrics are also taken slice by slice.
    unit : str
        Empty for a ratio.
    decimals : int
        Digits after the point in texts.
    better : {"higher", "lower", "zero"}
        Direction of improvement.
    short : str
        Title for narrow tables, if the other is too long.
    same_as : str
        Name of another metric with the same values; tables that compare metrics leave this one out.
    tables : tuple of str
        Narrow tables that show it; all others show every metric.
    """

    title: str
    definition: str
    of: Callable[[Comparison], float | None] | None = None
    of_counts: Callable[[Confusion], float] | None = None
    unit: str = ""
    decimals: int = 3
    better: Literal["higher", "lower", "zero"] = "higher"
    short: str = ""
    same_as: str = ""
    tables: tuple[Table, ...] = ()

    @property
    def heading(self) -> str:
        """Title with the unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def column(self) -> str:
        """Heading of a column; short if there is a unit."""
        return f"{self.short or self.title} ({self.unit})" if self.unit else self.title

    @property
    def tip(self) -> str:
        """Definition and direction of improvement."""
        return f"{self.definition}; {BETTER[self.better]}"

    def value(self, pair: Comparison) -> float | None:
        """Return its value for two masks; None where it is not known."""
        if self.of_counts is not None:
            return self.of_counts(pair.counts)
        return None if self.of is None else self.of(pair)

    def text(self, value: float | None) -> str:
        """Return a value as text, errors with their sign, a dash for None."""
        if value is None:
            return NONE
        sign = "+" if self.better == "zero" else ""
        return f"{value:{sign}.{self.decimals}f}"


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "dice": Metric(
            "Dice",
            "2 TP / (2 TP + FP + FN)",
            of_counts=lambda n: n.dice,
            tables=("agreement", "cases"),
        ),
        "iou": Metric("IoU", "TP / (TP + FP + FN)", of_counts=lambda n: n.iou, tables=("agreement",)),
        "accuracy": Metric(
            "accuracy",
            "(TP + TN) / all voxels of the image",
            of_counts=lambda n: n.accuracy,
            short="acc.",
        ),
        "precision": Metric(
            "precision",
            "TP / (TP + FP)",
            of_counts=lambda n: n.precision,
            short="prec.",
            tables=("agreement", "summary"),
        ),
        "sensitivity": Metric(
            "sensitivity",
            "TP / (TP + FN)",
            of_counts=lambda n: n.sensitivity,
            short="sens.",
            tables=("agreement", "summary"),
        ),
        "specificity": Metric(
            "specificity", "TN / (TN + FP)", of_counts=lambda n: n.specificity, short="spec."
        ),
        "f1": Metric("F1", "the same as Dice, for masks", of_counts=lambda n: n.f1, same_as="dice"),
        "mse": Metric(
            "MSE of probabilities",
            "mean squared error of the model's probabilities (in steps of 1/255; 0 where nothing was run) "
            "against the 0/1 reference, over all voxels (Brier score)",
            decimals=5,
            better="lower",
        ),
        "hd95_mm": Metric(
            "HD95",
            "95th percentile of surface distances, the larger of the two directions, in mm",
            lambda pair: pair.hd95_mm,
            unit="mm",
            decimals=1,
            better="lower",
            tables=("agreement", "cases", "summary"),
        ),
        "nsd_1mm": Metric(
            "NSD at 1 mm",
            "share of both surfaces within 1 mm of the other, not weighted by area",
            lambda pair: pair.nsd(1),
        ),
        "nsd_2mm": Metric(
            "NSD at 2 mm",
            "share of both surfaces within 2 mm of the other, not weighted by area",
            lambda pair: pair.nsd(2),
            short="NSD",
            tables=("summary",),
        ),
        "volume_error_ml": Metric(
            "volume error",
            "volume of the mask less that of the reference",
            lambda pair: pair.volume_error_ml,
            unit="mL",
            decimals=2,
            better="zero",
            short="error",
            tables=("agreement",),
        ),
        "volume_error_percent": Metric(
            "volume error",
            "volume of the mask less that of the reference, in % of the reference; none where only the "
            "reference is empty",
            lambda pair: pair.volume_error_percent,
            unit="%",
            decimals=1,
            better="zero",
            short="error",
            tables=("agreement", "cases"),
        ),
    }
)
"""Metrics of a label or region, by the name they have in files."""

SLICE_METRICS: Mapping[str, Metric] = MappingProxyType(
    {name: metric for name, metric in METRICS.items() if metric.of_counts}
)
"""Those that are also taken slice by slice."""

_LESIONS = "mean over the reference's lesions and the false positives (BraTS 2023)"

LESION_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "dice": Metric("lesion-wise Dice", f"Dice, {_LESIONS}", short="lesions", tables=("summary",)),
        "hd95_mm": Metric(
            "lesion-wise HD95",
            "95th percentile of surface distances weighted by area, the larger of the two directions, in mm "
            f"(374 for a missed lesion); {_LESIONS}",
            unit="mm",
            decimals=1,
            better="lower",
        ),
        "found": Metric("lesions found", "lesions of the reference that were found", decimals=2),
        "missed": Metric(
            "lesions missed", "lesions of the reference that were missed", decimals=2, better="lower"
        ),
        "false_positives": Metric(
            "false components",
            "components of the mask that touch no lesion of the reference",
            decimals=2,
            better="lower",
        ),
    }
)
"""Attributes of `LesionScores` that are summarised."""


@dataclass(frozen=True)
class RegionAgreement:
    """Agreement of one label or region with the reference.

    Metrics are None where they need a voxel size that is unknown; their definitions are in `METRICS`.

    Attributes
    ----------
    name : str
        Abbreviation of the label or name of the region.
    kind : {"label", "region"}
        Whether it is a label or a region.
    title : str
        Full name.
    voxels, reference_voxels : int
        Size in the segmentation and in the reference.
    dice, iou, accuracy, precision, sensitivity, specificity, f1 : float
        Over all voxels of the image, as `Confusion` defines them.
    hd95_mm, nsd_1mm, nsd_2mm : float or None
        From the distances between both surfaces.
    volume_error_ml, volume_error_percent : float or None
        Segmentation less reference.
    flags : tuple of str
        ``"both empty"``, ``"segmentation empty"`` or ``"reference empty"`` where a mask is empty.
    """

    name: str
    kind: Literal["label", "region"]
    title: str
    voxels: int
    reference_voxels: int
    dice: float
    iou: float
    accuracy: float
    precision: float
    sensitivity: float
    specificity: float
    f1: float
    hd95_mm: float | None
    nsd_1mm: float | None
    nsd_2mm: float | None
    volume_error_ml: float | None
    volume_error_percent: float | None
    flags: tuple[str, ...]

    def metric(self, name: str) -> float | None:
        """Return one of `METRICS` that masks alone give."""
        value: float | None = getattr(self, name)
        return value

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain types, for JSON."""
        return {**asdict(self), "flags": list(self.flags)}


MASK_METRICS: Mapping[str, Metric] = MappingProxyType(
    {name: metric for name, metric in METRICS.items() if metric.of or metric.of_counts}
)
"""Those that masks alone give, without a model's probabilities."""


def in_table(metrics: Mapping[str, Metric], table: Table) -> dict[str, Metric]:
    """Return the metrics that a narrow table shows."""
    return {name: metric for name, metric in metrics.items() if table in metric.tables}
