"""Run of all cases in a process of its own, as signals of the window."""

from __future__ import annotations

import logging
import sys
from typing import Any

from psygnal import Signal
from qtpy.QtCore import QCoreApplication, QObject, QProcess, QTimer

from napari_tumorseg.cohorts.background import Errand, parse_events

_MODULE = "napari_tumorseg.cohorts.background"
_LONGEST_STOP_MS = 4000
_LONGEST_WAIT_AT_EXIT_MS = 1500

_LOG = logging.getLogger(__name__)


class BackgroundRun(QObject):
    """Starts the process, passes its events on and stops it; it ends with its parent."""

    told = Signal(dict)
    """Event of the process, see `cohorts.background`."""
    ended = Signal(bool)
    """The process has ended; whether on its own and without an accident."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        if (app := QCoreApplication.instance()) is not None:
            app.aboutToQuit.connect(self.end)
        self._process: QProcess | None = None
        self._rest = b""

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None

    def start(self, errand: Errand) -> None:
        """Start the process; there is none."""
        process = self._process = QProcess(self)
        self._rest = b""
        process.readyReadStandardOutput.connect(self._on_output)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        process.start(sys.executable, ["-m", _MODULE])
        process.write(errand.to_line().encode())

    def stop(self) -> None:
        """Stop the process: at once, or by force if it does not end."""
        process = self._process
        if process is None:
            return
        process.closeWriteChannel()
        QTimer.singleShot(_LONGEST_STOP_MS, process, process.kill)

    def end(self) -> None:
        """Stop the process and wait for its end: the window closes."""
        process, self._process = self._process, None
        if process is None:
            return
        process.readyReadStandardOutput.disconnect(self._on_output)
        process.finished.disconnect(self._on_finished)
        process.errorOccurred.disconnect(self._on_error)
        process.closeWriteChannel()
        if not process.waitForFinished(_LONGEST_WAIT_AT_EXIT_MS):
            process.kill()
            process.waitForFinished(_LONGEST_WAIT_AT_EXIT_MS)
        process.deleteLater()

    def _on_output(self) -> None:
        if self._process is None:
            return
        *lines, self._rest = (self._rest + bytes(self._process.readAllStandardOutput().data())).split(b"\n")
        for found in parse_events(line.decode("utf-8", "replace") for line in lines):
            self.told.emit(found)

    def _on_error(self, error: Any) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._on_finished(1)

    def _on_finished(self, code: int, *_: Any) -> None:
        self._on_output()
        process, self._process = self._process, None
        if process is None:
            return
        errors = bytes(process.readAllStandardError().data()).decode("utf-8", "replace").strip()
        is_well = code == 0 and process.exitStatus() == QProcess.ExitStatus.NormalExit
        if errors and not is_well:
            _LOG.error("the process that segments all cases ended with %s: %s", code, errors[-4000:])
        process.deleteLater()
        self.ended.emit(is_well)
