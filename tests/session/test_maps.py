"""Probabilities kept by a run, written to the journal and read again."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.inference import PostSettings, StoredProbabilities
from napari_tumorseg.models.card import Output
from napari_tumorseg.session.maps import pack_maps, unpack_maps

SHAPE = (6, 20, 24)
BOX = (slice(1, 5), slice(2, 18), slice(4, 20))


def grid(shape=SHAPE) -> Grid:
    """A grid in canonical order."""
    affine = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1]], dtype=float)
    return Grid.from_file(shape, affine, "mm")


def stored(brain=True, **output) -> StoredProbabilities:
    """Probabilities that fall off from a middle, in three nested regions."""
    z, y, x = np.ogrid[:4, :16, :16]
    far = np.sqrt(4 * (z - 2) ** 2 + (y - 8) ** 2 + (x - 8) ** 2)
    told = {"names": ("WT", "TC", "ET"), "labels": (2, 1, 3), "scheme": "brats-2023", **output}
    maps = {
        name: (255 / (1 + np.exp(far - size))).astype(np.uint8)
        for name, size in zip(told["names"], (6, 4, 2), strict=True)
    }
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 6:12, 8:14] = 3  # what no threshold gives: as the run had it
    inside = np.zeros(SHAPE, bool)
    inside[:, 1:-1, 1:-1] = True
    return StoredProbabilities(
        maps,
        BOX,
        grid(),
        Output(**told),
        PostSettings(min_component_mm3=2.5, fill_holes=True, inside_brain=brain),
        inside if brain else None,
        0.4,
        True,
        _result=((slice(2, 4), slice(6, 12), slice(8, 14)), labels[2:4, 6:12, 8:14]),
    )


@pytest.mark.parametrize("brain", [True, False])
def test_what_was_kept_comes_back(brain):
    before = stored(brain)
    after = unpack_maps(pack_maps(before), grid())
    assert list(after.probabilities) == ["WT", "TC", "ET"]
    for name, values in before.probabilities.items():
        np.testing.assert_array_equal(after.probabilities[name], values)
    for name in ("box", "output", "post", "threshold", "flipped"):
        assert getattr(after, name) == getattr(before, name)
    if brain:
        np.testing.assert_array_equal(after.brain, before.brain)
    else:
        assert after.brain is None
    np.testing.assert_array_equal(after.result(), before.result())
    np.testing.assert_array_equal(after.uncertainty(), before.uncertainty())
    for threshold in (0.2, 0.4, 0.8):
        np.testing.assert_array_equal(after.labels_at(threshold), before.labels_at(threshold))


def test_the_disagreement_of_members_comes_back():
    doubt = np.random.default_rng(1).integers(0, 256, (4, 16, 16), dtype=np.uint8)
    before = replace(stored(), disagreement=doubt)
    np.testing.assert_array_equal(unpack_maps(pack_maps(before), grid()).uncertainty(), doubt)
    with pytest.raises(InputError, match="run the model again"):
        unpack_maps(pack_maps(replace(before, disagreement=doubt[:2])), grid())


def test_a_run_that_found_nothing_comes_back():
    before = replace(stored(), _result=None)
    assert not unpack_maps(pack_maps(before), grid()).result().any()


@pytest.mark.parametrize("place", range(0, 2000, 61))
def test_what_is_damaged_is_one_sentence_or_harmless(place):
    content = bytearray(pack_maps(stored()))
    whole = bytes(content)
    content[place % len(content)] ^= 0x5A
    for bad in (bytes(content), whole[: place % len(whole)]):
        try:
            found = unpack_maps(bad, grid())
        except InputError as error:
            assert "run the model again" in str(error) and "\n" not in str(error)
        else:
            np.testing.assert_array_equal(found.probabilities["WT"], stored().probabilities["WT"])


def test_maps_of_another_scan_or_format_are_refused():
    with pytest.raises(InputError, match="run the model again"):
        unpack_maps(pack_maps(stored()), grid((4, 20, 24)))
    with np.load(io.BytesIO(pack_maps(stored()))) as found:
        arrays = dict(found)
    for bad in (
        {"map 1": arrays["map 1"][:2]},
        {"result": arrays["result"].astype(float)},
        {"told": arrays["map 0"]},
    ):
        file = io.BytesIO()
        np.savez_compressed(file, **(arrays | bad))
        with pytest.raises(InputError, match="run the model again"):
            unpack_maps(file.getvalue(), grid())
