"""Weights in every layout that is known, and files that mean harm."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from napari_tumorseg.errors import ModelError, OutputError
from napari_tumorseg.models.state_dict_keys import infer_unet_arguments, to_unet_layout
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.models.weight_files import _check_pickle, load_state_dict, save_weights, sha256
from napari_tumorseg.models.weights import load_network

State = dict[str, Tensor]

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "models"
SMALL: dict[str, Any] = {"in_channels": 2, "out_channels": 3, "widths": [4, 8], "bottleneck": 16}


def small(seed: int = 0, **changes: Any) -> UNet:
    net = UNet(**(SMALL | changes))
    shake(net, seed)
    return net.eval()


def shake(net: nn.Module, seed: int = 0) -> None:
    """Give every weight and statistic a value of its own."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            values = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(values + 0.5 if name.endswith("running_var") else values - 0.45)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


def same(a: State, b: State) -> bool:
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


def refused(read: Callable[[], object]) -> str:
    """Return the sentence with which something is refused, which must be a single one."""
    with pytest.raises(ModelError) as caught:
        read()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 400
    return sentence


# ---------------------------------------------------------------- torch.hub's layout


def hub_state(channels: int = 2, out: int = 1, width: int = 4) -> State:
    """Make weights as torch.hub's U-Net names and shapes them, four levels deep."""
    generator = torch.Generator().manual_seed(5)
    state: State = {}

    def block(prefix: str, short: str, a: int, b: int) -> None:
        for number, channels_in in ((1, a), (2, b)):
            shape = (b, channels_in, 3, 3)
            state[f"{prefix}.{short}conv{number}.weight"] = torch.randn(shape, generator=generator) * 0.2
            for part in ("weight", "bias", "running_mean", "running_var"):
                state[f"{prefix}.{short}norm{number}.{part}"] = torch.rand(b, generator=generator) + 0.2
            state[f"{prefix}.{short}norm{number}.num_batches_tracked"] = torch.tensor(9)

    widths = [width * 2**i for i in range(4)]
    above = channels
    for i, w in enumerate(widths, start=1):
        block(f"encoder{i}", f"enc{i}", above, w)
        above = w
    block("bottleneck", "bottleneck", above, 2 * above)
    for i, w in reversed(list(enumerate(widths, start=1))):
        state[f"upconv{i}.weight"] = torch.randn(2 * w, w, 2, 2, generator=generator) * 0.2
        state[f"upconv{i}.bias"] = torch.randn(w, generator=generator)
        block(f"decoder{i}", f"dec{i}", 2 * w, w)
    state["conv.weight"] = torch.randn(out, width, 1, 1, generator=generator)
    state["conv.bias"] = torch.randn(out, generator=generator)
    return state


def hub_forward(x: Tensor, w: State) -> Tensor:
    """Compute torch.hub's U-Net (logits) from its weights in plain functions."""
    w = {name: tensor.float() for name, tensor in w.items()}

    def block(x: Tensor, prefix: str, short: str) -> Tensor:
        for number in (1, 2):
            x = F.conv2d(x, w[f"{prefix}.{short}conv{number}.weight"], padding=1)
            mean, var, scale, shift = (
                w[f"{prefix}.{short}norm{number}.{part}"][:, None, None]
                for part in ("running_mean", "running_var", "weight", "bias")
            )
            x = ((x - mean) / (var + 1e-5).sqrt() * scale + shift).clamp(min=0)
        return x

    def up(x: Tensor, level: int) -> Tensor:
        return F.conv_transpose2d(x, w[f"upconv{level}.weight"], w[f"upconv{level}.bias"], stride=2)

    enc1 = block(x, "encoder1", "enc1")
    enc2 = block(F.max_pool2d(enc1, 2), "encoder2", "enc2")
    enc3 = block(F.max_pool2d(enc2, 2), "encoder3", "enc3")
    enc4 = block(F.max_pool2d(enc3, 2), "encoder4", "enc4")
    low = block(F.max_pool2d(enc4, 2), "bottleneck", "bottleneck")
    dec4 = block(torch.cat((up(low, 4), enc4), dim=1), "decoder4", "dec4")
    dec3 = block(torch.cat((up(dec4, 3), enc3), dim=1), "decoder3", "dec3")
    dec2 = block(torch.cat((up(dec3, 2), enc2), dim=1), "decoder2", "dec2")
    dec1 = block(torch.cat((up(dec2, 1), enc1), dim=1), "decoder1", "dec1")
    return F.conv2d(dec1, w["conv.weight"], w["conv.bias"])


