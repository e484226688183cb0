from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image as PILImage

from napari_tumorseg.errors import GeometryError, OutputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import read, read_mask
from napari_tumorseg.measurement import (
    METRICS,
    Rigid,
    agreement,
    change,
    find_midline,
    laterality,
    measure,
    rano,
)
from napari_tumorseg.measurement.laterality import Laterality
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.report import write_case_report
from napari_tumorseg.scan import Image, Role, Scan, Segmentation
from tests.builders import card_of

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SHAPE = (9, 40, 44)
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;</style></title>"
NOTICE = "Research use only, not for diagnosis."
PROVENANCE = {
    "created": "2026-01-05T10:11:12+00:00",
    "model": {"name": "tiny", "version": "3", "sha256": "ab" * 32, "licence": "BSD"},
    "settings": {
        "device": "cpu",
        "flip": True,
        "threshold": 0.5,
        "batch": None,
        "postprocessing": {"closing_mm": 2.0, "fill_holes": False},
        "slices": {"first": 3, "last": 9},
    },
    "inputs": [{"role": "flair", "name": "scan.nii.gz", "sha256": "cd" * 32}],
    "warnings": ["the skull is there"],
    "versions": {"torch": "2.10"},
    "edits": {"total": 12, "actions": {"paint": 10, "erase": 2}, "first": "2026-01-05", "last": "2026-01-06"},
}


def case(spacing=(1.0, 1.0, 1.0), name="case 1", provenance=None, empty=False, **more):
    data = np.zeros(SHAPE, np.float32)
    data[:, 4:-4, 4:-4] = np.random.default_rng(0).normal(100, 10, (9, 32, 36))
    grid = Grid.from_codes(SHAPE, "SPL", spacing)
    images = (Image(f"{name} fla", Role.FLAIR, data, grid), Image(f"{name} t1c", Role.T1C, 2 * data, grid))
    labels = np.zeros(SHAPE, np.uint8)
    if not empty:
        labels[2:7, 10:30, 22:38] = 2
        labels[3:6, 14:26, 24:36] = 3
    seg = Segmentation(labels, grid, CONVENTIONS["brats-2023"], name, None, provenance or {})
    return Scan(name, images, **more), seg


