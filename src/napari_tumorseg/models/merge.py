"""One model of several trained ones: an ensemble whose members are their weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from napari_tumorseg.errors import ModelError
from napari_tumorseg.io.atomic import check_target, make_folder, write_text
from napari_tumorseg.io.dataset import patient_of
from napari_tumorseg.models.card import MAX_MEMBERS, About, Member, ModelCard, Network
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.toml_table import first_problem

if TYPE_CHECKING:
    from torch import Tensor

    from napari_tumorseg.models.segmentation_network import SegmentationNetwork

_ALIKE = {
    "input": "inputs, preparation or size",
    "output": "outputs or labels",
    "postprocessing": "post-processing",
}
"""Tables of the card that members share, with a description of each."""


def merge_models(
    models: Sequence[Model], folder: Path, name: str = "", title: str = "", overwrite: bool = False
) -> Model:
    """Write ``folder/NAME.safetensors`` and its card, an ensemble of trained models.

    Parameters
    ----------
    models : sequence of Model
        Models with the same input, output and post-processing, and networks of the same stride. An
        ensemble contributes each of its members.
    folder : Path
        Created if it does not exist.
    name : str
        Name of the new model; by default that of the folder.
    title : str
        Title of the new model; by default that of the first one.
    overwrite : bool
        Whether a model of that name in the folder may be replaced.

    Returns
    -------
    Model
        Its card lists for each member the cases that this one was not trained on. Figures and intervals of
        the single models are left out, since they do not hold for the ensemble.

    Raises
    ------
    ModelError
        If the models do not fit together.
    OutputError
        If a file cannot be written.
    """
    from napari_tumorseg.models.ensemble import members_of
    from napari_tumorseg.models.weight_files import save_weights, sha256

    _check_alike(models)
    nets = [members_of(model.load()) for model in models]
    _check_networks(models, nets)
    every = [net for members in nets for net in members]
    if not 2 <= len(every) <= MAX_MEMBERS:
        raise ModelError(f"an ensemble has 2 to {MAX_MEMBERS} members, not {len(every)}")
    card = _card(models, name or folder.resolve().name, title, nets)
    weights = folder / f"{card.name}.safetensors"
    make_folder(folder)
    for path in (weights, weights.with_suffix(".toml")):
        check_target(path, overwrite)
    state = {f"{i}.{key}": tensor for i, net in enumerate(every) for key, tensor in net.state_dict().items()}
    save_weights({key: _smallest(tensor) for key, tensor in state.items()}, weights)
    card = card.model_copy(update={"sha256": sha256(weights)})
    write_text(weights.with_suffix(".toml"), card.to_toml(), overwrite=True)
    return get_model(weights)


def _check_alike(models: Sequence[Model]) -> None:
    """Raise `ModelError` if the cards cannot be merged."""
    first = models[0] if models else None
    for other in models[1:]:
        assert first is not None
        for table, contents in _ALIKE.items():
            if getattr(first.card, table) != getattr(other.card, table):
                raise ModelError(f"{_named(first)} and {_named(other)} differ in their {contents}")
        if bool(first.card.about.trained_on) != bool(other.card.about.trained_on):
            silent = other if first.card.about.trained_on else first
            raise ModelError(
                f"the card of {_named(silent)} does not list the cases it was trained on, while others do; "
                "list them in all cards or in none"
            )


def _check_networks(models: Sequence[Model], nets: Sequence[Sequence[SegmentationNetwork]]) -> None:
    """Raise `ModelError` if networks do not fit together, or two are the same."""
    from napari_tumorseg.models.weights import fit_together

    seen: list[tuple[Model, SegmentationNetwork]] = []
    for model, members in zip(models, nets, strict=True):
        for net in members:
            for other, known in seen:
                if net.runtime:
                    raise ModelError(f"{_named(model)} is run by {net.runtime}, and members are torch's")
                if not fit_together(known, net):
                    raise ModelError(
                        f"{_named(other)} and {_named(model)} differ in their channels or stride"
                    )
                if _same(known, net):
                    raise ModelError(f"{_named(other)} and {_named(model)} have the same weights")
            seen.append((model, net))


def _same(one: SegmentationNetwork, other: SegmentationNetwork) -> bool:
    if type(one) is not type(other) or one.arguments != other.arguments:
        return False
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(bool((a == b).all()) for a, b in pairs)


def _named(model: Model) -> str:
    return f"{model.name} ({model.weights.parent})"


def _smallest(tensor: Tensor) -> Tensor:
    """Return a tensor as float16 if that changes none of its values, as for weights that were stored so."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    return half if bool((half.to(tensor.dtype) == tensor).all()) else tensor


def _card(
    models: Sequence[Model], name: str, title: str, nets: Sequence[Sequence[SegmentationNetwork]]
) -> ModelCard:
    """Return the card, still without the hash of the weights."""
    first = models[0].card
    cases = _distinct(case for model in models for case in model.card.about.trained_on)
    networks = [
        _network_of(model, place, net)
        for model, members in zip(models, nets, strict=True)
        for place, net in enumerate(members)
    ]
    every = [member for model in models for member in _members(model, cases)]
    changes = {
        "name": name,
        "title": title or first.title,
        "version": "1",
        "network": networks[0].model_dump(),
        "members": [member.model_dump() for member in _with_networks(every, networks)],
        "about": _about([model.card.about for model in models], cases).model_dump(),
        "sha256": "",
        "intervals": (),
    }
    try:
        return ModelCard.model_validate({**first.model_dump(), **changes})
    except ValidationError as error:
        raise ModelError(f"the card of the ensemble: {first_problem(error)}") from error


def _members(model: Model, cases: Sequence[str]) -> Iterator[Member]:
    """Yield the members of a model, each with those of `cases` that it was not trained on."""
    for member in model.card.members or (Member(),):
        known = {patient_of(case) for case in model.card.about.trained_on if case not in member.unseen}
        unseen = (case for case in cases if patient_of(case) not in known)
        yield Member(name=member.name or _run_name(model), unseen=tuple(unseen))


def _network_of(model: Model, place: int, net: SegmentationNetwork) -> Network:
    """Return the table ``network`` of a member, with all its arguments."""
    members = model.card.members
    stated = (members[place].network if members else None) or model.card.network
    return stated.model_copy(update={"arguments": net.arguments})


def _with_networks(members: Sequence[Member], networks: Sequence[Network]) -> list[Member]:
    """Return the members; those whose network is not the first one's state it."""
    return [
        member.model_copy(update={"network": None if network == networks[0] else network})
        for member, network in zip(members, networks, strict=True)
    ]


def _run_name(model: Model) -> str:
    """Return the name of the training that made a model; it distinguishes members of one name."""
    folder = model.weights.resolve().parent
    return folder.parent.name if folder.name == "model" else model.name


def _about(every: Sequence[About], cases: Sequence[str]) -> About:
    def joined(key: str, mark: str) -> str:
        return mark.join(_distinct(text for about in every if (text := getattr(about, key))))

    return About(
        training=joined("training", " "),
        split=joined("split", " "),
        trained_on=tuple(cases),
        limits=joined("limits", " "),
        licence=joined("licence", "; "),
        citation=joined("citation", "; "),
    )


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
