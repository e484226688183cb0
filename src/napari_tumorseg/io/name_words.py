"""Words of image names: BIDS entities read, spellings made one, compounds cut into known words.

A name is cut at punctuation, where lower case turns into upper case, and inside compounds that consist of
known words (``AXT1POST``, ``3DFLAIR``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from napari_tumorseg.io import role_words as w

_CACHED = 2**16
_LONGEST_COMPOUND = 40

_SPELLINGS = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"(?<=t2)w?[\W_]*(?:\*|star(?![a-z]))", " star "),
        (r"dark[\W_]*fluid", " darkfluid "),
        (r"(?<![a-z])da[\W_]fl(?![a-z])", " darkfluid "),
        (r"fluid[\W_]*attenuated", " fluidattenuated "),
        (r"(?<![a-z])mp[\W_]+(2?)rage", r" mp\1rage "),
        (r"hd[\W_]*bet(?![a-z]{3})", " hdbet "),
        (r"skull[\W_]*strip", " skullstrip"),
        (r"ground[\W_]*truth", " groundtruth "),
        (r"bias[\W_]*field", " biasfield "),
        (r"gamma[\W_]*knife", " gammaknife "),
        (r"post(?=\d)", "post "),
        (r"grad[\W_]*warp", " "),
        (r"synth[\W_]+(seg|sr)(?![a-z])", r" synth\1 "),
        (r"(?<![a-z0-9])w(?:ith)?[\W_]*(?:and)?[\W_]*w(?:ith)?[\W_]?o(?:ut)?(?![a-z0-9])", " both "),
        (r"(?<![a-z])pre[\W_]*(?:and|und|et|e|y)?[\W_]*post(?![a-z])", " both "),
        (r"[\u03b4\u2206]", " delta "),
        (r"(?<=t1)w?[\s_]?\+(?![a-z0-9])(?![\s_]*(?:t[12]|fl|dwi|swi|pd))", " contrast "),
        (r"(?<=t1)(w?[\W_]+)m\s?k(?![a-z0-9])", r"\1 contrast "),
        (r"(?<=[\s_])-(?=(?:gd|gad|gado|km|mdc|ce|inj|[ck]ontraste?)(?![a-z]))", " minus "),
        (r"(?<![a-z0-9])w[/\\_\s]o(?![a-z0-9])", " without "),
        (r"(?<![a-z0-9])s/c(?![a-z0-9])", " without contrast "),
        (r"(?<![a-z0-9])c/c(?![a-z0-9])", " contrast "),
        (r"(?<![a-z0-9])c\s?\+|\+\s?c(?![a-z0-9])", " contrast "),
        (r"(?<![a-z0-9])c-(?=[\s_.]|$)|(?<=[\s_])-c(?![a-z0-9])", " without contrast "),
        (r"(?<=[a-z])-(?=[\s_.]|$)", " negative "),
    )
)
"""Spellings with punctuation that would be lost when a name is cut into words."""

_ENTITY = re.compile(r"(?:(?<=_)|^)([a-z]+)-([a-zA-Z0-9+]+)(?=_|$)")
_HEADS = frozenset[str]().union(w.SEQUENCES, w.PULSES, w.DERIVED, w.PARCELLATIONS, w.BRAIN, w.TUMOUR, w.MASKS)
_FIRST = w.NEGATIONS | {"post"}
"""A compound holds one of the first, or begins with one of these: a name may be made of others by chance."""


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case, those of the vocabulary as it spells them."""
    text = _spaced(_without_entities(name) if _is_bids(name) else name)
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    return [piece for word in re.split(r"[^a-z0-9]+", text) if word for piece in _pieces(word)]


def tokens(name: str) -> list[str]:
    """Split a name into lower-case words: at punctuation, and where lower case turns into upper case."""
    return [word for word in re.split(r"[^a-z0-9]+", _spaced(name)) if word]


def _spaced(name: str) -> str:
    """Return a name in lower case without accents, with spaces where lower case turned into upper case."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain).lower()


def _is_bids(name: str) -> bool:
    return name.startswith("sub-") or len(_ENTITY.findall(name)) > 1


def _without_entities(name: str) -> str:
    """Return a BIDS name without the entities that show no modality, and with a word for ``ce-``."""

    def word(match: re.Match[str]) -> str:
        key, value = match.groups()
        if key in w.SILENT_ENTITIES:
            return ""
        if key == "ce":
            return "without_contrast" if value.lower() in w.NO_AGENT else "contrast"
        return value

    return _ENTITY.sub(word, name)


@lru_cache(_CACHED)
def _pieces(word: str) -> tuple[str, ...]:
    """Return the known words that a compound consists of, or the word itself where it is none."""
    if word in w.VOCABULARY or word.isdigit() or len(word) > _LONGEST_COMPOUND:
        return (word,)
    found = _cut(word)
    if found and (found[0] in _FIRST or any(piece in _HEADS for piece in found)):
        return tuple(_to(found))
    ending = next((e for e in w.MASK_ENDINGS if word.endswith(e) and len(word) > len(e)), "")
    return (*_pieces(word[: -len(ending)]), ending) if ending else (word,)


def _cut(word: str) -> list[str] | None:
    """Cut a word into known ones, the longest first; a letter may stand before a sequence (``rFLAIR``)."""
    for start in (0, 1, 2):
        if not set(word[:start]) <= set(w.PREFIX_LETTERS):
            break
        found = _cut_behind(word[start:], "")
        if found and (not start or found[0] in w.SEQUENCES or found[0] in w.PULSES):
            return found
    return None


@lru_cache(_CACHED)
def _cut_behind(rest: str, before: str) -> list[str] | None:
    if not rest:
        return []
    digits = re.match(r"\d+", rest)
    ends = [n for n in range(len(rest), 1, -1) if rest[:n] in w.VOCABULARY]
    if digits and before not in ("t1", "t2"):  # T12 is a vertebra
        ends.append(digits.end())
    for end in ends:
        found = _cut_behind(rest[end:], rest[:end])
        if found is not None:
            return [rest[:end], *found]
    return None


def _to(pieces: Sequence[str]) -> list[str]:
    """Return pieces with "to" for the 2 between two sequences: ``flair2t1``."""
    around = zip(["", *pieces[:-1]], pieces, [*pieces[1:], ""], strict=True)
    return ["to" if p == "2" and a in w.SEQUENCES and z in w.SEQUENCES else p for a, p, z in around]
