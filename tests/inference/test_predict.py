"""The network slice by slice: devices, batches, memory; and the engine against plain torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import torch.nn.functional as F  # noqa: N812
from scipy import special
from torch import Tensor, nn

from napari_tumorseg.errors import DeviceError, ModelError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference import PostSettings, Settings, available_devices, predict, segment
from napari_tumorseg.inference.predict import Runner, choose_device, slices, stopwatch
from napari_tumorseg.inference.prepare import Prepared, prepare
from napari_tumorseg.models import get_model
from napari_tumorseg.models.ensemble import members_of
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.scan import Scan
from tests.builders import DATA, card_of, dice, head, make_scan, threshold_net

WIDE = 10_000


def random_net(inputs: int = 2, outputs: int = 3) -> UNet:
    torch.manual_seed(4)
    net = UNet(inputs, outputs, [4, 8], 16)
    net.init_he()
    return net.eval()


def two_channels() -> Scan:
    data = head((5, 60, 72))
    return make_scan({"flair": data, "t1c": data[:, ::-1] * 2})


def ready(net: UNet, **size: Any) -> Prepared:
    wanted = {"roles": ["flair", "t1c"], "normalisation": {"method": "zscore"}, "size": size}
    card = card_of(
        input=wanted, output={"names": ["WT", "TC", "ET"], "labels": [2, 1, 3], "scheme": "brats-2023"}
    )
    return prepare(two_channels(), card, net.stride, margin=WIDE)


# ---------------------------------------------------------------- against others


def test_equals_monais_sliding_inference() -> None:
    inferers = pytest.importorskip("monai.inferers")
    net = random_net()
    prepared = ready(net, canvas=[64, 80])
    volume = np.stack([prepared.network_input(i) for i in range(5)], axis=1)[None]
    inferer = inferers.SliceInferer(roi_size=(64, 80), spatial_dim=0, sw_batch_size=2)
    with torch.inference_mode():
        expected = inferer(inputs=torch.from_numpy(volume), network=net)[0].numpy()
    mine = list(Runner(net, "cpu").logits([prepared.network_input(i) for i in range(5)]))
    np.testing.assert_allclose(np.stack(mine, axis=1), expected, atol=1e-4)


def normalised_brats(data: Array) -> Array:
    """Return a channel as the card of brats-regions words it."""
    background = np.median(data[np.ix_(*[(0, n - 1) for n in data.shape])])
    inside = np.abs(data - background) > 1e-3
    low, high = np.percentile(data[inside], [0.5, 99.5])
    clipped = np.clip(data, low, high)
    out = np.clip((clipped - clipped[inside].mean()) / clipped[inside].std(), -4, 5)
    return np.where(inside, out, 0).astype(np.float32)


def normalised_lgg(data: Array) -> Array:
    data = data.astype(np.float32)
    inside = data > 0.1 * data.max()
    return np.clip((data - data[inside].mean()) / data[inside].std(), -3, 5).astype(np.float32)


def full_slice(net: UNet, image: Array, pad: int) -> Array:
    """Return the logits of a whole slice (C, H, W): mean, pad, network on it and its mirror image, back."""
    with torch.inference_mode():
        x = F.pad(F.avg_pool2d(torch.from_numpy(image)[None], 2), (pad,) * 4)
        out = (net(x) + net(x.flip(-1)).flip(-1)) / 2
        out = out[..., pad : out.shape[-2] - pad, pad : out.shape[-1] - pad]
        return F.interpolate(out, scale_factor=2, mode="bilinear", align_corners=False)[0].numpy()


def brats_labels(logits: Array, flair: Array) -> Array:
    whole, core, enhancing = logits > 0
    core = core | enhancing  # the regions are nested
    labels = np.where(whole | core, 2, 0)
    labels[core] = 1
    labels[enhancing] = 3
    labels[np.abs(flair - flair[0, 0]) <= 1e-3] = 0
    return labels


@pytest.fixture(scope="module")
def brats() -> Scan:
    import nibabel as nib

    folder = DATA / "brats" / "brats_2013_pat0004_1"
    if not folder.is_dir():
        pytest.skip("the real scans are not here")
    files = {"flair": "Flair_subtrMeanDivStd", "t1c": "T1c_subtrMeanDivStd"}
    return make_scan(
        {
            role: np.asarray(nib.load(folder / f"{name}.nii.gz").dataobj).transpose(2, 1, 0)
            for role, name in files.items()
        }
    )


@pytest.fixture(scope="module")
def lgg() -> Scan:
    path = DATA / "lgg" / "TCGA_CS_4942_19970222.tif"
    if not path.is_file():
        pytest.skip("the real scans are not here")
    stack = tifffile.imread(path)
    return make_scan(dict(zip(("t1", "flair", "t1c"), stack.swapaxes(0, 1), strict=True)), None)


def test_brats_regions_equals_full_slices(brats: Scan) -> None:
    model = get_model("brats-regions")
    net = model.load()
    channels = np.stack([normalised_brats(image.data) for image in brats], axis=1)
    flair = brats.images[0].data
    run = range(70, 88)
    chances = [
        special.expit([full_slice(member, channels[i], 4) for i in run], dtype=np.float64)
        for member in members_of(net)
    ]
    reference = dict(zip(run, special.logit(np.mean(chances, axis=0)), strict=True))

    whole = prepare(brats, model.card, net.stride, margin=WIDE)
    assert whole.window(70) == (128, 128)
    runner = Runner(net, "cpu", flip=True)
    inner = np.s_[:, 1:-1, 1:-1]  # the reference repeats the outermost pixels where the engine goes on
    for result in slices(whole, runner, [70, 78, 86]):
        np.testing.assert_allclose(result.logits[inner], reference[result.index][inner], atol=2e-3)

    found = segment(brats, model, Settings(slices=run, post=PostSettings())).labels
    expected = np.stack([brats_labels(reference[i], flair[i]) for i in run])
    mine = found[run.start : run.stop]
    for labels in ((1, 2, 3), (1, 3), (3,)):
        assert dice(np.isin(mine, labels), np.isin(expected, labels)) >= 0.999
    assert not found[: run.start].any()
    assert not found[run.stop :].any()


@pytest.mark.slow
def test_lgg_flair_equals_full_slices(lgg: Scan) -> None:
    model = get_model("lgg-flair")
    net = model.load()
    channels = np.stack([normalised_lgg(image.data) for image in lgg], axis=1)
    each = [[full_slice(member, image, 0)[0] for image in channels] for member in members_of(net)]
    chance = special.expit(np.array(each, dtype=np.float64)).mean(axis=0)
    reference = special.logit(chance)

    whole = prepare(lgg, model.card, net.stride, margin=WIDE)
    for result in slices(whole, Runner(net, "cpu", flip=True), [8, 10]):
        np.testing.assert_allclose(result.logits[0], reference[result.index], atol=2e-3)

    found = segment(lgg, model, Settings(post=PostSettings())).labels
    assert found.any()
    assert dice(found, chance > model.card.output.threshold) >= 0.999


def test_flipping_averages_logits() -> None:
    net = random_net()
    prepared = ready(net)
    inputs = [prepared.network_input(2)]
    mirrored = [np.ascontiguousarray(inputs[0][..., ::-1])]
    (both,) = Runner(net, "cpu", flip=True).logits(inputs)
    (plain,) = Runner(net, "cpu").logits(inputs)
    (other,) = Runner(net, "cpu").logits(mirrored)
    np.testing.assert_allclose(both, (plain + other[..., ::-1]) / 2, atol=1e-5)
    assert not np.allclose(both, plain, atol=1e-3)


def test_the_batch_changes_nothing() -> None:
    net = random_net()
    prepared = ready(net)
    one = list(slices(prepared, Runner(net, "cpu", batch=1), prepared.todo))
    four = list(slices(prepared, Runner(net, "cpu", batch=4), prepared.todo))
    assert [r.index for r in one] == [r.index for r in four] == list(prepared.todo)
    for a, b in zip(one, four, strict=True):
        np.testing.assert_allclose(a.logits, b.logits, atol=1e-4)


# ---------------------------------------------------------------- memory


class Hungry(nn.Module):
    """Stands for a network on a device: memory runs out above `most` slices, or always off the CPU."""

    dimensions, strides = 2, (1, 1)

    def __init__(
        self, most: int, device_works: bool = True, error: type[BaseException] | None = None
    ) -> None:
        super().__init__()
        self.most = most
        self.device_works = device_works
        self.error = error or torch.OutOfMemoryError
        self.on = "cpu"
        self.batches: list[tuple[str, int]] = []

    def folded(self) -> Hungry:
        return self

    def to(self, *args: Any, **kwargs: Any) -> Hungry:
        self.on = str(args[0]) if args else self.on
        return self

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append((self.on, len(x)))
        if len(x) > self.most or (self.on != "cpu" and not self.device_works):
            raise self.error("CUDA out of memory. Tried to allocate 2.00 GiB")
        return x[:, :1] * 2


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tensors that go to "cuda" stay where they are."""
    real = Tensor.to

    def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return real(self, *("cpu" if a == "cuda" else a for a in args), **kwargs)

    monkeypatch.setattr(Tensor, "to", to)


