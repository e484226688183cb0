from __future__ import annotations

import re

import jinja2
import pytest

from napari_tumorseg.measurement import METRICS
from napari_tumorseg.report import page
from napari_tumorseg.report.page import Head, HtmlTable, svg

NASTY = "<script>alert('x')</script>\"&"


@pytest.fixture
def templates():
    return page._environment()


def names():
    return page._environment().list_templates()


def test_templates_and_style_sheets_are_files_of_the_package():
    assert {"case.html", "case.css", "evaluation.html", "evaluation.css"} <= set(names())


@pytest.mark.parametrize("name", names())
def test_every_template_compiles(templates, name):
    assert templates.get_template(name)


@pytest.mark.parametrize("name", names())
def test_no_template_loads_or_runs_anything(templates, name):
    source, *_ = templates.loader.get_source(templates, name)
    # the one script is a file of the package, which the policy names by hash
    source = source.replace("<script>{{ script }}</script>", "")
    assert not re.search(r"<script|javascript:|https?://(?!www\.w3\.org)|@import|url\(| on\w+=", source)
    # markup is safe only if it comes from a template
    assert "|safe" not in source.replace(" ", "")


def test_cells_are_escaped(templates):
    macros = templates.get_template("macros.html").module
    table = str(macros.table(HtmlTable([NASTY, Head(NASTY, NASTY)], [[NASTY, NASTY], [NASTY]])))
    assert "<script" not in table
    assert table.count("&lt;script&gt;") == 6


def test_figures_are_escaped():
    figure = svg("chart.svg", title=NASTY, width=1, height=1)
    assert "<script" not in figure
    assert "&lt;script&gt;" in figure


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        svg("chart.svg", title="x", width=1)


def test_a_metric_heads_a_column_with_its_definition():
    assert Head.of(METRICS["hd95_mm"], "WT ") == ("WT HD95 (mm)", METRICS["hd95_mm"].tip)


@pytest.mark.parametrize("name", [name for name in names() if name.endswith(".js")])
def test_scripts_make_no_markup_and_reach_no_network(templates, name):
    source, *_ = templates.loader.get_source(templates, name)
    forbidden = (
        r"</|innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function|fetch|XMLHttp|import|Storage"
    )
    assert not re.search(forbidden, source)
