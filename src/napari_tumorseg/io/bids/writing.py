"""Results as a BIDS derivative data set: labels, masks of regions and probabilities of a session."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg.errors import OutputError
from napari_tumorseg.io import nifti
from napari_tumorseg.io.atomic import check_target, make_folder, write_text
from napari_tumorseg.io.bids.dataset import SOURCE, check_dataset, ensure_dataset
from napari_tumorseg.io.bids.names import BidsName, dataset_root, entity_value, shared_entities
from napari_tumorseg.io.formats import side_file, stem
from napari_tumorseg.io.json_files import write_json
from napari_tumorseg.io.output_set import output_set
from napari_tumorseg.io.side_files import files_of_set, read_side_file, set_problems
from napari_tumorseg.io.writing import check_own, description_of
from napari_tumorseg.regions import REGION_NAMES, LabelConvention, region_mask
from napari_tumorseg.scan import MODALITIES, Image, Scan, Segmentation

_SHARED = ("acq", "rec", "run")
"""Entities of the images that also name the result, where all images agree."""

_CASE = re.compile(r"sub-(?P<sub>[a-zA-Z0-9+]+)(?:_ses-(?P<ses>[a-zA-Z0-9+]+))?")


@dataclass(frozen=True)
class DerivativeFiles:
    """Names of the files of one session in a derivative data set.

    Attributes
    ----------
    root : Path
        Folder of the data set.
    entities : mapping of str to str
        Entities that all files have.
    source : Path or None
        Folder of the data set that the images lie in.
    """

    root: Path
    entities: Mapping[str, str]
    source: Path | None = None

    @classmethod
    def of(cls, scan: Scan, root: Path) -> DerivativeFiles:
        """Return the names for the results of a scan, after its BIDS images or the name of the case."""
        source = _source_of(scan)
        if source is None:
            return cls(root, _entities_of_case(scan))
        inside = (i.source for i in scan if i.source is not None and dataset_root(i.source) == source)
        known = [name for path in inside if (name := BidsName.parse(stem(path)))]
        return cls(root, shared_entities(known, ("sub", "ses", *_SHARED)), source)

    @property
    def folder(self) -> Path:
        """Folder of the session's files."""
        session = [f"ses-{self.entities['ses']}"] if "ses" in self.entities else []
        return self.root.joinpath(f"sub-{self.entities['sub']}", *session, "anat")

    @property
    def labels(self) -> Path:
        """Segmentation with all labels; its side file describes the whole set."""
        return self._file({"seg": "tumour"}, "dseg")

    @property
    def table(self) -> Path:
        """Table of the labels."""
        return self.labels.with_name(f"{stem(self.labels)}.tsv")

    def region(self, name: str) -> Path:
        """Return the mask of a region."""
        return self._file({"label": entity_value(name)}, "mask")

    def probability(self, name: str) -> Path:
        """Return the probabilities of an output of the model."""
        return self._file({"label": entity_value(name)}, "probseg")

    def masks(self, convention: LabelConvention) -> list[Path]:
        """Return the labels and the masks of all regions that a convention defines."""
        return [self.labels, *map(self.region, convention.regions)]

    def all(self, convention: LabelConvention, outputs: Iterable[str] = ()) -> list[Path]:
        """Return every file that is written."""
        images = [*self.masks(convention), *map(self.probability, outputs)]
        return [*images, self.table, *map(side_file, images)]

    def _file(self, more: Mapping[str, str], suffix: str) -> Path:
        return self.folder / f"{BidsName({**self.entities, **more}, suffix)}.nii.gz"


def _source_of(scan: Scan) -> Path | None:
    """Return the BIDS data set that the reference of a scan lies in."""
    source = scan.reference.source
    return dataset_root(source) if source is not None and BidsName.parse(stem(source)) else None


def _entities_of_case(scan: Scan) -> dict[str, str]:
    """Return subject and session made of the name of a case, ``BraTS-GLI-00005-100``."""
    if found := _CASE.fullmatch(scan.case):
        return {key: value for key, value in found.groupdict().items() if value}
    patient = scan.case.removesuffix(scan.time_point).rstrip("-_ .")
    if not scan.time_point or not patient or patient == scan.case:
        return {"sub": entity_value(scan.case)}
    return {"sub": entity_value(patient), "ses": entity_value(scan.time_point)}


def check_bids(files: DerivativeFiles, case: str) -> None:
    """Refuse a folder for results before any work is done.

    Raises
    ------
    OutputError
        If it is the source data set or another program's, or if the files would be those of another case.
    """
    check_dataset(files.root, files.source)
    _refuse_other_case(files, case)


