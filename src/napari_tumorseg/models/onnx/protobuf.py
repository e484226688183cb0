"""Protocol Buffers as they lie in a file, field by field, without a schema and without copies.

Source of the encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

View: TypeAlias = memoryview

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types; 3 and 4 are groups, which no current writer makes."""

MAX_FIELDS = 1_000_000
"""Fields of one message; a network's have some thousand."""

MAX_PACKED = 1 << 20
"""Bytes of a list of integers; lists in networks have a few."""

_MAX_NUMBER = (1 << 29) - 1


class Field(NamedTuple):
    """A field of a message.

    Attributes
    ----------
    number : int
        Its number in the schema.
    value : int or memoryview
        An integer, or the bytes of a string, a message, packed numbers or a fixed-size number.
    """

    number: int
    value: int | View

    @property
    def integer(self) -> int:
        """The value, which must be an integer.

        Raises
        ------
        ValueError
            If it is not.
        """
        if not isinstance(self.value, int):
            raise ValueError(f"field {self.number} holds bytes in place of a number")
        return self.value

    @property
    def content(self) -> View:
        """The value, which must be bytes.

        Raises
        ------
        ValueError
            If it is not.
        """
        if isinstance(self.value, int):
            raise ValueError(f"field {self.number} holds a number in place of bytes")
        return self.value

    @property
    def text(self) -> str:
        """The value as text.

        Raises
        ------
        ValueError
            If it is no UTF-8.
        """
        return bytes(self.content).decode("utf-8")


def fields(message: View) -> Iterator[Field]:
    """Yield the fields of a message in their order.

    Raises
    ------
    ValueError
        If the message is cut short or no message.
    """
    position = count = 0
    while position < len(message):
        count += 1
        if count > MAX_FIELDS:
            raise ValueError(f"a message has more than {MAX_FIELDS} fields")
        key, position = varint(message, position)
        number, kind = key >> 3, key & 7
        if not 0 < number <= _MAX_NUMBER:
            raise ValueError(f"there is no field {number}")
        if kind == VARINT:
            value, position = varint(message, position)
            yield Field(number, value)
            continue
        length, position = _length(message, position, kind)
        if length > len(message) - position:
            raise ValueError(f"field {number} declares {length} bytes of {len(message) - position}")
        yield Field(number, message[position : position + length])
        position += length


def varint(message: View, position: int) -> tuple[int, int]:
    """Return the integer of variable length at a position, and the position behind it.

    Raises
    ------
    ValueError
        If it is cut short or longer than 64 bits.
    """
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("it ends within a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise ValueError("a number has more than 64 bits")


def integers(field: Field) -> Iterator[int]:
    """Yield the signed integers of a repeated field, packed or one by one.

    Raises
    ------
    ValueError
        If they are cut short or too many.
    """
    if isinstance(field.value, int):
        yield signed(field.value)
        return
    if len(field.value) > MAX_PACKED:
        raise ValueError(f"a list of integers takes {len(field.value)} bytes")
    position = 0
    while position < len(field.value):
        value, position = varint(field.value, position)
        yield signed(value)


def signed(value: int) -> int:
    """Return the 64-bit integer that an unsigned one stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def text_field(number: int, text: str) -> bytes:
    """Return a field of text."""
    return bytes_field(number, text.encode("utf-8"))


def bytes_field(number: int, content: bytes) -> bytes:
    """Return a field of bytes, such as a message."""
    return _as_varint(number << 3 | BYTES) + _as_varint(len(content)) + content


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _length(message: View, position: int, kind: int) -> tuple[int, int]:
    """Return the length of a value and the position where it begins."""
    if kind == BYTES:
        return varint(message, position)
    if kind in (FIXED32, FIXED64):
        return (4 if kind == FIXED32 else 8), position
    raise ValueError(f"there is no wire type {kind}")
