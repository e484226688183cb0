"""Networks in int8: calibrated once, kept, close to float32, and without telemetry."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tumorseg.errors import DeviceError, InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference import PostSettings, Settings, int8, precision, segment
from napari_tumorseg.inference.networks import as_float32
from napari_tumorseg.models.store import Model
from napari_tumorseg.models.unet import UNet
from tests.builders import card_of, dice, head, make_scan, save_model, threshold_net

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUMORSEG_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return save_model(tmp_path, threshold_net([0], [2.0]), card_of())


# ---------------------------------------------------------------- without the libraries


def test_missing_libraries_are_named(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(DeviceError, match=r'pip install "\.\[fast\]"'):
        segment(make_scan({"flair": head()}), model, Settings(precision="int8"))


def test_it_runs_on_the_cpu_only(model: Model) -> None:
    with pytest.raises(DeviceError, match="int8 runs on the CPU only, not on cuda"):
        precision.choose("int8", model, model.load(), "cuda", lambda _: [])


def test_an_automatic_device_is_the_cpu() -> None:
    assert Settings(precision="int8").device_wanted == "cpu"
    assert Settings(precision="int8", device="cuda").device_wanted == "cuda"  # and is refused
    assert Settings().device_wanted == "auto"


# ---------------------------------------------------------------- with them


@pytest.fixture
def libraries() -> None:
    for name in ("openvino", "nncf"):
        if not _there(name):
            pytest.skip(f"the extra `fast` is not installed ({name})")


def _there(name: str) -> bool:
    try:
        with int8._quiet():
            __import__(name)
    except ImportError:
        return False
    return True


def net_and_samples() -> tuple[UNet, list[Array]]:
    torch.manual_seed(0)
    net = UNet(2, 2, [8, 16], 16)
    net.init_he()
    rng = np.random.default_rng(0)
    return net.eval(), [rng.normal(size=(2, 32, 32)).astype(np.float32) for _ in range(8)]


@pytest.mark.usefixtures("libraries")
def test_logits_are_close_and_the_ends_stay_in_float32() -> None:
    net, samples = net_and_samples()
    notes: list[str] = []
    reduced = int8.conversion(lambda: samples, notes)(net)
    x = torch.from_numpy(np.stack(samples)[:, :, :16])  # another size than it was calibrated on
    with torch.inference_mode():
        full, found = as_float32(net)(x), reduced(x)
    assert found.shape == full.shape
    assert 0 < (full - found).abs().mean() < 0.05 * full.abs().mean()
    assert notes == ["int8 was calibrated on 8 slices of this scan"]
    assert "openvino_telemetry" not in sys.modules or sys.modules["openvino_telemetry"] is None


@pytest.mark.usefixtures("libraries")
def test_a_network_is_calibrated_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    net, samples = net_and_samples()
    x = torch.from_numpy(samples[0][None])
    first = int8.conversion(lambda: samples, [])(net)(x)
    with monkeypatch.context() as patch:
        patch.setattr(int8, "_quantised", lambda *_: pytest.fail("it is calibrated again"))
        notes: list[str] = []
        again = int8.conversion(lambda: pytest.fail("slices are prepared"), notes)(net)(x)
    torch.testing.assert_close(again, first, rtol=0, atol=0)
    assert "8 slices of an earlier scan" in notes[0]

    (kept,) = (tmp_path / "cache" / "int8").iterdir()
    (kept / "model.xml").write_text("damaged", encoding="utf-8")
    repaired = int8.conversion(lambda: samples, [])(net)(x)
    torch.testing.assert_close(repaired, first, rtol=0, atol=1e-4)

    with torch.no_grad():
        net.head.bias += 1
    other = int8.conversion(lambda: samples, [])(net)(x)
    assert not torch.allclose(other, first, atol=0.5)  # other weights, another network


@pytest.mark.usefixtures("libraries")
def test_a_run_says_what_it_is(model: Model) -> None:
    scan = make_scan({"flair": head((6, 48, 48))})
    settings = [Settings(precision=name, post=PostSettings()) for name in ("float32", "int8")]  # type: ignore[arg-type]
    full, reduced = (segment(scan, model, wanted) for wanted in settings)
    assert dice(full.labels > 0, reduced.labels > 0) > 0.9
    told = reduced.provenance["settings"]
    assert told["precision"] == "int8"
    assert told["precision_reason"].startswith("as asked for; int8 was calibrated on ")
    assert any("masks in int8 differ from those in float32" in w for w in reduced.provenance["warnings"])


@pytest.mark.usefixtures("libraries")
def test_an_empty_scan_cannot_calibrate(model: Model) -> None:
    with pytest.raises(InputError, match="calibrated on slices with tissue"):
        segment(make_scan({"flair": np.zeros((3, 16, 16), np.float32)}), model, Settings(precision="int8"))


class _OpenVino:
    """Stands for the library: a model is text, and damaged text cannot be read."""

    def save_model(self, model: str, path: Path, compress_to_fp16: bool) -> None:
        path.write_text(model, encoding="utf-8")

    def Core(self) -> _OpenVino:  # noqa: N802
        return self

    def read_model(self, path: Path) -> str:
        text = path.read_text(encoding="utf-8")
        if text == "damaged":
            raise RuntimeError
        return text


def test_first_calibration_of_several_processes_stays(tmp_path: Path) -> None:
    folder = tmp_path / "int8" / "key"
    library = _OpenVino()
    assert int8._keep(library, "first", folder, 3)
    assert not int8._keep(library, "second", folder, 3)
    assert int8._kept(library, folder)[0] == "first"  # type: ignore[index]
    (folder / "model.xml").write_text("damaged", encoding="utf-8")
    assert int8._keep(library, "third", folder, 3)
    assert int8._kept(library, folder)[0] == "third"  # type: ignore[index]
    assert [path.name for path in folder.parent.iterdir()] == ["key"]
