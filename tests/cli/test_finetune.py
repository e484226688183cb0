"""``tumorseg finetune``: folders that hold another fine-tuning, and missing cases."""

from __future__ import annotations

import pytest

pytest.importorskip("lightning", reason="training needs the extra `train`")

from napari_tumorseg.finetuning import Settings, Source
from napari_tumorseg.finetuning.settings import read_settings


def begun(folder):
    """Write the settings of a fine-tuning and return the arguments that gave them."""
    (folder / "study").mkdir(parents=True)
    source = Source(cases=folder / "study")
    Settings(parent="lgg-flair", data=(source,), name="mine").write(folder / "run")
    return ["finetune", "lgg-flair", "--data", folder / "study", "--name", "mine", "-o", folder / "run"]


@pytest.mark.parametrize("other", [["--steps", "9"], ["--roles", "flair,t1c"]])
def test_a_folder_of_other_settings_is_refused(tumorseg, tmp_path, other):
    arguments = begun(tmp_path)
    result = tumorseg(*arguments, *other)
    assert result.code != 0 and "other settings; choose another folder" in result.err
    assert read_settings(tmp_path / "run").steps == 240


def test_a_folder_of_another_model_is_refused(tumorseg, tmp_path):
    begun(tmp_path)
    result = tumorseg("finetune", "brats-regions", "-o", tmp_path / "run")
    assert result.code != 0 and "another model" in result.err


def test_without_cases_it_asks_for_them(tumorseg, tmp_path):
    result = tumorseg("finetune", "lgg-flair", "-o", tmp_path / "new")
    assert result.code != 0 and "--data or --worklist" in result.err
    assert not (tmp_path / "new").exists()


def test_an_unknown_model_leaves_no_run(tumorseg, tmp_path):
    (tmp_path / "study").mkdir()
    result = tumorseg(
        "finetune", "misspelt", "--data", tmp_path / "study", "--name", "x", "-o", tmp_path / "run"
    )
    assert result.code == 5 and "there is no model 'misspelt'" in result.err
    assert not (tmp_path / "run").exists()


def test_a_missing_folder_of_cases_leaves_no_run(tumorseg, tmp_path):
    given = ["--data", tmp_path / "nothing", "--name", "x", "-o", tmp_path / "run"]
    result = tumorseg("finetune", "lgg-flair", *given)
    assert result.code == 3 and "there is no file or folder" in result.err
    assert not (tmp_path / "run").exists()
