"""Report on an evaluation: a page with tables, bars of each case, pictures of some, learning curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.evaluation.result import Evaluation
from napari_tumorseg.evaluation.scores import CaseScores, RowScores
from napari_tumorseg.evaluation.statistics import unseen_first
from napari_tumorseg.measurement.metrics import METRICS, NONE, in_table
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.regions import REGION_NAMES
from napari_tumorseg.report.charts import BarGroup, Curve, Series, bars, curves
from napari_tumorseg.report.evaluation_summary import slice_tables, volume_tables
from napari_tumorseg.report.evaluation_tables import (
    DAGGER,
    case_cells,
    marked,
    meanings,
    region_names,
    slice_size,
)
from napari_tumorseg.report.learning import Learning
from napari_tumorseg.report.page import Head, HtmlTable, data_url, render
from napari_tumorseg.report.text import count, number

_CURVES = {"train_loss": ("train loss", "#0072B2"), "val_loss": ("val loss", "#D55E00")}
_DICE = {"val_dice": ("val Dice", "#D55E00")}


@dataclass(frozen=True)
class Picture:
    """A case shown as an overlay.

    Attributes
    ----------
    title : str
        Rank of the case, such as "worst".
    case : CaseScores
        Its scores.
    jpeg : bytes or None
        The picture; None where it could not be drawn.
    reason : str
        Why it could not be drawn; else empty.
    """

    title: str
    case: CaseScores
    jpeg: bytes | None
    reason: str = ""

    @property
    def url(self) -> str:
        """The picture as a URL; empty where there is none."""
        return data_url(self.jpeg, "jpeg") if self.jpeg else ""

    @property
    def caption(self) -> str:
        """Dice and HD95 of each region."""
        return "; ".join(_scores(row) for row in self.case.regions)


def page(found: Evaluation, pictures: Sequence[Picture] = (), learning: Learning | None = None) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    found : Evaluation
        Scores of a model.
    pictures : sequence of Picture
        Cases shown as overlays.
    learning : Learning, optional
        Of the model's training.
    """
    return render(
        "evaluation.html",
        "evaluation.css",
        title=f"Evaluation of {found.model['name']}",
        notice=RESEARCH_USE,
        intro=_intro(found),
        facts="; ".join(f"{k} {v}" for k, v in _facts(found).items() if v not in (None, "")),
        warnings=list(_warnings(found)),
        single=len(found.cases) == 1,
        volume_tables=volume_tables(found),
        slice_size=slice_size(found),
        slice_tables=slice_tables(found),
        bars=_bars(found),
        pictures=pictures,
        ranks=_listed([picture.title for picture in pictures]).capitalize(),
        learning=_learning(learning) if learning else None,
        cases=_case_table(found) if found.cases else None,
        case_warnings=list(dict.fromkeys(w for case in found.cases for w in case.warnings)),
        failures={
            "Cases that could not be evaluated": found.failed,
            "Cases without reference": found.unlabelled,
        },
        meanings=meanings(found),
    )


def _intro(found: Evaluation) -> str:
    patients = len({case.patient for case in found.cases})
    without = f", {len(found.unlabelled)} without reference" if found.unlabelled else ""
    return (
        f"On {', '.join(found.data) or 'no data'}: {len(found.cases)} of {count(found.planned, 'case')} "
        f"scored ({count(patients, 'patient')}), {count(len(found.failed), 'failure')}{without}. "
        f"{found.created}; {found.seconds:.0f} s, {found.cases_per_minute:.1f} cases a minute."
    )


def _facts(found: Evaluation) -> dict[str, Any]:
    """Return model, settings and versions by name."""
    return {
        **{key: found.model[key] for key in ("version", "licence", "sha256")},
        **_flat(found.run.get("settings", {})),
        **_flat(found.settings.to_dict()),
        **_flat(found.run.get("versions", {})),
    }


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings as one level; settings that are off are left out."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            on = [f"{k} {v}" if v is not True else k for k, v in value.items() if v]
            value = ", ".join(on) or "none"
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        flat[key.replace("_", " ")] = value
    return flat


