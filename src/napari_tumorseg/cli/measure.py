"""``tumorseg measure``: the numbers of a mask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console, show_json

if TYPE_CHECKING:
    from napari_tumorseg.scan import Segmentation


def measure(
    mask: Annotated[Path, typer.Argument(help="A mask file.")],
    labels: options.Labels = None,
    spacing: options.Spacing = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Also tell how it agrees with this reference mask (a file, or a case with one mask)."
        ),
    ] = None,
    against_labels: Annotated[
        str | None, typer.Option("--against-labels", help="Label scheme of the reference.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this CSV file.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the measurements to this JSON file.")
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """Measure a mask: volumes, components, extent and diameters, per label and region."""
    from dataclasses import replace

    from napari_tumorseg.io import read_mask
    from napari_tumorseg.io.atomic import check_target, write_text
    from napari_tumorseg.measure import agreement
    from napari_tumorseg.measure import measure as measured
    from napari_tumorseg.report import agreement_table, summary, to_csv, to_json, to_rich
    from napari_tumorseg.scan import refuse_known_spacing

    for path in (csv, output):
        if path:
            check_target(path, overwrite)
    seg = read_mask(mask, labels)
    size = options.parse_spacing(spacing)
    if size:
        refuse_known_spacing(seg.grid, str(mask))
        seg = replace(seg, grid=seg.grid.with_spacing(size))
    found = measured(seg)
    agreed = agreement(seg, _reference(against, against_labels, size)) if against else None
    if csv:
        write_text(csv, to_csv(found), overwrite)
    if output:
        write_text(output, to_json(found, agreed=agreed), overwrite)
    if as_json:
        show_json({**found.to_dict(), **({"agreement": agreed.to_dict()} if agreed else {})})
        return
    screen = console()
    screen.print(to_rich(found))
    screen.print(summary(found), markup=False)
    if agreed:
        screen.print(agreement_table(agreed))


def _reference(path: Path, labels: str | None, spacing: tuple[float, float, float] | None) -> Segmentation:
    """Return the mask to compare with; what is stated of the one goes for the other."""
    from dataclasses import replace

    from napari_tumorseg.errors import ChoiceNeededError
    from napari_tumorseg.io import read_mask

    try:
        found = read_mask(path, labels)
    except ChoiceNeededError as error:
        raise ChoiceNeededError(str(error).replace("--labels", "--against-labels"), error.options) from None
    if spacing and found.grid.unit != "mm":
        found = replace(found, grid=found.grid.with_spacing(spacing))
    return found
