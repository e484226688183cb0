"""``tumorseg info``: contents of a file or folder, the model that would run, and warnings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console, show_json, show_warnings

if TYPE_CHECKING:
    from napari_tumorseg.io import Case
    from napari_tumorseg.scan import Image


def info(
    path: Annotated[Path, typer.Argument(help="A file or folder.")],
    case: options.CaseName = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the images, roles and masks of a case, the model that would run, and warnings.

    Exits with 0 if it opens (warnings allowed), else with the code of the error.
    """
    from napari_tumorseg.io import list_cases, open_case

    names = list_cases(path)
    if case is None and len(names) > 1:
        _show_cases(path, names, as_json)
        return
    found = open_case(path, case)
    summary = _describe(found)
    if as_json:
        show_json(summary)
    else:
        _show(summary)
        show_warnings(summary["warnings"])


def _show_cases(path: Path, names: list[str], as_json: bool) -> None:
    if as_json:
        show_json({"path": str(path), "cases": names})
        return
    screen = console()
    screen.print(f"{path} holds {len(names)} cases; look at one with --case NAME:", markup=False)
    for name in names:
        screen.print(f"  {name}", markup=False)


def _describe(case: Case) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "case": case.name,
        "layout": case.layout,
        "time_point": case.time_point or None,
        "images": [_image(image) for image in case.images],
        "brain_mask": case.brain_mask.name if case.brain_mask else None,
        "masks": [_mask(mask) for mask in case.masks],
        "warnings": list(case.warnings),
        "preparation": None,
        "plan": None,
        "reference": None,
        "model": None,
    }
    if case.images:
        _plan(case, summary)
    return summary


def _plan(case: Case, summary: dict[str, Any]) -> None:
    """Describe what `segment` would do; an error of it is a warning here, since the file opens."""
    from napari_tumorseg.errors import TumorSegError
    from napari_tumorseg.inference import plan_run
    from napari_tumorseg.inference import suitability_warnings as check

    try:
        plan = plan_run(case)
        base = case.reference()
        summary["reference"] = base.name
        summary["skull"] = "stripped" if plan.analysis.stripped else "present"
        summary["model"] = plan.model.name
        words = f"{plan.model.name} on the grid of {base.name}"
        if plan.needs:
            summary["preparation"] = plan.needs.words()
            words += f", after {plan.needs.words()}"
        else:
            scan = case.scan()
            found = [*scan.warnings, *check(scan, plan.model.card, plan.analysis)]
            summary["warnings"] = [*found, *plan.warnings]
        summary["warnings"] += [plan.analysis.privacy_warning] if plan.analysis.privacy_warning else []
        summary["plan"] = words
    except TumorSegError as error:
        summary["plan"] = "cannot be segmented as it is"
        summary["warnings"].append(str(error))


def _image(image: Image) -> dict[str, Any]:
    import nibabel as nib
    import numpy as np

    grid = image.grid
    values = image.data[np.isfinite(image.data)] if image.data.dtype.kind == "f" else image.data
    codes = nib.aff2axcodes(grid.file_layout.affine if grid.file_layout else grid.affine)
    return {
        "name": image.name,
        "role": str(image.role),
        "role_note": image.role_note or None,
        "shape_zyx": list(grid.shape),
        "spacing_mm_zyx": [round(s, 4) for s in grid.spacing_mm] if grid.spacing_mm else None,
        "file_orientation": "".join(codes) if grid.file_layout else None,
        "oblique_degrees": round(grid.obliquity_degrees, 1),
        "type": str(image.data.dtype),
        "range": [float(values.min()), float(values.max())] if values.size else None,
    }


def _mask(mask: Any) -> dict[str, Any]:
    import numpy as np

    labels = np.flatnonzero(np.bincount(mask.labels.ravel(), minlength=256)).tolist()
    return {
        "name": mask.name,
        "labels": labels,
        "scheme": mask.convention.name if mask.convention else None,
        "schemes_that_fit": [convention.name for convention in mask.conventions()],
    }


def _show(summary: dict[str, Any]) -> None:
    screen = console()
    screen.print(f"{summary['case']}: {summary['layout']}", markup=False)
    for image in summary["images"]:
        screen.print(f"{image['role']:6} {image['name']}", markup=False)
        screen.print(f"       {_in_words(image)}", markup=False)
    for mask in summary["masks"]:
        fits = ", ".join(mask["schemes_that_fit"]) or "none"
        convention = mask["scheme"] or f"not stated in the file; fits {fits}"
        screen.print(f"mask {mask['name']}: labels {mask['labels']}, convention {convention}", markup=False)
    if summary["brain_mask"]:
        screen.print(f"brain mask {summary['brain_mask']}", markup=False)
    if summary["plan"]:
        skull = f"; the skull seems {summary['skull']}" if summary.get("skull") else ""
        screen.print(f"segment: {summary['plan']}{skull}", markup=False)


def _in_words(image: dict[str, Any]) -> str:
    spacing = image["spacing_mm_zyx"]
    size = " x ".join(map(str, image["shape_zyx"]))
    voxel = f"of {' x '.join(f'{s:.3g}' for s in spacing)} mm" if spacing else "of unknown size"
    parts = [f"{size} voxels (Z, Y, X) {voxel}"]
    parts += [f"stored {image['file_orientation']}"] if image["file_orientation"] else []
    parts += [f"{image['oblique_degrees']:g}\N{DEGREE SIGN} oblique"] if image["oblique_degrees"] else []
    parts.append(image["type"])
    parts += [" to ".join(f"{v:.4g}" for v in image["range"])] if image["range"] else []
    return ", ".join(parts)
