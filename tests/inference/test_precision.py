"""Reduced precision: bfloat16 against its definition, and the choice between it and float32."""

from __future__ import annotations

import importlib
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference import Settings, precision, precision_probe, predict, segment
from napari_tumorseg.inference.networks import as_bfloat16, as_float32
from napari_tumorseg.models.agreement import Agreement
from napari_tumorseg.models.architectures import UNetArguments
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.efficientnet_unet import EfficientNetUNet
from napari_tumorseg.models.ensemble import Ensemble
from napari_tumorseg.models.slice_network import SliceNetwork
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from tests.builders import card_of, head, make_scan, save_model, threshold_net

GOOD = {
    "scans": 8,
    "mean": 0.9995,
    "least": 0.998,
    "volume_percent": 0.1,
    "volume_percent_most": 0.3,
    "references": 6,
}
DICE = {"dice": 0.88, "dice_float32": 0.8805}


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return save_model(tmp_path, threshold_net([0], [2.0]), card_of())


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUMORSEG_CACHE", str(tmp_path / "cache"))


def with_figures(model: Model, **changes: object) -> Model:
    figures = {"sha256": model.weights_sha256(), **GOOD, **DICE, **changes}
    card = model.card.model_copy(update={"agreement": {"bfloat16": Agreement(**figures)}})  # type: ignore[arg-type]
    return Model(card, model.weights)


def inputs(channels: int = 1) -> list[Array]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=(channels, 16, 16)).astype(np.float32)]


# ---------------------------------------------------------------- bfloat16


class ThreeLayers(SliceNetwork):
    """A first, a middle and a last convolution, and a group norm, which no rule names."""

    def __init__(self) -> None:
        super().__init__(UNetArguments(in_channels=2, out_channels=1, widths=[4], bottleneck=4))
        self.first = nn.Conv2d(2, 8, 3, padding=1)
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.last = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.norm(functional.relu(self.middle(functional.relu(self.first(x))))))
        return found


def rounded(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).to(torch.float64)


def test_bfloat16_rounds_what_goes_into_the_middle_layers_only() -> None:
    torch.manual_seed(0)
    net = ThreeLayers().eval()
    x = torch.randn(2, 2, 8, 8)
    with torch.inference_mode():
        found = as_bfloat16(net)(x)
        exact = net.double()
        y = functional.relu(exact.first(x.double()))
        y = functional.conv2d(rounded(y), rounded(exact.middle.weight), rounded(exact.middle.bias), padding=1)
        expected = exact.last(exact.norm(functional.relu(rounded(y))))
        plain = exact(x.double())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=0.01)
    assert not torch.allclose(found.double(), plain, rtol=0, atol=1e-5)  # something was rounded


@pytest.mark.parametrize("order", ["conv-norm-relu", "conv-relu-norm", "conv-relu"])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_every_kind_of_u_net_runs_in_bfloat16(order: str, upsampling: str) -> None:
    torch.manual_seed(1)
    net = UNet(2, 3, [4, 8], 16, order=order, upsampling=upsampling)
    net.init_he()
    net.eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    x = torch.randn(1, 2, 32, 16)
    with torch.inference_mode():
        full, reduced = as_float32(net)(x), as_bfloat16(net)(x)
    assert reduced.dtype == torch.float32
    assert 0 < (full - reduced).abs().max() < 0.05 * full.abs().max()
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_an_encoder_of_photographs_runs_in_bfloat16() -> None:
    torch.manual_seed(1)
    net = EfficientNetUNet(2, 1, [4, 4, 4]).eval()
    reduced = as_bfloat16(net)
    x = torch.randn(1, 2, 32, 32)
    with torch.inference_mode():
        full, found = as_float32(net)(x), reduced(x)
    assert 0 < (full - found).abs().max() < 0.05 * full.abs().max()
    whole = [m for m in reduced.modules() if isinstance(m, nn.Conv2d) and m.weight.dtype is torch.float32]
    assert sorted(layer.in_channels for layer in whole) == [2, 2, 4]  # what takes the input, and the head


