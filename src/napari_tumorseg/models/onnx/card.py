"""The model card as an entry of an ONNX file's metadata."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.messages import one_line
from napari_tumorseg.models.onnx.file import OnnxFile, read_onnx
from napari_tumorseg.models.onnx.protobuf import bytes_field, text_field
from napari_tumorseg.toml_table import first_problem, parse_toml

KEY = "napari_tumorseg_card"
"""Key of the entry; its value is the card as TOML."""

_METADATA_FIELD = 14


def with_card(content: bytes, card: ModelCard) -> bytes:
    """Return the bytes of an ONNX file with a card in its metadata.

    A message may be longer by a repeated field at its end, so nothing before it changes.
    """
    entry = text_field(1, KEY) + text_field(2, card.to_toml())
    return content + bytes_field(_METADATA_FIELD, entry)


def card_in(found: OnnxFile, name: str) -> ModelCard | None:
    """Return the card in a file's metadata; None if there is none.

    Parameters
    ----------
    found : OnnxFile
        The file.
    name : str
        Its name, for the message.

    Raises
    ------
    ModelError
        If the card is wrong.
    """
    text = found.metadata.get(KEY)
    if text is None:
        return None
    try:
        return ModelCard.model_validate(parse_toml(text))
    except ValidationError as error:
        raise ModelError(f"the model card in {name}: {first_problem(error)}") from error
    except ValueError as error:
        raise ModelError(f"the model card in {name} {one_line(error)}") from error


def stored_card(path: Path) -> ModelCard:
    """Return the card inside an ONNX file.

    Raises
    ------
    ModelError
        If it cannot be read, or holds no card.
    """
    card = card_in(read_onnx(path), path.name)
    if card is None:
        raise ModelError(
            f"{path} holds no card, and none lies beside it: import it, which asks for what a card states"
        )
    return card
