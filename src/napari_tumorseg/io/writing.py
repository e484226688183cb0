"""Masks written to files, each with a side file: label convention and provenance as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from napari_tumorseg.errors import InputError, OutputError, TumorSegError
from napari_tumorseg.io import nifti
from napari_tumorseg.io.atomic import check_target
from napari_tumorseg.io.formats import WRITTEN_ENDINGS, side_file, written_format
from napari_tumorseg.io.output_set import output_set
from napari_tumorseg.io.side_files import check_replaceable, holds_json
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation


def write_mask(seg: Segmentation, path: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Write a mask, in the format that the ending says, and its side file.

    Parameters
    ----------
    seg : Segmentation
        Mask to write.
    path : path
        Its ending chooses the format: one of `formats.WRITTEN_ENDINGS`; ``.dcm`` for a scan that was read
        from DICOM, with the name and the identifiers of the patient, as that standard demands.
    overwrite : bool
        Whether files that exist may be replaced.

    Returns
    -------
    list of Path
        The mask and the JSON beside it (convention, labels, provenance).

    Raises
    ------
    OutputError
        If a file exists, cannot be written, or the ending is unknown; or if it was not written by this
        program, such as a scan or an expert's mask, or was changed since, also with `overwrite`. Nothing is
        half-written.
    """
    path = Path(path)
    form = written_format(path)
    if form is None:
        endings = ", ".join(WRITTEN_ENDINGS)
        raise OutputError(f"{path}: a mask is written as one of {endings}; choose such an ending")
    side = side_file(path)
    with _described(seg, side, overwrite, [path]):
        form.writer().write_mask(seg, path, overwrite)
    return [path, side]


def write_lgg(seg: Segmentation, folder: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Write a mask slice by slice as the LGG layout has it, and its side file.

    Parameters
    ----------
    seg : Segmentation
        Mask to write; every label that is tumour becomes 255.
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
        If a file exists or cannot be written, or was not written by this program; nothing is written then.
    """
    folder = Path(folder)
    side = folder / f"{seg.name}_mask.json"
    from napari_tumorseg.io import tiff_writing

    with _described(seg, side, overwrite, tiff_writing.lgg_masks(folder, seg.name, seg.grid)):
        written = tiff_writing.write_lgg(seg, folder, overwrite)
    return [*written, side]


def write_probabilities(seg: Segmentation, folder: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Write the probabilities of a run, one NIfTI file ``CASE_prob_NAME.nii.gz`` an output.

    They lie on the mask's grid, in steps of 1/255 (uint8, scaled by the header), 0 outside what was run.
    """
    paths = {name: Path(folder) / f"{seg.name}_prob_{name}.nii.gz" for name in seg.probabilities}
    for path in paths.values():
        check_target(path, overwrite)
    for name, path in paths.items():
        values = seg.probability_map(name)
        nifti.write_bytes_as(values, seg.grid, path, slope=1 / 255, overwrite=overwrite)
    return list(paths.values())


def write_dicom_seg(seg: Segmentation, path: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Write a mask as a DICOM segmentation object beside another file of it, whose side file holds for both.

    Unlike every other file, it holds the name and the identifiers of the patient, as the standard demands.
    """
    from napari_tumorseg.io.dicom import seg_writing

    path = Path(path)
    seg_writing.write_mask(seg, path, overwrite)
    return [path]


def write_dicom_probabilities(seg: Segmentation, path: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Write the probabilities of a run as one fractional DICOM segmentation object, a segment an output.

    It holds the name and the identifiers of the patient, as the standard demands.
    """
    from napari_tumorseg.io.dicom import seg_writing

    path = Path(path)
    seg_writing.write_fractions(seg, path, overwrite)
    return [path]


def check_own(path: Path, side: Path) -> None:
    """Raise if a file to replace is not ours; what holds neither an image nor JSON may be replaced."""
    if holds_json(side) or _holds_image(path):
        check_replaceable(path, side)


def _holds_image(path: Path) -> bool:
    if not path.exists():
        return False
    from napari_tumorseg.io.reading import open_case

    try:
        open_case(path)
    except InputError:
        return False
    except TumorSegError:
        return True
    return True


@contextmanager
def _described(seg: Segmentation, side: Path, overwrite: bool, masks: Sequence[Path]) -> Iterator[None]:
    """Write the masks in the block and the JSON beside them as one set."""
    check_target(side, overwrite)
    with output_set() as files:
        for path in masks if overwrite else ():
            files.check(partial(check_own, path, side))
        yield
        files.describe(side, description_of(seg), overwrite)


def description_of(seg: Segmentation) -> dict[str, object]:
    """Return the content of the side file of a mask: convention, labels, provenance."""
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
