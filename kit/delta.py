"""DELTA.json: a kit on a medium that leaves out what a site has proven to have (docs/format.md section 2.4).

The kit is the same whichever way it travels: same KIT.json, same id, same sequence number. The delta says which of its
files are not on the medium, and how each is made again of a kit that the site holds. Nothing here reads or writes a
file.
"""

from collections.abc import Iterable, Sequence

import msgspec

from kit import layout
from kit.bytes import canonical, digest, names
from kit.bytes.frames import MAX_CONTENT, bound
from kit.errors import (
    DigestMismatch,
    FileUndeclared,
    LimitExceeded,
    MalformedDocument,
    SizeMismatch,
    UnsupportedVersion,
    VolumeForeign,
)
from kit.kitfile import MAX_BYTES, MAX_FILES, File, Kit
from kit.trust import statement

SCHEMA_VERSION = "1.0"
PREDICATE_TYPE = "https://stella-ops.org/attestations/kit-delta/1"
DIRECTORY = "delta"
MAX_WINDOW = 16 << 20
"""Bytes of the base that one chunk may refer to."""
MAX_CHUNKS = 65_536
MAX_RATIO = 32
"""How many bytes all chunks of an object may decode to, for each byte of the object."""
SPARE = 64 << 10
"""Bytes more that an object may decode to, and that a window may have, than its size warrants."""

SAME, PATCH, BUNDLE = "same", "patch", "bundle"
CONTENT, LINES = "content", "lines"


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the delta's records."""


class Chunk(_Document, frozen=True):
    """``size`` bytes, made of a frame of ``stored`` bytes and of ``window`` bytes of the base from ``offset`` on."""

    size: int
    stored: int
    offset: int = 0
    window: int = 0


class MemberDelta(_Document, frozen=True):
    """A member of a bundle that no base has: its ``content``, or the advisory ``lines`` of a feed's pages.

    ``base`` is the member of the base's bundle that the chunks refer to.
    """

    path: str
    kind: str
    chunks: tuple[Chunk, ...]
    base: str | None = None


class Stored(_Document, frozen=True):
    """The file on the medium that holds the frames of an object, one after the other."""

    path: str
    size: int
    digest: str


class Object(_Document, frozen=True):
    """A file of the kit that is not on the medium, and how it is made: the ``same`` file, a ``patch``, a ``bundle``.

    ``base`` is the path of a file in the base kit, ``base_digest`` its digest.
    """

    path: str
    size: int
    digest: str
    how: str
    base: str
    base_digest: str
    stored: Stored | None = None
    chunks: tuple[Chunk, ...] = ()
    members: tuple[MemberDelta, ...] = ()

    @property
    def lists(self) -> Iterable[Sequence[Chunk]]:
        """Return the lists of chunks, in the order of their frames."""
        return (self.chunks, *(member.chunks for member in self.members))


class Base(_Document, frozen=True):
    """The kit that a site proved to have: ``digest`` is that of its KIT.json, ``receipt`` that of the site's word."""

    kit_id: str
    digest: str
    site: str
    receipt: str


class Delta(_Document, frozen=True):
    """What DELTA.json says: which kit, on which base, and how each file is made that is not on the medium."""

    schema_version: str
    kit_id: str
    kit_digest: str
    compressor: str
    base: Base
    objects: tuple[Object, ...]


class DeltaPredicate(_Document, frozen=True):
    """The predicate of a delta's envelope, whose one subject is DELTA.json."""

    kit_id: str
    base: Base


def predicate(delta: Delta) -> DeltaPredicate:
    """Return what a delta's envelope says beside its subject."""
    return DeltaPredicate(kit_id=delta.kit_id, base=delta.base)


def max_window(size: int) -> int:
    """Return how many bytes of the base a chunk of a size may refer to: no more than are worth reading for it."""
    return min(MAX_WINDOW, 4 * size + SPARE)


def stored_name(path: str) -> str:
    """Return the name of the file that holds the frames of an object."""
    return f"{DIRECTORY}/{path}"


def parse(data: bytes) -> Delta:
    """Read DELTA.json and hold it against itself: order, names, kinds, and the counts that bound the work."""
    delta = canonical.decode_record(data, Delta, max_bytes=MAX_BYTES)
    if delta.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=layout.DELTA_FILE, expected=SCHEMA_VERSION, found=delta.schema_version[:32])
    for value in (delta.kit_digest, delta.base.digest, delta.base.site, delta.base.receipt):
        digest.check(value)
    paths = [each.path for each in delta.objects]
    if not paths or len(paths) > MAX_FILES or paths != sorted(set(paths)):
        raise _wrong("/objects", "must ascend and be unique, at least one")
    names.check_names([*paths, *(each.stored.path for each in delta.objects if each.stored is not None)])
    chunks = 0
    for each in delta.objects:
        check_object(each)
        chunks += sum(map(len, each.lists))
    if chunks > MAX_CHUNKS:
        raise LimitExceeded(path=layout.DELTA_FILE, detail="chunks of a delta", expected=MAX_CHUNKS, found=chunks)
    return delta


