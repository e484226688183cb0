"""Small lesions drawn into training slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from napari_tumorseg.models.card import Input
from napari_tumorseg.scan import Role
from napari_tumorseg.training.augment_config import SmallLesion
from napari_tumorseg.training.augment_transforms import make


def drawn(image: torch.Tensor, target: torch.Tensor, seed: int = 0, **wanted: Any) -> dict[Any, Any]:
    asked = SmallLesion(kind="small-lesion", **wanted)
    transform: Any = make(asked, Input(roles=(Role.FLAIR, Role.T1C)), (48, 48))
    found: dict[Any, Any] = transform.set_random_state(seed=seed)({"image": image, "target": target})
    return found


def tissue() -> tuple[torch.Tensor, torch.Tensor]:
    """A disc of tissue with a tumour of two outputs in its left half; T1c differs from FLAIR."""
    image, target = torch.zeros(2, 48, 48), torch.zeros(3, 48, 48)
    rows, columns = np.ogrid[:48, :48]
    disc = torch.from_numpy(np.hypot(rows - 24, columns - 24) < 21)
    image[0, disc], image[1, disc], target[2, disc] = 0.5, 0.25, 1
    target[0, 20:28, 8:16] = 1
    return image, target


def test_lesion_lies_in_tissue_beside_the_tumour_and_is_as_bright_as_asked() -> None:
    image, target = tissue()
    for seed in range(20):
        after = drawn(
            image,
            target,
            seed,
            radius=(3.0, 3.0),
            whole={"flair": (2.0, 2.0)},
            core={"t1c": (3.0, 3.0)},
            enhancing=1.0,
        )
        new = (after["target"][0] > 0) & (target[0] == 0)
        assert 18 <= new.sum() <= 38  # pi 3^2 = 28
        core = after["target"][1] > 0
        assert 0 < core.sum() < new.sum() and not (core & ~new).any()
        assert (target[2][new] == 1).all() and torch.equal(after["target"][2], target[2])
        change = after["image"] - image
        assert torch.isclose(change[0].max(), torch.tensor(2.0)) and torch.isclose(
            change[1].max(), torch.tensor(3.0)
        )
        assert (change[:, target[2] == 0] == 0).all() and (change[:, target[0] > 0] == 0).all()


def test_lesion_without_a_core_is_the_outermost_output_alone() -> None:
    image, target = tissue()
    after = drawn(image, target, enhancing=0.0)
    assert after["target"][0].sum() > target[0].sum()
    assert torch.equal(after["target"][1], target[1]) and torch.equal(after["image"][1], image[1])


def test_stand_in_stays_a_copy_and_a_missing_channel_stays_empty() -> None:
    image, target = tissue()
    image[1] = image[0]
    alike = drawn(image, target, enhancing=1.0)["image"]
    assert torch.equal(alike[0], alike[1]) and not torch.equal(alike, image)
    image[1] = 0
    assert not drawn(image, target, enhancing=1.0)["image"][1].any()


def test_nothing_is_drawn_where_nothing_fits_or_chance_is_against() -> None:
    image, target = tissue()
    for wanted in ({"radius": (30.0, 30.0)}, {"probability": 0.0}):
        after = drawn(image, target, **wanted)
        assert torch.equal(after["image"], image) and torch.equal(after["target"], target)
