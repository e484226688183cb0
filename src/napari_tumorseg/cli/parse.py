"""Settings from the text of options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from napari_tumorseg import parsing

if TYPE_CHECKING:
    from napari_tumorseg.inference.settings import Precision, Settings
    from napari_tumorseg.io import Case
    from napari_tumorseg.models import ModelCard
    from napari_tumorseg.post_settings import PostSettings, Step
    from napari_tumorseg.scan import Role

_TAKES: dict[type, str] = {
    bool: "on or off",
    int: "a whole number of zero or more",
    float: "a number of zero or more",
}


def parse_names(texts: Sequence[str] | None) -> list[str]:
    """Return names from texts that hold several by commas."""
    return [name for text in texts or () for name in text.split(",") if name]


def parse_roles(texts: Sequence[str] | None) -> dict[str, Role]:
    """Return roles by image name from texts like ``NAME=flair,OTHER=t1c``."""
    from napari_tumorseg.scan import MODALITIES, Role

    roles: dict[str, Role] = {}
    words = "|".join((*MODALITIES, Role.OTHER))
    for text in texts or ():
        rest = text
        while rest:  # a name may hold a comma: it ends where a role does
            found = re.match(rf"(.+?)=({words})(?:,|$)", rest, re.IGNORECASE)
            if found is None:
                raise typer.BadParameter(
                    f"{rest!r} is not NAME=ROLE with a role of t1, t1c, t2, flair, other"
                )
            roles[found[1]] = Role(found[2].lower())
            rest = rest[found.end() :]
    return roles


def parse_role_list(text: str) -> tuple[Role, ...]:
    """Return modalities from a text like ``flair,t1c``."""
    from napari_tumorseg.scan import MODALITIES, Role

    words = [word.strip().lower() for word in text.split(",")]
    strange = next((word for word in words if word not in MODALITIES), None)
    if strange is not None or len(set(words)) < len(words):
        raise typer.BadParameter(f"{text!r} is not a list of different roles of {', '.join(MODALITIES)}")
    return tuple(Role(word) for word in words)


def parse_spacing(text: str | None) -> tuple[float, float, float] | None:
    """Return a spacing from ``Z,Y,X``."""
    if text is None:
        return None
    try:
        return parsing.parse_spacing(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not three positive numbers Z,Y,X") from None


def parse_threshold(text: str) -> float:
    """Return a probability from 0.01 to 0.99, with comma or dot as the decimal mark."""
    try:
        threshold = parsing.parse_decimal(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number") from None
    if not 0.01 <= threshold <= 0.99:
        raise typer.BadParameter(f"{text} is not in the range 0.01 to 0.99")
    return threshold


def parse_precision(text: str) -> Precision:
    """Return the precision of a name."""
    from napari_tumorseg.inference.settings import PRECISIONS

    found = next((name for name in PRECISIONS if name == text.lower()), None)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(PRECISIONS)}")
    return found


def inference_settings(
    device: str, precision: str, flip: bool | None, threshold: float | None, post: PostSettings | None = None
) -> Settings:
    """Return the settings of a run."""
    from napari_tumorseg.inference.settings import Settings

    return Settings(device, flip=flip, threshold=threshold, post=post, precision=parse_precision(precision))


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

    ``none`` switches all steps off before the others are applied.
    """
    from napari_tumorseg.post_settings import OLD_NAMES, PostSettings, Step

    parts = parse_names(texts)
    chosen: dict[str, Any] = {} if "none" in parts else card.postprocessing.model_dump()
    for part in (p for p in parts if p != "none"):
        given, _, value = part.partition("=")
        name = given.replace("-", "_")
        name = OLD_NAMES.get(name, name)
        if name not in PostSettings.model_fields:
            raise typer.BadParameter(f"{part!r}: the steps are none, {', '.join(PostSettings.model_fields)}")
        chosen[name] = _value(Step.of(name), value)
    return PostSettings(**chosen)


def _value(step: Step, text: str) -> bool | int | float:
    """Return a step's value; a switch is on where no value is given, and any step can be ``off``."""
    from pydantic import ValidationError

    from napari_tumorseg.post_settings import PostSettings

    if text.lower() == "off":
        return step.kind(0)
    try:
        settings = PostSettings.model_validate({step.name: text or ("on" if step.kind is bool else text)})
    except ValidationError:
        raise typer.BadParameter(f"{step.name} takes {_TAKES[step.kind]}") from None
    value: bool | int | float = getattr(settings, step.name)
    return value


def named_roles(roles: dict[str, Role], case: Case) -> dict[str, Role]:
    """Return the roles by the names that the case uses, if a file name was given instead."""
    by_file = {image.source.name: image.name for image in case.images if image.source}
    return {by_file.get(name, name): role for name, role in roles.items()}
