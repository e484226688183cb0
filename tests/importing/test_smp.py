"""U-Nets of segmentation-models-pytorch, imported from their weights and equal to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing import Answers, import_model
from napari_tumorseg.importing.torch_layouts import read
from napari_tumorseg.models.weights import network_of


class Block(nn.Module):
    """Residual block of ResNet-18, or with `wide` of ResNet-50, in torchvision's names."""

    def __init__(self, inside: int, width: int, stride: int, wide: bool, groups: int) -> None:
        super().__init__()
        out = width * 4 if wide else width
        kernels = (1, 3, 1) if wide else (3, 3)
        strides = (1, stride, 1) if wide else (stride, 1)
        sizes = [inside, width, width, out] if wide else [inside, width, out]
        for n, (kernel, step) in enumerate(zip(kernels, strides, strict=True)):
            of = groups if wide and n == 1 else 1
            conv = nn.Conv2d(sizes[n], sizes[n + 1], kernel, step, kernel // 2, groups=of, bias=False)
            setattr(self, f"conv{n + 1}", conv)
            setattr(self, f"bn{n + 1}", nn.BatchNorm2d(sizes[n + 1]))
        self.count = len(kernels)
        if stride > 1 or inside != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for n in range(1, self.count + 1):
            y = getattr(self, f"bn{n}")(getattr(self, f"conv{n}")(y))
            y = functional.relu(y) if n < self.count else y
        return functional.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class Encoder(nn.Module):
    def __init__(self, channels: int, wide: bool, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        inside = 8
        for stage, width in enumerate((8, 12, 16, 20), start=1):
            out = width * 4 if wide else width
            blocks = [Block(inside, width, 1 if stage == 1 else 2, wide, groups)]
            blocks.append(Block(out, width, 1, wide, groups))
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            inside = out

    def forward(self, x: Tensor) -> list[Tensor]:
        found = [functional.relu(self.bn1(self.conv1(x)))]
        x = functional.max_pool2d(found[0], 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            found.append(x)
        return found


class Unet(nn.Module):
    """U-Net as the library defines it, of small widths."""

    def __init__(self, channels: int = 2, classes: int = 3, wide: bool = False, groups: int = 1) -> None:
        super().__init__()
        self.encoder = Encoder(channels, wide, groups)
        sizes = [w * 4 if wide else w for w in (20, 16, 12, 8)]
        skips = [*sizes[1:], 8, 0]
        below = [sizes[0], 16, 12, 8, 6]
        self.decoder = nn.Module()
        self.decoder.blocks = nn.ModuleList()
        for inside, skip, out in zip(below, skips, (16, 12, 8, 6, 4), strict=True):
            block = nn.Module()
            block.conv1, block.conv2 = self._conv(inside + skip, out), self._conv(out, out)
            self.decoder.blocks.append(block)
        self.segmentation_head = nn.Sequential(nn.Conv2d(4, classes, 3, padding=1))

    @staticmethod
    def _conv(inside: int, out: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inside, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        *skips, x = self.encoder(x)
        for block in self.decoder.blocks:
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = torch.cat([x, skips.pop()], dim=1) if skips else x
            x = block.conv2(block.conv1(x))
        return self.segmentation_head(x)


def randomised(net: nn.Module) -> nn.Module:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, 0, 0.2)
    return net.eval()


def difference(net: nn.Module, path: Path, channels: int = 2) -> float:
    torch.save(net.state_dict(), path)
    draft = read(path, Answers())
    ours = network_of(dict(draft.weights), draft.network.arguments, draft.network.architecture)
    assert ours.stride == 32
    x = torch.randn(2, channels, 64, 96)
    with torch.inference_mode():
        wanted = net(x)
        assert wanted.std() > 1e-3
        scale = max(1.0, float(wanted.abs().max()))
        return max(float((each(x) - wanted).abs().max()) / scale for each in (ours, ours.folded()))


@pytest.mark.parametrize(("wide", "groups"), [(False, 1), (True, 1), (True, 4)])
def test_residual_encoders_are_equal(wide: bool, groups: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert difference(randomised(Unet(wide=wide, groups=groups)), tmp_path / "net.pt") < 1e-5


def library() -> Any:
    try:
        return pytest.importorskip("segmentation_models_pytorch")
    except (RuntimeError, OSError):  # its torchvision was built for another torch
        pytest.skip("segmentation-models-pytorch cannot be imported")


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoder", ["resnet18", "resnet50", "resnext50_32x4d", "efficientnet-b0", "efficientnet-b1"]
)
def test_the_library_itself_is_equal(encoder: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    widths = (32, 16, 8, 8, 4)
    net = library().Unet(encoder, encoder_weights=None, in_channels=2, classes=3, decoder_channels=widths)
    assert difference(randomised(net), tmp_path / "net.pt") < 1e-5


def test_such_a_model_is_imported_with_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    torch.save({"state_dict": Unet(2, 4).state_dict()}, tmp_path / "net.pth")
    model = import_model(tmp_path / "net.pth", answers=Answers(like="ragab2025"))
    assert model.card.origin is not None
    assert model.card.origin.format == "segmentation-models-pytorch U-Net"
    assert model.load()(torch.zeros(1, 2, 32, 32)).shape == (1, 4, 32, 32)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("decoder.blocks.0.attention1.attention.cSE.1.weight", "weights that its layout does not have"),
        ("encoder.layer1.0.conv2.weight", "lacks 'encoder.layer1.0.conv2.weight'"),
    ],
)
def test_surplus_and_missing_weights(name: str, words: str, tmp_path: Path) -> None:
    state = Unet().state_dict()
    state.pop(name, None) if name in state else state.update({name: torch.zeros(1)})
    torch.save(state, tmp_path / "net.pt")
    with pytest.raises(ModelError, match=words):
        import_model(tmp_path / "net.pt")
