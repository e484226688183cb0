"""Weights and attributes of an ONNX graph, checked without being decoded."""

from __future__ import annotations

import math

import numpy as np

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.messages import quoted
from napari_tumorseg.models.onnx.protobuf import Field, View, fields, integers, signed

MAX_SIDE = 1 << 16
"""Largest number in an attribute, such as a stride, that belongs to a sensible network."""

_ITEM_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16,
}  # fmt: skip
"""Bits of one element by ONNX' number of its type, without texts, complex numbers and types below 8 bits."""

_SIZES = frozenset(
    ("kernel_shape", "strides", "dilations", "pads", "output_padding", "output_shape", "group")
)
"""Attributes that are sizes; others hold flags, axes and indices."""

_EXTERNAL = 1


def check_attribute(message: View) -> None:
    """Check an attribute: its tensor, if it holds one, its sizes, and that it holds no graph."""
    name, numbers = "", list[int]()
    for part in fields(message):
        if part.number == 1:
            name = part.text
        elif part.number == 3:
            numbers.append(signed(part.integer))
        elif part.number == 8:
            numbers.extend(integers(part))
        elif part.number in (5, 10):
            check_tensor(part.content)
        elif part.number in (6, 11, 14, 15, 21, 22, 23):
            raise ModelError(f"has a graph or a type inside the attribute {quoted(name)}; it is not run")
    if name in _SIZES and any(abs(number) > MAX_SIDE for number in numbers):
        raise ModelError(f"declares {quoted(name)} of {max(numbers, key=abs)}; it is damaged or hostile")


def check_tensor(message: View) -> str:
    """Return a tensor's name if its numbers are all in the file, and as many as its shape says."""
    name, kind, sides, data = "", 0, list[int](), 0
    typed = dict[int, int]()
    for part in fields(message):
        if part.number == 1:
            sides.extend(integers(part))
        elif part.number == 2:
            kind = part.integer
        elif part.number == 8:
            name = part.text
        elif part.number == 9:
            data += len(part.content)
        elif part.number == 13 or (part.number == 14 and part.integer == _EXTERNAL):
            raise ModelError(
                f"keeps the weights {quoted(name)} in another file, which is not opened; write it again as "
                "one file"
            )
        elif part.number in _TYPED:
            typed[part.number] = typed.get(part.number, 0) + _count(part)
    _check_shape(name, kind, sides, data, sum(typed.values()))
    return name


_TYPED = {4: 4, 5: 0, 7: 0, 10: 8, 11: 0}
"""Fields of numbers that are not raw, with the bytes of one; 0 for integers of variable length."""


def _count(part: Field) -> int:
    """Return how many numbers a field holds."""
    if isinstance(part.value, int):
        return 1
    width = _TYPED[part.number]
    if width:
        return len(part.value) // width
    # an integer of variable length ends with the byte whose highest bit is not set
    return int(np.count_nonzero(np.frombuffer(part.value, dtype=np.uint8) < 0x80))


def _check_shape(name: str, kind: int, sides: list[int], raw: int, typed: int) -> None:
    """Raise if a tensor declares other numbers than it holds."""
    bits = _ITEM_BITS.get(kind)
    if bits is None:
        raise ModelError(f"weights {quoted(name)} are of a type that is not run here (number {kind})")
    if len(sides) > 8 or any(side < 0 for side in sides):
        raise ModelError(f"weights {quoted(name)} have an impossible shape; it is damaged or hostile")
    wanted = math.prod(sides)
    held = raw * 8 // bits if raw else typed
    if wanted != held:
        raise ModelError(
            f"weights {quoted(name)} declare {' x '.join(map(str, sides)) or 1} numbers, and the file holds "
            f"{held} of them; it is damaged or hostile"
        )