@torch.no_grad()
def test_torch_hub_weights_load_without_a_card(tmp_path: Path) -> None:
    state = hub_state()
    path = tmp_path / "unet.pt"
    torch.save(state, path)
    net = load_network(path)
    assert net.arguments["widths"] == [4, 8, 16, 32]
    assert net.arguments["bottleneck"] == 64
    assert not net.training
    x = noise(2, 2, 32, 16)
    torch.testing.assert_close(net(x), hub_forward(x, state), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "channels"), [("starter-lgg-flair", (3, 1)), ("starter-brats-regions", (2, 3))]
)
@torch.no_grad()
def test_the_starters_load(name: str, channels: tuple[int, int]) -> None:
    path = SHARED / f"{name}.safetensors"
    if not path.exists():
        pytest.skip("the starter models do not lie beside this checkout")
    net = load_network(path)
    assert (net.arguments["in_channels"], net.arguments["out_channels"]) == channels
    assert net.arguments["widths"] == [16, 32, 64, 128]
    assert net.arguments["bottleneck"] == 256
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    x = noise(1, channels[0], 64, 48)
    torch.testing.assert_close(net(x), hub_forward(x, load_file(path)), rtol=1e-3, atol=1e-3)


# ---------------------------------------------------------------- the dconv layout


class DconvNet(nn.Module):
    """The network of `dconv_down1.double_conv.0.weight`, in its usual form."""

    def __init__(self, layers: str, wrapped: bool) -> None:
        super().__init__()

        def double_conv(a: int, b: int) -> nn.Module:
            parts: list[nn.Module] = []
            for channels in (a, b):
                kinds = {"c": nn.Conv2d(channels, b, 3, padding=1), "n": nn.BatchNorm2d(b), "r": nn.ReLU()}
                parts += [kinds[letter] for letter in layers]
            sequential = nn.Sequential(*parts)
            if not wrapped:
                return sequential
            holder = nn.Module()
            holder.double_conv = sequential
            holder.forward = sequential.forward
            return holder

        self.dconv_down1, self.dconv_down2 = double_conv(1, 4), double_conv(4, 6)
        self.dconv_down3, self.dconv_down4 = double_conv(6, 8), double_conv(8, 10)
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.dconv_up3 = double_conv(8 + 10, 8)
        self.dconv_up2, self.dconv_up1 = double_conv(6 + 8, 6), double_conv(4 + 6, 4)
        self.conv_last = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.dconv_down1(x)
        two = self.dconv_down2(F.max_pool2d(one, 2))
        three = self.dconv_down3(F.max_pool2d(two, 2))
        x = self.dconv_down4(F.max_pool2d(three, 2))
        x = self.dconv_up3(torch.cat([self.upsample(x), three], dim=1))
        x = self.dconv_up2(torch.cat([self.upsample(x), two], dim=1))
        x = self.dconv_up1(torch.cat([self.upsample(x), one], dim=1))
        logits: Tensor = self.conv_last(x)
        return logits


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize(
    ("layers", "order"), [("cnr", "conv-norm-relu"), ("crn", "conv-relu-norm"), ("cr", "conv-relu")]
)
@torch.no_grad()
def test_dconv_weights_load_without_a_card(tmp_path: Path, layers: str, order: str, wrapped: bool) -> None:
    theirs = DconvNet(layers, wrapped)
    shake(theirs)
    path = tmp_path / "best.pth"
    torch.save({"epoch": 3, "model_state_dict": theirs.state_dict(), "best_dice": 0.9, "history": [1]}, path)
    net = load_network(path)
    assert net.arguments["order"] == order
    assert net.arguments["upsampling"] == "bilinear"
    assert net.arguments["widths"] == [4, 6, 8]
    assert net.arguments["bottleneck"] == 10
    x = noise(2, 1, 16, 24)
    torch.testing.assert_close(net(x), theirs.eval()(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("letters", ["ncr", "cccr"])
def test_a_dconv_block_of_another_kind_is_refused(letters: str) -> None:
    parts = {
        "dconv_down1.0.weight": torch.ones(4) if letters == "ncr" else torch.ones(4, 1, 3, 3),
        "dconv_down1.1.weight": torch.ones(4, 1, 3, 3),
        "dconv_down1.4.weight": torch.ones(4, 4, 3, 3),
    }
    assert "stands where this layout has none" in refused(lambda: to_unet_layout(parts))


# ---------------------------------------------------------------- layouts in general


def test_the_own_layout_stays_as_it_is() -> None:
    state = small().state_dict()
    assert same(to_unet_layout(state), state)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"order": "conv-relu-norm", "bottleneck_norm": "none", "decoder_norm": "first", "conv_bias": True},
        {"order": "conv-relu-norm", "encoder_norm": "none", "bottleneck_norm": "none"},
        {"upsampling": "bilinear", "conv_bias": True},
        {"widths": [4], "bottleneck": 6, "encoder_norm": "first"},
        {"widths": [4, 6, 8, 8, 8], "in_channels": 1},
    ],
)
def test_the_arguments_show_in_the_weights(changes: dict[str, Any]) -> None:
    net = small(**changes)
    found = infer_unet_arguments(net.state_dict())
    assert found == {name: net.arguments[name] for name in found}
    assert set(net.arguments) - set(found) == {"dropout", "bottleneck_dropout", "norm_eps", "norm_momentum"}


