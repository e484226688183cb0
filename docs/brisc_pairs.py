"""Lay out BRISC 2025 as pairs of pictures and masks, and group its near duplicates.

    python docs/brisc_pairs.py BRISC DEST

BRISC is the folder with ``segmentation_task`` and ``classification_task``. DEST gets ``images`` and ``masks``
with the slices of both of its parts and those without a tumour, whose masks are empty, and ``groups.csv``
with a group for each slice: slices that show the same picture, in any of eight orientations, and consecutive
numbers of one kind and plane that look alike, which are mostly of one patient. Slices without a mask are left
out.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from napari_tumorseg.training.near_duplicates import THRESHOLD, connected, near_duplicates, thumbnail

CONSECUTIVE = 0.85
"""Correlation from which consecutive slices of one kind and plane are grouped.

29 % of such pairs are above it, and 1 % of random pairs of one kind and plane.
"""


def main() -> None:
    """Read the folders from the command line and lay out the data."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("brisc", type=Path)
    parser.add_argument("dest", type=Path)
    given = parser.parse_args()
    images = lay_out(given.brisc, given.dest)
    names = [path.stem for path in images]
    thumbnails = [thumbnail(np.asarray(Image.open(path).convert("L"))) for path in images]
    pairs = near_duplicates(thumbnails)
    groups = connected(len(names), [*pairs, *_consecutive(names, thumbnails)])
    with (given.dest / "groups.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("case", "group"), *zip(names, groups, strict=True)])
    print(summary(names, pairs, groups))


def lay_out(brisc: Path, dest: Path) -> list[Path]:
    """Copy images and masks, make empty masks for slices without a tumour, and return the images."""
    for inner in ("images", "masks"):
        (dest / inner).mkdir(parents=True, exist_ok=True)
    made = []
    for image in sorted(brisc.glob("segmentation_task/*/images/*.jpg")):
        mask = image.parent.parent / "masks" / f"{image.stem}.png"
        if mask.is_file():
            made.append(_copied(image, dest / "images"))
            shutil.copyfile(mask, dest / "masks" / mask.name)
    for image in sorted(brisc.glob("classification_task/*/no_tumor/*.jpg")):
        made.append(_copied(image, dest / "images"))
        Image.new("L", Image.open(image).size).save(dest / "masks" / f"{image.stem}.png")
    return made


def summary(names: Sequence[str], pairs: Sequence[tuple[int, int]], groups: Sequence[int]) -> str:
    """Return numbers of slices, pairs and groups, and how many pairs lie across BRISC's own split."""
    parts = [name.split("_")[1] for name in names]
    across = [pair for pair in pairs if parts[pair[0]] != parts[pair[1]]]
    twins = {i for pair in across for i in pair if parts[i] == "test"}
    sizes = np.bincount(groups)
    return (
        f"{len(names)} slices, {len(pairs)} pairs that correlate above {THRESHOLD}, {len(across)} of them "
        f"across BRISC's own split: {len(twins)} of {parts.count('test')} test slices have a near duplicate "
        f"in train; {len(sizes)} groups, the largest of {sizes.max()} slices"
    )


def _copied(path: Path, folder: Path) -> Path:
    return Path(shutil.copyfile(path, folder / path.name))


def _consecutive(names: Sequence[str], thumbnails: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Return pairs of consecutive slices of one part, kind and plane that look alike."""
    found = []
    for one, other in pairwise(sorted(range(len(names)), key=lambda i: names[i])):
        _, part, number, *kind = names[one].split("_")
        _, next_part, next_number, *next_kind = names[other].split("_")
        near = (part, kind) == (next_part, next_kind) and int(next_number) - int(number) <= 2
        if near and alike(thumbnails[one], thumbnails[other]) > CONSECUTIVE:
            found.append((one, other))
    return found


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest correlation of two thumbnails over the eight orientations."""
    turned = [np.rot90(other, k) for k in range(4)]
    return max(float((one * t).sum()) for t in [*turned, *(t[:, ::-1] for t in turned)])


if __name__ == "__main__":
    main()
