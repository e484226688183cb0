"""Whether scans look skull-stripped: looked at once per image."""

from __future__ import annotations

from napari_tumorseg.inference.foreground import looks_stripped
from napari_tumorseg.scan import Scan


class SkullKnowledge:
    """Remembers what was seen of the last scan, since every change of a role asks again."""

    def __init__(self) -> None:
        self._array_id: int | None = None
        self._stripped = False

    def is_stripped(self, scan: Scan) -> bool:
        """Tell whether the skull seems to be gone, from the reference."""
        data = scan.reference.data
        address = data.__array_interface__["data"][0]
        if address != self._array_id:
            self._array_id, self._stripped = address, looks_stripped(data)
        return self._stripped
