"""Making a kit whole that came as a delta, of the kits that the site holds (docs/format.md section 2.4).

Whatever is made here is held against the kit's signed list afterwards, exactly like bytes that came on a medium. One
chunk is in memory at a time; the members of a bundle on their way lie beside the kit that is being made.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Self

from kit import delta as deltas
from kit import kitfile, layout, patch
from kit import manifest as manifests
from kit.bundle import BundleReader, BundleRecord, Member, write_bundle
from kit.bytes import digest, frames
from kit.delta import Chunk, Delta, MemberDelta, Object
from kit.errors import (
    DeltaBaseMissing,
    DigestMismatch,
    EvidenceMissing,
    FileMissing,
    LimitExceeded,
    MalformedDocument,
    SizeMismatch,
    StellaError,
)
from kit.kitfile import File, Kit
from kit.snapshot import SnapshotReader, rebuild, records
from kit.volume import Piece
from scanner.identity import normalise
from verifier.durable import make_directory, sync_directory
from verifier.intake_copy import CHUNK, Copied, copy, is_there
from verifier.medium import Medium, survey

WORK = "work"
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Travelling:
    """A kit as it lies on a medium: itself, its delta where it is one, and the list of what is there."""

    kit: Kit
    kit_digest: str
    delta: Delta | None
    there: Kit


def read(medium: Medium, kit: Kit, kit_digest: str) -> Travelling:
    """Return how a kit travels on a medium, by the medium's own word; nobody's signature is looked at.

    Raises the errors of :func:`kit.delta.parse` and :func:`kit.delta.check_kit`.
    """
    if not deltas.is_delta(medium.sizes):
        return Travelling(kit, kit_digest, None, kit)
    raw = medium.read(deltas.DELTA_FILE, limit=kitfile.MAX_BYTES)
    delta = deltas.parse(raw)
    deltas.check_kit(delta, kit, kit_digest)
    documents = []
    for path in (deltas.DELTA_FILE, deltas.DELTA_ENVELOPE):
        found = digest.of_bytes(medium.read(path, limit=kitfile.MAX_BYTES))
        documents.append(File(path=path, size=medium.sizes[path], digest=found))
    return Travelling(kit, kit_digest, delta, deltas.travelling(kit, delta, documents))


@dataclass(frozen=True, slots=True)
class BaseKit:
    """A whole kit that a delta builds on, where it lies, with its own list."""

    medium: Medium
    kit: Kit

    def file(self, each: Object) -> File:
        """Return the entry of an object's base in the list of the base kit."""
        found = next((file for file in self.kit.files if file.path == each.base), None)
        if found is None or found.digest != each.base_digest:
            raise MalformedDocument(path=deltas.DELTA_FILE, detail=f"the base kit has no such {each.base[:120]}")
        return found

    def record(self, path: str) -> tuple[manifests.Manifest, BundleRecord]:
        """Return the manifest of the scan that a bundle belongs to, and the bundle's record in it."""
        return bundle_record(self.medium, self.kit, path)


def find_base(places: Sequence[Path], delta: Delta) -> BaseKit:
    """Return the base of a delta, which is in one of the places; :class:`DeltaBaseMissing` where it is in none."""
    for place in places:
        if place.is_dir():
            try:
                medium = survey(place)
                raw = medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES)
                if digest.of_bytes(raw) == delta.base.digest:
                    return BaseKit(medium, kitfile.parse(raw))
            except (StellaError, OSError):
                continue  # damaged or gone: what counts is that the base is not here
    raise missing(delta, "it is not here")


def missing(delta: Delta, why: str) -> DeltaBaseMissing:
    """Return the refusal for a base that is not there or not whole, with all that the sender has to be told."""
    names = [each.path for each in delta.objects]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return DeltaBaseMissing(
        path=delta.base.kit_id,
        expected=delta.base.digest,
        detail=why,
        receipt=delta.base.receipt,
        needed=", ".join(names[:_NAMED]) + more,
    ).then(
        f"Import kit {delta.base.kit_id} again, or ask for the full kit {delta.kit_id}: it is the same kit, with the "
        "same number, and what was copied stays."
    )


