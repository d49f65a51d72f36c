"""GitHub Actions and Swift packages: SemVer as Git tags spell it (docs/matching.md section 3.4)."""

import re
from typing import Final

from scanner.versions import semver
from scanner.versions.form import read

_FORM: Final = re.compile(rf"v?{semver.NUMBER}(?:\.{semver.NUMBER})?(?:\.{semver.NUMBER})?{semver.SUFFIXES}")


def key(version: str) -> semver.Key:
    """Return the sortable key of a version that may begin with ``v`` and lack its last numbers: ``v4`` is ``4.0.0``."""
    major, minor, patch, pre_release, build = read(_FORM, version).groups("")
    if build:
        semver.check_build(build, version)
    return int(major), int(minor or 0), int(patch or 0), *semver.stage(pre_release or None, version)
