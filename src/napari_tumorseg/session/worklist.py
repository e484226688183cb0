"""Worklist: the cases of a folder and their states, which are stored beside the masks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.io.atomic import make_folder
from napari_tumorseg.io.case import file_name
from napari_tumorseg.io.dataset import CaseRef, DataSet
from napari_tumorseg.io.locks import held
from napari_tumorseg.session import case_status as files
from napari_tumorseg.session.case_status import State
from napari_tumorseg.session.mask_facts import MaskFacts, facts_of
from napari_tumorseg.session.order import Order, ordered

STATE_FILE = "tumorseg-worklist.json"
"""Name of the file beside the masks."""

_LOCK = ".tumorseg-worklist-lock"
_NOTHING_KNOWN = MaskFacts()


@dataclass(frozen=True)
class Entry:
    """Case of a worklist.

    Attributes
    ----------
    ref : CaseRef
        Reference to the case; `ref.open()` reads it.
    state : State
        State of the work on it.
    mask : Path or None
        Its mask in the output folder, if there is one.
    facts : MaskFacts
        Facts about the mask.
    """

    ref: CaseRef
    state: State
    mask: Path | None = None
    facts: MaskFacts = _NOTHING_KNOWN

    @property
    def name(self) -> str:
        """Name of the case."""
        return self.ref.name


class Worklist:
    """Cases with their states; made by `open`.

    Attributes
    ----------
    output : Path
        Folder of the masks and states.
    order : Order
        Order of the cases.
    entries : tuple of Entry
        Cases in that order.
    problems : tuple of str
        Problems with the file of states, one sentence each.
    """

    def __init__(self, cases: Iterable[CaseRef], output: Path, order: Order = Order.NAME) -> None:
        self.output = Path(output)
        self.order = order
        self._cases = tuple(cases)
        self._lock = Lock()
        self.entries: tuple[Entry, ...] = ()
        self.problems: tuple[str, ...] = ()
        self.refresh()

    @classmethod
    def open(
        cls, paths: Path | str | Sequence[Path | str], output: Path | str, order: Order = Order.NAME
    ) -> Worklist:
        """List the cases of some folders, of any layout that can be read.

        Parameters
        ----------
        paths : path or sequence of paths
            Folders of the cases; nothing of them is read yet.
        output : path
            Folder of their masks; it need not exist.
        order : Order
            Order of the cases.

        Raises
        ------
        InputError
            If there is nothing readable.
        """
        several = [paths] if isinstance(paths, Path | str) else paths
        return cls(DataSet.find([Path(p) for p in several]).cases, Path(output), order)

    @property
    def path(self) -> Path:
        """File of states."""
        return self.output / STATE_FILE

    def entry(self, name: str) -> Entry:
        """Return the case of this name.

        Raises
        ------
        InputError
            If there is none.
        """
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise InputError(f"the worklist has no case {name!r}; open its folder again")

    def counts(self) -> Mapping[State, int]:
        """Return the number of cases in each state."""
        return {state: sum(entry.state == state for entry in self.entries) for state in State}

    def refresh(self) -> None:
        """Read the masks and the file of states again; a thread may do so."""
        with self._lock:
            states, problems = files.read_states(self.path)
            if problems:
                try:
                    problems.append(files.backup(self.path))
                except OutputError as error:
                    problems.append(str(error))
            self._update(states)
            self.problems = tuple(problems)

    def sort(self, order: Order) -> None:
        """Put the cases into another order."""
        with self._lock:
            self.order = order
            self.entries = ordered(self._by_name(self.entries), order)

    def _update(self, states: Mapping[str, Any]) -> None:
        masks = files.masks_in(self.output)
        entries = [
            _entry(ref, names, states, masks, self.output)
            for ref, names in zip(self._cases, _names(self._cases), strict=True)
        ]
        self.entries = ordered(entries, self.order)

    def _by_name(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return cases in the order in which they were found."""
        place = {ref.name: number for number, ref in enumerate(self._cases)}
        return sorted(entries, key=lambda entry: place[entry.name])

    def set(self, name: str, state: State, mask: Path | None = None) -> Entry:
        """Set the state of a case and write it to the file of states.

        Parameters
        ----------
        name : str
            Name of the case.
        state : State
            New state. A case that has a mask is at least segmented, one corrected by hand at least
            corrected, whatever is set.
        mask : Path, optional
            Its mask in the output folder, if that is not named after the case.

        Returns
        -------
        Entry
            The case with its new state.

        Raises
        ------
        InputError
            If there is no such case.
        OutputError
            If it cannot be written.
        """
        self.entry(name)
        make_folder(self.output)
        # another window, process or thread may set or read states at the same time
        with self._lock, held(self.output / _LOCK):
            states, problems = files.read_states(self.path)
            if problems:
                files.backup(self.path)
            states[name] = {**states.get(name, {}), "state": str(state)}
            if mask is not None:
                states[name]["mask"] = Path(mask).name
            files.write_states(self.path, states)
            self._update(states)
        return self.entry(name)

    def next(self, name: str | None = None, states: Collection[State] | None = None) -> Entry | None:
        """Return the case after the one named, or the first; None at the end.

        `states` leaves out cases in any other state: ``{State.NEW, State.SEGMENTED}`` are those still to do.
        """
        return _step(self.entries, name, states)

    def previous(self, name: str | None = None, states: Collection[State] | None = None) -> Entry | None:
        """Return the case before the one named, or the last; None at the beginning."""
        return _step(self.entries[::-1], name, states)

    def mask_path(self, name: str, ending: str = ".nii.gz") -> Path:
        """Return the path of a case's mask: the existing one, or ``NAME_seg`` in the output folder."""
        entry = self.entry(name)
        return entry.mask or self.output / f"{file_name(entry.name)}_seg{ending}"


def _step(entries: Sequence[Entry], name: str | None, states: Collection[State] | None) -> Entry | None:
    names = [entry.name for entry in entries]
    start = names.index(name) + 1 if name in names else 0
    return next((e for e in entries[start:] if states is None or e.state in states), None)


def _entry(
    ref: CaseRef, names: Collection[str], states: Mapping[str, Any], masks: Mapping[str, Path], output: Path
) -> Entry:
    noted = states.get(ref.name, {})
    found = [masks[f"{file_name(name)}_seg"] for name in names if f"{file_name(name)}_seg" in masks]
    named = noted.get("mask")
    # only a bare name: nothing outside the folder, whoever wrote that file
    if isinstance(named, str) and Path(named).name == named and (output / named).is_file():
        found.insert(0, output / named)
    mask = found[0] if found else None
    state = max(files.state_of(noted), files.state_of_mask(mask), key=tuple(State).index)
    return Entry(ref, state, mask, facts_of(mask))


def _names(cases: Sequence[CaseRef]) -> list[tuple[str, ...]]:
    """Return the names that each case's mask may have: that of the case, or of its folder if unique."""
    own = [Path(ref.case).name for ref in cases]
    return [
        (ref.name, last) if own.count(last) == 1 else (ref.name,)
        for ref, last in zip(cases, own, strict=True)
    ]
