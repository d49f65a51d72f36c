"""Volumes: a kit cut to fit media, every piece signed for, every volume checkable alone (docs/format.md section 2.1).

Nothing here reads or writes a file.
"""

import re
from collections.abc import Iterable, Sequence

import msgspec

from kit import layout
from kit.bytes import canonical, digest, merkle, names
from kit.errors import (
    DigestMismatch,
    FileUndeclared,
    LimitExceeded,
    MalformedDocument,
    SizeMismatch,
    UnsupportedVersion,
    VolumeForeign,
)
from kit.kitfile import MAX_BYTES, MAX_FILES, Kit
from kit.trust import statement

SCHEMA_VERSION = "1.0"
PREDICATE_TYPE = "https://stella-ops.org/attestations/kit-volume/1"
VOLUME_FILE = "VOLUME.json"
VOLUME_ENVELOPE = "volume.dsse.json"
MAX_VOLUMES = 999
MAX_PIECE = 4_000_000_000
"""Below the limits of FAT32 and of ISO 9660 (4 GiB - 1)."""
DOCUMENTS = (VOLUME_FILE, VOLUME_ENVELOPE, layout.KIT_FILE, layout.KIT_ENVELOPE, layout.SUMS_FILE)
"""What every volume has beside its pieces and the common files."""
BLOCK = 4096
_RECORDS = 16 << 10
_TEXT_OF_PIECE = 1024

_PART = re.compile(r"\.part[0-9]{3}", re.ASCII)


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the volume's records."""


class Piece(_Document, frozen=True):
    """Bytes of one of the kit's files, and the name under which they lie on the volume: the file's own, or a part's."""

    path: str
    offset: int
    size: int
    digest: str
    stored: str


class Volume(_Document, frozen=True):
    """What VOLUME.json says: which kit, which volume of how many, which pieces. ``set`` is one split of one kit."""

    schema_version: str
    kit_id: str
    kit_digest: str
    set: str
    number: int
    count: int
    pieces: tuple[Piece, ...]


class VolumePredicate(_Document, frozen=True):
    """The predicate of a volume's envelope, whose one subject is VOLUME.json."""

    kit_id: str
    set: str
    number: int
    count: int


def is_common(path: str) -> bool:
    """Tell whether a file of the kit stands on every volume: what is needed to check one alone, and to read it."""
    documents = (layout.README_FILE, layout.DELTA_FILE, layout.DELTA_ENVELOPE)
    return path in documents or path.startswith(f"{layout.ROOTPACK_DIRECTORY}/")


def predicate(volume: Volume) -> VolumePredicate:
    """Return what a volume's envelope says beside its subject."""
    return VolumePredicate(kit_id=volume.kit_id, set=volume.set, number=volume.number, count=volume.count)


def set_id(volumes: Sequence[Sequence[Piece]]) -> str:
    """Return the identity of a split: the Merkle root over the volumes' lists, in order."""
    leaves = [merkle.leaf_hash(canonical.encode(msgspec.to_builtins(pieces))) for pieces in volumes]
    return digest.of_raw(merkle.root(leaves))


def stored_name(path: str, part: int | None) -> str:
    """Return the name of a whole file, or of one of its parts (from 1), on a volume."""
    return path if part is None else f"{path}.part{part:03d}"


def cut(files: Iterable[tuple[str, int]], capacity: int, documents: int) -> list[list[tuple[str, int, int]]]:
    """Return volumes of ``(path, offset, size)`` for files of a kit and a capacity in bytes, counted in blocks.

    ``documents`` is the size of KIT.json and its envelope, which stand on every volume.

    The largest pieces first, each on the first volume that has room; only a file that no volume can hold whole is cut.
    Raises :class:`LimitExceeded` where the common files leave no room, or more volumes than there are numbers would be
    needed.
    """
    listed = sorted(files)
    common = sum(_charge(size) for path, size in listed if is_common(path))
    room = capacity - common - documents - _RECORDS - sum(_TEXT_OF_PIECE for path, _ in listed if is_common(path))
    largest = min(MAX_PIECE, (room - _TEXT_OF_PIECE) // BLOCK * BLOCK)
    if largest < BLOCK:
        needed = capacity - room + BLOCK
        raise LimitExceeded(detail="what every volume carries fills the medium", expected=needed, found=capacity)
    pieces = [
        (path, offset, min(largest, size - offset))
        for path, size in listed
        if not is_common(path)
        for offset in range(0, max(size, 1), largest)
    ]
    pieces.sort(key=lambda piece: (-piece[2], piece[0], piece[1]))
    volumes: list[list[tuple[str, int, int]]] = []
    left: list[int] = []
    for piece in pieces:
        charge = _charge(piece[2]) + _TEXT_OF_PIECE
        at = next((number for number, free in enumerate(left) if free >= charge), None)
        if at is None:
            if len(volumes) == MAX_VOLUMES:
                raise LimitExceeded(detail="volumes of a kit", expected=MAX_VOLUMES)
            volumes.append([])
            left.append(room)
            at = len(volumes) - 1
        volumes[at].append(piece)
        left[at] -= charge
    return [sorted(volume) for volume in volumes]


def parse(data: bytes) -> Volume:
    """Read VOLUME.json and hold it against itself: numbers, order, names."""
    volume = canonical.decode_record(data, Volume, max_bytes=MAX_BYTES)
    if volume.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=VOLUME_FILE, expected=SCHEMA_VERSION, found=volume.schema_version[:32])
    if not 1 <= volume.number <= volume.count <= MAX_VOLUMES:
        raise MalformedDocument(path=VOLUME_FILE, pointer="/number", expected=f"1 to {MAX_VOLUMES} of as many")
    digest.check(volume.kit_digest)
    digest.check(volume.set)
    keys = [(piece.path, piece.offset) for piece in volume.pieces]
    if not keys or len(keys) > MAX_FILES or keys != sorted(set(keys)):
        raise MalformedDocument(path=VOLUME_FILE, pointer="/pieces", detail="must ascend and be unique, at least one")
    names.check_names([*(piece.stored for piece in volume.pieces), *DOCUMENTS])
    for piece in volume.pieces:
        digest.check(piece.digest)
        suffix = piece.stored.removeprefix(piece.path)
        if piece.offset < 0 or piece.size < 0 or not piece.stored.startswith(piece.path):
            raise MalformedDocument(path=VOLUME_FILE, pointer="/pieces", detail=f"impossible: {piece.stored[:120]}")
        if suffix and not _PART.fullmatch(suffix):
            raise MalformedDocument(path=VOLUME_FILE, pointer="/pieces", detail=f"no name of a part: {suffix[:32]}")
    return volume


