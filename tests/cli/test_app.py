"""The command line as a whole: help, version, what it imports and how fast it is there."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_tumorseg import __version__
from napari_tumorseg.cli import main
from napari_tumorseg.cli.exits import EXIT_CODES, code_of
from napari_tumorseg.errors import (
    CancelledError,
    ChoiceNeededError,
    DeviceError,
    GeometryError,
    InputError,
    ModelError,
    OutputError,
    RoleError,
    TooLargeError,
    TumorSegError,
)
from tests.cli.conftest import Run, environment, files_in

COMMANDS = ("segment", "info", "measure", "models", "demo")


def python(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=environment(**more), capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(("encoding", "shown"), [("cp1252", r"\u0141ód\u017a"), ("utf-8", "Łódź")])
def test_names_that_redirected_output_has_no_code_for(
    case: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    """Redirected output on Windows has the code page of the country."""
    case = case.rename(case.with_name("Łódź"))

    def run(*arguments: str) -> str:
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "argv", ["tumorseg", "info", *arguments, str(case)])
        with pytest.raises(SystemExit) as end:
            main()
        stream.seek(0)
        assert not end.value.code
        return stream.read()

    assert run().startswith(f"{shown}: ")
    assert json.loads(run("--json"))["case"] == "Łódź"


def test_help(tumorseg: Run) -> None:
    done = tumorseg("--help")
    assert done.code == 0
    for part in (*COMMANDS, "not for diagnosis", "130", EXIT_CODES[6].split(";")[0]):
        assert part in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command: str, tumorseg: Run) -> None:
    assert tumorseg(command, "--help").code == 0


def test_version(tumorseg: Run) -> None:
    assert tumorseg("--version").out == f"napari-tumorseg {__version__}\n"


def test_wrong_use(tumorseg: Run) -> None:
    assert tumorseg("nonsense").code == 2
    assert tumorseg("segment").code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TumorSegError("x"), 1),
        (InputError("x"), 3),
        (TooLargeError("x"), 3),
        (GeometryError("x"), 3),
        (ChoiceNeededError("x"), 4),
        (ModelError("x"), 5),
        (RoleError("x"), 5),
        (OutputError("x"), 6),
        (DeviceError("x"), 7),
        (CancelledError("x"), 130),
    ],
)
def test_every_error_has_its_code(error: TumorSegError, code: int) -> None:
    assert code_of(error) == code
    assert code in EXIT_CODES


@pytest.mark.parametrize("arguments", [["--help"], ["segment", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from napari_tumorseg.cli import main\n"
        f"sys.argv = ['tumorseg', *{arguments}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'napari', 'nibabel', 'numpy', 'scipy', 'qtpy', 'h5py'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))"
    )
    done = python("-c", code)
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stderr


def test_without_a_viewer(case: Path, model: Path, tmp_path: Path) -> None:
    """The command line works where neither napari nor Qt is installed."""
    code = """
import sys

GUI = {"napari", "npe2", "magicgui", "qtpy", "vispy", "PySide6", "PyQt6", "PyQt5"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in GUI:
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
from napari_tumorseg.cli import main
main()
"""
    out = tmp_path / "out"
    picture = ("--picture", str(tmp_path / "p.png"))
    done = python("-c", code, "segment", str(case), "-o", str(out), "-m", str(model), *picture)
    assert done.returncode == 0, done.stderr
    assert files_in(out) == ["P-01_seg.json", "P-01_seg.nii.gz"]
    assert python("-c", code, "measure", str(out / "P-01_seg.nii.gz")).returncode == 0
    assert python("-c", code, "info", str(case)).returncode == 0


def test_a_process_exits_with_the_code(tmp_path: Path) -> None:
    done = python("-m", "napari_tumorseg.cli", "info", str(tmp_path))
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_goes_away() -> None:
    """``tumorseg models --json | head -1`` ends without a traceback."""
    with subprocess.Popen(
        [sys.executable, "-m", "napari_tumorseg.cli", "models", "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
    assert "Traceback" not in err
