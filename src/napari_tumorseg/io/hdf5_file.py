"""Safe access to the datasets of an HDF5 file.

Only datasets stored in the file itself are read: soft and external links are not followed,
external storage and virtual datasets (which read other files of the machine) are refused, and what a
dataset or its chunks declare is checked before memory is taken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.io.arrays import memory_type
from napari_tumorseg.io.foreign import foreign_kind
from napari_tumorseg.io.limits import check_array

_MAX_DEPTH = 8
_MAX_OBJECTS = 20_000
_MAX_ATTRIBUTE = 4096
_LARGE = 2**28
_MOST_EXPANSION = 2000
"""Factor by which gzip shrinks zeros is about 1000; a dataset that shrinks further holds no image."""

_FILTERS = {
    4: "szip",
    307: "bzip2",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32026: "blosc2",
}
"""Filters that are registered with the HDF Group and in use for images."""

_NETWORK_PARTS = {"keras_version", "layer_names", "model_weights", "optimizer_weights"}
"""Attributes and groups by which files of Keras are known."""

_SMALLEST = 8
"""Pixels that two axes of an image have at least; smaller arrays are tables, affines, settings."""
_SEARCHED = 64 << 20
_HEAP = b"GCOL\1\0\0\0"
_HEAP_HEAD = 16
_OBJECT = struct.Struct("<H6xQ")  # number and size of an object in a heap


@dataclass(frozen=True, eq=False)
class Group:
    """The datasets of one group of a file that may be images or masks.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        Name of the group without the leading slash; empty for the root.
    datasets : dict of str to h5py.Dataset
        By their own names.
    refused : list of str
        Names of datasets that look like images but must not be read, with the reason.
    """

    path: Path
    name: str
    datasets: dict[str, h5py.Dataset]
    refused: list[str] = field(default_factory=list)

    def where(self, name: str) -> str:
        """Return file and dataset, for errors."""
        return f"{self.path} ({'/'.join(filter(None, (self.name, name)))})"

    def shown(self, name: str) -> str:
        """Return file and dataset without the folder, for warnings, which are kept with results."""
        return f"{self.path.name} ({'/'.join(filter(None, (self.name, name)))})"


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises
    ------
    InputError
        If it is none, damaged or truncated.
    """
    if not path.is_file():
        raise InputError(f"{path} is not there")
    _check_heaps(path)
    try:
        file = h5py.File(path, "r")
    except PermissionError:
        raise InputError(f"{path} cannot be read: no permission") from None
    except OSError as error:
        cause = "is truncated" if "truncated" in str(error) else "is no HDF5 file or damaged"
        raise InputError(f"{path} cannot be read: it {foreign_kind(path) or cause}") from None
    with file:
        try:
            yield file
        except (OSError, RuntimeError, ValueError) as error:  # h5py meets damage wherever it looks
            raise InputError(f"{path} cannot be read: it is damaged or truncated") from error