def bundle_record(medium: Medium, kit: Kit, path: str) -> tuple[manifests.Manifest, BundleRecord]:
    """Return what the manifest of a scan says of a bundle; the manifest is the one of the kit's list."""
    directory, _, name = path.rpartition("/")
    at = f"{directory}/{layout.MANIFEST_FILE}"
    listed = {file.path: file.digest for file in kit.files}
    raw = medium.read(at, limit=manifests.MAX_BYTES, hold=False)
    if (found := digest.of_bytes(raw)) != listed.get(at):
        raise DigestMismatch(path=at, expected=listed.get(at, "not listed"), found=found)
    manifest = manifests.parse(raw)
    return manifest, manifest.bundles.input if name == layout.INPUT_BUNDLE else manifest.bundles.output


def make_whole(
    medium: Medium, travelling: Travelling, base: BaseKit, target: Path, on_piece: Callable[[Piece], None]
) -> Copied:
    """Make every file that a delta leaves out, below the directory that has the others already; return how many bytes.

    Files that are there stay. Raises :class:`DeltaBaseMissing` where the base is not what it was,
    :class:`DigestMismatch` where what was made is not the listed file, and the errors of :mod:`kit.patch`.
    """
    delta = travelling.delta
    if delta is None:
        return Copied()
    done = Copied()
    for each in delta.objects:
        piece = Piece(path=each.path, offset=0, size=each.size, digest=each.digest, stored=each.base)
        on_piece(piece)
        if _is_made(target / each.path, piece):
            done.kept += each.size
            continue
        try:
            _put(medium, travelling.kit, delta, each, base, target, piece)
        except _BaseDamaged as error:
            raise missing(delta, f"damaged here: {error.details['path']}") from error
        done.fresh += each.size
    return done


