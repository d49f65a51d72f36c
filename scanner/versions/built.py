"""Pub and Julia: SemVer in which build metadata have an order too (docs/matching.md section 3.5).

Dart's ``pub_semver`` and Julia's ``VersionNumber`` both put a version with build metadata after the same one without.
"""

import re
from typing import Final, TypeAlias

from scanner.versions import semver
from scanner.versions.form import Unparsable, read

# major, minor, patch, 1 or 0, pre-release identifiers, build identifiers
Key: TypeAlias = tuple[int, int, int, int, tuple[semver.Identifier, ...], tuple[semver.Identifier, ...]]

_PUB: Final = re.compile(rf"([0-9]++)\.([0-9]++)\.([0-9]++){semver.SUFFIXES}")
_JULIA: Final = re.compile(rf"v?([0-9]++)(?:\.([0-9]++))?(?:\.([0-9]++))?{semver.SUFFIXES}")


def pub_key(version: str) -> Key:
    """Return the sortable key of a version of a Dart package; numbers may have leading zeros."""
    return _key(_PUB, version)


def julia_key(version: str) -> Key:
    """Return the sortable key of a version of a Julia package, which may begin with ``v`` and lack its last numbers."""
    return _key(_JULIA, version)


def _key(form: re.Pattern[str], version: str) -> Key:
    major, minor, patch, pre_release, build = read(form, version).groups()
    released = 1 if pre_release is None else 0
    return int(major), int(minor or 0), int(patch or 0), released, _parts(pre_release, version), _parts(build, version)


def _parts(text: str | None, version: str) -> tuple[semver.Identifier, ...]:
    """Return identifiers in their order; unlike SemVer's, numbers may have leading zeros."""
    if text is None:
        return ()
    parts = text.split(".")
    if "" in parts:
        raise Unparsable(version)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)