def _check_heaps(path: Path) -> None:
    """Refuse a file whose global heap (of texts) has a free block of size 0: HDF5 never returns from it.

    Only the beginning of a large file is searched, where heaps of attributes usually lie.

    Raises
    ------
    InputError
        If it has one.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_SEARCHED)
    except OSError:  # HDF5 will not open it either
        return
    if has_endless_heap(content):
        raise InputError(f"{path} cannot be read: it is damaged or truncated")


def has_endless_heap(content: bytes) -> bool:
    """Return whether HDF5 would never return from a global heap in these bytes of a file."""
    start = content.find(_HEAP)
    while start >= 0:
        if _has_empty_block(content, start):
            return True
        start = content.find(_HEAP, start + 1)
    return False


def _has_empty_block(content: bytes, start: int) -> bool:
    """Return whether a heap that begins at `start` has a free block, which is object 0, of size 0."""
    head = content[start + len(_HEAP) : start + _HEAP_HEAD]
    end = min(start + int.from_bytes(head[-8:], "little"), len(content) - _OBJECT.size)
    place = start + _HEAP_HEAD
    while place <= end:
        number, size = _OBJECT.unpack_from(content, place)
        if number == 0:
            return bool(size == 0)
        place += _OBJECT.size + -(-size // 8) * 8
    return False


def groups(file: h5py.File, path: Path) -> list[Group]:
    """Return the groups that hold something like an image, in the file's order.

    Raises
    ------
    InputError
        If the file holds the weights of a network.
    """
    if _holds_network(file):
        raise InputError(f"{path} holds the weights of a Keras network, no scan; give it as the model")
    found: dict[str, Group] = {}
    for parent, name, item in _datasets(file, path):
        group = found.setdefault(parent, Group(path, parent, {}))
        if max(item.shape, default=0) and sum(n >= _SMALLEST for n in item.shape) >= 2:
            reason = _refusal(item)
            if reason:
                group.refused.append(f"{name} ({reason})")
            else:
                group.datasets[name] = item
    return [g for g in found.values() if g.datasets or g.refused]


def read(group: Group, name: str) -> Array:
    """Return a dataset's values, in the type that `memory_type` says.

    Raises
    ------
    InputError
        If it declares too much, holds no numbers, or is damaged.
    """
    data = group.datasets[name]
    where = group.where(name)
    kind = memory_type(data.dtype, where)
    wanted = check_array(data.shape, kind, group.path)
    if data.chunks:  # a chunk may be far larger than the dataset, and is decompressed whole
        check_array(data.chunks, data.dtype, group.path)
    try:
        missing, stored = _missing_filter(data), data.id.get_storage_size()
        if missing:
            raise InputError(
                f"{where} is compressed with the HDF5 filter {missing}, which is not installed here; save it "
                "with gzip or uncompressed"
            )
        _refuse_unfilled(wanted, stored, group.path)
        array = np.empty(data.shape, kind)
        data.read_direct(array)
    except (OSError, RuntimeError, ValueError):
        raise InputError(f"{where} cannot be read: it is damaged or truncated") from None
    return array


def _holds_network(file: h5py.File) -> bool:
    try:
        return any(part in file or part in file.attrs for part in _NETWORK_PARTS)
    except (OSError, RuntimeError, KeyError):  # damage is met again, and reported, where it matters
        return False


def _missing_filter(data: h5py.Dataset) -> str:
    """Return the name of a filter that a dataset needs and this installation lacks, else an empty string."""
    settings = data.id.get_create_plist()
    for index in range(settings.get_nfilters()):
        code, *_, name = settings.get_filter(index)
        if not h5py.h5z.filter_avail(code):
            known = _FILTERS.get(code) or (name.decode("utf-8", "replace") if name else "")
            return f"{known} ({code})".strip()
    return ""


def _refuse_unfilled(wanted: int, stored: int, path: Path) -> None:
    """Raise if a large dataset stores next to nothing: reading it would give gigabytes of its fill value."""
    if wanted > _LARGE and stored * _MOST_EXPANSION < wanted:
        raise InputError(
            f"{path} declares {wanted / 2**30:.1f} GiB, of which almost nothing is stored; it is damaged or "
            "was never filled"
        )


def attribute(group: Group, name: str, *keys: str) -> Any:
    """Return the first attribute of one of these names: of the dataset, its group, or the file."""
    data = group.datasets[name]
    for holder in (data, data.parent, data.file):
        for key in keys:
            value = _attribute(holder, key)
            if value is not None:
                return value
    return None


def text_attribute(group: Group, name: str, *keys: str) -> str | None:
    """Return an attribute as text; a list of texts is joined by commas."""
    value = attribute(group, name, *keys)
    if isinstance(value, np.ndarray):
        return ",".join(_text(v) for v in value.ravel())
    return None if value is None else _text(value)


def numbers_attribute(group: Group, name: str, *keys: str) -> Array | None:
    """Return an attribute as an array of floats, or None if it is none."""
    value = attribute(group, name, *keys)
    try:
        return None if value is None else np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None


def _datasets(file: h5py.File, path: Path) -> Iterator[tuple[str, str, h5py.Dataset]]:
    """Walk over hard links only, each group once: (group name, own name, dataset)."""
    seen: set[tuple[int, int]] = set()
    todo: list[tuple[str, h5py.Group, int]] = [("", file, 0)]
    count = 0
    while todo:
        parent, group, depth = todo.pop(0)
        # h5o.get_info also sums up heaps, and never returns where their free lists run in a circle
        address = h5py.h5g.get_objinfo(group.id, b".").objno
        if address in seen:
            continue
        seen.add(address)
        try:
            for name in group:
                count += 1
                if count > _MAX_OBJECTS:
                    raise InputError(f"{path} holds more than {_MAX_OBJECTS} objects; split it up")
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    continue
                item = group[name]
                if isinstance(item, h5py.Dataset) and item.shape is not None:
                    yield parent, name, item
                elif isinstance(item, h5py.Group) and depth < _MAX_DEPTH:
                    todo.append((f"{parent}/{name}" if parent else name, item, depth + 1))
        except (OSError, RuntimeError, KeyError):
            raise InputError(f"{path} cannot be read: it is damaged or truncated") from None


def _refusal(data: h5py.Dataset) -> str:
    """Return why a dataset must not be read; empty if it may be."""
    if data.external:
        return "its values lie in another file"
    if data.is_virtual:
        return "it is put together from other files"
    try:
        kind = data.dtype.kind
    except (TypeError, OSError):
        return "its type is not known"
    if kind == "c" or (kind == "V" and set(data.dtype.names or ()) == {"real", "imag"}):
        return "complex numbers"
    return "" if kind in "buif" else "no numbers"


def _attribute(holder: Any, key: str) -> Any:
    """Return a small attribute, or None."""
    try:
        if key not in holder.attrs:
            return None
        if int(np.prod(holder.attrs.get_id(key).shape or (1,))) > _MAX_ATTRIBUTE:
            return None
        value = holder.attrs[key]
    except (OSError, RuntimeError, TypeError, KeyError):
        return None
    return None if isinstance(value, h5py.Empty) else value


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