def check_object(each: Object) -> None:
    """Hold an object against itself: what its kind has, and the counts that bound the work; raises as :func:`parse`."""
    digest.check(each.digest)
    digest.check(each.base_digest)
    pointer = f"/objects of {each.path[:120]}"
    has = (each.stored is not None, bool(each.chunks), bool(each.members))
    if has not in {SAME: ((False, False, False),), PATCH: ((True, True, False),), BUNDLE: _BUNDLES}.get(each.how, ()):
        raise _wrong(pointer, f"is no object of the kind {each.how[:32]}")
    if each.how == BUNDLE and not (is_bundle(each.path) and is_bundle(each.base)):
        raise _wrong(pointer, "is no bundle, or its base is none")
    if each.how == SAME and each.digest != each.base_digest:
        raise _wrong(pointer, "is called the same as a file of another digest")
    if each.stored is not None:
        digest.check(each.stored.digest)
        if each.stored.path != stored_name(each.path):
            raise _wrong(pointer, f"is stored as {each.stored.path[:120]}")
    members = [member.path for member in each.members]
    if members != sorted(set(members)) or any(member.kind not in (CONTENT, LINES) for member in each.members):
        raise _wrong(pointer, "members must ascend and be unique, of known kinds")
    _check_chunks(each, pointer)


_BUNDLES = ((True, False, True), (False, False, False))


def _check_chunks(each: Object, pointer: str) -> None:
    size = stored = 0
    for chunk in (chunk for listed in each.lists for chunk in listed):
        if not 0 < chunk.size <= MAX_CONTENT or not 0 < chunk.stored <= bound(chunk.size):
            raise LimitExceeded(
                path=layout.DELTA_FILE, pointer=pointer, detail="bytes of a chunk", expected=MAX_CONTENT
            )
        if chunk.offset < 0 or not 0 <= chunk.window <= max_window(chunk.size):
            raise LimitExceeded(
                path=layout.DELTA_FILE, pointer=pointer, detail="window of a chunk", expected=MAX_WINDOW
            )
        size += chunk.size
        stored += chunk.stored
    if stored != (each.stored.size if each.stored is not None else 0):
        raise SizeMismatch(path=each.path, detail="the frames of the object's chunks", found=stored)
    if size > MAX_RATIO * each.size + SPARE:
        raise LimitExceeded(
            path=each.path, detail="bytes that its chunks decode to", expected=MAX_RATIO * each.size + SPARE, found=size
        )
    if each.how == PATCH and size != each.size:
        raise SizeMismatch(path=each.path, detail="what its chunks give together", expected=each.size, found=size)


def check_kit(delta: Delta, kit: Kit, kit_digest: str) -> None:
    """Hold a delta against the kit that it is a form of.

    Raises :class:`VolumeForeign` for another kit's, :class:`FileUndeclared`, :class:`SizeMismatch` or
    :class:`DigestMismatch` for an object that is none of this kit's.
    """
    if (delta.kit_id, delta.kit_digest) != (kit.kit_id, kit_digest):
        raise VolumeForeign(path=layout.DELTA_FILE, expected=f"a delta of {kit.kit_id}", found=delta.kit_id[:80])
    listed = {file.path: file for file in kit.files}
    for each in delta.objects:
        file = listed.get(each.path)
        if file is None:
            raise FileUndeclared(path=each.path, detail="is not in the kit's signed list")
        if file.size != each.size:
            raise SizeMismatch(path=each.path, expected=file.size, found=each.size)
        if file.digest != each.digest:
            raise DigestMismatch(path=each.path, expected=file.digest, found=each.digest)
        if not may_be_left_out(each.path):
            raise _wrong("/objects", f"{each.path[:120]} must be on every medium")


def check_statement(payload: bytes, raw: bytes) -> Delta:
    """Return the delta that a verified statement is about; ``raw`` are the bytes of DELTA.json.

    Raises :class:`DigestMismatch` when other bytes were signed, :class:`MalformedDocument` when the statement is about
    another delta.
    """
    signed = statement.parse(payload)
    if signed.predicate_type != PREDICATE_TYPE:
        raise UnsupportedVersion(path=layout.DELTA_ENVELOPE, expected=PREDICATE_TYPE, found=signed.predicate_type[:120])
    found = digest.of_bytes(raw)
    if signed.subjects != {layout.DELTA_FILE: found}:
        raise DigestMismatch(
            path=layout.DELTA_FILE, expected=signed.subjects.get(layout.DELTA_FILE, "not named"), found=found
        )
    delta = parse(raw)
    if canonical.convert(signed.predicate, DeltaPredicate) != predicate(delta):
        raise MalformedDocument(path=layout.DELTA_ENVELOPE, pointer="/predicate", detail="is not about this delta")
    return delta


def may_be_left_out(path: str) -> bool:
    """Tell whether a file of a kit may be left out: bundles and programs.

    Everything by which a guard or a site tells what it has before it rebuilds anything is on the medium.
    """
    return path.startswith(f"{layout.PROGRAM_DIRECTORY}/") or is_bundle(path)


def is_bundle(path: str) -> bool:
    """Tell whether a file of a kit is a bundle of one of its scans."""
    return path.rpartition("/")[2] in (layout.INPUT_BUNDLE, layout.OUTPUT_BUNDLE)


def travelling(kit: Kit, delta: Delta, documents: Sequence[File]) -> Kit:
    """Return the kit as it lies on the medium: what is left out is replaced by frames; ``documents`` are the delta's.

    Only the list of files is another one.
    """
    left_out = {each.path for each in delta.objects}
    files = [file for file in kit.files if file.path not in left_out]
    files += [
        File(path=each.stored.path, size=each.stored.size, digest=each.stored.digest)
        for each in delta.objects
        if each.stored is not None
    ]
    files += documents
    names.check_names([*(file.path for file in files), layout.KIT_FILE, layout.KIT_ENVELOPE, layout.SUMS_FILE])
    return msgspec.structs.replace(kit, files=tuple(sorted(files, key=lambda file: file.path)))


def _wrong(pointer: str, detail: str) -> MalformedDocument:
    return MalformedDocument(path=layout.DELTA_FILE, pointer=pointer, detail=detail)