def test_a_network_without_norms_shows_as_one() -> None:
    found = infer_unet_arguments(small(order="conv-relu", conv_bias=True).state_dict())
    assert found["order"] == "conv-relu"
    assert found["encoder_norm"] == "none"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "keys: none"),
        ({"layer1.0.conv.weight": 0, "fc.bias": 0}, "keys: 'layer1.0.conv.weight', 'fc.bias'"),
        ({"conv.weight": 0, "a": 0, "b": 0, "c": 0, "d": 0}, "'a', 'b', 'c' and 1 more"),
        ({"inc.double_conv.0.weight\n\x1b[31m": 0}, r"\\n\\x1b"),
        ({"x" * 5000: 0}, "xxx..."),
    ],
)
def test_an_unknown_layout_is_named_by_its_keys(state: dict[str, int], words: str) -> None:
    sentence = refused(lambda: to_unet_layout(dict.fromkeys(state, torch.zeros(1))))
    assert words.replace("\\\\", "\\") in sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("head.weight"), "without 'head.weight'"),
        (lambda s: s.pop("encoder.0.conv1.weight"), "without 'encoder.0.conv1.weight'"),
        (lambda s: s.pop("encoder.0.norm1.weight"), "second convolution only"),
        (lambda s: s.update({"head.weight": torch.zeros(3)}), "which no 2-D convolution has"),
        (lambda s: [s.pop(n) for n in list(s) if n.startswith("encoder")], "without an encoder"),
    ],
)
def test_weights_that_make_no_network_are_refused(change: Callable[[State], object], words: str) -> None:
    state = dict(small().state_dict())
    change(state)
    assert words in refused(lambda: infer_unet_arguments(state))


