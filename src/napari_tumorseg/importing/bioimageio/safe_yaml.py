"""YAML as plain values: no tags, and no more than its text shows."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from napari_tumorseg.extras import to_install
from napari_tumorseg.models.messages import one_line, quoted

MAX_BYTES = 512 << 10
"""Descriptions of models have some kilobytes."""

MAX_EVENTS = 50_000
MAX_DEPTH = 32
MAX_VALUES = 100_000
"""Values once every alias stands for what it repeats."""


def load_yaml(content: bytes) -> Any:
    """Return the value of a YAML document: dicts, lists, texts, numbers, dates.

    Raises
    ------
    ValueError
        If it is not YAML, or holds what descriptions do not need; the message continues a sentence that
        begins with the file's name.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"has more than {MAX_BYTES >> 10} KiB of text")
    yaml = _library()
    try:
        text = content.decode("utf-8")
        _check_events(yaml, text)
        value = yaml.load(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text") from error
    except (yaml.YAMLError, RecursionError, OverflowError, TypeError) as error:
        raise ValueError(f"is not valid YAML: {one_line(error)}") from error
    _count(value, {}, [])
    return value


def _library() -> Any:
    try:
        return import_module("yaml")
    except ImportError as error:
        raise ValueError(f"needs PyYAML, which is not installed: {to_install('onnx')}") from error


def _check_events(yaml: Any, text: str) -> None:
    """Raise `ValueError` at a tag, a merge, or too many or too deeply nested values."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if number > MAX_EVENTS:
            raise ValueError(f"has more than {MAX_EVENTS} values")
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"holds the tag {quoted(event.tag)}, and only plain values are read")
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<":
            raise ValueError("merges tables (<<), which is not read")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError("is nested too deeply")


def _count(value: Any, known: dict[int, int], above: list[int]) -> int:
    """Return the number of values, aliases counted as often as they stand for something."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) in above:
        raise ValueError("holds itself")
    if id(value) not in known:
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        inner = [*above, id(value)]
        known[id(value)] = 1 + sum(_count(part, known, inner) for part in parts)
    if known[id(value)] > MAX_VALUES:
        raise ValueError(f"stands for more than {MAX_VALUES} values")
    return known[id(value)]
