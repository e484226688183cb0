"""Reports: tables, sentences, pictures and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tumorseg.report.tables import (
    agreement_table,
    diameters_table,
    summary,
    to_csv,
    to_json,
    to_rich,
)

if TYPE_CHECKING:
    from napari_tumorseg.report.case import write_case_report
    from napari_tumorseg.report.overlay_image import overlay

__all__ = [
    "agreement_table",
    "diameters_table",
    "overlay",
    "summary",
    "to_csv",
    "to_json",
    "to_rich",
    "write_case_report",
]


def __getattr__(name: str) -> object:
    """Import functions that draw only if they are used: they need Pillow and scikit-image."""
    if name == "overlay":
        from napari_tumorseg.report.overlay_image import overlay

        return overlay
    if name == "write_case_report":
        from napari_tumorseg.report.case import write_case_report

        return write_case_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
