"""Order of a worklist: by name, or those cases first whose masks the model is least sure of.

Masks without a tumour come first: nothing says how far they are wrong. Cases whose mask has no such value
(no interval of the model, or made elsewhere) follow those that have one, and cases without a mask come last;
among equals the names decide. A mask keeps its place when it is corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from napari_tumorseg.session.mask_facts import MaskFacts

if TYPE_CHECKING:
    from napari_tumorseg.session.worklist import Entry


class Order(StrEnum):
    """Order of the cases of a worklist."""

    NAME = "name"
    BAND = "band"
    """Widest interval of the volume first, relative to the volume."""
    DISAGREEMENT = "disagreement"
    """Largest disagreement of the members of an ensemble, or doubt of a single network, first."""
    BOTH = "both"
    """Smallest mean of the ranks in both orders first."""


_VALUES: dict[Order, Callable[[MaskFacts], float | None]] = {
    Order.BAND: lambda facts: facts.band,
    Order.DISAGREEMENT: lambda facts: facts.disagreement,
}


def ordered(entries: Sequence[Entry], order: Order) -> tuple[Entry, ...]:
    """Return cases, given in the order of their names, in another order."""
    if order is Order.NAME:
        return tuple(entries)
    if order is not Order.BOTH:
        return tuple(sorted(entries, key=lambda entry: _key(entry, _VALUES[order](entry.facts))))
    ranks = [ranking([value(entry.facts) for entry in entries]) for value in _VALUES.values()]
    means = dict(zip(map(id, entries), map(_mean, zip(*ranks, strict=True)), strict=True))
    return tuple(sorted(entries, key=lambda entry: _key(entry, means[id(entry)])))


def ranking(values: Sequence[float | None]) -> list[float | None]:
    """Return the rank of each value as a share of all, 1 for the greatest; equal ones share their mean rank.

    A value that is None has no rank.
    """
    known = sorted(value for value in values if value is not None)
    mean = {value: known.index(value) + (known.count(value) + 1) / 2 for value in set(known)}
    return [None if value is None else mean[value] / len(known) for value in values]


def _mean(ranks: Sequence[float | None]) -> float | None:
    """Return the mean of the ranks that are known."""
    known = [rank for rank in ranks if rank is not None]
    return sum(known) / len(known) if known else None


def _key(entry: Entry, value: float | None) -> tuple[int, float]:
    if entry.mask is None:
        return 3, 0.0
    if entry.facts.is_empty:
        return 0, 0.0
    return (2, 0.0) if value is None else (1, -value)
