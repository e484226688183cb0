"""Time to list a folder of tens of thousands of slices, and to open one volume of it.

The folder is made of links to two small files, named as the Kaggle edition of BraTS 2020 or as LGG slices
that lie in one folder.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import tifffile

from measuring import about_machine
from napari_tumorseg.io import list_cases, open_case


def hdf5_slices(folder: Path, volumes: int) -> str:
    """Fill a folder with 155 slices of each volume and return the name of one."""
    one = folder.parent / "one.h5"
    with h5py.File(one, "w") as file:
        file["image"] = np.random.default_rng(0).random((240, 240, 4))
        file["mask"] = np.zeros((240, 240, 3), np.uint8)
    for volume in range(volumes):
        for number in range(155):
            os.link(one, folder / f"volume_{volume}_slice_{number}.h5")
    return f"volume_{volumes - 1}"


def lgg_slices(folder: Path, volumes: int) -> str:
    """Fill a folder with 77 slices and masks of each volume and return the name of one."""
    image, mask = folder.parent / "one.tif", folder.parent / "one_mask.tif"
    tifffile.imwrite(image, np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8))
    tifffile.imwrite(mask, np.zeros((256, 256), np.uint8))
    for volume in range(volumes):
        for number in range(1, 78):
            os.link(image, folder / f"TCGA_XX_{volume:04d}_19960101_{number}.tif")
            os.link(mask, folder / f"TCGA_XX_{volume:04d}_19960101_{number}_mask.tif")
    return f"TCGA_XX_{volumes - 1:04d}_19960101"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--volumes", type=int, default=369)
    options = parser.parse_args()
    print(about_machine("h5py", "tifffile"))
    for title, fill in (("HDF5", hdf5_slices), ("TIFF", lgg_slices)):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "slices"
            folder.mkdir()
            name = fill(folder, options.volumes)
            start, used = time.perf_counter(), time.process_time()
            cases = len(list_cases(folder))
            listed, listed_cpu = time.perf_counter() - start, time.process_time() - used
            start, used = time.perf_counter(), time.process_time()
            open_case(folder, name)
            opened, opened_cpu = time.perf_counter() - start, time.process_time() - used
            print(
                f"{title}: {cases} volumes listed in {listed:.2f} s ({listed_cpu:.2f} s of CPU), "
                f"one opened in {opened:.2f} s ({opened_cpu:.2f} s of CPU)"
            )


if __name__ == "__main__":
    main()
