"""Crypto profiles: under which rules a signer's key is kept, such as ``FIPS-140-3`` (docs/format.md section 4.5).

A profile is a name that the keeper of the keyring gives to keys. Several are written as one text, joined by ``+``.
"""

import re
from collections.abc import Iterable
from itertools import pairwise

from kit.errors import MalformedDocument

MAX_PROFILES = 8

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str, pointer: str) -> str:
    """Return the name of a profile: ASCII letters, digits, dot, underscore and hyphen, at most 64."""
    if not _NAME.fullmatch(name):
        raise MalformedDocument(pointer=pointer, expected="letters, digits, . _ -", found=ascii(name)[1:-1][:80])
    return name


def check_names(names: Iterable[str], pointer: str) -> tuple[str, ...]:
    """Return names of profiles that ascend, each once, 1 to 8 of them."""
    checked = tuple(check_name(name, pointer) for name in names)
    if not 1 <= len(checked) <= MAX_PROFILES or any(left >= right for left, right in pairwise(checked)):
        raise MalformedDocument(pointer=pointer, detail=f"1 to {MAX_PROFILES} names, ascending, each once")
    return checked


def joined(names: Iterable[str]) -> str | None:
    """Return profiles as a manifest writes them, None for none."""
    return "+".join(sorted(set(names))) or None


def split(text: str, pointer: str) -> tuple[str, ...]:
    """Return the profiles that :func:`joined` made one text of; :class:`MalformedDocument` for any other text."""
    return check_names(text.split("+", MAX_PROFILES), pointer)
