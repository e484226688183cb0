"""Agreement lost by cropping to the tissue: masks for several margins against those of whole slices.

`brats-regions` without flips or post-processing; a margin counts pixels of the network (2 mm here). The
window of a slice is otherwise chosen as the engine chooses it.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np

import napari_tumorseg.inference  # noqa: F401  (fills sys.modules, where `run` the module is found)
from inference import SHIPPED, engine
from measuring import default_case
from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.inference.prepare import MARGIN, prepare
from napari_tumorseg.io import read
from napari_tumorseg.models.store import get_model
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Scan

MARGINS = (8, 16, 24, 32)
_WHOLE = 10_000


def labels_of(scan: Scan, margin: int) -> tuple[np.ndarray, float]:
    """Return the labels with another margin, and the share of all pixels that the network sees."""
    model = get_model(SHIPPED)
    module = sys.modules["napari_tumorseg.inference.run"]
    module.prepare = partial(prepare, margin=margin)  # type: ignore[attr-defined]
    ready = prepare(scan, model.card, model.load().stride, margin)
    seen = sum(int(np.prod(ready.window(index))) for index in ready.todo)
    return engine(scan, model), seen / (ready.shape[0] * 128 * 128)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scans", nargs="*", type=Path, help="folders of skull-stripped cases")
    options = parser.parse_args()
    regions = CONVENTIONS[get_model(SHIPPED).card.output.scheme].regions
    print(f"Dice of {', '.join(regions)} against whole slices, share of pixels run; the engine's is {MARGIN}")
    for folder in options.scans or [default_case()]:
        try:
            scan = read(folder)
        except TumorSegError as error:
            print(f"{folder.name}: {error}")
            continue
        whole, _ = labels_of(scan, _WHOLE)
        for margin in MARGINS:
            cropped, share = labels_of(scan, margin)
            told = "  ".join(f"{_dice(whole, cropped, labels):.4f}" for labels in regions.values())
            print(f"  {scan.case:<24} margin {margin:2}  {told}  {share:.0%}", flush=True)


def _dice(one: np.ndarray, other: np.ndarray, labels: tuple[int, ...]) -> float:
    a, b = np.isin(one, labels), np.isin(other, labels)
    size = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2 * int(np.count_nonzero(a & b)) / size if size else 1.0


if __name__ == "__main__":
    main()