def test_members_of_an_ensemble_run_in_bfloat16() -> None:
    torch.manual_seed(2)
    members = [UNet(1, 1, [4], 8).eval() for _ in range(2)]
    (sample,) = inputs()
    runner = predict.Runner(Ensemble(members, "sigmoid"), "cpu", convert=as_bfloat16)
    (found,) = runner.member_logits([sample])
    with torch.inference_mode():
        each = [as_bfloat16(net)(torch.from_numpy(sample[None]))[0].numpy() for net in members]
    np.testing.assert_array_equal(found, np.stack(each))


def test_weights_are_converted_once_and_the_ends_stay_in_float32() -> None:
    kinds = {name: weight.dtype for name, weight in as_bfloat16(UNet(1, 1, [4], 8).eval()).named_parameters()}
    whole = {name for name, kind in kinds.items() if kind is torch.float32 and name.endswith("weight")}
    assert sorted(name.removeprefix("_net.") for name in whole) == [
        "encoder.0.conv1._layer.weight",
        "head._layer.weight",
    ]


def test_a_run_in_bfloat16_says_so(model: Model) -> None:
    scan = make_scan({"flair": head()})
    full = segment(scan, model, Settings(precision="float32"))
    reduced = segment(scan, model, Settings(precision="bfloat16"))
    np.testing.assert_array_equal(full.labels, reduced.labels)
    assert full.labels.any()
    told = [seg.provenance["settings"]["precision"] for seg in (full, reduced)]
    assert told == ["float32", "bfloat16"]
    assert reduced.provenance["settings"]["precision_reason"] == "as asked for"


# ---------------------------------------------------------------- the card's figures


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True),
        ({"mean": 0.999, "least": 0.997, "dice": 0.8815}, True),
        ({"mean": 0.99899}, False),
        ({"least": 0.99699}, False),
        ({"dice": 0.8794}, False),
        ({"dice": 0.8816}, False),
        ({"dice": None}, False),
    ],
)
def test_limits_of_the_agreement(changes: dict[str, float], allowed: bool) -> None:
    assert Agreement(sha256="0" * 64, **{**GOOD, **DICE, **changes}).sufficient is allowed


def test_figures_survive_the_card_file_and_are_told(model: Model, tmp_path: Path) -> None:
    card = with_figures(model).card
    (tmp_path / "again.toml").write_text(card.to_toml(), encoding="utf-8")
    assert ModelCard.from_toml(tmp_path / "again.toml") == card
    assert "In bfloat16: Dice with float32's masks mean 0.9995, least 0.9980 on 8 scans" in card.as_text()


# ---------------------------------------------------------------- the choice


def chosen(
    model: Model, monkeypatch: pytest.MonkeyPatch, share: float = 0.5, native: bool = True
) -> precision.Choice:
    monkeypatch.setattr(precision, "has_native_bfloat16", lambda: native)
    monkeypatch.setattr(precision_probe, "_measure", lambda *_: share)
    return precision.choose("auto", model, model.load(), "cpu", inputs)


def test_bfloat16_where_it_is_as_good_and_faster(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    found = chosen(with_figures(model), monkeypatch)
    assert found.precision == "bfloat16"
    assert found.reason == "measured here, bfloat16 takes 0.50 of float32's time"


@pytest.mark.parametrize(
    ("changes", "share", "native", "reason"),
    [
        (None, 0.5, True, "no figures"),
        ({"sha256": "0" * 64}, 0.5, True, "other weights"),
        ({"least": 0.9}, 0.5, True, "changes masks too much"),
        ({}, 0.5, False, "no instructions"),
        ({}, 0.95, True, "0.95 of float32's time"),
    ],
)
def test_float32_everywhere_else(
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object] | None,
    share: float,
    native: bool,
    reason: str,
) -> None:
    told = model if changes is None else with_figures(model, **changes)
    found = chosen(told, monkeypatch, share, native)
    assert found.precision == "float32"
    assert reason in found.reason