def _put(medium: Medium, kit: Kit, delta: Delta, each: Object, base: BaseKit, target: Path, piece: Piece) -> None:
    if each.how == deltas.SAME:
        base.file(each)
        with _of_base(each):
            copy(base.medium, [piece], target, lambda _: None)
        return
    work = target.parent / WORK
    shutil.rmtree(work, ignore_errors=True)
    make_directory(work)
    try:
        make(medium, kit, delta.compressor, each, base, target, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def drop(target: Path) -> None:
    """Remove the delta's own files from a directory in which the kit was made whole."""
    shutil.rmtree(target / deltas.DIRECTORY, ignore_errors=True)
    for path in (deltas.DELTA_FILE, deltas.DELTA_ENVELOPE):
        (target / path).unlink(missing_ok=True)


def _is_made(place: Path, piece: Piece) -> bool:
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return os.fstat(descriptor).st_size == piece.size and is_there(descriptor, piece)
    finally:
        os.close(descriptor)


def make(medium: Medium, kit: Kit, compressor: str, each: Object, base: BaseKit, target: Path, work: Path) -> None:
    """Make one object in a directory of its own, and put it in its place once it is the listed file.

    ``medium`` has the frames and the scans' manifests. Raises the errors of :func:`make_whole`.
    """
    made = work / "made"
    with ExitStack() as stack:
        stored = stack.enter_context(_Frames(medium, each))
        if each.how == deltas.PATCH:
            read_at = stack.enter_context(_whole_base(base, each))
            _write(made, _decoded(stored, each.chunks, read_at))
        else:
            old = stack.enter_context(_old_bundle(base, each))
            manifest, record = bundle_record(medium, kit, each.path)
            members = _Members(each, record, old, base.record(each.base)[0], stored, work).paths()
            with made.open("xb") as out:
                write_bundle(out, members, level=manifest.compressor.level)
                out.flush()
                os.fsync(out.fileno())
    found, size = digest.of_file(made)
    if (found, size) != (each.digest, each.size):
        detail = f"made anew it is another file (delta by {compressor[:32]}, here {frames.LIBRARY})"
        raise DigestMismatch(path=each.path, detail=detail, expected=each.digest, found=found).then(
            f"Use the program that the kit brings in bin/, or ask for the full kit {kit.kit_id}."
        )
    make_directory((target / each.path).parent)
    made.chmod(0o755 if each.path.startswith(f"{layout.PROGRAM_DIRECTORY}/") else 0o644)
    made.replace(target / each.path)
    sync_directory((target / each.path).parent)


class _BaseDamaged(StellaError):
    """A file of the base is not what it was; told as :class:`DeltaBaseMissing`."""


@contextmanager
def _of_base(each: Object) -> Iterator[None]:
    """Let what is wrong with the base be told apart from a fault of the medium."""
    try:
        yield
    except (DigestMismatch, SizeMismatch, FileMissing) as error:
        raise _BaseDamaged(path=each.base, detail=error.reason) from error


@contextmanager
def _old_bundle(base: BaseKit, each: Object) -> Iterator[BundleReader]:
    """Give access to the verified bundle of the base kit."""
    base.file(each)
    with _of_base(each):
        reader = BundleReader(base.medium.root / each.base, base.record(each.base)[1])
    with reader:
        with _of_base(each):
            reader.verify()
        yield reader


@contextmanager
def _whole_base(base: BaseKit, each: Object) -> Iterator[patch.ReadAt]:
    """Give access to the bytes of a file of the base kit, which is the listed one."""
    base.file(each)
    with _of_base(each):
        found, _ = base.medium.digest(each.base)
        if found != each.base_digest:
            raise DigestMismatch(path=each.base, expected=each.base_digest, found=found)
        file = base.medium.open(each.base)
    with file:
        yield lambda offset, length: os.pread(file.fileno(), length, offset)


class _Frames:
    """The frames of an object, taken one after the other from its file on the medium, whose digest is demanded."""

    def __init__(self, medium: Medium, each: Object) -> None:
        self._medium = medium
        self._stored = each.stored
        self._file: FileIO | None = None

    def __enter__(self) -> Self:
        if self._stored is not None:
            found, size = self._medium.digest(self._stored.path)
            if size != self._stored.size:
                raise SizeMismatch(path=self._stored.path, expected=self._stored.size, found=size)
            if found != self._stored.digest:
                raise DigestMismatch(path=self._stored.path, expected=self._stored.digest, found=found)
            self._file = self._medium.open(self._stored.path)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def at(self, offset: int, length: int) -> bytes:
        """Return the bytes of a frame."""
        return b"" if self._file is None else os.pread(self._file.fileno(), length, offset)


def _decoded(stored: _Frames, chunks: Sequence[Chunk], read_at: patch.ReadAt, start: int = 0) -> Iterator[bytes]:
    for chunk in chunks:
        yield patch.decode(stored.at(start, chunk.stored), chunk, read_at)
        start += chunk.stored


def _write(place: Path, pieces: Iterator[bytes]) -> None:
    with place.open("xb") as out:
        for piece in pieces:
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())


