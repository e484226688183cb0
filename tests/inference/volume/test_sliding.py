"""Networks in windows of a volume, against MONAI's sliding window inference and scipy's resampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import special
from skimage.transform import resize
from torch import Tensor, nn

from napari_tumorseg.errors import DeviceError, ModelError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference import Settings, predict, run, segment
from napari_tumorseg.inference.predict import Runner
from napari_tumorseg.inference.volume.prepare import PreparedVolume, prepare_volume
from napari_tumorseg.models import Model, ModelCard
from napari_tumorseg.models.ensemble import Ensemble
from napari_tumorseg.models.nnunet import PlainConvUNet
from napari_tumorseg.models.segmentation_network import SegmentationNetwork
from napari_tumorseg.scan import Scan
from tests.builders import card_of, head, make_scan, save_model

SHAPE = (11, 26, 29)


def net_of(inputs: int = 2, outputs: int = 3, dimensions: int = 3, seed: int = 4) -> PlainConvUNet:
    torch.manual_seed(seed)
    net = PlainConvUNet(
        in_channels=inputs,
        out_channels=outputs,
        features=[4, 6],
        kernels=[[3] * dimensions] * 2,
        steps=[[1] * dimensions, [2] * dimensions],
        encoder_blocks=[1, 1],
        decoder_convs=[1],
    )
    net.init_he()
    return net.eval()


def scan_of(spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Scan:
    data = head(SHAPE)
    other = np.random.default_rng(1).normal(0, 1, SHAPE).astype(np.float32)
    return make_scan({"flair": data / 100, "t1c": other}, spacing)


def card(windows: dict[str, Any], **changes: Any) -> ModelCard:
    given = {"roles": ["flair", "t1c"], "normalisation": {"method": "none"}, "plane": "volume"}
    output = {"names": ["WT", "TC", "ET"], "labels": [2, 1, 3], "scheme": "brats-2023"}
    tables = {"input": given | {"windows": windows}, "output": output | changes.pop("output", {})}
    return card_of(**tables, **changes)


def whole(prepared: PreparedVolume, net: SegmentationNetwork, **options: Any) -> Array:
    """Return the logits (O, Z, Y, X) of all slices in the box."""
    steps = list(predict.steps(prepared, Runner(net, "cpu", **options), prepared.todo))
    results = [one for step in steps for one in step.finished]
    assert [one.index for one in results] == list(prepared.todo)
    assert [step.done for step in steps] == list(range(1, steps[0].total + 1))
    return np.stack([one.logits for one in results], axis=1)


def monai(data: Array, net: nn.Module, patch: tuple[int, ...], overlap: float, mode: str) -> Array:
    inferers = pytest.importorskip("monai.inferers")
    with torch.inference_mode():
        return inferers.sliding_window_inference(
            torch.from_numpy(data)[None], patch, 1, net, overlap=overlap, mode=mode, sigma_scale=0.125
        )[0].numpy()


@pytest.mark.parametrize(
    ("patch", "overlap", "weights", "batch"),
    [
        ((8, 16, 16), 0.5, "gaussian", 3),
        ((4, 12, 30), 0.25, "gaussian", 1),
        ((16, 16, 32), 0.5, "constant", 1),
        ((8, 10, 12), 0, "constant", 2),
    ],
)
def test_equals_monais_sliding_window_inference(
    patch: tuple[int, int, int], overlap: float, weights: str, batch: int
) -> None:
    net = net_of()
    windows = {"patch": patch, "overlap": overlap, "weights": weights, "placement": "regular", "crop": False}
    prepared = prepare_volume(scan_of(), card(windows))
    expected = monai(np.stack([i.data for i in scan_of()]), net, patch, overlap, weights)
    np.testing.assert_allclose(whole(prepared, net, batch=batch), expected, atol=2e-4)


@pytest.mark.parametrize("axes", ["LPS", "IAR"])
def test_other_axes_equal_monai_on_the_turned_volume(axes: str) -> None:
    net, patch = net_of(), (16, 12, 10)
    windows = {"patch": patch, "axes": list(axes), "placement": "regular", "crop": False}
    prepared = prepare_volume(scan_of(), card(windows))
    canonical = np.stack([i.data for i in scan_of()])
    turned = np.ascontiguousarray(prepared.orientation.to_network(canonical))
    expected = prepared.orientation.to_canonical(monai(turned, net, patch, 0.5, "gaussian"))
    np.testing.assert_allclose(whole(prepared, net), expected, atol=2e-4)


def test_slices_of_a_2d_network_equal_monai_slice_by_slice() -> None:
    net, patch = net_of(dimensions=2), (1, 16, 16)
    windows = {"patch": patch, "placement": "regular", "crop": False, "mirror": [1, 2]}
    prepared = prepare_volume(scan_of(), card(windows))
    data = np.stack([i.data for i in scan_of()])
    expected = np.stack([monai(data[:, z], net, patch[1:], 0.5, "gaussian") for z in range(11)], axis=1)
    np.testing.assert_allclose(whole(prepared, net), expected, atol=2e-4)


def test_mirroring_averages_all_combinations_of_axes() -> None:
    net = net_of()
    windows = {"patch": [12, 26, 30], "crop": False, "weights": "constant", "mirror": [0, 2]}
    prepared = prepare_volume(scan_of(), card(windows))
    x = np.pad(prepared.data, [(0, 0), (0, 1), (0, 0), (0, 1)])[None]

    def logits(*axes: int) -> Tensor:
        with torch.inference_mode():
            return net(torch.from_numpy(x).flip(axes)).flip(axes)

    expected = (logits() + logits(-3) + logits(-1) + logits(-3, -1)) / 4
    found = whole(prepared, net, flip=True, mirrors=[(-3,), (-1,), (-3, -1)])
    np.testing.assert_allclose(found, expected[0, :, :11, :, :29].numpy(), atol=1e-4)


@pytest.mark.parametrize("axes", ["SPL", "RIP"])
def test_resampling_there_and_back_equals_scikit_image(axes: str) -> None:
    net = net_of()
    turned_spacing = {"SPL": (1.5, 0.8, 1.2), "RIP": (1.2, 1.5, 0.8)}[axes]
    windows = {
        "patch": [16, 16, 16],
        "axes": list(axes),
        "spacing": turned_spacing,
        "interpolation": "cubic",
        "placement": "regular",
        "crop": False,
    }
    scan = scan_of((2.0, 1.0, 1.0))
    prepared = prepare_volume(scan, card(windows))
    canonical = np.stack([i.data for i in scan]).astype(np.float64)
    turned = np.ascontiguousarray(prepared.orientation.to_network(canonical))
    sizes = [round(n * old / new) for n, old, new in zip(SHAPE, (2.0, 1, 1), (1.5, 0.8, 1.2), strict=True)]
    sizes = list(prepared.orientation.reorder(sizes))
    small = np.stack([resize(one, sizes, 3, mode="edge", anti_aliasing=False) for one in turned])
    np.testing.assert_allclose(prepared.data, small, atol=1e-5)
    logits = monai(small.astype(np.float32), net, (16, 16, 16), 0.5, "gaussian")
    back = np.stack([resize(one, turned.shape[1:], 1, mode="edge", anti_aliasing=False) for one in logits])
    np.testing.assert_allclose(whole(prepared, net), prepared.orientation.to_canonical(back), atol=2e-4)


def test_a_run_of_some_slices_gives_what_the_whole_run_gives_there() -> None:
    net = net_of()
    windows = {"patch": [4, 16, 16], "spacing": [1.0, 1.0, 1.0]}
    prepared = prepare_volume(scan_of((1.7, 1.0, 1.0)), card(windows))
    everything = {one.index: one.logits for one in results(prepared, net, prepared.todo)}
    for todo in ([7], [2, 3, 4], [1, 9]):
        for one in results(prepared, net, todo):
            np.testing.assert_allclose(one.logits, everything[one.index], atol=1e-5)
    few = list(predict.steps(prepared, Runner(net, "cpu"), [2]))
    assert few[0].total < next(predict.steps(prepared, Runner(net, "cpu"), prepared.todo)).total


def results(prepared: PreparedVolume, net: SegmentationNetwork, todo: Any) -> list[predict.SliceResult]:
    return [one for step in predict.steps(prepared, Runner(net, "cpu"), todo) for one in step.finished]


def test_members_are_averaged_as_the_card_says() -> None:
    nets = [net_of(seed=1), net_of(seed=2)]
    windows = {"patch": [8, 16, 16]}
    members = [{"name": "a"}, {"name": "b"}]
    logits = card(windows, output={"mean": "logits"}, members=members)
    chances = card(windows, members=members)
    single = [whole(prepare_volume(scan_of(), card(windows)), net) for net in nets]
    both = Ensemble(nets, "sigmoid", "logits")
    found = whole(prepare_volume(scan_of(), logits), both)
    np.testing.assert_allclose(found, np.mean(single, axis=0), atol=1e-5)
    found = whole(prepare_volume(scan_of(), chances), Ensemble(nets, "sigmoid"))
    np.testing.assert_allclose(special.expit(found), np.mean(special.expit(single), axis=0), atol=1e-5)


# ---------------------------------------------------------------- memory


class Hungry(SegmentationNetwork):
    """A network that runs out of memory with more voxels than `most`."""

    def __init__(self, net: PlainConvUNet, most: int) -> None:
        super().__init__(net.given)
        self.net, self.most = net, most

    def forward(self, x: Tensor) -> Tensor:
        if x[:, 0].numel() > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return self.net(x)  # type: ignore[no-any-return]


def test_batches_then_windows_become_smaller_when_memory_runs_out() -> None:
    prepared = prepare_volume(scan_of(), card({"patch": [8, 16, 64], "crop": False}))
    runner = Runner(Hungry(net_of(), 8 * 16 * 32), "cpu", batch=4)
    steps = list(predict.steps(prepared, runner, prepared.todo))
    assert [one.index for step in steps for one in step.finished] == list(range(11))
    assert runner.notes == [
        "memory ran out on cpu; going on with 2 windows at a time",
        "memory ran out on cpu; going on with 1 windows at a time",
        "memory ran out with a single window; going on with windows of 8 x 16 x 32 voxels, whose results "
        "differ a little from those of larger ones",
    ]


def test_memory_that_suffices_for_no_window_is_an_error() -> None:
    prepared = prepare_volume(scan_of(), card({"patch": [8, 16, 64]}))
    with pytest.raises(DeviceError, match="memory ran out on the CPU with a single window; close other"):
        list(predict.steps(prepared, Runner(Hungry(net_of(), 10), "cpu"), prepared.todo))


def test_what_is_no_number_is_an_error() -> None:
    net = net_of()
    with torch.no_grad():
        next(net.parameters()).fill_(torch.nan)
    prepared = prepare_volume(scan_of(), card({"patch": [8, 16, 16]}))
    with pytest.raises(ModelError, match="tiny gives values that are no numbers"):
        list(predict.steps(prepared, Runner(net, "cpu"), prepared.todo))


# ---------------------------------------------------------------- whole runs


@pytest.fixture
def model(tmp_path: Any) -> Model:
    windows = {"patch": [8, 16, 16], "crop": True}
    given = card(windows, network={"architecture": "plain-conv-unet"}, output={"flip": True})
    return save_model(tmp_path, net_of(), given)


def test_a_run_reports_windows_and_slices(model: Model) -> None:
    steps = run(scan_of(), model, Settings(probabilities=True))
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            seg = end.value
            break
    assert seen[-1].done == seen[-1].total
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert {p.plane_axis for p in seen} == {0}
    assert all(p.labels.shape == SHAPE[1:] for p in seen)
    last = {p.index: p.labels for p in seen}
    assert set(last) == set(range(11))
    chances = seg.probabilities["ET"]
    assert chances.shape == tuple(side.stop - side.start for side in seg.probability_box)
    inside = seg.labels[seg.probability_box]
    np.testing.assert_array_equal(inside == 3, chances > 127)
    assert seg.provenance["settings"]["windows"]["copies"] == 2
    assert seg.provenance["settings"]["windows"]["patch"] == [8, 16, 16]


def test_a_run_stops_between_windows(model: Model) -> None:
    steps = run(scan_of(), model)
    next(steps)
    steps.close()


def test_some_slices_alone_get_labels(model: Model) -> None:
    everything = segment(scan_of(), model, Settings(flip=False)).labels
    some = segment(scan_of(), model, Settings(flip=False, slices=range(3, 5))).labels
    np.testing.assert_array_equal(some[3:5], everything[3:5])
    assert not some[:3].any()
    assert not some[5:].any()


def test_a_scan_without_foreground_gets_an_empty_mask(model: Model) -> None:
    empty = make_scan({"flair": np.zeros(SHAPE, np.float32), "t1c": np.zeros(SHAPE, np.float32)})
    seg = segment(empty, model)
    assert not seg.labels.any()


def test_bfloat16_changes_little_and_int8_is_refused(model: Model) -> None:
    ours = segment(scan_of(), model, Settings(precision="float32")).labels
    other = segment(scan_of(), model, Settings(precision="bfloat16")).labels
    assert np.mean(ours != other) < 0.05
    with pytest.raises(DeviceError, match="int8 is for networks that work on slices"):
        segment(scan_of(), model, Settings(precision="int8"))


def test_unknown_voxel_size_is_told(tmp_path: Any) -> None:
    given = card({"patch": [8, 16, 16], "spacing": [1, 1, 1]}, network={"architecture": "plain-conv-unet"})
    made = save_model(tmp_path, net_of(), given)
    scan = make_scan({i.role: i.data for i in scan_of()}, spacing=None)
    assert any("voxels of a certain size" in str(w) for w in segment(scan, made).provenance["warnings"])
