"""Choice of a model for a scan, and warnings where the two do not suit each other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from napari_tumorseg.errors import Notice, Remedy, RoleError
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.io.dataset import as_wanted
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


def as_expected(scan: Scan, card: ModelCard) -> Scan:
    """Return the scan, its only image taken for what the model needs if its modality is not stated.

    A warning of the scan says so.
    """
    alone = [roles for roles in card.input.sufficient if len(roles) == 1 and roles[0] in card.input.roles]
    known = as_wanted(scan, alone[0]) if len(alone) == 1 else scan
    if known is scan:
        return scan
    warning = f"the modality of the only image is not stated; it is taken for {alone[0][0].title}"
    return replace(known, warnings=(*scan.warnings, warning))


def picture_as_expected(scan: Scan, card: ModelCard) -> Scan:
    """Return the scan, `as_expected` if it is a single picture.

    A picture, one slice of unknown size, seldom states its modality, and whoever has named a model that works
    on one image has stated it. For other scans the modality is to be stated.
    """
    is_picture = scan.grid.shape[0] == 1 and scan.grid.unit == "unknown"
    return as_expected(scan, card) if is_picture else scan


def choose_model(scan: Scan, analysis: ScanAnalysis | None = None, prepared: bool = False) -> Model:
    """Return the model that can run with the scan's roles and expects what the scan looks like.

    Among those, a fallback goes after all others, a model that distinguishes more labels before one that
    distinguishes fewer, a built-in one before a user's (a model that was trained as a trial should not be
    chosen unasked), and one that uses more of the images before one that uses fewer. A model all of whose
    inputs would be substitutes is not taken.

    Parameters
    ----------
    scan : Scan
        Whose roles count.
    analysis : ScanAnalysis, optional
        Of the scan, if there is one already.
    prepared : bool
        Whether the brain of a scan with skull is known or will be found, so that a model for brain-extracted
        scans suits it, too.

    Raises
    ------
    RoleError
        If no model can run.
    """
    present = scan.roles.keys()
    fitting = [m for m in list_models() if not missing_roles(m.card, present) and _used(m.card, present)]
    if not fitting:
        have = ", ".join(f"{image.name} ({image.role})" for image in scan)
        fact = f"no model can run on {scan.case}, which has {have}: every model needs at least FLAIR or T1c"
        raise RoleError(fact, remedy=Remedy.CHOOSE_MODEL)
    stripped = (analysis or ScanAnalysis(scan)).stripped
    suited = [m for m in fitting if _skull_fits(m.card, stripped, prepared)] or fitting
    return max(suited, key=lambda m: _preference(m, present))


def _preference(model: Model, present: Collection[Role]) -> tuple[bool, int, bool, int]:
    labels = len(set(model.card.output.labels) - {0})
    return not model.card.fallback, labels, model.origin == "built-in", _used(model.card, present)


def _used(card: ModelCard, present: Collection[Role]) -> int:
    """Return the number of inputs for which the scan has the image itself, not a substitute."""
    return len(set(card.input.roles) & set(present))


def suitability_warnings(scan: Scan, card: ModelCard, analysis: ScanAnalysis | None = None) -> list[str]:
    """Return a sentence for each way in which a scan differs from what the card expects.

    Parameters
    ----------
    scan : Scan
        The scan.
    card : ModelCard
        The model's.
    analysis : ScanAnalysis, optional
        Of the scan, if there is one already.
    """
    skull = _skull_warning(scan, card, (analysis or ScanAnalysis(scan)).stripped)
    return [*skull, *_resampled_warning(scan, card), *_missing_warnings(scan, card)]


def _skull_warning(scan: Scan, card: ModelCard, stripped: bool) -> list[str]:
    if card.input.skull == "stripped" and not stripped and scan.brain_mask is None:
        return [
            f"{scan.case} seems to have its skull, and {card.name} was trained on brain-extracted scans: "
            "expect false tumour there, or give a brain mask"
        ]
    if card.input.skull == "present" and stripped:
        return [
            f"{scan.case} seems to be brain-extracted, and {card.name} was trained on scans with skull: "
            "expect it to miss the tumour"
        ]
    return []


def _resampled_warning(scan: Scan, card: ModelCard) -> list[str]:
    moved = [i.role.title for i in scan if i.role in card.input.roles and i.note.startswith("resampled")]
    if card.input.skull != "stripped" or not moved:
        return []
    return [
        f"{' and '.join(moved)} came on another grid than the reference, and {card.name} was trained on "
        "co-registered scans: check that they lie on each other"
    ]


def _missing_warnings(scan: Scan, card: ModelCard) -> list[str]:
    absent = [role for role in card.input.roles if role not in scan.roles]
    stand_ins = {role: card.input.source_of(role, scan.roles) for role in absent}
    zeros = [role.title for role in absent if stand_ins[role] is None]
    found = [
        f"{scan.case} has no {role.title}; {stand_in.title} takes its place"
        for role, stand_in in stand_ins.items()
        if stand_in is not None
    ]
    if zeros:
        places = "its place" if len(zeros) == 1 else "their places"
        found.append(f"{scan.case} has no {' and no '.join(zeros)}; zeros take {places}")
    return found


def _skull_fits(card: ModelCard, stripped: bool, prepared: bool) -> bool:
    if card.input.skull == "stripped":
        return stripped or prepared
    return card.input.skull == "any" or not stripped
