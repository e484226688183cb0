"""Sample scans of the package."""

from __future__ import annotations

from pathlib import Path

from napari_tumorseg.errors import InputError

_INSIDE = {"brats": "TumorSeg-Sample-000", "hdf5": "", "lgg": "TumorSeg_Sample"}

KINDS = tuple(_INSIDE)
"""Layouts in which the sample is there: BraTS NIfTI, HDF5 slices, LGG-style TIFF."""


def sample_path(kind: str = "brats") -> Path:
    """Return the folder of the sample scan in a layout.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Raises
    ------
    InputError
        If there is no such layout, or the package was installed without its samples.
    """
    if kind not in _INSIDE:
        raise InputError(f"there is no sample {kind!r}; there are {', '.join(KINDS)}")
    package = Path(__file__).resolve().parent
    # in the wheel the samples lie in the package, in a checkout at the top level
    for base in (package / "sample_data", package.parents[1] / "sample_data"):
        found = base / kind / _INSIDE[kind]
        if found.is_dir():
            return found
    raise InputError("the sample scans are missing; install the package anew, from a wheel or a checkout")
