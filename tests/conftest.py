"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from napari_tumorseg import conventions

settings.register_profile("tests", deadline=None, database=None, max_examples=50)
settings.load_profile("tests")

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real scans that developers have beside the project; skip where it is not."""
    if not SHARED.is_dir():
        pytest.skip("the shared scans are not here")
    return SHARED


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep measurements and calibrated networks of tests out of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUMORSEG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _no_conventions_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget conventions that earlier tests read from files: two of one name are refused."""
    monkeypatch.setattr(conventions, "_own", {})
