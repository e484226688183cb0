"""Summaries against Python's own statistics."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg.evaluation import Stats, by_dice, evaluate, groups, summarise
from napari_tumorseg.models import Model
from tests.builders import dice
from tests.evaluation.conftest import lesion


def test_stats() -> None:
    values = [0.2, 0.9, None, 0.7, 0.4]
    known = [v for v in values if v is not None]
    found = Stats.of(values)
    assert found is not None
    assert found.n == 4
    assert found.mean == pytest.approx(statistics.mean(known))
    assert found.median == pytest.approx(statistics.median(known))
    assert found.sd == pytest.approx(statistics.stdev(known))
    assert (found.minimum, found.maximum) == (0.2, 0.9)
    assert Stats.of([None]) is None
    alone = Stats.of([0.5])
    assert alone is not None
    assert (alone.sd, alone.mean) == (None, 0.5)


def test_each_kind_of_figure_is_its_own(model: Model, data: Path) -> None:
    cases = evaluate(model, data).cases
    (whole,) = summarise(cases, ("all", "tumour"))
    references = [lesion(), lesion(3), np.zeros_like(lesion())]
    assert whole.in_3d["dice"].mean == pytest.approx((1 + 0.5 + 0) / 3)
    every = [dice(lesion()[z], mask[z]) for mask in references for z in range(6)]
    assert whole.per_slice["all"]["dice"].mean == pytest.approx(statistics.mean(every))
    assert whole.per_slice["all"]["dice"].n == 18
    marked = [dice(lesion()[z], mask[z]) for mask in references for z in range(6) if mask[z].any()]
    assert whole.per_slice["tumour"]["dice"].mean == pytest.approx(statistics.mean(marked))
    together = dice(np.concatenate([lesion()] * 3), np.concatenate(references))
    assert whole.pooled["all"]["dice"] == pytest.approx(together)
    some = [mask.any(axis=(1, 2)) for mask in references]
    seg = np.concatenate([lesion()[there] for there in some])
    ref = np.concatenate([mask[there] for mask, there in zip(references, some, strict=True)])
    assert whole.pooled["tumour"]["dice"] == pytest.approx(dice(seg, ref))
    assert len({whole.in_3d["dice"].mean, statistics.mean(every), together}) == 3


def test_groups_are_told_apart_only_where_both_exist(model: Model, data: Path) -> None:
    cases = evaluate(model, data).cases
    assert set(groups(cases, ("all",))) == {"all cases"}
    mixed = (replace(cases[0], trained_on=True), *cases[1:])
    found = groups(mixed, ("all",))
    assert found["trained on"][0].in_3d["dice"].mean == 1
    assert found["not trained on"][0].in_3d["dice"].mean == 0.25
    assert found["not trained on"][0].in_3d["dice"].n == 2
    assert groups((), ("all",)) == {"all cases": ()}


def test_worst_median_and_best(model: Model, data: Path) -> None:
    a, b, c = evaluate(model, data).cases
    chosen = by_dice((a, b, c))
    assert {title: case.name for title, case in chosen.items()} == {"worst": "c", "median": "b", "best": "a"}
    assert list(by_dice((a, b))) == ["worst", "best"]
    assert list(by_dice((a,))) == ["only"]
    assert by_dice(()) == {}
    seen = replace(c, trained_on=True)
    assert [case.name for case in by_dice((a, b, seen)).values()] == ["b", "a"]
