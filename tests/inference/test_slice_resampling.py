"""The matrices between slice and network, against torch's own resampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from napari_tumorseg.inference.slice_resampling import AxisMap, apply_maps, axis_map, shrink_factor
from napari_tumorseg.models.card import Size

MARGIN = 10_000  # so wide that the window is the whole canvas


def whole(length: int, size: Size, spacing: float | None = None, axis: int = 0, stride: int = 1) -> AxisMap:
    return axis_map(length, spacing, size, axis, (0, length), stride, MARGIN)


def picture(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)


def resize(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    tensor = torch.from_numpy(image)[None, None].double()  # in single precision torch's positions are coarse
    return F.interpolate(tensor, shape, mode="bilinear", align_corners=False, antialias=True)[0, 0].numpy()


@pytest.mark.parametrize(
    ("shape", "canvas"),
    [
        ((240, 240), (96, 96)),
        ((64, 48), (96, 96)),
        ((155, 241), (97, 101)),
        ((97, 33), (33, 97)),
        ((512, 384), (256, 256)),
        ((7, 5), (96, 3)),
        ((1, 9), (8, 9)),
    ],
)
def test_stretch_is_torchs_antialiased_bilinear(shape: tuple[int, int], canvas: tuple[int, int]) -> None:
    image = picture(*shape)
    size = Size(canvas=canvas, fit="stretch")
    rows, columns = whole(shape[0], size, axis=0), whole(shape[1], size, axis=1)
    np.testing.assert_allclose(apply_maps(rows.down, columns.down, image), resize(image, canvas), atol=2e-5)
    values = picture(*canvas)
    tensor = torch.from_numpy(values)[None, None].double()
    plain = F.interpolate(tensor, shape, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(apply_maps(rows.up, columns.up, values), plain[0, 0].numpy(), atol=2e-5)
    assert rows.covered == slice(0, shape[0])


@pytest.mark.parametrize("ratio", [0.9, 0.45, 2.0])
@pytest.mark.parametrize("length", [100, 180, 200])
def test_spacing_is_resampling_then_padding(ratio: float, length: int) -> None:
    """For new lengths that are whole numbers, it is torch's resize with zeros around it."""
    new = length * ratio
    assert new == int(new)
    size = Size(spacing=1.0, canvas=(512, 512))
    made = whole(length, size, spacing=ratio)
    image = picture(length, 1)
    pad = 256 - new / 2
    if pad == int(pad):  # else the pixels lie half a pixel off
        resized = resize(np.repeat(image, 2, axis=1), (int(new), 2))[:, 0]  # torch antialiases in 2-D only
        expected = np.zeros(512, dtype=np.float32)
        expected[int(pad) : int(pad) + int(new)] = resized
        np.testing.assert_allclose((made.down @ image)[:, 0], expected, atol=2e-5)
    ones = (made.down @ np.ones(length))[np.arange(512)]
    assert set(np.round(ones, 5)) == {0.0, 1.0}
    assert ones.sum() == pytest.approx(new, abs=1.001)
    np.testing.assert_allclose(made.up.sum(axis=1), 1, atol=1e-5)
    assert made.covered == slice(0, length)


@pytest.mark.parametrize("ratio", [0.9, 0.45, 1.0, 2.0])
@pytest.mark.parametrize("reduce", [1, 2, 3])
def test_a_straight_line_stays_straight(ratio: float, reduce: int) -> None:
    """Down and up, a ramp comes back where it was: nothing is shifted."""
    length = 200
    made = whole(length, Size(spacing=1.0, canvas=(450, 450), reduce=reduce), spacing=ratio)
    ramp = np.arange(length, dtype=np.float32)
    back = made.up @ (made.down @ ramp)
    inner = slice(12, -12)
    np.testing.assert_allclose(back[inner], ramp[inner], atol=0.1)


@pytest.mark.parametrize("length", [240, 241, 256, 255, 300])
def test_without_resampling_the_slice_is_padded_or_cropped_in_whole_pixels(length: int) -> None:
    made = whole(length, Size(canvas=(256, 256)))
    line = picture(length, 1)[:, 0]
    expected = np.zeros(256, dtype=np.float32)
    before = (256 - length) // 2
    expected[max(before, 0) : before + length] = line[max(-before, 0) : max(-before, 0) + 256]
    seen = made.down @ line
    start = (made.window - 256) // 2 if length > 256 else 0
    if length <= 256:
        np.testing.assert_array_equal(seen, expected)
    else:  # tissue outside the canvas widens the window
        assert made.window >= length
        assert start >= 0


