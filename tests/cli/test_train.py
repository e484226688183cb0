from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from napari_tumorseg.cli import main
from napari_tumorseg.models import get_model
from tests.training.conftest import tiny, write_lgg

pytest.importorskip("lightning", reason="training needs the extra `train`")


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["tumorseg", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr()
    return int(end.value.code or 0), told.out + told.err


def test_recipes_are_listed_and_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, told = run(capsys, monkeypatch, "recipes")
    assert code == 0 and "hassan2025" in told and "lgg-flair" in told
    code, told = run(capsys, monkeypatch, "recipes", "ragab2025")
    assert tomllib.loads(told)["fit"]["batch"] == 2
    code, told = run(capsys, monkeypatch, "recipes", "--json")
    assert len(json.loads(told)) >= 7


def test_train_install_evaluate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of a student: train, find the model in the list, resume, evaluate on what was kept apart."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    data = write_lgg(tmp_path / "kaggle_3m")
    recipe = tmp_path / "mine.toml"
    recipe.write_text(tiny().to_toml(), encoding="utf-8")
    given = ["--recipe", recipe, "--data", data, "-o", tmp_path / "run", "--device", "cpu"]
    code, told = run(
        capsys,
        monkeypatch,
        "train",
        *given,
        "--set",
        "fit.epochs=3",
        "--name",
        "mine",
        "--leave-out",
        "TCGA-AA-0003",
    )
    assert code == 0 and "Research use only" in told and "7 cases" not in told
    assert get_model("mine").origin == "user"
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert split["test"] == ["TCGA_AA_0003_20000101"]
    code, told = run(capsys, monkeypatch, "models")
    assert "mine" in told
    code, told = run(capsys, monkeypatch, "train", *given, "--name", "other")
    assert code == 6 and "--resume" in told and "Traceback" not in told
    code, told = run(capsys, monkeypatch, "train", "--resume", "-o", tmp_path / "run", "--name", "2026")
    assert code == 0 and get_model("2026").origin == get_model("mine").origin == "user"
    assert get_model("mine").card.about.trained_on
    code, told = run(capsys, monkeypatch, "train", "--resume", "-o", tmp_path / "run", "--no-case-names")
    assert code == 0 and not get_model("mine").card.about.trained_on
    code, told = run(
        capsys,
        monkeypatch,
        "evaluate",
        "--model",
        "mine",
        "--data",
        data,
        "-o",
        tmp_path / "out",
        "--split",
        tmp_path / "run" / "split.json",
        "--part",
        "test",
    )
    assert code == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "TCGA_AA_0003" in json.dumps(summary)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--recipe", "hassan2025"], "--data"),
        (["--recipe", "hasan2025", "--data", "."], "no recipe"),
        (["--recipe", "hassan2025", "--data", "nowhere"], "nowhere does not exist"),
        (["--recipe", "hassan2025", "--data", ".", "--set", "fit.epoch=1"], "fit.epoch"),
        (["--resume"], "holds no training"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, said = run(capsys, monkeypatch, "train", *words, "-o", tmp_path / "run")
    assert code not in (0, 1) and told in said and len(said.strip().splitlines()) == 1


def test_taken_name_is_told_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models" / "2026"
    folder.mkdir(parents=True)
    (folder / "weights.pt").write_text("somebody's")
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    (tmp_path / "mine.toml").write_text(tiny().to_toml(), encoding="utf-8")
    given = ["--recipe", tmp_path / "mine.toml", "--data", write_lgg(tmp_path / "data", 4), "--name", "2026"]
    code, told = run(capsys, monkeypatch, "train", *given, "-o", tmp_path / "run")
    assert code == 3 and "another --name" in told and not (tmp_path / "run").exists()
    given += ["--leave-out", "TCGA-AA-0099", "--no-install"]  # a number as a name is no mistake, this is
    code, told = run(capsys, monkeypatch, "train", *given, "-o", tmp_path / "run")
    assert code == 3 and "TCGA-AA-0099" in told
    assert not (tmp_path / "run" / "run.json").exists()


def test_built_in_model_that_would_be_hidden_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    code, told = run(
        capsys, monkeypatch, "train", "--recipe", "lgg-flair", "--data", "nowhere", "-o", tmp_path / "run"
    )
    assert code == 3 and "built-in lgg-flair" in told


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "fit.epochs=3"],
        ["--recipe", "hassan2025"],
        ["--data", "."],
        ["--fold", "0"],
        ["--leave-out", "A"],
        ["--cache", "cache"],
        ["--start-from", "lgg-flair"],
    ],
    ids=lambda words: words[0],
)
def test_resume_refuses_what_it_would_ignore(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, told = run(capsys, monkeypatch, "train", "--resume", *words, "-o", tmp_path / "run")
    assert code == 2 and words[0] in told and "cannot be given" in " ".join(told.split())
