"""Files of one case as a parcel: from another folder or machine into the output folder of the cohort."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_tumorseg.cohorts.record import Record, mask_path, picture_path, record_path
from napari_tumorseg.io.atomic import atomic_path, write_text
from napari_tumorseg.io.formats import side_file
from napari_tumorseg.io.output_set import output_set
from napari_tumorseg.io.side_files import check_replaceable


@dataclass(frozen=True)
class Parcel:
    """Record of a case, and the content of its files.

    Attributes
    ----------
    record : Record
        The record.
    files : mapping of str to bytes
        Mask, side file and thumbnail, by their path below the output folder; none if the case failed.
    """

    record: Record
    files: Mapping[str, bytes]

    @classmethod
    def pack(cls, record: Record, folder: Path) -> Parcel:
        """Read the files of a case that lie in a folder."""
        mask = mask_path(folder, record.case)
        paths = (mask, side_file(mask), picture_path(folder, record.case)) if record.state == "done" else ()
        return cls(record, {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths if p.is_file()})

    def write(self, output: Path, check: Callable[[], None] | None = None) -> Record:
        """Write the files and the record as one set, and return the record.

        A thumbnail of an earlier mask does not stay.

        Parameters
        ----------
        output : Path
            Output folder.
        check : callable, optional
            Raises an error if the case is not to be written; it is called when no other process writes.

        Raises
        ------
        OutputError
            If one cannot be written, or a mask is there that another program wrote or changed.
        """
        picture = picture_path(output, self.record.case)
        with output_set() as files:
            files.check(lambda: check_replaceable(mask_path(output, self.record.case)))
            if check is not None:
                files.check(check)
            for name, content in self.files.items():
                with atomic_path(output / name, overwrite=True) as temporary:
                    temporary.write_bytes(content)
            write_text(record_path(output, self.record.case), self.record.to_json(), overwrite=True)
            if picture.relative_to(output).as_posix() not in self.files:
                files.remove(picture)
        return self.record
