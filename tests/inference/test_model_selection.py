"""Selection of the model that suits a scan, and the messages about models that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg.errors import RoleError
from napari_tumorseg.inference import ScanAnalysis
from napari_tumorseg.inference.model_selection import (
    as_expected,
    choose_model,
    missing_roles,
    picture_as_expected,
    suitability_warnings,
)
from napari_tumorseg.models import get_model
from napari_tumorseg.scan import Role
from tests.builders import card_of, head, make_scan, save_model, threshold_net


@pytest.fixture(autouse=True)
def no_user_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path))
    return tmp_path


def test_roles_that_suffice() -> None:
    card = get_model("lgg-flair").card
    assert missing_roles(card, [Role.FLAIR]) == ""
    assert missing_roles(card, [Role.FLAIR, Role.T2]) == ""
    assert "needs FLAIR; the scan has T2" in missing_roles(card, [Role.T2])
    assert "no image with a known modality" in missing_roles(card, [Role.OTHER])


def test_the_sentence_names_the_nearest_set() -> None:
    card = get_model("brats-regions").card
    assert "brats-regions needs T1c; the scan has FLAIR" in missing_roles(card, [Role.FLAIR])
    assert "needs FLAIR and T1c" in missing_roles(card, [])


def test_the_model_follows_roles_and_skull() -> None:
    both = make_scan({"flair": head(), "t1c": head()})
    assert choose_model(both).name == "brats-regions"
    assert choose_model(both, ScanAnalysis(both, stripped=False)).name == "lgg-flair"
    alone = make_scan({"flair": head()})
    assert choose_model(alone, ScanAnalysis(alone, stripped=True)).name == "brats-regions-four"
    assert choose_model(alone, ScanAnalysis(alone, stripped=False)).name == "lgg-flair"


def test_a_users_model_goes_first_among_equals(no_user_models: Path) -> None:
    save_model(no_user_models, threshold_net([0], [1.0]), card_of(name="mine"))
    assert choose_model(make_scan({"flair": head()})).name == "mine"


def test_without_flair_nothing_runs() -> None:
    with pytest.raises(RoleError, match=r"no model can run on case.*case_t2 \(t2\)"):
        choose_model(make_scan({"t2": head()}))


def test_a_scan_as_the_card_expects_raises_no_warning() -> None:
    scan = make_scan({"flair": head(), "t1c": head()})
    assert suitability_warnings(scan, get_model("brats-regions").card) == []


def test_warnings_tell_the_skull() -> None:
    noise = np.random.default_rng(0).uniform(1, 8, (6, 40, 48)).astype(np.float32)
    skull = make_scan({"flair": head() + noise, "t1c": head()})
    told = suitability_warnings(skull, get_model("brats-regions").card)
    assert len(told) == 1
    assert "seems to have its skull" in told[0]
    assert suitability_warnings(replace(skull, brain_mask=head() > 0), get_model("brats-regions").card) == []
    stripped = make_scan({"t1": head(), "flair": head(), "t1c": head()})
    assert any("brain-extracted" in w for w in suitability_warnings(stripped, get_model("lgg-flair").card))


def test_warnings_tell_what_stands_in() -> None:
    told = suitability_warnings(make_scan({"flair": head()}), get_model("lgg-flair").card)
    assert [w for w in told if "has no T1; FLAIR takes its place" in w]
    card = card_of(input={"roles": ["t1", "t2"], "accepts": [["t2"]], "substitute": {"t1": "flair"}})
    assert suitability_warnings(make_scan({"t2": head()}), card) == ["case has no T1; zeros take its place"]


def test_a_model_that_uses_more_of_the_images_goes_first(no_user_models: Path) -> None:
    save_model(no_user_models, threshold_net([0], [1.0]), card_of(name="one"))
    save_model(no_user_models, threshold_net([0], [1.0], 2), card_of(["flair", "t1"], name="two"))
    both = make_scan({"flair": head(), "t1": head()})
    assert choose_model(both, ScanAnalysis(both, stripped=True)).name == "two"


def test_a_fallback_is_chosen_only_where_no_other_model_suits() -> None:
    """It uses all four images, and brats-regions, which is not a fallback, only two."""
    scan = make_scan({role: head() for role in ("flair", "t1c", "t1", "t2")})
    assert choose_model(scan, ScanAnalysis(scan, stripped=True)).name == "brats-regions"
    two = make_scan({"flair": head(), "t2": head()})
    assert choose_model(two, ScanAnalysis(two, stripped=True)).name == "brats-regions-four"


def test_all_missing_modalities_are_in_one_sentence() -> None:
    card = card_of(input={"roles": ["flair", "t1c", "t1"], "accepts": [["flair"]]})
    told = suitability_warnings(make_scan({"flair": head()}), card)
    assert told == ["case has no T1c and no T1; zeros take their places"]


def test_a_model_whose_inputs_would_all_be_substitutes_is_not_taken_unasked(no_user_models: Path) -> None:
    given = {"roles": ["t2"], "accepts": [["t2"], ["t1"]], "substitute": {"t2": "t1"}}
    model = save_model(no_user_models, threshold_net([0], [1.0]), card_of(name="mine", input=given))
    scan = make_scan({"t1": head()})
    assert missing_roles(model.card, [Role.T1]) == ""
    assert "T1 takes its place" in suitability_warnings(scan, model.card)[0]
    with pytest.raises(RoleError, match="at least FLAIR or T1c"):
        choose_model(scan)


def test_the_only_image_of_unknown_modality_is_taken_for_what_a_model_needs() -> None:
    card = card_of(["t1c"])
    scan = make_scan({"other": head()})
    known = as_expected(scan, card)
    assert list(known.roles) == [Role.T1C]
    assert known.warnings == ("the modality of the only image is not stated; it is taken for T1c",)
    assert as_expected(make_scan({"t2": head()}), card).roles.keys() == {Role.T2}
    two = make_scan({"other": head(), "t1": head()})
    assert as_expected(two, card) is two
    assert as_expected(scan, card_of(["flair", "t1c"])) is scan


def test_only_a_picture_is_taken_for_what_a_named_model_needs_in_a_run() -> None:
    card = card_of(["t1c"])
    picture = make_scan({"other": head()[:1]}, spacing=None)
    assert list(picture_as_expected(picture, card).roles) == [Role.T1C]
    for scan in (make_scan({"other": head()}, spacing=None), make_scan({"other": head()[:1]})):
        assert picture_as_expected(scan, card) is scan
