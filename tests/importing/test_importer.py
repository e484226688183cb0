"""Import of a model: card, files, and questions that are open."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from napari_tumorseg.errors import InputError, ModelError, OutputError
from napari_tumorseg.importing import Answers, OpenQuestionsError, Question, import_model
from napari_tumorseg.importing.outputs import output_table
from napari_tumorseg.models import get_model, list_models
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.scan import Role
from tests.models.test_store import dconv_checkpoint, hub_checkpoint


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the user's models lie in a folder of the test's."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def own(path: Path, channels: int, outputs: int) -> Path:
    torch.manual_seed(0)
    torch.save(UNet(channels, outputs, [4, 8], 16).state_dict(), path)
    return path


def test_the_hub_layout_is_imported_under_a_name(tmp_path: Path, folder: Path) -> None:
    path = hub_checkpoint(tmp_path / "unet 1.pt")
    warnings: list[str] = []
    made = import_model(path, report=warnings.append)
    assert (made.name, made.weights) == ("unet-1", folder / "unet-1" / "unet-1.safetensors")
    assert [str(role) for role in made.card.input.roles] == ["t1", "flair", "t1c"]
    assert made.card.origin is not None
    assert (made.card.origin.kind, made.card.origin.file) == ("pytorch", "unet 1.pt")
    assert len(warnings) == 1
    x = torch.randn(1, 3, 16, 16)
    assert torch.equal(made.load()(x), get_model(path).load()(x))
    assert "unet-1" in [model.name for model in list_models()]


def test_a_published_system_answers_what_the_file_leaves_open(tmp_path: Path) -> None:
    path = own(tmp_path / "net.pt", 2, 4)
    made = import_model(path, name="ragab", answers=Answers(like="ragab2025"))
    assert made.card.input.roles == (Role.FLAIR, Role.T1C)
    assert made.card.input.size.canvas == (128, 128)
    assert made.card.output.labels == (0, 1, 2, 4)
    assert "Ragab" in made.card.about.citation


def test_questions_are_asked_in_one_sentence(tmp_path: Path, folder: Path) -> None:
    path = own(tmp_path / "net.pt", 2, 4)
    with pytest.raises(OpenQuestionsError, match=r"net\.pt \(2 input channels, 4 outputs\) does not") as told:
        import_model(path)
    asked = (Question.ROLES, Question.PLANE, Question.NORMALISATION, Question.ACTIVATION, Question.OUTPUTS)
    assert told.value.questions == asked
    assert not folder.exists()
    assert pickle.loads(pickle.dumps(told.value)).questions == told.value.questions


def test_answers_make_a_card(tmp_path: Path) -> None:
    answers = Answers(
        roles=(Role.T1, Role.T2),
        plane="coronal",
        normalisation="minmax-slice",
        activation="softmax",
        convention="brats-2023",
        size=(64, 80),
        fit="stretch",
        licence="MIT",
    )
    card = import_model(own(tmp_path / "net.pt", 2, 4), answers=answers).card
    assert (card.input.plane, card.input.normalisation.method) == ("coronal", "minmax")
    assert (card.input.size.canvas, card.input.size.fit) == ((64, 80), "stretch")
    assert (card.output.names, card.output.labels) == (("background", "NCR", "ED", "ET"), (0, 1, 2, 3))
    assert card.about.licence == "MIT"


def test_other_roles_than_a_presets_have_no_substitutes(tmp_path: Path) -> None:
    answers = Answers(like="lgg-flair", roles=(Role.T1, Role.T2, Role.FLAIR))
    card = import_model(own(tmp_path / "net.pt", 3, 1), answers=answers).card
    assert card.input.sufficient == ((Role.T1, Role.T2, Role.FLAIR),)


def test_a_preset_with_other_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"net\.pt takes 2 channels, but 1 are stated \(FLAIR\)"):
        import_model(own(tmp_path / "net.pt", 2, 1), answers=Answers(like="egwaoje2026"))


def test_unknown_presets_and_normalisations(tmp_path: Path) -> None:
    path = own(tmp_path / "net.pt", 2, 1)
    with pytest.raises(InputError, match="there is no system 'x'; there are brats-regions"):
        import_model(path, answers=Answers(like="x"))
    with pytest.raises(InputError, match="there is no normalisation 'x'; there are zscore-brain"):
        import_model(path, answers=Answers(normalisation="x"))


def test_a_model_of_that_name_stays(tmp_path: Path) -> None:
    path = dconv_checkpoint(tmp_path / "best.pth")
    first = import_model(path)
    before = first.weights.read_bytes()
    with pytest.raises(OutputError, match="already holds a model named best"):
        import_model(path)
    assert first.weights.read_bytes() == before
    assert import_model(path, overwrite=True).weights == first.weights


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_import_never_replaces_its_input(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "net.safetensors"
    save_file(UNet(1, 1, [4, 8], 16).state_dict(), path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"net\.safetensors would be replaced by its import"):
        import_model(path, folder=tmp_path, overwrite=overwrite)
    assert path.read_bytes() == before
    assert not (tmp_path / "net.toml").exists()


def test_weights_without_a_card_stay(tmp_path: Path) -> None:
    there = tmp_path / "out" / "best.safetensors"
    there.parent.mkdir()
    there.write_bytes(b"another network")
    with pytest.raises(OutputError, match="already holds a model named best"):
        import_model(dconv_checkpoint(tmp_path / "best.pth"), folder=there.parent)
    assert there.read_bytes() == b"another network"


def test_a_built_in_model_is_not_hidden_unasked(tmp_path: Path, folder: Path) -> None:
    path = dconv_checkpoint(tmp_path / "lgg-flair.pth")
    with pytest.raises(OutputError, match="there is a built-in model named lgg-flair"):
        import_model(path)
    assert not folder.exists()
    import_model(path, overwrite=True)
    assert get_model("lgg-flair").origin == "user"


def test_what_is_of_no_kind(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(ModelError, match=r"notes\.txt is of no kind that can be imported; known are"):
        import_model(path)
    with pytest.raises(ModelError, match="there is no file or folder"):
        import_model(tmp_path / "gone.h5")


@pytest.mark.parametrize(
    ("count", "answers", "labels"),
    [
        (1, {}, [1]),
        (1, {"convention": "brats-2021"}, None),
        (1, {"convention": "brats-2021", "outputs": ("TC",)}, [1]),
        (2, {"activation": "softmax"}, [0, 1]),
        (3, {"activation": "sigmoid", "convention": "brats-2021"}, [2, 1, 4]),
        (3, {"activation": "sigmoid", "convention": "brats-2021", "outputs": ("WT", "TC", "et")}, [2, 1, 4]),
        (4, {"activation": "softmax", "convention": "msd"}, [0, 1, 2, 3]),
        (2, {"activation": "softmax", "convention": "msd", "outputs": ("0", "3")}, [0, 3]),
        (5, {"activation": "softmax", "convention": "msd"}, None),
        (3, {"activation": "sigmoid", "outputs": ("WT", "TC", "ET")}, None),
    ],
)
def test_labels_of_outputs(count: int, answers: dict[str, Any], labels: list[int] | None) -> None:
    table, questions = output_table(count, Answers(**answers), {}, {})
    assert table.get("labels") == labels
    assert bool(questions) == (labels is None)


def test_outputs_that_do_not_fit() -> None:
    answers = Answers(activation="softmax", convention="msd", outputs=("background", "RC"))
    with pytest.raises(ModelError, match="'RC' is no region or label of msd; there are background, WT, TC"):
        output_table(2, answers, {}, {})
    with pytest.raises(ModelError, match="the network has 3 outputs, but 2 are named: background, RC"):
        output_table(3, answers, {}, {})
