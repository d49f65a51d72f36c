"""NuGet: one to four numbers and a pre-release, whose letter case does not count (docs/matching.md section 3.7)."""

import re
from typing import Final, TypeAlias

from scanner.versions import semver
from scanner.versions.form import Unparsable, read

# major, minor, patch, revision, 1 for a release and 0 for a pre-release, pre-release identifiers
Key: TypeAlias = tuple[int, int, int, int, int, tuple[semver.Identifier, ...]]

_FORM: Final = re.compile(rf"([0-9]++)(?:\.([0-9]++))?(?:\.([0-9]++))?(?:\.([0-9]++))?{semver.SUFFIXES}")
_LARGEST: Final = 2**31 - 1
"""NuGet keeps numbers in 32 bits: a version cannot have a larger one, an identifier with a larger one is a text."""


def key(version: str) -> Key:
    """Return the sortable key of a NuGet version; missing numbers are 0."""
    *numbers, pre_release, build = read(_FORM, version).groups()
    semver.check_build(build, version)
    major, minor, patch, revision = (int(number or 0) for number in numbers)
    if max(major, minor, patch, revision) > _LARGEST:
        raise Unparsable(version)
    if pre_release is None:
        return major, minor, patch, revision, 1, ()
    parts = semver.identifiers(pre_release.lower(), version)
    return major, minor, patch, revision, 0, tuple(map(_as_text_if_large, parts))


def _as_text_if_large(part: semver.Identifier) -> semver.Identifier:
    return (1, 0, str(part[1])) if part[1] > _LARGEST else part
