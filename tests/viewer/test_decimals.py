"""Numbers typed with a comma or a dot, under the number format of a German desktop."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QLocale, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QLineEdit

from napari_tumorseg.parsing import parse_spacing
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.studies import head_case, mask_on, show_case


@pytest.fixture
def german():
    before = QLocale()
    QLocale.setDefault(QLocale("de_DE"))
    yield
    QLocale.setDefault(before)


@pytest.fixture
def opened(german, new_panel):
    """A panel with a scan of unknown voxel size and a mask."""
    viewer, panel = new_panel(show=True)
    one = head_case(unit="unknown")
    show_case(viewer, one, mask_on(one))
    return viewer, panel


def type_into(line: QLineEdit, text: str) -> None:
    line.setFocus()
    line.selectAll()
    QTest.keyClicks(line, text)
    QTest.keyClick(line, Qt.Key.Key_Return)


@NEEDS_SCREEN
@pytest.mark.parametrize("text", ["1.5", "1,5"])
def test_every_field_for_a_decimal_takes_both_marks(opened, text):
    _, panel = opened
    fields = panel.findChildren(QDoubleSpinBox)
    decimal = [field for field in fields if field.decimals()]
    assert len(decimal) >= 5
    for field in decimal:
        field.setEnabled(True)
        type_into(field.lineEdit(), text)
        assert field.value() == 1.5, field.toolTip()


@NEEDS_SCREEN
@pytest.mark.parametrize("text", ["1.5", "1,5"])
def test_a_field_for_a_whole_number_never_makes_15_of_it(opened, text):
    _, panel = opened
    whole = [x for x in panel.findChildren(QAbstractSpinBox) if not getattr(x, "decimals", lambda: 0)()]
    assert whole
    for field in whole:
        type_into(field.lineEdit(), text)
        assert field.value() == 1, field.toolTip()


@NEEDS_SCREEN
@pytest.mark.parametrize("text", ["0.7", "0,7"])
def test_the_threshold_takes_both_marks(opened, text):
    slider = opened[1].correct.uncertainty.threshold.slider
    (line,) = slider.findChildren(QLineEdit)
    type_into(line, text)
    assert slider.value() == 0.7


@NEEDS_SCREEN
def test_the_intensity_range_takes_both_marks(opened):
    viewer, panel = opened
    section = panel.correct.restrict
    section.image.value = viewer.layers[0].name
    high = section.range.value()[1]
    for text, value in (("11.5", 11.5), ("12,5", 12.5)):
        section.range.setDecimals(1)
        line = min(section.range.findChildren(QLineEdit), key=lambda x: float(x.text()))
        type_into(line, text)
        assert section.range.value() == (value, high)


@NEEDS_SCREEN
@pytest.mark.parametrize("text", ["2,5 0,94 0,94", "2.5 0.94 0.94", "2,5 x 0,94 x 0,94"])
def test_a_voxel_size_takes_both_marks(opened, text):
    viewer, panel = opened
    row = panel.inputs.spacing
    type_into(row.text.native, text)
    assert tuple(viewer.layers[0].scale) == pytest.approx((2.5, 0.94, 0.94))


@pytest.mark.parametrize(
    ("text", "spacing"),
    [
        ("5,0.94,0.94", (5, 0.94, 0.94)),
        ("5, 0.94, 0.94", (5, 0.94, 0.94)),
        ("5,0 0,94 0,94", (5, 0.94, 0.94)),
        ("5; 0,94; 0,94", (5, 0.94, 0.94)),
        ("5,1,1", (5, 1, 1)),
    ],
)
def test_a_comma_separates_or_marks_decimals(text, spacing):
    assert parse_spacing(text) == spacing


@pytest.mark.parametrize("text", ["5,0,0,94,0,94", "1.234,5 1 1", "5,0.9 0.9 1", "0,5"])
def test_an_ambiguous_voxel_size_is_refused(text):
    with pytest.raises(ValueError):
        parse_spacing(text)
