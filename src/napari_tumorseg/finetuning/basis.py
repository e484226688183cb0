"""Parent and cases that a fine-tuning began with, so that it goes on with the same ones.

Networks that are trained already were trained without certain patients: with other cases, the parts of the
patients would be others, too, and networks would be judged by patients that they have seen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.io.dataset import CaseRef
from napari_tumorseg.io.json_files import read_json

FILE = "basis.json"


@dataclass(frozen=True)
class Basis:
    """Parent and cases of a fine-tuning.

    Attributes
    ----------
    parent_sha256 : str
        Of the parent's weights.
    new, old : tuple of str
        Names of the corrected cases and of the rehearsal cases.
    """

    parent_sha256: str
    new: tuple[str, ...]
    old: tuple[str, ...]

    @classmethod
    def read(cls, run: Path) -> Basis | None:
        """Return what was written into the folder of a fine-tuning; None before that."""
        content = read_json(run / FILE)
        try:
            return cls(content["parent_sha256"], tuple(content["new"]), tuple(content["old"]))  # type: ignore[index]
        except (KeyError, TypeError):
            return None

    def write(self, run: Path) -> None:
        """Write it into the folder of a fine-tuning."""
        write_text(run / FILE, json.dumps(asdict(self), indent=2), overwrite=True)


def among(names: Sequence[str], cases: Sequence[CaseRef]) -> list[CaseRef]:
    """Return the cases of these names.

    Raises
    ------
    InputError
        If one is not there any more.
    """
    by_name = {case.name: case for case in cases}
    lost = next((name for name in names if name not in by_name), None)
    if lost is not None:
        raise InputError(
            f"the case {lost}, which this fine-tuning began with, is not there any more; begin anew"
        )
    return [by_name[name] for name in names]
