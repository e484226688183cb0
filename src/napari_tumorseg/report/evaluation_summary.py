"""The summary of an evaluation as tables of a page: cases that prove something first, the rest folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from napari_tumorseg.evaluation.result import Evaluation
from napari_tumorseg.evaluation.statistics import EVERY, SEEN, UNSEEN, RegionSummary, Stats, groups
from napari_tumorseg.report.evaluation_tables import shown, slice_lines, slice_size
from napari_tumorseg.report.html import count, folded, table

_SD = "\N{PLUS-MINUS SIGN}"
_PLACES = {
    "hd95_mm": 2,
    "volume_error_ml": 2,
    "volume_error_percent": 1,
    "mse": 5,
    "found": 2,
    "missed": 2,
    "false_positives": 2,
}
METRICS = {
    "dice": "Dice",
    "iou": "IoU",
    "accuracy": "accuracy",
    "precision": "precision",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
    "mse": "MSE of probabilities",
    "hd95_mm": "HD95 (mm)",
    "nsd_1mm": "NSD at 1 mm",
    "nsd_2mm": "NSD at 2 mm",
    "volume_error_ml": "volume error (mL)",
    "volume_error_percent": "volume error (%)",
}
"""What metrics are called."""
_LESIONS = {
    "dice": "lesion-wise Dice",
    "hd95_mm": "lesion-wise HD95 (mm)",
    "found": "lesions found",
    "missed": "lesions missed",
    "false_positives": "false components",
}


def volume_section(found: Evaluation) -> Iterator[str]:
    """Yield what is told of cases in 3-D."""
    yield "<h2>Per case, in 3-D</h2>"
    over = f"Mean {_SD} standard deviation (median) over cases, each counting the same"
    told = over if len(found.cases) > 1 else "The figures of the only case"
    yield f'<p class="small">{told}; labels, ranges and numbers of cases below.</p>'
    every = _ordered_groups(found)
    for name, summaries in every.items():
        content = table(("", *_heads(summaries)), _metric_rows(_regions(summaries)))
        yield from _shown(name, every, content)
    for name, summaries in every.items():
        rows: list[Sequence[str]] = []
        for one in summaries:
            rows += [[_title(one)], *_stat_rows(one)]
        content = table(("", "cases", "mean", "sd", "median", "least", "most"), rows)
        yield folded(f"All labels, regions and ranges: {_of_group(name)}", content)


def _metric_rows(summaries: Sequence[RegionSummary]) -> Iterator[list[str]]:
    """Yield a row for each metric that any region has."""
    for lesion_wise, titles in ((False, METRICS), (True, _LESIONS)):
        for metric, title in titles.items():
            if metric == "f1":
                title = "F1 (the same as Dice)"
            stats = [(one.lesion_wise if lesion_wise else one.in_3d).get(metric) for one in summaries]
            if any(stats):
                yield [title, *(_spread(s, _PLACES.get(metric, 3)) for s in stats)]


def _stat_rows(one: RegionSummary) -> Iterator[list[str]]:
    for titles, stats in ((METRICS, one.in_3d), (_LESIONS, one.lesion_wise)):
        for metric, title in titles.items():
            if metric in stats and metric != "f1":  # the same as Dice
                s, places = stats[metric], _PLACES.get(metric, 3)
                numbers = (s.mean, s.sd, s.median, s.minimum, s.maximum)
                yield [title, str(s.n), *(shown(number, places) for number in numbers)]


def _spread(stats: Stats | None, places: int) -> str:
    if stats is None:
        return shown(None)
    if stats.sd is None:  # of one case there is nothing but its value
        return f"{stats.mean:.{places}f}"
    return f"{stats.mean:.{places}f} {_SD} {stats.sd:.{places}f} ({stats.median:.{places}f})"


def slice_section(found: Evaluation) -> Iterator[str]:
    """Yield what is told slice by slice."""
    yield f"<h2>Slice by slice, {escape(slice_size(found))}</h2>"
    yield (
        '<p class="small">Published figures are often of these kinds; they differ from those in 3-D and from '
        "each other. With tumour: in the reference. On a slice without tumour an empty mask scores 1.</p>"
    )
    every = _ordered_groups(found)
    for name, summaries in every.items():
        yield from _shown(name, every, _slice_rows(_regions(summaries)))
    for name, summaries in every.items():
        yield folded(f"The same for the labels: {_of_group(name)}", _slice_rows(_labels(summaries)))


def _slice_rows(summaries: Sequence[RegionSummary]) -> str:
    heads = ("", "slices", "Dice", "IoU", "accuracy", "precision", "sensitivity", "specificity")
    rows: list[Sequence[str]] = []
    for one in summaries:
        rows += [[_title(one)], *([over, *cells] for over, cells in slice_lines(one))]
    return table(heads, rows) if rows else ""


def _ordered_groups(found: Evaluation) -> dict[str, tuple[RegionSummary, ...]]:
    """Return the groups of cases, those that prove something first."""
    every = groups(found.cases, found.settings.variants)
    return {name: every[name] for name in (UNSEEN, EVERY, SEEN) if every.get(name)}


def _shown(name: str, every: Mapping[str, object], content: str) -> Iterator[str]:
    """Yield a table openly if it is of the first group, else folded."""
    if name != next(iter(every)):
        yield folded(f"The same for {_of_group(name)}", content)
        return
    if len(every) > 1:
        yield f"<h3>{escape(_of_group(name).capitalize())}</h3>"
    yield content


def _of_group(name: str) -> str:
    return name if name == EVERY else f"cases {name}"


def _regions(summaries: Sequence[RegionSummary]) -> list[RegionSummary]:
    return [one for one in summaries if one.kind == "region"]


def _labels(summaries: Sequence[RegionSummary]) -> list[RegionSummary]:
    return [one for one in summaries if one.kind == "label"]


def _heads(summaries: Sequence[RegionSummary]) -> list[str]:
    return [f"{one.name}, {count(one.in_3d['dice'].n, 'case')}" for one in _regions(summaries)]


def _title(one: RegionSummary) -> str:
    return one.title if one.title == one.name else f"{one.name} ({one.title})"
