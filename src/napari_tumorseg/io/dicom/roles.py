"""Modality of a DICOM series: by the words of its description, else by the times of its sequence."""

from __future__ import annotations

from napari_tumorseg.io.contrast_words import contrast_of, names_agent
from napari_tumorseg.io.dicom.facts import Header
from napari_tumorseg.io.name_words import words_of
from napari_tumorseg.io.role_words import VOCABULARY
from napari_tumorseg.io.roles import RoleGuess, guess
from napari_tumorseg.scan import Role

_DERIVED_KINDS = {
    value: kind
    for kind, values in {
        "diffusion": ("ADC", "EADC", "FA", "TRACEW", "TENSOR", "DIFFUSION", "EXP", "B0", "CALC_BVALUE"),
        "perfusion": ("CBF", "CBV", "RCBF", "RCBV", "MTT", "TTP", "TMAX", "PERFUSION", "ASL", "GBP", "PBP"),
        "a subtraction": ("SUB", "SUBTRACT", "SUBTRACTION", "DIFFERENCE"),
        "a projection": ("MIP", "MINIP", "MIN IP", "PROJECTION IMAGE"),
        "a localiser": ("LOCALIZER", "SCOUT", "SURVEY"),
        "no magnitude image": ("P", "PHASE", "PHASE MAP", "PHASEMAP", "R", "REAL", "I", "IMAGINARY"),
        "a Dixon part": ("W", "WATER", "F", "FAT", "IN_PHASE", "OPP_PHASE", "OUT_PHASE"),
        "a map": ("T1 MAP", "T2 MAP", "T2_STAR MAP", "T2STAR MAP", "R2 MAP", "B0 MAP", "B1 MAP"),
        "a screenshot": ("SCREEN SAVE", "SCREENSHOT", "CSA REPORT", "CSAPARALLEL", "POSDISP"),
        "functional MR": ("FMRI", "T-MAP", "BOLD"),
    }.items()
    for value in values
}
"""Values of Image Type of series that are no scan of a modality."""

_REFORMATTED = ("MPR", "REFORMATTED", "CPR", "CURVED")

# Limits of the times in ms, wide enough for 0.5 to 7 T; a sequence in between stays unknown.
_LONG_INVERSION = 1500.0
_SHORT_ECHO = 30.0
_LONG_ECHO = 60.0
_SHORT_REPETITION = 1200.0
_LONG_REPETITION = 2000.0
_STAR_ECHO = 12.0
_MPRAGE_INVERSION = (400.0, 1500.0)
_T1_INVERSION_REPETITION = 4000.0


def unsuitable(header: Header) -> str:
    """Return the kind of a series that is no scan of a modality; empty if it may be one."""
    kinds = [kind for value in header.image_type if (kind := _DERIVED_KINDS.get(value.upper()))]
    if kinds:
        return kinds[0]
    if any(frame.b_value for frame in header.frames):
        return "diffusion"
    if header.is_inverted:
        return "stored with inverted grey values (MONOCHROME1); save it as MONOCHROME2"
    return ""


def is_reformatted(header: Header) -> bool:
    """Return whether a series was computed from another one, in another plane."""
    return any(value.upper() in _REFORMATTED for value in header.image_type)


def role_of(header: Header) -> RoleGuess:
    """Return the modality of a series; `is_known` is False if nothing states it.

    The description counts most, then the name of the protocol, then echo, repetition and inversion time.
    A contrast agent in the header makes a T1 a T1c unless the words speak of contrast agent themselves.
    """
    for words in (header.description, header.protocol):
        found = guess(words, masks=False) if words else RoleGuess(Role.OTHER, is_known=False)
        if found.is_known:
            return _with_agent(found, header, words)
    timed = _by_times(header)
    return _with_agent(timed, header, f"{header.description} {header.protocol}")


def safe_words(header: Header) -> list[str]:
    """Return the words of a description that are of the vocabulary; no others are shown or written."""
    words = words_of(header.description) or words_of(header.protocol)
    return list(dict.fromkeys(word for word in words if word in VOCABULARY))


def _with_agent(found: RoleGuess, header: Header, words: str) -> RoleGuess:
    """Return a T1 as T1c if the header states an agent and the words do not speak of one.

    Notes of the grammar quote the words, which may be private, so they are not handed on.
    """
    role, otherwise = found.role, found.otherwise
    if role is Role.T1 and names_agent(header.agent) and contrast_of(words_of(words)).word == "":
        return RoleGuess(Role.T1C)
    note = f"{role.title} because of one doubtful word of its description" if found.note else ""
    return RoleGuess(role, note, otherwise, found.is_known)


def _by_times(header: Header) -> RoleGuess:
    unknown = RoleGuess(Role.OTHER, is_known=False)
    echo = header.frames[0].echo if header.frames else None
    repetition, inversion = header.repetition, header.inversion or 0.0
    if echo is None or repetition is None or "EP" in header.scanning:
        return unknown
    is_gradient = "GR" in header.scanning and "SE" not in header.scanning
    if inversion > _LONG_INVERSION and echo > _LONG_ECHO:
        return RoleGuess(Role.FLAIR)
    if is_gradient:
        prepared = _MPRAGE_INVERSION[0] <= inversion <= _MPRAGE_INVERSION[1]
        is_t1 = echo < _STAR_ECHO and (prepared or repetition < _SHORT_REPETITION)
        return RoleGuess(Role.T1) if is_t1 else unknown
    if echo < _SHORT_ECHO and repetition < (_T1_INVERSION_REPETITION if inversion else _SHORT_REPETITION):
        return RoleGuess(Role.T1)
    if echo > _LONG_ECHO and repetition > _LONG_REPETITION and not inversion:
        return RoleGuess(Role.T2)
    return unknown
