"""Derivative data set that results are written to: its description, its README, and its source data set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tumorseg._version import __version__
from napari_tumorseg.errors import OutputError
from napari_tumorseg.io.atomic import make_folder, write_text
from napari_tumorseg.io.json_files import write_json
from napari_tumorseg.io.locks import LOCK, held
from napari_tumorseg.notice import RESEARCH_USE

SOURCE = "raw"
"""Name of the source data set in BIDS URIs."""

DESCRIPTION = "dataset_description.json"
_IGNORED = ".bidsignore"
_GENERATOR = "napari-tumorseg"
_VERSION = "1.10.0"
_UNSTATED = "urn:napari-tumorseg:source-data-set"
_README = f"""# Segmentations of brain tumours

Made by napari-tumorseg. {RESEARCH_USE}

For each session:

* `seg-tumour_dseg.nii.gz`: labels; names are in the `.tsv`, model, settings and versions in the `.json`.
* `label-WT_mask.nii.gz`, whole tumour; `TC`, tumour core, and `ET`, enhancing tumour, if labels define them.
* `label-..._probseg.nii.gz`: probabilities, if they were requested.

Voxels are those of the image that `SpatialReference` names.
"""


def link_to(source: Path | None, root: Path) -> str:
    """Return the link from a derivative data set to its source.

    It is a relative path if the derivatives lie inside the source. Otherwise it is a placeholder, since names
    of folders can identify patients; the path can be entered in ``dataset_description.json`` by hand.
    """
    inside = source is not None and source.resolve() in root.resolve().parents
    if source is None or not inside:
        return _UNSTATED if source is not None else ""
    depth = len(root.resolve().relative_to(source.resolve()).parts)
    return "/".join([".."] * depth)


def check_dataset(root: Path, source: Path | None) -> None:
    """Refuse a folder that is not for results: the source data set, or one of another program.

    Raises
    ------
    OutputError
        With the reason.
    """
    if source is not None and source.resolve() == root.resolve():
        usual = root / "derivatives" / _GENERATOR
        raise OutputError(f"{root} is the data set itself; choose another folder, such as {usual}")
    content = _content(root / DESCRIPTION)
    if content is None:
        return
    if content.get("DatasetType") != "derivative" or _GENERATOR not in _generators(content):
        raise OutputError(
            f"{root} is a BIDS data set that was not made by {_GENERATOR}; choose another folder"
        )
    link, known = link_to(source, root), _links(content).get(SOURCE, "")
    if link and known and link != known and _UNSTATED not in (link, known):
        raise OutputError(f"{root} holds results of another data set; choose another folder")


def ensure_dataset(root: Path, source: Path | None) -> None:
    """Write the description and README of a derivative data set unless they are there.

    Raises
    ------
    OutputError
        If that cannot be done, or `check_dataset` refuses the folder.
    """
    make_folder(root)
    with held(root / LOCK):  # several cases may be written at the same time
        check_dataset(root, source)
        path = root / DESCRIPTION
        before = _content(path)
        link = link_to(source, root)
        if before is None:
            write_json(path, _description(link), overwrite=True)
        elif link and SOURCE not in _links(before):
            links = {**_links(before), SOURCE: link}
            write_json(path, {**before, "DatasetLinks": links}, overwrite=True)
        if not any(root.glob("README*")):
            write_text(root / "README.md", _README)


def ignore(root: Path, pattern: str) -> None:
    """Add a pattern to ``.bidsignore``, for files that BIDS does not define.

    Raises
    ------
    OutputError
        If that cannot be done.
    """
    path = root / _IGNORED
    with held(root / LOCK):
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        if pattern not in lines:
            write_text(path, "".join(f"{line}\n" for line in (*lines, pattern)), overwrite=True)


def _description(link: str) -> dict[str, Any]:
    about = {"Name": _GENERATOR, "Version": __version__, "Description": RESEARCH_USE}
    return {
        "Name": "Segmentations of brain tumours",
        "BIDSVersion": _VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [about],
        **({"DatasetLinks": {SOURCE: link}} if link else {}),
    }


def _content(path: Path) -> dict[str, Any] | None:
    """Return a description; None if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise OutputError(f"{path} cannot be read ({error}); repair it or choose another folder") from error
    if not isinstance(content, dict):
        raise OutputError(f"{path} is not the description of a data set; choose another folder")
    return content


def _generators(content: Mapping[str, Any]) -> list[object]:
    listed = content.get("GeneratedBy")
    return [one.get("Name") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _links(content: Mapping[str, Any]) -> dict[str, str]:
    links = content.get("DatasetLinks")
    return {str(key): str(value) for key, value in links.items()} if isinstance(links, dict) else {}
