"""PHP: versions as Composer normalises them, in the order of ``version_compare`` (docs/matching.md section 3.14)."""

import re
from typing import Any, Final, TypeAlias

from scanner.versions.form import MAX_LENGTH, Unparsable

# ranks, and values where they have one
Key: TypeAlias = tuple[Any, ...]

_MODIFIER: Final = (
    r"[._-]?(?:(stable|beta|b|rc|alpha|a|patch|pl|p)((?:[.-]?[0-9]++)*))?([.-]?dev)?"  # stage, its numbers, branch
)
_CLASSIC: Final = re.compile(rf"v?([0-9]{{1,5}}(?:\.[0-9]++){{0,3}}){_MODIFIER}")
_DATE: Final = re.compile(rf"v?([0-9]{{4}}(?:[.:-]?[0-9]{{2}}){{1,6}}(?:[.:-]?[0-9]{{1,3}}){{0,2}}){_MODIFIER}")
_BRANCH: Final = re.compile(r"v?([0-9]++(?:\.(?:[0-9]++|[x*])){0,3})[.-]?dev")
_BUILD: Final = re.compile(r"\+[!-~]++")
_NUMBER: Final = re.compile("[0-9]++")
_ANY_NUMBER: Final = "9999999"

_DEV, _ALPHA, _BETA, _CANDIDATE, _END, _NUMERIC, _PATCH = range(7)
_STAGES: Final = {
    "a": _ALPHA,
    "alpha": _ALPHA,
    "b": _BETA,
    "beta": _BETA,
    "rc": _CANDIDATE,
    "p": _PATCH,
    "pl": _PATCH,
    "patch": _PATCH,
}


def key(version: str) -> Key:
    """Return the sortable key of a Composer version; a branch without numbers (``dev-main``) has none."""
    text, plus, build = version.lower().partition("+")
    if len(version) > MAX_LENGTH or not version.isascii() or (plus and not _BUILD.fullmatch(plus + build)):
        raise Unparsable(version)
    found: list[Any] = []
    match = _CLASSIC.fullmatch(text)
    if match:
        _numbers(match[1] + ".0" * (3 - match[1].count(".")), found)
    elif match := _DATE.fullmatch(text):
        _numbers(match[1], found)
    else:
        return _branch(text, version)
    _, stage, numbers, branch = match.groups()
    if stage == "stable":
        branch = None
    elif stage:
        found.append(_STAGES[stage])
        _numbers(numbers, found)
    if branch:
        found.append(_DEV)
    found.append(_END)
    return tuple(found)


def _branch(text: str, version: str) -> Key:
    """Return the key of ``1.x-dev``, which is above every number that may stand for the ``x``."""
    match = _BRANCH.fullmatch(text)
    if match is None:
        raise Unparsable(version)
    found: list[Any] = []
    numbers = match[1].split(".")
    for number in [*numbers, *["x"] * (4 - len(numbers))]:
        _numbers(_ANY_NUMBER if number in "x*" else number, found)
    return (*found, _DEV, _END)


def _numbers(text: str, found: list[Any]) -> None:
    for number in _NUMBER.findall(text):
        found += _NUMERIC, int(number)