def test_reducing_is_average_pooling() -> None:
    made = whole(240, Size(canvas=(256, 256), reduce=2), stride=16)
    image = picture(240, 240)
    padded = F.pad(torch.from_numpy(image)[None, None], (8, 8, 8, 8))
    expected = F.avg_pool2d(padded, 2)[0, 0].numpy()
    assert made.window == 128
    np.testing.assert_allclose(apply_maps(made.down, made.down, image), expected, atol=1e-6)
    up = F.interpolate(torch.from_numpy(expected)[None, None], scale_factor=2, mode="bilinear")
    up = up[0, 0, 8:-8, 8:-8].numpy()
    np.testing.assert_allclose(apply_maps(made.up, made.up, expected), up, atol=1e-6)


@pytest.mark.parametrize(
    ("length", "spacing", "size"),
    [
        (240, 1.0, Size(spacing=1.0, canvas=(256, 256), reduce=2)),
        (300, 0.45, Size(spacing=0.9, canvas=(256, 256), reduce=2)),
        (155, 2.0, Size(spacing=0.9, canvas=(400, 400))),
        (240, None, Size(canvas=(96, 96), fit="stretch")),
        (101, 1.0, Size()),
        (101, 1.0, Size(spacing=0.7, reduce=3)),
    ],
)
def test_where_the_window_lies_changes_no_sample(length: int, spacing: float | None, size: Size) -> None:
    full = axis_map(length, spacing, size, 0, (0, length), 16, MARGIN)
    dense = full.down.toarray()
    for span in ((20, 60), (50, 90), (0, 30), (length - 20, length), (40, 41)):
        part = axis_map(length, spacing, size, 0, span, 16, 4)
        assert part.window % 16 == 0
        assert part.covered.start <= span[0]
        assert part.covered.stop >= span[1]
        at = find(dense, part.down.toarray())
        assert at % 16 == 0
        # between the centres of network pixels, the way back is the same, too
        rows = np.flatnonzero(full.up.toarray()[:, at + 1 : at + part.window - 1].sum(axis=1) > 1 - 1e-6)
        mine = part.up.toarray()[rows - part.covered.start]
        np.testing.assert_allclose(
            mine, full.up.toarray()[rows - full.covered.start, at : at + part.window], atol=1e-6
        )


def find(whole_map: np.ndarray, part: np.ndarray) -> int:
    """Return at which row of the whole map the rows of a part stand; they must be there unchanged."""
    for at in range(whole_map.shape[0] - part.shape[0] + 1):
        if np.allclose(whole_map[at : at + len(part)], part, atol=1e-7):
            return at
    raise AssertionError("the part's samples are not those of the whole")


def test_the_window_keeps_a_margin_inside_the_canvas() -> None:
    size = Size(canvas=(256, 256))
    assert axis_map(256, None, size, 0, (100, 140), 16, 16).window == 80  # 84..156 on multiples of 16
    assert axis_map(256, None, size, 0, (0, 256), 16, 16).window == 256
    assert axis_map(256, None, size, 0, (100, 101), 16, 0).window == 16


def test_outside_the_window_nothing_is_said() -> None:
    made = axis_map(256, None, Size(canvas=(256, 256)), 0, (100, 140), 16, 0)
    assert made.covered == slice(96, 144)
    assert made.up.shape == (48, 48)


@pytest.mark.parametrize(
    ("lengths", "spacing", "size", "factor"),
    [
        ((240, 240), None, Size(canvas=(256, 256)), 1),
        ((380, 300), None, Size(canvas=(256, 256)), 1),
        ((1024, 768), None, Size(canvas=(256, 256)), 4),
        ((1024, 768), 0.25, Size(canvas=(256, 256), spacing=0.9), 1),
        ((1024, 768), 0.25, Size(canvas=(256, 256)), 4),
        ((1024, 768), None, Size(canvas=(96, 96), fit="stretch"), 1),
        ((512, 512), None, Size(canvas=(128, 128), fit="contain"), 4),
        ((64, 100), None, Size(canvas=(128, 128), fit="contain"), 100 / 128),
        ((240, 240), 1.0, Size(canvas=(128, 128), fit="contain", spacing=1.8), 1),
        ((240, 240), 1.0, Size(canvas=(128, 128), fit="contain"), 240 / 128),
        ((1024, 768), None, Size(), 1),
    ],
)
def test_far_too_large_slices_are_shrunk(
    lengths: tuple[int, int], spacing: float | None, size: Size, factor: float
) -> None:
    assert shrink_factor(lengths, spacing, size) == factor


def test_a_large_slice_of_unknown_spacing_fills_the_canvas() -> None:
    size = Size(canvas=(256, 256), reduce=2)
    shrink = shrink_factor((2048, 1500), None, size)
    rows = axis_map(2048, None, size, 0, (0, 2048), 16, 16, shrink)
    columns = axis_map(1500, None, size, 1, (0, 1500), 16, 16, shrink)
    assert rows.window == 128
    assert columns.window <= 128
    assert (rows.covered, columns.covered) == (slice(0, 2048), slice(0, 1500))