def _warnings(found: Evaluation) -> Iterator[str]:
    if found.stopped:
        yield f"Not all cases were evaluated: {found.stopped}."
    if found.trained_on:
        were = "was" if len(found.trained_on) == 1 else "were"
        marked = f"{count(len(found.trained_on), 'case')} marked {DAGGER}"
        yield f"{marked} {were} trained on: such scores prove nothing."
    if not found.model.get("trained_on_told"):
        yield "The model's card does not list the cases it was trained on; some of these may be among them."
    if found.failed:
        yield f"{count(len(found.failed), 'case')} could not be evaluated; see the list below."


def _bars(found: Evaluation) -> dict[str, Any] | None:
    """Return the chart of the Dice of each case, its legend, and over which cases means are taken."""
    names = region_names(found.cases)
    if not names:
        return None
    ordered = sorted(found.cases, key=lambda case: (case.dice, case.name))
    known = unseen_first(found.cases)[0] or ordered
    series = [Series(name, _colour(name, ordered), _mean_dice(known, name)) for name in names]
    groups = [BarGroup(c.name, [_dice(c, name) for name in names], c.trained_on) for c in ordered]
    return {
        "chart": bars(groups, series, "3-D Dice of each case"),
        "legend": [(one, REGION_NAMES.get(one.name, one.name), number(one.mean, 3)) for one in series],
        "several": len(ordered) > 1,
        "unseen_only": len(known) < len(ordered),
    }


def _dice(case: CaseScores, region: str) -> float | None:
    return next((row.volume.dice for row in case.regions if row.name == region), None)


def _mean_dice(cases: Sequence[CaseScores], region: str) -> float | None:
    values = [dice for dice in (_dice(case, region) for case in cases) if dice is not None]
    return sum(values) / len(values) if values else None


def _colour(region: str, cases: Sequence[CaseScores]) -> str:
    """Return the colour in which overlays show a region's own label."""
    convention = next(
        get_convention(c.convention) for c in cases if any(row.name == region for row in c.regions)
    )
    return convention.label(convention.own_label(region)).colour


def _learning(learning: Learning) -> dict[str, Any]:
    """Return the charts of a training, and its best epoch."""
    losses = curves(_lines(learning, _CURVES), "loss over epochs", "loss")
    dice = curves(_lines(learning, _DICE), "Dice over epochs", "Dice")
    best = max(learning.lines.get("val_dice", ()), key=lambda point: point[1], default=None)
    return {"charts": [chart for chart in (losses, dice) if chart], "best": best}


def _lines(learning: Learning, wanted: Mapping[str, tuple[str, str]]) -> list[Curve]:
    return [Curve(title, colour, learning.lines.get(k, ())) for k, (title, colour) in wanted.items()]


def _case_table(found: Evaluation) -> HtmlTable:
    """Return the metrics of each case and region."""
    names = region_names(found.cases)
    known = any(case.unit == "mm" for case in found.cases)
    metrics = {name: m for name, m in in_table(METRICS, "cases").items() if known or m.unit != "mm"}
    heads: list[Head | str] = ["case"]
    heads += [Head.of(metric, f"{name} ") for name in names for metric in metrics.values()]
    return HtmlTable(heads, [_case_row(case, names, list(metrics)) for case in found.cases])


def _case_row(case: CaseScores, regions: Sequence[str], metrics: Sequence[str]) -> list[str]:
    cells = [text for region in regions for text in case_cells(case, [region], metrics)]
    return [marked(case, case.name), *cells]


def _scores(row: RowScores) -> str:
    """Return Dice and HD95 of a region, the latter where it is known."""
    dice, hd95 = (METRICS[name].text(row.in_3d(name)) for name in ("dice", "hd95_mm"))
    return f"{row.name} Dice {dice}" + ("" if hd95 == NONE else f", HD95 {hd95} mm")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
