from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_tumorseg.io.dataset import DataSet
from napari_tumorseg.models.card import Input
from napari_tumorseg.training import cache as cache_module
from napari_tumorseg.training.augment_config import Affine, Appearance
from napari_tumorseg.training.augment_transforms import Augmenter, make
from napari_tumorseg.training.cache import CachedCase, SkippedCase, fill_cache
from napari_tumorseg.training.data import EpochBatchSampler, Sample, SliceData, TrainLoader
from napari_tumorseg.training.datamodule import SliceDataModule
from napari_tumorseg.training.recipe import Recipe
from napari_tumorseg.training.split import DataSplit
from tests.training.conftest import tiny


def cached(folder: Path, recipe: Recipe, place: Path) -> list[CachedCase]:
    found = list(fill_cache(DataSet.find([folder]), recipe, place))
    assert not [f for f in found if isinstance(f, SkippedCase)]
    return [f for f in found if isinstance(f, CachedCase)]


def test_cache_holds_what_inference_would_feed(lgg: Path, tmp_path: Path) -> None:
    case = cached(lgg, tiny(), tmp_path)[0]
    scan, reference = DataSet.find([lgg]).cases[0].load()
    assert case.images.shape == (5, 3, 32, 32) and case.images.dtype == np.float16
    np.testing.assert_allclose(case.images[2, 1], scan.images[0].data[2] / 255, atol=1e-3)
    assert np.array_equal(case.targets > 0, reference.labels > 0)
    assert case.tumour == (False, True, True, True, False) and all(case.tissue)


