"""Settings of a Keras layer, each checked for its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.messages import quoted

Pair = tuple[int, int]


class Settings:
    """Settings of one layer.

    Parameters
    ----------
    layer : str
        Name of the layer, for messages.
    config : mapping
        Its configuration.
    """

    def __init__(self, layer: str, config: Mapping[str, Any]) -> None:
        self.layer = layer
        self._config = config

    def error(self, problem: str) -> ModelError:
        """Return an error that names the layer."""
        return ModelError(f"layer {quoted(self.layer)} {problem}")

    def get(self, key: str, default: Any = None) -> Any:
        """Return a setting of any type."""
        return self._config.get(key, default)

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number."""
        value = self._config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key)
        try:
            return float(value)
        except OverflowError as error:
            raise self._wrong(key) from error

    def integer(self, key: str, default: int | None = None) -> int:
        """Return a whole number."""
        value = self._config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key)
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self._config.get(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key)
        return value

    def pair(self, key: str, default: Pair | None = None) -> Pair:
        """Return two whole numbers; one stands for both."""
        value = self._config.get(key)
        if value is None and default is not None:
            return default
        match value:
            case int(both):
                return both, both
            case [int(rows), int(columns)]:
                return rows, columns
        raise self._wrong(key)

    def edges(self, key: str) -> tuple[int, int, int, int]:
        """Return whole numbers above, below, left and right."""
        match self._config.get(key):
            case int(all_):
                return all_, all_, all_, all_
            case [int(rows), int(columns)]:
                return rows, rows, columns, columns
            case [[int(above), int(below)], [int(left), int(right)]]:
                return above, below, left, right
        raise self._wrong(key)

    def word(self, key: str, *known: str) -> str:
        """Return one of some words, by default the first."""
        value = self._config.get(key, known[0])
        if value not in known:
            raise self.error(f"has {key} {quoted(value)}; known are {', '.join(known)}")
        return str(value)

    def refuse(self, key: str, *allowed: Any) -> None:
        """Refuse a setting that is neither unset nor one of the allowed values."""
        value = self._config.get(key)
        if value is not None and value not in allowed:
            raise self.error(f"has {key} {quoted(value)}, which is not supported")

    def _wrong(self, key: str) -> ModelError:
        return self.error(f"has {key} {quoted(self._config.get(key))}, as Keras writes none")
