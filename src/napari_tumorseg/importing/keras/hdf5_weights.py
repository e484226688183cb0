"""Arrays of weights in the HDF5 files of Keras, checked before they are read; links are not followed."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_tumorseg.errors import ModelError
from napari_tumorseg.io.limits import max_bytes
from napari_tumorseg.models.messages import quoted

Floats = NDArray[np.float32]

_MOST_EXPANSION = 100
_MAX_DIMENSIONS = 6
_MAX_VARIABLES = 64
_MAX_PARTS = 1000
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""Groups of the layers in files of Keras 3, and of 2.12."""


class LayerWeights(ABC):
    """Weights of the layers of a model."""

    @abstractmethod
    def of(self, name: str, saved: str) -> list[Floats]:
        """Return the arrays of a layer in Keras' order.

        Parameters
        ----------
        name : str
            Name of the layer.
        saved : str
            Name by its class and its place among the layers of that class, such as ``conv2d_1``.
        """

    @abstractmethod
    def inside(self, name: str, saved: str) -> LayerWeights:
        """Return the weights of the layers of a model that is itself a layer."""


class NamedWeights(LayerWeights):
    """Weights as Keras 2 stores them: by the name of the layer, with a list of the names of its arrays."""

    def __init__(self, group: h5py.Group) -> None:
        self._group = group

    def of(self, name: str, saved: str) -> list[Floats]:
        """Return the arrays of a layer in Keras' order."""
        if name not in self._group:
            return []
        group = member(self._group, name)
        return arrays(group, names_in(group, "weight_names"))

    def inside(self, name: str, saved: str) -> LayerWeights:
        """Return the weights of the layers of a model that is itself a layer; they are listed together."""
        return _ListedWeights(member(self._group, name))


class _ListedWeights(LayerWeights):
    """Weights of an inner model in one list, known by the last but one part of their names."""

    def __init__(self, group: h5py.Group) -> None:
        self._group = group
        self._names = names_in(group, "weight_names")

    def of(self, name: str, saved: str) -> list[Floats]:
        own = [path for path in self._names if path.split("/")[-2:-1] == [name]]
        return arrays(self._group, own)

    def inside(self, name: str, saved: str) -> LayerWeights:
        return self


class NumberedWeights(LayerWeights):
    """Weights as Keras 3 stores them: groups named by class and place, arrays numbered in ``vars``."""

    def __init__(self, group: h5py.Group) -> None:
        container = next((c for c in _CONTAINERS if c in group), None)
        self._group = member(group, container) if container else None

    def of(self, name: str, saved: str) -> list[Floats]:
        """Return the arrays of a layer in Keras' order."""
        if self._group is None or saved not in self._group:
            return []
        group = member(self._group, saved)
        if "vars" not in group:
            return []
        variables = member(group, "vars")
        return arrays(variables, [str(number) for number in range(len(variables))])

    def inside(self, name: str, saved: str) -> LayerWeights:
        """Return the weights of the layers of a model that is itself a layer."""
        if self._group is None:
            raise ModelError(f"holds no weights of {quoted(name)}")
        return NumberedWeights(member(self._group, saved))


