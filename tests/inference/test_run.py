"""The one way from a scan to a segmentation, with networks whose result is known voxel for voxel."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import special

import napari_tumorseg as ts
from napari_tumorseg.errors import InputError, ModelError, RoleError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.inference import PostSettings, Progress, Settings, provenance, run, segment
from napari_tumorseg.inference.run import probabilities
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.models import Model, get_model
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.scan import Image, Role, Scan, Segmentation
from tests.builders import card_of, head, make_scan, save_model, threshold_net, write_case

LIMIT = 300.0


@pytest.fixture
def lesion_model(tmp_path: Path) -> Model:
    """Whatever is brighter than 300 is tumour."""
    return save_model(tmp_path, threshold_net([0], [LIMIT]), card_of())


@pytest.fixture(scope="module")
def noisy_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A random network: its labels depend on every neighbour, so that a flip or shift would show."""
    torch.manual_seed(2)
    net = UNet(1, 1, [4, 8], 8)
    net.init_he()
    card = card_of(name="noisy", input={"normalisation": {"method": "zscore"}, "size": {"canvas": [64, 64]}})
    return save_model(tmp_path_factory.mktemp("noisy"), net, card)


def finish(steps: Any) -> tuple[list[Progress], Segmentation]:
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            return told, end.value


def test_every_voxel_is_where_it_was(lesion_model: Model) -> None:
    data = head()
    seg = segment(make_scan({"flair": data}), lesion_model)
    assert seg.labels.dtype == np.uint8
    np.testing.assert_array_equal(seg.labels, data > LIMIT)
    assert seg.convention.name == "binary"
    assert seg.name == "case"


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("size", [{}, {"canvas": [96, 100]}, {"spacing": 1.0, "canvas": [128, 128]}])
def test_every_plane_brings_labels_back_in_place(plane: str, size: dict[str, Any], tmp_path: Path) -> None:
    data = head()
    card = card_of(input={"plane": plane, "size": size})
    model = save_model(tmp_path, threshold_net([0], [LIMIT]), card)
    steps, seg = finish(run(make_scan({"flair": data}), model, Settings(flip=True)))
    np.testing.assert_array_equal(seg.labels, data > LIMIT)
    axis = {"axial": 0, "coronal": 1, "sagittal": 2}[plane]
    for step in steps:
        assert step.plane_axis == axis
        np.testing.assert_array_equal(step.labels, np.take(data > LIMIT, step.index, axis=axis))
    assert seg.provenance["settings"]["flip"] is (plane != "sagittal")  # there is no left and right to swap


ORDERS = [
    "".join(codes)
    for order in itertools.permutations(("LR", "PA", "SI"))
    for codes in ([p[0] for p in order], [p[1] for p in order])
]


@pytest.mark.parametrize("codes", ORDERS)
def test_how_a_file_holds_its_slices_does_not_matter(codes: str, noisy_model: Model) -> None:
    """A scan stored sagittally or whichever way gives the canonical result of the axial one."""
    data = head((8, 40, 48))
    expected = segment(make_scan({"flair": data}, (2, 1, 1)), noisy_model).labels
    assert 0.01 < expected.mean() < 0.9
    assert np.mean(expected != expected[..., ::-1]) > 0.01
    plain = Grid.from_codes(data.shape, spacing=(2, 1, 1))
    sides = {"S": 2.0, "I": 2.0}
    probe = Grid.from_codes((1, 1, 1), codes).file_layout
    assert probe is not None
    stored = np.ascontiguousarray(probe.axis_order.undo(data))
    grid = Grid.from_codes(stored.shape, codes, [sides.get(c, 1.0) for c in codes])
    assert grid.file_layout is not None
    image = Image("flair", Role.FLAIR, grid.file_layout.axis_order.apply(stored), grid)
    seg = segment(Scan("case", (image,)), noisy_model)
    assert seg.grid.shape == plain.shape
    np.testing.assert_array_equal(seg.labels, expected)
    assert seg.grid.to_file_order(seg.labels).shape == stored.shape


def test_nested_regions_are_painted_inwards(tmp_path: Path) -> None:
    data = head()
    data[3, 12, 32] = 900
    data[3, 13, 32] = 600
    net = threshold_net([0, 0, 0], [LIMIT, 500, 800])
    card = card_of(output={"names": ["WT", "TC", "ET"], "labels": [2, 1, 3], "scheme": "brats-2023"})
    seg = segment(make_scan({"flair": data}), save_model(tmp_path, net, card))
    assert seg.labels[3, 12, 31:34].tolist() == [2, 3, 2]
    assert seg.labels[3, 13, 32] == 1
    np.testing.assert_array_equal(seg.labels > 0, data > LIMIT)