# ---------------------------------------------------------------- good files


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "net.", "model.", "module._orig_mod.net."])
@pytest.mark.parametrize("wrapper", [(), ("state_dict",), ("model_state_dict",), ("model", "state_dict")])
@pytest.mark.parametrize("zipped", [True, False])
def test_wrappers_and_prefixes_come_off(
    tmp_path: Path, prefix: str, wrapper: tuple[str, ...], zipped: bool
) -> None:
    state = small().state_dict()
    content: Any = OrderedDict((prefix + name, tensor) for name, tensor in state.items())
    for name in reversed(wrapper):
        content = {"epoch": 4, "optimizer": {"lr": [1e-3], "betas": (0.9, 0.99)}, name: content}
    path = tmp_path / "a model é.PT"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert same(load_state_dict(path), dict(state))


def test_parameters_and_optimiser_states_are_plain_content(tmp_path: Path) -> None:
    net = small()
    optimizer = torch.optim.AdamW(net.parameters())
    net.train()(noise(1, 2, 8, 8)).sum().backward()
    optimizer.step()
    parameters = dict(net.named_parameters()) | dict(net.named_buffers())
    path = tmp_path / "last.pt"
    torch.save(
        {"state_dict": parameters, "optimizer": optimizer.state_dict(), "device": net.head.weight.device},
        path,
    )
    assert set(load_state_dict(path)) == set(net.state_dict())


