"""Alpine: the order of apk-tools 3 (docs/matching.md section 3.11; apk-package(5)).

The key is a list of tokens, each a rank and its value where it has one. Where two versions first have tokens of other
kinds, the ranks decide, so a version that ends comes after its pre-releases and before everything else.
"""

import re
from typing import Any, Final, TypeAlias

from scanner.versions.form import Unparsable, read

# the first number, then ranks and values
Key: TypeAlias = tuple[Any, ...]

_FORM: Final = re.compile(
    r"([0-9]++)((?:\.[0-9]++)*)([a-z]?+)([0-9]*+)((?:_[a-z]++[0-9]*+)*)(?:~([0-9a-f]++))?(?:-r([0-9]++))?"
)
_SUFFIX: Final = re.compile("_([a-z]++)([0-9]*+)")
_PRE: Final = {"alpha": 0, "beta": 1, "pre": 2, "rc": 3}
_END, _REVISION, _HASH, _SUFFIX_NUMBER = range(4, 8)
_POST: Final = {"cvs": 8, "svn": 9, "git": 10, "hg": 11, "p": 12}
_LETTER, _ZERO_LED, _NUMBER = range(13, 16)
_RANKS: Final = _PRE | _POST


def key(version: str) -> Key:
    """Return the sortable key of a version of an Alpine package."""
    first, numbers, letter, number, suffixes, commit, revision = read(_FORM, version).groups()
    found: list[Any] = [int(first)]
    for digits in numbers.split(".")[1:]:
        # A number that begins with 0 is compared as a text, and so comes before all that do not.
        found += (_ZERO_LED, digits) if digits[0] == "0" else (_NUMBER, int(digits))
    if letter:
        found += _LETTER, letter
    if number:
        # Not of apk-tools 3: version 2 let one number follow the letter, as in "5.1p1".
        if not letter:
            raise Unparsable(version)
        found += (_ZERO_LED, number) if number[0] == "0" else (_NUMBER, int(number))
    for word, count in _SUFFIX.findall(suffixes):
        if word not in _RANKS:
            raise Unparsable(version)
        found.append(_RANKS[word])
        if count:
            found += _SUFFIX_NUMBER, int(count)
    if commit:
        found += _HASH, commit
    if revision:
        found += _REVISION, int(revision)
    found.append(_END)
    return tuple(found)
