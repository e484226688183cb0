"""MkDocs hook: tables of the reference, generated from the program itself.

A line ``{{ name }}`` in a page is replaced by the output of the function of that name in `TABLES`.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import napari_tumorseg

PACKAGE = Path(napari_tumorseg.__file__).parent
_ATTRIBUTE = re.compile(r"^(\w+) : .*\n((?:    .+\n?)+)", re.MULTILINE)
_MARK = re.compile(r"^\{\{ (\w+) \}\}$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page; called by MkDocs."""
    return _MARK.sub(lambda mark: TABLES[mark[1]](), markdown)


def cli() -> str:
    """Return every command with its options, as the program's own help states them."""
    import typer.main

    from napari_tumorseg.cli.app import app

    group: Any = typer.main.get_command(app)
    return "\n\n".join(_command(name, command) for name, command in group.commands.items())


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join(["tumorseg", name, "[OPTIONS]", *((p.metavar or p.name).upper() for p in arguments)])
    rows = [(", ".join(f"`{o}`" for o in (*p.opts, *p.secondary_opts)), _help(p)) for p in command.params]
    options = table(("option", "meaning"), rows)
    return f"## {name}\n\n{_prose(command.help)}\n\n```text\n{usage}\n```\n\n{options}"


def _help(parameter: Any) -> str:
    from napari_tumorseg.cli.options import with_steps

    text = with_steps(_prose(getattr(parameter, "help", "") or ""))
    return f"{text} Required." if parameter.required and parameter.param_type_name == "option" else text


def _prose(text: str | None) -> str:
    return " ".join((text or "").split())


def exit_codes() -> str:
    """Return the exit codes of the command line."""
    from napari_tumorseg.cli.exits import EXIT_CODES

    return table(("code", "meaning"), ((f"{code}", meaning) for code, meaning in EXIT_CODES.items()))


def formats() -> str:
    """Return the file formats."""
    from napari_tumorseg.io.formats import FORMATS

    def endings(names: tuple[str, ...]) -> str:
        return ", ".join(f"`{name}`" for name in names) or "-"

    rows = ((f.title, endings(f.endings), endings(f.written)) for f in FORMATS)
    return table(("format", "read", "masks written"), rows)


def conventions() -> str:
    """Return the label conventions and the regions that each can form."""
    from napari_tumorseg.regions import CONVENTIONS

    rows = (
        (
            f"`{c.name}`",
            c.title,
            "; ".join(f"{label.value} {label.name}" for label in c.labels),
            ", ".join(c.regions),
        )
        for c in CONVENTIONS.values()
    )
    return table(("convention", "data sets", "labels", "regions"), rows)


def metrics() -> str:
    """Return the metrics of agreement."""
    from napari_tumorseg.measurement.metrics import BETTER, METRICS

    rows = ((f"`{name}`", m.heading, m.definition, BETTER[m.better]) for name, m in METRICS.items())
    return table(("column", "metric", "definition", "direction"), rows)


def keys() -> str:
    """Return the keys of the panel."""
    from napari_tumorseg.viewer.keys import COMMANDS

    return table(("key", "effect"), [(command.written_key, command.tip) for command in COMMANDS])


def cards() -> str:
    """Return the cards of the built-in models, as their files state them."""
    return "\n\n".join(_card(path) for path in sorted((PACKAGE / "models" / "builtin").glob("*.toml")))


def _card(path: Path) -> str:
    from napari_tumorseg.models import get_model

    described = get_model(path.stem).card.as_text()
    summary = tomllib.loads(path.read_text(encoding="utf-8"))["summary"]
    return f"### {path.stem}\n\n{_prose(summary)}\n\n```text\n{described}\n```"


def card_fields() -> str:
    """Return the fields of a model card, table by table."""
    from napari_tumorseg.models import card, origin, windows

    tables = {
        "input": card.Input,
        "input.foreground": card.Foreground,
        "input.normalisation": card.Normalisation,
        "input.size": card.Size,
        "input.windows": windows.Windows,
        "output": card.Output,
        "origin": origin.Origin,
        "origin.certificate": origin.Certificate,
    }
    return "\n\n".join(_fields(name, of) for name, of in tables.items())


def _fields(name: str, of: type[BaseModel]) -> str:
    text, _, attributes = inspect.cleandoc(of.__doc__ or "").replace("``", "`").partition("\n\nAttributes\n")
    meanings = {name: " ".join(lines.split()) for name, lines in _ATTRIBUTE.findall(attributes)}
    rows = [
        (f"`{field}`", _default(info), info.description or meanings.get(field, ""))
        for field, info in of.model_fields.items()
        if not (inspect.isclass(info.annotation) and issubclass(info.annotation, BaseModel))
    ]
    return f"### `[{name}]`\n\n{text}\n\n{table(('field', 'default', 'meaning'), rows)}"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    return "-" if value in (None, "", (), {}) else f"`{value}`"


def import_kinds() -> str:
    """Return the kinds of files that can be imported, in the order in which they are tried."""
    from napari_tumorseg.importing.kinds import KINDS

    return table(("kind", "name in cards"), [(kind.title, f"`{kind.name}`") for kind in KINDS])


def public_models() -> str:
    """Return the public models: where each is found, and what to type."""
    from napari_tumorseg.importing.public import public_models as known

    parts = []
    for model in known().values():
        facts = [
            ("page", f"<{model.page}>"),
            ("get", model.download),
            ("licence", model.licence),
            ("cite", model.citation),
            ("loads", model.loads),
            ("type", f"`{model.command}`" if model.command else "-"),
            ("note", model.note),
        ]
        parts.append(f"## {model.title}\n\n{table((f'`{model.name}`', ''), facts)}")
    return "\n\n".join(parts)


def floors() -> str:
    """Return the packages from top to bottom, as the contract of import-linter states them."""
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    lines = (layer.replace("napari_tumorseg.", "").strip("()") for layer in layers)
    return "```text\n" + "\n".join(lines) + "\n```"


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


TABLES: dict[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        cli,
        exit_codes,
        formats,
        conventions,
        metrics,
        keys,
        cards,
        card_fields,
        import_kinds,
        public_models,
        floors,
    )
}
"""Functions by the name that pages use."""
