from __future__ import annotations

import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.models import get_model, list_models
from napari_tumorseg.models.versions import check_replaceable, install, kept_versions, next_version, roll_back
from tests.builders import card_of, save_model, threshold_net


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    return tmp_path


def make(folder, version, limit):
    card = card_of(name="mine", version=version)
    return save_model(folder / f"made-{version}", threshold_net([0], [limit]), card)


def limit_of(name):
    return float(get_model(name).load().state_dict()["head.bias"][0])


def test_a_new_version_keeps_the_one_before(folder):
    first = install(make(folder, "1", 1.0), "mine")
    assert next_version("mine", first.card) == "2"
    install(make(folder, "2", 2.0), "mine")
    assert get_model("mine").card.version == "2" and limit_of("mine") == -2.0
    assert [m.card.version for m in kept_versions("mine")] == ["1"]
    assert [m.name for m in list_models()].count("mine") == 1


def test_rollback_and_forward_again(folder):
    for version in ("1", "2"):
        install(make(folder, version, float(version)), "mine")
    back = roll_back("mine")
    assert (back.left, back.now) == ("2", "1") and limit_of("mine") == -1.0
    assert next_version("mine", get_model("mine").card) == "3"
    assert roll_back("mine", "2").now == "2" and limit_of("mine") == -2.0


def test_a_model_without_an_earlier_version_leaves_the_list_and_can_come_back(folder):
    install(make(folder, "1", 1.0), "mine")
    gone = roll_back("mine")
    assert gone.now == "" and "mine" not in [m.name for m in list_models()]
    assert roll_back("mine").now == "1" and limit_of("mine") == -1.0


def test_a_version_beside_the_folder_of_its_name_does_not_hide_the_new_one(folder):
    card = card_of(name="mine", version="1")
    first = save_model(folder / "elsewhere" / "mine", threshold_net([0], [1.0]), card)
    first.weights.parent.rename(folder / "models")
    assert limit_of("mine") == -1.0
    assert install(make(folder, "2", 2.0), "mine").card.version == "2" and limit_of("mine") == -2.0
    assert roll_back("mine").now == "1" and limit_of("mine") == -1.0


def test_errors_name_what_there_is(folder):
    with pytest.raises(InputError, match="no model named mine"):
        roll_back("mine")
    install(make(folder, "1", 1.0), "mine")
    with pytest.raises(InputError, match="no version 7"):
        roll_back("mine", "7")


def test_another_model_of_that_name_is_not_replaced(folder):
    install(make(folder, "1", 1.0), "mine")
    check_replaceable("mine", "mine")
    with pytest.raises(InputError, match="already holds"):
        check_replaceable("mine", "lgg-flair")
