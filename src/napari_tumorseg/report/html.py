"""Elements of a page; every text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], named: bool = False) -> str:
    """Return a table; a row of one cell is a heading of those below."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    lines = []
    for row in rows:
        if len(row) == 1:
            lines.append(f'<tr class="group"><td colspan="{len(heads)}">{escape(row[0])}</td></tr>')
            continue
        first = f"<td{' class=name' if named else ''}>{escape(row[0])}</td>"
        lines.append(f"<tr>{first}{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>")
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def box(sentence: str) -> str:
    """Return a sentence that is not to be overlooked."""
    return f'<p class="told">{escape(sentence)}</p>'


def folded(title: str, content: str) -> str:
    """Return what opens on a click, which needs no script; nothing where there is none."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>" if content else ""


def count(number: int, what: str) -> str:
    """Return a number and what it is of, in the plural where it is not one."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def capital(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]