def test_softmax_takes_the_most_probable_class(tmp_path: Path) -> None:
    """Classes: background, what is brighter than 50 in FLAIR, what is brighter than 50 in T1c."""
    flair, t1c = head(), np.roll(head(), 3, axis=2)
    net = threshold_net([0, 0, 1], [-50, 0, 0], inputs=2)
    with torch.no_grad():
        net.head.weight[0] = 0  # background: 50 everywhere
    card = card_of(
        ("flair", "t1c"),
        output={
            "activation": "softmax",
            "names": ["background", "ED", "ET"],
            "labels": [0, 2, 4],
            "scheme": "brats-2021",
        },
    )
    model = save_model(tmp_path, net, card)
    scan = make_scan({"flair": flair, "t1c": t1c})
    seg = segment(scan, model, Settings(probabilities=True, threshold=0.9))
    expected = np.array([0, 2, 4])[np.argmax([np.full_like(flair, 50), flair, t1c], axis=0)]
    np.testing.assert_array_equal(seg.labels, expected)
    total = sum(p.astype(int) for p in seg.probabilities.values())
    assert abs(total - 255).max() <= 1
    assert seg.provenance["settings"]["threshold"] is None
    assert any("threshold had no effect" in w for w in seg.provenance["warnings"])


def test_probabilities_are_rounded_to_the_nearest_of_256() -> None:
    logits = np.linspace(-20, 20, 30_000, dtype=np.float32).reshape(1, 100, 300)
    exact = 255 / (1 + np.exp(-logits.astype(np.float64)))
    found = probabilities(logits, card_of().output)
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, exact, rtol=0, atol=0.5 + 1e-4)
    np.testing.assert_array_equal(found, np.rint(special.expit(logits) * 255))


def test_threshold_and_probabilities(tmp_path: Path) -> None:
    data = np.zeros((3, 8, 8), dtype=np.float32)
    data[1, 2, 2:6] = 1, 2, 3, 4
    model = save_model(tmp_path, threshold_net([0], [2.5]), card_of())
    scan = make_scan({"flair": data})
    seg = segment(scan, model, Settings(probabilities=True))
    assert seg.labels[1, 2, 2:6].tolist() == [0, 0, 1, 1]
    assert seg.probability_box is not None
    whole = np.zeros(data.shape, dtype=np.uint8)
    whole[seg.probability_box] = seg.probabilities["WT"]
    chance = 1 / (1 + np.exp(2.5 - data[1, 2, 2:6]))
    np.testing.assert_array_equal(whole[1, 2, 2:6], np.rint(chance * 255))
    assert seg.probability_box[0] == slice(1, 2)  # only what was run
    higher = segment(scan, model, Settings(threshold=0.8))
    assert higher.labels[1, 2, 2:6].tolist() == [0, 0, 0, 1]
    assert higher.provenance["settings"]["threshold"] == 0.8


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_probabilities_lie_in_their_box(plane: str, tmp_path: Path) -> None:
    data = np.zeros((40, 50, 60), dtype=np.float32)
    data[5:9, 20:30, 33:40] = 9
    card = card_of(input={"plane": plane, "size": {"canvas": [64, 64]}})
    model = save_model(tmp_path, threshold_net([0], [5]), card)
    seg = segment(make_scan({"flair": data}), model, Settings(probabilities=True))
    assert seg.probability_box is not None
    found = np.zeros(data.shape, dtype=bool)
    found[seg.probability_box] = seg.probabilities["WT"] > 127
    np.testing.assert_array_equal(found, data > 5)
    assert seg.probabilities["WT"].size < data.size


