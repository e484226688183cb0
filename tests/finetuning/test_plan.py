from __future__ import annotations

from napari_tumorseg.finetuning.plan import plan

PATIENTS = [f"p{i}" for i in range(10)]


def test_one_network_is_trained_on_all_and_judged_without_each():
    made = plan(PATIENTS, (), 1)
    assert [(j.fold, j.delivered) for j in made.jobs] == [(0, False), (1, False), (2, False), (None, True)]
    assert set(made.fold_of) == set(PATIENTS)
    assert sorted(list(made.fold_of.values()).count(f) for f in range(3)) == [3, 3, 4]
    assert all(len(made.judges(p)) == 1 and not made.judges(p)[0].delivered for p in PATIENTS)


def test_each_network_of_several_is_judged_by_those_it_was_not_trained_on():
    made = plan(PATIENTS, (), 4)
    assert len(made.jobs) == 4 and all(job.delivered for job in made.jobs)
    assert all(made.judges(p)[0].fold == made.fold_of[p] for p in PATIENTS)


def test_patients_of_the_parent_are_never_left_out():
    made = plan(PATIENTS, PATIENTS[:4], 1)
    assert set(made.fold_of) == set(PATIENTS[4:]) and made.judges("p0") == []


def test_the_draw_depends_on_the_seed_only():
    assert plan(PATIENTS, (), 1) == plan(PATIENTS[::-1], (), 1)
    assert plan(PATIENTS, (), 1).fold_of != plan(PATIENTS, (), 1, seed=1).fold_of


def test_more_networks_than_patients():
    made = plan(PATIENTS[:3], (), 5)
    assert {job.fold for job in made.jobs} == {0, 1, 2}
