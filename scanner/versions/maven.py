"""Maven: the version order specification of the POM reference (docs/matching.md section 3.12).

A version is a list of tokens, numbers and qualifiers, each after a dot or a hyphen. What means nothing at the end of a
stretch is dropped, so that what follows a hyphen stands beside what follows it elsewhere: ``1.0-rc1`` beside ``1-rc1``.
"""

import re
from itertools import chain
from typing import Any, Final, TypeAlias

from scanner.versions.form import read

# ranks, and values where they have one
Key: TypeAlias = tuple[Any, ...]

# What a repository can keep as a directory and a range cannot take for its own signs.
_FORM: Final = re.compile(r"[0-9A-Za-z._+~-]++")
_PIECE: Final = re.compile("[0-9]++|[^0-9.-]++|[.-]")
_RELEASE, _SERVICE_PACK, _OTHER, _HYPHEN_NUMBER, _DOT_NUMBER = range(5, 10)
_QUALIFIERS: Final = {
    "alpha": 0,
    "beta": 1,
    "milestone": 2,
    "cr": 3,
    "rc": 3,
    "snapshot": 4,
    "final": _RELEASE,
    "ga": _RELEASE,
    "release": _RELEASE,
    "sp": _SERVICE_PACK,
}
_SHORT: Final = {"a": "alpha", "b": "beta", "m": "milestone"}
_NOTHING: Final = ((_RELEASE,), (_HYPHEN_NUMBER, 0), (_DOT_NUMBER, 0))


def key(version: str) -> Key:
    """Return the sortable key of a Maven version; nearly every text is one."""
    pieces = _PIECE.findall(read(_FORM, version)[0].lower())
    found: list[tuple[Any, ...]] = []
    hyphen, empty = False, True
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        if piece in ".-":
            if empty:
                _add((_HYPHEN_NUMBER if hyphen else _DOT_NUMBER, 0), found)
            hyphen, empty = piece == "-", True
            continue
        # Between a digit and a letter stands a hyphen that is not written.
        hyphen = hyphen or not empty
        empty = False
        if piece.isdigit():
            _add((_HYPHEN_NUMBER if hyphen else _DOT_NUMBER, int(piece)), found)
        else:
            word = _SHORT.get(piece, piece) if following[:1].isdigit() else piece
            rank = _QUALIFIERS.get(word, _OTHER)
            _add((rank, word) if rank == _OTHER else (rank,), found)
    _trim(found)
    return (*chain.from_iterable(found), _RELEASE)


def _add(token: tuple[Any, ...], found: list[tuple[Any, ...]]) -> None:
    # A qualifier counts as after a hyphen, whatever it is after.
    if token[0] != _DOT_NUMBER:
        _trim(found)
    found.append(token)


def _trim(found: list[tuple[Any, ...]]) -> None:
    while found and found[-1] in _NOTHING:
        found.pop()
