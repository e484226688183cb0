"""Import of BioImage.IO packages."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime")

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing import Answers, OpenQuestionsError, Question, import_model
from napari_tumorseg.importing.bioimageio import processing
from napari_tumorseg.importing.bioimageio.description import Step, Tensor
from napari_tumorseg.inference import segment
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.scan import Role
from tests.builders import head, make_scan
from tests.importing.bioimageio_packages import (
    LIMIT,
    SIDE,
    ZSCORE,
    arrays,
    description_04,
    description_05,
    sha256,
    write,
    zipped,
)

AXIAL = Answers(plane="axial")
FLAIR = Answers(plane="axial", roles=(Role.FLAIR,))


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))


def above_limit(data: Any) -> Any:
    """Return where the z-scores of each slice exceed the limit."""
    mean, std = (f(data, axis=(1, 2), keepdims=True) for f in (np.mean, np.std))
    return (data - mean) / np.where(std > 0, std, 1) > LIMIT


def test_the_newer_format_states_all_but_the_plane(tmp_path: Path) -> None:
    path = write(tmp_path / "pkg", description_05())
    with pytest.raises(OpenQuestionsError) as asked:
        import_model(path)
    assert asked.value.questions == (Question.PLANE,)
    made = import_model(path, answers=AXIAL)
    card = made.card
    assert card.input.roles == (Role.FLAIR,) and card.input.size.spacing == 1
    assert (card.input.normalisation.method, card.input.normalisation.scope) == ("zscore", "slice")
    assert (card.title, card.about.licence, card.about.citation) == (
        "Tiny network",
        "CC-BY-4.0",
        "A paper; 10.1000/182",
    )
    assert card.origin is not None and card.origin.format == "BioImage.IO 0.5.4"
    assert card.origin.certificate is not None
    assert card.origin.certificate.largest_difference < 1e-6
    assert card.origin.certificate.framework == "the example of the package (BioImage.IO 0.5.4)"
    data = head()
    np.testing.assert_array_equal(segment(make_scan({"flair": data}), made).labels > 0, above_limit(data))


def test_the_older_format_as_an_archive_with_a_fixed_size(tmp_path: Path) -> None:
    made = import_model(zipped(write(tmp_path / "pkg", description_04())), answers=FLAIR)
    assert made.card.input.size.canvas == (SIDE, SIDE) and made.card.about.licence == "MIT"
    assert made.card.origin is not None and made.card.origin.certificate is not None
    assert sorted(path.name for path in tmp_path.rglob("*.onnx")) == ["net.onnx", "pkg.onnx"]  # not unpacked


def test_the_description_itself_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "pkg", description_04())
    assert import_model(path / "rdf.yaml", answers=FLAIR, name="tiny").name == "tiny"


def test_a_state_dict_in_a_known_layout(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = UNet(1, 1, [4, 8], 8).eval()
    path = write(tmp_path / "pkg", description_05(), network=False)
    torch.save(net.state_dict(), path / "net.pt")
    image, _ = arrays()
    with torch.inference_mode():
        result = net(torch.from_numpy((image - image.mean()) / (image.std() + 1e-6))).sigmoid()
    np.save(path / "out.npy", result.numpy())
    (path / "unet.py").write_text("raise SystemExit('run')")
    architecture = {"source": "unet.py", "callable": "UNet", "kwargs": {}}
    entry = {"source": "net.pt", "architecture": architecture, "sha256": sha256(path / "net.pt")}
    write(path, description_05(weights={"pytorch_state_dict": entry}), network=False)
    np.save(path / "out.npy", result.numpy())
    made = import_model(path, answers=AXIAL)
    assert made.weights.suffix == ".safetensors" and made.card.network.architecture == "unet"
    assert made.card.origin is not None and made.card.origin.certificate is not None
    assert made.card.origin.certificate.largest_difference < 1e-5


def test_onnx_stands_in_for_a_state_dict_of_an_unknown_network(tmp_path: Path) -> None:
    weights = {
        **description_05()["weights"],
        "pytorch_state_dict": {"source": "net.pt", "architecture": {"callable": "Other"}},
    }
    path = write(tmp_path / "pkg", description_05(weights=weights))
    torch.save({"odd.name": torch.zeros(3)}, path / "net.pt")
    notes: list[str] = []
    made = import_model(path, answers=AXIAL, report=notes.append)
    assert made.weights.suffix == ".onnx" and "the ONNX file is taken" in notes[0]


def test_an_example_that_is_not_met(tmp_path: Path) -> None:
    path = write(tmp_path / "pkg", description_05())
    np.save(path / "out.npy", 1 - arrays()[1])
    with pytest.raises(ModelError, match=r"^pkg: the imported network differs from the original"):
        import_model(path, answers=AXIAL)
    assert not (tmp_path / "models").exists()


def changed(**fields: Any) -> dict[str, Any]:
    """Return a description whose input has other entries."""
    description = copy.deepcopy(description_05())
    description["inputs"][0].update(fields)
    return description


THREE = [{"type": "batch"}, {"type": "channel"}, *({"type": "space", "id": axis} for axis in "zyx")]


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (description_05(format_version="0.3.2"), "has format '0.3.2'; known are 0.4 and 0.5"),
        (description_05(type="dataset"), "describes 'dataset', not a model"),
        (description_05(inputs=[{}, {}]), "takes 2 images and gives 1"),
        (description_05(weights={"torchscript": {"source": "x.pt"}}), r"only torchscript \(a program"),
        (description_05(weights={"onnx": {"source": "net.onnx", "sha256": "0" * 64}}), "its sha256 differs"),
        (description_05(weights={"onnx": {"source": "https://x.org/net.onnx"}}), "nothing is downloaded"),
        (description_05(weights={"onnx": {"source": "../net.onnx"}}), "leads out of the package"),
        (description_05(weights={"onnx": {"source": "none.onnx"}}), "there is no file 'none.onnx' in it"),
        (changed(axes=THREE), "with the axes 'bczyx'; slices have b, c, y and x"),
        (changed(preprocessing=[{"id": "custom"}]), "by 'custom', which a card cannot state"),
        (changed(preprocessing=[ZSCORE, ZSCORE]), "after another normalisation"),
        ("- a list", "states no table 'the description'"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_what_is_refused(tmp_path: Path, description: Any, words: str) -> None:
    path = write(tmp_path / "pkg", description)
    with pytest.raises(ModelError, match=rf"^pkg: .*{words}"):
        import_model(path, answers=AXIAL)


def test_a_preparation_of_the_user_replaces_one_that_a_card_cannot_state(tmp_path: Path) -> None:
    path = write(tmp_path / "pkg", changed(preprocessing=[{"id": "custom"}]))
    notes: list[str] = []
    answers = Answers(plane="axial", normalisation="zscore-slice")
    made = import_model(path, answers=answers, report=notes.append)
    assert notes == ["it prepares images by 'custom', which a card cannot state; yours is taken"]
    assert made.card.origin is not None and made.card.origin.certificate is None


PER_SAMPLE = {"mode": "per_sample", "axes": "yx"}
CLIP = Step("clip", {"min": 0.0, "max": 1.0})
PERCENTILES = Step("scale_range", {**PER_SAMPLE, "min_percentile": 1, "max_percentile": 99.8})


@pytest.mark.parametrize(
    ("steps", "table"),
    [
        ((), {"method": "none"}),
        (
            (Step("zero_mean_unit_variance", {"mode": "per_dataset", "axes": "yx"}),),
            {"method": "zscore", "statistics": "all", "scope": "volume"},
        ),
        (
            (Step("scale_range", PER_SAMPLE),),
            {"method": "minmax", "statistics": "all", "scope": "slice"},
        ),
        (
            (PERCENTILES, CLIP),
            {"method": "minmax", "statistics": "all", "scope": "slice", "percentiles": [1.0, 99.8]},
        ),
        ((Step("scale_linear", {"gain": 0.25, "offset": 0}),), {"method": "divide", "divisor": 4.0}),
        (
            (Step("zero_mean_unit_variance", {"mean": 0, "std": 3, "mode": "fixed"}),),
            {"method": "divide", "divisor": 3.0},
        ),
        (
            (Step("zero_mean_unit_variance", PER_SAMPLE), Step("clip", {"min": -5, "max": 5})),
            {"method": "zscore", "statistics": "all", "scope": "slice", "clip": [-5.0, 5.0]},
        ),
    ],
)
def test_steps_become_fields_of_a_card(steps: tuple[Step, ...], table: dict[str, Any]) -> None:
    assert processing.normalisation_of(Tensor("bcyx", {}, steps=steps)) == table


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (PERCENTILES, "beyond which values are not clipped"),
        (
            Step("zero_mean_unit_variance", {"mode": "per_sample", "axes": "cyx"}),
            "over all channels",
        ),
        (Step("zero_mean_unit_variance", {"mode": "per_sample", "axes": "x"}), "along one axis"),
        (Step("zero_mean_unit_variance", {"mode": "fixed", "mean": 2, "std": 1}), "with a mean other than 0"),
        (Step("scale_linear", {"gain": [1, 2]}), "a gain for each channel"),
        (Step("clip", {"min": 0, "max": 1}), "before another normalisation"),
    ],
)
def test_steps_without_a_counterpart_are_named(step: Step, words: str) -> None:
    with pytest.raises(ModelError, match=f"prepares images by {step.name!r} .*{words}"):
        processing.normalisation_of(Tensor("bcyx", {"c": 3}, steps=(step,)))


@pytest.mark.slow  # the library takes ten seconds to import
@pytest.mark.parametrize(
    "step",
    [
        Step("zero_mean_unit_variance", {"axes": ["y", "x"]}),
        Step("zero_mean_unit_variance", {"axes": ["channel", "y", "x"]}),
        Step("scale_range", {"axes": ["y", "x"], "min_percentile": 5.0, "max_percentile": 98.0}),
        Step("scale_linear", {"gain": 0.5}),
        Step("clip", {"min": 0.0, "max": 1.0}),
    ],
)
def test_steps_compute_what_the_library_of_the_format_does(step: Step) -> None:
    core = pytest.importorskip("bioimageio.core")
    from bioimageio.core import proc_ops
    from bioimageio.core.sample import Sample
    from bioimageio.core.stat_calculators import compute_measures
    from bioimageio.spec.model import v0_5

    name = "".join(word.capitalize() for word in step.name.split("_"))
    described = getattr(v0_5, f"{name}Descr")(kwargs=dict(step.options))
    operator = getattr(proc_ops, name).from_proc_descr(described, "raw")
    values = np.random.default_rng(1).normal(0.5, 1, (1, 2, 8, 9)).astype(np.float32)
    tensor = core.Tensor(values, dims=("batch", "channel", "y", "x"))
    sample = Sample(members={"raw": tensor}, stat={}, id=None)
    sample.stat.update(compute_measures(operator.required_measures, [sample]))
    operator(sample)
    expected = sample.members["raw"].data.to_numpy()
    np.testing.assert_allclose(processing.apply([step], values, "bcyx"), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "steps",
    [
        [{"id": "zero_mean_unit_variance", "kwargs": {"axes": 5}}],
        [{"id": "clip", "kwargs": {"min_percentile": "a", "max_percentile": 99}}],
        [{"id": "clip", "kwargs": {"min_percentile": [1], "max_percentile": {}}}],
        [{"id": "scale_range", "kwargs": {"axes": ["y", "x"], "eps": [1, 2]}}],
    ],
)
def test_values_of_a_wrong_type_are_told_in_a_sentence(steps: list[Any], tmp_path: Path) -> None:
    given = description_05()
    given["inputs"][0]["preprocessing"] = steps
    with pytest.raises(ModelError, match=r"^net: .*") as told:
        import_model(write(tmp_path / "net", given), answers=Answers(like="egwaoje2026"))
    assert "\n" not in str(told.value)


def test_texts_of_a_package_cannot_steer_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    given = description_05(name="\x1b[31mred\x07", license="MIT\x1b]0;title")
    made = import_model(write(tmp_path / "net", given), answers=Answers(like="egwaoje2026"))
    assert made.card.title == " [31mred "
    assert made.card.about.licence == "MIT ]0;title"
