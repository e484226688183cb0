"""``tumorseg measure``: volumes and diameters of a mask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.files import check_file
from napari_tumorseg.cli.output import console, show_json, show_warnings
from napari_tumorseg.cli.parse import parse_spacing

if TYPE_CHECKING:
    from napari_tumorseg.measurement import Agreement, Measurements, Rano
    from napari_tumorseg.scan import Segmentation


def measure(
    mask: options.Mask,
    labels: options.Labels = None,
    spacing: options.Spacing = None,
    against: options.Against = None,
    against_labels: options.AgainstLabels = None,
    csv: options.Csv = None,
    rano_outline: options.RanoOutline = "enhancing-only",
    output: options.JsonOutput = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """Measure a mask: volumes, components, extent and diameters, per label and region."""
    from napari_tumorseg.io import side_file
    from napari_tumorseg.io.atomic import write_text
    from napari_tumorseg.io.case import place
    from napari_tumorseg.io.side_files import check_no_inputs
    from napari_tumorseg.measurement import agreement, rano
    from napari_tumorseg.measurement import measure as measured
    from napari_tumorseg.report import to_csv, to_json

    outputs = [path for path in (csv, output) if path]
    for path in outputs:
        check_file(path, overwrite)
    masks = [path for path in (mask, against) if path]
    check_no_inputs(outputs, [*masks, *map(side_file, masks)])
    _check_outline(rano_outline)
    size = parse_spacing(spacing)
    seg = _mask(mask, labels, size)
    reference = _reference(against, against_labels, size) if against else None
    show_warnings([*seg.warnings, *(reference.warnings if reference else ())])
    found, diameters = measured(seg), rano(seg, outline=rano_outline)
    agreed = agreement(seg, place(reference, seg)) if reference else None
    if csv:
        write_text(csv, to_csv(found, diameters=[diameters]), overwrite)
    if output:
        write_text(output, to_json(found, agreed=agreed, diameters=diameters), overwrite)
    _show(found, diameters, agreed, as_json)


def _check_outline(name: str) -> None:
    from napari_tumorseg.measurement import OUTLINES

    if name not in OUTLINES:
        raise typer.BadParameter(f"--rano-outline is {' or '.join(OUTLINES)}, not {name!r}")


def _show(found: Measurements, diameters: Rano, agreed: Agreement | None, as_json: bool) -> None:
    from napari_tumorseg.report import agreement_table, diameters_table, summary, to_rich

    if as_json:
        agreement = {"agreement": agreed.to_dict()} if agreed else {}
        show_json({**found.to_dict(), "diameters": diameters.to_dict(), **agreement})
        return
    screen = console()
    screen.print(to_rich(found))
    screen.print(summary(found), markup=False)
    if diameters.lesions:
        screen.print(diameters_table(diameters))
    if agreed:
        screen.print(agreement_table(agreed))


def _mask(path: Path, labels: str | None, spacing: tuple[float, float, float] | None) -> Segmentation:
    from napari_tumorseg.io import read_mask

    seg = read_mask(path, labels)
    return seg.with_spacing(spacing) if spacing else seg


def _reference(path: Path, labels: str | None, spacing: tuple[float, float, float] | None) -> Segmentation:
    """Return the reference mask; a stated voxel size holds for both masks."""
    from napari_tumorseg.errors import ChoiceNeededError, Remedy
    from napari_tumorseg.io import read_mask

    try:
        found = read_mask(path, labels)
    except ChoiceNeededError as error:
        raise ChoiceNeededError(str(error), error.options, Remedy.STATE_REFERENCE_LABELS) from None
    if spacing and found.grid.unit != "mm":
        found = found.with_spacing(spacing)
    return found
