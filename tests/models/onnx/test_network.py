"""ONNX files run as they are behind a card."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.onnx_files import FREE, helper, model_of, save, threshold_model

pytest.importorskip("onnxruntime")

from napari_tumorseg.errors import DeviceError, ModelError
from napari_tumorseg.inference import Settings, segment
from napari_tumorseg.inference.networks import as_bfloat16
from napari_tumorseg.models import Model, get_model
from napari_tumorseg.models.merge import merge_models
from napari_tumorseg.models.onnx import network as network_module
from napari_tumorseg.models.onnx.network import OnnxNetwork, memory_limit
from napari_tumorseg.models.weight_files import sha256
from tests.builders import card_of, head, make_scan, save_model, threshold_net

ARGUMENTS = {"in_channels": 1, "out_channels": 1}


def network(tmp_path: Path, model: Any, **arguments: Any) -> OnnxNetwork:
    path = save(model, tmp_path / "net.onnx")
    return OnnxNetwork.from_file(path, {**ARGUMENTS, **arguments})


def model_with_card(folder: Path, model: Any, card: dict[str, Any] | None = None, **arguments: Any) -> Model:
    """Write an ONNX file and a card beside it, as an import leaves them."""
    path = save(model, folder / "tiny.onnx")
    table = {"architecture": "onnx", "arguments": {**ARGUMENTS, **arguments}}
    written = card_of(**{**(card or {}), "network": table, "sha256": sha256(path)})
    path.with_suffix(".toml").write_text(written.to_toml(), encoding="utf-8")
    return get_model(path.with_suffix(".toml"))


def test_any_batch_and_size(tmp_path: Path) -> None:
    net = network(tmp_path, threshold_model(2.0))
    x = torch.randn(3, 1, 5, 7)
    assert torch.equal(net(x), x - 2) and net.stride == 1 and net.runtime == "ONNX Runtime"


def test_a_fixed_size_is_run_tile_by_tile(tmp_path: Path) -> None:
    # each tile minus its mean shows where tiles begin
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[2, 3]),
        helper.make_node("Sub", ["x", "mean"], ["y"]),
    ]
    net = network(tmp_path, model_of(nodes, takes=("n", 1, 4, 6)), sides=[4, 6])
    assert net.stride == 12
    x = torch.randn(2, 1, 12, 12)
    tiles = x.reshape(2, 1, 3, 4, 2, 6)
    expected = (tiles - tiles.mean(dim=(3, 5), keepdim=True)).reshape(x.shape)
    torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_fixed_batch_is_filled_up(tmp_path: Path, batch: int) -> None:
    net = network(tmp_path, threshold_model(2.0, (batch, 1, "h", "w")))
    x = torch.randn(3, 1, 4, 4)
    assert torch.equal(net(x), x - 2)


def test_channels_last(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "weights"], ["y"])]
    model = model_of(nodes, {"weights": np.float32([10, 20])}, ("n", "h", "w", 2))
    net = network(tmp_path, model, in_channels=2, out_channels=2, channels_last=True)
    x = torch.randn(2, 2, 3, 5)
    torch.testing.assert_close(net(x), x + torch.tensor([10.0, 20.0]).reshape(1, 2, 1, 1))


def test_probabilities_become_logits(tmp_path: Path) -> None:
    x = torch.tensor([-30.0, -2.0, 0.0, 3.0, 30.0]).reshape(1, 1, 1, 5)
    net = network(tmp_path, threshold_model(0.0, last="Sigmoid"), activation="sigmoid")
    torch.testing.assert_close(net(x)[..., 1:4], x[..., 1:4], atol=1e-5, rtol=1e-5)
    assert net(x).isfinite().all() and net(x)[..., 0] < -10
    both = network(
        tmp_path, threshold_model(0.0, ("n", 2, "h", "w"), "Softmax"),
        in_channels=2, out_channels=2, activation="softmax",
    )  # fmt: skip
    x = torch.randn(1, 2, 3, 3)
    torch.testing.assert_close(both(x).softmax(1), x.softmax(1))


def test_it_is_shared_not_copied(tmp_path: Path) -> None:
    net = network(tmp_path, threshold_model(1.0))
    assert net.folded() is net and copy.deepcopy(net) is net and net.sensitive_layers() == ()


@pytest.mark.parametrize(
    ("model", "arguments", "words"),
    [
        (threshold_model(1.0, ("n", 2, "h", "w")), {}, "'x' .* has 2 channels, and its card states 1"),
        (threshold_model(1.0, ("n", 1, 32, 32)), {}, "takes images of 32 x 32 alone; its card must state"),
        (threshold_model(1.0, ("n", 1, 32, "w")), {}, "fixed in some axes and free in others"),
        (threshold_model(1.0), {"colour": 1}, "its card does not fit: colour"),
        (threshold_model(1.0), {"volumes": True}, "takes slices, which its card does not state"),
        (threshold_model(1.0, ("n", 1, "d", "h", "w")), {}, "takes volumes, which its card does not state"),
    ],
)
def test_cards_that_do_not_fit(tmp_path: Path, model: Any, arguments: Any, words: str) -> None:
    with pytest.raises(ModelError, match=rf"^net\.onnx: .*{words}"):
        network(tmp_path, model, **arguments)


def test_results_of_another_size(tmp_path: Path) -> None:
    pool = model_of([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])])
    with pytest.raises(ModelError, match="gives 1 x 1 x 4 x 4 for images of 1 x 1 x 8 x 8"):
        network(tmp_path, pool)(torch.zeros(1, 1, 8, 8))


def test_graphs_that_the_runtime_refuses(tmp_path: Path) -> None:
    cycle = [helper.make_node("Relu", ["y"], ["a"]), helper.make_node("Add", ["a", "x"], ["y"])]
    with pytest.raises(ModelError, match=r"^net\.onnx: ONNX Runtime does not accept it: .*not acyclic"):
        network(tmp_path, model_of(cycle))
    dangling = [helper.make_node("Add", ["x", "nowhere"], ["y"])]
    with pytest.raises(ModelError, match=r"^net\.onnx: ONNX Runtime does not accept it"):
        network(tmp_path, model_of(dangling))


def test_memory_that_runs_out_is_told_as_such(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["most"], keepdims=0),
        helper.make_node("Add", ["x", "most"], ["y"]),
    ]
    model = model_of(nodes, {"shape": np.int64([memory_limit() // 4, 2])})
    net = network(tmp_path, model)
    with pytest.raises(MemoryError):
        net(torch.zeros(1, 1, 4, 4))


def test_a_scan_is_segmented_as_with_torch(tmp_path: Path) -> None:
    scan = make_scan({"flair": head()})
    ours = segment(scan, save_model(tmp_path / "ours", threshold_net([0], [300.0]), card_of()))
    theirs = segment(scan, model_with_card(tmp_path, threshold_model(300.0)))
    assert ours.labels.any()
    np.testing.assert_array_equal(theirs.labels, ours.labels)
    settings, versions = theirs.provenance["settings"], theirs.provenance["versions"]
    assert (settings["device"], settings["precision"]) == ("cpu", "float32")
    assert settings["precision_reason"] == "ONNX Runtime runs the network as its file states it"
    assert versions["onnxruntime"] and "onnxruntime" not in ours.provenance["versions"]


def test_a_fixed_size_on_a_canvas(tmp_path: Path) -> None:
    """The slice of 40 x 48 is larger than the canvas, so that the window takes more than one tile."""
    card = {"input": {"size": {"canvas": [32, 32]}}}
    model = model_with_card(tmp_path, threshold_model(300.0, (1, 1, 32, 32)), card, sides=[32, 32])
    scan = make_scan({"flair": head()})
    np.testing.assert_array_equal(segment(scan, model).labels > 0, head() > 300)


@pytest.mark.parametrize(("precision", "words"), [("bfloat16", "bfloat16 is for"), ("int8", "int8 is for")])
def test_reduced_precisions_are_refused_in_words(tmp_path: Path, precision: Any, words: str) -> None:
    model = model_with_card(tmp_path, threshold_model(300.0))
    with pytest.raises(DeviceError, match=f"{words} networks that torch runs; ONNX Runtime runs this one in"):
        segment(make_scan({"flair": head()}), model, Settings(precision=precision))
    with pytest.raises(DeviceError, match="bfloat16 is for"):
        as_bfloat16(model.load())


def test_other_devices_are_refused_in_words(tmp_path: Path) -> None:
    model = model_with_card(tmp_path, threshold_model(300.0))
    with pytest.raises(DeviceError, match="on the CPU, not on cuda"):
        segment(make_scan({"flair": head()}), model, Settings(device="cuda"))


def test_another_file_in_its_place(tmp_path: Path) -> None:
    model = model_with_card(tmp_path, threshold_model(300.0))
    save(threshold_model(301.0), model.weights)
    with pytest.raises(ModelError, match="is not the file that the card of tiny was written for"):
        model.load()


def test_without_a_card(tmp_path: Path) -> None:
    path = save(threshold_model(1.0), tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=r"net\.onnx holds no card, and none lies beside it"):
        get_model(path)


def test_tensors_in_place_of_an_onnx_file(tmp_path: Path) -> None:
    model = save_model(tmp_path, threshold_net([0], [300.0]), card_of())
    table = {"architecture": "onnx", "arguments": ARGUMENTS}
    card = card_of(network=table)
    model.weights.with_suffix(".toml").write_text(card.to_toml(), encoding="utf-8")
    with pytest.raises(ModelError, match=r"states the architecture onnx, whose weights are \.onnx files"):
        get_model(model.weights)


def test_it_is_no_member_of_an_ensemble(tmp_path: Path) -> None:
    one = model_with_card(tmp_path, threshold_model(300.0))
    (tmp_path / "two").mkdir()
    two = model_with_card(tmp_path / "two", threshold_model(310.0))
    with pytest.raises(ModelError, match="is run by ONNX Runtime, and members are torch's"):
        merge_models([one, two], tmp_path / "both")


def test_without_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        ModelError, match=r'net\.onnx: ONNX files are run by ONNX Runtime, .*pip install "\.\[onnx\]"'
    ):
        network(tmp_path, threshold_model(1.0))


def test_threads_are_torchs(tmp_path: Path) -> None:
    options = network(tmp_path, threshold_model(1.0))._session.get_session_options()
    assert options.intra_op_num_threads == torch.get_num_threads() and options.inter_op_num_threads == 1


def test_a_machine_that_does_not_state_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    known = memory_limit()
    assert known > 1 << 30
    monkeypatch.delattr(network_module.os, "sysconf")
    assert memory_limit() == 6 << 30


def test_channels_that_the_file_leaves_open(tmp_path: Path) -> None:
    path = save(threshold_model(1.0, ("n", "c", "h", "w")), tmp_path / "net.onnx")
    with pytest.raises(ModelError, match="does not state its number of channels"):
        OnnxNetwork.from_file(path, None)
    assert OnnxNetwork.from_file(path, ARGUMENTS).in_channels == 1
    known = OnnxNetwork.from_file(save(threshold_model(1.0, FREE), tmp_path / "net.onnx"), None)
    assert known.arguments["in_channels"] == 1