class SavedNames:
    """Names under which Keras 3 stores layers: the class in snake case, numbered."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def of(self, class_name: str) -> str:
        """Return the name of the next layer of a class."""
        name = re.sub(r"\W+", "", class_name)
        name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
        name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
        number = self._counts[name]
        self._counts[name] += 1
        return f"{name}_{number}" if number else name


def member(group: h5py.Group, path: str) -> Any:
    """Return a group or dataset below a group; every part of the path must lie in the file itself.

    Raises
    ------
    ModelError
        If there is none, or a part of the path is a soft or an external link.
    """
    for part in path.split("/"):
        link = group.get(part, getlink=True) if part and isinstance(group, h5py.Group) else None
        if link is None:
            raise ModelError(f"holds no weights {quoted(path)}; the file is damaged")
        if not isinstance(link, h5py.HardLink):
            raise ModelError(f"{quoted(path)} is a link, possibly to another file, and is not followed")
        group = group[part]
    return group


class Budget:
    """Memory that the weights of a model may take, counted as they are read.

    Arrays of several layers, or several calls of one, can be the same few bytes of a file.
    """

    def __init__(self) -> None:
        self._left = max_bytes()

    def take(self, found: Sequence[Floats]) -> None:
        """Count arrays.

        Raises
        ------
        ModelError
            If all so far take more than one array of a file may.
        """
        self._left -= sum(one.nbytes for one in found)
        if self._left < 0:
            raise _too_much()


def _too_much() -> ModelError:
    return ModelError(f"its weights take more than {max_bytes() / 2**30:.3g} GiB, the limit")


def arrays(group: h5py.Group, paths: Sequence[str]) -> list[Floats]:
    """Return the arrays of a layer as float32.

    Raises
    ------
    ModelError
        If there are too many, one lies in another file, is no array of numbers, or declares more than it
        stores.
    """
    if len(paths) > _MAX_VARIABLES:
        raise ModelError(f"layer {quoted(group.name)} has {len(paths)} arrays of weights")
    found = [_dataset(group, path) for path in paths]
    if sum(4 * data.size for data in found) > max_bytes():
        raise _too_much()
    return [np.asarray(data[()], dtype=np.float32) for data in found]


def _dataset(group: h5py.Group, path: str) -> h5py.Dataset:
    data = member(group, path)
    if not isinstance(data, h5py.Dataset) or data.shape is None:
        raise ModelError(f"{quoted(path)} is no array of weights")
    if data.external or data.is_virtual:
        raise ModelError(f"the values of {quoted(path)} lie in another file, which is not read")
    if data.dtype.kind != "f" or len(data.shape) > _MAX_DIMENSIONS:
        raise ModelError(f"{quoted(path)} holds no floating-point weights")
    _check_size(data, path)
    return data


def _check_size(data: h5py.Dataset, path: str) -> None:
    wanted = int(np.prod([float(side) for side in (*data.shape, data.dtype.itemsize)]))
    chunk = int(np.prod([float(side) for side in (*(data.chunks or (0,)), data.dtype.itemsize)]))
    if max(wanted, chunk) > max_bytes():
        raise ModelError(f"{quoted(path)} declares {wanted} bytes, more than the limit")
    if wanted > data.id.get_storage_size() * _MOST_EXPANSION:
        raise ModelError(f"{quoted(path)} declares {wanted} bytes, of which almost nothing is stored")


def names_in(group: h5py.Group, attribute: str) -> list[str]:
    """Return the names in an attribute of a group, which Keras divides where it is long."""
    if attribute in group.attrs:
        return _texts(group.attrs[attribute])
    found: list[str] = []
    for part in (f"{attribute}{number}" for number in range(_MAX_PARTS)):
        if part not in group.attrs:
            break
        found += _texts(group.attrs[part])
    return found


def text_in(group: h5py.Group, attribute: str) -> str:
    """Return an attribute as text; empty if there is none."""
    value = group.attrs.get(attribute, "")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _texts(value: Any) -> list[str]:
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in np.ravel(value)]


def weights_in(file: h5py.File) -> LayerWeights:
    """Return the weights in a file of Keras 2 or 3, whole model or weights only."""
    if "model_weights" in file:
        return NamedWeights(member(file, "model_weights"))
    return NamedWeights(file) if has_names(file) else NumberedWeights(file)


def has_names(file: Any) -> bool:
    """Return whether a file stores weights as Keras 2 does."""
    return any(name in file.attrs for name in ("layer_names", "layer_names0"))


def layer_names(file: h5py.File) -> Sequence[str]:
    """Return the names of the layers in a file of Keras 2."""
    group = member(file, "model_weights") if "model_weights" in file else file
    return names_in(group, "layer_names")
