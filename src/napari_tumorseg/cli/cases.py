"""``tumorseg cases``: the worklist of a folder of cases, in the order in which it pays to correct them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console, show_json, show_warnings

if TYPE_CHECKING:
    from napari_tumorseg.cohorts.remarks import Remark
    from napari_tumorseg.session import Entry, Order


def cases(
    data: Annotated[
        list[Path],
        typer.Argument(help="Files and folders of cases, in any layout.", show_default=False),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder of masks and states; it is only read.", show_default=False
        ),
    ],
    order: Annotated[
        str,
        typer.Option(
            metavar="ORDER",
            help="name; band: widest interval of the volume first, relative to the volume; disagreement: "
            "most disagreement of the members of the model, or doubt of a single network, first; both: "
            "by the mean of the ranks in these two.",
        ),
    ] = "name",
    as_json: options.AsJson = False,
) -> None:
    """List the cases of the worklist with their states, in the order in which to correct them."""
    from napari_tumorseg.cohorts.remarks import remarks
    from napari_tumorseg.session import Worklist

    worklist = Worklist.open(data, output, _order(order))
    show_warnings(worklist.problems)
    known = remarks(output)
    if as_json:
        show_json([_facts(entry, known.get(entry.name)) for entry in worklist.entries])
        return
    from rich.table import Table

    table = Table()
    for heading in ("case", "state", "interval of the volume", "disagreement", "remarks"):
        table.add_column(heading, overflow="fold")
    for entry in worklist.entries:
        told = _facts(entry, known.get(entry.name))
        disagreement = "" if told["disagreement"] is None else f"{told['disagreement']:.2f}"
        notes = "; ".join(filter(None, (told["failure"], *told["flags"])))
        table.add_row(entry.name, told["state"], _interval(entry), disagreement, notes)
    console().print(table)


def _order(text: str) -> Order:
    from napari_tumorseg.session import Order

    if text not in tuple(Order):
        raise typer.BadParameter(f"an order is {', '.join(Order)}, not {text!r}", param_hint="--order")
    return Order(text)


def _facts(entry: Entry, remark: Remark | None) -> dict[str, Any]:
    """Return what is known about a case, fit for JSON."""
    from napari_tumorseg.cli.wording import worded

    failure = remark.failure if remark is not None and entry.mask is None else None
    return {
        "case": entry.name,
        "state": str(entry.state),
        "mask": None if entry.mask is None else str(entry.mask),
        "band": entry.facts.band,
        "disagreement": entry.facts.disagreement,
        "flags": list(remark.flags) if remark is not None else [],
        "failure": worded(failure) if failure else None,
    }


def _interval(entry: Entry) -> str:
    """Return the interval with its width relative to the volume; of an empty mask, that it is empty."""
    from napari_tumorseg.report.text import between

    found = entry.facts.interval
    if found is None:
        return "no tumour found" if entry.facts.is_empty else ""
    ends = between(found.low, found.high, entry.facts.voxel_ml)
    return f"{ends} (width {100 * (entry.facts.band or 0):.0f} %)"
