"""The quality page of a cohort."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_tumorseg.cohorts import CohortSettings, Record, collect, quality
from napari_tumorseg.cohorts.quality import quality_page
from napari_tumorseg.cohorts.record import FOLDER, picture_path
from napari_tumorseg.cohorts.settings import Part
from napari_tumorseg.notice import RESEARCH_USE
from tests.builders import write_case
from tests.cohorts.conftest import brain, run
from tests.cohorts.test_table import WT, record

NASTY = "\"><script>alert('x')</script><img src=x onerror=alert(1)>|&"


class Page(HTMLParser):
    """Attributes of a page's elements and the texts of its cells, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str, attribute: str) -> list[str]:
        return [
            attributes[attribute]
            for name, attributes in self.elements
            if name == tag and attribute in attributes
        ]


def sized(volume: float, **changes: object) -> Record:
    row = WT | {
        "volume_ml": volume,
        "interval": {"coverage": 0.9, "low_ml": volume / 2, "high_ml": 2 * volume},
    }
    return record(measurements={"scheme": "binary", "rows": [row]}, flags=(), **changes)


def test_each_case_has_a_row_to_sort_and_filter_by(tmp_path: Path) -> None:
    failure = record(case="A", state="failed", measurements=None, flags=(), sides={}, reason="is cut off")
    text = quality_page([record(), failure, sized(20.0, case="B")], tmp_path)
    page = Page(text)
    assert page.all("tr", "data-flags") == ["failed", "", "wide band"]
    assert page.all("tr", "data-text")[0].splitlines() == ["A", "", "", "is cut off"]
    keys = page.all("td", "data-key")
    assert [keys[n : n + 6] for n in range(0, len(keys), 6)] == [
        ["A", "", "", "1", "", ""],
        ["B", "20", "left", "0", "", ""],
        ["P-1", "0.008", "left", "1", "", ""],
    ]
    assert page.all("button", "data-flag") == ["failed", "wide band"]
    assert page.all("th", "data-kind") == ["text", "number", "text", "number", "text", "text"]
    assert "3 cases: 2 segmented, 1 with a flag, 1 failed." in text and RESEARCH_USE in text
    assert "90\N{NO-BREAK SPACE}%: 10.0 to 40.0" in text


def test_hostile_records_stay_text(tmp_path: Path) -> None:
    regions = [WT | {"name": NASTY}]
    hostile = record(
        case=NASTY,
        patient=NASTY,
        flags=(NASTY,),
        roles=(NASTY,),
        model={"name": NASTY},
        sides={NASTY: NASTY, "b": "c"},
        measurements={"scheme": NASTY, "rows": regions},
    )
    failure = record(case=f"{NASTY}2", state="failed", measurements=None, reason=NASTY, flags=())
    page = Page(quality_page([hostile, failure], tmp_path))
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert page.all("button", "data-flag") == ["failed", NASTY]


def test_policy_admits_the_script_of_the_page_and_nothing_else(tmp_path: Path) -> None:
    text = quality_page([record()], tmp_path)
    (policy,) = Page(text).all("meta", "content")[:1]
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in text.replace("http-equiv", "").replace(
        "http://www.w3.org/2000/svg", ""
    )


def test_a_run_draws_each_case_once_and_the_same_bytes_again(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    run(data, out, settings)
    page = (out / "cohort_quality.html").read_bytes()
    assert str(tmp_path).encode() not in page
    urls = Page(page.decode()).all("img", "data-src")
    assert len(urls) == 3 and not picture_path(out, "odd").exists()
    picture = Image.open(io.BytesIO(base64.b64decode(urls[0].removeprefix("data:image/webp;base64,"))))
    found = np.asarray(picture.convert("RGB")).astype(int)
    assert found.max(axis=2).shape == (120, 3 * 120 + 2 * 2) and (np.ptp(found, axis=2) > 60).any()
    run(data, out, settings)
    run(data, other, settings)
    assert (out / "cohort_quality.html").read_bytes() == page == (other / "cohort_quality.html").read_bytes()


def test_parts_have_the_page_of_the_whole(data: Path, tmp_path: Path, settings: CohortSettings) -> None:
    run(data, tmp_path / "whole", settings)
    parts = [tmp_path / "1", tmp_path / "2"]
    for number, part in enumerate(parts, start=1):
        run(data, part, settings, part=Part(number, 2))
        assert not (part / "cohort_quality.html").exists()
    collect(tmp_path / "all", parts)
    whole, together = ((tmp_path / name / "cohort_quality.html").read_bytes() for name in ("whole", "all"))
    assert together == whole
    collect(tmp_path / "all", page=False)
    assert not (tmp_path / "all" / "cohort_quality.html").exists()


def test_without_a_page_there_is_no_picture_that_could_be_out_of_date(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    run(data, out, settings)
    shutil.rmtree(data / "c")
    write_case(data, {"flair": brain(5)}, "c")
    bare = CohortSettings(model=settings.model, page=False)
    run(data, out, bare)
    assert sorted(path.name for path in (out / FOLDER).glob("*.webp")) == ["a.webp", "b.webp"]
    assert not (out / "cohort_quality.html").exists()


def test_pictures_go_to_cases_with_flags_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "MOST_PICTURES", 1)
    (tmp_path / FOLDER).mkdir()
    cases = [sized(1.0, case="a", model={"name": "m"}), record(case="b", model={"name": "m"})]
    for one in cases:
        picture_path(tmp_path, one.case).write_bytes(one.case.encode())
    text = quality_page(cases, tmp_path)
    assert Page(text).all("img", "data-src") == ["data:image/webp;base64,Yg=="]
    assert "1 case without a thumbnail." in text


def test_picture_of_a_corrected_mask_is_said_to_be_of_before(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    picture_path(tmp_path, "P-1").write_bytes(b"x")
    facts = {"model": {"name": "m"}}
    assert "before it was corrected" not in quality_page([record(**facts)], tmp_path)
    assert "before it was corrected" in quality_page(
        [record(**facts, flags=("corrected by hand",))], tmp_path
    )


def test_cases_without_a_voxel_size_or_a_tumour_have_a_page(tmp_path: Path) -> None:
    row = {"name": "WT", "kind": "region", "voxels": 8, "volume_ml": None}
    unknown = record(case="u", measurements={"rows": [row]}, flags=("voxel size unknown",))
    text = quality_page([unknown], tmp_path, missing=2)
    assert "8 voxels" in text and "No volume is known." in text and "2 cases of the plan not run yet." in text
    assert "0 mL: 1 case" in quality_page([unknown, sized(0.0)], tmp_path)
    assert "1 case without a voxel size" in quality_page([unknown, sized(0.0)], tmp_path)
    assert "No case has one." in quality_page([], tmp_path)


@pytest.mark.slow
def test_the_script_runs_in_a_browser_over_a_thousand_cases(tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("needs Chromium")
    path = tmp_path / "page.html"
    path.write_text(quality_page([sized(n + 0.5, case=f"c{n}") for n in range(1000)], tmp_path), "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [browser, *flags, "--dump-dom", path.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert "1000 of 1000 shown" in shown and len(re.findall("<tr data-text", shown)) == 1000
    assert "hidden" not in next(a for tag, a in Page(shown).elements if a.get("id") == "controls")
