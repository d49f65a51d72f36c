"""Semantic Versioning 2.0.0, sections 2, 9, 10 and 11 (docs/matching.md section 3.3).

Numbers are kept as (length, digits): the same order as their values, at any size, without a conversion.
"""

from typing import TypeAlias

from scanner.versions.unparsable import Unparsable

Number: TypeAlias = tuple[int, str]
Identifier: TypeAlias = tuple[int, int, str]
# major, minor, patch, 1 for a release and 0 for a pre-release, pre-release identifiers
Key: TypeAlias = tuple[Number, Number, Number, int, tuple[Identifier, ...]]


def key(version: str) -> Key:
    """Return the sortable key of a SemVer 2.0.0 version."""
    core, pre_release = split(version)
    numbers = core.split(".")
    if len(numbers) != 3:
        raise Unparsable(version)
    return assemble(numbers, pre_release, version)


def split(version: str) -> tuple[str, str | None]:
    """Split a version into core and pre-release; build metadata is checked and dropped, it has no order."""
    version, plus, build = version.partition("+")
    if plus:
        _identifiers(build)
    core, hyphen, pre_release = version.partition("-")
    return core, pre_release if hyphen else None


def assemble(numbers: list[str], pre_release: str | None, version: str) -> Key:
    """Make the key from three numbers and a pre-release; ``version`` is the text for the refusal."""
    major, minor, patch = (_number(number, version) for number in numbers)
    if pre_release is None:
        return major, minor, patch, 1, ()
    return major, minor, patch, 0, tuple(_ordered(part, version) for part in _identifiers(pre_release))


def _number(text: str, version: str) -> Number:
    if not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0"):
        raise Unparsable(version)
    return len(text), text


def _identifiers(text: str) -> list[str]:
    parts = text.split(".")
    for part in parts:
        if not part.isascii() or not part.replace("-", "0").isalnum():
            raise Unparsable(text)
    return parts


def _ordered(identifier: str, version: str) -> Identifier:
    if identifier.isdigit():
        length, digits = _number(identifier, version)
        return 0, length, digits
    return 1, 0, identifier
