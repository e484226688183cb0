"""Brain-tumour segmentation in MRI: a library, a command line and a napari plugin. Research use only.

>>> import napari_tumorseg as ts
>>> scan = ts.read("BraTS-GLI-00001-000")  # doctest: +SKIP
>>> seg = ts.segment(scan, "brats-regions")  # doctest: +SKIP
>>> ts.measure(seg)  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_tumorseg._version import __version__

if TYPE_CHECKING:
    from napari_tumorseg.cohorts import CohortSettings, cohort
    from napari_tumorseg.inference import Settings, segment
    from napari_tumorseg.io import open_case, read, read_mask, write_bids, write_mask
    from napari_tumorseg.measurement import measure
    from napari_tumorseg.models import get_model, list_models

_HOME = {
    "CohortSettings": "cohorts",
    "Settings": "inference",
    "cohort": "cohorts",
    "get_model": "models",
    "list_models": "models",
    "measure": "measurement",
    "open_case": "io",
    "read": "io",
    "read_mask": "io",
    "segment": "inference",
    "write_bids": "io",
    "write_mask": "io",
}

__all__ = [
    "CohortSettings",
    "Settings",
    "__version__",
    "cohort",
    "get_model",
    "list_models",
    "measure",
    "open_case",
    "read",
    "read_mask",
    "segment",
    "write_bids",
    "write_mask",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the plugin costs napari's start-up nothing."""
    if name in _HOME:
        return getattr(import_module(f"napari_tumorseg.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
