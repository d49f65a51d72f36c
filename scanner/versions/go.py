"""Go: module versions and toolchain releases in one order (docs/matching.md section 3.2).

Module versions are SemVer with a ``v``; pseudo-versions are the pre-releases they look like, ``+incompatible`` is the
build metadata it looks like. Toolchain releases (``go1.21rc1``, ``1.19``) become the SemVer that the advisory data has.
"""

import re
from typing import Final

from scanner.versions import semver
from scanner.versions.form import Unparsable, read

# A toolchain may name its experiments after a space: "go1.20.5 X:boringcrypto".
_FORM: Final = re.compile(
    rf"(?:v|go)?{semver.NUMBER}(?:\.{semver.NUMBER})?(?:\.{semver.NUMBER})?(?:(rc|beta){semver.NUMBER})?"
    rf"{semver.SUFFIXES}"
)


def key(version: str) -> semver.Key:
    """Return the sortable key of a Go version; ``(devel)`` and branch names are refused with ``Unparsable``."""
    text = version.partition(" ")[0] if version.startswith("go") else version
    major, minor, patch, word, count, pre_release, build = read(_FORM, text).groups()
    semver.check_build(build, version)
    # The first release was "go1"; any other lone number is a date or a commit.
    if minor is None and (major != "1" or word):
        raise Unparsable(version)
    if word:
        if pre_release is not None:
            raise Unparsable(version)
        pre_release = f"{word}.{count}"
    return int(major), int(minor or 0), int(patch or 0), *semver.stage(pre_release, version)
