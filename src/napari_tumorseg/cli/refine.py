"""``tumorseg refine``: a mask corrected by the clicks in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.files import check_file
from napari_tumorseg.cli.output import console, show_json, show_warnings
from napari_tumorseg.cli.parse import named_roles, parse_roles, parse_spacing
from napari_tumorseg.cli.segment import run_with_progress

if TYPE_CHECKING:
    from napari_tumorseg.io import Case
    from napari_tumorseg.measurement import Measurements
    from napari_tumorseg.models import Model
    from napari_tumorseg.scan import Scan, Segmentation

_NO_MODEL = "none"


def refine(
    mask: options.Mask,
    clicks: options.Clicks,
    output: options.RefinedOutput,
    scan: options.ScanOfMask = None,
    case: options.CaseName = None,
    roles: options.Roles = None,
    model: options.ModelOfClicks = None,
    device: options.Device = "auto",
    labels: options.Labels = None,
    same_voxels: options.SameVoxels = False,
    spacing: options.Spacing = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Correct a mask by clicks: write the corrected mask, with the clicks in the JSON beside it."""
    from napari_tumorseg.inference.refining import refined
    from napari_tumorseg.io import side_file, write_mask
    from napari_tumorseg.io.click_files import read_clicks
    from napari_tumorseg.io.side_files import check_no_inputs, input_files
    from napari_tumorseg.measurement import measure

    for path in (output, side_file(output)):
        check_file(path, overwrite)
    size = parse_spacing(spacing)
    seg = _mask(mask, labels, size)
    wanted = read_clicks(clicks, seg.grid, seg.convention)
    paths = scan or [mask.parent]
    opened = _case(paths, case, roles)
    if not opened.images and scan is None:
        raise typer.BadParameter(f"{mask.parent} holds no scan; name its folder", param_hint="--scan")
    check_no_inputs([output, side_file(output)], [*input_files(opened, paths), mask, side_file(mask), clicks])
    found = _scan_on(opened, seg, same_voxels, size)
    chosen = _model(model, seg, found)
    show_warnings([*seg.warnings, *found.warnings])
    result = _probabilities(found, chosen, device, quiet or as_json)
    corrected = refined(seg, found, wanted, result, chosen.card.output if chosen else None)
    measurements = measure(corrected)
    told = {**corrected.provenance, "measurements": measurements.to_dict()}
    written = write_mask(replace(corrected, name=opened.name, provenance=told), output, overwrite=overwrite)
    if as_json or not quiet:
        _report(seg, corrected, measurements, written, as_json)


def _mask(path: Path, labels: str | None, spacing: tuple[float, float, float] | None) -> Segmentation:
    from napari_tumorseg.io import read_mask
    from napari_tumorseg.io.side_files import provenance_beside

    seg = replace(read_mask(path, labels), provenance=provenance_beside(path))
    return seg.with_spacing(spacing) if spacing else seg


def _case(paths: list[Path], name: str | None, roles: list[str] | None) -> Case:
    from napari_tumorseg.io import open_case

    found = open_case(paths, name)
    named = named_roles(parse_roles(roles), found)
    return found.with_roles(named) if named else found


def _scan_on(
    case: Case, seg: Segmentation, same_voxels: bool, spacing: tuple[float, float, float] | None
) -> Scan:
    """Return the scan on the grid of the mask; a mask without a voxel size is matched voxel for voxel.

    Raises
    ------
    GeometryError
        If no image of the case lies on that grid.
    """
    from napari_tumorseg.errors import GeometryError, Remedy

    case.reference()  # says so where there is no image
    for image in case.images:
        is_same = image.grid.same_space(seg.grid)
        unknown = "unknown" in (image.grid.unit, seg.grid.unit) or same_voxels
        if is_same or (unknown and image.grid.shape == seg.grid.shape):
            found = case.scan(image.name, same_voxels)
            size = spacing if found.grid.unit != "mm" else None
            found = found.with_spacing(size) if size else found
            return replace(found, images=tuple(replace(i, grid=seg.grid) for i in found.images))
    equal = any(image.grid.shape == seg.grid.shape for image in case.images)
    raise GeometryError(
        f"no image of {case.name} lies on the grid of {seg.source or seg.name}",
        remedy=Remedy.IGNORE_AFFINE if equal else None,
    )


def _model(name: str | None, seg: Segmentation, scan: Scan) -> Model | None:
    """Return the model that is run for its probabilities: the one named, or the one that made the mask."""
    from napari_tumorseg.errors import ModelError
    from napari_tumorseg.inference.model_selection import missing_roles
    from napari_tumorseg.models import get_model

    if name == _NO_MODEL:
        return None
    if name is not None:
        return get_model(name)
    maker = seg.provenance.get("model")
    if not isinstance(maker, dict) or not isinstance(maker.get("name"), str):
        return None
    try:
        found = get_model(maker["name"])
    except ModelError:
        show_warnings([f"the model of the mask, {maker['name']}, is not here; the images alone count"])
        return None
    if found.card.sha256 != maker.get("sha256") or missing_roles(found.card, scan.roles.keys()):
        show_warnings(
            [f"{maker['name']} is another version than made the mask, or lacks images; it is not run"]
        )
        return None
    return found


def _probabilities(scan: Scan, model: Model | None, device: str, quiet: bool) -> Segmentation | None:
    """Run a model for its probabilities, in float32 so that the same clicks give the same mask anywhere."""
    from napari_tumorseg.inference import Settings

    if model is None:
        return None
    return run_with_progress(scan, model, Settings(device, probabilities=True, precision="float32"), quiet)


def _report(
    before: Segmentation,
    after: Segmentation,
    measurements: Measurements,
    written: list[Path],
    as_json: bool,
) -> None:
    import numpy as np

    from napari_tumorseg.report import summary, to_rich
    from napari_tumorseg.report.text import count

    changed = int(np.count_nonzero(before.labels != after.labels))
    clicks = len(after.provenance["clicks"][-1]["clicks"])
    if as_json:
        told = {"files": [str(p) for p in written], "clicks": clicks, "voxels_changed": changed}
        show_json({**told, **measurements.to_dict()})
        return
    screen = console()
    screen.print(to_rich(measurements))
    screen.print(summary(measurements), markup=False)
    screen.print(f"{count(clicks, 'click')} changed {count(changed, 'voxel')}.", markup=False)
    for path in written:
        screen.print(f"wrote {path}", markup=False)
