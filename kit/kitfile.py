"""KIT.json and SHA256SUMS: what a kit holds, file by file (docs/format.md section 2)."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from kit import layout
from kit.bytes import canonical, digest, merkle, names
from kit.errors import DigestMismatch, MalformedDocument, UnsupportedVersion
from kit.manifest import check_scan_id, check_time
from kit.trust import statement

SCHEMA_VERSION = "1.0"
PREDICATE_TYPE = "https://stella-ops.org/attestations/offline-kit/1"
MAX_BYTES = 16 << 20
MAX_FILES = 65_536
MAX_WINDOW_HOURS = 24 * 3660
"""Ten years."""

_CHANNEL = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the kit's records."""


class File(_Document, frozen=True):
    """One file of the kit, path relative to the kit's directory."""

    path: str
    size: int
    digest: str


class ScanEntry(_Document, frozen=True):
    """One scan of the kit and the digest of its manifest."""

    id: str
    manifest_digest: str


class RootPackEntry(_Document, frozen=True):
    """The RootPack that travels in the kit; for people, the pack itself is verified from the site's pin."""

    root_version: int
    timestamp_version: int


class Kit(_Document, frozen=True):
    """What KIT.json says: the kit's identity, order and age, and its files.

    The list holds every file but KIT.json, its envelope and SHA256SUMS.
    """

    schema_version: str
    kit_id: str
    channel: str
    sequence: int
    created_at: str
    staleness_window_hours: int
    producer: str
    root_pack: RootPackEntry
    scans: tuple[ScanEntry, ...]
    files: tuple[File, ...]


class KitPredicate(_Document, frozen=True):
    """The predicate of the kit's envelope, whose one subject is KIT.json."""

    kit_id: str
    channel: str
    sequence: int
    created_at: str


def predicate(kit: Kit) -> KitPredicate:
    """Return what the kit's envelope says beside its subject."""
    return KitPredicate(kit_id=kit.kit_id, channel=kit.channel, sequence=kit.sequence, created_at=kit.created_at)


def check_statement(payload: bytes, raw: bytes) -> Kit:
    """Return the kit that a verified statement is about; ``raw`` are the bytes of KIT.json.

    Raises :class:`DigestMismatch` when other bytes were signed, :class:`MalformedDocument` when the statement is about
    another kit.
    """
    signed = statement.parse(payload)
    if signed.predicate_type != PREDICATE_TYPE:
        raise UnsupportedVersion(path=layout.KIT_ENVELOPE, expected=PREDICATE_TYPE, found=signed.predicate_type[:120])
    found = digest.of_bytes(raw)
    if signed.subjects != {layout.KIT_FILE: found}:
        raise DigestMismatch(
            path=layout.KIT_FILE, expected=signed.subjects.get(layout.KIT_FILE, "not named"), found=found
        )
    kit = parse(raw)
    if canonical.convert(signed.predicate, KitPredicate) != predicate(kit):
        raise MalformedDocument(path=layout.KIT_ENVELOPE, pointer="/predicate", detail="is not about this kit")
    return kit


def kit_id(channel: str, sequence: int, files: Sequence[File]) -> str:
    """Return a kit's identity: channel, sequence number and the first 12 digits of the Merkle root over its files."""
    leaves = [merkle.leaf_hash(canonical.encode_record(file)) for file in files]
    return f"{channel}-{sequence:06d}-{merkle.root(leaves).hex()[:12]}"


def parse(data: bytes) -> Kit:
    """Read KIT.json and hold it against itself: order, names, identity, scans."""
    kit = canonical.decode_record(data, Kit, max_bytes=MAX_BYTES)
    if kit.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=layout.KIT_FILE, expected=SCHEMA_VERSION, found=kit.schema_version)
    check_channel(kit.channel)
    if kit.sequence < 1:
        raise MalformedDocument(path=layout.KIT_FILE, pointer="/sequence", expected="at least 1", found=kit.sequence)
    if not 1 <= kit.staleness_window_hours <= MAX_WINDOW_HOURS:
        raise MalformedDocument(
            path=layout.KIT_FILE, pointer="/stalenessWindowHours", expected=f"1 to {MAX_WINDOW_HOURS}"
        )
    check_time(kit.created_at, "/createdAt")
    _check_files(kit.files)
    if kit.kit_id != kit_id(kit.channel, kit.sequence, kit.files):
        raise MalformedDocument(path=layout.KIT_FILE, pointer="/kitId", detail="is not made of the listed files")
    digests = {file.path: file.digest for file in kit.files}
    if not kit.scans or [scan.id for scan in kit.scans] != sorted({scan.id for scan in kit.scans}):
        raise MalformedDocument(path=layout.KIT_FILE, pointer="/scans", detail="must ascend, at least one")
    for scan in kit.scans:
        path = f"{layout.scan_directory(check_scan_id(scan.id))}/{layout.MANIFEST_FILE}"
        if digests.get(path) != scan.manifest_digest:
            raise MalformedDocument(path=layout.KIT_FILE, pointer="/scans", detail=f"{path} is not listed with it")
    return kit


def check_channel(channel: str) -> str:
    """Return the name of a channel that keeps the rule for it."""
    if not _CHANNEL.fullmatch(channel):
        expected = "a-z, 0-9, dash, at most 32 characters"
        raise MalformedDocument(path=layout.KIT_FILE, pointer="/channel", expected=expected, found=channel[:64])
    return channel


def sums(entries: Iterable[tuple[str, str]]) -> bytes:
    """Return SHA256SUMS for ``(path, digest)`` entries.

    Two spaces, LF, sorted by path, as ``sha256sum -c`` reads it.
    """
    return "".join(f"{digest.hex_of(value)}  {path}\n" for path, value in sorted(entries)).encode()


def _check_files(files: Sequence[File]) -> None:
    paths = [file.path for file in files]
    if len(paths) > MAX_FILES or paths != sorted(set(paths)):
        raise MalformedDocument(path=layout.KIT_FILE, pointer="/files", detail="must ascend and be unique")
    reserved = {layout.KIT_FILE, layout.KIT_ENVELOPE, layout.SUMS_FILE}
    names.check_names([*paths, *sorted(reserved)])
    for file in files:
        digest.check(file.digest)
        if file.size < 0:
            raise MalformedDocument(path=layout.KIT_FILE, pointer="/files", detail=f"negative size of {file.path}")
