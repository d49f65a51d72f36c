"""Go: module versions and toolchain releases in one order (docs/matching.md section 3.2).

Module versions are SemVer with a ``v``; pseudo-versions are the pre-releases they look like, ``+incompatible`` is the
build metadata it looks like. Toolchain releases (``go1.21rc1``, ``1.19``) become the SemVer that the advisory data has.
"""

from scanner.versions import semver
from scanner.versions.unparsable import Unparsable


def key(version: str) -> semver.Key:
    """Return the sortable key of a Go version; ``(devel)`` and branch names are refused with ``Unparsable``."""
    # A toolchain may name its experiments after a space: "go1.20.5 X:boringcrypto".
    text = version[2:].partition(" ")[0] if version.startswith("go") else version.removeprefix("v")
    core, pre_release = semver.split(text)
    numbers = core.split(".")
    # The first release was "go1"; any other lone number is a date or a commit.
    if len(numbers) > 3 or (len(numbers) == 1 and core != "1"):
        raise Unparsable(version)
    if pre_release is None:
        numbers[-1], pre_release = _toolchain_suffix(numbers[-1])
    return semver.assemble(numbers + ["0"] * (3 - len(numbers)), pre_release, version)


def _toolchain_suffix(number: str) -> tuple[str, str | None]:
    """Split ``21rc1`` into ``21`` and ``rc.1``."""
    for word in ("rc", "beta"):
        head, found, tail = number.partition(word)
        if found and tail:
            return head, f"{word}.{tail}"
    return number, None
