"""Advisory records: the part of the OSV schema (1.7) that an evaluation reads, decoded from a feed's canonical lines.

Fields that are not named here are ignored, as the schema asks of readers. Field names are those of the schema. Optional
members may be ``null``: some sources write absent lists so.
"""

import msgspec


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event of a range. The schema allows one member an event; several are read as several events."""

    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class Range(msgspec.Struct, frozen=True, gc=False):
    """A range of versions: ``SEMVER``, ``ECOSYSTEM`` or ``GIT``."""

    type: str
    events: tuple[Event, ...] = ()


class Package(msgspec.Struct, frozen=True, gc=False):
    """A package as the record spells it, not normalised."""

    ecosystem: str
    name: str


class Severity(msgspec.Struct, frozen=True, gc=False):
    """A severity as given: a type such as ``CVSS_V3`` and its vector or word."""

    type: str
    score: str


class Affected(msgspec.Struct, frozen=True, gc=False):
    """One affected package; without a package where a record has commit ranges only.

    Its ranges and versions stay undecoded until :func:`extent` is asked for them: most entries of a record are about
    packages that nobody looks up.
    """

    package: Package | None = None
    ranges: msgspec.Raw = msgspec.Raw()
    versions: msgspec.Raw = msgspec.Raw()
    ecosystem_specific: msgspec.Raw = msgspec.Raw()
    severity: tuple[Severity, ...] | None = None


class Extent(msgspec.Struct, frozen=True, gc=False):
    """Which versions an affected entry is about: the union of a list and ranges.

    ``custom_ranges`` are in the numbering of a Go module's own maintainers, where that is not Go's.
    """

    ranges: tuple[Range, ...]
    versions: tuple[str, ...]
    custom_ranges: tuple[Range, ...] = ()


class _GoSpecific(msgspec.Struct, frozen=True, gc=False):
    custom_ranges: tuple[Range, ...] | None = None


class DatabaseSpecific(msgspec.Struct, frozen=True, gc=False):
    """What some sources add; ``severity`` is a word where GitHub wrote the record, anything elsewhere."""

    severity: msgspec.Raw = msgspec.Raw()


class Advisory(msgspec.Struct, frozen=True, gc=False):
    """One advisory record. ``modified``, ``published`` and ``withdrawn`` are times as given."""

    id: str
    modified: str
    published: str | None = None
    withdrawn: str | None = None
    aliases: tuple[str, ...] | None = None
    upstream: tuple[str, ...] | None = None
    affected: tuple[Affected, ...] | None = None
    severity: tuple[Severity, ...] | None = None
    database_specific: DatabaseSpecific | None = None

    @property
    def severity_word(self) -> str:
        """Return ``database_specific.severity`` in lower case where it is a word, else an empty text."""
        raw = bytes(self.database_specific.severity) if self.database_specific else b""
        return raw[1:-1].decode("ascii", "replace").lower() if raw.startswith(b'"') else ""


class MalformedRecord(Exception):
    """A line is not a record of the schema."""


_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DECODER = msgspec.json.Decoder(Advisory)
_RANGES = msgspec.json.Decoder(tuple[Range, ...] | None)
_VERSIONS = msgspec.json.Decoder(tuple[str, ...] | None)
_GO_SPECIFIC = msgspec.json.Decoder(_GoSpecific)


def decode(line: bytes) -> Advisory:
    """Decode one canonical line of a feed.

    Raises :class:`MalformedRecord` where a member that is read has another type than the schema gives it.
    """
    try:
        return _DECODER.decode(line)
    except _FAULTS as fault:
        raise MalformedRecord(str(fault)) from None


def extent(entry: Affected) -> Extent:
    """Decode the ranges and versions of an affected entry; absent ones are empty.

    Raises :class:`MalformedRecord` as :func:`decode` does.
    """
    try:
        ranges = _RANGES.decode(entry.ranges) if entry.ranges else None
        versions = _VERSIONS.decode(entry.versions) if entry.versions else None
    except _FAULTS as fault:
        raise MalformedRecord(str(fault)) from None
    return Extent(ranges or (), versions or (), _custom_ranges(entry))


def _custom_ranges(entry: Affected) -> tuple[Range, ...]:
    """Return the custom ranges of a Go module; what is no such list is left alone, as every unknown extension is."""
    if entry.package is None or entry.package.ecosystem != "Go" or not entry.ecosystem_specific:
        return ()
    try:
        found = _GO_SPECIFIC.decode(entry.ecosystem_specific).custom_ranges
    except _FAULTS:
        return ()
    return found or ()
