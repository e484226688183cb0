"""Masks written to files, each with a side file: label convention and provenance as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from napari_tumorseg.errors import OutputError
from napari_tumorseg.io import nifti
from napari_tumorseg.io.atomic import atomic_path, check_target, flush
from napari_tumorseg.io.formats import WRITTEN_ENDINGS, side_file, written_format
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation


def write_mask(seg: Segmentation, path: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Write a mask, in the format that the ending says, and its side file.

    Parameters
    ----------
    seg : Segmentation
        What to write.
    path : path
        Its ending chooses the format: one of `formats.WRITTEN_ENDINGS`.
    overwrite : bool
        Whether files that exist may be replaced.

    Returns
    -------
    list of Path
        The mask and the JSON beside it (convention, labels, provenance).

    Raises
    ------
    OutputError
        If a file exists, cannot be written, or the ending is unknown; nothing is half-written.
    """
    path = Path(path)
    form = written_format(path)
    if form is None:
        endings = ", ".join(WRITTEN_ENDINGS)
        raise OutputError(f"{path}: a mask is written as one of {endings}; choose such an ending")
    side = side_file(path)
    with _side_file(seg, side, overwrite):
        form.writer().write_mask(seg, path, overwrite)
    return [path, side]


def write_lgg(seg: Segmentation, folder: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Write a mask slice by slice as the LGG layout has it, and its side file.

    Parameters
    ----------
    seg : Segmentation
        What to write; every label that is tumour becomes 255.
    folder : path
        Gets ``NAME_N_mask.tif``, numbered as the scan's own slices or from 1, and ``NAME_mask.json``.
    overwrite : bool
        Whether files that exist may be replaced.

    Returns
    -------
    list of Path
        The slices and the JSON.

    Raises
    ------
    OutputError
        If a file exists or cannot be written; nothing is written then.
    """
    folder = Path(folder)
    side = folder / f"{seg.name}_mask.json"
    with _side_file(seg, side, overwrite):
        from napari_tumorseg.io import tiff_writing

        written = tiff_writing.write_lgg(seg, folder, overwrite)
    return [*written, side]


def write_probabilities(seg: Segmentation, folder: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Write the probabilities that a run kept, one NIfTI file ``CASE_prob_NAME.nii.gz`` an output.

    They lie on the mask's grid, in steps of 1/255 (uint8, scaled by the header), 0 outside what was run.
    """
    paths = {name: Path(folder) / f"{seg.name}_prob_{name}.nii.gz" for name in seg.probabilities}
    for path in paths.values():
        check_target(path, overwrite)
    for name, path in paths.items():
        whole = np.zeros(seg.grid.shape, dtype=np.uint8)
        whole[seg.probability_box or ()] = seg.probabilities[name]
        nifti.write_bytes_as(whole, seg.grid, path, slope=1 / 255, overwrite=overwrite)
    return list(paths.values())


@contextmanager
def _side_file(seg: Segmentation, path: Path, overwrite: bool) -> Iterator[None]:
    """Stage the JSON beside a mask; it gets its name once the mask has been written in the block."""
    description = json.dumps(_description(seg), indent=2) + "\n"
    with atomic_path(path, overwrite) as staged:
        staged.write_text(description, encoding="utf-8", newline="\n")
        flush(staged)
        yield


def _description(seg: Segmentation) -> dict[str, object]:
    labels = {str(label.value): label.name for label in seg.convention.labels}
    tissues = {str(label.value): label.tissue for label in seg.convention.labels}
    own = {} if seg.convention.name in CONVENTIONS else {"tissues": tissues}
    return {
        "case": seg.name,
        "scheme": seg.convention.name,
        "labels": labels,
        **own,
        "unit": seg.grid.unit,
        **seg.provenance,
    }
