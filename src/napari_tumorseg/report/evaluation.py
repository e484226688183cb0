"""An evaluation as one page: tables, bars of each case, pictures of some, learning curves.

The page holds everything itself (pictures and charts included), runs no script and asks nothing of the
network; whatever comes from files and folders is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from napari_tumorseg.evaluation.result import Evaluation
from napari_tumorseg.evaluation.scores import CaseScores, FailedCase
from napari_tumorseg.evaluation.settings import AT_NETWORK_SIZE, CONVENTIONS
from napari_tumorseg.evaluation.statistics import unseen_first
from napari_tumorseg.regions import REGION_NAMES, get_convention
from napari_tumorseg.report.charts import BarGroup, Curve, Series, bars, curves
from napari_tumorseg.report.evaluation_summary import METRICS, slice_section, volume_section
from napari_tumorseg.report.evaluation_tables import region_names, shown
from napari_tumorseg.report.html import box, count, folded, table
from napari_tumorseg.report.learning import Learning
from napari_tumorseg.report.tables import NOTICE

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1b1f23;background:#fff}
body{max-width:1060px;margin:0 auto;padding:0 20px 40px}
h1{font-size:26px;margin:18px 0 2px}h2{font-size:19px;margin:34px 0 8px;border-bottom:1px solid #d0d7de}
.notice{background:#7d1a1a;color:#fff;padding:7px 14px;font-weight:600}
.told{border-left:4px solid #b35900;background:#fff6e5;padding:8px 14px;margin:10px 0}
.small{color:#57606a;font-size:13px}table{border-collapse:collapse;margin:8px 0 14px;font-size:14px}
th,td{padding:3px 10px;text-align:right;border-bottom:1px solid #e4e8ec;white-space:nowrap}
th{background:#f3f5f7;white-space:normal}th:first-child,td:first-child,.left{text-align:left}
.group td{background:#f9fafb;font-weight:600;text-align:left}.wide{overflow-x:auto}
td.name{white-space:normal;overflow-wrap:anywhere;min-width:170px;max-width:340px}
img,svg{max-width:100%;height:auto}figure{margin:14px 0}figcaption{margin-bottom:4px}
h3{font-size:16px;margin:16px 0 4px}summary{cursor:pointer;color:#0a4a8f}
dt{font-weight:600}dd{margin:0 0 5px 0}.key{display:inline-block;width:14px;height:11px;margin:0 5px 0 14px}
@media print{h2{break-after:avoid}figure{break-inside:avoid}}
""".strip()
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_TRAIN, _VALIDATION = "#0072B2", "#D55E00"


@dataclass(frozen=True)
class Picture:
    """A case to be shown.

    Attributes
    ----------
    title : str
        Why it is shown, such as "worst".
    case : CaseScores
        Its scores.
    jpeg : bytes or None
        The picture; None where it could not be drawn.
    reason : str
        Why not; else empty.
    """

    title: str
    case: CaseScores
    jpeg: bytes | None
    reason: str = ""


