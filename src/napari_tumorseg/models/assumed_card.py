"""Cards of published checkpoints that come without one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.card import ModelCard

# What the two published checkpoints in question want, by their number of input channels; see the recipes.
_INPUT: dict[int, dict[str, Any]] = {
    1: {
        "roles": ["flair"],
        "plane": "axial",
        "normalisation": {"method": "minmax", "scope": "slice", "statistics": "all"},
        "size": {"canvas": [96, 96], "fit": "stretch"},
    },
    3: {
        "roles": ["t1", "flair", "t1c"],
        "plane": "axial",
        "accepts": [["t1", "flair", "t1c"], ["t1", "flair"], ["flair", "t1c"], ["flair"]],
        "substitute": {"t1": "flair", "t1c": "flair"},
        "normalisation": {
            "method": "zscore",
            "scope": "volume",
            "statistics": "all",
            "percentiles": [10.0, 99.0],
        },
        "size": {"canvas": [256, 256], "fit": "pad"},
    },
}


def assumed_input(arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the card's table ``input`` for the arguments of a U-Net, or None if these leave it open."""
    return _INPUT.get(arguments["in_channels"]) if arguments["out_channels"] == 1 else None


def name_from(path: Path) -> str:
    """Return a name for a model from that of its file or folder."""
    return (
        "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in path.stem).lstrip("._-")
        or "model"
    )


def assumed_card(path: Path) -> ModelCard:
    """Return a card for a checkpoint that came without one, where its shape leaves one reading.

    Raises
    ------
    ModelError
        If the number of its channels leaves inputs or outputs open.
    """
    from napari_tumorseg.models.state_dict_keys import infer_unet_arguments
    from napari_tumorseg.models.weight_files import load_state_dict

    arguments = infer_unet_arguments(load_state_dict(path))
    given = assumed_input(arguments)
    if given is None:
        raise ModelError(
            f"{path} takes {arguments['in_channels']} channels and gives {arguments['out_channels']}, and no "
            f"card says which: write {path.with_suffix('.toml').name} beside it (see the guide, model cards)"
        )
    return ModelCard.model_validate(
        {
            "name": name_from(path),
            "title": f"{path.name} (no card)",
            "summary": "No card came with these weights: inputs, their order and normalisation are assumed "
            "from the number of channels. Check the result, and write a card.",
            "network": {"arguments": arguments},
            "input": given,
            "output": {"names": ["WT"], "labels": [1], "scheme": "binary"},
        }
    )
