"""Debian: epoch, upstream version and revision (docs/matching.md section 3.9; Debian Policy 5.6.12, deb-version(7)).

Each part is read as texts and numbers by turns. A text becomes one that sorts as the policy asks: ``~`` before the end,
the end before letters, letters before everything else.
"""

import re
from typing import Any, Final, TypeAlias

from scanner.versions.form import Unparsable, read

# epoch, then texts and numbers of upstream version and revision, by turns, each part ending with a text
Key: TypeAlias = tuple[Any, ...]

_FORM: Final = re.compile(r"(?:([0-9]++):)?([0-9][0-9A-Za-z.+~:-]*+)")
_REVISION: Final = re.compile(r"[0-9A-Za-z.+~]++")
_LARGEST_EPOCH: Final = 2**31 - 1
_DIGITS: Final = re.compile("([0-9]++)")
_END: Final = "\x02"
_ORDER: Final = bytes.maketrans(b"~+-.:_", b"\x01" + bytes(0x80 | sign for sign in b"+-.:_"))


def key(version: str) -> Key:
    """Return the sortable key of a version of a Debian package; a missing revision is 0."""
    epoch, rest = read(_FORM, version).groups()
    upstream, hyphen, revision = rest.rpartition("-")
    if not hyphen:
        upstream, revision = rest, ""
    elif not upstream or not _REVISION.fullmatch(revision):
        raise Unparsable(version)
    number = int(epoch or 0)
    if number > _LARGEST_EPOCH or (":" in upstream and epoch is None):
        raise Unparsable(version)
    return number, *part(upstream), *part(revision)


def part(text: str) -> list[Any]:
    """Return the texts and numbers of one part, by turns, beginning and ending with a text; a missing number is 0."""
    found: list[Any] = _DIGITS.split(text.encode("ascii").translate(_ORDER).decode("latin-1"))
    found[1::2] = map(int, found[1::2])
    if found[-1] or not text:
        found += 0, ""
    found[::2] = [word + _END for word in found[::2]]
    return found
