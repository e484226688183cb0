"""The encoding of Protocol Buffers."""

from __future__ import annotations

import pytest

from napari_tumorseg.models.onnx.protobuf import (
    Field,
    bytes_field,
    fields,
    integers,
    signed,
    text_field,
    varint,
)


def read(content: bytes) -> list[tuple[int, int | bytes]]:
    return [
        (f.number, f.value if isinstance(f.value, int) else bytes(f.value))
        for f in fields(memoryview(content))
    ]


def test_the_examples_of_the_specification() -> None:
    assert read(bytes([0x08, 0x96, 0x01])) == [(1, 150)]
    assert read(bytes([0x12, 0x07]) + b"testing") == [(2, b"testing")]
    assert read(bytes([0x0D, 1, 2, 3, 4])) == [(1, bytes([1, 2, 3, 4]))]
    assert read(bytes([0x09, *range(8)])) == [(1, bytes(range(8)))]


def test_packed_and_single_integers_are_the_same() -> None:
    packed = Field(6, memoryview(bytes([0x03, 0x8E, 0x02, 0x9E, 0xA7, 0x05])))
    assert list(integers(packed)) == [3, 270, 86942]
    assert list(integers(Field(6, (1 << 64) - 1))) == [-1]
    assert signed(5) == 5


def test_what_is_written_is_read() -> None:
    content = text_field(1, "Größe" * 100) + bytes_field(2000, b"x")
    (first, second) = fields(memoryview(content))
    assert (first.number, first.text) == (1, "Größe" * 100)
    assert (second.number, bytes(second.content)) == (2000, b"x")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x08", "ends within a number"),
        (b"\x08" + b"\xff" * 10, "more than 64 bits"),
        (b"\x12\x7fabc", "declares 127 bytes of 3"),
        (b"\x0d\x01", "declares 4 bytes of 1"),
        (b"\x00\x01", "no field 0"),
        (b"\x0b", "no wire type 3"),
    ],
)
def test_damaged_messages(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(fields(memoryview(content)))


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tumorseg.models.onnx.protobuf.MAX_FIELDS", 3)
    monkeypatch.setattr("napari_tumorseg.models.onnx.protobuf.MAX_PACKED", 3)
    assert len(read(b"\x08\x01" * 3)) == 3
    with pytest.raises(ValueError, match="more than 3 fields"):
        read(b"\x08\x01" * 4)
    with pytest.raises(ValueError, match="takes 4 bytes"):
        list(integers(Field(1, memoryview(bytes(4)))))


def test_kinds_of_values_are_not_mixed_up() -> None:
    with pytest.raises(ValueError, match="a number in place of bytes"):
        _ = Field(1, 5).content
    with pytest.raises(ValueError, match="bytes in place of a number"):
        _ = Field(1, memoryview(b"")).integer
    with pytest.raises(ValueError, match="ends within"):
        varint(memoryview(b""), 0)
