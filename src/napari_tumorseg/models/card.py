"""Model cards: one description for built-in, trained and imported models.

A card is a TOML file beside the weights. It holds everything that inference
needs to know of a model; there is no code per model.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, ValidationError, field_validator, model_validator

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.agreement import Agreement, ReducedPrecision
from napari_tumorseg.models.architectures import ARCHITECTURES
from napari_tumorseg.models.origin import Origin
from napari_tumorseg.models.windows import Windows
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.post_settings import PostSettings
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import MODALITIES, Role
from napari_tumorseg.toml_table import TomlTable, first_problem, read_toml

MAX_MEMBERS = 32
"""More sets of weights than this in a model is a mistake in a card."""

MAX_RESIDUALS = 10_000
"""More patients than this do not make an interval better."""

Plane = Literal["axial", "coronal", "sagittal"]
AnyPlane = Literal[Plane, "acquired", "volume"]
Mean = Literal["probabilities", "logits"]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Percentage = Annotated[float, Field(ge=0, le=100)]
Side = Annotated[int, Field(ge=1, le=4096)]


class Network(TomlTable):
    """Architecture, by its name in `ARCHITECTURES`, and arguments of the network."""

    architecture: str = "unet"
    arguments: dict[str, Any] = Field(default_factory=dict)

    @field_validator("architecture")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ARCHITECTURES:
            raise ValueError(f"there is no architecture {name!r}; there are {', '.join(ARCHITECTURES)}")
        return name


class Foreground(TomlTable):
    """Rule for the voxels that are tissue, per channel.

    ``differs``: those that differ from the background value (the median of the volume's corners) by more
    than `tolerance`. ``fraction-of-max``: those above the background by more than `fraction` of what the
    maximum is above it (the 99.9th percentile where the maximum is a spike); on scans whose tissue lies on
    both sides of the background (z-scored inside the brain), those that differ from it. ``nonzero``, for
    volumes: those that are not 0 in any channel, and holes among them; all channels share them.
    """

    rule: Literal["differs", "fraction-of-max", "nonzero"] = "differs"
    tolerance: float = Field(1e-3, ge=0)
    fraction: Share = 0.1


class Normalisation(TomlTable):
    """Normalisation of intensities, per channel.

    ``zscore``: subtract the mean, divide by the standard deviation. ``minmax``: map minimum and maximum
    to 0 and 1. ``divide``: divide by `divisor`. ``none``: leave as they are. Statistics are those of the
    foreground, of all voxels or, for volumes, of the ``box`` of the foreground of all channels.
    """

    method: Literal["zscore", "minmax", "divide", "none"] = "zscore"
    scope: Literal["volume", "slice"] = "volume"
    statistics: Literal["foreground", "box", "all"] = "foreground"
    percentiles: tuple[Percentage, Percentage] | None = Field(
        None, description="clip to these percentiles of what the statistics are taken from, before all else"
    )
    divisor: Positive = 255.0
    clip: tuple[float, float] | None = Field(None, description="clip to this range in the end")
    background: Literal["keep", "zero"] = Field(
        "keep", description="whether background is normalised with the rest or set to 0 in the end"
    )

    @field_validator("percentiles", "clip")
    @classmethod
    def _check(cls, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        if pair is not None and not pair[0] < pair[1]:
            raise ValueError(f"{list(pair)} is not a lower and a higher number")
        return pair


class Size(TomlTable):
    """Size of the network's input, and the way from a slice to it.

    The slice is brought to `spacing` (where that and the scan's own are known), centred on a `canvas`
    (padded or cropped) or stretched to it, and reduced by means of `reduce` x `reduce` pixels. With
    ``contain``, a slice whose spacing is not known is scaled so that its longer side fills the canvas.
    """

    spacing: Positive | None = None
    canvas: tuple[Side, Side] | None = None
    fit: Literal["pad", "contain", "stretch"] = "pad"
    reduce: int = Field(1, ge=1, le=8)
    crop: bool = Field(
        True,
        description="whether the network runs on the tissue and a margin; false for networks that pool over "
        "the whole image, whose means depend on the background",
    )


class Input(TomlTable):
    """Images, slices and their preparation."""

    roles: tuple[Role, ...] = Field(min_length=1, description="modality of each input channel, in order")
    accepts: tuple[tuple[Role, ...], ...] = Field(
        (), description="sets of roles that suffice; all of `roles` where none is stated"
    )
    substitute: dict[Role, Role] = Field(
        default_factory=dict,
        description="which modality stands in for a missing one, and which for that one; else zeros",
    )
    plane: AnyPlane = Field(
        "axial",
        description="acquired: that of the thick slices of a scan, for models that know all three planes; "
        "volume: windows of the whole volume",
    )
    windows: Windows | None = Field(None, description="windows of a volume; with plane volume only")
    neighbours: int = Field(
        0, ge=0, le=4, description="slices on each side that come along, as further channels"
    )
    skull: Literal["present", "stripped", "any"] = "any"
    foreground: Foreground = Foreground()
    normalisation: Normalisation = Normalisation()
    size: Size = Size()

    @model_validator(mode="after")
    def _check(self) -> Input:
        for role in (*self.roles, *(r for s in self.accepts for r in s), *self.substitute.values()):
            if role not in MODALITIES:
                raise ValueError(f"{role} is not a modality; there are {', '.join(MODALITIES)}")
        for accepted in self.accepts:
            if not accepted or not set(accepted) <= {*self.roles, *self.substitute.values()}:
                raise ValueError(f"accepts {list(accepted)} is not a part of roles {list(self.roles)}")
        return self

    @model_validator(mode="after")
    def _check_plane(self) -> Input:
        problem = self._not_for_volumes() if self.plane == "volume" else self._only_for_volumes()
        if problem:
            raise ValueError(problem)
        return self

    def _not_for_volumes(self) -> str:
        if self.windows is None:
            return "plane volume needs a table windows with the patch of the network"
        if self.neighbours:
            return "plane volume has no neighbours: a window holds them"
        if self.normalisation.scope == "slice":
            return "plane volume is normalised as a whole, so normalisation.scope must be volume"
        return (
            "plane volume has no size; windows.spacing states that of voxels" if self.size != Size() else ""
        )

    def _only_for_volumes(self) -> str:
        found = {
            "a table windows": self.windows is not None,
            "foreground.rule nonzero": self.foreground.rule == "nonzero",
            "normalisation.statistics box": self.normalisation.statistics == "box",
        }
        return next((f"{name} needs plane volume" for name, there in found.items() if there), "")

    def source_of(self, role: Role, there: Collection[Role]) -> Role | None:
        """Return the modality given for a role: itself, or the first of its substitutes that is there."""
        tried: set[Role] = set()
        while role not in there:
            tried.add(role)
            if role not in self.substitute or self.substitute[role] in tried:
                return None
            role = self.substitute[role]
        return role

    @property
    def channels(self) -> int:
        """Channels of the network's input: all roles of a slice, then those of its neighbours."""
        return len(self.roles) * (2 * self.neighbours + 1)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Positions of the slices that go in, relative to the slice itself, which comes first."""
        return (0, *(sign * n for n in range(1, self.neighbours + 1) for sign in (-1, 1)))

    @property
    def sufficient(self) -> tuple[tuple[Role, ...], ...]:
        """Sets of roles with which the model runs, the fullest first."""
        return tuple(sorted(self.accepts or (self.roles,), key=len, reverse=True))

    @property
    def least(self) -> tuple[tuple[Role, ...], ...]:
        """Sets of roles with which the model runs and of which none can be left out."""
        found = self.sufficient
        return tuple(a for a in found if not any(set(b) < set(a) for b in found))


class Output(TomlTable):
    """Outputs of the network and the labels that they become.

    With ``sigmoid``, `labels` holds one label per output, painted in that order where the output exceeds
    `threshold`: nested regions are given from the outermost inwards. With ``softmax``, `labels` holds the
    label of each class, background (0) among them, and the most probable class wins.
    """

    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    names: tuple[str, ...] = Field(min_length=1)
    labels: tuple[int, ...] = Field(min_length=1)
    scheme: str
    threshold: float = Field(0.5, gt=0, lt=1)
    certain: float = Field(
        0.97, gt=0, lt=1, description="probability of any output that is counted as certain"
    )
    inside_foreground_of: Role | None = Field(None, description="labels only where this input has foreground")
    flip: bool = Field(
        False, description="average with the logits of the left-right flipped slice, or of mirrored windows"
    )
    mean: Mean = Field("probabilities", description="values of an ensemble's members that are averaged")

    @model_validator(mode="after")
    def _check(self) -> Output:
        if len(self.names) != len(self.labels):
            raise ValueError(f"{len(self.names)} names for {len(self.labels)} labels")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"two outputs have one name: {', '.join(self.names)}")
        if self.scheme not in CONVENTIONS:
            raise ValueError(f"there is no convention {self.scheme!r}; there are {', '.join(CONVENTIONS)}")
        strange = set(self.labels) - {0} - CONVENTIONS[self.scheme].values
        if strange:
            raise ValueError(f"the labels {sorted(strange)} are not in the convention {self.scheme}")
        if self.activation == "softmax" and len(self.labels) < 2:
            raise ValueError("softmax needs a label for each class, background among them")
        return self


class About(TomlTable):
    """Training data, figures, limits and licence, for people."""

    training: str = ""
    split: str = ""
    metrics: str = ""
    trained_on: tuple[str, ...] = Field((), description="cases whose scores prove nothing")
    limits: str = ""
    licence: str = "not stated"
    citation: str = ""


class Member(TomlTable):
    """One of several sets of weights whose probabilities (or logits, as `Output.mean` says) are averaged.

    The names of its tensors begin with its place among the members and a dot: ``0.``, ``1.``.
    """

    name: str = ""
    network: Network | None = Field(None, description="architecture and arguments, if not the card's own")
    unseen: tuple[str, ...] = Field(
        (), description="cases of about.trained_on whose patients this member was not trained on"
    )


class Intervals(TomlTable):
    """Errors of a region's volume on patients that the model had not seen, for intervals of volumes.

    ``log-ratio``: of each patient, the logarithm of reference over predicted volume, `floor_mm3` added to
    both. ``log-ratio-by-doubt``: that divided by the model's doubt about the region.
    """

    region: str
    score: Literal["log-ratio", "log-ratio-by-doubt"] = "log-ratio"
    floor_mm3: Positive = 100.0
    roles: tuple[Role, ...] = Field((), description="modalities that the patients had; the input's if empty")
    source: str = ""
    sha256: str = Field("", description="of the weights that it was made for; it holds for no others")
    residuals: tuple[float, ...] = Field((), max_length=MAX_RESIDUALS)


class Tuning(TomlTable):
    """Origin of a fine-tuned model, and its figures on patients that were left out.

    Attributes
    ----------
    parent, parent_version, parent_sha256 : str
        The model it was tuned from.
    cases : tuple of str
        Cases that it was tuned on.
    share : float
        Share of the tuned weights; the rest are the parent's.
    patients : int
        Left-out patients.
    dice_before, dice_after, p : float
        Their mean Dice with the parent and with the tuned networks, and the p of the paired test.
    rehearsal_change : float or None
        Mean change of Dice on rehearsal cases.
    """

    parent: str
    parent_version: str = ""
    parent_sha256: str = ""
    cases: tuple[str, ...] = ()
    share: Share = 1.0
    patients: int = Field(0, ge=0)
    dice_before: Share = 0.0
    dice_after: Share = 0.0
    p: Share = 1.0
    rehearsal_change: float | None = None


class ModelCard(TomlTable):
    """A model's card.

    Attributes
    ----------
    format : int
        Version of this layout.
    name, title, version, summary : str
        Names, version, and one sentence on what it does.
    network, input, output, postprocessing, about
        Its tables.
    fallback : bool
        Whether the model is for scans that lack what others need, and is chosen only where no other suits.
    sha256 : str
        Of the weights file; checked on loading where given.
    agreement : dict
        By reduced precision, how its masks agree with those in float32.
    members : tuple of Member
        Sets of weights in the file, for an ensemble; none where the file holds one set.
    intervals : tuple of Intervals
        From which the intervals of volumes follow, by region; none where they are not known.
    origin : Origin or None
        Of an imported model: its file, and its agreement with the original.
    tuned : Tuning or None
        Origin of a fine-tuned model.
    """

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str = ""
    version: str = "1"
    summary: str = ""
    fallback: bool = False
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    network: Network = Network()
    input: Input
    output: Output
    postprocessing: PostSettings = PostSettings()
    agreement: dict[ReducedPrecision, Agreement] = Field(default_factory=dict)
    about: About = About()
    members: tuple[Member, ...] = Field((), max_length=MAX_MEMBERS)
    intervals: tuple[Intervals, ...] = ()
    origin: Origin | None = None
    tuned: Tuning | None = None

    @field_validator("members")
    @classmethod
    def _several(cls, members: tuple[Member, ...]) -> tuple[Member, ...]:
        if len(members) == 1:
            raise ValueError("an ensemble has at least two members; a card of one set of weights lists none")
        return members

    @classmethod
    def from_toml(cls, path: Path) -> ModelCard:
        """Read a card.

        Raises
        ------
        ModelError
            If the file cannot be read or a field is wrong; the message names both.
        """
        try:
            return cls.model_validate(read_toml(path))
        except ValidationError as error:
            raise ModelError(f"the model card {path}: {first_problem(error)}") from error
        except ValueError as error:
            raise ModelError(f"the model card {path} {error}") from error

    def to_toml(self) -> str:
        """Return the card as TOML, without what is unset."""
        content = self.model_dump(mode="json", exclude_none=True)
        return tomli_w.dumps({k: v for k, v in content.items() if v not in ([], {})}, multiline_strings=True)

    def as_text(self) -> str:
        """Return the card for people."""
        lines = [
            f"{self.title or self.name} ({self.name}, version {self.version})",
            self.summary,
            "",
            f"Input: {_roles(self.input.roles)}; runs with {_alternatives(self.input)}; "
            f"{_slices(self.input)}, skull {self.input.skull}",
            f"Output: {', '.join(self.output.names)}, labels of {CONVENTIONS[self.output.scheme].title}",
        ]
        if self.members:
            lines.append(f"Weights: {len(self.members)} sets, whose {self.output.mean} are averaged")
        if self.tuned:
            lines.append(f"Fine-tuned from: {self.tuned.parent}, {len(self.tuned.cases)} cases")
        if self.intervals:
            known = ", ".join(f"{one.region} ({len(one.residuals)} patients)" for one in self.intervals)
            lines.append(f"Intervals of volumes: {known}")
        texts = (("Trained on", "training"), ("Split", "split"), ("Figures", "metrics"), ("Limits", "limits"))
        for title, key in texts:
            text = getattr(self.about, key)
            lines += [f"{title}: {text}"] if text else []
        lines += [f"In {name}: {found.as_text()}" for name, found in self.agreement.items()]
        lines += [self.origin.as_text()] if self.origin else []
        lines.append(f"Licence: {self.about.licence}")
        lines += [f"Cite: {self.about.citation}"] if self.about.citation else []
        lines.append(RESEARCH_USE)
        return "\n".join(lines)


def _roles(roles: tuple[Role, ...]) -> str:
    return ", ".join(role.title for role in roles)


def _slices(given: Input) -> str:
    if given.windows is not None:
        return given.windows.as_text()
    return "slices of any plane" if given.plane == "acquired" else f"{given.plane} slices"


def _alternatives(given: Input) -> str:
    return " or ".join(_roles(roles) for roles in given.least)