def test_extreme_logits_make_no_fuss(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    model = save_model(tmp_path, threshold_net([0], [5000]), card_of())
    segment(make_scan({"flair": head() * 100}), model, Settings(probabilities=True))
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


# ---------------------------------------------------------------- progress


def test_progress_counts_only_slices_with_tissue(lesion_model: Model) -> None:
    data = head()
    data[0] = data[4] = 0
    filled = [int(i) for i in np.flatnonzero(data.any(axis=(1, 2)))]
    steps, _ = finish(run(make_scan({"flair": data}), lesion_model))
    assert [s.index for s in steps] == filled
    assert [s.done for s in steps] == list(range(1, len(filled) + 1))
    assert {s.total for s in steps} == {len(filled)}
    assert steps[-1].seconds_left == 0
    assert all(s.seconds_left is not None and s.seconds_left >= 0 for s in steps)
    assert {s.note for s in steps} == {""}


def test_labels_that_were_told_do_not_change_later(lesion_model: Model) -> None:
    steps, seg = finish(run(make_scan({"flair": head()}), lesion_model))
    for step in steps:
        step.labels[:] = 9
    assert seg.labels.max() == 1


def test_only_some_slices(lesion_model: Model) -> None:
    data = head()
    seg = segment(make_scan({"flair": data}), lesion_model, Settings(slices=range(2, 4)))
    expected = data > LIMIT
    expected[:2] = expected[4:] = False
    np.testing.assert_array_equal(seg.labels, expected)
    assert seg.provenance["settings"]["slices"] == {"first": 2, "last": 3}


@pytest.mark.parametrize("wrong", [range(4, 9), range(-1, 2), range(10**12), range(3, 3)])
def test_slices_that_are_not_there(wrong: range, lesion_model: Model) -> None:
    with pytest.raises(InputError, match="no slice"):
        segment(make_scan({"flair": head()}), lesion_model, Settings(slices=wrong))


def test_the_card_counts_slices_along_its_own_plane(tmp_path: Path) -> None:
    data = head()
    card = card_of(input={"plane": "sagittal"})
    model = save_model(tmp_path, threshold_net([0], [LIMIT]), card)
    seg = segment(make_scan({"flair": data}), model, Settings(slices=range(31, 33)))
    expected = data > LIMIT
    expected[..., :31] = expected[..., 33:] = False
    np.testing.assert_array_equal(seg.labels, expected)


def test_closing_stops_at_once(lesion_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    forward = UNet.forward
    monkeypatch.setattr(UNet, "forward", lambda self, x: seen.append(1) or forward(self, x))
    steps = run(make_scan({"flair": head()}), lesion_model, Settings(batch=1))
    next(steps)
    next(steps)
    steps.close()
    assert len(seen) == 2
    with pytest.raises(StopIteration):
        next(steps)


# ---------------------------------------------------------------- scans that are odd


@pytest.mark.parametrize("name", ["lgg-flair", "brats-regions"])
@pytest.mark.parametrize("value", [0, 200])
def test_a_constant_scan_gives_an_empty_mask_and_says_why(name: str, value: int) -> None:
    data = np.full((3, 32, 32), value, dtype=np.int16)
    scan = make_scan({"flair": data, "t1c": data})
    steps, seg = finish(run(scan, name, Settings(probabilities=True)))
    assert steps == []
    assert not seg.labels.any()
    assert seg.probability_box is None
    assert any("the mask is empty" in w for w in seg.provenance["warnings"])


def test_one_slice_of_unknown_spacing() -> None:
    scan = make_scan({"flair": head((1, 200, 180))[:, :, :]}, None)
    seg = segment(scan, "lgg-flair")
    assert seg.labels.shape == (1, 200, 180)
    json.dumps(seg.provenance)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float64, ">f4"])
def test_every_type_gives_the_same(dtype: Any, noisy_model: Model) -> None:
    data = (head() / 2).astype(np.uint8)
    expected = segment(make_scan({"flair": data.astype(np.float32)}), noisy_model).labels
    assert expected.any()
    found = segment(make_scan({"flair": data.astype(dtype)}), noisy_model).labels
    np.testing.assert_array_equal(found, expected)


def test_voxels_that_are_no_numbers(lesion_model: Model) -> None:
    data = head()
    expected = data > LIMIT
    data[3, 12, 32] = np.nan
    data[0, 0, 0] = np.nan
    expected[3, 12, 32] = False
    np.testing.assert_array_equal(segment(make_scan({"flair": data}), lesion_model).labels, expected)


def test_the_lesion_at_the_edge_of_the_window_does_not_smear(tmp_path: Path) -> None:
    """All that is bright is tumour: what lies beyond the window must stay empty all the same."""
    data = np.zeros((2, 96, 96), dtype=np.float32)
    data[:, 40:50, 40:50] = 1
    net = threshold_net([0], [-1])  # tumour everywhere
    model = save_model(tmp_path, net, card_of())
    seg = segment(make_scan({"flair": data}), model, Settings(slices=range(1)))
    assert seg.labels[0, 40:50, 40:50].all()
    assert not seg.labels[0, 0].any()
    assert not seg.labels[1].any()


