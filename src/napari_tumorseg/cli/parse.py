"""Settings from the text of options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from napari_tumorseg.inference import PostSettings
    from napari_tumorseg.io import Case
    from napari_tumorseg.models import ModelCard
    from napari_tumorseg.scan import Role


def parse_names(texts: Sequence[str] | None) -> list[str]:
    """Return names from texts that hold several by commas."""
    return [name for text in texts or () for name in text.split(",") if name]


def parse_roles(texts: Sequence[str] | None) -> dict[str, Role]:
    """Return roles by image name from texts like ``NAME=flair,OTHER=t1c``."""
    from napari_tumorseg.scan import MODALITIES, Role

    roles: dict[str, Role] = {}
    for part in parse_names(texts):
        name, _, role = part.rpartition("=")
        if not name or role.lower() not in (*MODALITIES, Role.OTHER):
            raise typer.BadParameter(f"{part!r} is not NAME=ROLE with a role of t1, t1c, t2, flair, other")
        roles[name] = Role(role.lower())
    return roles


def parse_spacing(text: str | None) -> tuple[float, float, float] | None:
    """Return a spacing from ``Z,Y,X``."""
    if text is None:
        return None
    try:
        z, y, x = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not three numbers Z,Y,X") from None
    if not all(0 < side < math.inf for side in (z, y, x)):
        raise typer.BadParameter(f"{text!r}: a voxel size is a number above zero")
    return z, y, x


def parse_slices(text: str | None) -> range | None:
    """Return slices from ``FIRST:LAST`` (both included, counted from 0), or one number."""
    if text is None:
        return None
    first, _, last = text.partition(":")
    try:
        chosen = range(int(first), int(last or first) + 1)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not FIRST:LAST") from None
    if not chosen:
        raise typer.BadParameter(f"{text!r}: the first slice is not behind the last")
    return chosen


def parse_post(texts: Sequence[str] | None, card: ModelCard) -> PostSettings:
    """Return the card's post-processing with steps changed by texts like ``fill_holes``, ``closing_mm=2``.

    ``none`` switches all steps off before the others are looked at.
    """
    from napari_tumorseg.inference import PostSettings

    known = card.postprocessing.model_dump()
    parts = parse_names(texts)
    steps: dict[str, Any] = {} if "none" in parts else dict(known)
    for part in (p for p in parts if p != "none"):
        name, _, value = part.partition("=")
        name = name.replace("-", "_")
        if name not in known:
            raise typer.BadParameter(f"{part!r}: the steps are none, {', '.join(known)}")
        steps[name] = _value(name, value)
    return PostSettings(**steps)


def named_roles(roles: dict[str, Role], case: Case) -> dict[str, Role]:
    """Return the roles by the names that the case uses, if a file name was given instead."""
    by_file = {image.source.name: image.name for image in case.images if image.source}
    return {by_file.get(name, name): role for name, role in roles.items()}


def _value(name: str, text: str) -> bool | float:
    if name == "certain_voxels":
        if not text.isdigit():
            raise typer.BadParameter(f"{name} takes a whole number, as in {name}=100")
        return int(text)
    if name.endswith(("_mm", "_mm3")):
        try:
            number = float(text)
        except ValueError:
            raise typer.BadParameter(f"{name} takes a number, as in {name}=2") from None
        if not 0 <= number < math.inf:
            raise typer.BadParameter(f"{name} is zero or a number above it")
        return number
    if text.lower() not in ("", "on", "off", "true", "false", "yes", "no"):
        raise typer.BadParameter(f"{name} is on or off")
    return text.lower() not in ("off", "false", "no")
