"""Table of the correction tools, and the functions behind them.

A new tool is a function from a `ToolInput` to a `Change` and a line in `TOOLS`: its button, key, help and
documentation follow from that line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from napari_tumorseg import edit
from napari_tumorseg.edit import ANY, Change
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.regions import LabelConvention
from napari_tumorseg.scan import Scan
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.widgets.commands import Command


class Need(Enum):
    """Requirement of a tool, checked before it runs."""

    COMPONENT = auto()
    """A component under the cursor, or at the next click."""
    UNLOCKED = auto()
    """The component is not locked."""
    LABEL = auto()
    """A selected label that the mask has."""
    LABEL_OR_BACKGROUND = auto()
    """A selected label that the mask has, or the background."""
    SLICE = auto()
    """A slice on the screen, so not 3-D."""
    IMAGES = auto()
    """The scan of the mask."""


@dataclass(frozen=True, eq=False)
class ToolInput:
    """State of the mask and of the page when a tool was started.

    Attributes
    ----------
    labels : (Z, Y, X) array of uint8
        Copy of the mask.
    grid : Grid
        Grid of the mask.
    convention : LabelConvention or None
        Meaning of the labels, where it is known.
    label : int
        Selected label.
    mm : float
        Distance set on the page.
    protected : frozenset of int
        Labels that other labels must not replace.
    region : frozenset of int or None
        Labels that form a component: ``ANY`` for the whole lesion, None for the label at the voxel.
    voxel : (Z, Y, X) or None
        Voxel pointed at.
    axis, slice_index : int
        Axis along which the viewer slices, and the current slice.
    scan : Scan or None
        Images of the case.
    """

    labels: Array
    grid: Grid
    convention: LabelConvention | None = None
    label: int = 0
    mm: float = 1.0
    protected: frozenset[int] = frozenset()
    region: frozenset[int] | None = ANY
    voxel: Index | None = None
    axis: int = 0
    slice_index: int = -1
    scan: Scan | None = None

    @property
    def spacing(self) -> tuple[float, float, float] | None:
        """Voxel size in mm, None where it is unknown."""
        return self.grid.spacing_mm

    @property
    def replaceable(self) -> frozenset[int]:
        """Labels that another label may replace, background included."""
        return frozenset(range(256)) - self.protected

    @property
    def label_name(self) -> str:
        """Short name of the selected label."""
        return name_in(self.convention, self.label)

    @property
    def target(self) -> Index:
        """Voxel pointed at; only for tools that need a component."""
        assert self.voxel is not None
        return self.voxel


@dataclass(frozen=True)
class Tool(Command):
    """A command that edits the mask as one undo step.

    Attributes
    ----------
    function : callable
        Returns the `Change` for a `ToolInput`, None for nothing to change; runs in a thread.
    title : str
        Name of the edit in messages and in the history; ``{label}`` and ``{mm}`` are filled in.
    needs : tuple of Need
        Requirements.
    """

    function: Callable[[ToolInput], Change | None]
    title: str
    needs: tuple[Need, ...] = ()

    @property
    def needs_component(self) -> bool:
        """Whether the user points at a component."""
        return Need.COMPONENT in self.needs

    @property
    def needs_label(self) -> bool:
        """Whether it edits the selected label."""
        return Need.LABEL in self.needs

    def title_for(self, on: ToolInput) -> str:
        """Return the title with the label and the distance filled in."""
        return self.title.format(label=on.label_name, mm=f"{on.mm:g}")


def name_in(convention: LabelConvention | None, value: int) -> str:
    """Return a label's short name in a convention, or its number where the convention lacks it."""
    if value == 0:
        return "background"
    return convention.label(value).short if convention and value in convention.values else f"label {value}"


def reject(on: ToolInput) -> Change | None:
    """Remove the component at the voxel."""
    return edit.reject_component(on.labels, on.target, region=on.region)


def keep_only(on: ToolInput) -> Change | None:
    """Remove all components but the one at the voxel."""
    return edit.keep_only_component(on.labels, on.target, region=on.region)


def relabel(on: ToolInput) -> Change | None:
    """Give the component of one label at the voxel the selected label."""
    return edit.relabel_component(on.labels, on.target, on.label)


