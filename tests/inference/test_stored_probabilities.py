"""Stored probabilities and the masks they give at any threshold."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.inference import PostSettings, Settings, StoredProbabilities, find, segment
from napari_tumorseg.inference.confidence import in_words
from tests.builders import card_of, head, make_scan, save_model, threshold_net

NESTED = {"names": ["WT", "TC", "ET"], "labels": [2, 1, 3], "scheme": "brats-2023"}


def lesion():
    """A lesion whose value falls off from its middle, so that each threshold gives another outline."""
    z, y, x = np.ogrid[:6, :24, :24]
    return np.clip(5.97 - np.sqrt((z - 3) ** 2 * 4 + (y - 12) ** 2 + (x - 12) ** 2), 0, None).astype(
        np.float32
    )


@pytest.fixture
def ran(tmp_path):
    """A run of a net whose logits are the voxel's value minus 2, 3 and 4 (times 1), and what it kept."""

    def make(data, card=None, post=None, **settings):
        card = card or card_of(output=NESTED)
        net = threshold_net([0] * len(card.output.labels), [2, 3, 4][: len(card.output.labels)])
        model = save_model(tmp_path, net, card)
        scan = make_scan({"flair": data})
        seg = segment(scan, model, Settings(probabilities=True, post=post, **settings))
        return scan, model, seg, StoredProbabilities.of(seg, model.card, post)

    return make


def assert_same_but_at(threshold, stored, labels):
    """Voxels whose stored level is the threshold's own may fall to either side."""
    differ = (stored.labels_at(threshold) != labels)[stored.box]
    near = [abs(p[differ] / 255 - threshold) <= 1 / 255 for p in stored.probabilities.values()]
    assert np.any(near, axis=0).all()
    assert differ.sum() < 0.05 * (labels > 0).sum()


def test_at_any_threshold_it_gives_what_a_run_gives(ran, tmp_path):
    scan, model, seg, stored = ran(lesion())
    np.testing.assert_array_equal(stored.result(), seg.labels)
    for threshold in (0.2, 0.35, 0.5, 0.8):
        again = segment(scan, model, Settings(threshold=threshold))
        assert_same_but_at(threshold, stored, again.labels)
    assert (stored.labels_at(0.2) > 0).sum() > (seg.labels > 0).sum() > (stored.labels_at(0.8) > 0).sum()


def test_one_region_can_have_a_threshold_of_its_own(ran):
    _, _, seg, stored = ran(lesion())
    found = stored.labels_at({"ET": 0.7})
    np.testing.assert_array_equal(found > 0, seg.labels > 0)
    assert 0 < (found == 3).sum() < (seg.labels == 3).sum()


def test_post_processing_is_that_of_the_run(ran):
    data = lesion()
    data[0, 2, 2] = 9
    post = PostSettings(largest_only=True)
    _, _, seg, stored = ran(data, post=post)
    assert not seg.labels[0, 2, 2]
    assert not stored.labels_at(0.3)[0, 2, 2]
    assert stored.labels_at(0.3).any()


def test_where_no_label_may_be_the_probability_is_none(ran):
    card = card_of(
        input={"foreground": {"rule": "fraction-of-max", "fraction": 0.9}},
        output=NESTED | {"inside_foreground_of": "flair"},
    )
    scan, model, seg, stored = ran(lesion(), card)
    outside = stored.probabilities["WT"][seg.labels[seg.probability_box] == 0]
    assert outside.max() < 128
    again = segment(scan, model, Settings(threshold=0.2))
    assert_same_but_at(0.2, stored, again.labels)


def test_classes_have_no_threshold(ran):
    classes = {"activation": "softmax", "names": ["none", "WT"], "labels": [0, 1], "scheme": "binary"}
    _, _, _, stored = ran(lesion(), card_of(output=classes))
    assert not stored.adjustable
    assert list(stored.shown) == ["WT"]
    with pytest.raises(InputError, match="most probable class"):
        stored.labels_at(0.3)


def test_a_threshold_lies_between_0_and_1(ran):
    _, _, _, stored = ran(lesion())
    with pytest.raises(InputError, match="between 0 and 1"):
        stored.labels_at(1.0)


def test_without_probabilities_there_is_no_evidence(tmp_path):
    model = save_model(tmp_path, threshold_net([0], [300]), card_of())
    seg = segment(make_scan({"flair": head()}), model)
    assert StoredProbabilities.of(seg, model.card, None) is None
    assert "findings" not in seg.provenance


def test_findings_are_means_inside_and_the_largest_anywhere(ran):
    _, model, seg, stored = ran(lesion())
    found = find(seg.labels, stored.probabilities, stored.box, model.card.output)
    regions = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
    for one in found:
        mask = np.isin(seg.labels, regions[one.name])
        p = stored.probabilities[one.name] / 255
        assert one.voxels == mask.sum()
        assert one.mean == pytest.approx(p[mask[stored.box]].mean())
        assert one.largest == pytest.approx(p.max())
    assert in_words(found).startswith("mean probability inside: WT 0.")
    assert seg.provenance["findings"]["ET"]["voxels"] == (seg.labels == 3).sum()


def test_what_was_not_found_is_told_with_how_near_it_came(ran):
    faint = np.minimum(lesion(), 1.5)
    _, model, seg, stored = ran(faint)
    assert not seg.labels.any()
    found = find(seg.labels, stored.probabilities, stored.box, model.card.output)
    assert [one.mean for one in found] == [None] * 3
    assert found[0].largest == pytest.approx(1 / (1 + np.exp(0.5)), abs=0.003)
    assert in_words(found) == "not found, largest probability anywhere: WT 0.38, TC 0.18, ET 0.07"


def test_a_part_that_was_not_found_is_told_beside_one_that_was(ran):
    _, model, seg, stored = ran(np.minimum(lesion(), 3.5))
    words = in_words(find(seg.labels, stored.probabilities, stored.box, model.card.output))
    assert "inside: WT 0." in words and words.endswith("not found, largest probability anywhere: ET 0.38")
