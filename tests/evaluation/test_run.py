"""A model over a data set: which figures come out, and what happens where a case fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.evaluation import EvaluationSettings, FailedCase, SavedSplit, Step, evaluate, plan
from napari_tumorseg.evaluation.run import reason
from napari_tumorseg.inference import PostSettings, Settings
from napari_tumorseg.io.dataset import CaseRef
from napari_tumorseg.models import Model
from tests.builders import card_of, dice, head, save_model, threshold_net, write_case
from tests.evaluation.conftest import SHAPE, lesion


def test_figures_in_3d(model: Model, data: Path) -> None:
    found = evaluate(model, data)
    assert [case.name for case in found.cases] == ["a", "b", "c"]
    scores = {case.name: case.regions[0].volume for case in found.cases}
    assert scores["a"].dice == 1
    assert scores["b"].dice == pytest.approx(dice(lesion(), lesion(3)))
    assert scores["b"].precision == scores["b"].sensitivity == 0.5
    assert scores["b"].hd95_mm == 3
    assert (scores["c"].dice, scores["c"].flags) == (0, ("reference empty",))
    assert scores["c"].volume_error_ml == pytest.approx(0.144)
    assert scores["c"].volume_error_percent is None
    assert found.cases[0].regions[0].lesions.dice == 1  # type: ignore[union-attr]
    np.testing.assert_array_equal(found.cases[1].mask.labels(), lesion())


def test_per_slice_and_in_3d_differ(model: Model, data: Path) -> None:
    a, b, c = evaluate(model, data).cases
    row = b.rows[0]
    # by hand: half of each of the three slices with tumour is found, the other three are both empty
    assert b.slice_mean(row, "tumour", "dice") == 0.5
    assert b.slice_mean(row, "all", "dice") == (3 * 0.5 + 3) / 6
    assert row.volume.dice == 0.5
    assert b.pixels == SHAPE[1:]
    # a reference without tumour: three slices of false tumour, three right ones, none with tumour
    assert c.slice_mean(c.rows[0], "all", "dice") == 0.5
    assert c.slice_mean(c.rows[0], "tumour", "dice") is None
    assert a.slice_mean(a.rows[0], "all", "accuracy") == 1


def test_only_slices_with_tumour(model: Model, data: Path) -> None:
    settings = EvaluationSettings(slices="tumour")
    _, b, c = evaluate(model, data, settings).cases
    assert b.slices == (2, 3, 4)
    assert b.rows[0].counts.shape == (3, 4)
    assert b.rows[0].volume.dice == 0.5
    assert (c.slices, c.pixels) == ((), None)


def test_other_planes_are_sliced_as_the_model_does(data: Path, tmp_path: Path) -> None:
    card = card_of(input={"plane": "coronal"})
    model = save_model(tmp_path / "coronal", threshold_net([0], [300.0]), card)
    case = evaluate(model, data, limit=1).cases[0]
    assert (len(case.slices), case.pixels) == (SHAPE[1], (SHAPE[0], SHAPE[2]))
    assert case.slices[0] == 0
    np.testing.assert_array_equal(np.flatnonzero(case.tumour), np.arange(10, 18))


def test_a_case_that_fails_does_not_stop_the_others(model: Model, data: Path) -> None:
    write_case(data, {"flair": head()}, "b2")  # no mask
    broken = data / "b3"
    broken.mkdir()
    (broken / "b3_flair.nii.gz").write_bytes(b"not gzip")
    write_case(data, {"t1c": head(), "seg": lesion()}, "b4")  # the model wants FLAIR
    found = evaluate(model, data)
    assert [case.name for case in found.cases] == ["a", "b", "c"]
    assert [failure.name for failure in found.failures] == ["b2", "b3", "b4"]
    errors = {failure.name: failure.error for failure in found.failures}
    assert "no reference mask" in errors["b2"]
    assert "needs FLAIR" in errors["b4"]
    assert all(len(error.splitlines()) == 1 and str(data.parent) not in error for error in errors.values())


@pytest.mark.parametrize("data_path", [".", "..", "link", "away/../link"])
def test_errors_do_not_tell_the_folders_above(
    model: Model, data: Path, monkeypatch: pytest.MonkeyPatch, data_path: str
) -> None:
    broken = data / "b3" / "b3_flair.nii.gz"
    broken.parent.mkdir()
    broken.write_bytes(b"not gzip")
    here = data.parent / "here"
    (here / "away").mkdir(parents=True)
    (here / "link").symlink_to(data)
    (data / "sub").mkdir()
    monkeypatch.chdir({".": data, "..": data / "sub"}.get(data_path, here))
    (failure,) = evaluate(model, Path(data_path)).failures
    assert "b3_flair.nii.gz" in failure.error
    assert str(data.parent) not in failure.error
    for path in (data, here / "link"):  # however the reader puts it
        error = InputError(f"{path / 'b3'} and {data.resolve() / 'b3'} are broken")
        told = reason(error, CaseRef(here / "link", "b3"))
        assert told == f"{path.name}/b3 and data/b3 are broken"


@pytest.mark.parametrize("paired", [False, True])
def test_a_lone_image_of_unknown_modality_is_what_the_model_needs(
    model: Model, tmp_path: Path, paired: bool
) -> None:
    folder = tmp_path / "h5"
    folder.mkdir()
    names = ("images", "masks") if paired else ("x", "x")
    for name, key, values in zip(names, ("image", "mask"), (head(), lesion()), strict=True):
        with h5py.File(folder / f"{name}.h5", "a") as file:
            file[f"{key}s" if paired else key] = values
    found = evaluate(model, folder)
    assert not found.failures
    assert [case.rows[0].volume.dice for case in found.cases] == [1.0]
    assert "the modality of the only image is not stated; it is taken for FLAIR" in found.cases[0].warnings


def test_an_image_of_unknown_modality_is_not_guessed_by_a_model_of_two(tmp_path: Path) -> None:
    folder = tmp_path / "h5"
    folder.mkdir()
    with h5py.File(folder / "x.h5", "w") as file:
        file["image"], file["mask"] = head(), lesion()
    two = save_model(tmp_path / "two", threshold_net([0], [300.0], inputs=2), card_of(["flair", "t1c"]))
    (failure,) = evaluate(two, folder).failures
    assert "needs FLAIR and T1c" in failure.error


def test_cases_that_were_trained_on(model: Model, data: Path) -> None:
    write_case(data, {"flair": head(), "seg": lesion()}, "TCGA-DU-7294")  # another layout of that patient
    found = evaluate(model, data)
    assert [case.trained_on for case in found.cases] == [True, False, False, False]
    assert found.trained_on == ("TCGA-DU-7294",)


def test_a_split_chooses_and_tells_what_was_seen(model: Model, data: Path) -> None:
    split = SavedSplit(train=("a",), validation=("b",), test=("c",))
    assert [case.name for case in evaluate(model, data, split=split).cases] == ["c"]
    (case,) = evaluate(model, data, split=split, part="train").cases
    assert case.trained_on


def test_a_split_of_slices_limits_per_slice_figures(model: Model, data: Path) -> None:
    split = SavedSplit(train=("b#0", "b#3"), test=("b#2", "b#5"))
    for settings in (EvaluationSettings(), EvaluationSettings(at_network_size=True)):
        (case,) = evaluate(model, data, settings, split=split).cases
        assert case.slices == (2, 5)
        assert case.slice_mean(case.rows[0], "all", "dice") == 0.75
        assert case.rows[0].volume.dice == 0.5
        assert case.trained_on  # other slices of the same patient


def test_chosen_cases(model: Model, data: Path) -> None:
    assert [c.name for c in evaluate(model, data, cases=["c", "a"]).cases] == ["c", "a"]
    assert len(evaluate(model, data, limit=2).cases) == 2
    with pytest.raises(InputError, match="no case d"):
        evaluate(model, data, cases=["d"])


def test_weights_are_loaded_once(model: Model, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    load = Model.load
    monkeypatch.setattr(Model, "load", lambda self: loads.append(1) or load(self))
    evaluate(model, data, EvaluationSettings(at_network_size=True))
    assert len(loads) == 1


def test_it_can_be_stopped_between_slices(model: Model, data: Path) -> None:
    planned = plan(model, data)
    results = []
    for step in planned.run():
        if step.result is not None:
            results.append(step.result)
        if step.number == 2 and step.done == 1:
            break
    found = planned.conclude(results, 1.0, "cancelled")
    assert ([case.name for case in found.cases], found.planned, found.stopped) == (["a"], 3, "cancelled")


def test_progress(model: Model, data: Path) -> None:
    steps: list[Step] = []
    evaluate(model, data, progress=steps.append)
    assert {step.total for step in steps} == {3}
    ended = [step for step in steps if step.result is not None]
    assert [step.name for step in ended] == ["a", "b", "c"]
    assert all(step.segmentation is not None for step in ended)
    first = [step.done for step in steps if step.number == 1 and step.result is None]
    assert first == list(range(len(first)))


def test_unknown_voxel_size_leaves_mm_empty(model: Model, tmp_path: Path) -> None:
    import tifffile

    folder = tmp_path / "lgg" / "TCGA_XX_0001_20000101"
    folder.mkdir(parents=True)
    image, mask = head().clip(0, 255).astype(np.uint8), lesion() * np.uint8(255)
    for number, (plane, marked) in enumerate(zip(image, mask, strict=True), start=1):
        name = f"{folder.name}_{number}"
        tifffile.imwrite(folder / f"{name}.tif", np.stack([plane] * 3, axis=-1))
        tifffile.imwrite(folder / f"{name}_mask.tif", marked)
    bright = save_model(tmp_path / "bright", threshold_net([0], [250.0]), card_of())
    (case,) = evaluate(bright, folder.parent).cases
    volume = case.rows[0].volume
    assert (case.unit, volume.dice) == ("unknown", 1)
    assert volume.hd95_mm is volume.nsd_1mm is volume.volume_error_ml is None
    assert case.rows[0].lesions.hd95_mm is None  # type: ignore[union-attr]


def test_a_binary_model_against_regions(model: Model, tmp_path: Path) -> None:
    labels = lesion()
    labels[labels > 0] = 4
    labels[2] = np.where(labels[2] > 0, 2, 0)
    write_case(tmp_path / "r", {"flair": head(), "seg": labels}, "r")
    (case,) = evaluate(model, tmp_path / "r", EvaluationSettings(labels="brats-2021")).cases
    assert [(row.name, row.volume.dice) for row in case.rows] == [("WT", 1.0)]
    assert case.rows[0].mse == pytest.approx(0, abs=1e-6)


def test_settings_reach_the_run(model: Model, data: Path) -> None:
    post = PostSettings(min_component_mm3=1e6)
    found = evaluate(model, data, EvaluationSettings(Settings(post=post, flip=True)), limit=1)
    assert found.cases[0].rows[0].volume.flags == ("segmentation empty",)
    assert found.run["settings"]["flip"] is True
    assert found.run["settings"]["postprocessing"]["min_component_mm3"] == 1e6
    assert found.model["sha256"] == model.card.sha256


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="all or tumour"):
        EvaluationSettings(slices="some")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="GLI"):
        EvaluationSettings(lesions="XXX")
    with pytest.raises(InputError, match="whole volumes"):
        EvaluationSettings(Settings(slices=range(2)))


def test_memory_that_runs_out_is_a_failure(model: Model, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = CaseRef.load

    def fail(self: CaseRef, *arguments: object) -> object:
        if self.name == "b":
            raise MemoryError
        return load(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(CaseRef, "load", fail)
    found = evaluate(model, data)
    assert [f.error for f in found.failures] == ["memory ran out"]
    assert isinstance(found.failures[0], FailedCase)
    assert len(found.cases) == 2


def test_what_the_model_gives_for_no_tissue(model: Model, tmp_path: Path) -> None:
    write_case(tmp_path / "e", {"flair": np.zeros(SHAPE, np.float32), "seg": lesion()}, "e")
    (case,) = evaluate(model, tmp_path / "e").cases
    row = case.rows[0]
    assert row.volume.flags == ("segmentation empty",)
    assert row.mse == pytest.approx(lesion().mean())  # probability 0 everywhere
    assert replace(case, trained_on=True).dice == 0
