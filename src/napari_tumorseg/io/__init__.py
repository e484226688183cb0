"""Reading of scans and masks, and writing of masks, in every format.

`open_case` returns everything that a file or folder holds; `read` goes on to a `Scan`, its channels on
one grid; `write_mask` chooses the format by the ending. `formats` has the table of formats.
"""

from napari_tumorseg.io.case import Case, Mask
from napari_tumorseg.io.formats import side_file
from napari_tumorseg.io.reading import list_cases, open_case, read, read_mask, readable
from napari_tumorseg.io.writing import write_lgg, write_mask, write_probabilities

__all__ = [
    "Case",
    "Mask",
    "list_cases",
    "open_case",
    "read",
    "read_mask",
    "readable",
    "side_file",
    "write_lgg",
    "write_mask",
    "write_probabilities",
]
