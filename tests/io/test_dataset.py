from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg.errors import ChoiceNeededError, GeometryError, InputError
from napari_tumorseg.io.dataset import DataSet, UnlabelledError, as_wanted
from napari_tumorseg.scan import Role

SHAPE = (6, 5, 4)


def nifti(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.eye(4) if affine is None else affine), path)


def case(folder: Path, name: str, masks: dict[str, np.ndarray]) -> None:
    nifti(folder / name / f"{name}_flair.nii.gz", np.arange(120, dtype=np.int16).reshape(SHAPE))
    for mask, labels in masks.items():
        nifti(folder / name / f"{mask}.nii.gz", labels.astype(np.uint8))


def labels(value: int) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array[1, 2, 3] = value
    return array


def test_one_mask_is_taken_and_several_are_chosen_from(tmp_path: Path) -> None:
    case(tmp_path, "one", {"one_seg": labels(1)})
    case(tmp_path, "two", {"seg-a": labels(1), "seg-a_mapped": labels(1), "seg-b": labels(4)})
    one, two = DataSet.find([tmp_path]).cases
    assert one.load("brats-2021")[1].labels.sum() == 1
    with pytest.raises(ChoiceNeededError, match="several masks") as error:
        two.load("brats-2021")
    assert "seg-a" in str(error.value)
    two = DataSet.find([tmp_path], ["nothing", "seg-a"]).cases[1]
    assert two.load("brats-2021")[1].source == tmp_path / "two" / "seg-a.nii.gz"


def test_mask_in_the_folder_beside(tmp_path: Path) -> None:
    nifti(tmp_path / "TCGA-AA-0001" / "images" / "x_flair.nii.gz", np.ones(SHAPE, np.int16))
    nifti(tmp_path / "TCGA-AA-0001" / "segs" / "seg.nii.gz", labels(4))
    nifti(tmp_path / "TCGA-AA-0002" / "images" / "x_flair.nii.gz", np.ones(SHAPE, np.int16))
    found = DataSet.find([tmp_path]).cases
    first = next(c for c in found if c.case.startswith("TCGA-AA-0001/images"))
    assert first.patient == "TCGA-AA-0001" and first.name == "TCGA-AA-0001_images"
    assert first.load("brats-2021")[1].labels.max() == 4
    with pytest.raises(UnlabelledError, match="holds no image"):
        next(c for c in found if c.case.endswith("segs")).load("brats-2021")
    with pytest.raises(UnlabelledError, match="no reference mask"):
        next(c for c in found if c.case.startswith("TCGA-AA-0002")).load()


def test_mask_that_does_not_lie_on_the_scan(tmp_path: Path) -> None:
    case(tmp_path, "one", {})
    nifti(tmp_path / "one" / "seg.nii.gz", labels(1), np.diag([-1.0, -1, 1, 1]))
    with pytest.raises(GeometryError, match="another affine"):
        DataSet.find([tmp_path]).cases[0].load("brats-2021")
    scan, mask = DataSet.find([tmp_path]).cases[0].load("brats-2021", same_voxels=True)
    assert scan.grid.to_file_order(mask.labels)[1, 2, 3] == 1


def test_names_are_kept_apart(tmp_path: Path) -> None:
    case(tmp_path / "a", "one", {"seg": labels(1)})
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(InputError, match="both hold a case one"):
        DataSet.find([tmp_path / "a", tmp_path / "b"])
    both = DataSet.find([tmp_path / "a"])
    assert both.named(["one"]).cases == both.cases
    with pytest.raises(InputError, match="no case two"):
        both.named(["two"])


def test_real_cases(shared_data: Path) -> None:
    data = DataSet.find([shared_data / "brats"], ["OTMulti", "seg-BraTS23_1", "simple"])
    found = {}
    for ref in data.cases:
        try:
            found[ref.name] = ref.load("brats-2021")[1]
        except UnlabelledError:
            assert ref.name.endswith(("algorithmic_segs", "native"))
    assert len(found) == 7
    assert found["TCGA-FG-6692_brain_extracted"].labels.astype(bool).sum() == 30179


def test_pairs_in_one_file_each_are_read_by_themselves(tmp_path: Path) -> None:
    for number in range(3):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file["image"] = np.full((8, 9), number + 1.0, np.float32)
            file["mask"] = np.eye(8, 9, dtype=np.uint8)
    for case in DataSet.find([tmp_path]).cases:
        scan, mask = case.load()
        assert mask.labels.sum() == 8 and (scan.images[0].data == int(case.name) + 1).all()
        assert scan.images[0].role is Role.OTHER
        assert as_wanted(scan, (Role.FLAIR,)).roles.keys() == {Role.FLAIR}
        assert not as_wanted(scan, (Role.FLAIR, Role.T1C)).roles
