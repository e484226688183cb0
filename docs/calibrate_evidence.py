"""Choose the evidence that a model's components need, on scans without a tumour; test it on small lesions.

    python docs/calibrate_evidence.py MODEL --free healthy --beside kaggle_3m --lesions brats --write

MODEL is a name or a folder with weights and card. A component's evidence is the mean log-odds of its surest
0.1 mL (`inference.evidence`). The threshold is the smallest number of tenths, at most 5, that leaves 0 mL in

* every case of ``--free``: scans or slices without a tumour, and
* the share ``--keep`` of the cases of ``--beside``: their slices without a tumour, two away from the next one
  with it, stacked into a volume. Some hold tumour that nobody marked, so not all of them need to stay empty.

``--lesions`` draws lesions of 0.2 to 1 mL into cases, away from their own tumour (a case without a mask is
taken to have none): the sensitivity is told by size, without a rule, with the threshold and with the 500
certain voxels of earlier cards. ``--write`` puts the threshold into the card. Take no patient on whom the
model will be judged.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage
from strip_lgg import strip

from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.geometry import CONNECTED_26, Array, Grid
from napari_tumorseg.inference import segment
from napari_tumorseg.inference.evidence import component_evidence, tumour_levels, voxels_of
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.inference.settings import Settings
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.io.dataset import CaseRef, DataSet, as_wanted
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.post_settings import PostSettings
from napari_tumorseg.scan import Role, Scan

SIZES_ML = (0.2, 0.3, 0.5, 0.75, 1.0)
OLD_RULE = (0.97, 500)
APART_MM = 24.0  # between the centres of two lesions
INSIDE_MM = 9.0  # from the edge of the tissue to a centre
BESIDE_MM = 12.0  # from a tumour to a centre
SOFT_MM = 0.7  # blur of a lesion's border
HIGHEST = 5.0  # a probability of 0.993: beyond it a threshold tells no tumour from another
GAP = 2  # slices beside a tumour that do not count as free of it
WHOLE_Z = (1.2, 2.2)  # brightness of lesions above the mean of the tissue, in its standard deviations
CORE_Z = (1.7, 2.9)
UNKNOWN_SPACING = (5.0, 0.9, 0.9)  # mm of cases that store no voxel size, as in the LGG data


@dataclass(frozen=True)
class Found:
    """Components of a run without post-processing.

    Attributes
    ----------
    parts : (Z, Y, X) array of int
        Components of the whole tumour.
    evidence : (components,) array of float
        Of each.
    certain : (components,) array of int
        Voxels of each of which the model is certain.
    """

    parts: Array
    evidence: Array
    certain: Array

    @classmethod
    def of(cls, scan: Scan, model: Model) -> Found:
        """Run a model."""
        result = segment(scan, model, Settings(probabilities=True, post=PostSettings()))
        levels = np.zeros(scan.grid.shape, dtype=np.uint8)
        if result.probability_box is not None:
            stacked = np.stack([result.probabilities[name] for name in model.card.output.names])
            levels[result.probability_box] = tumour_levels(stacked, model.card.output)
        parts, count = ndimage.label(result.labels > 0, structure=CONNECTED_26)
        sure = np.bincount(parts[levels > OLD_RULE[0] * 255], minlength=count + 1)[1:]
        return cls(parts, component_evidence(parts, levels, voxels_of(scan.grid)), sure)


def main() -> None:
    """Run the model over all scans, print the threshold and the sensitivity, and write the card."""
    arguments = _parser().parse_args()
    model = get_model(arguments.model)
    free = [_greatest(scan, model) for scan in _scans(arguments.free, model, arguments.roles)]
    beside = [_greatest(scan, model) for scan in _stacks(arguments.beside, model, arguments.roles)]
    if not free and not beside:
        raise SystemExit("name scans without a tumour: --free or --beside")
    threshold = calibrated(free, beside, arguments.keep)
    print(f"min_evidence = {threshold:.1f}")
    _tell_kept("whole scans", free, threshold)
    _tell_kept("stacks of slices beside a tumour", beside, threshold)
    rows = [row for case in _lesion_cases(arguments, model) for row in case]
    _tell_sensitivity(rows, threshold)
    if arguments.output and rows:
        _write_rows(rows, threshold, arguments.output)
    if arguments.write:
        steps = {"min_evidence": threshold, "min_confident_voxels": 0}
        post = model.card.postprocessing.model_copy(update=steps)
        card = model.card.model_copy(update={"postprocessing": post})
        write_text(model.weights.with_suffix(".toml"), card.to_toml(), overwrite=True)


def calibrated(free: Sequence[float], beside: Sequence[float], keep: float) -> float:
    """Return the least number of tenths above all values of `free` and the share `keep` of `beside`."""
    allowed = len(beside) - math.ceil(keep * len(beside))
    limits = [*free, *sorted(beside, reverse=True)[allowed:]]
    return min(math.floor(10 * max(limits, default=0.0) + 1) / 10, HIGHEST)


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("model")
    for name in ("free", "beside", "lesions"):
        parser.add_argument(f"--{name}", nargs="+", type=Path, default=[])
    parser.add_argument("--role", dest="roles", action="append", default=[], metavar="IMAGE=ROLE")
    parser.add_argument("--keep", type=float, default=0.85, help="share of --beside that has to stay empty")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, help="CSV with a row for each lesion")
    parser.add_argument("--write", action="store_true", help="write the threshold into the card")
    return parser


def _cases(paths: Sequence[Path]) -> Sequence[CaseRef]:
    return DataSet.find(paths).cases if paths else ()


def _wanted(scan: Scan, model: Model, roles: Sequence[str]) -> Scan:
    """Return the scan with the roles that were stated, where it has the images."""
    stated = dict(text.split("=") for text in roles)
    own = {name: Role(role) for name, role in stated.items() if name in {i.name for i in scan.images}}
    return as_wanted(scan.with_roles(own), model.card.input.roles)


def _scans(paths: Sequence[Path], model: Model, roles: Sequence[str]) -> Iterator[Scan]:
    """Yield the scans of whole cases; their masks, if there are any, are not looked at."""
    for case in _cases(paths):
        yield _wanted(case.open().scan(), model, roles)


def _stacks(paths: Sequence[Path], model: Model, roles: Sequence[str]) -> Iterator[Scan]:
    """Yield the slices without a tumour of each case, as one volume, if there are any."""
    for case in _cases(paths):
        scan, reference = case.load()
        tumour = (reference.labels > 0).any(axis=(1, 2))
        keep = ~ndimage.binary_dilation(tumour, iterations=GAP)
        if keep.any():
            spacing = scan.grid.spacing if scan.grid.voxel_volume_mm3 else None
            grid = Grid.from_codes((int(keep.sum()), *scan.grid.shape[1:]), spacing=spacing)
            images = tuple(replace(i, data=i.data[keep], grid=grid) for i in scan.images)
            yield _wanted(Scan(f"{case.name} (slices)", images), model, roles)


def _greatest(scan: Scan, model: Model) -> float:
    """Return the evidence of the surest component, and print it."""
    found = Found.of(scan, model)
    greatest = float(found.evidence.max(initial=0.0))
    print(f"{scan.case}: {len(found.evidence)} components, greatest evidence {greatest:.2f}", flush=True)
    return greatest


def _tell_kept(name: str, values: Sequence[float], threshold: float) -> None:
    if values:
        empty = sum(value < threshold for value in values)
        print(f"{name} without a tumour: {empty} of {len(values)} stay empty")


@dataclass(frozen=True)
class Lesion:
    """A lesion that was drawn, and what the model made of it."""

    case: str
    ml: float
    enhancing: bool
    evidence: float | None  # of the component that covers it most; None if none does
    certain: int


def _lesion_cases(arguments: argparse.Namespace, model: Model) -> Iterator[list[Lesion]]:
    for case in _cases(arguments.lesions):
        try:
            scan, reference = case.load()
            tumour = reference.labels > 0
        except TumorSegError:
            scan = case.open().scan()
            tumour = np.zeros(scan.grid.shape, dtype=bool)
        scan = _wanted(scan, model, arguments.roles)
        if scan.grid.voxel_volume_mm3 is None:
            scan = scan.with_spacing(UNKNOWN_SPACING)
        rng = np.random.default_rng([arguments.seed, *case.name.encode()])
        yield with_lesions(scan, tumour, model, rng)


def with_lesions(scan: Scan, tumour: Array, model: Model, rng: np.random.Generator) -> list[Lesion]:
    """Draw lesions of all sizes into a scan, run the model once, and tell what it made of each."""
    drawn = {role: image.data.astype(np.float32) for role, image in scan.roles.items()}
    tissue = _brain(scan)
    drawn_as = []
    for centre, ml in zip(_places(tissue, tumour, scan.grid, rng), rng.permutation(SIZES_ML), strict=False):
        is_enhancing = bool(rng.random() < 0.5)
        drawn_as.append((float(ml), is_enhancing, draw(drawn, scan.grid, centre, ml, is_enhancing, rng)))
    images = tuple(replace(i, data=drawn[i.role]) if i.role in drawn else i for i in scan.images)
    found = Found.of(replace(scan, images=images), model)
    made = [_made_of(found, scan.case, *lesion, tumour) for lesion in drawn_as]
    print(
        f"{scan.case}: {sum(m.evidence is not None for m in made)} of {len(made)} lesions touched", flush=True
    )
    return made


def _brain(scan: Scan) -> Array:
    """Return the brain, roughly where the skull is on."""
    known = ScanAnalysis(scan).brain
    return strip(scan.roles.get(Role.T1C, scan.reference).data) if known is None else known


def _made_of(found: Found, case: str, ml: float, enhancing: bool, lesion: Array, tumour: Array) -> Lesion:
    """Return what became of one lesion; a component that is mostly its case's own tumour does not count."""
    inside = np.bincount(found.parts[lesion], minlength=len(found.evidence) + 1)[1:]
    own = np.bincount(found.parts[tumour], minlength=len(found.evidence) + 1)[1:]
    inside = np.where(own > inside, 0, inside)
    if not inside.any():
        return Lesion(case, ml, enhancing, None, 0)
    best = int(inside.argmax())
    return Lesion(case, ml, enhancing, float(found.evidence[best]), int(found.certain[best]))


