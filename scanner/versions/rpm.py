"""RPM: epoch, version and release in the order of ``rpmvercmp`` (docs/matching.md section 3.10; rpm-version(7)).

What stands between letters and digits only separates; of every pair of tokens the first decides: ``~`` before the end,
the end before ``^``, that before letters, letters before numbers.
"""

import re
from typing import Any, Final, TypeAlias

from scanner.versions.form import Unparsable, read

# epoch, tokens of the version, 0, or 1 and the tokens of the release
Key: TypeAlias = tuple[Any, ...]

_FORM: Final = re.compile(r"(?:([0-9]++):)?([0-9A-Za-z._+~^]++)(?:-([0-9A-Za-z._+~^]++))?")
_PIECE: Final = re.compile("[0-9]++|[A-Za-z]++|[~^]")
_LARGEST_EPOCH: Final = 2**32 - 1
_TILDE, _END, _CARET, _LETTERS, _NUMBER = range(5)


def key(version: str) -> Key:
    """Return the sortable key of ``[epoch:]version[-release]``; a version comes before its releases."""
    epoch, number, release = read(_FORM, version).groups()
    found: list[Any] = [int(epoch or 0)]
    if found[0] > _LARGEST_EPOCH:
        raise Unparsable(version)
    _tokens(number, found)
    if release is None:
        found.append(0)
    else:
        found.append(1)
        _tokens(release, found)
    return tuple(found)


def _tokens(text: str, found: list[Any]) -> None:
    for piece in _PIECE.findall(text):
        if piece == "~":
            found.append(_TILDE)
        elif piece == "^":
            found.append(_CARET)
        elif piece[0] <= "9":
            found += _NUMBER, int(piece)
        else:
            found += _LETTERS, piece
    found.append(_END)
