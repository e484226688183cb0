"""Time to read a case of four modalities, beside nibabel alone.

nibabel loads the same files one after the other and hands out the array as stored. `open_case` also
checks the header and the values, brings the array into canonical order (a view) and builds the grid.
All read from the page cache, taking turns.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np

from measuring import about_machine, default_case, show, take_turns
from napari_tumorseg.io import nifti, open_case
from napari_tumorseg.scan import MODALITIES

NIBABEL = "nibabel, one file after the other"


def modalities(case: Path) -> list[Path]:
    """Return the files of a case folder that are images; a name alone (TumorSeg-1-t1c) can mislead."""
    found = {image.source for image in open_case([case]).images if image.role in MODALITIES}
    return sorted(path for path in found if path is not None)


def by_nibabel(path: Path) -> np.ndarray:
    """Read one file as most tools do."""
    return np.asanyarray(nib.load(path).dataobj)


def by_nibabel_in_threads(paths: Sequence[Path]) -> list[np.ndarray]:
    """Give nibabel the two cores, too, to tell what is due to them."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(by_nibabel, paths))


def with_zlib(paths: Sequence[Path]) -> None:
    """Take the standard library's inflate, as where ISA-L is not built."""
    before, nifti.inflate_library = nifti.inflate_library, zlib
    try:
        open_case(paths)
    finally:
        nifti.inflate_library = before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scan", type=Path, default=default_case(), help="folder of a case")
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    paths = modalities(options.scan)
    if not paths:
        parser.error(f"{options.scan} holds no image")
    size = sum(p.stat().st_size for p in paths) / 1e6
    print(about_machine("nibabel", "numpy", "isal"))
    print(f"{options.scan.name}: {len(paths)} files, {size:.1f} MB; inflated by {_library()}")
    tasks = {
        NIBABEL: lambda: [by_nibabel(p) for p in paths],
        "nibabel, in threads": lambda: by_nibabel_in_threads(paths),
        "open_case": lambda: open_case(paths),
        "open_case with zlib": lambda: with_zlib(paths),
    }
    take_turns(tasks, 1)
    show(take_turns(tasks, options.rounds), against=NIBABEL)


def _library() -> str:
    return str(nifti.inflate_library.__name__)


if __name__ == "__main__":
    main()