def _places(tissue: Array, tumour: Array, grid: Grid, rng: np.random.Generator) -> list[Array]:
    """Return random centres inside the tissue, away from the tumour and from each other."""
    spacing = np.asarray(grid.spacing)
    may = ndimage.distance_transform_edt(np.pad(tissue, 1), sampling=spacing)[1:-1, 1:-1, 1:-1] > INSIDE_MM
    if tumour.any():
        may &= ndimage.distance_transform_edt(~tumour, sampling=spacing) > BESIDE_MM
    places: list[Array] = []
    for place in rng.permutation(np.argwhere(may)):
        if all(np.linalg.norm((place - other) * spacing) > APART_MM for other in places):
            places.append(place)
        if len(places) == len(SIZES_ML):
            break
    return places


def draw(
    volumes: dict[Role, Array],
    grid: Grid,
    centre: Array,
    ml: float,
    enhancing: bool,
    rng: np.random.Generator,
) -> Array:
    """Draw an uneven ellipsoid with a soft border into the volumes, in place; return its voxels.

    FLAIR and T2 are bright in all of it; the inner half may enhance in T1c. The tissue's texture stays.
    """
    away = _uneven_distance(grid, centre, rng)
    voxels = round(ml * 1000 / (grid.voxel_volume_mm3 or 1.0))
    lesion = away < np.partition(away.ravel(), voxels)[voxels]
    core = lesion & (away < np.median(away[lesion])) if len(volumes) > 1 else lesion
    for role, volume in volumes.items():
        tissue = volume[volume != 0]
        if role in (Role.FLAIR, Role.T2):
            level = tissue.mean() + rng.uniform(*WHOLE_Z) * tissue.std()
            _raise(volume, lesion, level, grid)
        elif role is Role.T1C and (enhancing or len(volumes) == 1):
            level = tissue.mean() + rng.uniform(*CORE_Z) * tissue.std()
            _raise(volume, core, level, grid)
    return lesion


