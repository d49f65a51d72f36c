"""Bitnami: SemVer whose pre-release part is a package revision (docs/matching.md section 3.6).

Bitnami counts its own changes of a package in that place, so ``2.4.58-1`` is newer than ``2.4.58``.
"""

import re
from typing import Final, TypeAlias

from scanner.versions import semver
from scanner.versions.form import read

# major, minor, patch, revision identifiers
Key: TypeAlias = tuple[int, int, int, tuple[semver.Identifier, ...]]

_FORM: Final = re.compile(rf"{semver.NUMBER}\.{semver.NUMBER}\.{semver.NUMBER}{semver.SUFFIXES}")


def key(version: str) -> Key:
    """Return the sortable key of a version of a Bitnami package."""
    major, minor, patch, revision, build = read(_FORM, version).groups()
    semver.check_build(build, version)
    return int(major), int(minor), int(patch), () if revision is None else semver.identifiers(revision, version)
