"""Provenance of a segmentation in the report on one case: model, inputs, settings, edits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from napari_tumorseg._version import __version__
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.report.text import capital
from napari_tumorseg.session.mask_facts import MEASURED_BEFORE

_LONGEST = 220
_NAMES = {"model": "Run with", "edits": "Corrected"}
_SHOWN_ELSEWHERE = (
    "warnings",
    "measurements",
    MEASURED_BEFORE,
    "purpose",
    "inputs",
    "created",
    "doubt",
    "intervals",
)


def origin(provenance: Mapping[str, Any], card: ModelCard | None) -> list[tuple[str, str]]:
    """Return headings and texts about the origin of a segmentation.

    Parameters
    ----------
    provenance : mapping
        Of the segmentation, with any keys.
    card : ModelCard or None
        Of the model, if it is installed.
    """
    report = f"napari-tumorseg {__version__}, {datetime.now(UTC).isoformat(timespec='minutes')}"
    return [*_model(provenance, card), *_run(provenance), ("Report", report)]


def _model(provenance: Mapping[str, Any], card: ModelCard | None) -> Iterator[tuple[str, str]]:
    if card is not None:
        title = f"{card.title or card.name} ({card.name}, version {card.version})"
        yield "Model", f"{title}. {card.summary}".strip()
        about = card.about
        parts = (("trained on", about.training), ("figures", about.metrics), ("limits", about.limits))
        cut = ((name, _cut(value.removesuffix("."))) for name, value in parts if value)  # a semicolon follows
        text = "; ".join(f"{name}: {value}" for name, value in cut)
        yield "Model card", "; ".join(part for part in (text, f"licence: {about.licence}") if part)
    elif not provenance.get("model"):
        yield "Model", "none is recorded: the labels were drawn by hand or read from a file"


def _run(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if provenance.get("created"):
        yield "Segmented", str(provenance["created"])
    inputs = provenance.get("inputs", ())
    if isinstance(inputs, Sequence) and not isinstance(inputs, str) and inputs:
        yield "Inputs", "; ".join(_flat(entry) for entry in inputs)
    for key, value in provenance.items():
        if key in _SHOWN_ELSEWHERE or value in (None, "", (), [], {}):
            continue
        text = _edits(value) if _is_edit_counts(value) else _flat(value)
        yield _NAMES.get(key, capital(_spaced(key))), text


def _is_edit_counts(value: Any) -> bool:
    return isinstance(value, Mapping) and {"total", "actions"} <= set(value)


def _edits(edit_counts: Mapping[str, Any]) -> str:
    """Return how often the result was edited."""
    actions = edit_counts["actions"]
    kinds = ", ".join(f"{n} {name}" for name, n in actions.items()) if isinstance(actions, Mapping) else ""
    times = [str(edit_counts[key]) for key in ("first", "last") if edit_counts.get(key)]
    return f"{edit_counts['total']} actions by a person" + "".join(
        (f" ({kinds})" if kinds else "", f", {' to '.join(dict.fromkeys(times))}" if times else "")
    )


def _flat(value: Any) -> str:
    """Return nested values as one line of keys and values; what is not set is left out."""
    if isinstance(value, Mapping):
        pairs = ((str(key), item) for key, item in value.items() if item not in (None, "", (), []))
        return ", ".join(f"{_spaced(key)} {_value(key, item)}" for key, item in pairs)
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(key: str, item: Any) -> str:
    """Return the value of a key: hashes shortened, and of a table what is not off."""
    if isinstance(item, Mapping):
        on = {k: v for k, v in item.items() if v}
        return f"({_flat(on)})" if on else "none"
    return _flat(item)[:12] if "sha256" in key else _flat(item)


def _spaced(key: object) -> str:
    return str(key).replace("_", " ")


def _cut(text: str) -> str:
    """Return a text that is not too long for a page: at the end of a word."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rsplit(' ', 1)[0]} \N{HORIZONTAL ELLIPSIS}"