def _raise(volume: Array, where: Array, level: float, grid: Grid) -> None:
    """Bring the mean of a part to a level, in place, with a soft border."""
    weight = ndimage.gaussian_filter(where.astype(np.float32), [SOFT_MM / step for step in grid.spacing])
    volume += weight * (level - volume[where].mean()) * (volume != 0)


def _uneven_distance(grid: Grid, centre: Array, rng: np.random.Generator) -> Array:
    """Return a distance from the centre in mm, along axes of random lengths, with a smooth unevenness."""
    stretch = np.exp(rng.normal(0, 0.12, 3))
    axes = np.ogrid[tuple(slice(0, n) for n in grid.shape)]
    squares = [
        ((axis - c) * step / s) ** 2
        for axis, c, step, s in zip(axes, centre, grid.spacing, stretch, strict=True)
    ]
    away = np.sqrt(squares[0] + squares[1] + squares[2])
    noise = ndimage.gaussian_filter(rng.normal(size=grid.shape), [2.5 / step for step in grid.spacing])
    return np.asarray(away * np.exp(0.08 * noise / noise.std()) + 1e-6 * rng.random(grid.shape))


def _tell_sensitivity(rows: Sequence[Lesion], threshold: float) -> None:
    if not rows:
        return
    print("lesion_ml  drawn  touched  with_min_evidence  with_500_certain_voxels")
    for ml in SIZES_ML:
        here = [row for row in rows if row.ml == ml]
        touched = sum(row.evidence is not None for row in here)
        kept = sum((row.evidence or 0) >= threshold for row in here)
        old = sum(row.certain >= OLD_RULE[1] for row in here)
        print(f"{ml:9.2f}  {len(here):5d}  {touched:7d}  {kept:17d}  {old:23d}")


def _write_rows(rows: Sequence[Lesion], threshold: float, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("case", "ml", "enhancing", "evidence", "certain_voxels", "kept"))
        for row in rows:
            evidence = "" if row.evidence is None else f"{row.evidence:.2f}"
            kept = "yes" if (row.evidence or 0) >= threshold else "no"
            writer.writerow((row.case, row.ml, row.enhancing, evidence, row.certain, kept))


if __name__ == "__main__":
    main()
