"""Mutations of valid files: of their bytes, and of what lies behind a compression or a checksum."""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random

from napari_tumorseg.session import records

Mutation = Callable[[bytes, Random], bytes]

_NUMBERS = (0, 1, 2, 3, 8, 127, 128, 255, 256, 32767, 65535, 1 << 20, (1 << 31) - 1, (1 << 32) - 1, 1 << 40)
_TEXT_VALUES = (
    "0",
    "-1",
    "1e309",
    "nan",
    "inf",
    "123456789012345678901234567890",
    '""',
    '"x"',
    "[]",
    "{}",
    "true",
    "null",
    "[" * 2000,
    "{a=" * 500,
    '"\\u0000"',
    "'" + "a" * 5000 + "'",
)


def mutate_bytes(content: bytes, rng: Random) -> bytes:
    """Change, cut, repeat or insert some bytes, most of them near the beginning, where headers are."""
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if not found:
            break
        rng.choice(_BYTE_STEPS)(found, _place(len(found), rng), rng)
    return bytes(found)


def _place(size: int, rng: Random) -> int:
    """Return an offset: anywhere, or more often within the first kilobytes."""
    return rng.randrange(min(size, rng.choice((64, 400, 2048, size))))


def _flip(found: bytearray, place: int, rng: Random) -> None:
    found[place] ^= 1 << rng.randrange(8)


def _set(found: bytearray, place: int, rng: Random) -> None:
    found[place] = rng.randrange(256)


def _number(found: bytearray, place: int, rng: Random) -> None:
    value, size = rng.choice(_NUMBERS), rng.choice((1, 2, 4, 8))
    value = rng.choice((value, -value)) & ((1 << 8 * size) - 1)
    packed = value.to_bytes(size, rng.choice(("little", "big")))
    found[place : place + size] = packed[: len(found) - place]


def _fraction(found: bytearray, place: int, rng: Random) -> None:
    value = rng.choice((0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf")))
    packed = struct.pack(rng.choice(("<f", ">f", "<d")), value)
    found[place : place + len(packed)] = packed[: len(found) - place]


def _cut(found: bytearray, place: int, rng: Random) -> None:
    del found[place:]


def _remove(found: bytearray, place: int, rng: Random) -> None:
    del found[place : place + rng.choice((1, 2, 8, 64, 1024))]


def _repeat(found: bytearray, place: int, rng: Random) -> None:
    part = found[place : place + rng.choice((1, 4, 32, 512))]
    found[place:place] = part * rng.choice((1, 2, 16))


def _fill(found: bytearray, place: int, rng: Random) -> None:
    size = min(rng.choice((2, 8, 64, 512)), len(found) - place)
    found[place : place + size] = bytes([rng.choice((0, 255, 32))]) * size


_BYTE_STEPS = (_flip, _set, _number, _number, _fraction, _cut, _remove, _repeat, _fill)


def mutate_text(content: bytes, rng: Random) -> bytes:
    """Change values and lines of TOML or JSON, now and then its bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(content, rng)
    text = content.decode()
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = rng.choice((_other_value, _other_value, _other_line, _other_key))(text, rng)
    return text.encode()


def _other_value(text: str, rng: Random) -> str:
    """Replace a number, text or word by an odd value."""
    places = list(re.finditer(r'"[^"\n]*"|-?\d+(\.\d+)?|true|false|null', text))
    if not places:
        return text
    place = rng.choice(places)
    return text[: place.start()] + rng.choice(_TEXT_VALUES) + text[place.end() :]


def _other_line(text: str, rng: Random) -> str:
    lines = text.splitlines(keepends=True)
    number = rng.randrange(len(lines) or 1)
    step = rng.choice(("drop", "double", "swap"))
    if step == "drop":
        del lines[number : number + 1]
    elif step == "double":
        lines[number:number] = lines[number : number + 1]
    else:
        rng.shuffle(lines)
    return "".join(lines)


def _other_key(text: str, rng: Random) -> str:
    keys = re.findall(r'^\s*"?([\w-]+)"?\s*[=:]', text, flags=re.MULTILINE)
    return text.replace(rng.choice(keys), rng.choice((*keys, "", "x" * 300)), 1) if keys else text


def mutate_gzip(content: bytes, rng: Random) -> bytes:
    """Change what a gzip file holds, or, now and then, the compressed bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(content, rng)
    return gzip.compress(mutate_bytes(gzip.decompress(content), rng), compresslevel=1, mtime=0)


def mutate_png(content: bytes, rng: Random) -> bytes:
    """Change a chunk of a PNG and mend its checksum, or the bytes as they are."""
    if rng.random() < 0.2:
        return mutate_bytes(content, rng)
    chunks, place = [], 8
    while place + 8 <= len(content):
        (size,) = struct.unpack_from(">I", content, place)
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += 12 + size
    number = rng.randrange(len(chunks))
    kind, body = chunks[number]
    if kind == b"IDAT":
        body = zlib.compress(mutate_bytes(zlib.decompress(body), rng))
    else:
        body = mutate_bytes(body or b"\0", rng)
    chunks[number] = (kind, body)
    return content[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def mutate_safetensors(content: bytes, rng: Random) -> bytes:
    """Change the JSON header and mend its length, or the bytes as they are."""
    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    (size,) = struct.unpack_from("<Q", content)
    header = json.dumps(json.loads(content[8 : 8 + size]), indent=0).encode()
    changed = mutate_text(header, rng)
    return struct.pack("<Q", len(changed)) + changed + content[8 + size :]


def mutate_zip(content: bytes, rng: Random) -> bytes:
    """Change a member of an archive and mend its checksum, or the bytes as they are."""
    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = rng.choice([name for name in members if name.endswith(".pkl")] + list(members))
    members[chosen] = mutate_bytes(members[chosen], rng)
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_STORED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return found.getvalue()


def mutate_journal(content: bytes, rng: Random) -> bytes:
    """Change the payload of a record and mend its checksum, or the bytes as they are."""
    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    payloads = [payload for payload, _ in records.payloads(content)]
    number = rng.randrange(len(payloads))
    change = mutate_text if payloads[number][:1] in (b"M", b"T") else mutate_bytes
    payloads[number] = change(payloads[number], rng) or b"M"
    return records.MAGIC + b"".join(records.framed(payload) for payload in payloads)
