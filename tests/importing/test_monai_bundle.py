"""MONAI bundles: imported, equal to MONAI, and hostile ones refused."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing import OpenQuestionsError, import_model
from napari_tumorseg.importing.monai_bundle.config import Config
from napari_tumorseg.inference import Settings, segment
from napari_tumorseg.models.monai_networks import SegResNet
from napari_tumorseg.scan import Role
from tests.builders import make_scan

SHARED = {"in_channels": 2, "out_channels": 3}
LEVELS = {"kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2]}

NETWORKS: list[Any] = [
    pytest.param("SegResNet", {"init_filters": 8, "blocks_down": [1, 2], "blocks_up": [1]}, id="segresnet"),
    pytest.param(
        "SegResNet",
        {
            "blocks_down": [1, 1],
            "blocks_up": [1],
            "upsample_mode": "deconv",
            "norm": "instance",
            "dropout_prob": 0.2,
        },
        id="segresnet-deconv",
    ),
    pytest.param("BasicUNet", {"features": [4, 4, 6, 8, 10, 4]}, id="basic-unet"),
    pytest.param("UNet", {"channels": [4, 6, 8], "strides": [2, 2], "num_res_units": 2}, id="unet-residual"),
    pytest.param(
        "UNet", {"channels": [4, 6], "strides": [2], "norm": "batch", "act": "relu"}, id="unet-plain"
    ),
    pytest.param("DynUNet", LEVELS | {"filters": [4, 6, 8], "deep_supervision": True}, id="dynunet"),
    pytest.param("DynUNet", LEVELS | {"filters": [4, 6, 8], "res_block": True}, id="dynunet-residual"),
]


def config(definition: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "imports": ["$import os"],
        "device": "$torch.device('cuda')",
        "roi": [16, 16, 16],
        "network_def": definition,
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
            ],
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": "@roi",
            "overlap": 0.5,
            "mode": "gaussian",
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
                {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
                {"_target_": "SaveImaged", "output_dir": "$@output_dir"},
            ],
        },
        **changes,
    }


def write_bundle(folder: Path, state: Any, given: dict[str, Any], outputs: Any = None) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    named = {"0": "Tumor core", "1": "Whole tumor", "2": "Enhancing tumor"} if outputs is None else outputs
    metadata = {
        "name": "Tiny",
        "version": "0.1.0",
        "network_data_format": {
            "inputs": {"image": {"channel_def": {"0": "T1c", "1": "FLAIR"}}},
            "outputs": {"pred": {"channel_def": named}},
        },
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    (folder / "configs" / "inference.json").write_text(json.dumps(given), encoding="utf-8")
    torch.save(state, folder / "models" / "model.pt")
    return folder


def small() -> dict[str, Any]:
    return {"_target_": "SegResNet", "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1], **SHARED}


def own_state() -> dict[str, Any]:
    torch.manual_seed(1)
    net = SegResNet(width=8, blocks_down=[1, 1], blocks_up=[1], norm="group", **SHARED)
    return dict(net.state_dict())


def scan_of(shape: tuple[int, int, int] = (12, 20, 22)) -> Any:
    random = np.random.default_rng(2)
    images = {role: random.uniform(50, 200, shape).astype(np.float32) for role in ("t1c", "flair")}
    for image in images.values():
        image[:, :3] = image[:, -3:] = 0
    return make_scan(images)


@pytest.mark.parametrize(("name", "options"), NETWORKS)
@pytest.mark.parametrize("sides", [3, 2])
def test_networks_equal_monais(tmp_path: Path, name: str, options: dict[str, Any], sides: int) -> None:
    nets = pytest.importorskip("monai.networks.nets")
    torch.manual_seed(3)
    arguments = {"spatial_dims": sides, **SHARED, **options}
    net = getattr(nets, name)(**arguments)
    definition = {"_target_": name, "_desc_": "a network", **arguments}
    given = config(definition, roi=[16] * sides)
    folder = write_bundle(tmp_path / "bundle", net.state_dict(), given)
    card = import_model(folder, name="tiny", folder=tmp_path / "ours").card
    assert card.origin is not None
    assert card.origin.certificate is not None
    assert card.origin.certificate.framework.startswith("MONAI")
    assert card.origin.certificate.largest_difference < 1e-4


def test_a_bundle_is_imported_and_equals_monais_inference(tmp_path: Path) -> None:
    inferers = pytest.importorskip("monai.inferers")
    transforms = pytest.importorskip("monai.transforms")
    given = config(small())
    model = import_model(
        write_bundle(tmp_path / "b", own_state(), given), name="tiny", folder=tmp_path / "ours"
    )
    assert model.card.input.roles == (Role.T1C, Role.FLAIR)
    assert (model.card.output.names, model.card.output.labels) == (("TC", "WT", "ET"), (1, 2, 3))
    seg = segment(scan_of(), model, Settings(probabilities=True))
    # X, Y, Z, as the files of the scan would lie
    data = np.stack([image.data.transpose(2, 1, 0) for image in scan_of()])
    normal = transforms.NormalizeIntensity(nonzero=True, channel_wise=True)(torch.from_numpy(data))
    inferer = inferers.SlidingWindowInferer(roi_size=[16] * 3, overlap=0.5, mode="gaussian")
    with torch.inference_mode():
        logits = inferer(normal[None], model.load())[0].numpy()
    for place, name in enumerate(model.card.output.names):
        expected = 1 / (1 + np.exp(-logits[place].transpose(2, 1, 0)))
        found = seg.probabilities[name] / 255
        assert np.abs(found - expected[seg.probability_box]).max() < 0.01


def test_a_zip_and_yaml_do_as_well(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    folder = write_bundle(tmp_path / "bundle", own_state(), config(small()))
    plain = json.loads((folder / "configs" / "inference.json").read_text())
    (folder / "configs" / "inference.json").unlink()
    (folder / "configs" / "inference.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    assert import_model(tmp_path / "packed.zip", name="tiny", folder=tmp_path / "ours").card.title == "Tiny"


def test_classes_without_known_names_are_asked_for(tmp_path: Path) -> None:
    folder = write_bundle(
        tmp_path / "b", own_state(), config(small()), outputs={"0": "a", "1": "b", "2": "c"}
    )
    with pytest.raises(OpenQuestionsError):
        import_model(folder, name="tiny", folder=tmp_path / "ours")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


RUN = "$__import__('pathlib').Path('ran').touch()"
LOOP = {"a": "@b", "b": "@a"}

HOSTILE: list[Any] = [
    (config({"_target_": "os.system", "command": "touch ran"}), "the network 'system' is not known"),
    (config(small() | {"_target_": "torch.hub.load"}), "the network 'load' is not known"),
    (config(small() | {"_target_": RUN}), "would have to be evaluated"),
    (config(small() | {"init_filters": RUN}), "would have to be evaluated, which is never done"),
    (config(small() | {"init_filters": "%../other.json::width"}), "refers to another file"),
    (config(small() | {"init_filters": "@nowhere"}), "leads nowhere"),
    (config(small() | {"init_filters": "@a"}, **LOOP), "refers to itself"),
    (config(small() | {"act": ["exec", {}]}), "are not what it takes"),
    (config(small() | {"wrapped_by": "x"}), "SegResNet with wrapped_by 'x' is not known"),
    (config(small() | {"blocks_down": [10**9, 1]}), "cannot be built"),
    (config("@network_def"), "refers to itself"),  # type: ignore[arg-type]
    (config(RUN), "would have to be evaluated"),  # type: ignore[arg-type]
    (config(small(), inferer=RUN), "is no sliding window inference"),
    (config(small(), roi=RUN), "would have to be evaluated"),
    (config(small(), roi=[16, 16]), "do not fit a network of 3 axes"),
    (
        config(small(), preprocessing={"transforms": [{"_target_": "Lambdad", "func": RUN}]}),
        "the preparation 'Lambdad' is not known",
    ),
]


@pytest.mark.parametrize(("given", "says"), HOSTILE)
def test_hostile_configurations_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_bundle(tmp_path / "bundle", own_state(), given)
    with pytest.raises(ModelError, match=says):
        import_model(folder, name="tiny", folder=tmp_path / "ours")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "ours").exists()


def test_pickles_that_run_code_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_bundle(tmp_path / "bundle", {"state_dict": Evil()}, config(small()))
    with pytest.raises(ModelError, match="holds more than weights"):
        import_model(folder, name="tiny", folder=tmp_path / "ours")
    assert not (tmp_path / "ran").exists()


def test_torchscript_alone_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", own_state(), config(small()))
    (folder / "models" / "model.pt").rename(folder / "models" / "model.ts")
    with pytest.raises(ModelError, match="TorchScript alone is a program"):
        import_model(folder, name="tiny", folder=tmp_path / "ours")


def test_yaml_tags_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    folder = write_bundle(tmp_path / "bundle", own_state(), config(small()))
    (folder / "configs" / "inference.json").unlink()
    text = "network_def: !!python/object/apply:os.system ['touch ran']"
    (folder / "configs" / "inference.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="only plain values are read"):
        import_model(folder, name="tiny", folder=tmp_path / "ours")


def test_archives_with_names_that_lead_out_are_no_bundles(tmp_path: Path) -> None:
    path = tmp_path / "slip.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("configs/metadata.json", "{}")
        archive.writestr("configs/inference.json", "{}")
        archive.writestr("../evil.json", "{}")
    with pytest.raises(ModelError):
        import_model(path, name="tiny", folder=tmp_path / "ours")
    assert not (tmp_path.parent / "evil.json").exists()


def test_references_are_followed_within_the_file() -> None:
    given = Config({"a": {"b": [1, {"c": 5}]}, "x": "@a::b::1::c", "y": "@a#b#0", "z": ["@x"]}, "f")
    assert (given.get("x"), given.get("y"), given.get("z"), given.get("none")) == (5, 1, [5], None)


def test_few_references_that_stand_for_millions_of_values() -> None:
    table: dict[str, Any] = {f"a{n}": [f"@a{n + 1}"] * 10 for n in range(20)}
    with pytest.raises(ModelError, match=r"a\.json: its references stand for more than 100000 values"):
        Config({**table, "a20": 1}, "a.json").get("a0")
