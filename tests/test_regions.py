"""Label conventions, their regions, and the way from one to another."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.errors import ChoiceNeededError, InputError
from napari_tumorseg.regions import (
    CONVENTIONS,
    conventions_for,
    convert,
    decide_convention,
    region_mask,
)

MULTICLASS = [name for name in CONVENTIONS if name != "binary"]


@pytest.mark.parametrize(
    ("name", "regions"),
    [
        ("binary", {"WT": (1,)}),
        ("brats-2015", {"WT": (1, 2, 3, 4), "TC": (1, 3, 4), "ET": (4,)}),
        ("brats-2021", {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)}),
        ("brats-2023", {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}),
        ("brats-2024", {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}),  # the cavity is in none
        ("msd", {"WT": (1, 2, 3), "TC": (2, 3), "ET": (3,)}),
    ],
)
def test_regions_of_each_convention(name: str, regions: dict[str, tuple[int, ...]]) -> None:
    assert dict(CONVENTIONS[name].regions) == regions
    assert list(CONVENTIONS[name].regions) == list(regions)  # from the outermost inwards


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("binary", {"WT": 1}),
        ("brats-2015", {"WT": 2, "TC": 1, "ET": 4}),
        ("brats-2021", {"WT": 2, "TC": 1, "ET": 4}),
        ("brats-2023", {"WT": 2, "TC": 1, "ET": 3}),
        ("brats-2024", {"WT": 2, "TC": 1, "ET": 3}),
        ("msd", {"WT": 1, "TC": 2, "ET": 3}),
    ],
)
def test_own_label(name: str, own: dict[str, int]) -> None:
    assert {region: CONVENTIONS[name].own_label(region) for region in CONVENTIONS[name].regions} == own


def test_labels_are_told_apart() -> None:
    for convention in CONVENTIONS.values():
        assert 0 not in convention.values
        assert len({label.short for label in convention.labels}) == len(convention.labels)
        assert len({label.colour for label in convention.labels}) == len(convention.labels)
        assert all(convention.label(label.value) is label for label in convention.labels)
    with pytest.raises(KeyError):
        CONVENTIONS["msd"].label(4)


def test_schemes_by_name() -> None:
    assert get_convention("MSD") is CONVENTIONS["msd"]
    with pytest.raises(InputError, match="brats-2021"):
        get_convention("brats")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({0}, ["binary", *MULTICLASS]),
        ({0, 1}, ["binary", *MULTICLASS]),
        ({1, 2, 3}, ["brats-2015", "brats-2023", "brats-2024", "msd", "brats-ped"]),
        ({1, 2, 4}, ["brats-2015", "brats-2021", "brats-2024", "brats-ped"]),
        ({1, 2, 3, 4}, ["brats-2015", "brats-2024", "brats-ped"]),
        ({5}, []),
    ],
)
def test_schemes_that_fit(values: set[int], names: list[str]) -> None:
    assert [s.name for s in conventions_for(values)] == names


@pytest.mark.parametrize("values", [[], [0], [0, 1], [1]])
def test_nothing_but_ones_is_binary(values: list[int]) -> None:
    assert decide_convention(values, "x").name == "binary"


@pytest.mark.parametrize("values", [{0, 1, 2, 3}, {1, 2, 4}, {1, 2, 3, 4}, {2}, {3}, {4}, {0, 2}])
def test_two_conventions_that_fit_are_not_guessed(values: set[int]) -> None:
    with pytest.raises(ChoiceNeededError, match="fit several conventions") as raised:
        decide_convention(values, "the_mask.nii.gz")
    assert "the_mask.nii.gz" in str(raised.value)
    assert len(raised.value.options) > 1
    assert "binary" not in raised.value.options
    for name in raised.value.options:
        assert values - {0} <= CONVENTIONS[name].values


@pytest.mark.parametrize("values", [{5}, {1, 2, 5}, {255}, {0, 1, 17}])
def test_labels_of_no_convention(values: set[int]) -> None:
    with pytest.raises(InputError, match="fit none"):
        decide_convention(values, "x")


@given(labels=arrays(np.uint8, (3, 4), elements=st.integers(0, 255)), members=st.sets(st.integers(0, 255)))
def test_region_mask_is_isin(labels: np.ndarray, members: set[int]) -> None:
    np.testing.assert_array_equal(region_mask(labels, members), np.isin(labels, list(members)))


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(MULTICLASS, 2)))
def test_a_conversion_keeps_the_regions(source: str, target: str) -> None:
    one, other = CONVENTIONS[source], CONVENTIONS[target]
    if source == "hd-glio":  # oedema and non-enhancing tumour are one label
        with pytest.raises(InputError, match="no label for non-enhancing"):
            convert(np.ones(1, np.uint8), one, other)
        return
    shared = [v for v in sorted(one.values) if one.label(v).tissue != "resection cavity"]
    labels = np.array([0, *shared, *shared], np.uint8)
    converted = convert(labels, one, other)
    assert converted.dtype == np.uint8
    for region in other.regions:
        np.testing.assert_array_equal(
            region_mask(converted, other.regions[region]), region_mask(labels, one.regions[region])
        )


@pytest.mark.parametrize("names", list(itertools.permutations(["brats-2021", "brats-2023", "msd"], 2)))
def test_there_and_back(names: tuple[str, str]) -> None:
    one, other = (CONVENTIONS[n] for n in names)
    labels = np.array([[0, *sorted(one.values)]], np.uint8)
    np.testing.assert_array_equal(convert(convert(labels, one, other), other, one), labels)


def test_to_binary_and_never_back() -> None:
    labels = np.array([0, 1, 2, 4], np.uint8)
    whole = convert(labels, CONVENTIONS["brats-2021"], CONVENTIONS["binary"])
    np.testing.assert_array_equal(whole, [0, 1, 1, 1])
    with pytest.raises(InputError, match="has no label for whole tumour"):
        convert(whole, CONVENTIONS["binary"], CONVENTIONS["brats-2021"])


def test_what_cannot_be_converted_is_refused() -> None:
    cavity = np.array([0, 4], np.uint8)
    for target in ("brats-2021", "binary", "msd"):
        with pytest.raises(InputError, match="resection cavity"):
            convert(cavity, CONVENTIONS["brats-2024"], CONVENTIONS[target])
    with pytest.raises(InputError, match="has no label 3"):
        convert(np.array([3], np.uint8), CONVENTIONS["brats-2021"], CONVENTIONS["msd"])


def test_hd_glio_tells_no_tumour_core() -> None:
    assert CONVENTIONS["hd-glio"].regions == {"WT": (1, 2), "ET": (2,)}


def test_the_core_of_a_paediatric_tumour_holds_its_cysts() -> None:
    assert CONVENTIONS["brats-ped"].regions == {"WT": (1, 2, 3, 4), "TC": (1, 2, 3), "ET": (1,)}


@pytest.mark.parametrize(
    ("alias", "name"), [("UCSF-PDGM", "brats-2021"), ("brats-goat", "brats-2023"), ("brats-men-rt", "binary")]
)
def test_data_sets_with_the_numbers_of_another_one(alias: str, name: str) -> None:
    assert get_convention(alias) is CONVENTIONS[name]


OWN = """
name = "my-centre"
[labels]
1 = "oedema"
10 = { tissue = "enhancing", name = "active tumour", short = "AT" }
"""


def test_a_convention_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(OWN)
    mine = get_convention(str(path))
    assert (mine.name, mine.values, mine.label(10).short) == ("my-centre", {1, 10}, "AT")
    assert mine.regions == {"WT": (1, 10), "TC": (10,), "ET": (10,)}
    assert get_convention("my-centre") is mine  # as in tables of the same run
    labels = np.array([0, 1, 10], np.uint8)
    np.testing.assert_array_equal(convert(labels, mine, CONVENTIONS["brats-2021"]), [0, 2, 4])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no table of labels"),
        ("[labels", "cannot be read"),
        ("labels = 3", "no table of labels"),
        ('[labels]\n1 = "bone"', "the tissues are"),
        ('[labels]\n300 = "oedema"', "300 is no label"),
        ('[labels]\nx = "oedema"', "x is no label"),
        ('[labels]\n1 = "oedema"\n01 = "enhancing"', "names a label twice"),
        ('name = "msd"\n[labels]\n1 = "oedema"', "choose another name"),
        ("a = " + "[" * 5000 + "]" * 5000, "cannot be read"),
    ],
)
def test_what_is_no_convention(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=why) as raised:
        get_convention(str(path))
    assert str(path) in str(raised.value)


def test_two_own_conventions_of_one_name_must_mean_the_same(tmp_path: Path) -> None:
    first, same, other = (tmp_path / f"{name}.toml" for name in "abc")
    first.write_text('name = "mine"\n[labels]\n1 = "oedema"')
    same.write_text('name = "mine"\ntitle = "as before"\n[labels]\n1 = "oedema"')
    other.write_text('name = "mine"\n[labels]\n1 = "enhancing"')
    mine = get_convention(str(first))
    assert get_convention(str(same)).values == {1}
    with pytest.raises(InputError, match="another name") as raised:
        get_convention(str(other))
    assert str(first) in str(raised.value)
    assert str(other) in str(raised.value)
    assert get_convention("mine") is mine


def test_an_own_convention_can_be_corrected(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for tissue in ("oedema", "enhancing"):
        path.write_text(f'[labels]\n1 = "{tissue}"')
        get_convention(str(path))
        assert get_convention("mine").label(1).tissue == tissue


def test_of_a_data_set_only_its_own_conventions_are_offered() -> None:
    assert decide_convention({1, 2, 4}, "x", ("brats-2023", "brats-ped")).name == "brats-ped"
    with pytest.raises(ChoiceNeededError) as raised:
        decide_convention({1}, "x", ("brats-2023", "brats-ped"))
    assert raised.value.options == ("brats-2023", "brats-ped")
