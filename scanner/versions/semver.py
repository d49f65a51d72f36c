"""Semantic Versioning 2.0.0, sections 2, 9, 10 and 11 (docs/matching.md section 3.3).

The parts are shared with the schemes that are SemVer with spellings or an order of their own.
"""

import re
from typing import Final, TypeAlias

from scanner.versions.form import Unparsable, read

# 0 and a number, or 1 and a text
Identifier: TypeAlias = tuple[int, int, str]
# major, minor, patch, 1 for a release and 0 for a pre-release, pre-release identifiers
Key: TypeAlias = tuple[int, int, int, int, tuple[Identifier, ...]]

NUMBER: Final = "(0|[1-9][0-9]*+)"
"""A number without leading zeros, as a group."""
SUFFIXES: Final = r"(?:-([0-9A-Za-z.-]++))?(?:\+([0-9A-Za-z.-]++))?"
"""Pre-release and build metadata, as two groups; whether their identifiers are well-formed is asked afterwards."""

_FORM: Final = re.compile(rf"{NUMBER}\.{NUMBER}\.{NUMBER}{SUFFIXES}")


def key(version: str) -> Key:
    """Return the sortable key of a SemVer 2.0.0 version."""
    major, minor, patch, pre_release, build = read(_FORM, version).groups()
    check_build(build, version)
    return int(major), int(minor), int(patch), *stage(pre_release, version)


def stage(pre_release: str | None, version: str) -> tuple[int, tuple[Identifier, ...]]:
    """Return the part of a key that puts pre-releases before the release."""
    return (1, ()) if pre_release is None else (0, identifiers(pre_release, version))


def identifiers(text: str, version: str) -> tuple[Identifier, ...]:
    """Return identifiers in their order: numbers before texts, fewer before more."""
    found: list[Identifier] = []
    for part in text.split("."):
        if not part or (part[0] == "0" and part != "0" and part.isdigit()):
            raise Unparsable(version)
        found.append((0, int(part), "") if part.isdigit() else (1, 0, part))
    return tuple(found)


def check_build(build: str | None, version: str) -> None:
    """Refuse build metadata with an empty identifier; it has no order, but must be well-formed."""
    if build is not None and "" in build.split("."):
        raise Unparsable(version)