def test_an_automatic_run_uses_what_was_measured(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_native_bfloat16", lambda: True)
    monkeypatch.setattr(precision_probe, "_measure", lambda *_: 0.4)
    scan, told = make_scan({"flair": head()}), with_figures(model)
    assert segment(scan, told).provenance["settings"]["precision"] == "bfloat16"
    forced = segment(scan, told, Settings(precision="float32"))
    assert forced.provenance["settings"]["precision"] == "float32"
    empty = segment(make_scan({"flair": np.zeros((3, 16, 16), np.float32)}), with_figures(model, scans=9))
    assert not empty.labels.any()


def test_a_precision_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="one of auto, float32, bfloat16, int8, not 'half'"):
        Settings(precision="half")  # type: ignore[arg-type]


# ---------------------------------------------------------------- the measurement


def test_the_measurement_is_the_median_of_ratios() -> None:
    # each pair is the start and the end of a run: bfloat16, then float32
    ticks = cycle([0, 1, 0, 2])
    found = precision_probe.relative_time(UNet(1, 1, [4], 8).eval(), "a", inputs, lambda: next(ticks))
    assert found == 0.5


def test_it_is_made_once_for_each_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured = iter([0.5, 0.7, 0.9])
    monkeypatch.setattr(precision_probe, "_measure", lambda *_: next(measured))
    net = UNet(1, 1, [4], 8).eval()
    found = [precision_probe.relative_time(net, weights, inputs) for weights in ("a", "b", "a", "b")]
    assert found == [0.5, 0.7, 0.5, 0.7]
    (tmp_path / "cache" / "precision.json").write_text("{ damaged", encoding="utf-8")
    assert precision_probe.relative_time(net, "a", inputs) == 0.9


def test_measurement_of_another_process_that_was_faster_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measure(*_: object) -> float:
        if first:
            monkeypatch.setattr(precision_probe, "_measure", lambda *_: first.pop())
            precision_probe.relative_time(net, "a", inputs)
        return 0.95

    first, net = [0.5], UNet(1, 1, [4], 8).eval()
    monkeypatch.setattr(precision_probe, "_measure", measure)
    assert precision_probe.relative_time(net, "a", inputs) == 0.5


def test_it_is_made_again_for_other_threads_and_another_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {precision_probe.machine_key("a"), precision_probe.machine_key("b")}
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    keys.add(precision_probe.machine_key("a"))
    monkeypatch.setattr(torch, "__version__", "0")
    keys.add(precision_probe.machine_key("a"))
    assert len(keys) == 4


def test_a_cache_that_cannot_be_written_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be", encoding="utf-8")
    monkeypatch.setattr(precision_probe, "_measure", lambda *_: 0.5)
    assert precision_probe.relative_time(UNet(1, 1, [4], 8).eval(), "a", inputs) == 0.5


def test_nothing_is_measured_without_a_slice() -> None:
    assert precision_probe.relative_time(UNet(1, 1, [4], 8).eval(), "a", list) is None


def test_figures_count_regions_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A region of ten voxels of which one differs sets the least Dice."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    benchmark = importlib.import_module("agreement")
    grid = make_scan({"flair": head()}).grid
    full = np.zeros(grid.shape, dtype=np.uint8)
    full[2, 3, 4:14] = 1
    reduced = full.copy()
    reduced[2, 3, 4] = 0
    found = benchmark.Found()
    masks = [Segmentation(labels, grid, CONVENTIONS["binary"]) for labels in (full, reduced)]
    benchmark.compare(*masks, found)
    assert found.dice == [pytest.approx(18 / 19)]
    assert found.volume == [pytest.approx(10)]


def test_the_shipped_figures_of_brats_regions_do_not_reach_the_limit() -> None:
    """The least Dice is that of a region below 1 mL."""
    assert not get_model("brats-regions").card.agreement["bfloat16"].sufficient
