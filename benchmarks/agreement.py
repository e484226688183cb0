"""Agreement of a model's masks in bfloat16 and int8 with those in float32, for its card.

Every case is segmented in each precision as users do, with the card's own flip and post-processing.
Where it has a reference mask, Dice against that is told, too. `--write` puts the figures into the card.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from measuring import about_machine
from napari_tumorseg.evaluation.case import Loaded
from napari_tumorseg.evaluation.select import seen
from napari_tumorseg.inference import Settings, segment
from napari_tumorseg.io.dataset import DataSet
from napari_tumorseg.models.agreement import Agreement, ReducedPrecision
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Segmentation


@dataclass
class Found:
    """Figures of one precision, by case and region."""

    dice: list[float] = field(default_factory=list)
    volume: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    reference_float32: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def compare(full: Segmentation, reduced: Segmentation, found: Found) -> None:
    """Add and print Dice and difference in volume of each region that is not empty in both."""
    for name, members in full.convention.regions.items():
        one, other = region_mask(full.labels, members), region_mask(reduced.labels, members)
        voxels = np.count_nonzero(one), np.count_nonzero(other)
        if not any(voxels):
            continue
        dice = overlap(one, other)
        found.dice.append(dice)
        if voxels[0]:
            found.volume.append(100 * abs(voxels[1] - voxels[0]) / voxels[0])
        print(f"    {name:<4} Dice {dice:.5f}, {voxels[0]} voxels in float32, {voxels[1]} here")


def reference_dice(seg: Segmentation, reference: Segmentation) -> list[float]:
    """Return Dice of each region that the reference holds, too."""
    theirs = reference.convention.regions
    common = [
        name for name in seg.convention.regions if region_mask(reference.labels, theirs.get(name, ())).any()
    ]
    return [
        overlap(
            region_mask(seg.labels, seg.convention.regions[name]), region_mask(reference.labels, theirs[name])
        )
        for name in common
    ]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return Dice of two masks, at least one of which is not empty."""
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def measure(
    model: Model,
    data: DataSet,
    wanted: Sequence[ReducedPrecision],
    names: Sequence[str],
    only_unseen: bool,
) -> tuple[dict[ReducedPrecision, Found], int]:
    """Run all cases in all precisions; return the figures and the number of cases."""
    found: dict[ReducedPrecision, Found] = {name: Found() for name in wanted}
    unseen = [case for case in data.cases if case.patient not in seen(model.card)]
    cases = [case for case in (unseen if only_unseen else data.cases) if not names or case.name in names]
    for case in cases:
        scan, reference = case.load()
        full, _ = timed(scan, model, "float32")
        before = reference_dice(full, reference)
        print(
            f"{case.name}: float32 against the reference {' '.join(f'{d:.4f}' for d in before)}", flush=True
        )
        for name in wanted:
            reduced, seconds = timed(scan, model, name)
            print(f"  {name}, {seconds:.1f} s of processor time")
            compare(full, reduced, found[name])
            found[name].seconds.append(seconds)
            found[name].reference_float32 += before
            found[name].reference += reference_dice(reduced, reference)
    return found, len(cases)


def timed(scan: object, model: Model, precision: str) -> tuple[Segmentation, float]:
    """Segment and return the processor time, too."""
    start = time.process_time()
    seg = segment(scan, model, Settings(device="cpu", precision=precision))  # type: ignore[arg-type]
    return seg, time.process_time() - start


def figures(model: Model, found: Found, cases: int) -> Agreement:
    """Return what the card states."""
    return Agreement(
        sha256=model.weights_sha256(),
        scans=cases,
        mean=round(statistics.mean(found.dice), 5),
        least=round(min(found.dice), 5),
        volume_percent=round(statistics.mean(found.volume), 3),
        volume_percent_most=round(max(found.volume), 3),
        references=cases,
        dice=round(statistics.mean(found.reference), 5),
        dice_float32=round(statistics.mean(found.reference_float32), 5),
        measured_with=about_machine("torch").splitlines()[0],
    )


def write(model: Model, told: dict[ReducedPrecision, Agreement]) -> Path:
    """Put the figures into the card file; those of other precisions stay."""
    card = model.card.model_copy(update={"agreement": {**model.card.agreement, **told}})
    path = model.weights.with_suffix(".toml")
    path.write_text(card.to_toml(), encoding="utf-8", newline="\n")
    return path


def main() -> None:
    """Measure and print, and write if wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name or path of a model")
    parser.add_argument("--data", type=Path, action="append", required=True, help="cases with masks; repeat")
    parser.add_argument("--case", action="append", default=[], help="only this case; repeat")
    parser.add_argument("--masks", action="append", default=[], help="part of the name of the reference")
    parser.add_argument("--precision", nargs="+", choices=("bfloat16", "int8"), default=["bfloat16"])
    parser.add_argument("--unseen", action="store_true", help="leave out patients that it was trained on")
    parser.add_argument("--write", action="store_true", help="put the figures into the card")
    options = parser.parse_args()
    model = Loaded.of(get_model(options.model))
    data = DataSet.find(options.data, options.masks)
    found, cases = measure(model, data, options.precision, options.case, options.unseen)
    told = {name: figures(model, values, cases) for name, values in found.items()}
    for name, stated in told.items():
        print(f"{model.name} in {name}: {stated.as_text()}; allowed by itself: {stated.sufficient}")
    if options.write:
        print(f"wrote {write(model, told)}")


if __name__ == "__main__":
    main()
