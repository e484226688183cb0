"""Pure operations on label arrays for correction; each returns a `Change`.

None of them modifies the labels. A `Change` is applied by its `apply`, or as one undo step by
`napari.layers.Labels.data_setitem(*change.as_setitem())`; None stands for "nothing would change".
"""

from napari_tumorseg.edit.boxes import ANY
from napari_tumorseg.edit.change import Change, change_to, find_change
from napari_tumorseg.edit.components import (
    Component,
    component_at,
    keep_only_component,
    largest_slice,
    list_components,
    reject_component,
    relabel_component,
)
from napari_tumorseg.edit.counts import Count, LiveCounts, count_all
from napari_tumorseg.edit.interpolate import fill_between, gap_at
from napari_tumorseg.edit.merge import merge_rerun
from napari_tumorseg.edit.paint_constraints import allowed, erase_outside, repair_stroke
from napari_tumorseg.edit.resize import grow, shrink
from napari_tumorseg.edit.smooth import smooth, smooth_median

__all__ = [
    "ANY",
    "Change",
    "Component",
    "Count",
    "LiveCounts",
    "allowed",
    "change_to",
    "component_at",
    "count_all",
    "erase_outside",
    "fill_between",
    "find_change",
    "gap_at",
    "grow",
    "keep_only_component",
    "largest_slice",
    "list_components",
    "merge_rerun",
    "reject_component",
    "relabel_component",
    "repair_stroke",
    "shrink",
    "smooth",
    "smooth_median",
]
