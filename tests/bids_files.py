"""BIDS data sets for tests, and the official validator."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.builders import head
from tests.nifti_files import save_nifti

SUFFIXES = ("FLAIR", "T1w", "ce-gadolinium_T1w", "T2w")


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def describe(root: Path, kind: str = "raw") -> None:
    write_json(
        root / "dataset_description.json", {"Name": "test", "BIDSVersion": "1.10.0", "DatasetType": kind}
    )


def write_session(
    root: Path, subject: str, session: str | None = None, suffixes: Sequence[str] = SUFFIXES
) -> str:
    """Write the anatomy of a session (LPS, 1 mm), bright where `head` has its lesion; return its name."""
    stem = f"sub-{subject}" + (f"_ses-{session}" if session else "")
    folder = root.joinpath(*stem.split("_"), "anat")
    for suffix in suffixes:
        save_nifti(folder / f"{stem}_{suffix}.nii.gz", head().transpose(2, 1, 0).astype(np.int16))
    return stem


def problems(root: Path, *options: str) -> list[str]:
    """Return the errors that the BIDS validator finds in a data set; skip where it is not installed."""
    program = Path(sys.executable).with_name("bids-validator-deno")
    if not program.exists():
        pytest.skip("bids-validator-deno is not installed")
    command = [str(program), "--format", "json", *options, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = json.loads(done.stdout)
    assert found["summary"]["totalFiles"]
    issues = found["issues"]["issues"]
    return [f"{i['code']} {i.get('location')}" for i in issues if i["severity"] == "error"]
