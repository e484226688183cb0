"""Plan of a run: model and preparation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg.errors import PreparationError, Remedy, TumorSegError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference import RunPlan, plan_run, prepared, segment, suitability_warnings
from napari_tumorseg.inference import run_plan as module
from napari_tumorseg.inference.steps import result_of
from napari_tumorseg.io.case import Case
from napari_tumorseg.models import Model
from napari_tumorseg.preparation import Tools
from napari_tumorseg.scan import Image, Role, Scan
from tests.builders import card_of, save_model, threshold_net
from tests.preparation.phantom import BRAIN, case_of, grid_of, head, inside, motion
from tests.preparation.tools import KnownBrain, knowing

MOVED = motion((0, 0, 8), (9, 0, 0))


@pytest.fixture(autouse=True)
def _packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All packages are there; no models but the built-in ones."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path))
    monkeypatch.setattr(module, "missing_packages", lambda needed: "")


def native() -> Case:
    return case_of(head(Role.FLAIR, grid_of()), head(Role.T1C, grid_of((4, 5, 5), (6, 0, 0)), MOVED))


def scan_of(plan: RunPlan, tools: Tools) -> Scan:
    return result_of(plan.scan(tools))


@pytest.fixture
def bright(tmp_path: Path) -> Model:
    """Returns a model for brain-extracted scans that marks what is brighter than 85 in FLAIR."""
    card = card_of(("flair", "t1c"), input={"skull": "stripped"})
    return save_model(tmp_path, threshold_net([0], [85.0], inputs=2), card)


def test_a_native_case_gets_the_model_that_tells_more_and_its_preparation() -> None:
    plan = plan_run(native())
    assert plan.model.name == "brats-regions"
    assert plan.needs is not None
    assert plan.needs.words() == "brain extraction and registration of T1c onto FLAIR"
    assert plan.warnings == ()


def test_sequences_on_one_grid_get_the_model_for_heads_with_skull() -> None:
    """It does better there, as measured."""
    plan = plan_run(case_of(head(Role.FLAIR, grid_of()), head(Role.T1C, grid_of())))
    assert plan.model.name == "lgg-flair"
    assert plan.needs is None
    asked = plan_run(case_of(head(Role.FLAIR, grid_of()), head(Role.T1C, grid_of())), "brats-regions")
    assert asked.needs is not None
    assert asked.needs.words() == "brain extraction"


def test_preparation_can_be_left_out() -> None:
    plan = plan_run(native(), prepare=False)
    assert plan.model.name == "lgg-flair"
    assert plan.needs is None


def test_a_model_for_heads_with_skull_needs_no_brain() -> None:
    grid = grid_of()
    assert plan_run(case_of(head(Role.FLAIR, grid)), "lgg-flair").needs is None
    plan = plan_run(native(), "lgg-flair")
    assert plan.needs is not None
    assert plan.needs.moving  # the sequences have to lie on each other all the same


def test_without_the_packages_the_scan_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "missing_packages", lambda needed: "install the extra" if needed else "")
    plan = plan_run(native())
    assert plan.model.name == "lgg-flair"
    assert plan.needs is None
    scan = scan_of(plan, knowing())
    assert "install the extra" in scan.warnings
    with pytest.raises(TumorSegError, match="install the extra"):
        prepared(native())


def test_without_the_packages_a_named_model_for_stripped_scans_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "missing_packages", lambda needed: "install the extra" if needed else "")
    with pytest.raises(PreparationError, match="and install the extra") as refused:
        plan_run(native(), "brats-regions")
    assert refused.value.remedy is Remedy.IGNORE_PREPARATION
    plan = plan_run(native(), "brats-regions", prepare=False)
    scan = scan_of(plan, knowing())
    assert any("seems to have its skull" in w for w in suitability_warnings(scan, plan.model.card))


def test_without_the_packages_a_model_runs_where_no_skull_is_in_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "missing_packages", lambda needed: "install the extra" if needed else "")
    assert plan_run(native(), "lgg-flair").warnings == ("install the extra",)  # for heads with skull
    given = Image("brain", Role.BRAIN_MASK, inside(BRAIN, grid_of()).astype(np.uint8), grid_of())
    assert plan_run(replace(native(), brain_mask=given), "brats-regions").warnings == ("install the extra",)


def test_the_mask_lies_on_the_native_grid_and_tells_its_preparation(bright: Model) -> None:
    case = native()
    scan = prepared(case, bright, knowing({Role.T1C: MOVED}))
    result = segment(scan, bright)
    assert result.grid is case.images[0].grid
    expected = inside(BRAIN, grid_of()) & (case.images[0].data > 85)
    np.testing.assert_array_equal(result.labels > 0, expected)  # nothing of the scalp
    told = json.loads(json.dumps(result.provenance["preparation"]))
    assert told["brain_extraction"]["tool"] == "known brain 1"
    assert told["registration"][0]["role"] == "t1c"
    assert not any("skull" in warning for warning in result.provenance["warnings"])


class NoBrain(KnownBrain):
    """Finds no brain."""

    def extract(self, image: Image) -> Array:
        raise PreparationError("no brain was found in it")


def test_where_no_brain_is_found_another_model_is_chosen_in_words() -> None:
    plan = plan_run(native())
    scan = scan_of(plan, Tools(NoBrain(), knowing().registration))
    assert scan.brain_mask is None
    assert "head was not prepared: no brain was found in it" in scan.warnings
    assert plan.model_for(scan).name == "lgg-flair"


def test_where_no_brain_is_found_for_a_model_that_was_asked_for_nothing_is_done() -> None:
    plan = plan_run(native(), "brats-regions")
    with pytest.raises(PreparationError, match="no brain"):
        scan_of(plan, Tools(NoBrain(), knowing().registration))


def test_where_a_sequence_is_left_out_another_model_is_chosen() -> None:
    far = motion((0, 0, 0), (0, 60, 0))
    case = case_of(head(Role.FLAIR, grid_of()), head(Role.T1C, grid_of((4, 5, 5)), far))
    plan = plan_run(case)
    scan = scan_of(plan, knowing({Role.T1C: far}, {Role.T1C: motion((0, 0, 0), (70, 0, 0))}))
    assert plan.model_for(scan).name == "lgg-flair"
    assert any("T1c is left out" in warning for warning in scan.warnings)