def test_a_missing_role_is_a_sentence(lesion_model: Model) -> None:
    with pytest.raises(RoleError, match="case: the model tiny needs FLAIR; the scan has T2"):
        segment(make_scan({"t2": head()}), lesion_model)


def test_a_card_for_another_network_is_a_sentence(tmp_path: Path) -> None:
    model = save_model(tmp_path, threshold_net([0], [1]), card_of(("flair", "t1c")))
    with pytest.raises(ModelError, match="takes 1 channels and gives 1, but the card of tiny states 2 and 1"):
        segment(make_scan({"flair": head(), "t1c": head()}), model)


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": 1.0}, {"threshold": 2}, {"batch": 0}])
def test_settings_that_mean_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Settings(**wrong)


# ---------------------------------------------------------------- post-processing, provenance


def test_post_processing_is_the_cards_unless_told(tmp_path: Path) -> None:
    data = head()
    data[1, 30, 8] = 400  # a second lesion
    card = card_of(postprocessing={"largest_only": True})
    model = save_model(tmp_path, threshold_net([0], [LIMIT]), card)
    scan = make_scan({"flair": data})
    assert segment(scan, model).labels[1, 30, 8] == 0
    assert segment(scan, model, Settings(post=PostSettings())).labels[1, 30, 8] == 1


