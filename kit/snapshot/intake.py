"""One advisory of a source on its way into a snapshot: read strictly, made canonical, keyed, or refused with a reason.

docs/format.md, section Feed snapshot. Deep verification makes the same judgement again, line by line.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from kit.bytes import canonical, digest
from kit.bytes.merkle import leaf_hash
from kit.errors import DuplicateMember, StellaError
from kit.snapshot.index import UNSHOWN, index_key
from kit.snapshot.records import MAX_PAGE, OddReason, Refused, RefusedReason

Normalise = Callable[[str, str], str]
"""(ecosystem, package name) -> the one spelling under which the package is indexed; must be a pure function."""

MAX_RECORD = MAX_PAGE

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}", re.ASCII)
_SCHEMA = re.compile(r"1\.[0-9]+(\.[0-9]+)?([-+][0-9A-Za-z.+-]*)?", re.ASCII)
_SHOWN = 200


class Advisory(msgspec.Struct, frozen=True, gc=False):
    """An accepted record. ``keys`` are its distinct index keys in document order, ``odd`` what is unusual about it."""

    id: str
    line: bytes
    leaf: bytes
    keys: tuple[bytes, ...]
    withdrawn: bool
    odd: tuple[OddReason, ...]

    @property
    def order(self) -> tuple[bytes, bytes, bytes]:
        """Return the place of the record in a snapshot: first index key (empty for none), id, leaf hash."""
        return self.keys[0] if self.keys else b"", self.id.encode(), self.leaf


class _Rejected(Exception):
    """Carries the reason and a detail."""

    def __init__(self, reason: RefusedReason, detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason: RefusedReason = reason
        self.detail = detail


def judge(file: str | None, raw: bytes, normalise: Normalise) -> Advisory | Refused:
    """Read one record of a source; return it in the form of the snapshot, or why it cannot be in it.

    ``file`` is the record's file name in the source, where it has one of its own.
    """
    identity: object = None
    try:
        value, line = _read(raw)
        identity = value.get("id")
        return _accept(file, value, line, normalise)
    except _Rejected as fault:
        known = identity if isinstance(identity, str) and _ID.fullmatch(identity) else None
        return Refused(
            reason=fault.reason, file=shown(file), id=known, digest=digest.of_bytes(raw), detail=fault.detail
        )


def shown(text: str | None) -> str | None:
    """Return a name of the source fit to be recorded: no control character, no lone surrogate, 200 characters."""
    if text is None:
        return None
    if UNSHOWN.search(text):
        text = ascii(text)
    return text[:_SHOWN]


def _read(raw: bytes) -> tuple[dict[str, Any], bytes]:
    if len(raw) > MAX_RECORD:
        raise _Rejected("too-large", f"{len(raw)} bytes")
    try:
        value, line = canonical.recode_foreign(raw, max_bytes=MAX_RECORD)
    except DuplicateMember as fault:
        raise _Rejected("duplicate-member") from fault
    except StellaError as fault:
        raise _Rejected("malformed", fault.reason) from fault
    if not isinstance(value, dict):
        raise _Rejected("not-an-object")
    if len(line) + 1 > MAX_PAGE:
        raise _Rejected("too-large", f"{len(line)} bytes in canonical form")
    return value, line


def _accept(file: str | None, value: dict[str, Any], line: bytes, normalise: Normalise) -> Advisory:
    version = value.get("schema_version")
    if version is not None and not (isinstance(version, str) and _is_known_schema(version)):
        raise _Rejected("schema-version", ascii(version)[:40])
    identity = value.get("id")
    if not isinstance(identity, str) or not identity:
        raise _Rejected("no-id")
    if not _ID.fullmatch(identity):
        raise _Rejected("id-characters", ascii(identity)[:_SHOWN])
    modified = value.get("modified")
    if not isinstance(modified, str) or not modified:
        raise _Rejected("no-modified")
    keys, unkeyed = _keys(value.get("affected"), normalise)
    odd: list[OddReason] = []
    if file is not None and not _fits(file, identity):
        odd.append("file-name")
    if unkeyed:
        odd.append("package-name")
    elif not keys:
        odd.append("no-package")
    return Advisory(identity, line, leaf_hash(line), keys, value.get("withdrawn") is not None, tuple(odd))


@lru_cache(maxsize=256)
def _is_known_schema(version: str) -> bool:
    return _SCHEMA.fullmatch(version) is not None


def _keys(affected: object, normalise: Normalise) -> tuple[tuple[bytes, ...], bool]:
    """Return the distinct index keys of the affected packages, and whether a package has none."""
    if affected is None:
        return (), False
    if not isinstance(affected, list):
        raise _Rejected("malformed", "/affected")
    found: dict[bytes | None, None] = {}
    for entry in affected:
        try:
            package = entry.get("package")
            if package is None:
                continue
            ecosystem, name = package["ecosystem"], package["name"]
        except (AttributeError, KeyError, TypeError) as fault:
            raise _Rejected("malformed", "/affected/package") from fault
        if type(ecosystem) is not str or type(name) is not str:
            raise _Rejected("malformed", "/affected/package")
        found[index_key(ecosystem, normalise(ecosystem, name))] = None
    return tuple([key for key in found if key is not None]), None in found


def _fits(file: str, identity: str) -> bool:
    """Tell whether a file is named by its record; some sources write an underscore for the colon."""
    stem = file.rpartition("/")[2].removesuffix(".json")
    return stem in {identity, identity.replace(":", "_")}