def runner_of(net: Hungry, device: str, batch: int | None = None) -> Runner:
    return Runner(net, device, batch=batch)  # type: ignore[arg-type]


def some(count: int) -> list[Array]:
    return [np.full((1, 4, 4), i, dtype=np.float32) for i in range(count)]


def values(results: Iterator[Array]) -> list[float]:
    return [float(r[0, 0, 0]) for r in results]


def test_the_batch_halves_until_it_fits(fake_cuda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Hungry(most=2)
    runner = runner_of(net, "cuda", batch=8)
    assert values(runner.logits(some(5))) == [0, 2, 4, 6, 8]
    assert [n for _, n in net.batches] == [5, 4, 2, 2, 1]
    assert runner.device == "cuda"
    assert runner.notes == [
        "memory ran out on cuda; going on with 4 slices at a time",
        "memory ran out on cuda; going on with 2 slices at a time",
    ]


def test_the_cpu_takes_over(fake_cuda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Hungry(most=99, device_works=False)
    runner = runner_of(net, "cuda", batch=4)
    assert values(runner.logits(some(3))) == [0, 2, 4]
    assert runner.device == "cpu"
    assert net.batches == [("cuda", 3), ("cuda", 2), ("cuda", 1), *[("cpu", 1)] * 3]
    assert runner.notes[-1] == "memory ran out on cuda; going on with the CPU"


def test_weights_that_do_not_fit_the_device(fake_cuda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Large(Hungry):
        def to(self, *args: Any, **kwargs: Any) -> Hungry:
            if "cuda" in args:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().to(*args, **kwargs)

    runner = runner_of(Large(most=99), "cuda")
    assert runner.device == "cpu"
    assert runner.notes == ["memory ran out on cuda; going on with the CPU"]
    assert values(runner.logits(some(2))) == [0, 2]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_no_memory_on_the_cpu_is_told(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    runner = runner_of(Hungry(most=0, error=error), "cpu")
    with pytest.raises(DeviceError, match="memory ran out on the CPU with a single slice"):
        list(runner.logits(some(2)))


@pytest.mark.parametrize(
    "text",
    [
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory",
        "MPS backend out of memory (MPS allocated: 5 GB)",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes",
    ],
)
def test_what_other_back_ends_say_of_memory(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Saying(Hungry):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) > 1:
                raise RuntimeError(text)
            return x

    runner = runner_of(Saying(most=1), "cpu", batch=2)
    assert len(list(runner.logits(some(2)))) == 2
    assert len(runner.notes) == 1


def test_other_errors_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Hungry):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        list(runner_of(Broken(most=1), "cpu", batch=4).logits(some(2)))


# ---------------------------------------------------------------- devices


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available_devices()[-1] == "cpu"
    monkeypatch.setattr(predict, "available_devices", lambda: ["cuda", "cpu"])
    assert choose_device("auto") == "cuda"
    assert choose_device("cuda:1") == "cuda:1"
    assert choose_device("cpu") == "cpu"
    with pytest.raises(DeviceError, match="'mps' is not available here; there is cuda, cpu"):
        choose_device("mps")


def test_no_numbers_are_no_empty_mask() -> None:
    """A network that gives NaN must not look as if it had found nothing."""
    net = threshold_net([0], [float("nan")])
    prepared = prepare(make_scan({"flair": head()}), card_of(), net.stride)
    with pytest.raises(ModelError, match="no numbers on slice"):
        list(slices(prepared, Runner(net, "cpu"), prepared.todo))


def test_the_time_left() -> None:
    ticks = iter([10.0, 12.0, 16.0])
    left = stopwatch(clock=lambda: next(ticks))
    assert left(0, 4) is None
    assert left(1, 4) == pytest.approx(6)
    assert left(3, 4) == pytest.approx(2)
