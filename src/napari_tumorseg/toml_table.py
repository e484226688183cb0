"""Base class of the tables in model cards and recipes, and reading of their TOML files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

_DEEP_KEY = re.compile(r"(?<![\w\"'-])(?:[\w\"'-]+[ \t]*\.[ \t]*){64}")
"""A key of many dotted parts, on which `tomllib` takes time by their square."""

_NESTED = "cannot be read: its tables or lists are nested too deeply"


class TomlTable(BaseModel):
    """A table of a card or recipe: unknown keys are errors, since a misspelt one would have no effect."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    ValueError
        If the file cannot be read; the message continues a sentence that begins with the file's name.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"is not valid TOML: {error}") from error
    return parse_toml(text)


def parse_toml(text: str) -> dict[str, Any]:
    """Return the content of TOML.

    Raises
    ------
    ValueError
        If it cannot be read; the message continues a sentence that begins with its name.
    """
    if _DEEP_KEY.search(text):
        raise ValueError(_NESTED)
    try:
        return tomllib.loads(text)
    except RecursionError:  # its traceback is thousands of lines long
        raise ValueError(_NESTED) from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is not valid TOML: {error}") from error


def first_problem(error: ValidationError) -> str:
    """Return the first problem of a table, preceded by the name of its field."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "card"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{field}: {first['msg'].removeprefix('Value error, ')}{more}"