def check_statement(payload: bytes, raw: bytes) -> Volume:
    """Return the volume that a verified statement is about; ``raw`` are the bytes of VOLUME.json.

    Raises :class:`DigestMismatch` when other bytes were signed, :class:`MalformedDocument` when the statement is about
    another volume.
    """
    signed = statement.parse(payload)
    if signed.predicate_type != PREDICATE_TYPE:
        raise UnsupportedVersion(path=VOLUME_ENVELOPE, expected=PREDICATE_TYPE, found=signed.predicate_type[:120])
    found = digest.of_bytes(raw)
    if signed.subjects != {VOLUME_FILE: found}:
        raise DigestMismatch(path=VOLUME_FILE, expected=signed.subjects.get(VOLUME_FILE, "not named"), found=found)
    volume = parse(raw)
    if canonical.convert(signed.predicate, VolumePredicate) != predicate(volume):
        raise MalformedDocument(path=VOLUME_ENVELOPE, pointer="/predicate", detail="is not about this volume")
    return volume


def check_kit(volume: Volume, kit: Kit, kit_digest: str) -> None:
    """Hold a volume against the kit that it is a piece of.

    Raises :class:`VolumeForeign` for another kit's, :class:`FileUndeclared`, :class:`SizeMismatch` or
    :class:`DigestMismatch` for a piece that is none of this kit's.
    """
    if (volume.kit_id, volume.kit_digest) != (kit.kit_id, kit_digest):
        raise VolumeForeign(path=VOLUME_FILE, expected=f"a volume of {kit.kit_id}", found=volume.kit_id[:80])
    listed = {file.path: file for file in kit.files if not is_common(file.path)}
    for piece in volume.pieces:
        file = listed.get(piece.path)
        if file is None:
            raise FileUndeclared(path=piece.stored, detail="is not in the kit's signed list")
        whole = piece.stored == piece.path
        if piece.offset + piece.size > file.size or (whole and piece.size != file.size):
            raise SizeMismatch(path=piece.stored, expected=file.size, found=piece.offset + piece.size)
        if whole and piece.digest != file.digest:
            raise DigestMismatch(path=piece.stored, expected=file.digest, found=piece.digest)


def check_tiles(volumes: Iterable[Volume], kit: Kit) -> None:
    """Hold a complete set against the kit: its pieces cover each file from its first byte to its last, once.

    Raises :class:`MalformedDocument` for a gap or an overlap.
    """
    ends = {file.path: 0 for file in kit.files if not is_common(file.path)}
    pieces = sorted((piece.path, piece.offset, piece.size) for volume in volumes for piece in volume.pieces)
    for path, offset, size in pieces:
        if offset != ends[path]:
            raise _untiled(path, expected=ends[path], found=offset)
        ends[path] = offset + size
    for file in kit.files:
        if not is_common(file.path) and ends[file.path] != file.size:
            raise _untiled(file.path, expected=ends[file.path], found=file.size)


def _untiled(path: str, *, expected: int, found: int) -> MalformedDocument:
    detail = f"the pieces of {path[:120]} leave a gap or overlap"
    return MalformedDocument(path=VOLUME_FILE, pointer="/pieces", detail=detail, expected=expected, found=found)


def pieces_of(volume: Volume, kit: Kit) -> list[Piece]:
    """Return everything of the kit that a volume brings: its own pieces, and the common files as whole ones."""
    common = [
        Piece(path=file.path, offset=0, size=file.size, digest=file.digest, stored=file.path)
        for file in kit.files
        if is_common(file.path)
    ]
    return [*volume.pieces, *common]


def numbers_text(numbers: Iterable[int]) -> str:
    """Return numbers of volumes as people read them, such as ``1, 3``; of many the first ones."""
    listed = sorted(numbers)
    return ", ".join(map(str, listed[:20])) + (f" and {len(listed) - 20} more" if len(listed) > 20 else "")


def _charge(size: int) -> int:
    """Return what a file takes on a medium, with its entry in a directory."""
    return -(-size // BLOCK) * BLOCK
