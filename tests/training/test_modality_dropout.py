from __future__ import annotations

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg.inference.prepare import prepare
from napari_tumorseg.io.dataset import DataSet
from napari_tumorseg.scan import Role, Scan
from napari_tumorseg.training.cache import CachedCase, SkippedCase, fill_cache
from napari_tumorseg.training.datamodule import SliceDataModule
from napari_tumorseg.training.recipe import Recipe
from napari_tumorseg.training.split import DataSplit
from tests.training.conftest import tiny

SHAPE = (32, 32, 4)  # x, y, z


def write_case(folder: Path, repeated: bool = False, mask: str = "") -> Path:
    """Write three modalities of unlike brightness and background, and a mask; `repeated`: all are FLAIR."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    flair = rng.integers(50, 100, SHAPE).astype(np.int16)
    for name, scale, ground in (("t1", 3, 40), ("flair", 1, 10), ("t1c", 2, 25)):
        data = np.full(SHAPE, 10 if repeated else ground, np.int16)
        other = rng.integers(50, 100, SHAPE)
        data[6:26, 6:26] = (flair if repeated or name == "flair" else other * scale)[6:26, 6:26]
        nib.save(nib.Nifti1Image(data, affine), folder / f"x_{name}.nii.gz")
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:16, 10:16, 1:3] = 1
    goal = folder.parent / mask if mask else folder
    goal.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(labels, affine), goal / "x_seg.nii.gz")
    return folder


def recipe(*augmentation: dict[str, object], **wanted: object) -> Recipe:
    normal = {"method": "zscore", "statistics": "foreground"}
    given = {"normalisation": normal, "foreground": {"rule": "fraction-of-max"}, **wanted}
    return tiny(augmentation=list(augmentation), input=given, data={"labels": "binary"})


def parts_of(folder: Path, wanted: Recipe, place: Path) -> SliceDataModule:
    cases = [c for c in fill_cache(DataSet.find([folder]), wanted, place) if isinstance(c, CachedCase)]
    return SliceDataModule(cases, DataSplit(tuple(c.name for c in cases), (), ()), wanted)


def only(scan: Scan, *roles: Role) -> Scan:
    return Scan(scan.case, tuple(i for i in scan.images if i.role in roles))


@pytest.mark.parametrize("stand_in", [True, False])
def test_a_missing_modality_looks_as_in_inference(tmp_path: Path, stand_in: bool) -> None:
    write_case(tmp_path / "data" / "one")
    substitute = {"t1": "flair", "t1c": "flair"} if stand_in else {}
    wanted = recipe({"kind": "missing"}, substitute=substitute)
    data = parts_of(tmp_path / "data", wanted, tmp_path / "cache").train_data
    scan, _ = DataSet.find([tmp_path / "data"]).cases[0].load("binary")
    prepared = prepare(only(scan, Role.FLAIR), wanted.card(), wanted.stride, 1 << 16)
    for number, sample in enumerate(data.samples):
        index = data.cases[0].slices[sample.position]
        np.testing.assert_allclose(data[3, number]["image"], prepared.network_input(index), atol=2e-3)


ZERO = {"method": "zscore", "statistics": "foreground", "background": "zero"}


def test_something_that_suffices_is_always_left(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "data" / "one")
    (folder / "x_t1c.nii.gz").unlink()
    sets = [["flair"], ["t1c"], ["flair", "t1c"], ["t1", "t1c"]]
    wanted = recipe({"kind": "missing"}, accepts=sets, substitute={}, normalisation=ZERO)
    data = parts_of(tmp_path / "data", wanted, tmp_path / "cache").train_data
    flair, t1c = (wanted.input.roles.index(role) for role in (Role.FLAIR, Role.T1C))
    for epoch in range(8):
        image = data[epoch, 1]["image"]
        assert image[flair].any() and not image[t1c].any()


def test_sets_named_twice_come_twice_as_often(tmp_path: Path) -> None:
    write_case(tmp_path / "data" / "one")
    drawn = {"kind": "missing", "sets": [["flair"], ["flair"], ["flair"], ["flair", "t1c"]]}
    wanted = recipe(drawn, substitute={}, normalisation=ZERO)
    data = parts_of(tmp_path / "data", wanted, tmp_path / "cache").train_data
    t1, t1c = (wanted.input.roles.index(role) for role in (Role.T1, Role.T1C))
    images = [data[epoch, 1]["image"] for epoch in range(80)]
    assert not any(image[t1].any() for image in images)
    assert 8 <= sum(image[t1c].any() for image in images) <= 32


def test_a_channel_that_is_missing_stays_zero(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "data" / "one")
    write_case(tmp_path / "data" / "two")
    (folder / "x_t1.nii.gz").unlink()
    loud = ({"kind": "paste", "shift": 2}, {"kind": "noise"}, {"kind": "gain", "offset": 0.3})
    wanted = recipe(*loud, accepts=[["flair", "t1c"]], substitute={}, normalisation=ZERO)
    data = parts_of(tmp_path / "data", wanted, tmp_path / "cache").train_data
    t1, flair = (wanted.input.roles.index(role) for role in (Role.T1, Role.FLAIR))
    for epoch in range(8):
        for number, sample in enumerate(data.samples):
            image = data[epoch, number]["image"]
            assert image[flair].any()
            if sample.case == 0:
                assert not image[t1].any()


def test_a_repeated_modality_is_no_mistake_whatever_comes_after(tmp_path: Path) -> None:
    write_case(tmp_path / "data" / "one", repeated=True)
    loud = ({"kind": "mistaken"}, {"kind": "gain", "factor": 0.3, "offset": 0.3}, {"kind": "noise"})
    data = parts_of(tmp_path / "data", recipe(*loud), tmp_path / "cache").train_data
    assert all(data[0, i]["target"].any() for i, s in enumerate(data.samples) if s.tumour)


def test_a_mistake_brings_its_own_background(tmp_path: Path) -> None:
    write_case(tmp_path / "data" / "one")
    wrong = {"kind": "mistaken", "roles": ["t1"]}
    data = parts_of(tmp_path / "data", recipe(wrong), tmp_path / "cache").train_data
    case, item = data.cases[0], data[0, 1]
    assert not item["target"].any()
    for channel in range(3):
        np.testing.assert_array_equal(item["image"][channel], case.images[data.samples[1].position, 0])


def test_a_lone_image_takes_the_only_role(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(3):
        with h5py.File(tmp_path / "data" / f"{number}.h5", "w") as file:
            file["image"] = np.pad(np.ones((8, 8), np.float32), 4)
            file["mask"] = np.pad(np.ones((4, 4), np.uint8), 6)
    wanted = tiny(input={"roles": ["flair"], "accepts": [], "substitute": {}}, augmentation=[])
    assert len(parts_of(tmp_path / "data", wanted, tmp_path / "cache").train_data) == 3
    two = tiny(input={"roles": ["flair", "t1c"], "accepts": [], "substitute": {}}, augmentation=[])
    left = list(fill_cache(DataSet.find([tmp_path / "data"]), two, tmp_path / "cache"))
    assert all(isinstance(each, SkippedCase) and "needs FLAIR and T1c" in each.reason for each in left)


def test_a_corrected_mask_in_the_folder_beside_is_noticed(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "data" / "PAT0" / "images", mask="masks")
    before = parts_of(tmp_path / "data", recipe(), tmp_path / "cache").train_data.cases[0]
    labels = np.ones(SHAPE, np.uint8)
    nib.save(
        nib.Nifti1Image(labels, np.diag([-1.0, -1.0, 1.0, 1.0])), folder.parent / "masks" / "x_seg.nii.gz"
    )
    after = parts_of(tmp_path / "data", recipe(), tmp_path / "cache").train_data.cases[0]
    assert after.targets.sum() > before.targets.sum()


@pytest.mark.parametrize("patch", [None, [16, 16]])
def test_odd_cases_are_left_out_in_a_sentence(tmp_path: Path, patch: list[int] | None) -> None:
    write_case(tmp_path / "data" / "good")
    black = write_case(tmp_path / "data" / "black")
    for file in black.glob("x_[tf]*.nii.gz"):
        nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), np.diag([-1.0, -1.0, 1.0, 1.0])), file)
    wanted = recipe().model_copy(update={"fit": tiny(fit={"patch": patch}).fit})
    found = list(fill_cache(DataSet.find([tmp_path / "data"]), wanted, tmp_path / "cache"))
    assert [type(each) for each in found] == [SkippedCase, CachedCase]
    small = recipe(size={"canvas": [16, 16]}).model_copy(update={"fit": wanted.fit})
    for each in fill_cache(DataSet.find([tmp_path / "data"]), small, tmp_path / "cache"):
        assert isinstance(each, SkippedCase | CachedCase)