class Page(HTMLParser):
    """Tags with their attributes, and the text that people see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.source = [], [], text
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if not self.tags or self.tags[-1][0] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def page(tmp_path, scan, seg, **more):
    path = write_case_report(tmp_path / "case.html", scan, seg, measure(seg), **more)
    return Page(path.read_text(encoding="utf-8"))


def full(tmp_path, scan, seg):
    later = replace(seg, name=f"later {seg.name}", labels=np.roll(seg.labels, 2, axis=1))
    return page(
        tmp_path,
        scan,
        seg,
        rano=rano(seg),
        agreement=agreement(seg, later),
        change=change(
            seg, later, rigid=Rigid.same_space(seg.grid, seg.grid), diameters=(rano(seg), rano(later))
        ),
        laterality=laterality(seg, find_midline(scan)),
        card=card_of(summary="Finds what is bright.", about={"training": "ten cases", "limits": "a toy"}),
    )


def test_it_states_what_was_measured(tmp_path):
    scan, seg = case(provenance=PROVENANCE, time_point="2024-05", warnings=("T1 was resampled",))
    found = full(tmp_path, scan, seg)
    for text in (
        "case 1, 2024-05",
        "Tumour found: WT 1.60 mL",
        "flair (case 1 fla), t1c (case 1 t1c)",
        "9 × 40 × 44 voxels of 1 × 1 × 1 mm",
        "labels: BraTS 2023",
        "T1 was resampled",
        "the skull is there",
        "ET (enhancing tumour) 0.432 432 1",
        "Diameters of ET on axial slices",
        "Sum of products of 1 measurable lesion: 288 mm²",
        "Agreement of case 1 with the reference later case 1",
        "Change from case 1 to later case 1",
        "0 new, 0 vanished, 1 matched",
        "tiny (tiny, version 1). Finds what is bright.",
        "trained on: ten cases; limits: a toy; licence: not stated",
        "role flair, name scan.nii.gz, sha256 cdcdcdcdcdcd",
        "device cpu, flip yes, threshold 0.5, postprocessing (closing mm 2), slices (first 3, last 9)",
        "12 actions by a person (10 paint, 2 erase), 2026-01-05 to 2026-01-06",
        "torch 2.10",
        "2026-01-05T10:11:12+00:00",
    ):
        assert text in found.text, text


def test_settings_that_are_off_are_noted(tmp_path):
    settings = {"flip": False, "postprocessing": {"closing_mm": 0.0, "fill_holes": False}}
    found = page(tmp_path, *case(provenance={"settings": settings}))
    assert "Settings: flip no, postprocessing none" in found.text


def test_one_word_for_components(tmp_path):
    found = full(tmp_path, *case(provenance=PROVENANCE))
    assert "voxels components longest" in found.text
    assert "pieces" not in found.text
    assert "parts" not in found.text


def test_the_colours_of_the_montage_are_explained(tmp_path):
    scan, seg = case()
    legend = page(tmp_path, scan, seg).source.split('alt="axial slices', 1)[1].split("</p>")[0]
    colours = {label.short: label.colour for label in seg.convention.labels}
    for name in ("ED", "ET"):
        assert f'fill="{colours[name]}"/></svg> {name};' in legend
    assert "NCR" not in legend  # there is none
    assert "FLAIR, axial slices seen from the feet" in legend


@pytest.mark.skipif(CHROMIUM is None, reason="nothing here prints a page")
@pytest.mark.parametrize("size", [1, 30])
def test_all_of_it_prints_on_one_page(tmp_path, size):
    warnings = tuple(f"sentence {n}, as long as warnings about a scan mostly are" for n in range(4))
    scan, seg = case(provenance=PROVENANCE, warnings=warnings, time_point="2024-05")
    other = (
        Image("t1", Role.T1, scan.reference.data, scan.grid),
        Image("t2", Role.T2, -scan.reference.data, scan.grid),
    )
    seg.labels[2:7, 30:32, 22:38] = 1
    for number in range(8):
        seg.labels[4, 4:6, 4 * number : 4 * number + 2] = 3
    full(tmp_path, replace(scan, images=(*scan.images, *other)), replace(seg, name="a name " * size))
    printed = tmp_path / "case.pdf"
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    subprocess.run(
        [*command, f"--print-to-pdf={printed}", str(tmp_path / "case.html")], capture_output=True, timeout=120
    )
    assert len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) == 1


def test_the_notice_stands_at_the_top_and_at_the_bottom(tmp_path):
    text = page(tmp_path, *case()).text
    assert text.split("tumour segmentation", 1)[1].strip().startswith(NOTICE)
    assert text.endswith(NOTICE)


def test_it_needs_nothing_from_elsewhere_and_runs_nothing(tmp_path):
    scan, seg = case(provenance=PROVENANCE)
    found = full(tmp_path, scan, seg)
    assert not {tag for tag, _ in found.tags} & {"script", "link", "iframe", "object", "a", "form", "base"}
    for _, attributes in found.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "data:image/png;base64,").startswith("data:image/png;base64,")
    assert "@import" not in found.source
    assert "url(" not in found.source
    assert "@page" in found.source


def test_the_policy_allows_the_style_that_is_there(tmp_path):
    source = page(tmp_path, *case()).source
    style = re.search(r"<style>(.*)</style>", source, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in source
    assert "default-src 'none'" in source


def pictures(found):
    for tag, attributes in found.tags:
        if tag in ("img", "image"):
            url = attributes.get("src") or attributes["href"]
            yield PILImage.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1])))


def test_pictures_are_embedded(tmp_path):
    scan, seg = case()
    found = list(pictures(page(tmp_path, scan, seg, rano=rano(seg))))
    assert [picture.format for picture in found] == ["PNG", "PNG"]
    assert found[0].width > 600
    pixels = np.asarray(found[0].convert("RGB")).astype(int)
    assert (np.ptp(pixels, axis=-1) > 60).any()  # outlines


def test_there_is_a_chart_for_each_channel(tmp_path):
    found = page(tmp_path, *case())
    titles = [part for part in found.texts if part.startswith("intensities in")]
    assert titles == ["intensities in flair", "intensities in t1c"]
    chart = found.source.split("intensities in flair", 1)[1].split("</svg>")[0]
    assert chart.count("fill-opacity") == 3  # ED, ET and the rest; there is no NCR
    assert "nan" not in chart


def evil(value):
    """Put something evil wherever there is text."""
    if isinstance(value, dict):
        return {f"{key}{EVIL}" if key == "versions" else key: evil(item) for key, item in value.items()}
    if isinstance(value, list):
        return [evil(item) for item in value]
    return f"{value}{EVIL}" if isinstance(value, str) else value


def test_names_cannot_inject_anything(tmp_path):
    scan, seg = case(name=EVIL, provenance=evil(PROVENANCE), time_point=EVIL, warnings=(EVIL,))
    other = Image(EVIL, Role.OTHER, scan.reference.data, scan.grid)
    scan = replace(scan, images=(*scan.images, other))
    side = Laterality(EVIL, EVIL, "left", 100.0, 0.0, 3.0, True, EVIL)
    card = card_of(title=EVIL, summary=EVIL, about={"training": EVIL, "metrics": EVIL, "licence": EVIL})
    later = replace(seg, name=EVIL)
    same = Rigid.same_space(seg.grid, seg.grid)
    measurements = measure(seg)
    rows = tuple(replace(row, title=EVIL) for row in measurements.rows)
    path = write_case_report(
        tmp_path / "case.html",
        scan,
        seg,
        replace(measurements, rows=rows),
        rano=replace(rano(seg), notes=(EVIL,)),
        agreement=agreement(seg, later),
        change=replace(change(seg, later, rigid=same), notes=(EVIL,)),
        laterality=[side],
        card=card,
    )
    text = path.read_text(encoding="utf-8")
    found = Page(text)
    assert not any(tag == "script" for tag, _ in found.tags)
    assert sum(tag == "img" for tag, _ in found.tags) == 1
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert "<script" not in text.lower()
    assert text.count("</style>") == text.count("</title>") - text.count("<svg xmlns") == 1
    assert found.text.count("alert(1)") > 20  # all of it is there, as text


@pytest.mark.parametrize("provenance", [{"warnings": "one sentence"}, {"model": None, "inputs": "a, b"}, {}])
def test_provenance_of_any_form(tmp_path, provenance):
    found = page(tmp_path, *case(provenance=provenance))
    assert "drawn by hand or read from a file" in found.text
    if provenance.get("warnings"):
        assert "one sentence" in found.text


def test_unknown_voxel_size(tmp_path):
    scan, seg = case(spacing=None)
    found = full(tmp_path, scan, seg)
    assert "9 × 40 × 44 voxels (Z, Y, X), size unknown" in found.text
    assert "voxel size is unknown, so there are no volumes in mL and no lengths in mm" in found.text
    assert "None" not in found.text
    volumes = found.source.split("<h2>Volumes")[1].split("</table>")[0]
    assert "mL" not in volumes
    assert "mm" not in volumes


def test_nothing_found(tmp_path):
    scan, seg = case(empty=True)
    found = page(tmp_path, scan, seg, rano=rano(seg))
    assert "No tumour found." in found.text
    assert "No lesion to measure." in found.text


def test_diameters_that_were_edited_and_many_lesions(tmp_path):
    scan, seg = case(empty=True)
    for number in range(8):
        seg.labels[2:4, 8 + 3 * number : 10 + 3 * number, 8:12] = 3
        seg.labels[2:4, 9 + 3 * number, 8:12] = 0
    found = rano(seg)
    lesions = (replace(found.lesions[0], edited=True, angle_degrees=70.0), *found.lesions[1:])
    text = page(tmp_path, scan, seg, rano=replace(found, lesions=lesions)).text
    assert "1 (edited)" in text
    assert "And 3 smaller lesions." in text
    assert "The lines of lesion 1 meet at 70.0 degrees, not at a right angle." in text


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_images_that_show_nothing(tmp_path, value):
    scan, seg = case()
    images = tuple(replace(image, data=np.full(SHAPE, value, np.float32)) for image in scan)
    found = page(tmp_path, replace(scan, images=images), seg, rano=rano(seg))
    assert "nan" not in found.text.lower()


def test_what_cannot_be_written(tmp_path):
    scan, seg = case()
    path = tmp_path / "case.html"
    write_case_report(path, scan, seg, measure(seg))
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_case_report(path, scan, seg, measure(seg))
    assert path.read_bytes() == before
    write_case_report(path, scan, seg, measure(seg), overwrite=True)
    with pytest.raises(OutputError, match="does not exist"):
        write_case_report(tmp_path / "nowhere" / "case.html", scan, seg, measure(seg))


def test_a_mask_on_another_grid(tmp_path):
    scan, seg = case()
    other = replace(seg, grid=Grid.from_codes(SHAPE, "SPL", (2.0, 1.0, 1.0)))
    with pytest.raises(GeometryError, match="does not lie on the grid"):
        write_case_report(tmp_path / "case.html", scan, other, measure(other))
    assert not list(tmp_path.iterdir())


def test_a_real_case(tmp_path, shared_data):
    folder = shared_data / "brats" / "BraTS-GLI-00001-000"
    scan = read(folder)
    seg = read_mask(folder / "seg-BraTS23_1.nii.gz", "brats-2023")
    found = full(tmp_path, scan, seg)
    assert "BraTS-GLI-00001-000" in found.text
    assert len(list(pictures(found))) == 2
    assert len(found.source) < 3_000_000


@pytest.mark.parametrize(
    ("outline", "title"),
    [
        ("enhancing-only", "enhancing tumour only"),
        ("with-necrosis", "enhancing tumour with the necrosis it encloses"),
    ],
)
def test_the_outline_of_diameters_is_stated(tmp_path, outline, title):
    scan, seg = case()
    seg.labels[3:6, 17:23, 27:33] = 1
    found = page(tmp_path, scan, seg, rano=rano(seg, outline=outline))
    assert f"Diameters of ET on axial slices ({title})" in found.text


def test_lengths_stand_above_the_picture_and_not_on_each_other(tmp_path):
    scan, seg = case()
    source = page(tmp_path, scan, seg, rano=rano(seg)).source
    figure = source.split("diameters of ET 1", 1)[1].split("</svg>")[0]
    found = re.findall(r'<text x="[\d.]+" y="([\d.]+)" fill="[^"]+">(\w+) ([\d.]+) mm', figure)
    assert [name for _, name, _ in found] == ["longest", "perpendicular"]
    lesion = rano(seg).lesions[0]
    lengths = [f"{line.length_mm:.1f}" for line in (lesion.longest, lesion.perpendicular)]
    assert [length for *_, length in found] == lengths
    first, second = (float(y) for y, *_ in found)
    top = float(re.search(r"translate\(0 ([\d.]+)\)", figure).group(1))
    assert first + 11 <= second <= top


def test_components_are_explained_where_there_are_several(tmp_path):
    scan, seg = case()
    assert "Components: parts that touch" not in page(tmp_path, scan, seg).text
    seg.labels[0, 0, 0] = 3
    path = write_case_report(tmp_path / "case.html", scan, seg, measure(seg), overwrite=True)
    assert "Components: parts that touch by no face, edge or corner" in Page(path.read_text()).text


def test_metrics_carry_their_definitions(tmp_path):
    scan, seg = case()
    found = page(tmp_path, scan, seg, agreement=agreement(seg, replace(seg, name="expert")))
    tips = [attributes.get("title") for tag, attributes in found.tags if tag == "th"]
    hd95 = METRICS["hd95_mm"]
    assert hd95.tip in tips
    assert f"HD95: {hd95.definition}." in found.text
