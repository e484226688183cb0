from __future__ import annotations

import re

import numpy as np

from napari_tumorseg.report.distributions import Band, histogram, intervals


def tips(figure):
    """Return the number of cases by the text of each bar."""
    found = re.findall(r"<title>([^<]*): (\d+) cases?</title>", figure)
    return {what: int(number) for what, number in found}


def test_every_volume_is_in_one_bar():
    volumes = [0.0, 0.0, 1e-6, 0.5, 1.0, 9.99, 10.0, 10.1, 150.0, *np.geomspace(0.01, 900, 60)]
    assert sum(tips(histogram(volumes, "x")).values()) == len(volumes)


def test_bars_hold_the_volumes_between_their_limits():
    assert tips(histogram([0.0, 10.0, 12.0, 20.0], "x")) == {
        "0 mL": 1,
        "10.0 to 15.8 mL": 2,
        "15.8 to 25.1 mL": 1,
    }


def test_intervals_stand_in_the_order_of_their_volumes():
    figure = intervals([Band(10, 1, 100), Band(1, 0, 10, wide=True)], "x")
    (narrow,) = re.findall(r'd="M([\d.]+) ([\d.]+)V([\d.]+)" stroke="#56B4E9"', figure)
    (wide,) = re.findall(r'd="M([\d.]+) ([\d.]+)V([\d.]+)" stroke="#D55E00"', figure)
    assert float(wide[0]) < float(narrow[0])
    # upwards; a lower end of 0 is at the foot of the chart
    assert wide[1] == "152.0" and float(narrow[2]) == 12.0 and float(narrow[1]) == 152.0


def test_a_single_volume_of_zero_has_a_chart():
    assert tips(histogram([0.0], "x")) == {"0 mL": 1}
    assert "<svg" in intervals([Band(0, 0, 0)], "x")
