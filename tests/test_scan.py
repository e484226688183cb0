"""Scans: roles, the grid they share, a spacing that is stated."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.scan import MODALITIES, Image, Role, Scan

GRID = Grid.from_codes((2, 3, 4))


def image(name: str, role: Role) -> Image:
    return Image(name, role, np.zeros(GRID.shape), GRID)


def scan(*roles: Role) -> Scan:
    return Scan("case", tuple(image(f"image {n}", role) for n, role in enumerate(roles)))


def test_a_scan_has_an_image() -> None:
    with pytest.raises(InputError, match="no image"):
        Scan("case", ())


def test_the_first_image_is_the_reference() -> None:
    found = scan(Role.FLAIR, Role.T1C, Role.OTHER)
    assert found.reference is found.images[0]
    assert found.grid is GRID
    assert list(found) == list(found.images)


def test_roles_are_modalities_and_the_first_one_counts() -> None:
    found = scan(Role.FLAIR, Role.OTHER, Role.FLAIR)
    assert dict(found.roles) == {Role.FLAIR: found.images[0]}


def test_roles_set_anew() -> None:
    found = scan(Role.OTHER, Role.T1).with_roles({"image 0": Role.FLAIR})
    assert [i.role for i in found] == [Role.FLAIR, Role.T1]
    with pytest.raises(InputError, match="no image 'flair'; it has image 0"):
        found.with_roles({"flair": Role.T1})


def test_a_spacing_is_that_of_all_images() -> None:
    found = scan(Role.FLAIR, Role.T1C).with_spacing((5, 1, 1))
    assert found.grid.spacing_mm == (5, 1, 1)
    assert all(i.grid is found.grid for i in found)
    with pytest.raises(InputError, match="stores its voxel size"):
        found.with_spacing((1, 1, 1))
    with pytest.raises(InputError, match="positive"):
        scan(Role.FLAIR).with_spacing((float("nan"), 1, 1))


def test_roles_have_the_titles_that_people_write():
    assert [role.title for role in MODALITIES] == ["T1", "T1c", "T2", "FLAIR"]
    assert Role.OTHER.title == "other"
    assert f"{Role.T1C}" == "t1c"
