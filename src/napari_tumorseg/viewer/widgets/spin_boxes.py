"""Number fields in which comma and dot both are the decimal mark, whatever the locale.

Qt drops the group separator of the locale: a German user who types 1.5 gets 15.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from magicgui.widgets import FloatSpinBox
from qtpy.QtCore import QLocale
from qtpy.QtGui import QDoubleValidator, QValidator
from qtpy.QtWidgets import QDoubleSpinBox, QLineEdit, QWidget

_NUMBER = re.compile(r"\s*-?[\d.,]*\s*")
Judgement = tuple[QValidator.State, str, int]


class DecimalSpinBox(FloatSpinBox):
    """magicgui's field for a decimal number, with either decimal mark."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        accept_either_mark(self.native)


class WholeSpinBox(DecimalSpinBox):
    """Field for a whole number; what is typed behind a decimal mark is dropped."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"step": 1, **options})
        self.native.setDecimals(0)

    def get_value(self) -> float:
        """Return the number as an int."""
        return int(super().get_value())


def accept_either_mark(widget: QWidget) -> None:
    """Let all number fields in a widget, or the field itself, take comma and dot as the decimal mark."""
    boxes = [widget] if isinstance(widget, QDoubleSpinBox) else widget.findChildren(QDoubleSpinBox)
    for box in boxes:
        box.setLocale(_plain_locale())
        box.lineEdit().setValidator(_EitherMark(box.lineEdit(), box.validate))
    for line in widget.findChildren(QLineEdit):  # the labels of superqt's sliders
        known = line.validator()
        if isinstance(known, QDoubleValidator):
            known.setLocale(_plain_locale())
            line.setValidator(_EitherMark(line, known.validate))


def _plain_locale() -> QLocale:
    locale = QLocale.c()
    options = QLocale.NumberOption
    locale.setNumberOptions(options.OmitGroupSeparator | options.RejectGroupSeparator)
    return locale


class _EitherMark(QValidator):
    """Validator that turns a comma into a dot and leaves the rest to another one."""

    def __init__(self, line: QLineEdit, judge: Callable[[str, int], Any]) -> None:
        super().__init__(line)
        self._judge = judge

    def validate(self, text: str, position: int) -> Judgement:
        """Return the other one's judgement of the text with a dot.

        A bad number is refused as a whole: refusing single keys would turn it into another number.
        """
        dotted = text.replace(",", ".")
        state: QValidator.State = self._judge(dotted, position)[0]
        if state == QValidator.State.Invalid and _NUMBER.fullmatch(text):
            return QValidator.State.Intermediate, text, position
        return state, dotted, position
