"""Post-processing steps: the one table that cards, recipes, command-line options and widgets follow.

A new step is a field here and a few lines in `inference.postprocess`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from napari_tumorseg.toml_table import TomlTable

OLD_NAMES: Mapping[str, str] = {"certain_voxels": "min_confident_voxels"}
"""Names of steps in files and commands written for earlier versions, and their names today."""

_MM: JsonDict = {"unit": "mm", "increment": 0.5}
_MM3: JsonDict = {"unit": "mm³", "increment": 10}
_VOXELS: JsonDict = {"unit": "voxels"}


class PostSettings(TomlTable):
    """Post-processing steps to be taken, in the order of the fields; zero and False leave a step out.

    Attributes
    ----------
    inside_brain : bool
        Remove what lies outside the brain mask.
    opening_mm : float
        Remove what a ball of this radius does not fit into (spurs, thin bridges).
    closing_mm : float
        Close gaps that a ball of this radius does not fit into.
    fill_holes : bool
        Fill what is enclosed in three dimensions.
    min_component_mm3 : float
        Remove components smaller than this.
    min_confident_voxels : int
        Remove components of the whole tumour in which the model is confident of fewer voxels: where it is
        nowhere sure, there is mostly no tumour. In voxels, so that it works without a voxel size.
        Cards written before `min_evidence` have it; it removes every tumour smaller than this.
    min_evidence : float
        Remove components of the whole tumour with less evidence, the mean log-odds of tumour in their
        surest tenth of a millilitre (see `inference.evidence`): small tumours stay if the model is sure.
    largest_only : bool
        Keep only the largest component of the whole tumour: the one with the largest sum of
        probabilities, or of most voxels where these are not known.
    """

    inside_brain: bool = Field(
        False,
        title="Inside the brain only",
        description="Removes what lies outside the brain; needs a brain mask, or a scan without skull",
    )
    opening_mm: float = Field(
        0.0,
        ge=0,
        title="Opening",
        description="Removes spurs and bridges that a ball of this radius does not fit into",
        json_schema_extra=_MM,
    )
    closing_mm: float = Field(
        0.0,
        ge=0,
        title="Closing",
        description="Closes gaps that a ball of this radius does not fit into",
        json_schema_extra=_MM,
    )
    fill_holes: bool = Field(
        False, title="Fill holes", description="Fills holes that are enclosed in three dimensions"
    )
    min_component_mm3: float = Field(
        0.0,
        ge=0,
        title="Drop parts below",
        description="Removes parts smaller than this",
        json_schema_extra=_MM3,
    )
    min_confident_voxels: int = Field(
        0,
        ge=0,
        title="Confident in at least",
        description="Removes parts in which the model is confident of fewer voxels; 0 keeps all",
        json_schema_extra=_VOXELS,
    )
    min_evidence: float = Field(
        0.0,
        ge=0,
        title="Evidence at least",
        description=(
            "Removes parts of which the model is less sure: mean log-odds of their surest 0.1 mL "
            "(3 is a probability of 0.95); 0 keeps all"
        ),
        json_schema_extra={"increment": 0.5},
    )
    largest_only: bool = Field(
        False, title="Largest tumour only", description="Keeps only the largest part of the whole tumour"
    )

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {OLD_NAMES.get(name, name): value for name, value in given.items()}

    @property
    def needs_levels(self) -> bool:
        """True if a step looks at the probabilities of tumour."""
        return self.largest_only or self.min_evidence > 0

    @classmethod
    def steps(cls) -> tuple[Step, ...]:
        """Return the fields as a user sees them."""
        return tuple(Step.of(name) for name in cls.model_fields)


class Step(NamedTuple):
    """Description of one post-processing step.

    Attributes
    ----------
    name : str
        Its field of `PostSettings`.
    kind : type
        ``bool``, ``int`` or ``float``.
    title, help : str
        A few words for a form, and a sentence on what it does.
    unit : str
        Of its number; empty for a switch.
    increment : float
        By which a form changes its number.
    """

    name: str
    kind: type[bool | int | float]
    title: str
    help: str
    unit: str
    increment: float

    @classmethod
    def of(cls, name: str) -> Step:
        """Return the description of a field of `PostSettings`."""
        field = PostSettings.model_fields[name]
        extra: Any = field.json_schema_extra or {}
        kind = type(field.default)
        more = (extra.get("unit", ""), extra.get("increment", 1))
        return cls(name, kind, field.title or name, field.description or "", *more)

    @property
    def needs_voxel_size(self) -> bool:
        """Whether its number is a length or volume."""
        return self.unit.startswith("mm")

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title
