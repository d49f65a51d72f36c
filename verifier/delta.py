"""Making a kit whole that came as a delta, of the kits that the site holds (docs/format.md section 2.4).

Whatever is made here is held against the kit's signed list afterwards, exactly like bytes that came on a medium. One
chunk is in memory at a time; the members of a bundle on their way lie beside the kit that is being made.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from kit import delta as deltas
from kit import kitfile, layout, patch
from kit import manifest as manifests
from kit.bundle import BundleReader, BundleRecord, write_bundle
from kit.bytes import digest, frames
from kit.delta import Delta, Object
from kit.errors import (
    DeltaBaseMissing,
    DigestMismatch,
    FileMissing,
    MalformedDocument,
    SizeMismatch,
    StellaError,
)
from kit.kitfile import File, Kit
from kit.volume import Piece
from verifier.durable import make_directory, sync_directory
from verifier.intake_copy import Copied, check_space, copy, is_there
from verifier.medium import Medium, survey

WORK = "work"
_NAMED = 5


class Travelling(msgspec.Struct, frozen=True):
    """A kit as it lies on a medium: itself, its delta where it is one, and the list of what is there."""

    kit: Kit
    kit_digest: str
    delta: Delta | None
    there: Kit


def read(medium: Medium, kit: Kit, kit_digest: str) -> Travelling:
    """Return how a kit travels on a medium, by the medium's own word; nobody's signature is looked at.

    Raises the errors of :func:`kit.delta.parse` and :func:`kit.delta.check_kit`.
    """
    if layout.DELTA_FILE not in medium.sizes:
        return Travelling(kit, kit_digest, None, kit)
    raw = medium.read(layout.DELTA_FILE, limit=kitfile.MAX_BYTES)
    delta = deltas.parse(raw)
    deltas.check_kit(delta, kit, kit_digest)
    documents = []
    for path in (layout.DELTA_FILE, layout.DELTA_ENVELOPE):
        found = digest.of_bytes(medium.read(path, limit=kitfile.MAX_BYTES))
        documents.append(File(path=path, size=medium.sizes[path], digest=found))
    return Travelling(kit, kit_digest, delta, deltas.travelling(kit, delta, documents))


class BaseKit(msgspec.Struct, frozen=True):
    """A whole kit that a delta builds on, where it lies, with its own list."""

    medium: Medium
    kit: Kit

    def file(self, each: Object) -> File:
        """Return the entry of an object's base in the list of the base kit."""
        found = next((file for file in self.kit.files if file.path == each.base), None)
        if found is None or found.digest != each.base_digest:
            raise MalformedDocument(path=layout.DELTA_FILE, detail=f"the base kit has no such {each.base[:120]}")
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
    :class:`DigestMismatch` where what was made is not the listed file, :class:`NoSpace`, and the errors of
    :mod:`kit.patch`.
    """
    delta = travelling.delta
    if delta is None:
        return Copied()
    done = Copied()
    pieces = [
        Piece(path=each.path, offset=0, size=each.size, digest=each.digest, stored=each.base) for each in delta.objects
    ]
    check_space(target, pieces)
    for each, piece in zip(delta.objects, pieces, strict=True):
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
    for path in (layout.DELTA_FILE, layout.DELTA_ENVELOPE):
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
    from verifier.delta_members import Frames, Members, decoded, write

    made = work / "made"
    with ExitStack() as stack:
        stored = stack.enter_context(Frames(medium, each))
        if each.how == deltas.PATCH:
            read_at = stack.enter_context(_whole_base(base, each))
            write(made, decoded(stored, each.chunks, read_at))
        else:
            old = stack.enter_context(_old_bundle(base, each))
            manifest, record = bundle_record(medium, kit, each.path)
            members = Members(each, record, old, base.record(each.base)[0], stored, work).paths()
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
