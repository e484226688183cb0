"""File format of a journal: a sequence of records with checksums.

After eight bytes of magic number, each record is its length and CRC-32 (two little-endian numbers of 32
bits) and a payload. The first byte of a payload is its kind: ``M`` description of the session (JSON), ``B``
initial labels (a box and its voxels, deflated), ``E`` an edit (time, action, box, new voxels, deflated),
``K`` one voxel of each component that is locked from there on, ``T`` thresholds of the model's outputs from
there on (JSON). Bytes after the last complete record were cut off by a crash.

Format 1 had no ``K``, formats 1 and 2 no ``T``; both can still be read.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from napari_tumorseg.edit.boxes import Box
from napari_tumorseg.geometry import Array, bounding_box
from napari_tumorseg.session.edit_counts import EditCounts

MAGIC = b"TSEGJRN1"
EDIT = b"E"
"""First byte of the payload of an edit."""
LOCKED = b"K"
"""First byte of the payload of locked components."""
THRESHOLDS = b"T"
"""First byte of the payload of the thresholds."""

Index = tuple[int, int, int]

_HEAD = struct.Struct("<II")
_BOX = struct.Struct("<6I")
_TIME = struct.Struct("<dB")
_FORMAT = 3
_LEVEL = 1
_MOST_VOXELS = 1 << 32
_NAME_BYTES = 255
_VOXEL_BYTES = 12


class DamagedError(ValueError):
    """A record is complete, but its content is invalid."""


class NewerError(ValueError):
    """A journal has a format that only a later version of this program knows."""


@dataclass(frozen=True, eq=False)
class Edit:
    """Recorded edit: the new labels in a box, the action and its time."""

    box: Box
    after: Array
    action: str
    time: float


@dataclass(frozen=True)
class Head:
    """Description of a session.

    Attributes
    ----------
    key : str
        Identifier of the edited mask.
    shape : (Z, Y, X)
        Shape of the labels.
    started : float
        Start of the session, in seconds since 1970.
    about : mapping
        Description given at the start of the session.
    base_sha256 : str
        `fingerprint` of the labels at the start of the session.
    edit_counts : EditCounts
        Actions before the initial labels of the journal.
    """

    key: str
    shape: tuple[int, int, int]
    started: float
    about: Mapping[str, Any]
    base_sha256: str
    edit_counts: EditCounts = field(default_factory=EditCounts)


def framed(payload: bytes) -> bytes:
    """Return the record of a payload: length, checksum and content."""
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def payloads(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the payload and end of each record, up to the first that is incomplete or damaged."""
    place = len(MAGIC)
    while place + _HEAD.size <= len(content):
        length, checksum = _HEAD.unpack_from(content, place)
        start = place + _HEAD.size
        payload = content[start : start + length]
        if not length or len(payload) < length or zlib.crc32(payload) != checksum:
            return
        place = start + length
        yield payload, place


def pack_head(head: Head) -> bytes:
    """Return the payload of a description."""
    edit_counts = head.edit_counts
    content = {
        "format": _FORMAT,
        "key": head.key,
        "about": dict(head.about),
        "shape": list(head.shape),
        "started": head.started,
        "base_sha256": head.base_sha256,
        "tally": {"actions": dict(edit_counts.actions), "first": edit_counts.first, "last": edit_counts.last},
    }
    return b"M" + json.dumps(content).encode()


