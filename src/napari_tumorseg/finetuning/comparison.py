"""Comparison of two models on one left-out case: Dice in full resolution, and pictures side by side."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from napari_tumorseg.errors import RoleError
from napari_tumorseg.finetuning.judgement import Pair
from napari_tumorseg.inference import Settings, segment
from napari_tumorseg.inference.model_selection import missing_roles
from napari_tumorseg.io.atomic import atomic_path, write_text
from napari_tumorseg.io.case import file_name
from napari_tumorseg.io.dataset import CaseRef, as_wanted
from napari_tumorseg.models.store import Model
from napari_tumorseg.regions import region_mask
from napari_tumorseg.report.montage import draw_tiles
from napari_tumorseg.report.slices import spread
from napari_tumorseg.scan import Scan, Segmentation

_SLICES = 3
_SIDE = 150


def compare(
    case: CaseRef, models: Sequence[Model], labels: str | None, folder: Path, is_old: bool = False
) -> Pair:
    """Segment a case with the model before and the one after; write both pictures, return the Dice.

    What was compared before is read from the folder.
    """
    path = folder / f"{file_name(case.name)}.json"
    if path.is_file():
        return Pair(**json.loads(path.read_text(encoding="utf-8")))
    scan, reference = case.load(labels)
    dice = []
    for when, model in zip(("before", "after"), models, strict=True):
        seg = _segmented(scan, model)
        dice.append(dice_by_region(seg, reference))
        _draw(scan, seg, reference, picture_path(folder, case.name, when))
    known = dice[0].keys() & dice[1].keys()
    before, after = ({name: float(found[name]) for name in sorted(known)} for found in dice)
    pair = Pair(case.name, case.patient, before, after, is_old)
    write_text(path, json.dumps(asdict(pair)), overwrite=True)
    return pair


def picture_path(folder: Path, case: str, when: str) -> Path:
    """Return the path of a picture."""
    return folder / f"{file_name(case)}-{when}.webp"


def _segmented(scan: Scan, model: Model) -> Segmentation:
    """Return the mask of a model; an empty one where the scan lacks what the model needs."""
    scan = as_wanted(scan, model.card.input.roles)
    if missing_roles(model.card, scan.roles.keys()):
        return _empty(scan, model)
    try:
        return segment(scan, model, Settings(precision="float32"))
    except RoleError:
        return _empty(scan, model)


def _empty(scan: Scan, model: Model) -> Segmentation:
    from napari_tumorseg.regions import CONVENTIONS

    labels = np.zeros(scan.grid.shape, dtype=np.uint8)
    return Segmentation(labels, scan.grid, CONVENTIONS[model.card.output.scheme], scan.case)


def dice_by_region(seg: Segmentation, reference: Segmentation) -> dict[str, float]:
    """Return the Dice of each region that both conventions have; 1 where both masks are empty."""
    found = {}
    for name, members in seg.convention.regions.items():
        if name not in reference.convention.regions:
            continue
        ours = region_mask(seg.labels, members)
        theirs = region_mask(reference.labels, reference.convention.regions[name])
        size = int(ours.sum()) + int(theirs.sum())
        found[name] = 2 * int((ours & theirs).sum()) / size if size else 1.0
    return found


def _draw(scan: Scan, seg: Segmentation, reference: Segmentation, path: Path) -> None:
    """Write a strip of slices; the reference chooses them, so that both pictures show the same."""
    area = np.count_nonzero(reference.labels, axis=(1, 2))
    hit = np.flatnonzero(area) if area.any() else np.arange(len(area))
    slices = spread(int(hit[0]), int(hit[-1]), int(area.argmax()), _SLICES)
    images = draw_tiles(scan, seg, slices, reference=reference, side=_SIDE, text=0).images
    wide, high = images[0].size
    from PIL import Image

    strip = Image.new("RGB", (len(images) * wide, high))
    for number, image in enumerate(images):
        strip.paste(image, (number * wide, 0))
    content = io.BytesIO()
    strip.save(content, "WEBP", quality=70)
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_bytes(content.getvalue())
