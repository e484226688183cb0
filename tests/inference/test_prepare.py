"""From a scan to the network's input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.normalisation import Statistics, normalise
from napari_tumorseg.inference.prepare import Prepared, prepare
from napari_tumorseg.inference.slice_plane import PLANES
from napari_tumorseg.models.card import Normalisation
from napari_tumorseg.scan import Role
from tests.builders import card_of, head, make_scan

WIDE = 10_000


def prepared(
    data: Array, spacing: Any = (1.0, 1.0, 1.0), brain: Array | None = None, **given: Any
) -> Prepared:
    card = card_of(input={"roles": ["flair"], **given})
    return prepare(make_scan({"flair": data}, spacing, brain), card, stride=1, margin=WIDE)


def inputs(ready: Prepared) -> Array:
    return np.stack([ready.network_input(i)[0] for i in range(ready.shape[0])])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("background", ["keep", "zero"])
def test_zscore_over_the_foreground_of_the_volume(dtype: type, background: str) -> None:
    data = head().astype(dtype if dtype is not np.uint8 else np.int16)
    if dtype is np.uint8:
        data = (data // 2).astype(np.uint8)
    wanted = {"method": "zscore", "clip": [-1.5, 1.5], "background": background}
    seen = inputs(prepared(data, normalisation=wanted))
    tissue = data[data != 0].astype(float)
    expected = np.clip((data - tissue.mean()) / tissue.std(), -1.5, 1.5)
    if background == "zero":
        expected[data == 0] = 0
    np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_a_background_that_is_not_the_minimum() -> None:
    """Adding a number to a scan, background and all, changes nothing."""
    wanted = {"method": "zscore", "percentiles": [0.5, 99.5], "background": "zero"}
    plain, moved = head(), head() - 150
    assert moved.min() < moved[0, 0, 0] + 1
    tissue = moved[plain != 0]
    tissue -= 100  # now the tissue lies on both sides
    moved[plain != 0] = tissue
    plain[plain != 0] -= 100
    np.testing.assert_allclose(
        inputs(prepared(moved, normalisation=wanted)),
        inputs(prepared(plain, normalisation=wanted)),
        atol=1e-4,
    )


def test_percentiles_are_those_of_the_foreground() -> None:
    data = head()
    wanted = {"method": "minmax", "percentiles": [5, 95], "background": "zero"}
    low, high = np.percentile(data[data > 0], [5, 95])
    expected = (np.clip(data, low, high) - low) / (high - low) * (data > 0)
    np.testing.assert_allclose(inputs(prepared(data, normalisation=wanted)), expected, atol=1e-5)


def test_minmax_per_slice_of_everything() -> None:
    data = head()
    wanted = {"method": "minmax", "scope": "slice", "statistics": "all"}
    seen = inputs(prepared(data, normalisation=wanted))
    for image, slice_ in zip(seen, data, strict=True):
        np.testing.assert_allclose(image, (slice_ - slice_.min()) / (np.ptp(slice_) or 1), atol=1e-6)


def test_slice_and_volume_scope_differ_where_slices_do() -> None:
    data = head()
    data[3] *= 2
    by_slice = inputs(prepared(data, normalisation={"scope": "slice"}))
    by_volume = inputs(prepared(data, normalisation={"scope": "volume"}))
    for index in range(2, 4):
        tissue = data[index] != 0
        assert by_slice[index][tissue].mean() == pytest.approx(0, abs=1e-4)
        assert by_slice[index][tissue].std() == pytest.approx(1, abs=1e-4)
    assert by_volume[3].mean() > by_volume[2].mean() + 0.5


def test_divide() -> None:
    data = (head() / 2).astype(np.uint8)
    seen = inputs(prepared(data, normalisation={"method": "divide", "divisor": 255}))
    np.testing.assert_allclose(seen, data / 255, atol=1e-6)


def test_what_is_no_number_becomes_background_and_counts_nowhere() -> None:
    clean = head(background=-5.0)
    dirty = clean.copy()
    tissue = clean != -5
    holes = [(3, 20, 20), (2, 15, 24)]
    for hole in holes:
        assert tissue[hole]
        dirty[hole], clean[hole] = (np.nan if hole[0] == 3 else np.inf), -5
    wanted = {"method": "zscore", "percentiles": [1, 99], "background": "zero"}
    np.testing.assert_allclose(
        inputs(prepared(dirty, normalisation=wanted)),
        inputs(prepared(clean, normalisation=wanted)),
        atol=1e-5,
    )


def test_an_image_without_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="holds no numbers"):
        prepared(np.full((2, 4, 4), np.nan, dtype=np.float32))


@pytest.mark.parametrize("scope", ["volume", "slice"])
@pytest.mark.parametrize("method", ["zscore", "minmax", "divide", "none"])
@pytest.mark.parametrize("statistics", ["foreground", "all"])
def test_a_constant_image_is_prepared_without_a_slice_to_run(
    scope: str, method: str, statistics: str
) -> None:
    wanted = {"method": method, "scope": scope, "statistics": statistics, "percentiles": [1, 99]}
    ready = prepared(np.full((3, 8, 8), 7, dtype=np.int16), normalisation=wanted)
    assert ready.todo == ()
    assert np.isfinite(ready.network_input(1)).all()


def test_empty_slices_are_left_out() -> None:
    data = head()
    data[0] = data[4] = 0
    filled = tuple(int(i) for i in np.flatnonzero(data.any(axis=(1, 2))))
    assert 4 not in filled
    assert prepared(data).todo == filled


def test_a_brain_mask_takes_the_skull_away() -> None:
    """With the mask, a scan with skull and air gives what the same scan without them gives."""
    stripped = head()
    brain = stripped > 0
    noise = np.random.default_rng(1).uniform(5, 60, stripped.shape).astype(np.float32)
    skull = np.where(brain, stripped, noise)
    skull[:, :2, :2] = skull[:, -2:, -2:] = skull[:, :2, -2:] = skull[:, -2:, :2] = 0
    given: dict[str, Any] = {"skull": "stripped", "normalisation": {"method": "zscore", "background": "zero"}}
    with_mask = prepared(skull, brain=brain, **given)
    assert with_mask.brain is not None
    plain = prepared(stripped, **given)
    np.testing.assert_allclose(inputs(with_mask), inputs(plain), atol=1e-4)
    assert with_mask.todo == plain.todo
    allowed = with_mask.allowed(3)
    assert allowed is not None
    np.testing.assert_array_equal(allowed, brain[3])
    assert prepared(skull, brain=brain, skull="present").brain is None


def test_the_padding_is_background() -> None:
    """The padding has the value of the background, also if that is not 0."""
    data = head(background=-5.0)
    wanted = {"method": "zscore", "background": "keep"}
    ready = prepared(data, normalisation=wanted, size={"canvas": [64, 64], "fit": "pad"})
    image = ready.network_input(3)[0]
    assert image.shape == (64, 64)
    assert image[0, 0] == pytest.approx(image[13, 9], abs=1e-5)
    assert image[0, 0] < -1


def test_a_missing_channel_is_zero_or_its_stand_in() -> None:
    scan = make_scan({"flair": head()})
    both = {"roles": ["t1", "flair"], "accepts": [["flair"]]}
    first, second = prepare(scan, card_of(input=both), 1).network_input(3)
    assert not first.any()
    assert second.any()
    first, second = prepare(scan, card_of(input={**both, "substitute": {"t1": "flair"}}), 1).network_input(3)
    np.testing.assert_array_equal(first, second)


def test_allowed_is_the_foreground_of_the_role_named() -> None:
    data = head()
    card = card_of(output={"inside_foreground_of": "flair"})
    allowed = prepare(make_scan({"flair": data}), card, 1).allowed(2)
    assert allowed is not None
    np.testing.assert_array_equal(allowed, data[2] > 0)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_cropping_changes_neither_sampling_nor_statistics(plane: str) -> None:
    data = np.zeros((60, 64, 70), dtype=np.float32)
    data[20:40, 24:44, 30:48] = np.random.default_rng(5).uniform(50, 90, (20, 20, 18))
    card = card_of(
        input={
            "plane": plane,
            "normalisation": {"method": "zscore", "background": "zero"},
            "size": {"spacing": 1.0, "canvas": [96, 96], "reduce": 2},
        }
    )
    scan = make_scan({"flair": data}, (0.8, 1.3, 1.0))
    tight, wide = prepare(scan, card, 4, margin=2), prepare(scan, card, 4, margin=WIDE)
    assert tight.window(tight.todo[5]) < wide.window(wide.todo[5])
    assert tight.todo == wide.todo
    one, other = tight.network_input(tight.todo[5]), wide.network_input(wide.todo[5])
    assert one.any()
    assert places_of(one[0], other[0]) == 1


def places_of(part: Array, whole: Array) -> int:
    views = np.lib.stride_tricks.sliding_window_view(whole, part.shape)
    return int(np.isclose(views, part, atol=1e-5).all(axis=(2, 3)).sum())


def test_planes_show_people_upright() -> None:
    z, y, x = np.indices((3, 4, 5))
    axial = PLANES["axial"]
    assert axial.apply(y)[0, :, 0].tolist() == [0, 1, 2, 3]  # anterior on top
    coronal = PLANES["coronal"]
    assert coronal.apply(z)[0, :, 0].tolist() == [2, 1, 0]  # head on top
    assert coronal.apply(x)[0, 0].tolist() == [0, 1, 2, 3, 4]
    sagittal = PLANES["sagittal"]
    assert sagittal.apply(z)[0, :, 0].tolist() == [2, 1, 0]
    assert sagittal.apply(y)[0, 0].tolist() == [0, 1, 2, 3]
    assert sagittal.reorder((1, 2, 3)) == (3, 1, 2)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_boxes_go_back_to_where_they_were_cut(plane: Any) -> None:
    slice_plane = PLANES[plane]
    data = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    cut = slice_plane.apply(data)
    box = (slice(1, 2), slice(0, 2), slice(1, 3))
    inside = data[slice_plane.canonical_box(box, cut.shape)]
    np.testing.assert_array_equal(slice_plane.apply(inside), cut[box])


def test_statistics_of_nothing_change_nothing() -> None:
    for method in ("zscore", "minmax"):
        wanted = Normalisation(method=method)  # type: ignore[arg-type]
        stats = Statistics.of(np.empty(0, dtype=np.float32), wanted)
        np.testing.assert_array_equal(normalise(np.array([1.0, 2.0]), stats, wanted), [1, 2])


def test_what_stands_in_is_looked_over_once() -> None:
    card = card_of(input={"roles": ["t1", "flair"], "accepts": [["flair"]], "substitute": {"t1": "flair"}})
    ready = prepare(make_scan({"flair": head()}), card, 1)
    assert ready.channels[0] is ready.channels[1]
    assert ready.channels[0] is not None
    assert ready.channels[0].role is Role.FLAIR


def test_neighbours_come_along_in_the_window_of_their_slice() -> None:
    data = head((9, 40, 48))
    alone = prepare(make_scan({"flair": data}), card_of(), 16)
    card = card_of(input={"neighbours": 2})
    assert card.input.offsets == (0, -1, 1, -2, 2) and card.input.channels == 5
    together = prepare(make_scan({"flair": data}), card, 16)
    for index in (0, 3, 4, 8):
        found = together.network_input(index)
        assert found.shape[0] == 5
        for channel, offset in zip(found, card.input.offsets, strict=True):
            neighbour = min(max(index + offset, 0), 8)
            expected = alone.slice_input(neighbour, window_of=index)[0]
            np.testing.assert_array_equal(channel, expected)
        np.testing.assert_array_equal(together.network_input(index), found)