def page(found: Evaluation, pictures: Sequence[Picture] = (), learning: Learning | None = None) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    found : Evaluation
        What is shown.
    pictures : sequence of Picture
        Cases shown as overlays.
    learning : Learning, optional
        Of the model's training.
    """
    name = escape(str(found.model["name"]))
    body = [
        f'<p class="notice">{escape(NOTICE)}</p>',
        *_header(found),
        *_told(found),
        *volume_section(found),
        *slice_section(found),
        *_bar_section(found),
        *_picture_section(pictures),
        *_learning_section(learning),
        *_case_section(found),
        *_failure_section("Cases that could not be evaluated", found.failed),
        *_failure_section("Cases without reference", found.unlabelled),
        *_meaning_section(found),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Evaluation of {name}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _header(found: Evaluation) -> Iterator[str]:
    model = found.model
    patients = len({case.patient for case in found.cases})
    without = f", {len(found.unlabelled)} without reference" if found.unlabelled else ""
    yield f"<h1>Evaluation of {escape(str(model['name']))}</h1>"
    scored = f"{len(found.cases)} of {count(found.planned, 'case')} scored"
    yield (
        f"<p>On {escape(', '.join(found.data)) or 'no data'}: {scored} "
        f"({count(patients, 'patient')}), {count(len(found.failed), 'failure')}{without}. "
        f"{escape(found.created)}; {found.seconds:.0f} s, {found.cases_per_minute:.1f} cases a minute.</p>"
    )
    facts = {
        "version": model["version"],
        "licence": model["licence"],
        "sha256": model["sha256"],
        **_flat(found.run.get("settings", {})),
        **_flat(found.settings.to_dict()),
        **_flat(found.run.get("versions", {})),
    }
    told = "; ".join(f"{key} {value}" for key, value in facts.items() if value not in (None, ""))
    yield f'<p class="small">{escape(told)}</p>'


def _told(found: Evaluation) -> Iterator[str]:
    if found.stopped:
        yield box(f"Not all cases were evaluated: {found.stopped}.")
    if found.trained_on:
        yield box(
            f"{count(len(found.trained_on), 'case')} marked \N{DAGGER} "
            f"{'was' if len(found.trained_on) == 1 else 'were'} trained on: such scores prove nothing."
        )
    if not found.model.get("trained_on_told"):
        yield box("The model's card does not tell which cases it was trained on; some of these may be.")
    if found.failed:
        yield box(f"{count(len(found.failed), 'case')} could not be evaluated; see the list below.")


def _bar_section(found: Evaluation) -> Iterator[str]:
    names = region_names(found.cases)
    if not names:
        return
    yield "<h2>3-D Dice of each case</h2>"
    ordered = sorted(found.cases, key=lambda case: (case.dice, case.name))
    values = {case.name: {row.name: row.volume.dice for row in case.regions} for case in ordered}
    known = {case.name for case in unseen_first(found.cases)[0]} or set(values)
    series = []
    for name in names:
        numbers = [values[case][name] for case in known if name in values[case]]
        series.append(Series(name, _colour(name, ordered), sum(numbers) / len(numbers) if numbers else None))
    keys = "".join(
        f'<span class="key" style="background:{one.colour}"></span>{escape(one.name)} '
        f"({escape(REGION_NAMES.get(one.name, one.name))}), mean {shown(one.mean)}"
        for one in series
    )
    unseen = " of the cases not trained on" if 0 < len(known) < len(values) else ""
    told = f"The worst first; dashed: the mean{unseen}." if len(ordered) > 1 else ""
    yield f'<p class="small">{told}{keys}</p>'
    rows = [BarGroup(c.name, [values[c.name].get(n) for n in names], c.trained_on) for c in ordered]
    yield f"<figure>{bars(rows, series, '3-D Dice of each case')}</figure>"


def _picture_section(pictures: Sequence[Picture]) -> Iterator[str]:
    if not pictures:
        return
    yield f"<h2>{_listed([picture.title for picture in pictures]).capitalize()} case</h2>"
    yield '<p class="small">By the mean 3-D Dice of the regions. Filled: found; dashed: the reference.</p>'
    for picture in pictures:
        case = picture.case
        scores = "; ".join(_score(row.name, row.in_3d("dice"), row.in_3d("hd95_mm")) for row in case.regions)
        mark = " \N{DAGGER} trained on" if case.trained_on else ""
        name = f"<strong>{escape(picture.title)}: {escape(case.name)}</strong>{mark}"
        caption = f"{name} \N{EN DASH} {escape(scores)}"
        if picture.jpeg is None:
            yield f"<figure><figcaption>{caption}</figcaption>{box(picture.reason)}</figure>"
            continue
        data = base64.b64encode(picture.jpeg).decode("ascii")
        alt = escape(f"slices of {case.name} with what was found and the reference", quote=True)
        yield (
            f"<figure><figcaption>{caption}</figcaption>"
            f'<img src="data:image/jpeg;base64,{data}" alt="{alt}"></figure>'
        )


def _learning_section(learning: Learning | None) -> Iterator[str]:
    if learning is None:
        return
    lines = learning.lines
    losses = [Curve(n.replace("_", " "), c, lines.get(n, ())) for n, c in _losses()]
    charts = [
        curves(losses, "loss over epochs", "loss"),
        curves([Curve("val Dice", _VALIDATION, lines.get("val_dice", ()))], "Dice over epochs", "Dice"),
    ]
    yield "<h2>Learning curves</h2>"
    best = max(lines.get("val_dice", ()), key=lambda point: point[1], default=None)
    if best:
        yield f'<p class="small">Best validation Dice {best[1]:.3f} in epoch {best[0]:g}.</p>'
    yield f"<figure>{''.join(charts) or 'The log holds no figures.'}</figure>"


def _losses() -> tuple[tuple[str, str], ...]:
    return (("train_loss", _TRAIN), ("val_loss", _VALIDATION))


def _case_section(found: Evaluation) -> Iterator[str]:
    if not found.cases:
        return
    names = region_names(found.cases)
    yield "<h2>All cases, in 3-D</h2>"
    known = any(case.unit == "mm" for case in found.cases)
    columns = [("dice", 3), *([("hd95_mm", 1)] if known else []), ("volume_error_percent", 1)]
    heads = ["case", *(f"{name} {METRICS[metric]}" for name in names for metric, _ in columns)]
    rows = []
    for case in found.cases:
        scored = {row.name: row for row in case.regions}
        cells = [
            shown(scored[name].in_3d(metric) if name in scored else None, places)
            for name in names
            for metric, places in columns
        ]
        rows.append([case.name + (" \N{DAGGER}" if case.trained_on else ""), *cells])
    yield table(heads, rows, named=True)
    warnings = list(dict.fromkeys(warning for case in found.cases for warning in case.warnings))
    if warnings:
        listed = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
        yield folded(count(len(warnings), "warning"), f"<ul>{listed}</ul>")


def _failure_section(title: str, failures: Sequence[FailedCase]) -> Iterator[str]:
    if not failures:
        return
    yield f"<h2>{title}</h2>"
    listed = "".join(
        f"<li><strong>{escape(failure.name)}</strong>: {escape(failure.error)}</li>" for failure in failures
    )
    yield f"<ul>{listed}</ul>"


def _meaning_section(found: Evaluation) -> Iterator[str]:
    meanings: Mapping[str, str] = CONVENTIONS
    if found.settings.at_network_size:
        meanings = {**CONVENTIONS, "per-slice size": AT_NETWORK_SIZE}
    listed = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in meanings.items())
    yield f'<h2>What the figures mean</h2><dl class="small">{listed}</dl>'


def _score(name: str, dice: float | None, distance: float | None) -> str:
    far = "" if distance is None else f", HD95 {distance:.1f} mm"
    return f"{name} Dice {shown(dice)}{far}"


def _colour(region: str, cases: Sequence[CaseScores]) -> str:
    """Return the colour in which overlays show a region's own label."""
    convention = next(
        get_convention(c.convention) for c in cases if any(row.name == region for row in c.regions)
    )
    return convention.label(convention.own_label(region)).colour


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings as one level, with what is off left out."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            on = [f"{k} {v}" if v is not True else k for k, v in value.items() if v]
            flat[key] = ", ".join(on) or "none"
        else:
            flat[key] = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
    return {key.replace("_", " "): value for key, value in flat.items()}


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
