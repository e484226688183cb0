"""Bar at the top of the panel with an offer that the user may take or leave at any time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout


@dataclass(frozen=True)
class Offer:
    """Offer with up to two answers.

    Attributes
    ----------
    key : object
        Subject; a subject is not offered twice.
    text : str
        Sentence about what happened.
    accept, reject : (str, callable)
        Text of a button and its function.
    """

    key: object
    text: str
    accept: tuple[str, Callable[[], None]] | None
    reject: tuple[str, Callable[[], None]]


class OfferBar(QFrame):
    """Shows offers one after the other; hidden while there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.offers: list[Offer] = []
        self.setObjectName("offer")
        self.setStyleSheet("#offer { border: 1px solid #C08A2D; border-radius: 3px; }")
        self.text = QLabel()
        self.text.setTextFormat(Qt.TextFormat.PlainText)  # names of layers and files are in it
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.accept, self.reject = QPushButton(), QPushButton()
        self.accept.clicked.connect(lambda: self._take("accept"))
        self.reject.clicked.connect(lambda: self._take("reject"))
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.accept)
        buttons.addWidget(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self._show()

    @property
    def shown(self) -> Offer | None:
        """Offer on the screen."""
        return self.offers[0] if self.offers else None

    def add(self, offer: Offer) -> None:
        """Show an offer after those before it are answered."""
        if all(other.key != offer.key for other in self.offers):
            self.offers.append(offer)
            self._show()

    def remove(self, key: object) -> None:
        """Remove an offer."""
        self.offers = [offer for offer in self.offers if offer.key != key]
        self._show()

    def _take(self, which: str) -> None:
        offer = self.shown
        if offer is None:
            return
        self.remove(offer.key)
        choice = offer.accept if which == "accept" else offer.reject
        if choice is not None:
            choice[1]()

    def _show(self) -> None:
        offer = self.shown
        self.setVisible(offer is not None)
        if offer is None:
            return
        self.text.setText(offer.text)
        self.accept.setVisible(offer.accept is not None)
        self.accept.setText(offer.accept[0] if offer.accept else "")
        self.reject.setText(offer.reject[0])
