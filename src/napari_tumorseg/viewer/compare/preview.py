"""Layers that show a registered scan over its target, for visual approval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image as ImageLayer

from napari_tumorseg.measurement.registration import Rigid
from napari_tumorseg.scan import Scan
from napari_tumorseg.viewer.layers.to_layers import contrast_limits, placement
from napari_tumorseg.viewer.layers.views import add_view, remove_views, view_metadata

if TYPE_CHECKING:
    from napari import Viewer

KIND = "registration"


def show_preview(viewer: Viewer, rigid: Rigid, fixed: Scan) -> list[ImageLayer]:
    """Show both scans in green and magenta, which add up to grey where they agree."""
    hide_preview(viewer)
    preview = rigid.preview
    if preview is None:
        return []
    under = fixed.roles.get(preview.role, fixed.reference)
    pair = (
        (under.data, "green", f"registration: {fixed.case} (earlier, green)"),
        (preview.data, "magenta", "registration: later scan, moved (magenta)"),
    )
    layers = [
        ImageLayer(
            data,
            name=name,
            colormap=colour,
            blending="additive" if number else "opaque",
            contrast_limits=contrast_limits(data),
            metadata=view_metadata(KIND),
            **placement(rigid.fixed),
        )
        for number, (data, colour, name) in enumerate(pair)
    ]
    for layer in layers:
        add_view(viewer, layer)
    return layers


def hide_preview(viewer: Viewer) -> None:
    """Remove the preview."""
    remove_views(viewer, KIND)


def registration_text(rigid: Rigid) -> str:
    """Return the motion in words, and how to judge it."""
    better = ""
    if rigid.metric_before is not None and rigid.metric_after is not None:
        better = f" Mutual information rose from {rigid.metric_before:.2f} to {rigid.metric_after:.2f}."
        if rigid.metric_after <= rigid.metric_before:
            better = " Mutual information did not rise: look closely."
    return (
        f"Turned by {rigid.rotation_degrees:.1f}° and moved by {rigid.shift_mm:.1f} mm ({rigid.channel})."
        f"{better} Step through the slices: the picture is grey where both scans fit; green or "
        "magenta edges of skull and ventricles show that they do not."
    )
