"""Reading of a MONAI bundle into a draft."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.bioimageio.safe_yaml import load_yaml
from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.importing.json_file import parse_table
from napari_tumorseg.importing.monai_bundle.config import Config
from napari_tumorseg.importing.monai_bundle.networks import network_of
from napari_tumorseg.importing.monai_bundle.steps import activation_of, input_of, windows_of
from napari_tumorseg.importing.package_files import PackageFiles
from napari_tumorseg.importing.tumour_words import class_output, region_output, roles_of
from napari_tumorseg.models.architectures import ARCHITECTURES
from napari_tumorseg.models.card import Network
from napari_tumorseg.models.weight_files import State, load_state_dict

_METADATA = "configs/metadata.json"
_CONFIGS = ("configs/inference.json", "configs/inference.yaml", "configs/inference.yml")
_WEIGHTS = ("models/model.pt", "models/model.pth", "models/model.safetensors")

_MOST_TEXT = 4 << 20
_MOST_WEIGHTS = 4 << 30


def recognise(path: Path) -> bool:
    """Return whether a folder or zip archive has the metadata and the configuration of a bundle."""
    if not path.is_dir() and path.suffix.lower() != ".zip":
        return False
    try:
        files = PackageFiles(path)
        return bool(_root(files) is not None)
    except ModelError:
        return False


def _root(files: PackageFiles) -> str | None:
    """Return the folder inside the package that holds the bundle: its top, or a folder named as the file."""
    for root in ("", f"{files.path.stem}/"):
        if files.has(root + _METADATA) and any(files.has(root + name) for name in _CONFIGS):
            return root
    return None


def read(path: Path, answers: Answers) -> Draft:
    """Return the draft of a bundle; nothing in it is evaluated.

    Raises
    ------
    ModelError
        If its network is not on the list, or a value that is needed would have to be evaluated.
    """
    files = PackageFiles(path)
    root = _root(files) or ""
    try:
        return _draft(files, root)
    except ModelError as error:
        text = str(error)
        raise ModelError(text if text.startswith(path.name) else f"{path.name}: {text}") from error


def _draft(files: PackageFiles, root: str) -> Draft:
    metadata = parse_table(files.read(root + _METADATA, _MOST_TEXT), _METADATA)
    name = next(name for name in _CONFIGS if files.has(root + name))
    config = Config(_table(files.read(root + name, _MOST_TEXT), name), name)
    definition = config.get("network_def" if config.raw("network_def") is not None else "network")
    if not isinstance(definition, dict):
        raise ModelError(f"{name} defines no network")
    network = _network(network_of(definition, name))
    prepared = input_of(config)
    sides = int(network.arguments["sides"])
    given = {key: value for key, value in prepared.items() if key in ("normalisation", "foreground", "skull")}
    inputs, outputs = _channels(metadata, "inputs"), _channels(metadata, "outputs")
    roles = roles_of(inputs) if inputs else None
    return Draft(
        network,
        _weights(files, root, network),
        input={
            "plane": "volume",
            "windows": windows_of(config, prepared, sides),
            **given,
            **({"roles": list(roles)} if roles else {}),
        },
        output=_output(config, outputs),
        about=_about(metadata),
        title=str(metadata.get("name", ""))[:80],
        format=f"MONAI bundle {str(metadata.get('version', ''))[:20]}".strip(),
        warnings=_warnings(prepared),
    )


def _table(content: bytes, name: str) -> dict[str, Any]:
    if name.endswith(".json"):
        return parse_table(content, name)
    try:
        found = load_yaml(content)
    except ValueError as error:
        raise ModelError(f"{name} {error}") from error
    if not isinstance(found, dict):
        raise ModelError(f"{name} holds no table")
    return found


def _network(table: dict[str, Any]) -> Network:
    try:
        ARCHITECTURES[table["architecture"]].arguments.of(table["arguments"])
        return Network.model_validate(table)
    except ValueError as error:
        raise ModelError(f"its network cannot be built: {error}") from error


def _weights(files: PackageFiles, root: str, network: Network) -> State:
    name = next((name for name in _WEIGHTS if files.has(root + name)), None)
    if name is None:
        raise ModelError(
            f"holds no weights ({_WEIGHTS[0]}); TorchScript alone is a program, which is not run"
        )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(name).name
        copy.write_bytes(files.read(root + name, _MOST_WEIGHTS))
        state = {key: tensor.clone() for key, tensor in load_state_dict(copy).items()}
    return ARCHITECTURES[network.architecture].network_class().adapt_state(state)


def _channels(metadata: dict[str, Any], kind: str) -> list[str]:
    """Return the names of the channels of the first input or output; empty where none are stated."""
    formats = metadata.get("network_data_format")
    entries = formats.get(kind) if isinstance(formats, dict) else None
    first = next(iter(entries.values()), None) if isinstance(entries, dict) else None
    named = first.get("channel_def") if isinstance(first, dict) else None
    if not isinstance(named, dict):
        return []
    return [str(named[str(number)]) for number in range(len(named)) if str(number) in named]


def _output(config: Config, names: list[str]) -> dict[str, Any]:
    activation, threshold = activation_of(config)
    found: dict[str, Any] = {"activation": activation} if activation else {}
    if names and activation:
        found = region_output(names) if activation == "sigmoid" else class_output(names)
    return {
        **found,
        **({"threshold": threshold} if threshold is not None and activation == "sigmoid" else {}),
    }


def _about(metadata: dict[str, Any]) -> dict[str, str]:
    texts = {"licence": metadata.get("license"), "citation": metadata.get("references")}
    return {key: str(text)[:400] for key, text in texts.items() if isinstance(text, str) and text}


def _warnings(prepared: dict[str, Any]) -> tuple[str, ...]:
    if prepared["axes"] != ["L", "P", "S"]:
        return ()
    return ("its training images are taken to lie as those of BraTS do (LPS), since it does not turn them",)
