"""The version schemes of one evaluation: each text is parsed once, each component's version is ready to be compared."""

from collections.abc import Callable
from typing import Any

import msgspec

from kit.errors import LimitExceeded
from scanner import versions
from scanner.versions import semver

_KEPT = 1 << 16
_KEPT_CHARACTERS = 1 << 20
MAX_PARSED = 1_000_000
"""How many texts of one scheme may be parsed; a large system against all its feeds takes 100,000."""
MAX_CHARACTERS = 4_000_000
"""How many characters these may have together: the key of a long text takes the time and memory of many short ones."""


class VersionKeys:
    """The sortable keys of one scheme; ``None`` stands for a text that cannot be parsed.

    Raises :class:`LimitExceeded` beyond ``MAX_PARSED`` texts or ``MAX_CHARACTERS`` of them.
    """

    __slots__ = ("_characters", "_kept", "_keys", "_parse", "_parsed", "scheme")

    def __init__(self, scheme: str, parse: Callable[[str], Any]) -> None:
        self.scheme = scheme
        self._parse = parse
        self._keys: dict[str, Any] = {}
        self._parsed = self._characters = self._kept = 0

    def of(self, text: str) -> Any:
        """Return the key of a version, ``None`` where it has none."""
        try:
            return self._keys[text]
        except KeyError:
            pass
        self._parsed += 1
        if self._parsed > MAX_PARSED:
            raise LimitExceeded(detail=f"versions to parse as {self.scheme}", expected=MAX_PARSED)
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS:
            raise LimitExceeded(detail=f"characters to parse as {self.scheme}", expected=MAX_CHARACTERS)
        if len(self._keys) >= _KEPT or self._kept > _KEPT_CHARACTERS:
            self._keys.clear()
            self._kept = 0
        self._kept += len(text)
        try:
            key = self._parse(text)
        except versions.Unparsable:
            key = None
        self._keys[text] = key
        return key


class Subject(msgspec.Struct, frozen=True):
    """A component's version: its ``native`` key is for ``ECOSYSTEM`` ranges and lists, ``strict`` for ``SEMVER``."""

    version: str
    native: VersionKeys | None
    native_key: Any
    strict: VersionKeys
    strict_key: Any


class Schemes:
    """The version schemes of one evaluation."""

    def __init__(self) -> None:
        self._semver = VersionKeys("semver", semver.key)
        self._native: dict[str, VersionKeys] = {}

    def native(self, ecosystem: str) -> VersionKeys | None:
        """Return the keys of an ecosystem's own scheme, ``None`` where there is none."""
        scheme = versions.comparator_name(ecosystem)
        if scheme is None:
            return None
        found = self._native.get(scheme)
        if found is None:
            found = self._native[scheme] = VersionKeys(scheme, lambda text: versions.key(ecosystem, text))
        return found

    def subject(self, ecosystem: str, version: str) -> Subject:
        """Return a component's version, ready to be compared."""
        native = self.native(ecosystem)
        strict = native if native is not None and native.scheme in versions.SEMVER_SCHEMES else self._semver
        return Subject(
            version=version,
            native=native,
            native_key=native.of(version) if native else None,
            strict=strict,
            strict_key=strict.of(version),
        )
