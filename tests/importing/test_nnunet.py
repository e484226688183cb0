"""Folders of nnU-Net v2: imported, equal to nnU-Net's own predictor, and hostile ones refused.

The comparisons skip where `nnunetv2` is not installed; it would replace torch, so no extra has it.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_tumorseg.errors import ModelError
from napari_tumorseg.geometry import Array
from napari_tumorseg.importing import OpenQuestionsError, import_model
from napari_tumorseg.inference import segment
from napari_tumorseg.scan import Role, Scan
from tests.builders import make_scan
from tests.importing.nnunet_folders import (
    BRATS,
    CLASSES,
    architecture,
    dataset,
    older,
    plans,
    predicted,
    write_folder,
)

SHAPE = (14, 30, 34)


def scan_of(spacing: tuple[float, float, float]) -> Scan:
    """Return a scan of smooth noise in a ball, 0 outside."""
    from scipy import ndimage

    random = np.random.default_rng(7)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    ball = sum(axis**2 for axis in axes) < 0.8
    images = [ndimage.gaussian_filter(random.normal(0, 1, SHAPE), 1.5) for _ in range(2)]
    flair, t1c = (np.where(ball, 300 + 400 * image, 0).astype(np.float32) for image in images)
    return make_scan({"flair": flair, "t1c": t1c}, spacing)


def agreement(one: Array, other: Array) -> list[tuple[float, int]]:
    """Return the Dice of each label in either mask, and the number of voxels that differ."""
    found = []
    for label in sorted({*np.unique(one), *np.unique(other)} - {0}):
        a, b = one == label, other == label
        dice = 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))
        found.append((dice, np.count_nonzero(a ^ b)))
    return found


SEGMENTED: list[Any] = [
    pytest.param({}, BRATS, (1.0, 1.0, 1.0), {}, id="regions"),
    pytest.param(
        {"spacing": (1.5, 0.8, 0.8), "masked": False}, CLASSES, (2.0, 1.0, 1.0), {"folds": (0, 1)}, id="folds"
    ),
    pytest.param(
        {"spacing": (5.0, 1.0, 1.0), "network": {"architecture": architecture(3, residual=True)}},
        CLASSES,
        (4.0, 1.2, 1.1),
        {"mirror": (0, 1, 2)},
        id="residual-mirrored-anisotropic",
    ),
    pytest.param(
        {"dimensions": 2, "patch": (16, 16), "spacing": (1.0, 1.2, 1.1)},
        CLASSES,
        (2.0, 1.0, 1.0),
        {"mirror": (0, 1)},
        id="2d-mirrored",
    ),
    pytest.param(
        {"transpose": (2, 0, 1), "patch": (16, 8, 40), "network": older(3)},
        BRATS,
        (1.0, 1.0, 1.0),
        {},
        id="turned",
    ),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # libraries of nnU-Net warn about themselves
@pytest.mark.parametrize(("given", "labels", "spacing", "options"), SEGMENTED)
def test_masks_agree_with_nnunets_own(
    tmp_path: Path, given: dict[str, Any], labels: Any, spacing: tuple[float, float, float], options: Any
) -> None:
    folder = write_folder(tmp_path / "model", plans(**given), labels, **options)
    model = import_model(folder, name="tiny", folder=tmp_path / "ours")
    scan = scan_of(spacing)
    ours = segment(scan, model)
    data = np.stack([image.data for image in scan])
    theirs = predicted(folder, data, spacing, options.get("folds", (0,)))
    renumbered = np.select([theirs == 1, theirs == 2, theirs == 3], [2, 1, 3], 0)  # nnU-Net: oedema is 1
    assert len(np.unique(theirs)) >= 3
    for dice, voxels in agreement(ours.labels, renumbered):
        assert dice >= 0.999 or voxels <= 1
    assert ours.provenance["settings"]["windows"]["copies"] == 2 ** len(options.get("mirror", ()))


@pytest.mark.filterwarnings("ignore")
def test_an_imported_model_has_a_card_and_a_certificate(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model", plans(), BRATS, mirror=(0, 1, 2))
    card = import_model(folder, name="tiny", folder=tmp_path / "ours").card
    assert card.input.roles == (Role.FLAIR, Role.T1C)
    assert (card.output.names, card.output.labels) == (("WT", "TC", "ET"), (2, 1, 3))
    assert card.input.windows is not None
    assert card.input.windows.mirror == (0, 1, 2)
    assert card.input.skull == "stripped"
    assert card.origin is not None
    assert card.origin.certificate is not None
    assert card.origin.certificate.largest_difference < 1e-4
    assert card.origin.certificate.framework.startswith("dynamic_network_architectures")


# ---------------------------------------------------------------- without nnU-Net


def bare_folder(folder: Path, content: Any = None, **changes: Any) -> Path:
    """Write a folder without nnU-Net: our own network has its names."""
    from napari_tumorseg.importing.nnunet.plans import network_of as table_of
    from napari_tumorseg.models.architectures import make_network

    given = plans() | changes.pop("plans", {})
    given["configurations"]["3d_fullres"].update(changes.pop("configuration", {}))
    folder.mkdir()
    (folder / "fold_0").mkdir()
    (folder / "plans.json").write_text(json.dumps(given), encoding="utf-8")
    told = dataset(BRATS) | changes.pop("dataset", {})
    (folder / "dataset.json").write_text(json.dumps(told), encoding="utf-8")
    table = table_of(plans()["configurations"]["3d_fullres"], 2, 3)
    state = make_network(table["architecture"], table["arguments"]).state_dict()
    checkpoint = {
        "network_weights": state,
        "init_args": {"configuration": "3d_fullres"},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1),
        "_best_ema": np.float64(0.5),
        **changes,
    }
    torch.save(checkpoint if content is None else content, folder / "fold_0" / "checkpoint_final.pth")
    return folder


def test_a_folder_is_imported_and_run_without_nnunet(tmp_path: Path) -> None:
    folder = bare_folder(tmp_path / "model")
    said: list[str] = []
    model = import_model(folder, name="tiny", folder=tmp_path / "ours", report=said.append)
    assert any("LPS" in sentence for sentence in said)
    assert segment(scan_of((1.0, 1.0, 1.0)), model).labels.shape == SHAPE


def test_the_folder_above_is_recognised(tmp_path: Path) -> None:
    bare_folder(tmp_path / "model")
    assert import_model(tmp_path, name="tiny", folder=tmp_path / "ours").card.name == "tiny"


def test_unknown_labels_and_channels_are_asked_for(tmp_path: Path) -> None:
    told = {"labels": {"background": 0, "a": 1, "b": 2}, "channel_names": {"0": "first", "1": "second"}}
    folder = bare_folder(tmp_path / "model", dataset=told)
    with pytest.raises(OpenQuestionsError) as found:
        import_model(folder, name="tiny", folder=tmp_path / "ours")
    assert {"roles", "outputs"} <= {str(question) for question in found.value.questions}


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


HOSTILE: list[Any] = [
    (
        {"configuration": {"architecture": {"network_class_name": "os.system"}}},
        "network 'system' is not known",
    ),
    (
        {"configuration": {"architecture": architecture(3) | {"network_class_name": "subprocess.Popen"}}},
        "network 'Popen' is not known",
    ),
    ({"configuration": {"preprocessor_name": "EvilPreprocessor"}}, "preprocessor 'EvilPreprocessor'"),
    ({"configuration": {"resampling_fn_data": "os.system"}}, "its resampling is not known"),
    ({"configuration": {"normalization_schemes": ["CTNormalization"] * 2}}, "'CTNormalization' is not known"),
    (
        {"configuration": {"normalization_schemes": ["NoNormalization", "ZScoreNormalization"]}},
        "normalised in different ways",
    ),
    ({"configuration": {"inherits_from": "3d_fullres"}}, "inherits from itself"),
    ({"configuration": {"previous_stage": "3d_lowres"}}, "second stage of a cascade"),
    ({"configuration": {"patch_size": [8, 10**9, 8]}}, "patch"),
    ({"configuration": {"spacing": [1, "x", 1]}}, "spacing"),
    ({"configuration": {"patch_size": "eval('1')"}}, 'patch_size is "eval'),
    ({"plans": {"transpose_forward": [0, 0, 1]}}, "transpose_forward"),
    ({"dataset": {"labels": {"background": 0, "a": "__import__('os')"}}}, "labels are no numbers"),
    ({"dataset": {"labels": {"background": 0, "a": 7}}}, "not numbered from 0"),
    ({"dataset": {"channel_names": {"1": "FLAIR"}}}, "not numbered from 0"),
    ({"inference_allowed_mirroring_axes": (7,)}, "no axes of an image"),
    ({"init_args": {"configuration": "other"}}, "no configuration 'other'"),
    ({"init_args": None}, "does not say which configuration"),
    ({"content": {"state": {}}}, "holds no 'network_weights'"),
    ({"logging": Evil()}, "holds more than weights"),
    ({"network_weights": {"a": torch.zeros(1).expand(10**9)}}, "claims more memory"),
    ({"network_weights": {"a": torch.zeros(1)}}, "do not fit the network"),
]


@pytest.mark.parametrize(("changes", "says"), HOSTILE)
def test_hostile_folders_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = bare_folder(tmp_path / "model", **changes)
    with pytest.raises(ModelError, match=says):
        import_model(folder, name="tiny", folder=tmp_path / "ours")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "ours").exists()


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = bare_folder(tmp_path / "model")
    (tmp_path / "secret.json").write_text("{}", encoding="utf-8")
    (folder / "dataset.json").unlink()
    (folder / "dataset.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(ModelError, match=r"dataset\.json is a link to a file outside"):
        import_model(folder, name="tiny", folder=tmp_path / "ours")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000])
def test_plans_that_are_no_table_are_refused(tmp_path: Path, content: bytes) -> None:
    folder = bare_folder(tmp_path / "model")
    (folder / "plans.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"plans\.json (cannot be read as JSON|holds no table)"):
        import_model(folder, name="tiny", folder=tmp_path / "ours")


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    folder = bare_folder(tmp_path / "model")
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(pickle.dumps({"network_weights": Evil()}))
    with pytest.raises(ModelError):
        import_model(folder, name="tiny", folder=tmp_path / "ours")
