"""The code blocks of README and documentation, run on the sample."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from napari_tumorseg.samples import sample_path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CASE = "BraTS-GLI-00001-000"
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page, without their indentation."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [
        re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        for indent, kind, code in found
        if kind == language
    ]


PYTHON = [(page, code) for page in PAGES for code in blocks(page, "python")]
COMMANDS = [
    (page, line.partition("#")[0].strip())
    for page in PAGES
    for code in blocks(page, "sh")
    for line in code.replace("\\\n", " ").splitlines()
    if line.startswith("tumorseg ")
]


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """A folder in which the sample case, alone and in a study, has the name that the documentation uses."""
    source = sample_path("brats")
    target = tmp_path / CASE
    target.mkdir()
    for file in source.iterdir():
        shutil.copy(file, target / file.name.replace(source.name, CASE))
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / CASE).symlink_to(target)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_block_states_its_language() -> None:
    for page in PAGES:
        fences = re.findall(r"^ *```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert all(fences[::2]), page.name


def test_there_are_blocks() -> None:
    assert len(PYTHON) >= 2
    assert len(COMMANDS) > 20


QUICK = ("README",)


@pytest.mark.parametrize(
    ("page", "code"),
    [
        pytest.param(*one, id=one[0].stem, marks=() if one[0].stem in QUICK else pytest.mark.slow)
        for one in PYTHON
    ],
)
def test_python_blocks_run_twice_in_a_row(workplace: Path, capsys, page: Path, code: str) -> None:
    for _ in range(2):
        exec(compile(code, str(page), "exec"), {})
        for file in workplace.glob("from_python*"):
            file.unlink()
    assert capsys.readouterr().out.count("WT") == 2


def test_every_command_and_option_exists() -> None:
    import typer.main

    from napari_tumorseg.cli.app import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for page, line in COMMANDS:
        _, name, *words = shlex.split(line)
        if name.startswith("-") or name.isupper():
            continue
        assert name in commands, (page.name, line)
        known = {o for p in commands[name].params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        assert {w for w in words if w.startswith("-")} <= known, (page.name, line)


def test_the_commands_of_the_readme_run_on_the_sample(workplace: Path, capsys, monkeypatch) -> None:
    from napari_tumorseg.cli import main

    lines = [line for page, line in COMMANDS if page.name == "README.md" and CASE in line]
    assert [line.split()[1] for line in lines] == ["info", "segment", "measure"]
    for line in lines:
        monkeypatch.setattr("sys.argv", shlex.split(line))
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code, capsys.readouterr().err
    assert (workplace / "results" / f"{CASE}_seg.nii.gz").is_file()