def unpack_head(payload: bytes) -> Head:
    """Return the description in a payload of `pack_head`.

    Raises
    ------
    DamagedError
        If it is something else.
    NewerError
        If it is of a later format.
    """
    try:
        content = json.loads(payload[1:] if payload[:1] == b"M" else b"{}")
        known = int(content["format"]) <= _FORMAT
        z, y, x = (int(n) for n in content["shape"])
        times = (content["tally"]["first"], content["tally"]["last"])
        first, last = (None if t is None else float(t) for t in times)
        actions = {str(name): int(count) for name, count in content["tally"]["actions"].items()}
        edit_counts, started = EditCounts(actions, first, last), float(content["started"])
        about, checksum = dict(content["about"]), content["base_sha256"]
        head = Head(str(content["key"]), (z, y, x), started, about, checksum, edit_counts)
    except (ValueError, OverflowError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError("no description") from error
    if not known:
        raise NewerError("a later format")
    if min(head.shape) < 1 or prod(head.shape) > _MOST_VOXELS:
        raise DamagedError("an impossible shape")
    return head


def pack_base(labels: Array) -> bytes:
    """Return the payload of initial labels: the bounding box of all that is not background."""
    box = _filled_box(labels)
    return b"B" + _box_bytes(box) + _deflated(labels[box])


def unpack_base(payload: bytes, shape: tuple[int, int, int]) -> Array:
    """Return the labels in a payload of `pack_base`.

    Raises
    ------
    DamagedError
        If the payload is something else, or does not fit the shape.
    """
    if payload[:1] != b"B":
        raise DamagedError("no labels")
    box, block = _unpack_block(payload, 1, shape)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[box] = block
    return labels


def pack_edit(box: Box, after: Array, action: str, time: float) -> bytes:
    """Return the payload of an edit."""
    name = action.encode()[:_NAME_BYTES]
    return EDIT + _TIME.pack(time, len(name)) + name + _box_bytes(box) + _deflated(after)


def unpack_action(payload: bytes) -> tuple[str, float]:
    """Return action and time of an edit, without its voxels.

    Raises
    ------
    DamagedError
        If the payload is something else.
    """
    if payload[:1] != EDIT or len(payload) < 1 + _TIME.size:
        raise DamagedError("no edit")
    time, length = _TIME.unpack_from(payload, 1)
    start = 1 + _TIME.size
    return payload[start : start + length].decode(errors="replace"), time


def unpack_edit(payload: bytes, shape: tuple[int, int, int]) -> Edit:
    """Return the edit in a payload of `pack_edit`.

    Raises
    ------
    DamagedError
        If the payload is something else, or does not fit the shape.
    """
    action, time = unpack_action(payload)
    start = 1 + _TIME.size + int(_TIME.unpack_from(payload, 1)[1])
    box, block = _unpack_block(payload, start, shape)
    return Edit(box, block, action, time)


def pack_locked(voxels: Sequence[Index]) -> bytes:
    """Return the payload of locked components: one voxel of each."""
    return LOCKED + np.asarray(voxels, dtype="<u4").tobytes()


def unpack_locked(payload: bytes, shape: tuple[int, int, int]) -> tuple[Index, ...]:
    """Return the voxels in a payload of `pack_locked`.

    Raises
    ------
    DamagedError
        If the payload is something else, or does not fit the shape.
    """
    if payload[:1] != LOCKED or len(payload) % _VOXEL_BYTES != 1:
        raise DamagedError("no locked components")
    voxels = np.frombuffer(payload, dtype="<u4", offset=1).reshape(-1, 3)
    if (voxels >= shape).any():
        raise DamagedError("a voxel outside the labels")
    return tuple((int(z), int(y), int(x)) for z, y, x in voxels)


def pack_thresholds(thresholds: Mapping[str, float]) -> bytes:
    """Return the payload of the thresholds, by output."""
    return THRESHOLDS + json.dumps(dict(thresholds)).encode()


def unpack_thresholds(payload: bytes) -> dict[str, float]:
    """Return the thresholds in a payload of `pack_thresholds`.

    Raises
    ------
    DamagedError
        If the payload is something else, or one is not between 0 and 1.
    """
    try:
        content = json.loads(payload[1:] if payload[:1] == THRESHOLDS else b"")
        found = {str(name): float(value) for name, value in content.items()}
    except (ValueError, OverflowError, RecursionError, TypeError, AttributeError) as error:
        raise DamagedError("no thresholds") from error
    if not all(0 < value < 1 for value in found.values()):
        raise DamagedError("an impossible threshold")
    return found


def fingerprint(labels: Array) -> str:
    """Return a SHA-256 of labels, independent of their order in memory."""
    box = _filled_box(labels)
    found = hashlib.sha256(str((tuple(int(n) for n in labels.shape), box)).encode())
    found.update(np.ascontiguousarray(labels[box], dtype=np.uint8).tobytes())
    return found.hexdigest()


def _filled_box(labels: Array) -> Box:
    """Return the bounding box of all that is not background, or an empty box."""
    z, y, x = bounding_box(labels) or (slice(0, 0),) * 3
    return z, y, x


def _box_bytes(box: Box) -> bytes:
    return _BOX.pack(*(end for side in box for end in (side.start, side.stop)))


def _deflated(block: Array) -> bytes:
    return zlib.compress(np.ascontiguousarray(block, dtype=np.uint8).tobytes(), _LEVEL)


def _unpack_block(payload: bytes, start: int, shape: tuple[int, int, int]) -> tuple[Box, Array]:
    if len(payload) < start + _BOX.size:
        raise DamagedError("no box")
    ends = _BOX.unpack_from(payload, start)
    z, y, x = (slice(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True))
    sizes = [side.stop - side.start for side in (z, y, x)]
    if any(size < 0 or side.stop > n for size, side, n in zip(sizes, (z, y, x), shape, strict=True)):
        raise DamagedError("a box outside the labels")
    try:
        # limited to the size of the box, whatever the data claim
        found = zlib.decompressobj().decompress(payload[start + _BOX.size :], prod(sizes) + 1)
    except zlib.error as error:
        raise DamagedError(str(error)) from error
    if len(found) != prod(sizes):
        raise DamagedError("another number of voxels than the box")
    return (z, y, x), np.frombuffer(found, dtype=np.uint8).reshape(sizes)
