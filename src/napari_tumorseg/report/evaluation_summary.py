"""Summary of an evaluation as tables of a page."""

from __future__ import annotations

from collections.abc import Sequence

from napari_tumorseg.evaluation.result import Evaluation
from napari_tumorseg.evaluation.statistics import EVERY, SEEN, UNSEEN, RegionSummary, Stats, groups
from napari_tumorseg.measurement.metrics import METRICS, SLICE_METRICS, Metric
from napari_tumorseg.report.evaluation_tables import of_group, slice_lines
from napari_tumorseg.report.page import Head, HtmlTable
from napari_tumorseg.report.text import count, titled

Tables = tuple[dict[str, HtmlTable], dict[str, HtmlTable]]
"""Tables by title: those of regions, and details."""

_PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


def volume_tables(found: Evaluation) -> Tables:
    """Return the scores in 3-D of each group of cases, the one that proves most first."""
    every = _ordered_groups(found)
    detail = "All labels, regions and ranges: "
    return (
        {of_group(name): _means(_of_kind(found, "region")) for name, found in every.items()},
        {f"{detail}{of_group(name)}": _ranges(found) for name, found in every.items()},
    )


def slice_tables(found: Evaluation) -> Tables:
    """Return the scores slice by slice of each group of cases, the one that proves most first."""
    every = _ordered_groups(found)
    return (
        {of_group(name): _slices(_of_kind(found, "region")) for name, found in every.items()},
        {
            f"The same for the labels: {of_group(name)}": _slices(labels)
            for name, found in every.items()
            if (labels := _of_kind(found, "label"))
        },
    )


def _means(summaries: Sequence[RegionSummary]) -> HtmlTable:
    """Return mean, standard deviation and median: a row for each metric, a column for each region."""
    heads = ["", *(f"{one.name}, {count(one.in_3d['dice'].n, 'case')}" for one in summaries)]
    rows: list[Sequence[str | Head]] = []
    for scores in zip(*(one.scores() for one in summaries), strict=True):
        metric = scores[0][0]
        if any(stats for _, stats in scores):
            rows.append([_head(metric), *(_spread(stats, metric) for _, stats in scores)])
    return HtmlTable(heads, rows)


def _ranges(summaries: Sequence[RegionSummary]) -> HtmlTable:
    """Return all statistics: a row for each metric of each label and region."""
    rows: list[Sequence[str | Head]] = []
    for one in summaries:
        rows.append([titled(one.name, one.title)])
        for metric, stats in one.scores():
            if stats is not None and not metric.same_as:
                numbers = (stats.mean, stats.sd, stats.median, stats.minimum, stats.maximum)
                cells = [_unsigned(metric, n) if n is stats.sd else metric.text(n) for n in numbers]
                rows.append([_head(metric), str(stats.n), *cells])
    return HtmlTable(("", "cases", "mean", "sd", "median", "least", "most"), rows)


def _slices(summaries: Sequence[RegionSummary]) -> HtmlTable:
    metrics = [metric for metric in SLICE_METRICS.values() if not metric.same_as]
    rows: list[Sequence[str | Head]] = []
    for one in summaries:
        rows += [[titled(one.name, one.title)], *([over, *cells] for over, cells in slice_lines(one))]
    return HtmlTable(["", "slices", *(Head(m.title, m.tip) for m in metrics)], rows)


def _spread(stats: Stats | None, metric: Metric) -> str:
    if stats is None or stats.sd is None:  # a single case has nothing but its value
        return metric.text(stats.mean if stats else None)
    return (
        f"{metric.text(stats.mean)} {_PLUS_MINUS} {_unsigned(metric, stats.sd)} ({metric.text(stats.median)})"
    )


def _unsigned(metric: Metric, value: float | None) -> str:
    return metric.text(value).removeprefix("+")


def _head(metric: Metric) -> Head:
    same = f" (the same as {METRICS[metric.same_as].title})" if metric.same_as else ""
    return Head(f"{metric.heading}{same}", metric.tip)


def _ordered_groups(found: Evaluation) -> dict[str, tuple[RegionSummary, ...]]:
    """Return the groups of cases, those the model was not trained on first."""
    every = groups(found.cases, found.settings.variants)
    return {name: every[name] for name in (UNSEEN, EVERY, SEEN) if every.get(name)}


def _of_kind(summaries: Sequence[RegionSummary], kind: str) -> list[RegionSummary]:
    return [one for one in summaries if one.kind == kind]