def test_cache_is_read_again_and_not_made_again(
    lgg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached(lgg, tiny(), tmp_path)

    def fail(*_: object) -> None:
        raise AssertionError("a case was read twice")

    monkeypatch.setattr(cache_module, "_make", fail)
    assert cached(lgg, tiny(), tmp_path) == first
    with pytest.raises(AssertionError):  # another preparation has arrays of its own
        cached(lgg, tiny(input={"normalisation": {"method": "minmax"}}), tmp_path)


def test_cache_notices_a_changed_file(lgg: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(lgg, tmp_path / "data")
    before = cached(copy, tiny(), tmp_path / "cache")
    mask = next((copy / before[0].name).glob("*_3_mask.tif"))
    import tifffile

    tifffile.imwrite(mask, np.zeros((32, 32), np.uint8))
    after = cached(copy, tiny(), tmp_path / "cache")
    assert before[0].tumour[2] and not after[0].tumour[2]


def test_half_broken_cache_is_made_again(lgg: Path, tmp_path: Path) -> None:
    case = cached(lgg, tiny(), tmp_path)[0]
    (Path(case.folder) / "index.json").write_text("{")
    assert cached(lgg, tiny(), tmp_path)[0] == case


def test_neighbours_follow_in_the_order_of_the_card(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(input={"neighbours": 1})
    case = cached(lgg, recipe, tmp_path)[0]
    data = SliceData([case], [Sample(0, i, False) for i in range(5)], recipe, None)
    first, middle = data[0, 0]["image"], data[0, 2]["image"]
    assert middle.shape == (9, 32, 32)
    for place, index in enumerate((2, 1, 3)):
        np.testing.assert_array_equal(middle[3 * place : 3 * place + 3], case.images[index])
    np.testing.assert_array_equal(first[3:6], case.images[0])  # beyond the volume its last slice repeats


def test_patch_is_cut_around_the_tissue(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(fit={"patch": [48, 24]})
    case = cached(lgg, recipe, tmp_path)[0]
    item = SliceData([case], [Sample(0, 2, True)], recipe, (48, 24))[0, 0]
    assert item["image"].shape == (3, 48, 24) and item["target"].shape == (1, 48, 24)
    assert (item["image"][:, 0] == 0).all() and (item["image"][:, 24] > 0).any()
    assert item["target"].sum() == (case.targets[2] > 0).sum()


def samples(tumour: int, others: int) -> list[Sample]:
    return [Sample(0, i, i < tumour) for i in range(tumour + others)]


def test_order_draws_the_share_anew_and_all_with_tumour() -> None:
    order = EpochBatchSampler(samples(10, 40), 4, without_tumour=0.25, seed=3)
    seen = []
    for epoch in range(3):
        order.set_epoch(epoch)
        keys = [key for batch in order for key in batch]
        assert {e for e, _ in keys} == {epoch}
        numbers = [n for _, n in keys]
        assert len(numbers) == len(set(numbers)) == 20 and set(range(10)) <= set(numbers)
        seen.append(numbers)
    assert seen[0] != seen[1] and set(seen[0]) != set(seen[1])
    again = EpochBatchSampler(samples(10, 40), 4, without_tumour=0.25, seed=3)
    assert [n for batch in again for _, n in batch] == seen[0]


def test_devices_share_an_epoch() -> None:
    whole = EpochBatchSampler(samples(12, 0), 2, seed=1)
    data_module = [EpochBatchSampler(samples(12, 0), 2, seed=1, rank=r, world=3) for r in range(3)]
    assert [len(p) for p in data_module] == [2, 2, 2]
    taken = [list(p) for p in data_module]
    assert [taken[i % 3][i // 3] for i in range(6)] == list(whole)


def test_no_batch_of_one() -> None:
    assert [len(b) for b in EpochBatchSampler(samples(9, 0), 4)] == [4, 4]
    assert [len(b) for b in EpochBatchSampler(samples(10, 0), 4)] == [4, 4, 2]
    assert [len(b) for b in EpochBatchSampler(samples(1, 0), 4)] == [1]


def parts_of(lgg: Path, place: Path, recipe: Recipe, workers: int = 0) -> SliceDataModule:
    cases = cached(lgg, recipe, place)
    names = [c.name for c in cases]
    return SliceDataModule(cases, DataSplit(tuple(names[:5]), tuple(names[5:]), ()), recipe, workers)


@pytest.mark.parametrize("workers", [0, 1])
def test_loader_goes_on_where_it_was(lgg: Path, tmp_path: Path, workers: int) -> None:
    data_module = parts_of(lgg, tmp_path, tiny(), workers)
    loader = data_module.train_dataloader()
    loader.order.set_epoch(2)
    whole = list(loader)
    stopped = data_module.train_dataloader()
    stopped.order.set_epoch(2)
    stream = iter(stopped)
    next(stream), next(stream)
    resumed: TrainLoader = data_module.train_dataloader()
    resumed.load_state_dict(stopped.state_dict())
    rest = list(resumed)
    assert len(rest) == len(whole) - 2
    for one, other in zip(whole[2:], rest, strict=True):
        assert torch.equal(one["image"], other["image"]) and torch.equal(one["target"], other["target"])
    assert len(list(resumed)) == len(whole)  # the next epoch is a whole one


def test_augmentation_follows_from_seed_epoch_and_sample(lgg: Path, tmp_path: Path) -> None:
    data = parts_of(lgg, tmp_path, tiny()).train_data
    first = data[0, 7]["image"]
    data[0, 3], data[5, 7]
    assert np.array_equal(data[0, 7]["image"], first)
    assert not np.array_equal(data[1, 7]["image"], first)
    other = parts_of(lgg, tmp_path, tiny(fit={"seed": 9})).train_data
    assert not np.array_equal(other[0, 7]["image"], first)


def test_mask_moves_with_the_image(lgg: Path, tmp_path: Path) -> None:
    moving = [
        {"kind": "flip"},
        {"kind": "rotate90", "probability": 1.0},
        {"kind": "affine", "rotate": 30, "scale": 0.2, "shift": 0.1},
        {"kind": "elastic", "spacing": 8, "magnitude": [1.0, 2.0]},
    ]
    data = parts_of(lgg, tmp_path, tiny(augmentation=moving)).train_data
    for number, sample in enumerate(data.samples):
        if sample.tumour:
            item = data[1, number]
            bright, mask = item["image"][1] > 0.6, item["target"][0] > 0.5
            assert 2 * (bright & mask).sum() / (bright.sum() + mask.sum()) > 0.8


def test_offline_copies_stay_and_are_added(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(offline=[[{"kind": "flip"}], [{"kind": "affine", "rotate": 10}]], augmentation=[])
    data = parts_of(lgg, tmp_path, recipe).train_data
    assert len(data) == 3 * 25
    plain, mirrored, turned = (data[0, i]["image"] for i in range(3))
    assert np.array_equal(mirrored, plain[:, :, ::-1]) and not np.array_equal(turned, plain)
    assert np.array_equal(data[4, 2]["image"], turned)


def test_missing_modalities_are_stood_in_for(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(augmentation=[{"kind": "missing"}], input={"neighbours": 1})
    case = cached(lgg, recipe, tmp_path)[0]
    data = parts_of(lgg, tmp_path, recipe).train_data
    data.cases[0].__dict__["images"] = case.images * np.array([1, 2, 3], np.float16)[:, None, None]
    image = data[0, 2]["image"]
    for channel in (0, 2, 3, 5, 6, 8):
        np.testing.assert_array_equal(image[channel], image[channel // 3 * 3 + 1])


def test_another_modality_handed_over_is_not_to_be_marked(lgg: Path, tmp_path: Path) -> None:
    wrong = [{"kind": "mistaken", "roles": ["t1c"]}]
    recipe = tiny(augmentation=wrong, input={"neighbours": 1})
    data = parts_of(lgg, tmp_path, recipe).train_data
    alone = data[0, 2]  # all channels are equal: the modality repeats FLAIR
    assert alone["target"].any()
    case = data.cases[0]
    case.__dict__["images"] = case.images * np.array([1, 2, 3], np.float16)[:, None, None]
    item = data[0, 2]
    assert not item["target"].any()
    for channel in range(9):
        np.testing.assert_allclose(item["image"][channel], case.images[[2, 1, 3][channel // 3], 2], atol=1e-3)


def test_background_that_is_zero_stays_zero(lgg: Path, tmp_path: Path) -> None:
    loud = [{"kind": "noise", "deviation": 0.5}, {"kind": "affine", "rotate": 20}, {"kind": "bias"}]
    zero = tiny(augmentation=loud, input={"normalisation": {"method": "zscore", "background": "zero"}})
    kept = tiny(augmentation=loud)
    image = parts_of(lgg, tmp_path, zero).train_data[0, 2]["image"]
    assert (image[:, :3, :3] == 0).all() and image[:, 16, 16].all()
    assert parts_of(lgg, tmp_path, kept).train_data[0, 2]["image"][:, :3, :3].any()


def test_patch_is_centred_on_the_tumour(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(augmentation=[], fit={"patch": [8, 8], "on_tumour": 1.0})
    data = parts_of(lgg, tmp_path, recipe).train_data
    places = set()
    for epoch in range(6):
        for number, sample in enumerate(data.samples):
            if sample.tumour:
                target = data[epoch, number]["target"][0]
                assert target[4, 4] == 1
                places.add((number, int(target.sum())))
    assert len(places) > len(data.samples)  # another place in each epoch


def test_pasted_tumour_brings_its_mask(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(augmentation=[{"kind": "paste", "shift": 6}])
    data = parts_of(lgg, tmp_path, recipe).train_data
    plain = parts_of(lgg, tmp_path, tiny(augmentation=[])).train_data
    more = 0
    for number, sample in enumerate(data.samples):
        item, before = data[0, number], plain[0, number]
        tissue = before["image"][0] > 0
        assert not (item["target"][0] > 0)[~tissue].any()
        new = (item["target"][0] > 0) & (before["target"][0] == 0)
        more += int(new.sum())
        assert (item["image"][1][new] > 0.7).all()  # bright, as tumours are here
        same = item["image"] == before["image"]
        if not sample.tumour:
            assert same[:, ~tissue].all()
    assert more > 100


def test_appearance_changes_the_parts_and_their_rim_only(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(augmentation=[{"kind": "appearance", "shift": [2.0]}])
    data = parts_of(lgg, tmp_path, recipe).train_data
    plain = parts_of(lgg, tmp_path, tiny(augmentation=[])).train_data
    number = next(i for i, s in enumerate(data.samples) if s.tumour)
    item, before = data[0, number], plain[0, number]
    inside = before["target"][0] > 0
    np.testing.assert_array_equal(item["target"], before["target"])
    rim = np.pad(inside, 1)
    near = np.any([rim[1 + a : 33 + a, 1 + b : 33 + b] for a in (-1, 0, 1) for b in (-1, 0, 1)], axis=0)
    assert (item["image"] != before["image"])[:, inside].mean() > 0.9
    np.testing.assert_allclose(item["image"][:, ~near], before["image"][:, ~near], atol=1e-6)


def nested() -> dict[str, torch.Tensor]:
    """A slice of two channels with a whole tumour, a core and an enhancing rim of other brightness."""
    image = torch.full((2, 48, 48), 0.5)
    target = torch.zeros(4, 48, 48)  # WT, TC, ET and what the loader adds
    target[0, 8:40, 8:40], target[1, 12:36, 12:36], target[2, 12:24, 12:36] = 1, 1, 1
    for brightness, part in enumerate(target[:3], start=1):
        image[:, part > 0] = float(brightness)
    return {"image": image, "target": target}


def appearance(**wanted: object) -> Any:
    """The transform of a recipe that asks for it."""
    asked = Appearance(kind="appearance", **{"texture": 0.0, "contrast": (1.0, 1.0), **wanted})
    given = Input(roles=("flair", "t1c"))
    return make(asked, given, (48, 48)).set_random_state(seed=0)


def test_appearance_puts_the_core_to_a_level_whatever_it_was() -> None:
    transform = appearance(shift=(0.0, 0.0, 0.0), level=((), ((-3.0, -2.9), (1.4, 1.5)), ()))
    before = nested()
    before["image"][1] += 0.1
    after = transform(before)
    core = after["image"][:, 27:33, 15:33]  # away from the rim, which changes half as much
    assert -3.0 <= core[0].min() <= core[0].max() <= -2.9
    assert 1.4 <= core[1].min() <= core[1].max() <= 1.5
    assert torch.equal(after["image"][:, :11, :11], before["image"][:, :11, :11])
    assert torch.equal(after["target"], before["target"])


def test_appearance_changes_a_stand_in_as_what_it_stands_for() -> None:
    transform = appearance(shift=(2.0, 2.0, 2.0))
    both = nested()
    alike = transform(both)["image"]
    assert torch.equal(alike[0], alike[1]) and not torch.equal(alike, both["image"])
    both["image"][1] += 0.1
    other = transform(both)["image"]
    assert not torch.allclose(other[0] + 0.1, other[1], atol=0.2)


def test_what_loses_its_enhancement_leaves_the_enhancing_tumour_but_not_the_core() -> None:
    transform = appearance(shift=(), unenhanced=1.0)
    before = nested()
    lost = 0
    for _ in range(10):
        after = transform(before)
        cut = (before["target"][2] > 0) & (after["target"][2] == 0)
        lost += int(cut.sum())
        assert torch.equal(after["target"][[0, 1, 3]], before["target"][[0, 1, 3]])
        inside = ndimage.binary_erosion(cut.numpy(), np.ones((3, 3)))
        np.testing.assert_allclose(after["image"][:, inside], 2.0, atol=0.01)  # as the core around it
    assert lost > 200


def test_a_margin_keeps_turned_slices_from_getting_empty_corners() -> None:
    turn = Affine(kind="affine", rotate=45)
    slices = np.ones((2, 48, 48), dtype=np.float32), np.ones((1, 48, 48), dtype=np.float32)
    given = Input(roles=("flair", "t1c"))
    cut = Augmenter([turn], [], given, 0, margin=10)
    whole = Augmenter([turn], [], given, 0)
    empty = 0
    for epoch in range(5):
        image, target = cut(*slices, epoch, 0, 0)
        assert image.shape == (2, 28, 28) and target.shape == (1, 28, 28)
        assert (image > 0.99).all() and (target > 0.99).all()
        empty += int((whole(*slices, epoch, 0, 0)[0] == 0).sum())
    assert empty > 100


def test_a_margin_does_not_lose_what_the_patch_is_aimed_at(lgg: Path, tmp_path: Path) -> None:
    plain = parts_of(
        lgg, tmp_path, tiny(augmentation=[], fit={"patch": [16, 16], "on_tumour": 1.0})
    ).train_data
    wide = tiny(augmentation=[], fit={"patch": [16, 16], "on_tumour": 1.0, "margin": 8})
    data = parts_of(lgg, tmp_path, wide).train_data
    for number, sample in enumerate(data.samples):
        if sample.tumour:
            assert data[0, number]["target"][0, 8, 8] == plain[0, number]["target"][0, 8, 8] == 1


def test_slices_have_the_size_of_the_patch_with_a_margin(lgg: Path, tmp_path: Path) -> None:
    data = parts_of(lgg, tmp_path, tiny(fit={"patch": [16, 20], "margin": 6})).train_data
    assert data[0, 0]["image"].shape == (3, 16, 20) and data[0, 0]["target"].shape == (1, 16, 20)


def test_cases_that_are_partly_known_take_part_less() -> None:
    mixed = [Sample(0, i, True, partly=i >= 10) for i in range(30)]
    keys = [n for batch in EpochBatchSampler(mixed, 5, partly_known=0.25) for _, n in batch]
    assert len(keys) == 15 and set(range(10)) <= set(keys)


def test_where_there_is_no_tumour_all_regions_are_known(lgg: Path, tmp_path: Path) -> None:
    regions = {"names": ["WT", "TC", "ET"], "labels": [2, 1, 3], "scheme": "brats-2023"}
    data = parts_of(lgg, tmp_path, tiny(output=regions, augmentation=[])).train_data
    for number, sample in enumerate(data.samples):
        assert data[0, number]["known"].tolist() == [True, not sample.tumour, not sample.tumour]
