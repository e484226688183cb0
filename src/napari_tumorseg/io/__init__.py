"""Reading of scans and masks, and writing of masks, in every format.

`open_case` returns everything that a file or folder holds; `read` goes on to a `Scan`, its channels on
one grid; `write_mask` chooses the format by the ending. `formats` has the table of formats.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_tumorseg.io.bids.writing import write_bids
    from napari_tumorseg.io.case import Case, Mask
    from napari_tumorseg.io.formats import side_file
    from napari_tumorseg.io.reading import list_cases, open_case, read, read_mask, readable
    from napari_tumorseg.io.writing import (
        write_dicom_probabilities,
        write_dicom_seg,
        write_lgg,
        write_mask,
        write_probabilities,
    )

_HOME = {
    "Case": "case",
    "Mask": "case",
    "list_cases": "reading",
    "open_case": "reading",
    "read": "reading",
    "read_mask": "reading",
    "readable": "reading",
    "side_file": "formats",
    "write_bids": "bids.writing",
    "write_dicom_probabilities": "writing",
    "write_dicom_seg": "writing",
    "write_lgg": "writing",
    "write_mask": "writing",
    "write_probabilities": "writing",
}

__all__ = [
    "Case",
    "Mask",
    "list_cases",
    "open_case",
    "read",
    "read_mask",
    "readable",
    "side_file",
    "write_bids",
    "write_dicom_probabilities",
    "write_dicom_seg",
    "write_lgg",
    "write_mask",
    "write_probabilities",
]


def __getattr__(name: str) -> Any:
    """Import a name on first use: napari asks for the table of formats at start-up, without the readers."""
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
