"""Models written as ONNX."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx

from napari_tumorseg.errors import ModelError, OutputError
from napari_tumorseg.inference import segment
from napari_tumorseg.models import Model, get_model
from napari_tumorseg.models.card import Intervals
from napari_tumorseg.models.efficientnet_unet import EfficientNetUNet
from napari_tumorseg.models.merge import merge_models
from napari_tumorseg.models.onnx import export as export_module
from napari_tumorseg.models.onnx.card import KEY
from napari_tumorseg.models.onnx.export import export_onnx
from napari_tumorseg.models.unet import UNet
from tests.builders import card_of, head, make_scan, save_model, threshold_net


def drawn(folder: Path, seed: int = 0, **options: object) -> Model:
    """Write a U-Net with random weights and batch norms that have seen something."""
    torch.manual_seed(seed)
    net = UNet(1, 1, [4, 8], 8, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        net.train()(torch.randn(4, 1, 16, 16))
    return save_model(folder, net.eval(), card_of())


@pytest.mark.parametrize("options", [{}, {"upsampling": "bilinear", "order": "conv-relu-norm"}])
def test_the_file_gives_what_the_network_gives(tmp_path: Path, options: dict[str, object]) -> None:
    model = drawn(tmp_path, **options)
    made = export_onnx(model, tmp_path / "out.onnx")
    assert made.logits < 1e-5 and made.probabilities < 1e-5 and not made.notes
    onnx.checker.check_model(onnx.load(made.model.weights), full_check=True)
    net, exported = model.load(), get_model(made.model.weights).load()
    for shape in ((1, 1, 4, 4), (5, 1, 28, 36)):
        x = torch.randn(shape)
        with torch.inference_mode():
            torch.testing.assert_close(exported(x), net(x), atol=1e-4, rtol=1e-4)
    assert exported.stride == net.stride == 4


def test_it_holds_its_card(tmp_path: Path) -> None:
    interval = Intervals(region="WT", residuals=(0.1,))
    model = save_model(tmp_path, threshold_net([0], [300.0]), card_of(intervals=[interval.model_dump()]))
    made = export_onnx(model, tmp_path / "out.onnx")
    card = get_model(made.model.weights).card
    assert card == made.model.card and card.name == "tiny" and not card.intervals and not card.sha256
    assert card.network.architecture == "onnx" and card.input == model.card.input
    assert any("intervals of volumes are left out" in note for note in made.notes)
    assert KEY in {entry.key for entry in onnx.load(made.model.weights).metadata_props}


def test_a_scan_gets_the_same_mask(tmp_path: Path) -> None:
    scan = make_scan({"flair": head()})
    model = save_model(tmp_path, threshold_net([0], [300.0]), card_of())
    made = export_onnx(model, tmp_path / "out.onnx")
    np.testing.assert_array_equal(segment(scan, made.model.weights).labels > 0, head() > 300)


def test_an_ensemble_becomes_one_graph(tmp_path: Path) -> None:
    members = [drawn(tmp_path / str(seed), seed) for seed in (1, 2)]
    both = merge_models(members, tmp_path / "both")
    made = export_onnx(both, tmp_path / "both.onnx")
    assert made.model.card.members == () and "disagreement" in made.notes[0]
    x = torch.randn(2, 1, 16, 8)
    with torch.inference_mode():
        torch.testing.assert_close(made.model.load()(x), both.load()(x), atol=1e-4, rtol=1e-3)


def test_the_other_architecture(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = EfficientNetUNet(1, 1, widths=[4, 8]).eval()
    card = card_of(network={"architecture": "efficientnet-unet"})
    made = export_onnx(save_model(tmp_path, net, card), tmp_path / "out.onnx")  # type: ignore[arg-type]
    assert made.logits < 1e-3


def test_a_broken_card_inside_is_told(tmp_path: Path) -> None:
    made = export_onnx(drawn(tmp_path), tmp_path / "out.onnx")
    content = onnx.load(made.model.weights)
    for text, words in (("name = ", "is not valid TOML"), ("name = 'x'\n", "input: Field required")):
        content.metadata_props[-1].value = text
        onnx.save(content, made.model.weights)
        with pytest.raises(ModelError, match=rf"the model card in out\.onnx:? {words}"):
            get_model(made.model.weights)


def test_what_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = drawn(tmp_path)
    with pytest.raises(OutputError, match=r"out\.pt needs that ending"):
        export_onnx(model, tmp_path / "out.pt")
    made = export_onnx(model, tmp_path / "out.onnx")
    with pytest.raises(OutputError, match="exists already"):
        export_onnx(model, tmp_path / "out.onnx")
    with pytest.raises(ModelError, match="is run by ONNX Runtime already; copy it"):
        export_onnx(get_model(made.model.weights), tmp_path / "again.onnx")
    monkeypatch.setattr(export_module, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"export needs onnx( and onnxscript)?, which is not installed: pip"):
        export_onnx(model, tmp_path / "third.onnx")
    assert not (tmp_path / "again.onnx").exists() and not (tmp_path / "third.onnx").exists()


def test_a_file_that_gives_something_else_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = drawn(tmp_path / "other", 5).load()
    right = export_module._converted
    monkeypatch.setattr(export_module, "_converted", lambda net, name: right(other, name))
    with pytest.raises(ModelError, match=r"gives other logits, by up to 0\.\d+, so it was not kept"):
        export_onnx(drawn(tmp_path), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_networks_that_torch_cannot_convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise RuntimeError("no such operator\nand a page of advice")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(ModelError, match=r"torch cannot write tiny as ONNX: no such operator$"):
        export_onnx(drawn(tmp_path), tmp_path / "out.onnx")


@pytest.mark.slow  # half a minute and more
def test_the_exporter_of_later_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(export_module, "_WITHOUT_TRACING", sys.version_info[:2])
    made = export_onnx(drawn(tmp_path), tmp_path / "out.onnx")
    assert made.logits < 1e-4
    x = torch.randn(3, 1, 12, 20)
    with torch.inference_mode():
        torch.testing.assert_close(
            made.model.load()(x), drawn(tmp_path / "x").load()(x), atol=1e-4, rtol=1e-4
        )