def grow(on: ToolInput) -> Change | None:
    """Grow the selected label into labels that are not protected."""
    return edit.grow(on.labels, on.label, on.mm, on.spacing, into=on.replaceable)


def shrink(on: ToolInput) -> Change | None:
    """Shrink the selected label; the freed voxels go to its neighbours."""
    return edit.shrink(on.labels, on.label, on.mm, on.spacing)


def smooth(on: ToolInput) -> Change | None:
    """Smooth the selected label by mm, or by the majority around each voxel without a voxel size."""
    if on.spacing is None:
        return edit.smooth_median(on.labels, on.label, into=on.replaceable)
    return edit.smooth(on.labels, on.label, on.mm, on.spacing, into=on.replaceable)


def fill_between(on: ToolInput) -> Change | None:
    """Fill the gap between the two painted slices next to the current one.

    Raises
    ------
    InputError
        If the current slice does not lie in such a gap.
    """
    gap = edit.gap_at(on.labels, on.label, on.slice_index, on.axis)
    if gap is None:
        raise InputError(
            f"There is no gap in {on.label_name} around slice {on.slice_index}: turn to a slice between two "
            "painted ones."
        )
    return edit.fill_between(
        on.labels, on.label, on.axis, between=gap, into=on.replaceable, spacing=on.spacing
    )


def erase_outside(on: ToolInput) -> Change | None:
    """Erase all labels outside the brain mask, or outside the tissue of a scan without skull.

    Raises
    ------
    InputError
        If there is neither.
    """
    brain = ScanAnalysis(on.scan).brain if on.scan is not None else None
    if brain is None:
        raise InputError(
            "It is not known where the brain is: open a brain mask and give it that role on the page "
            "Segment, or take a scan without skull."
        )
    return edit.erase_outside(on.labels, brain, protected=on.protected)


LOCK = Command("lock", "Lock", "K", "Lock or unlock the component under the cursor")
TOOLS = (
    Tool(
        "reject", "Reject", "U", "Remove the component under the cursor",
        reject, "reject component", (Need.COMPONENT, Need.UNLOCKED),
    ),
    Tool(
        "keep_only", "Keep only", "Shift-K",
        "Remove all components but the one under the cursor and locked ones",
        keep_only, "keep only component", (Need.COMPONENT,),
    ),
    Tool(
        "relabel", "Relabel", "W", "Give the component under the cursor the selected label",
        relabel, "relabel component", (Need.COMPONENT, Need.UNLOCKED, Need.LABEL_OR_BACKGROUND),
    ),
    Tool("grow", "Grow", "G", "Grow the selected label", grow, "grow {label} by {mm} mm", (Need.LABEL,)),
    Tool(
        "shrink", "Shrink", "Shift-G", "Shrink the selected label",
        shrink, "shrink {label} by {mm} mm", (Need.LABEL,),
    ),
    Tool("smooth", "Smooth", "H", "Smooth the selected label", smooth, "smooth {label}", (Need.LABEL,)),
    Tool(
        "fill_between", "Fill between", "J",
        "Fill the selected label between the painted slices before and after the current slice",
        fill_between, "fill between slices", (Need.LABEL, Need.SLICE),
    ),
    Tool(
        "erase_outside", "Erase everything outside the brain", "Shift-U",
        "Erase all labels outside the brain",
        erase_outside, "erase outside the brain", (Need.IMAGES,),
    ),
)  # fmt: skip
"""All tools in the order of their buttons."""

CLICKS = Command("clicks", "Click", "Shift-C", "Correct the mask by clicks, scribbles and boxes, or stop")
RERUN_SLICE = Command("rerun_slice", "This slice", "Shift-R", "Run the model again on the current slice")
RERUN_BOX = Command("rerun_box", "In a box", "Shift-W", "Run the model again in a box")
NEXT_UNCERTAIN = Command(
    "next_uncertain", "Next most uncertain slice", "Q", "Go to the next most uncertain slice"
)

COMMANDS = (CLICKS, LOCK, *TOOLS, RERUN_SLICE, RERUN_BOX, NEXT_UNCERTAIN)
"""Everything on the page Correct that has a key."""