class _Members:
    """The members of a bundle on its way: from the base's bundle where it has them, else made in a directory."""

    def __init__(
        self,
        each: Object,
        record: BundleRecord,
        old: BundleReader,
        old_manifest: manifests.Manifest,
        stored: _Frames,
        work: Path,
    ) -> None:
        self._each = each
        self._record = {member.path: member for member in record.members}
        self._old = old
        self._by_digest = {member.digest: member for member in old.record.members}
        self._feeds = feeds_of(old_manifest, old)
        self._stored = stored
        self._work = work
        self._made: dict[str, Path] = {}

    def paths(self) -> list[tuple[str, bytes | Path]]:
        """Return every member of the bundle and a file with its content."""
        starts, place = {}, 0
        for member in self._each.members:
            starts[member.path] = place
            place += sum(chunk.stored for chunk in member.chunks)
            if member.path not in self._record:
                raise MalformedDocument(path=deltas.DELTA_FILE, detail=f"no member of the bundle: {member.path[:120]}")
        for member in self._each.members:
            if member.kind == deltas.CONTENT:
                self._content(member, starts[member.path])
        for member in self._each.members:
            if member.kind == deltas.LINES:
                self._lines(member, starts[member.path])
        return [(path, self._made.get(path) or self._kept(member)) for path, member in self._record.items()]

    def _file(self, path: str) -> Path:
        number = list(self._record).index(path)
        return self._work / f"member-{number:04d}"

    def _content(self, member: MemberDelta, start: int) -> None:
        wanted = self._record[member.path]
        if sum(chunk.size for chunk in member.chunks) != wanted.size:
            raise SizeMismatch(path=member.path, detail="what its chunks give together", expected=wanted.size)
        place = self._file(member.path)
        base = self._old.open(member.base).read_at if member.base is not None else _nothing
        _write(place, _decoded(self._stored, member.chunks, base, start))
        if (found := digest.of_file(place)[0]) != wanted.digest:
            raise DigestMismatch(path=member.path, expected=wanted.digest, found=found)
        self._made[member.path] = place

    def _lines(self, member: MemberDelta, start: int) -> None:
        """Make the pages of a feed, and all that follows from them, of its advisory lines."""
        prefix = member.path.removesuffix(records.ADVISORIES)
        info = records.decode(self._member(prefix + records.RECORD))
        if sum(chunk.size for chunk in member.chunks) != info.content_size:
            raise SizeMismatch(path=member.path, detail="what its chunks give together", expected=info.content_size)
        dictionary = self._member(prefix + records.DICTIONARY) if info.member(records.DICTIONARY) else None
        reader = self._feeds.get(member.base or "")
        if reader is None:
            raise MalformedDocument(path=deltas.DELTA_FILE, detail=f"the base has no such feed: {member.path[:120]}")
        place = self._file(member.path).with_suffix(".pages")
        place.mkdir()
        content = _decoded(self._stored, member.chunks, lines_at(reader), start)
        rebuild.rebuild(place, content, info, dictionary, normalise)
        self._made |= {prefix + name: place / name for name in rebuild.MADE}

    def _member(self, path: str) -> bytes:
        """Return a small member, made here or kept from the base."""
        wanted = self._record.get(path)
        if wanted is None:
            raise FileMissing(path=path)
        if wanted.size > records.MAX_RECORD_BYTES:
            raise LimitExceeded(path=path, expected=records.MAX_RECORD_BYTES, found=wanted.size)
        return (self._made.get(path) or self._kept(wanted)).read_bytes()

    def _kept(self, member: Member) -> Path:
        """Return a file with a member that the base has as well, under this name or another."""
        old = self._by_digest.get(member.digest)
        if old is None:
            raise EvidenceMissing(path=member.path, detail="neither the delta nor the base has this member")
        place = self._file(member.path)
        source = self._old.open(old.path)
        pieces = (source.read_at(at, min(CHUNK, old.size - at)) for at in range(0, old.size, CHUNK))
        _write(place, pieces)
        self._made[member.path] = place
        return place


def _nothing(_offset: int, _length: int) -> bytes:
    return b""


def feeds_of(manifest: manifests.Manifest, bundle: BundleReader) -> dict[str, SnapshotReader]:
    """Return the readers of a verified input bundle's feeds, by the member that holds their advisories."""
    if bundle.record != manifest.bundles.input:
        return {}
    return {
        feed.path + records.ADVISORIES: SnapshotReader(bundle, feed.path, feed.snapshot_hash)
        for feed in manifest.inputs.feeds
    }


def lines_at(reader: SnapshotReader) -> patch.ReadAt:
    """Return access to the advisory lines of a snapshot as if they were one file; pages are decoded as they are met."""
    starts = [0]
    for number in range(len(reader.pages)):
        starts.append(starts[-1] + reader.pages[number].content)

    def read_at(offset: int, length: int) -> bytes:
        from bisect import bisect_right

        number = bisect_right(starts, offset) - 1
        parts: list[bytes] = []
        skip = offset - starts[number]
        while length > 0 and number < len(reader.pages):
            part = reader.page_content(number)[skip : skip + length]
            parts.append(part)
            length, skip, number = length - len(part), 0, number + 1
        return b"".join(parts)

    return read_at
