"""Weights from a file, fitted into the network that they were trained in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.architectures import ARCHITECTURES, make_network
from napari_tumorseg.models.messages import one_line, quoted, some
from napari_tumorseg.models.segmentation_network import SegmentationNetwork
from napari_tumorseg.models.weight_files import State, about, load_state_dict

Kind: TypeAlias = tuple[str, Mapping[str, Any] | None]
"""Architecture and arguments of a network."""

_MEMBER = re.compile(r"(0|[1-9][0-9]?)\.")
"""Beginning of the names of an ensemble's weights: the place of the member."""


def load_network(
    path: Path, arguments: Mapping[str, Any] | None = None, architecture: str = "unet"
) -> SegmentationNetwork:
    """Return the network that a file holds, in eval mode and float32.

    Parameters
    ----------
    path : Path
        Weights in any naming that the architecture knows, or a file that holds the network, too.
    arguments : mapping, optional
        Those of the network, from a model card; by default those that its weights show.
    architecture : str
        One of `ARCHITECTURES`.

    Raises
    ------
    ModelError
        If the file cannot be read safely or its weights are not those of the network, name for name
        and shape for shape; the sentence has the file's name and the first mismatches.
    """
    whole = ARCHITECTURES[architecture].network_class().from_file(path, arguments)
    if whole is not None:
        return whole.eval()
    state = load_state_dict(path)
    with about(path):
        if all(_MEMBER.match(name) for name in state):
            raise ModelError(
                "holds several sets of weights, and no card says so; get the card that belongs to it"
            )
        return network_of(state, arguments, architecture)


def load_members(path: Path, kinds: Sequence[Kind]) -> list[SegmentationNetwork]:
    """Return the networks that a file holds, each as `load_network` returns one.

    Parameters
    ----------
    path : Path
        Weights whose names begin with the place of their member and a dot: ``0.``, ``1.``.
    kinds : sequence of (architecture, arguments)
        Of each member; arguments of None are those that its weights show.

    Raises
    ------
    ModelError
        If the file holds other members than these, any of them is not such a network, or they differ in
        channels or stride.
    """
    state = load_state_dict(path)
    with about(path):
        networks = []
        parts = _parts(state, len(kinds))
        for number, (part, (architecture, arguments)) in enumerate(zip(parts, kinds, strict=True)):
            try:
                networks.append(network_of(part, arguments, architecture))
            except ModelError as error:
                raise ModelError(f"member {number}: {error}") from error
        if not all(fit_together(networks[0], net) for net in networks):
            raise ModelError("its members differ in their channels or stride")
        return networks


def fit_together(one: SegmentationNetwork, other: SegmentationNetwork) -> bool:
    """Return whether two networks can be members of one ensemble: the same channels and stride."""
    return one.strides == other.strides and all(
        one.arguments[name] == other.arguments[name] for name in ("in_channels", "out_channels")
    )


def _parts(state: State, count: int) -> list[State]:
    """Return the weights of each member under its network's own names."""
    parts: list[State] = [{} for _ in range(count)]
    for name, tensor in state.items():
        found = _MEMBER.match(name)
        if found is None or int(found[1]) >= count:
            raise ModelError(f"{quoted(name)} belongs to none of the {count} members that its card lists")
        parts[int(found[1])][name[found.end() :]] = tensor
    lacking = [str(number) for number, part in enumerate(parts) if not part]
    if lacking:
        raise ModelError(f"holds no weights of member {some(lacking, quote=False)}, which its card lists")
    return parts


def first_member(state: Mapping[str, Tensor]) -> State:
    """Return the weights of the first of several members, under its network's own names."""
    return {name.removeprefix("0."): tensor for name, tensor in state.items() if name.startswith("0.")}


def network_of(state: State, arguments: Mapping[str, Any] | None, architecture: str) -> SegmentationNetwork:
    """Return the network with these weights, as `load_network` does.

    Raises
    ------
    ModelError
        If they are not the weights of such a network.
    """
    network = ARCHITECTURES[architecture].network_class()
    state = network.adapt_state(state)
    net = _skeleton(architecture, network.infer_arguments(state) if arguments is None else arguments)
    _add_batch_counters(state, net)
    _check_fit(state, net)
    net.load_state_dict({name: _as_float32(name, t) for name, t in state.items()}, assign=True)
    return net.eval()


def _skeleton(architecture: str, arguments: Mapping[str, Any]) -> SegmentationNetwork:
    """Return a network without memory, so that claimed sizes cost nothing until they are checked."""
    try:
        with torch.device("meta"):
            return make_network(architecture, arguments)
    except (ValueError, TypeError) as error:
        raise ModelError(f"its arguments make no {architecture} network: {one_line(error)}") from error


def _add_batch_counters(state: State, net: SegmentationNetwork) -> None:
    """Add the counters that files of torch < 0.4.1 and Keras lack; inference does not use them."""
    for name in net.state_dict():
        if name.endswith("num_batches_tracked"):
            state.setdefault(name, torch.zeros((), dtype=torch.int64))


def _check_fit(state: Mapping[str, Tensor], net: SegmentationNetwork) -> None:
    wanted = net.state_dict()
    missing = [name for name in wanted if name not in state]
    surplus = [name for name in state if name not in wanted]
    unlike = [
        f"{quoted(name)} {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    problems = [
        f"lack {some(missing)}" if missing else "",
        f"have also {some(surplus)}" if surplus else "",
        f"have {some(unlike, quote=False)}" if unlike else "",
    ]
    if any(problems):
        raise ModelError(f"the weights do not fit the network: they {' and '.join(filter(None, problems))}")


def _as_float32(name: str, tensor: Tensor) -> Tensor:
    """Return a copy of its own: a mapped file must not change under a loaded network."""
    if name.endswith("num_batches_tracked"):
        return tensor.to(torch.int64, copy=True)
    copy = tensor.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if not torch.isfinite(copy).all():
        raise ModelError(f"weights {quoted(name)} are too large for float32")
    if name.endswith("running_var") and (copy < 0).any():
        raise ModelError(f"{quoted(name)} has negative variances; the file is damaged")
    return copy
