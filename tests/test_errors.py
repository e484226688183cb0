from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pytest
import typer.main

import napari_tumorseg
from napari_tumorseg import cli, errors
from napari_tumorseg.cli import wording
from napari_tumorseg.cli.app import app
from napari_tumorseg.errors import ChoiceNeededError, Notice, Remedy, RoleError, TumorSegError, remedy_of

SOURCE = Path(napari_tumorseg.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z]")


def messages(path: Path) -> list[str]:
    """Return the string constants of a module that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)
    }
    constants = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in docstrings]
    return [n.value for n in constants if isinstance(n.value, str)]


def modules(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*.py")) if Path(cli.__file__).parent not in p.parents]


def test_no_message_outside_the_command_line_names_an_option() -> None:
    found = {p: [m for m in messages(p) if FLAG.search(m)] for p in modules(SOURCE)}
    assert len(found) > 150
    assert {p.relative_to(SOURCE): m for p, m in found.items() if m} == {}


def test_the_walk_sees_an_option(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""Not --this."""\nx = f"take {1} with --case"\n')
    assert [m for m in messages(tmp_path / "a.py") if FLAG.search(m)] == [" with --case"]


def test_the_command_line_words_every_remedy_with_options_that_exist() -> None:
    group = typer.main.get_command(app)
    known = {o for c in group.commands.values() for p in c.params for o in p.opts}  # type: ignore[attr-defined]
    assert set(wording.ADVICE) == set(Remedy)
    named = {word for text in wording.ADVICE.values() for word in re.findall(r"--[a-z-]+", text)}
    assert len(named) > 8
    assert named <= known


def test_the_panel_words_every_remedy() -> None:
    messages_of_panel = pytest.importorskip("napari_tumorseg.viewer.widgets.messages")
    assert set(messages_of_panel.ADVICE) == set(Remedy)


def test_an_error_survives_a_process() -> None:
    error = pickle.loads(pickle.dumps(ChoiceNeededError("two", ("a", "b"), Remedy.CHOOSE_CASE)))
    assert (str(error), error.options, error.remedy) == ("two", ("a", "b"), Remedy.CHOOSE_CASE)
    assert wording.worded(error) == "two; choose one with --case NAME"


def test_remedies_of_classes_and_of_texts() -> None:
    assert RoleError("x").remedy is Remedy.CHOOSE_MODEL
    assert TumorSegError("x").remedy is None
    assert remedy_of("plain") is None
    notice = Notice("/data/a.tif: 2 channels", Remedy.STATE_ROLES).replace("/data/", "")
    assert (notice, remedy_of(notice)) == ("a.tif: 2 channels", Remedy.STATE_ROLES)


def test_every_error_class_is_one_of_ours() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)]
    assert len(classes) >= 10
    assert all(issubclass(c, TumorSegError) for c in classes)
