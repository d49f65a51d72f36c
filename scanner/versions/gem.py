"""Ruby: the order of ``Gem::Version`` (docs/matching.md section 3.13).

Letters make a pre-release, a missing segment is 0. Zeros therefore weigh by what follows them: they come before a
version's end where letters follow, and after it where a number does.
"""

import re
from typing import Any, Final, TypeAlias

from scanner.versions.form import Unparsable, read

# ranks, and values where they have one
Key: TypeAlias = tuple[Any, ...]

_FORM: Final = re.compile(r"([0-9]++(?:\.[0-9A-Za-z]++)*)(?:-([0-9A-Za-z._-]++))?")
_HYPHENATED: Final = re.compile(r"[0-9A-Za-z-]++(?:\.[0-9A-Za-z-]++)*")
# What a lock file writes after a version for a gem with compiled parts: "1.13.0-x86_64-linux".
_PLATFORM: Final = re.compile(
    r"(?:(?:x86|x64|i[3-6]86|amd64|arm|aarch64|universal|powerpc|ppc|s390|sparc|mips|riscv|loongarch)[0-9a-z_]*+-)?"
    r"(?:aix|cygwin|dalvik|darwin|freebsd|java|jruby|linux|mingw|mswin|netbsd|openbsd|solaris|wasi)[0-9a-z._-]*+"
)
_SEGMENT: Final = re.compile("[0-9]++|[A-Za-z]++")
_TEXT, _ZEROS_BEFORE_TEXT, _END, _ZEROS_BEFORE_NUMBER, _NUMBER = range(5)


def key(version: str) -> Key:
    """Return the sortable key of a version of a gem; a platform after it is no part of the version."""
    text, hyphenated = read(_FORM, version).groups()
    if hyphenated and not _PLATFORM.fullmatch(hyphenated):
        if not _HYPHENATED.fullmatch(hyphenated):
            raise Unparsable(version)
        text += ".pre." + hyphenated.replace("-", ".pre.")
    segments = _SEGMENT.findall(text)
    letters = next((place for place, segment in enumerate(segments) if segment[0] > "9"), len(segments))
    found: list[Any] = []
    for stretch in (segments[:letters], segments[letters:]):
        _append(stretch, found)
    found.append(_END)
    return tuple(found)


def _append(segments: list[str], found: list[Any]) -> None:
    """Append the tokens of the numbers of a version, or of its pre-release; zeros at the end mean nothing."""
    zeros = 0
    for segment in segments:
        if segment[0] > "9":
            if zeros:
                found += _ZEROS_BEFORE_TEXT, zeros
            found += _TEXT, segment
            zeros = 0
        elif number := int(segment):
            if zeros:
                found += _ZEROS_BEFORE_NUMBER, -zeros
            found += _NUMBER, number
            zeros = 0
        else:
            zeros += 1
