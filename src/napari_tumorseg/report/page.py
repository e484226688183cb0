"""HTML pages and SVG figures from the templates of this package.

Pages hold everything themselves and load nothing from the network. The only scripts are files of this
package; a policy in the page names them by hash, so that a browser runs no other. All text is escaped by the
template engine; templates are the only source of markup.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL.Image import Image

from napari_tumorseg.measurement.metrics import Metric


class Head(NamedTuple):
    """Heading of a column, with a tooltip."""

    text: str
    tip: str = ""

    @classmethod
    def of(cls, metric: Metric, prefix: str = "") -> Head:
        """Return the heading of a metric's column."""
        return cls(f"{prefix}{metric.column}", metric.tip)


class HtmlTable(NamedTuple):
    """Table of a page; a row of one cell is a heading of the rows below."""

    heads: Sequence[Head | str]
    rows: Sequence[Sequence[str | Head]]


class Section(NamedTuple):
    """Titled part of a page: a table, and notes below it."""

    title: str
    table: HtmlTable | None = None
    note: str = ""


def render(template: str, style: str, script: str | None = None, **content: Any) -> str:
    """Return a page.

    Parameters
    ----------
    template, style : str
        Names of the template and the style sheet.
    script : str, optional
        Name of the script, for a template that has one.
    **content
        Variables of the template.
    """
    css = _environment().get_template(style).render()
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(css)}'"
    if script is not None:
        code = _environment().get_template(script).render()
        policy += f"; script-src '{_hash(code)}'"
        content["script"] = Markup(code)
    return _environment().get_template(template).render(style=Markup(css), policy=Markup(policy), **content)


def _hash(text: str) -> str:
    """Return the hash of a style sheet or script as a policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def svg(template: str, **content: Any) -> Markup:
    """Return a figure, to be put into a page."""
    return Markup(_environment().get_template(template).render(**content))


def data_url(content: bytes, kind: str) -> str:
    """Return bytes as the URL of an image of this kind, such as ``"png"``."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def png_url(picture: Image) -> str:
    """Return a picture as a URL."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return data_url(file.getvalue(), "png")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("napari_tumorseg.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
