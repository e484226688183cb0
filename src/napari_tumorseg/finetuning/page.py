"""Report of a fine-tuning: before and after on each left-out case, in numbers and in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from napari_tumorseg.finetuning.comparison import picture_path
from napari_tumorseg.finetuning.judgement import Pair, Verdict
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.report.charts import BarGroup, Series, bars
from napari_tumorseg.report.page import HtmlTable, data_url, render
from napari_tumorseg.report.text import number, signed

_COLOURS = {"before": "#B4B8BC", "after": "#0072B2"}


def page(
    title: str, verdict: Verdict, facts: str, pairs: Sequence[Pair], folder: Path, forgotten: str = ""
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    title : str
        Title of the page.
    verdict : Verdict
        The decision.
    facts : str
        Parent, cases and settings, in a sentence.
    pairs : sequence of Pair
        Left-out cases.
    folder : Path
        Folder of their pictures.
    forgotten : str
        A sentence on what is known of old data.
    """
    ordered = sorted(pairs, key=lambda pair: (pair.is_old, pair.gain))
    series = [Series(when, colour, _mean(pairs, when)) for when, colour in _COLOURS.items()]
    groups = [
        BarGroup(p.case, [fmean(p.before.values()), fmean(p.after.values())], p.is_old) for p in ordered
    ]
    return render(
        "finetuning.html",
        "evaluation.css",
        title=title,
        notice=RESEARCH_USE,
        accepted=verdict.accepted,
        verdict=verdict.sentence,
        facts=facts,
        forgotten=forgotten,
        chart=bars(groups, series, "Dice of each left-out case before and after"),
        colours=_COLOURS,
        table=_table(ordered),
        pictures=[_picture(pair, folder) for pair in ordered],
    )


def _mean(pairs: Sequence[Pair], when: str) -> float | None:
    values = [fmean(getattr(pair, when).values()) for pair in pairs if not pair.is_old]
    return fmean(values) if values else None


def _table(pairs: Sequence[Pair]) -> HtmlTable:
    regions = sorted({name for pair in pairs for name in pair.before})
    heads = ["case", *(f"{name} {when}" for name in regions for when in _COLOURS), "change of the mean"]
    return HtmlTable(heads, [_row(pair, regions) for pair in pairs])


def _row(pair: Pair, regions: Sequence[str]) -> list[str]:
    cells = [number(found.get(name), 3) for name in regions for found in (pair.before, pair.after)]
    return [f"{pair.case} \N{DAGGER}" if pair.is_old else pair.case, *cells, signed(pair.gain, 3)]


def _picture(pair: Pair, folder: Path) -> dict[str, str]:
    content = {
        when: data_url(path.read_bytes(), "webp")
        for when in _COLOURS
        if (path := picture_path(folder, pair.case, when)).is_file()
    }
    caption = ", ".join(
        f"{k} {pair.before[k]:.3f} \N{RIGHTWARDS ARROW} {v:.3f}" for k, v in pair.after.items()
    )
    return {"case": pair.case, "caption": caption, "before": "", "after": "", **content}
