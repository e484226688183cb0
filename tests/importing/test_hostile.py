"""No model file runs anything, opens another file or fills memory; each gets one sentence that names it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("yaml")

from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.importing import Answers, import_model
from napari_tumorseg.scan import Role
from tests.importing.hostile_models import HOSTILE, Trap

ANSWERS = Answers(roles=(Role.FLAIR,), plane="axial", normalisation="none", activation="sigmoid")

_FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pickle.find_class")
_MOST_MIB = 1500

_seen: list[tuple[str, str]] | None = None


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what Python is about to do; hooks cannot be removed, so it only listens while a test asks."""
    if _seen is not None and (event == "open" or event.startswith(("socket.", *_FORBIDDEN))):
        _seen.append((event, str(arguments[0]) if arguments else ""))


sys.addaudithook(_listen)


@pytest.fixture
def events() -> Iterator[list[tuple[str, str]]]:
    """Record what is opened and started during a test."""
    global _seen
    _seen = []
    yield _seen
    _seen = None


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trap:
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    folder = tmp_path / "in" / "model"
    folder.mkdir(parents=True)
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"\x01secret")
    return Trap(folder, tmp_path / "canary", secret)


def test_there_are_many() -> None:
    assert len(HOSTILE) >= 70


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_happens_but_a_sentence(name: str, trap: Trap, events: list[tuple[str, str]]) -> None:
    path = HOSTILE[name](trap)
    before = set(trap.folder.parent.parent.rglob("*"))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    events.clear()
    with pytest.raises(TumorSegError) as refused:
        import_model(path, answers=ANSWERS)
    sentence = str(refused.value)
    named = {path.name, *(file.name for file in path.rglob("*") if file.is_file())}
    assert any(name in sentence for name in named), sentence
    assert len(sentence.splitlines()) == 1 and len(sentence) < 600, sentence
    assert "secret\\" not in sentence and "Traceback" not in sentence
    assert not trap.canary.exists()
    assert set(trap.folder.parent.parent.rglob("*")) == before  # no folder was made, either
    opened = {text for event, text in events if event == "open"}
    assert not any("secret" in text for text in opened), opened
    assert [event for event in events if event[0] != "open"] == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < _MOST_MIB << 10
