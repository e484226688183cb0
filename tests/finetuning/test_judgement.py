from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from napari_tumorseg.finetuning.choice import Option, Tried, choose
from napari_tumorseg.finetuning.judgement import Pair, judge, sign_flip_p


def pairs(gains, start=0.5, **changes):
    return [
        Pair(f"c{i}", f"p{i}", {"WT": start}, {"WT": start + gain}, **changes) for i, gain in enumerate(gains)
    ]


def test_p_is_the_share_of_sign_patterns_with_as_large_a_sum():
    gains = np.array([0.1, 0.05, -0.02, 0.2])
    sums = [np.dot(signs, gains) for signs in product((1, -1), repeat=4)]
    assert sign_flip_p(gains) == sum(total >= gains.sum() - 1e-12 for total in sums) / 16
    assert sign_flip_p(np.array([0.1, 0.2, 0.3])) == 1 / 8
    assert sign_flip_p(-gains) > 0.5


def test_many_patients_agree_with_the_normal_distribution():
    stats = pytest.importorskip("scipy.stats")
    gains = np.random.default_rng(0).normal(0.05, 0.1, 20)
    expected = stats.norm.sf(gains.sum() / np.sqrt((gains**2).sum()))
    assert sign_flip_p(gains) == pytest.approx(expected, abs=0.01)


def test_three_patients_must_all_improve():
    assert judge(pairs([0.1, 0.02, 0.3])).accepted
    refused = judge(pairs([0.1, -0.02, 0.3]))
    assert not refused.accepted and refused.after > refused.before and "not shown" in refused.sentence


def test_two_patients_prove_nothing():
    verdict = judge(pairs([0.4, 0.4]))
    assert not verdict.accepted and "3 are needed" in verdict.sentence


def test_no_change_is_no_gain():
    assert not judge(pairs([0.0] * 6)).accepted


def test_cases_of_one_patient_count_once():
    one = [Pair(f"c{i}", "p", {"WT": 0.2}, {"WT": 0.9}) for i in range(5)]
    verdict = judge([*one, *pairs([-0.1, 0.05])])
    assert verdict.patients == 3 and not verdict.accepted


def test_regions_count_the_same():
    case = Pair("c", "p", {"WT": 0.5, "ET": 0.1}, {"WT": 0.6, "ET": 0.4})
    assert case.gain == pytest.approx(0.2)


def test_a_model_that_forgets_is_refused():
    new, old = pairs([0.1, 0.1, 0.1]), pairs([-0.05, -0.01], is_old=True)
    verdict = judge([*new, *old])
    assert (
        not verdict.accepted and "forgot" in verdict.sentence and verdict.old_change == pytest.approx(-0.03)
    )
    assert judge([*new, *pairs([-0.02, -0.01], is_old=True)]).accepted


FEW, MANY = Option(0.5, 0.5), Option(1.0, 0.5)


def test_close_options_go_to_the_one_nearest_to_the_parent():
    tried = {n: Tried(n, {FEW: 0.799, MANY: 0.8}) for n in "ab"}
    assert choose(tried) == FEW
    tried["a"] = Tried("a", {FEW: 0.7, MANY: 0.8})
    assert choose(tried) == MANY


def test_a_patient_has_no_part_in_the_choice_for_it():
    tried = {n: Tried(n, {FEW: 0.8, MANY: 0.7}) for n in "ab"}
    tried["c"] = Tried("c", {FEW: 0.0, MANY: 1.0})
    assert choose(tried) == MANY and choose(tried, without="c") == FEW


def test_old_and_new_cases_have_the_same_weight():
    tried = {f"n{i}": Tried(f"n{i}", {FEW: 0.6, MANY: 0.7}) for i in range(9)}
    tried["o"] = Tried("o", {FEW: 0.9, MANY: 0.6}, is_old=True)
    assert choose(tried) == FEW


def test_of_the_thresholds_of_a_share_the_best_is_taken():
    dice = {Option(0.5, 0.25): 0.798, Option(0.5, 0.5): 0.8, Option(1.0, 0.25): 0.802}
    assert choose({"c": Tried("p", dice)}) == Option(0.5, 0.5)
