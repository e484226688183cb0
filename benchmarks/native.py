"""Models on native scans: with and without preparation, against masks of the same patients.

Two kinds of scans. TCGA-FG-6692 has all four sequences on grids of their own, thick oblique slices and the
skull; its reference is the algorithmic mask of the registered scan, carried back through the registration of
its brain-extracted FLAIR onto the native one. LGG patients have thick slices with skull, their sequences on
one grid, and expert masks of the FLAIR abnormality; voxel size is not stored and given here.

    python benchmarks/native.py --brats ../shared/data/brats --lgg kaggle_3m --patients 6

Patients that a model was trained on are marked with a star: their figures prove nothing.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from napari_tumorseg.geometry import Array
from napari_tumorseg.inference import missing_roles, plan_run, segment
from napari_tumorseg.inference.steps import result_of
from napari_tumorseg.io import Case, open_case
from napari_tumorseg.io.resample import onto
from napari_tumorseg.models import Model, get_model
from napari_tumorseg.preparation import Head, SimpleITKRegistration, align
from napari_tumorseg.regions import CONVENTIONS, region_mask
from napari_tumorseg.scan import Role, Scan

LGG_SPACING = (5.0, 0.9375, 0.9375)

Row = dict[str, object]


def main() -> None:
    """Print and write a table."""
    arguments = _arguments()
    rows: list[Row] = []
    for row in _rows(arguments):
        rows.append(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    _show_means(rows)
    if arguments.output:
        with arguments.output.open("w", newline="") as file:
            writer = csv.DictWriter(file, sorted({k for row in rows for k in row}, key=list(rows[0]).index))
            writer.writeheader()
            writer.writerows(rows)


def _rows(arguments: argparse.Namespace) -> Iterator[Row]:
    models = [get_model(name) for name in arguments.models]
    if arguments.brats:
        yield from _fg_6692(arguments.brats / "TCGA-FG-6692", models)
    if arguments.lgg:
        for folder in _patients(arguments.lgg, models, arguments.patients):
            yield from _lgg(folder, models)


def _fg_6692(folder: Path, models: list[Model]) -> Iterator[Row]:
    """Compare with the mask of the registered scan, carried back onto the native FLAIR."""
    case = open_case(folder / "native")
    ready = {model.name: _scan(case, model, True) for model in models}
    reference = _carried_back(folder, next(scan for scan, _ in ready.values() if scan.brain_mask is not None))
    for model in models:
        for prepare in (False, True):
            scan, seconds = ready[model.name] if prepare else _scan(case, model, False)
            yield from _run(scan, model, prepare, seconds, reference, "TCGA_FG_6692")


def _carried_back(folder: Path, scan: Scan) -> dict[str, Array]:
    """Return the regions of the registered scan's mask on the native grid, and its brain."""
    registered = open_case(folder / "brain_extracted")
    flair = next(i for i in registered.images if i.role is Role.FLAIR)
    brain = flair.data != 0
    found = align(
        Head(scan.reference, scan.brain_mask), Head(flair, np.asarray(brain)), SimpleITKRegistration()
    )
    if found.problem:
        raise SystemExit(f"the registered FLAIR was not found in the native one: {found.problem}")
    mask = open_case(folder / "algorithmic_segs").masks[0]
    labels = onto(mask.labels, found.moved, scan.grid, nearest=True)
    regions = _regions(labels, "brats-2021")
    regions["brain"] = onto(brain.astype(np.float32), found.moved, scan.grid) > 0.5
    return regions


def _patients(folder: Path, models: list[Model], count: int) -> list[Path]:
    """Return the patients that the fewest models were trained on."""
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    # these two are among the scans of BraTS, too, under other names
    folders = [path for path in folders if not path.name.startswith(("TCGA_FG_6692", "TCGA_DU_7294"))]
    return sorted(folders, key=lambda path: sum(path.name in m.card.about.trained_on for m in models))[:count]


def _lgg(folder: Path, models: list[Model]) -> Iterator[Row]:
    case = open_case(folder)
    reference = {"WT": case.masks[0].labels > 0}
    roles = {image.role for image in case.images}
    for model in (m for m in models if not missing_roles(m.card, roles)):
        for prepare in (False, True):
            scan, seconds = _scan(case, model, prepare)
            yield from _run(scan.with_spacing(LGG_SPACING), model, prepare, seconds, reference, folder.name)


def _scan(case: Case, model: Model, prepare: bool) -> tuple[Scan, float]:
    """Return the scan, and the seconds that its preparation took."""
    start = time.process_time()
    scan = result_of(plan_run(case, model, prepare=prepare).scan())
    return scan, time.process_time() - start


def _run(
    scan: Scan, model: Model, prepare: bool, seconds: float, reference: Mapping[str, Array], patient: str
) -> Iterator[Row]:
    start = time.process_time()
    result = segment(scan, model)
    taken = time.process_time() - start
    found = _regions(result.labels, model.card.output.scheme)
    known = any(name.replace("-", "_").startswith(patient) for name in model.card.about.trained_on)
    row: Row = {
        "patient": patient + ("*" if known else ""),
        "model": model.name,
        "prepared": "yes" if prepare else "no",
    }
    for name, mask in reference.items():
        if name in found:
            row[name] = round(_dice(found[name], mask), 3)
    if prepare and scan.brain_mask is not None and "brain" in reference:
        row["brain"] = round(_dice(scan.brain_mask, reference["brain"]), 3)
    yield {**row, "CPU s preparation": round(seconds, 1), "CPU s model": round(taken, 1)}


def _regions(labels: Array, scheme: str) -> dict[str, Array]:
    return {name: region_mask(labels, members) for name, members in CONVENTIONS[scheme].regions.items()}


def _dice(one: Array, other: Array) -> float:
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return float(2 * np.count_nonzero(one & other) / total) if total else 1.0


def _show_means(rows: list[Row]) -> None:
    lgg = [row for row in rows if "TC" not in row and not str(row["patient"]).startswith("TCGA_FG_6692")]
    for model in dict.fromkeys(str(row["model"]) for row in lgg):
        for prepare in ("no", "yes"):
            found = [row["WT"] for row in lgg if row["model"] == model and row["prepared"] == prepare]
            values = np.array(found, dtype=float)
            if values.size:
                figures = f"mean WT {values.mean():.3f}, median {np.median(values):.3f}"
                print(f"LGG, {model}, prepared {prepare}, {values.size} patients: {figures}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brats", type=Path, help="folder that holds TCGA-FG-6692")
    parser.add_argument("--lgg", type=Path, help="folder of the LGG data set, one folder a patient")
    parser.add_argument("--patients", type=int, default=6)
    parser.add_argument("--models", nargs="+", default=["brats-regions", "lgg-flair"])
    parser.add_argument("--output", type=Path, help="CSV file")
    found = parser.parse_args()
    if not (found.brats or found.lgg):
        sys.exit("give --brats or --lgg")
    return found


if __name__ == "__main__":
    main()
