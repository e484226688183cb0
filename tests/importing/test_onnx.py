"""Import of ONNX files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.onnx_files import helper, model_of, save, threshold_model

pytest.importorskip("onnxruntime")

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing import Answers, OpenQuestionsError, Question, import_model
from napari_tumorseg.inference import segment
from napari_tumorseg.models.onnx.export import export_onnx
from napari_tumorseg.scan import Role
from tests.builders import card_of, head, make_scan, save_model, threshold_net

FLAIR = Answers(roles=(Role.FLAIR,), plane="axial", normalisation="none")


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))


def pools(limit: float) -> Any:
    """Return a model of one level: what is not a multiple of 2 comes out smaller."""
    nodes = [
        helper.make_node("MaxPool", ["x"], ["low"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["low", "", "scales"], ["up"], mode="nearest"),
        helper.make_node("Sub", ["up", "limit"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["y"]),
    ]
    return model_of(nodes, {"scales": np.float32([1, 1, 2, 2]), "limit": np.float32(limit)})


def test_a_file_without_a_card_leaves_questions(tmp_path: Path) -> None:
    path = save(threshold_model(300.0), tmp_path / "net.onnx")
    with pytest.raises(OpenQuestionsError) as asked:
        import_model(path)
    assert asked.value.questions == (Question.ROLES, Question.PLANE, Question.NORMALISATION)


def test_it_is_kept_as_it_is_and_runs(tmp_path: Path) -> None:
    path = save(threshold_model(300.0), tmp_path / "net.onnx")
    made = import_model(path, answers=FLAIR)
    assert made.weights.read_bytes() == path.read_bytes() and made.weights.name == "net.onnx"
    origin = made.card.origin
    assert origin is not None and origin.certificate is not None
    assert origin.kind == "onnx" and "operators of version 17" in origin.format
    assert origin.certificate.largest_difference == 0 and "ONNX Runtime" in origin.certificate.framework
    np.testing.assert_array_equal(segment(make_scan({"flair": head()}), made).labels > 0, head() > 300)


def test_activation_and_multiple_are_found(tmp_path: Path) -> None:
    made = import_model(save(pools(0.0), tmp_path / "net.onnx"), answers=FLAIR)
    arguments = made.card.network.arguments
    assert (arguments["activation"], arguments["multiple"]) == ("sigmoid", 2)
    assert made.card.output.activation == "sigmoid"


def test_probabilities_that_an_operator_follows_are_not_taken_for_logits(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Sub", ["x", "limit"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["chance"]),
        helper.make_node("Mul", ["chance", "half"], ["y"]),
    ]
    model = model_of(nodes, {"limit": np.float32(0), "half": np.float32(0.5)})
    answers = replace(FLAIR, activation="sigmoid", outputs=("WT",), convention="binary")
    with pytest.raises(ModelError, match=r"net\.onnx: its outputs lie between 0 and 1"):
        import_model(save(model, tmp_path / "net.onnx"), answers=answers)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(("operator", "crop"), [("GlobalAveragePool", False), ("Relu", True)])
def test_slices_go_in_whole_where_an_operator_may_combine_all_pixels(
    operator: str, crop: bool, tmp_path: Path
) -> None:
    nodes = [helper.make_node(operator, ["x"], ["seen"]), helper.make_node("Sub", ["x", "seen"], ["y"])]
    made = import_model(save(model_of(nodes), tmp_path / "net.onnx"), answers=FLAIR)
    assert made.card.input.size.crop is crop


def test_channels_last_with_a_fixed_size(tmp_path: Path) -> None:
    model = threshold_model(300.0, ("n", 96, 96, 1))
    made = import_model(save(model, tmp_path / "net.onnx"), answers=FLAIR)
    assert made.card.network.arguments["channels_last"] and made.card.input.size.canvas == (96, 96)
    np.testing.assert_array_equal(segment(make_scan({"flair": head()}), made).labels > 0, head() > 300)


def test_an_exported_model_comes_back_with_its_card(tmp_path: Path) -> None:
    card = card_of(title="Mine", about={"licence": "CC0"}, postprocessing={"fill_holes": True})
    ours = save_model(tmp_path / "ours", threshold_net([0], [300.0]), card)
    exported = export_onnx(ours, tmp_path / "out.onnx")
    made = import_model(exported.model.weights, name="back")
    assert (made.name, made.card.title, made.card.about.licence) == ("back", "Mine", "CC0")
    assert made.card.input == ours.card.input and made.card.output == ours.card.output
    assert made.card.postprocessing == ours.card.postprocessing
    np.testing.assert_array_equal(segment(make_scan({"flair": head()}), made).labels > 0, head() > 300)


def test_a_graph_that_does_not_run(tmp_path: Path) -> None:
    halves = model_of([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])])
    with pytest.raises(ModelError, match=r"^net\.onnx: runs on no size that was tried: .*size of the image"):
        import_model(save(halves, tmp_path / "net.onnx"), answers=FLAIR)
    assert not (tmp_path / "models").exists()


def test_a_cycle_of_operators_that_pass_on(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["y"], ["z"]), helper.make_node("Identity", ["z"], ["y"])]
    with pytest.raises(ModelError, match=r"^net\.onnx: ONNX Runtime does not accept it: .*not acyclic"):
        import_model(save(model_of(nodes), tmp_path / "net.onnx"), answers=FLAIR)


def test_volumes(tmp_path: Path) -> None:
    model = threshold_model(300.0, ("n", 1, "d", "h", "w"))
    notes: list[str] = []
    answers = Answers(roles=(Role.FLAIR,), normalisation="none")
    made = import_model(save(model, tmp_path / "net.onnx"), answers=answers, report=notes.append)
    assert made.card.input.windows is not None and "input.windows.axes" in notes[0]
    np.testing.assert_array_equal(segment(make_scan({"flair": head()}), made).labels > 0, head() > 300)


def test_volumes_of_a_fixed_size(tmp_path: Path) -> None:
    model = threshold_model(300.0, (1, 1, 4, 16, 24))
    answers = Answers(roles=(Role.FLAIR,), normalisation="none")
    made = import_model(save(model, tmp_path / "net.onnx"), answers=answers)
    assert made.card.input.windows is not None and made.card.input.windows.patch == (4, 16, 24)
    np.testing.assert_array_equal(segment(make_scan({"flair": head()}), made).labels > 0, head() > 300)
