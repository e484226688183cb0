"""Output files of ``tumorseg segment``: their paths, checked before the run, and their writing."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import typer

from napari_tumorseg.cli.files import check_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tumorseg.measurement import Measurements
    from napari_tumorseg.models.card import Output
    from napari_tumorseg.regions import LabelConvention
    from napari_tumorseg.scan import Scan, Segmentation

Layout: TypeAlias = Literal["file", "lgg", "bids"]

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class OutputOptions:
    """Requested output of a run, as the options of the command state it."""

    output: Path
    layout: Layout
    picture: Path | None
    csv: Path | None
    dicom_seg: bool
    probabilities: bool
    convention: LabelConvention | None  # of the mask, if not the model's own

    @classmethod
    def of(
        cls,
        output: Path,
        picture: Path | None,
        csv: Path | None,
        labels: str | None,
        *,
        lgg: bool,
        bids: bool,
        dicom_seg: bool,
        probabilities: bool,
    ) -> OutputOptions:
        """Return the options; raise if they contradict each other or the label convention is unknown."""
        from napari_tumorseg.conventions import get_convention

        if lgg and bids:
            raise typer.BadParameter("--lgg and --bids are two layouts of the output; name one of them")
        layout: Layout = "lgg" if lgg else "bids" if bids else "file"
        convention = get_convention(labels) if labels else None
        return cls(output, layout, picture, csv, dicom_seg, probabilities, convention)


@dataclass(frozen=True)
class Targets:
    """Output paths of a run, checked before any work is done."""

    mask: Path  # a file, or the folder of another layout
    masks: tuple[Path, ...]  # every file of the mask
    side: Path  # the JSON beside them
    is_folder: bool  # whether the folder was named, and is made if it is not there
    picture: Path | None
    csv: Path | None
    layout: Layout
    dicom: Path | None = None  # the DICOM segmentation, which may be the mask itself
    fractions: Path | None = None  # the one of probabilities
    files: tuple[Path, ...] = ()  # all of them

    @property
    def folder(self) -> Path:
        """Folder of the mask and of the files that are named by the case."""
        return self.side.parent

    @classmethod
    def of(cls, scan: Scan, wanted: OutputOptions, output: Output) -> Targets:
        """Return the paths for a scan and the output of a model; raise if they cannot be had."""
        from napari_tumorseg.conventions import get_convention
        from napari_tumorseg.regions import check_conversion

        targets = _with_dicom(_main_targets(scan, wanted), scan, wanted.dicom_seg)
        convention = get_convention(output.scheme)
        if wanted.convention:
            check_conversion(convention, wanted.convention)
        names = output.names if wanted.probabilities else ()
        return _with_further(targets, scan, wanted.convention or convention, names)

    def check(self, inputs: Sequence[Path], overwrite: bool) -> None:
        """Check before any work is done that every file can be written at the end, and is no input."""
        from napari_tumorseg.errors import OutputError
        from napari_tumorseg.io.side_files import check_no_inputs, check_replaceable

        double = next((p for n, p in enumerate(self.files) if p in self.files[:n]), None)
        if double:
            raise OutputError(f"{double} would be written twice; choose another name for one of the results")
        for path in self.files:
            if not self.is_folder or self.folder.exists() or path.parent != self.folder:
                check_file(path, overwrite)
        for path in self.masks:
            check_replaceable(path, self.side)
        there = next(p for p in (self.folder, *self.folder.absolute().parents) if p.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise OutputError(f"the folder {self.folder} cannot be made; choose another one")
        check_no_inputs(self.files, inputs)


def _main_targets(scan: Scan, wanted: OutputOptions) -> Targets:
    """Return the paths that do not depend on the model."""
    from napari_tumorseg.io import side_file
    from napari_tumorseg.io.bids.writing import DerivativeFiles, check_bids
    from napari_tumorseg.io.tiff_writing import lgg_masks

    output, layout = wanted.output, wanted.layout
    is_folder = _is_folder(output, layout)
    _check_picture(wanted.picture)
    mask = output / f"{scan.case}_seg.nii.gz" if is_folder and layout == "file" else output
    masks, side = [mask], side_file(mask)
    if layout == "lgg":
        masks, side = lgg_masks(output, scan.case, scan.grid), output / f"{scan.case}_mask.json"
    elif layout == "bids":
        found = DerivativeFiles.of(scan, output)
        check_bids(found, scan.case)
        masks, side = [found.labels], side_file(found.labels)
    files = (*masks, side, *(path for path in (wanted.picture, wanted.csv) if path))
    return Targets(mask, tuple(masks), side, is_folder, wanted.picture, wanted.csv, layout, files=files)


def _is_folder(output: Path, layout: Layout) -> bool:
    """Return whether the output is a folder; raise if it is a file of another kind."""
    from napari_tumorseg.errors import OutputError
    from napari_tumorseg.io.formats import WRITTEN_ENDINGS, looks_like_file, written_format

    is_folder = layout != "file" or written_format(output) is None
    if is_folder and not output.is_dir() and (output.is_file() or looks_like_file(output)):
        endings = ", ".join(WRITTEN_ENDINGS)
        raise OutputError(f"{output}: a mask is written as one of {endings}, or into a folder")
    return is_folder


def _check_picture(picture: Path | None) -> None:
    from napari_tumorseg.errors import OutputError

    if picture and picture.suffix.lower() not in _PICTURES:
        raise OutputError(f"{picture}: a picture is written as one of {', '.join(_PICTURES)}")


def _with_dicom(targets: Targets, scan: Scan, wanted: bool) -> Targets:
    """Add the DICOM segmentation, if it is wanted or what the mask is written as."""
    from napari_tumorseg.io.dicom.seg_writing import check_source
    from napari_tumorseg.io.formats import DICOM, written_format

    is_mask = targets.layout == "file" and written_format(targets.mask) is DICOM
    if not (wanted or is_mask):
        return targets
    if targets.layout == "bids":
        raise typer.BadParameter("--dicom-seg adds a file that a BIDS data set does not allow")
    path = targets.mask if is_mask else targets.folder / f"{scan.case}_seg.dcm"
    check_source(scan.grid, path)
    return replace(targets, dicom=path)


def _with_further(
    targets: Targets, scan: Scan, convention: LabelConvention, outputs: Sequence[str]
) -> Targets:
    """Add DICOM segmentations, and files that depend on the model: masks of regions, and probabilities."""
    from napari_tumorseg.io.bids.writing import DerivativeFiles

    if targets.layout != "bids":
        maps = [targets.folder / f"{scan.case}_prob_{name}.nii.gz" for name in outputs]
        fractions = targets.folder / f"{scan.case}_prob.dcm" if targets.dicom and outputs else None
        more = [path for path in (targets.dicom, fractions) if path and path != targets.mask]
        return replace(targets, fractions=fractions, files=(*targets.files, *maps, *more))
    found = DerivativeFiles.of(scan, targets.mask)
    known = (*targets.masks, targets.side)
    more = [path for path in found.all(convention, outputs) if path not in known]
    return replace(targets, masks=tuple(found.masks(convention)), files=(*targets.files, *more))


def save(
    seg: Segmentation, scan: Scan, targets: Targets, measurements: Measurements, overwrite: bool
) -> list[Path]:
    """Write all requested files as one set and return their paths."""
    from napari_tumorseg.io.atomic import make_folder, write_text
    from napari_tumorseg.io.output_set import output_set
    from napari_tumorseg.report import overlay, to_csv

    make_folder(targets.folder)
    with output_set():
        written = _write_masks(seg, scan, targets, overwrite)
        if targets.picture:
            overlay(scan, seg, targets.picture, overwrite=overwrite)
            written.append(targets.picture)
        if targets.csv:
            write_text(targets.csv, to_csv(measurements), overwrite)
            written.append(targets.csv)
    return written


def _write_masks(seg: Segmentation, scan: Scan, targets: Targets, overwrite: bool) -> list[Path]:
    """Write the mask and its probabilities in the layout of the output."""
    from napari_tumorseg import io

    if targets.layout == "bids":
        return io.write_bids(seg, scan, targets.mask, overwrite=overwrite)
    write = io.write_lgg if targets.layout == "lgg" else io.write_mask
    written = write(seg, targets.mask, overwrite=overwrite)
    if targets.dicom and targets.dicom != targets.mask:
        written += io.write_dicom_seg(seg, targets.dicom, overwrite=overwrite)
    if targets.fractions:
        written += io.write_dicom_probabilities(seg, targets.fractions, overwrite=overwrite)
    return written + io.write_probabilities(seg, targets.folder, overwrite=overwrite)
