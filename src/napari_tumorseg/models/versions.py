"""Versions of the user's models: a new one takes the place of the one before, which is kept."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from napari_tumorseg.errors import InputError, Remedy, TumorSegError
from napari_tumorseg.io.atomic import atomic_path, make_folder, write_text
from napari_tumorseg.io.output_set import output_set
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.store import Model, get_model, list_models, user_folder

_KEPT = "versions"
"""Folder, in that of the model, of the versions that are not in use."""

_SAFE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class RolledBack:
    """Result of a rollback.

    Attributes
    ----------
    name, left : str
        Name of the model, and the version that is kept aside now.
    now : str
        The version in use now; empty if there was none before.
    """

    name: str
    left: str
    now: str

    @property
    def sentence(self) -> str:
        """The result in words."""
        kept = f"; version {self.left} is kept" if self.left else ""
        if not self.now:
            return f"{self.name} is no longer in the list, since it has no earlier version{kept}"
        return f"version {self.now} of {self.name} is in use{kept}"


def next_version(name: str, parent: ModelCard) -> str:
    """Return the version of a model of this name: a number above all that there were."""
    found = [version.card.version for version in kept_versions(name)]
    found += [model.card.version for model in _installed(name)]
    found += [parent.version] if parent.name == name else []
    return str(max((int(version) for version in found if version.isdecimal()), default=0) + 1)


def check_replaceable(name: str, parent: str) -> None:
    """Raise `InputError` if the user has a model of this name that is not the parent."""
    if name != parent and _installed(name):
        raise InputError(f"{user_folder()} already holds a model named {name}", remedy=Remedy.RENAME_MODEL)


def install(model: Model, name: str) -> Model:
    """Put a model into the user's folder; a version that is there is kept.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    folder = user_folder() / name
    make_folder(folder)
    earlier = _installed(name)
    for before in earlier:
        _keep(before)
    _put(model, folder, name)
    for before in earlier:
        _clear(before, folder / f"{name}{model.weights.suffix}")
    return get_model(name)


def kept_versions(name: str) -> list[Model]:
    """Return the versions of a user's model that are not in use, in the order of their numbers."""
    found = []
    for card in sorted((user_folder() / name / _KEPT).glob("*/*.toml")):
        with suppress(TumorSegError):
            found.append(get_model(card))
    return sorted(found, key=_order)


def roll_back(name: str, version: str | None = None) -> RolledBack:
    """Put an earlier version of a user's model in the place of the present one, which is kept.

    Parameters
    ----------
    name : str
        Of the model.
    version : str, optional
        Version to use; by default the highest below the present one. Without an earlier one the model is
        taken out of the list.

    Raises
    ------
    InputError
        If the user has no model of this name, or it has no such version.
    """
    kept, present = kept_versions(name), next(iter(_installed(name)), None)
    if present is None and not kept:
        raise InputError(f"{user_folder()} holds no model named {name}, so there is nothing to roll back")
    chosen = _chosen(kept, present, version, name)
    left = ""
    if present is not None:
        _keep(present)
        left = present.card.version
        if chosen is None:
            _remove(present)
    if chosen is not None:
        _put(chosen, user_folder() / name, name)
        shutil.rmtree(chosen.weights.parent)
    return RolledBack(name, left, chosen.card.version if chosen else "")


def _chosen(kept: list[Model], present: Model | None, version: str | None, name: str) -> Model | None:
    if version is not None:
        found = next((model for model in kept if model.card.version == version), None)
        if found is None:
            there = ", ".join(model.card.version for model in kept) or "none"
            raise InputError(f"{name} has no version {version} that is kept; there are: {there}")
        return found
    if present is None:
        return kept[-1]
    earlier = [model for model in kept if _order(model) < _order(present)]
    return earlier[-1] if earlier else None


def _order(model: Model) -> tuple[int, str]:
    version = model.card.version
    return (int(version) if version.isdecimal() else 0, version)


def _installed(name: str) -> list[Model]:
    return [model for model in list_models() if model.name == name and model.origin == "user"]


def _keep(model: Model) -> None:
    """Copy a version aside."""
    folder = user_folder() / model.name / _KEPT / _SAFE.sub("-", model.card.version)
    make_folder(folder)
    _put(model, folder, model.name)


def _put(model: Model, folder: Path, name: str) -> None:
    """Write weights and card, both or neither."""
    card = model.card.model_copy(update={"name": name})
    with output_set():
        with atomic_path(folder / f"{name}{model.weights.suffix}", overwrite=True) as temporary:
            shutil.copyfile(model.weights, temporary)
        write_text(folder / f"{name}.toml", card.to_toml(), overwrite=True)


def _clear(model: Model, taken: Path) -> None:
    """Remove a version that was copied aside, as far as its files are not those that took its place."""
    for path in (model.weights.with_suffix(".toml"), model.weights):
        if path not in (taken, taken.with_suffix(".toml")):
            path.unlink(missing_ok=True)


def _remove(model: Model) -> None:
    for ending in (".toml", model.weights.suffix):
        model.weights.with_suffix(ending).unlink(missing_ok=True)
