"""Which model suits a scan, and what about the scan does not suit a model."""

from __future__ import annotations

from collections.abc import Collection

from napari_tumorseg.errors import Notice, Remedy, RoleError
from napari_tumorseg.inference.foreground import scan_is_stripped
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.store import Model, list_models
from napari_tumorseg.scan import MODALITIES, Role, Scan


def missing_roles(card: ModelCard, roles: Collection[Role]) -> str:
    """Return a sentence on what a model lacks, or an empty string if it can run with these roles."""
    present = set(roles)
    if any(present >= set(wanted) for wanted in card.input.sufficient):
        return ""
    closest = min(card.input.sufficient, key=lambda wanted: len(set(wanted) - present))
    lacking = " and ".join(r.title for r in closest if r not in present)
    have = ", ".join(r.title for r in MODALITIES if r in present) or "no image with a known modality"
    return Notice(f"the model {card.name} needs {lacking}; the scan has {have}", Remedy.CHOOSE_MODEL)


def choose_model(scan: Scan, stripped: bool | None = None) -> Model:
    """Return the model that can run with the scan's roles and expects what the scan looks like.

    Among those, a model that tells more labels goes before one that tells fewer, and a built-in one before a
    user's: a model that somebody has trained for a trial shall not be taken unasked.

    Parameters
    ----------
    scan : Scan
        Whose roles count.
    stripped : bool, optional
        Whether the skull is gone; found out where it is not told.

    Raises
    ------
    RoleError
        If no model can run.
    """
    fitting = [m for m in list_models() if not missing_roles(m.card, scan.roles.keys())]
    if not fitting:
        have = ", ".join(f"{image.name} ({image.role})" for image in scan)
        raise RoleError(
            f"no model can run on {scan.case}, which has {have}: every model needs at least FLAIR"
        )
    state = scan_is_stripped(scan) if stripped is None else stripped
    suited = [m for m in fitting if _skull_fits(m.card, state)] or fitting
    return max(suited, key=lambda m: (len(set(m.card.output.labels) - {0}), m.origin == "built-in"))


def suitability_warnings(scan: Scan, card: ModelCard, stripped: bool | None = None) -> list[str]:
    """Return what about a scan does not look as the card expects, a sentence each.

    Whether the skull is gone is found out where it is not told.
    """
    found = []
    stripped = scan_is_stripped(scan) if stripped is None else stripped
    if card.input.skull == "stripped" and not stripped and scan.brain_mask is None:
        found.append(
            f"{scan.case} seems to have its skull, and {card.name} was trained on brain-extracted scans: "
            "expect false tumour there, or give a brain mask"
        )
    if card.input.skull == "present" and stripped:
        found.append(
            f"{scan.case} seems to be brain-extracted, and {card.name} was trained on scans with skull: "
            "expect it to miss the tumour"
        )
    moved = [i.role.title for i in scan if i.role in card.input.roles and i.note.startswith("resampled")]
    if card.input.skull == "stripped" and moved:
        found.append(
            f"{' and '.join(moved)} came on another grid than the reference, and {card.name} was trained on "
            "co-registered scans: check that they lie on each other"
        )
    absent = [r for r in card.input.roles if r not in scan.roles]
    for role in absent:
        stand_in = card.input.substitute.get(role)
        what = f"{stand_in.title} takes" if stand_in and stand_in in scan.roles else "zeros take"
        found.append(f"{scan.case} has no {role.title}; {what} its place")
    return found


def _skull_fits(card: ModelCard, stripped: bool) -> bool:
    return card.input.skull == "any" or (card.input.skull == "stripped") == stripped