def test_provenance(lesion_model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "Jane Doe 1970"
    case = write_case(folder, {"flair": head()})
    scan = ts.read(case)
    seg = segment(scan, lesion_model)
    told = seg.provenance
    text = json.dumps(told)
    assert "Jane" not in text
    assert str(tmp_path) not in text
    assert told["model"]["sha256"] == hashlib.sha256(lesion_model.weights.read_bytes()).hexdigest()
    assert told["model"]["name"] == "tiny"
    (entry,) = told["inputs"]
    file = case / "case_flair.nii.gz"
    assert (entry["role"], entry["name"]) == ("flair", file.name)
    assert entry["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert told["settings"] == {
        "device": "cpu",
        "flip": False,
        "threshold": 0.5,
        "slices": None,
        "postprocessing": PostSettings().__dict__,
        "precision": "float32",
        "precision_reason": "the card has no figures for bfloat16",
    }
    assert told["versions"]["torch"] == torch.__version__
    assert "not for diagnosis" in told["purpose"]


def test_a_file_that_cannot_be_read_any_more_costs_no_result(
    lesion_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = ts.read(write_case(tmp_path, {"flair": head()}))

    def gone(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(provenance, "hashlib", SimpleNamespace(file_digest=gone, sha256=hashlib.sha256))
    seg = segment(scan, lesion_model)
    (entry,) = seg.provenance["inputs"]
    assert seg.labels.any() and "sha256" not in entry
    assert entry["sha256_of_voxels"] == hashlib.sha256(head().tobytes()).hexdigest()


@pytest.mark.parametrize("order", ["C", "F"])
def test_voxels_without_a_file_are_hashed(lesion_model: Model, order: Any) -> None:
    data = np.asarray(head(), order=order)
    (entry,) = segment(make_scan({"flair": data}), lesion_model).provenance["inputs"]
    assert entry["sha256_of_voxels"] == hashlib.sha256(data.tobytes()).hexdigest()


def test_the_mask_file_lies_on_the_scan(lesion_model: Model, tmp_path: Path) -> None:
    """A scan stored sagittally: the mask that is written has its shape and affine, voxel for voxel."""
    data = head()
    affine = np.array([[0, 0, 1.2, -30], [-1, 0, 0, 20], [0, 2, 0, 5], [0, 0, 0, 1]])  # P, S, R
    stored = np.ascontiguousarray(data[:, :, ::-1].transpose(1, 0, 2))
    path = tmp_path / "scan_flair.nii.gz"
    nib.save(nib.Nifti1Image(stored, affine), path)
    seg = segment(ts.read(path), lesion_model)
    np.testing.assert_array_equal(seg.labels, data > LIMIT)
    ts.write_mask(seg, tmp_path / "out.nii.gz")
    mask = nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), stored > LIMIT)
    np.testing.assert_allclose(mask.affine, affine)


# ---------------------------------------------------------------- cards like the published recipes

RECIPES: dict[str, dict[str, Any]] = {
    "hassan2025": {
        "roles": ["flair"],
        "normalisation": {"method": "minmax", "scope": "slice", "statistics": "all"},
        "size": {"canvas": [64, 64], "fit": "stretch"},
    },
    "egwaoje2026": {
        "roles": ["flair"],
        "normalisation": {"method": "minmax", "scope": "slice", "statistics": "all"},
        "size": {"canvas": [96, 96], "fit": "stretch"},
    },
    "debasish2026": {
        "roles": ["t1", "flair", "t1c"],
        "normalisation": {"method": "divide", "divisor": 255},
        "size": {"canvas": [128, 128], "fit": "stretch"},
    },
    "ragab2025": {
        "roles": ["flair", "t1c"],
        "normalisation": {"method": "zscore", "background": "zero"},
        "size": {"canvas": [128, 128], "fit": "stretch"},
    },
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_cards_of_the_published_recipes_run(recipe: str, tmp_path: Path) -> None:
    wanted = RECIPES[recipe]
    inputs = len(wanted["roles"])
    softmax = recipe == "ragab2025"
    outputs = 4 if softmax else 1
    torch.manual_seed(1)
    net = UNet(
        inputs, outputs, [4, 4, 8], 8, upsampling="bilinear" if recipe == "egwaoje2026" else "transposed"
    )
    output = {
        "activation": "softmax",
        "names": ["none", "NCR", "ED", "ET"],
        "labels": [0, 1, 2, 4],
        "scheme": "brats-2021",
    }
    card = card_of(name=recipe, input=wanted, **({"output": output} if softmax else {}))
    model = save_model(tmp_path, net, card)
    data = head((3, 60, 72))
    data[1] = 0  # a slice without a difference
    scan = make_scan(dict.fromkeys(wanted["roles"], data), None)
    seg = segment(scan, get_model(model.weights))
    assert seg.labels.shape == data.shape
    assert not seg.labels[1].any()
    assert set(np.unique(seg.labels)) <= {0, *seg.convention.values}


def test_stretching_brings_labels_back_in_place(tmp_path: Path) -> None:
    """The lesion is found where it is, to a pixel, through 96 x 96."""
    data = head((3, 60, 144))
    wanted = RECIPES["egwaoje2026"]
    model = save_model(tmp_path, threshold_net([0], [0.75]), card_of(input=wanted))
    found = segment(make_scan({"flair": data}, None), model).labels[2] > 0
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    assert abs(rows[[0, -1]] - [10, 17]).max() <= 1
    assert abs(columns[[0, -1]] - [30, 35]).max() <= 1


def test_what_counts_as_certain_is_the_cards(tmp_path: Path) -> None:
    """Output = FLAIR - 200: the lesion of 400 is certain, a dim one of 202 is not."""
    data = head((6, 40, 48))
    data = np.where((data > 0) & (data < 400), 100, data).astype(np.float32)
    data[2:5, 24:30, 10:16] = 202
    card = card_of(output={"certain": 0.97}, postprocessing={"min_confident_voxels": 20})
    model = save_model(tmp_path, threshold_net([0], [200]), card)
    scan = make_scan({"flair": data})
    found = segment(scan, model)
    assert np.array_equal(found.labels > 0, data == 400)
    plain = segment(scan, model, Settings(post=PostSettings()))
    assert np.array_equal(plain.labels > 0, data > 200)


def test_small_sure_lesion_stays_in_the_run_and_at_another_threshold(tmp_path: Path) -> None:
    """Output = FLAIR - 200: 400 is certain in 0.2 mL, 200.5 is likely in 2 mL."""
    data = head((12, 40, 48))
    data = np.where((data > 0) & (data < 400), 100, data).astype(np.float32)
    data[data == 400] = 100
    data[2:10, 10:15, 10:15], data[2:10, 12:28, 20:36] = 400, 200.5
    model = save_model(tmp_path, threshold_net([0], [200]), card_of(postprocessing={"min_evidence": 3.0}))
    scan = make_scan({"flair": data})
    found = segment(scan, model, Settings(probabilities=True))
    assert np.array_equal(found.labels > 0, data == 400)
    stored = StoredProbabilities.of(found, model.card, None)
    assert stored is not None and np.array_equal(stored.labels_at(0.4), found.labels)
    plain = segment(scan, model, Settings(post=PostSettings()))
    assert np.array_equal(plain.labels > 0, data > 200)