def test_saved_weights_come_back(tmp_path: Path) -> None:
    net = small()
    path = tmp_path / "net.safetensors"
    save_weights(net.state_dict(), path)
    assert same(load_state_dict(path), dict(net.state_dict()))
    x = noise(1, 2, 8, 8)
    assert torch.equal(load_network(path)(x), net(x))
    assert torch.equal(load_network(path, net.arguments)(x), net(x))
    assert list(tmp_path.iterdir()) == [path]
    assert sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_views_and_shared_tensors_can_be_saved(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    path = tmp_path / "net.safetensors"
    save_weights({"a": whole, "b": whole, "c": whole.T, "d": whole[1:]}, path)
    assert same(load_state_dict(path), {"a": whole, "b": whole, "c": whole.T, "d": whole[1:]})


@pytest.mark.parametrize("error", [OSError(28, "No space left"), SafetensorError("No space left\nat all")])
def test_saving_replaces_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(small(1).state_dict(), path)
    save_weights(small(2).state_dict(), path)
    assert same(load_state_dict(path), dict(small(2).state_dict()))

    def full_disk(tensors: object, name: Path, metadata: object) -> None:
        name.write_bytes(b"half")
        raise error

    monkeypatch.setattr("napari_tumorseg.models.weight_files.save_file", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        save_weights(small(3).state_dict(), path)
    assert same(load_state_dict(path), dict(small(2).state_dict()))
    assert list(tmp_path.iterdir()) == [path]


def test_saving_asks_for_its_own_ending(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"net\.pt needs that ending"):
        save_weights(small().state_dict(), tmp_path / "net.pt")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    net = small().to(dtype)
    path = tmp_path / "half.safetensors"
    save_weights(net.state_dict(), path)
    loaded = load_network(path)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    x = noise(1, 2, 8, 8)
    assert torch.equal(loaded(x), net.float()(x))


def test_batch_counters_may_be_missing(tmp_path: Path) -> None:
    state = {n: t for n, t in small().state_dict().items() if not n.endswith("num_batches_tracked")}
    path = tmp_path / "old.safetensors"
    save_weights(state, path)
    net = load_network(path)
    net.train()(noise(1, 2, 8, 8))
    assert net.state_dict()["encoder.0.norm1.num_batches_tracked"] == 1


def test_a_loaded_network_does_not_depend_on_its_file(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(small().state_dict(), path)
    net = load_network(path)
    with path.open("r+b") as file:
        file.write(b"\0" * path.stat().st_size)
    assert same(dict(net.state_dict()), dict(small().state_dict()))


# ---------------------------------------------------------------- files that mean harm


class Runs:
    """Unpickles by calling a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle-2", "pickle-4", "beside weights"])
@pytest.mark.parametrize("call", ["mkdir", "system", "eval"])
def test_a_pickle_that_runs_code_does_not(tmp_path: Path, how: str, call: str) -> None:
    trace = tmp_path / "trace"
    bomb = {
        "mkdir": Runs(os.mkdir, str(trace)),
        "system": Runs(os.system, f"mkdir {trace}"),
        "eval": Runs(eval, f"__import__('os').mkdir({str(trace)!r})"),
    }[call]
    path = tmp_path / "evil.pt"
    if how.startswith("pickle"):
        path.write_bytes(pickle.dumps({"state_dict": bomb}, protocol=int(how[-1])))
    else:
        content = (
            {"state_dict": dict(small().state_dict()), "extra": bomb} if how == "beside weights" else bomb
        )
        torch.save(content, path, _use_new_zipfile_serialization=how != "legacy")
    sentence = refused(lambda: load_network(path))
    assert sentence.startswith("evil.pt: holds more than weights")
    assert call in sentence
    assert "can run code" in sentence
    assert "ask its author for a .safetensors file" in sentence
    assert not trace.exists()


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(small(), path)
    assert "napari_tumorseg.models.unet.UNet" in refused(lambda: load_network(path))


def test_a_few_bytes_that_ask_for_much_memory_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    torch.save({"state_dict": {}, "a": Runs(bytearray, 1 << 44)}, path)
    assert "bytearray" in refused(lambda: load_state_dict(path))


def test_a_tensor_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.pt"
    torch.save({"head.weight": torch.zeros(1).expand(1 << 20, 1 << 20)}, path)
    assert "more memory than the file" in refused(lambda: load_state_dict(path))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_storage_that_claims_too_much_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "claims.pt"
    torch.save({"head.weight": torch.zeros(77)}, path, _use_new_zipfile_serialization=zipped)
    seventy_seven, huge = b"K\x4d", b"J" + struct.pack("<i", 2_000_000_000)
    if zipped:
        with zipfile.ZipFile(path) as archive:
            members = {m: archive.read(m) for m in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                claim = data.replace(seventy_seven, huge) if name.endswith("data.pkl") else data
                archive.writestr(name, claim)
    else:
        path.write_bytes(path.read_bytes().replace(seventy_seven, huge))
    assert refused(lambda: load_state_dict(path)).startswith("claims.pt: ")


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zeros.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    assert "compressed" in refused(lambda: load_state_dict(path))


def test_torchscript_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("script/constants.pkl", pickle.dumps(()))
    assert "TorchScript" in refused(lambda: load_state_dict(path))


@pytest.mark.parametrize("version", ["2.9.1+cu128", "1.13.0"])
def test_an_old_torch_reads_no_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    state = small().state_dict()
    torch.save(state, tmp_path / "net.pt")
    save_weights(state, tmp_path / "net.safetensors")
    monkeypatch.setattr(torch, "__version__", version)
    sentence = refused(lambda: load_state_dict(tmp_path / "net.pt"))
    assert f"torch {version} cannot open .pt files safely; install torch >= 2.10" in sentence
    assert load_state_dict(tmp_path / "net.safetensors")


@pytest.mark.parametrize("ending", ["safetensors", "pt", "pth"])
def test_an_empty_file_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"empty.{ending}"
    path.touch()
    assert "is empty" in refused(lambda: load_state_dict(path))


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize("share", [0.0001, 0.05, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / ("net.safetensors" if kind == "safetensors" else "net.pt")
    if kind == "safetensors":
        save_weights(small().state_dict(), path)
    else:
        torch.save(small().state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share) + 1])
    assert refused(lambda: load_network(path)).startswith(path.name)


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
@pytest.mark.parametrize(
    "content", [b"not weights at all\n" * 50, b"\x89PNG\r\n\x1a\n" * 9, b"PK\x03\x04" * 30]
)
def test_another_kind_of_file_is_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"picture.{ending}"
    path.write_bytes(content)
    assert refused(lambda: load_network(path)).startswith(path.name)


def header(entries: object, data: int = 0, length: int | None = None) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + b"\0" * data


def entry(shape: list[int], begin: Any, end: Any, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header({}, length=2**63), "declares a header of 9223372036854775808 bytes in a file of 10"),
        (header({}, length=2**64 - 1), "declares a header"),
        (header({}, length=50_000_000_000), "declares a header"),
        (header(b" " * (5 << 20)), "declares a header"),
        (b"\x10\0\0", "too short"),
        (header(b"[" * 200_000), "cannot be read"),
        (header(b"{\xff\xfe}"), "cannot be read"),
        (header([1, 2]), "no table of tensors"),
        (header({"a": entry([2**40], 0, 2**42)}, 8), "'a' is not all in the file"),
        (header({"a": entry([2], 0, 12)}, 8), "'a' is not all in the file"),
        (header({"a": entry([2], -8, 0)}, 8), "'a' is not all in the file"),
        (header({"a": entry([2], 8, 0)}, 8), "'a' is not all in the file"),
        (header({"a": entry([2], 0, "8")}, 8), "'a' is not all in the file"),
        (header({"a": {"dtype": "F32", "shape": [2]}}, 8), "'a' is not all in the file"),
        (header({"a": 3}, 8), "'a' is not all in the file"),
        (header({"a": entry([2**40], 0, 8)}, 8), "not a valid safetensors file"),
        (header({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, 12), "not a valid safetensors file"),
        (header({"a": entry([2], 0, 8, "NONSENSE")}, 8), "not a valid safetensors file"),
        (header({}), "holds no weights"),
    ],
)
def test_a_hostile_safetensors_header_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "evil.safetensors"
    path.write_bytes(content)
    sentence = refused(lambda: load_state_dict(path))
    assert sentence.startswith("evil.safetensors: ")
    assert words in sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_weights_that_are_no_numbers_are_refused(
    tmp_path: Path, value: float, dtype: torch.dtype, ending: str
) -> None:
    state = small().to(dtype).state_dict()
    state["decoder.1.conv2.weight"][1, 2, 0, 1] = value
    path = tmp_path / f"net.{ending}"
    save_file(state, path) if ending == "safetensors" else torch.save(state, path)
    assert "'decoder.1.conv2.weight' have NaN or infinite values" in refused(lambda: load_state_dict(path))


def test_weights_beyond_float32_are_refused(tmp_path: Path) -> None:
    state = small().double().state_dict()
    state["head.weight"][0] = 1e300
    save_file(state, tmp_path / "net.safetensors")
    assert "'head.weight' are too large" in refused(lambda: load_network(tmp_path / "net.safetensors"))


def test_negative_variances_are_refused(tmp_path: Path) -> None:
    state = small().state_dict()
    state["encoder.0.norm1.running_var"][0] = -1.0
    save_file(state, tmp_path / "net.safetensors")
    assert "negative variances" in refused(lambda: load_network(tmp_path / "net.safetensors"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([torch.zeros(1)], "holds no weights"),
        ({}, "holds no weights"),
        ({"state_dict": {}}, "holds no weights"),
        (torch.zeros(3), "holds no weights"),
        ({"head.weight": torch.zeros(1), "epoch": 3}, "'epoch' is no tensor"),
        ({"state_dict": {"head.weight": torch.zeros(1), "lr": 0.1}}, "'lr' is no tensor"),
        ({"state_dict": {3: torch.zeros(1)}}, "3 is no tensor"),
        ({"net.a": torch.zeros(1), "a": torch.zeros(1)}, "two tensors for 'a'"),
        ({"a": torch.zeros(1, dtype=torch.complex64)}, "torch.complex64"),
        ({"a": torch.zeros(9, dtype=torch.bool)}, "torch.bool"),
    ],
)
def test_what_is_no_weights_is_refused(tmp_path: Path, content: object, words: str) -> None:
    path = tmp_path / "net.pt"
    torch.save(content, path)
    assert words in refused(lambda: load_state_dict(path))


@pytest.mark.parametrize("tensor", [torch.eye(3).to_sparse(), torch.zeros(2, device="meta")])
def test_tensors_of_other_kinds_are_refused(tmp_path: Path, tensor: Tensor) -> None:
    path = tmp_path / "net.pt"
    torch.save({"a": tensor}, path)
    assert refused(lambda: load_state_dict(path)).startswith("net.pt: ")


def test_wrong_paths_are_told(tmp_path: Path) -> None:
    assert "no such file" in refused(lambda: load_network(tmp_path / "gone.pt"))
    assert "not a file" in refused(lambda: load_network(tmp_path))
    assert "gone.pt: cannot be read" in refused(lambda: sha256(tmp_path / "gone.pt"))
    keras = tmp_path / "model.h5"
    keras.write_bytes(b"\x89HDF\r\n\x1a\n")
    assert ".safetensors, .pt, .pth files only" in refused(lambda: load_network(keras))


# ---------------------------------------------------------------- weights of another network


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"in_channels": 3}, "have 'encoder.0.conv1.weight' (4, 2, 3, 3) instead of (4, 3, 3, 3)"),
        ({"widths": [4, 8, 16], "bottleneck": 32}, "lack 'encoder.2.conv1.weight'"),
        ({"widths": [4], "bottleneck": 8}, "have also 'decoder.1.conv1.weight'"),
        ({"order": "conv-relu-norm"}, "lack 'encoder.0.post_norm1.weight'"),
        ({"conv_bias": True}, "lack 'encoder.0.conv1.bias', 'encoder.0.conv2.bias'"),
        ({"upsampling": "bilinear"}, "have also 'up.0.bias', 'up.0.weight'"),
        ({"widths": [0, 8]}, "its arguments make no unet network: widths must be greater"),
        ({"depth": 4}, "its arguments make no unet network: depth"),
    ],
)
def test_weights_must_fit_the_card(tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(small().state_dict(), path)
    sentence = refused(lambda: load_network(path, SMALL | arguments))
    assert sentence.startswith("net.safetensors: ")
    assert words in sentence


def test_a_state_of_another_shape_is_refused_without_a_card(tmp_path: Path) -> None:
    state = dict(small().state_dict())
    state["decoder.0.conv2.weight"] = torch.zeros(4, 5, 3, 3)
    path = tmp_path / "net.safetensors"
    save_weights(state, path)
    sentence = refused(lambda: load_network(path))
    assert "'decoder.0.conv2.weight' (4, 5, 3, 3) instead of (4, 4, 3, 3)" in sentence


def test_claimed_widths_take_no_memory(tmp_path: Path) -> None:
    # each of these thin tensors claims a network of 60,000 channels: 130 GB a layer
    state = {
        "encoder.0.conv1.weight": torch.zeros(60_000, 1, 1, 1),
        "bottleneck.conv1.weight": torch.zeros(60_000, 1, 1, 1),
        "head.weight": torch.zeros(1, 1, 1, 1),
    }
    path = tmp_path / "wide.safetensors"
    save_weights(state, path)
    assert "lack" in refused(lambda: load_network(path))


def test_the_scan_copes_with_all_that_plain_pickles_hold() -> None:
    content = {"a": "x" * 100_000, "b": {1, 2}, "c": [[[]]], "d": 10**50, "e": None, "f": b"bytes"}
    _check_pickle(io.BytesIO(pickle.dumps(content, protocol=2)))


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_flipped_bytes_never_do_worse_than_a_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("net.safetensors" if kind == "safetensors" else "net.pt")
    state = small(widths=[2], bottleneck=2).state_dict()
    if kind == "safetensors":
        save_weights(state, path)
    else:
        torch.save({"state_dict": state, "epoch": 3}, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    chance = random.Random(0)
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 2, 8))):
            content[chance.randrange(min(len(whole), 2500))] = chance.randrange(256)
        path.write_bytes(content)
        try:
            load_network(path)
        except ModelError as error:
            assert "\n" not in str(error)
            assert "weights_only" not in str(error)
