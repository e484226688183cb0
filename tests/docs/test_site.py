"""The documentation site: generated tables, and no resource from the network."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from napari_tumorseg.io.formats import FORMATS
from napari_tumorseg.measurement.metrics import METRICS
from napari_tumorseg.regions import CONVENTIONS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_hold_every_entry(generate: ModuleType) -> None:
    assert all(f"`{e}`" in generate.formats() for f in FORMATS for e in f.endings)
    assert all(f"`{name}`" in generate.conventions() for name in CONVENTIONS)
    assert all(f"`{name}`" in generate.metrics() for name in METRICS)
    assert "--same-voxels" in generate.cli() and "<steps>" not in generate.cli()
    assert "## evaluate" in generate.cli()
    assert "lgg-flair" in generate.cards() and "errors" in generate.floors()
    assert "| `largest_difference` | required |" in generate.card_fields()


def test_every_key_is_documented(generate: ModuleType) -> None:
    pytest.importorskip("napari", reason="the viewer extra is not installed")
    from napari_tumorseg.viewer.keys import COMMANDS

    rows = generate.keys().splitlines()
    assert rows[2:] == [f"| {command.written_key} | {command.tip} |" for command in COMMANDS]


def test_every_mark_of_a_page_has_a_table(generate: ModuleType) -> None:
    pages = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "docs").rglob("*.md"))
    marks = re.findall(r"^\{\{ (\w+) \}\}$", pages, re.MULTILINE)
    assert sorted(marks) == sorted(generate.TABLES)


@pytest.mark.slow
def test_the_site_loads_nothing_from_the_network(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the docs extra is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 15
    loaded = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?(https?:)?//[^>]*>")
    found = {page.name: loaded.findall(page.read_text(encoding="utf-8")) for page in pages}
    assert not any(found.values()), found
