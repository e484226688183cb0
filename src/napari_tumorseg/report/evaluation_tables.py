"""Scores of an evaluation as CSV, as JSON and as tables for a terminal."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_tumorseg.evaluation.result import Evaluation
from napari_tumorseg.evaluation.scores import CaseScores, RowScores, slice_values
from napari_tumorseg.evaluation.settings import AT_NETWORK_SIZE, CONVENTIONS, UNSEEN_MEMBERS, SliceChoice
from napari_tumorseg.evaluation.slicewise import confusions
from napari_tumorseg.evaluation.statistics import EVERY, UNSEEN, RegionSummary, groups
from napari_tumorseg.inference.intervals import calibration_of
from napari_tumorseg.measurement.intervals import COVERAGE, LEAST_COVERAGE, Calibration
from napari_tumorseg.measurement.metrics import LESION_METRICS, METRICS, NONE, SLICE_METRICS, in_table
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.report.tables import cell, jsonable
from napari_tumorseg.report.text import percentage, shortened

if TYPE_CHECKING:
    from rich.table import Table

FORMAT = 1
"""Version of what `summary_json` gives."""

DAGGER = "\N{DAGGER}"
SLICES: dict[SliceChoice, str] = {"all": "all slices", "tumour": "with tumour"}

_WHO = ("case", "patient", "trained_on")
_FIRST = ("error", "unlabelled", "scheme", "reference_scheme", "unit", "kind", "region", "title")
_PLACES = 6


def cases_csv(found: Evaluation) -> str:
    """Return a row for each label and region of each case, and one for each case that failed.

    ``*_3d`` are over the volume, ``lesionwise_*`` as BraTS 2023, ``slicemean_all_*`` and
    ``slicemean_tumour_*`` means over the case's slices. Unknown values are empty cells. ``unlabelled`` marks
    cases that failed because they have no reference. ``members`` is the number of sets of weights that made
    the mask, ``members_trained_on`` of those that saw the patient.
    """
    variants = found.settings.variants
    columns = [*_WHO, "members", "members_trained_on", *_FIRST, "voxels", "reference_voxels", "flags"]
    columns += [_in_3d(metric) for metric in METRICS]
    columns += [f"lesionwise_{metric}" for metric in LESION_METRICS]
    columns += [f"slicemean_{v}_{metric}" for v in variants for metric in SLICE_METRICS]
    columns += ["doubt", "slices", "slices_with_tumour", "slice_size", "slice_pixels", "seconds"]
    lines = [_case_line(case, row, variants) for case in found.cases for row in case.rows]
    lines += [
        {
            "case": failure.name,
            "patient": failure.ref.patient,
            "trained_on": _yes(failure.trained_on),
            "error": failure.error,
            "unlabelled": _yes(failure.unlabelled),
        }
        for failure in found.failures
    ]
    return _csv(columns, lines)


def slices_csv(found: Evaluation) -> str:
    """Return a row for each label and region of each slice of each case."""
    columns = [*_WHO, "plane", "slice", "slice_size", "slice_pixels", "tumour_in_reference", "kind", "region"]
    columns += ["tp", "fp", "fn", "tn", *SLICE_METRICS]
    return _csv(columns, (line for case in found.cases for line in _slice_lines(case)))


def summary_json(found: Evaluation) -> str:
    """Return model, settings, the summary of each group of cases, and every case."""
    variants = found.settings.variants
    content = {
        "format": FORMAT,
        "notice": RESEARCH_USE,
        "created": found.created,
        "model": found.model,
        "data": found.data,
        "run": found.run,
        "evaluation": found.settings.to_dict(),
        "conventions": meanings(found),
        "cases_planned": found.planned,
        "cases_scored": len(found.cases),
        "stopped": found.stopped or None,
        "trained_on": found.trained_on,
        "failures": [
            {"case": f.name, "trained_on": f.trained_on, "error": f.error, "unlabelled": f.unlabelled}
            for f in found.failures
        ],
        "seconds": round(found.seconds, 3),
        "cases_per_minute": round(found.cases_per_minute, 2),
        "groups": {
            name: {"cases": _group_size(found, name), "regions": [s.to_dict() for s in summaries]}
            for name, summaries in groups(found.cases, variants).items()
        },
        "cases": [case.to_dict(variants) for case in found.cases],
    }
    return json.dumps(jsonable(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def meanings(found: Evaluation) -> dict[str, str]:
    """Return the meaning of each figure."""
    size = {"per-slice size": AT_NETWORK_SIZE} if found.settings.at_network_size else {}
    members = {"members": UNSEEN_MEMBERS} if found.settings.unseen_members else {}
    return {**CONVENTIONS, **size, **members}


def case_table(found: Evaluation) -> Table:
    """Return 3-D Dice and HD95 of each case as a table for a terminal."""
    from rich.text import Text

    regions = region_names(found.cases)
    known = any(case.unit == "mm" for case in found.cases)
    metrics = ("dice", "hd95_mm") if known else ("dice",)
    headings = [f"{name} {METRICS[metric].title}" for metric in metrics for name in regions]
    hd95 = METRICS["hd95_mm"]
    notes = [f"{hd95.title}: {hd95.definition}"] if known else []
    notes += [f"{DAGGER} trained on"] if any(case.trained_on for case in found.cases) else []
    table = _screen_table("Per case, in 3-D", ["case", *headings], "; ".join(notes))
    for case in found.cases:
        table.add_row(Text(marked(case, shortened(case.name, 22))), *case_cells(case, regions, metrics))
    return table


def case_cells(case: CaseScores, regions: Sequence[str], metrics: Iterable[str]) -> list[str]:
    """Return metrics of some regions as texts, metric by metric."""
    rows = {row.name: row for row in case.regions}
    return [
        METRICS[metric].text(rows[region].in_3d(metric) if region in rows else None)
        for metric in metrics
        for region in regions
    ]


def marked(case: CaseScores, name: str) -> str:
    """Return a name with a dagger if the model was trained on the case."""
    return f"{name} {DAGGER}" if case.trained_on else name


def summary_tables(found: Evaluation) -> list[Table]:
    """Return the statistics of each region over cases, in 3-D, a table for each group of cases."""
    metrics = [*in_table(METRICS, "summary").values(), *in_table(LESION_METRICS, "summary").values()]
    headings = ["region", "n", "Dice", "sd", "median", "least", *(m.short or m.title for m in metrics)]
    notes = "means but for sd, median, least of Dice; HD95 in mm, NSD at 2 mm; lesions: lesion-wise Dice\n"
    notes += f"HD95: {METRICS['hd95_mm'].definition}"
    tables = []
    for name, summaries in groups(found.cases, found.settings.variants).items():
        table = _screen_table(f"Over {of_group(name)}, in 3-D", headings, notes)
        for one in summaries:
            if one.kind == "region":
                table.add_row(one.name, *_summary_cells(one))
        tables.append(table)
    return tables


def slice_table(found: Evaluation) -> Table:
    """Return the figures taken slice by slice; of cases the model was not trained on, if there are such."""
    metrics = [metric for metric in SLICE_METRICS.values() if not metric.same_as]
    headings = ["region", "over", "n", *(metric.short or metric.title for metric in metrics)]
    notes = "with tumour: in the reference; pooled: pixels of those slices counted together"
    found_groups = groups(found.cases, found.settings.variants)
    name = UNSEEN if UNSEEN in found_groups else EVERY
    table = _screen_table(f"Slice by slice, {of_group(name)}, {slice_size(found)}", headings, notes)
    for one in found_groups[name]:
        for over, values in slice_lines(one) if one.kind == "region" else ():
            table.add_row(one.name, over, *values)
    return table


def calibration_table(card: ModelCard) -> Table:
    """Return the intervals of volumes that a card gives, as a table for a terminal."""
    headings = ["region", "modalities", "patients", "score", "coverage", "width"]
    notes = "width: upper over lower end of an interval; by doubt: times the model's doubt about the case"
    table = _screen_table(f"Intervals of volumes of {card.name}", headings, notes)
    for one in card.intervals:
        found = calibration_of(one)
        coverage = min(COVERAGE, found.attainable)
        given = coverage >= LEAST_COVERAGE
        cells = (
            one.region,
            ", ".join(role.title for role in one.roles or card.input.roles),
            str(len(one.residuals)),
            one.score,
            percentage(coverage) if given else f"{percentage(coverage)}, too few patients",
            _width(found, coverage) if given else NONE,
        )
        table.add_row(*cells)
    return table


def _width(found: Calibration, coverage: float) -> str:
    spread = 2 * found.spread(coverage)
    return f"exp({spread:.2f} x doubt)" if found.by_doubt else f"{math.exp(spread):.2f}"


def of_group(name: str) -> str:
    """Return a group of cases for titles."""
    return name if name == EVERY else f"cases {name}"


def _screen_table(title: str, headings: Sequence[str], notes: str) -> Table:
    """Return a narrow table without a row; the first columns hold words."""
    from rich import box
    from rich.table import Table

    caption = f"{notes}\n{RESEARCH_USE}" if notes else RESEARCH_USE
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    for heading in headings:
        words = heading in ("case", "region", "over")
        table.add_column(heading, justify="left" if words else "right", no_wrap=True)
    return table


def slice_lines(one: RegionSummary) -> Iterator[tuple[str, list[str]]]:
    """Yield the slices over which means and pooled figures are taken, and the cells of that line."""
    metrics = {name: metric for name, metric in SLICE_METRICS.items() if not metric.same_as}
    for variant, stats in one.per_slice.items():
        if stats:
            means = [metric.text(stats[name].mean) for name, metric in metrics.items()]
            yield f"mean, {SLICES[variant]}", [str(stats["dice"].n), *means]
    for variant, values in one.pooled.items():
        if values:
            cells = [metric.text(values[name]) for name, metric in metrics.items()]
            yield f"pooled, {SLICES[variant]}", [NONE, *cells]


def slice_size(found: Evaluation) -> str:
    """Return the size at which slices were scored, for people."""
    sizes = sorted({case.pixels for case in found.cases if case.pixels})
    whose = "the network's own size" if found.settings.at_network_size else "the scan's size"
    if not sizes:
        return f"at {whose}"
    if len(sizes) > 3:
        return f"at {whose} ({pixels(sizes[0])} to {pixels(sizes[-1])} pixels)"
    return f"at {whose} ({', '.join(map(pixels, sizes))} pixels)"


def pixels(size: tuple[int, int] | None) -> str:
    """Return a size as ``96x96``; empty where there is none."""
    return f"{size[0]}x{size[1]}" if size else ""


def region_names(cases: Iterable[CaseScores]) -> list[str]:
    """Return the regions that any case has, in their order."""
    return list(dict.fromkeys(row.name for case in cases for row in case.regions))


def _summary_cells(one: RegionSummary) -> list[str]:
    dice = one.in_3d["dice"]
    spread = [METRICS["dice"].text(value) for value in (dice.mean, dice.sd, dice.median, dice.minimum)]
    means = [
        metric.text(stats.mean if stats else None)
        for metric, stats in one.scores()
        if "summary" in metric.tables
    ]
    return [str(dice.n), *spread, *means]


def _group_size(found: Evaluation, group: str) -> int:
    if group == EVERY:
        return len(found.cases)
    return sum(case.trained_on == (group == "trained on") for case in found.cases)


def _case_line(case: CaseScores, row: RowScores, variants: Sequence[SliceChoice]) -> dict[str, Any]:
    volume = row.volume
    line = {
        **_who(case),
        "members": len(case.members.run),
        "members_trained_on": case.members.trained_on,
        "scheme": case.convention,
        "reference_scheme": case.reference_convention,
        "unit": case.unit,
        "kind": volume.kind,
        "region": volume.name,
        "title": volume.title,
        "voxels": volume.voxels,
        "reference_voxels": volume.reference_voxels,
        "flags": ", ".join(volume.flags),
        "doubt": row.doubt,
        "slices": len(case.slices),
        "slices_with_tumour": int(case.tumour.sum()),
        "slice_size": _whose(case),
        "slice_pixels": pixels(case.pixels),
        "seconds": round(case.seconds, 2),
    }
    line |= {_in_3d(metric): row.in_3d(metric) for metric in METRICS}
    line |= {f"lesionwise_{metric}": row.lesion_wise(metric) for metric in LESION_METRICS}
    means = {v: {m: case.slice_mean(row, v, m) for m in SLICE_METRICS} for v in variants}
    return line | {f"slicemean_{v}_{m}": value for v, found in means.items() for m, value in found.items()}


def _slice_lines(case: CaseScores) -> Iterator[dict[str, Any]]:
    where = {"plane": case.plane, "slice_size": _whose(case), "slice_pixels": pixels(case.pixels)}
    for row in case.rows:
        region = {"kind": row.volume.kind, "region": row.name}
        counted = zip(case.slices, case.tumour, confusions(row.counts), strict=True)
        for number, tumour, counts in counted:
            here = {"slice": number, "tumour_in_reference": _yes(bool(tumour))}
            scores = {**asdict(counts), **{m: slice_values([counts], m)[0] for m in SLICE_METRICS}}
            yield {**_who(case), **where, **here, **region, **scores}


def _who(case: CaseScores) -> dict[str, Any]:
    return {"case": case.name, "patient": case.patient, "trained_on": _yes(case.trained_on)}


def _in_3d(metric: str) -> str:
    return metric if metric.endswith(("_mm", "mm", "_ml", "_percent")) else f"{metric}_3d"


def _whose(case: CaseScores) -> str:
    return "network" if case.at_network_size else "scan"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _csv(columns: Sequence[str], lines: Iterable[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for line in lines:
        writer.writerow([cell(_rounded(line.get(column))) for column in columns])
    return text.getvalue()


def _rounded(value: Any) -> Any:
    return round(value, _PLACES) if isinstance(value, float) else value
