"""Channels and labels in the dataset.json of nnU-Net v2."""

from __future__ import annotations

from typing import Any

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.json_file import entry
from napari_tumorseg.importing.tumour_words import class_output, region_output

WHERE = "dataset.json"


def channel_names(dataset: dict[str, Any]) -> list[str]:
    """Return the names of the input's channels, in order.

    Raises
    ------
    ModelError
        If they are not numbered from 0.
    """
    key = "channel_names" if "channel_names" in dataset else "modality"
    named = entry(dataset, key, dict, WHERE)
    try:
        return [str(named[str(number)]) for number in range(len(named))]
    except KeyError as error:
        raise ModelError(f"{WHERE}: {key} are not numbered from 0") from error


def output_of(dataset: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the number of outputs, and the table ``output`` as far as names of labels tell it.

    Raises
    ------
    ModelError
        If labels are not numbered, or regions have no order.
    """
    labels = {
        name: value for name, value in entry(dataset, "labels", dict, WHERE).items() if name != "ignore"
    }
    if any(isinstance(value, list) and len(value) > 1 for value in labels.values()):
        return _regions(dataset, labels)
    if not all(type(value) is int for value in labels.values()):
        raise ModelError(f"{WHERE}: its labels are no numbers")
    ordered = sorted(labels.items(), key=lambda item: item[1])
    if [value for _, value in ordered] != list(range(len(ordered))) or len(ordered) < 2:
        raise ModelError(f"{WHERE}: its labels are not numbered from 0, the background, without gaps")
    return len(ordered), class_output([name for name, _ in ordered])


def _regions(dataset: dict[str, Any], labels: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    regions = [name for name, value in labels.items() if value not in (0, [0])]
    order = entry(dataset, "regions_class_order", list, WHERE)
    if len(order) != len(regions):
        raise ModelError(f"{WHERE}: {len(regions)} regions, and an order of {len(order)}")
    return len(regions), region_output(regions)
