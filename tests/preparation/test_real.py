"""A native scan of a real patient, with the real tools."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.inference import plan_run
from napari_tumorseg.inference.steps import result_of
from napari_tumorseg.io import open_case
from napari_tumorseg.preparation import deepbet
from napari_tumorseg.scan import Role
from tests.builders import DATA

NATIVE = DATA / "brats" / "TCGA-FG-6692" / "native"


@pytest.mark.slow
@pytest.mark.skipif(not deepbet.is_installed(), reason="deepbet is not installed")
@pytest.mark.skipif(not NATIVE.is_dir(), reason="the real scans are not there")
def test_a_patient_who_moved_between_the_sequences() -> None:
    case = open_case(NATIVE)
    plan = plan_run(case, "brats-regions")
    scan = result_of(plan.scan())
    assert scan.grid is case.reference().grid
    assert 1400 < scan.preparation["brain_extraction"]["volume_ml"] < 1800
    (moved,) = (m for m in scan.preparation["registration"] if m["role"] == "t1c")
    assert moved["rotation_degrees"] == pytest.approx(13.4, abs=1.5)
    assert moved["after"]["brain_overlap"] > 0.94 > moved["before"]["brain_overlap"]
    assert scan.brain_mask is not None
    assert np.count_nonzero(scan.roles[Role.T1C].data[scan.brain_mask] > 0) > 0.99 * scan.brain_mask.sum()