def _refuse_other_case(files: DerivativeFiles, case: str) -> None:
    """Raise if the session is the result of another case: ``P-01`` and ``P01`` have the same name in BIDS."""
    content = read_side_file(side_file(files.labels)) or {}
    if content.get("case", case) != case:
        raise OutputError(f"{files.labels} belongs to the case {content['case']}; rename one of the cases")


def write_bids(seg: Segmentation, scan: Scan, folder: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Write a result into a BIDS derivative data set, which is made if necessary.

    Parameters
    ----------
    seg : Segmentation
        Mask to write; its probabilities are written, too, where it has them.
    scan : Scan
        The scan that was segmented.
    folder : path
        Folder of the data set; further cases go into the same one.
    overwrite : bool
        Whether earlier results of this case may be replaced.

    Returns
    -------
    list of Path
        ``seg-tumour_dseg.nii.gz`` first, then ``label-REGION_mask.nii.gz`` and
        ``label-OUTPUT_probseg.nii.gz``, the table of labels, and the JSON of each.

    Raises
    ------
    OutputError
        If a file exists or cannot be written, or the folder holds something else. Then no file of the
        session is written.

    Examples
    --------
    >>> write_bids(seg, scan, "ds/derivatives/napari-tumorseg")  # doctest: +SKIP
    """
    files = DerivativeFiles.of(scan, Path(folder))
    check_bids(files, seg.name)
    targets = files.all(seg.convention, seg.probabilities)
    make_folder(files.folder)
    for path in targets:
        check_target(path, overwrite)
    ensure_dataset(files.root, files.source)
    about, earlier = _references(scan, seg, files), _earlier(files)
    with output_set() as staged:
        staged.check(partial(_refuse_other_case, files, seg.name))
        for path in files.masks(seg.convention) if overwrite else ():
            staged.check(partial(check_own, path, side_file(files.labels)))
        _write_images(seg, files, about, overwrite)
        write_text(files.table, _table(seg.convention), overwrite)
        content = {"Description": "Labels of a tumour", "Manual": _is_manual(seg), **about}
        staged.describe(side_file(files.labels), {**content, **description_of(seg)}, overwrite)
        for path in earlier - set(targets):
            staged.remove(path)
    return targets


def _earlier(files: DerivativeFiles) -> set[Path]:
    """Return the images and side files of an earlier result, which may have had more regions."""
    start = str(BidsName(files.entities, ""))
    images = {path for path in files_of_set(files.labels) if path.name.startswith(start) and path.is_file()}
    return images if not set_problems(files.labels) else set()


def _write_images(
    seg: Segmentation, files: DerivativeFiles, about: Mapping[str, Any], overwrite: bool
) -> None:
    nifti.write_mask(seg, files.labels, overwrite)
    for region, members in seg.convention.regions.items():
        path = files.region(region)
        mask = region_mask(seg.labels, members).astype(np.uint8)
        nifti.write_bytes_as(mask, seg.grid, path, overwrite=overwrite)
        described = {"Description": f"Mask of the {REGION_NAMES[region]}", "Type": "Lesion", **about}
        write_json(side_file(path), described, overwrite)
    for name in seg.probabilities:
        path = files.probability(name)
        nifti.write_bytes_as(seg.probability_map(name), seg.grid, path, slope=1 / 255, overwrite=overwrite)
        described = {"Description": f"Probability of {REGION_NAMES.get(name, name)}", **about}
        write_json(side_file(path), described, overwrite)


def _references(scan: Scan, seg: Segmentation, files: DerivativeFiles) -> dict[str, Any]:
    """Return the source images and the reference of a result as BIDS URIs; empty outside of BIDS."""
    if files.source is None:
        return {}
    uris = [uri for image in _inputs(scan, seg) if (uri := _uri(image, files.source))]
    return {"Sources": uris, "SpatialReference": _uri(scan.reference, files.source)}


def _inputs(scan: Scan, seg: Segmentation) -> list[Image]:
    """Return the inputs of the model by the provenance, else all images of a known modality."""
    roles = {entry.get("role") for entry in seg.provenance.get("inputs", ())} or set(MODALITIES)
    return [image for role, image in scan.roles.items() if role in roles] or [scan.reference]


def _uri(image: Image, source: Path) -> str:
    path = image.source.absolute() if image.source else None
    inside = path is not None and source in path.parents
    return f"bids:{SOURCE}:{path.relative_to(source).as_posix()}" if path is not None and inside else ""


def _is_manual(seg: Segmentation) -> bool:
    edits = seg.provenance.get("edits") or {}
    return bool(seg.provenance.get("corrected_by_hand") or edits.get("total"))


def _table(convention: LabelConvention) -> str:
    rows = [
        (str(label.value), label.name, label.short.replace("/", ""), label.colour)
        for label in convention.labels
    ]
    return "".join("\t".join(row) + "\n" for row in (("index", "name", "abbreviation", "color"), *rows))
