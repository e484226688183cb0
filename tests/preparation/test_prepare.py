"""Preparation from end to end, with tools that know the answer."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.errors import ChoiceNeededError, GeometryError, PreparationError, Remedy, remedy_of
from napari_tumorseg.io.case import Case
from napari_tumorseg.preparation import Needs, Step, Tools, needs, prepare
from napari_tumorseg.scan import Image, Role, Scan
from tests.preparation.phantom import BRAIN, case_of, grid_of, head, inside, motion
from tests.preparation.tools import KnownBrain, knowing

MOVED = motion((0, 0, 8), (9, 0, 0))
OTHER = grid_of((4, 5, 5), (6, 0, 0))


def native() -> Case:
    return case_of(head(Role.FLAIR, grid_of()), head(Role.T1C, OTHER, MOVED))


def run(needed: Needs, tools: Tools) -> tuple[Scan, list[Step]]:
    steps, seen = prepare(needed, tools), []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return end.value, seen


def test_a_native_case_becomes_a_scan_on_the_grid_of_its_reference() -> None:
    case = native()
    scan, steps = run(needs(case), knowing({Role.T1C: MOVED}))
    assert scan.reference is case.images[0]
    assert scan.roles[Role.T1C].grid is scan.grid
    # it looks as if the patient had not moved, which by the files' positions it does not
    unmoved, brain = head(Role.T1C, grid_of()).data, inside(BRAIN, grid_of())
    wrong = [np.abs(s.roles[Role.T1C].data - unmoved)[brain].mean() for s in (scan, case.scan())]
    assert wrong[0] < wrong[1] / 2
    np.testing.assert_array_equal(scan.brain_mask, inside(BRAIN, grid_of()))
    assert [step.words for step in steps] == [
        "Finding the brain in FLAIR",
        "Finding the brain in T1c",
        "Registering T1c onto FLAIR",
    ]
    assert [(step.done, step.total) for step in steps] == [(0, 3), (1, 3), (2, 3)]


def test_the_figures_of_every_step_are_kept() -> None:
    scan, _ = run(needs(native()), knowing({Role.T1C: MOVED}))
    brain, (moved,) = scan.preparation["brain_extraction"], scan.preparation["registration"]
    assert brain["tool"] == "known brain 1"
    assert brain["volume_ml"] == pytest.approx(1252, rel=0.03)  # 4/3 pi abc
    assert set(brain["dice_of_each_sequence"]) == {"flair", "t1c"}
    assert moved["rotation_degrees"] == pytest.approx(8, abs=0.01)
    assert moved["left_out"] is None
    assert moved["after"]["brain_overlap"] > moved["before"]["brain_overlap"]
    assert set(scan.preparation["seconds"]) == {"brain in flair", "brain in t1c", "registration of t1c"}
    (warning,) = scan.warnings
    assert warning.startswith("T1c was registered onto FLAIR: moved by")


def test_a_failed_registration_leaves_the_sequence_out_in_words() -> None:
    wrong = {Role.T1C: motion((0, 0, 0), (70, 0, 0))}
    far = motion((0, 0, 0), (0, 60, 0))
    case = case_of(head(Role.FLAIR, grid_of()), head(Role.T1C, OTHER, far))
    scan, _ = run(needs(case), knowing({Role.T1C: far}, wrong))
    assert list(scan.roles) == [Role.FLAIR]
    np.testing.assert_array_equal(scan.brain_mask, inside(BRAIN, grid_of()))
    (warning,) = scan.warnings
    assert "T1c is left out, since it could not be registered onto FLAIR: " in warning
    assert remedy_of(warning) is Remedy.IGNORE_PREPARATION
    assert scan.preparation["registration"][0]["left_out"]


def test_a_stripped_scan_needs_nothing() -> None:
    grid = grid_of()
    images = [head(role, grid) for role in (Role.FLAIR, Role.T1C)]
    brain = inside(BRAIN, grid)
    stripped = [Image(i.name, i.role, np.where(brain, i.data, 0), i.grid) for i in images]
    assert not needs(case_of(*stripped))


def test_a_few_slices_are_not_prepared() -> None:
    image = head(Role.FLAIR, grid_of((25, 4, 4)))
    assert image.grid.shape[0] < 12
    assert not needs(case_of(image))


def test_a_given_brain_mask_is_used() -> None:
    case = native()
    given = inside(BRAIN, grid_of())
    given[:10] = False
    with_brain = Case(
        "head", case.images, brain_mask=Image("brain", Role.BRAIN_MASK, given.astype(np.uint8), grid_of())
    )
    needed = needs(with_brain)
    assert not needed.brain
    assert needed.moving == (case.images[1],)
    tools = knowing({Role.T1C: MOVED})
    scan, _ = run(needed, tools)
    np.testing.assert_array_equal(scan.brain_mask, given)
    assert scan.preparation["brain_extraction"] is None
    assert isinstance(tools.extractor, KnownBrain)
    assert tools.extractor.asked == [Role.T1C]  # for the check


def test_sequences_on_one_grid_are_not_registered_and_vote() -> None:
    images = [head(role, grid_of()) for role in (Role.FLAIR, Role.T1C, Role.T1)]
    tools = knowing()
    scan, steps = run(needs(case_of(*images)), tools)
    assert len(steps) == 3
    assert scan.preparation["registration"] == []
    assert set(scan.preparation["brain_extraction"]["dice_of_each_sequence"]) == {"t1", "t1c", "flair"}


def test_only_the_wanted_modalities_are_prepared() -> None:
    case = native()
    needed = needs(case, roles=(Role.FLAIR,))
    assert needed.moving == ()
    scan, _ = run(needed, knowing())
    assert list(scan.roles) == [Role.FLAIR]


def test_equal_shapes_on_request_are_taken_voxel_for_voxel() -> None:
    shifted = grid_of(turned=(5, 0, 0))
    case = case_of(head(Role.FLAIR, grid_of()), head(Role.T1C, shifted))
    assert needs(case).moving
    assert not needs(case, same_voxels=True).moving


def test_boxes_that_hardly_overlap_are_refused_before_any_work() -> None:
    grid = grid_of()
    affine = grid.affine.copy()
    affine[:3, 3] += (0, 0, 180)
    far = Image("far", Role.T1C, head(Role.T1C, grid).data[:-1], type(grid)((39, 50, 50), affine))
    tools = knowing()
    with pytest.raises(GeometryError, match="overlap by only"):
        run(needs(case_of(head(Role.FLAIR, grid), far)), tools)
    assert isinstance(tools.extractor, KnownBrain)
    assert tools.extractor.asked == []


def test_two_images_of_one_role_are_refused() -> None:
    with pytest.raises(ChoiceNeededError):
        run(needs(case_of(head(Role.FLAIR, grid_of()), head(Role.FLAIR, OTHER))), knowing())


def test_a_brain_that_is_not_there_is_refused() -> None:
    class Nothing(KnownBrain):
        def extract(self, image: Image) -> np.ndarray:
            raise PreparationError("no brain was found in it")

    with pytest.raises(PreparationError) as failed:
        run(needs(native()), Tools(Nothing(), knowing().registration))
    assert failed.value.remedy is Remedy.IGNORE_PREPARATION
