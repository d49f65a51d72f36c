"""Opening a sealed medium into a directory that appears whole or not at all (docs/format.md section 2.5).

What comes out is judged like any medium. A failure leaves nothing of it behind; a death leaves a directory under a name
that nothing reads, which the next opening removes.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import msgspec

from kit import kitfile, layout, volume
from kit import seal as seals
from kit.bytes import digest
from kit.errors import (
    AlreadyAccepted,
    DigestMismatch,
    FileMissing,
    FileUndeclared,
    KeyRefused,
    NotWritable,
    SealBroken,
    SizeMismatch,
    UsageError,
)
from kit.kitfile import Kit
from kit.seal import OpeningKey, Seal, SealingKey
from kit.volume import Piece
from verifier import delta
from verifier.durable import claim, make_directory, part_of, remove_leftovers, sync_directory, write_atomic
from verifier.medium import Medium, read_file, survey

KEY_FILE = "seal.key.pem"
PUBLIC_FILE = "seal.pub.pem"
MAX_KEY = 1024
_DOCUMENTS = (layout.KIT_FILE, layout.KIT_ENVELOPE, volume.VOLUME_FILE, volume.VOLUME_ENVELOPE)


def is_sealed(root: Path) -> bool:
    """Tell whether a directory is a sealed medium."""
    return (root / layout.SEAL_FILE).is_file()


def stays_clear(path: str) -> bool:
    """Tell whether a file is readable on a sealed medium too: what tells who sent what, and how big it is."""
    return volume.is_common(path)


class Content(msgspec.Struct, frozen=True):
    """What a medium has to hold by its own documents: its files as pieces, by path, beside the documents."""

    kit: Kit
    kit_digest: str
    files: dict[str, Piece]
    documents: tuple[str, ...]

    def clear(self, medium: Medium) -> list[str]:
        """Return what is readable on the sealed medium."""
        return [*self.documents, *(path for path in self.files if stays_clear(path) and path in medium.sizes)]

    def expected(self, *, sealed: bool) -> dict[str, int | None]:
        """Return the sizes of the medium's files by path; None for documents, whose size nothing says."""
        found: dict[str, int | None] = dict.fromkeys((*self.documents, layout.SUMS_FILE))
        for path, piece in self.files.items():
            hidden = sealed and not stays_clear(path)
            found[seals.stored_name(path) if hidden else path] = seals.stored_size(piece.size) if hidden else piece.size
        return found | ({layout.SEAL_FILE: None} if sealed else {})

    def check_names(self, medium: Medium, *, sealed: bool) -> None:
        """Refuse a medium that has a file too many or too few, or one of another size."""
        expected = self.expected(sealed=sealed)
        for path in sorted(set(expected) - set(medium.sizes)):
            raise FileMissing(path=path)
        for path, size in medium.sizes.items():
            if path not in expected:
                raise FileUndeclared(path=path)
            if expected[path] not in (None, size):
                raise SizeMismatch(path=path, expected=expected[path] or 0, found=size)


def read(medium: Medium) -> Content:
    """Return what a medium holds by its readable documents; nobody's signature is looked at."""
    raw = medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES)
    kit, kit_digest = kitfile.parse(raw), digest.of_bytes(raw)
    there = delta.read(medium, kit, kit_digest).there
    documents = tuple(path for path in _DOCUMENTS if path in medium.sizes)
    if volume.VOLUME_FILE in medium.sizes:
        record = volume.parse(medium.read(volume.VOLUME_FILE, limit=kitfile.MAX_BYTES))
        volume.check_kit(record, there, kit_digest)
        pieces = volume.pieces_of(record, there)
    else:
        pieces = [
            Piece(path=file.path, offset=0, size=file.size, digest=file.digest, stored=file.path)
            for file in there.files
        ]
    return Content(there, kit_digest, {piece.stored: piece for piece in pieces}, documents)


def record_of(medium: Medium) -> Seal:
    """Return what SEAL.json says; :class:`SealBroken` where it is about another kit."""
    seal = seals.parse(medium.read(layout.SEAL_FILE, limit=seals.MAX_BYTES))
    found = digest.of_bytes(medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES))
    if seal.kit_digest != found:
        raise SealBroken(path=layout.SEAL_FILE, detail="of another kit", expected=found, found=seal.kit_digest)
    return seal


def make_key(site: Path, entropy: Callable[[int], bytes]) -> SealingKey:
    """Make a site's encryption key and return its public half; :class:`AlreadyAccepted` where there is one."""
    if (site / KEY_FILE).exists():
        raise AlreadyAccepted(path=str(site / KEY_FILE), detail="this site has an encryption key")
    key = OpeningKey(entropy(seals.KEY_BYTES))
    write_atomic(site / KEY_FILE, key.to_pem(), mode=0o600)
    write_atomic(site / PUBLIC_FILE, key.public.to_pem())
    return key.public


def load_key(site: Path) -> OpeningKey | None:
    """Return a site's encryption key, if it has one; :class:`KeyRefused` where others can read it."""
    place = site / KEY_FILE
    if not place.is_file():
        return None
    if place.stat().st_mode & 0o077:
        raise KeyRefused(path=KEY_FILE, detail="others than its owner can read this private key").then(
            f"If nobody else was on this host: chmod 600 {place}. Otherwise make another (remove it first), and send "
            "its public half."
        )
    return OpeningKey.from_pem(read_file(place, limit=MAX_KEY))


def open_medium(root: Path, key: OpeningKey | None, out: Path, on_piece: Callable[[Piece], None]) -> Content:
    """Write what a sealed medium holds to a directory that does not exist yet.

    Raises :class:`kit.errors.SealKeyMissing`, :class:`SealBroken`, :class:`SizeMismatch`, :class:`DigestMismatch`,
    :class:`FileMissing`, :class:`FileUndeclared`, :class:`AlreadyAccepted`.
    """
    if out.exists():
        raise AlreadyAccepted(path=str(out), detail="the directory exists")
    medium = survey(root)
    if layout.SEAL_FILE not in medium.sizes:
        raise UsageError(path=str(root), detail="this medium is not sealed").then("Use it as it is.")
    seal = record_of(medium)
    if key is None:
        raise seals.missing(seal, "")
    content = read(medium)
    content.check_names(medium, sealed=True)
    secret = key.unwrap(seal)
    with _appearing(out) as working:
        for path in content.clear(medium):
            place = working / path
            make_directory(place.parent)
            write_atomic(place, medium.read(path, limit=medium.sizes[path]))
        for path, piece in content.files.items():
            if not stays_clear(path):
                on_piece(piece)
                _open(medium, piece, working / path, secret, content.kit_digest)
        named = [(path, piece.digest) for path, piece in content.files.items()]
        named += [(path, digest.of_file(working / path)[0]) for path in content.documents]
        write_atomic(working / layout.SUMS_FILE, kitfile.sums(named))
    return content


@contextmanager
def readable(roots: Sequence[Path], site: Path, place: Path, on_piece: Callable[[Piece], None]) -> Iterator[list[Path]]:
    """Yield media as they are, and copies below ``place`` of those that are sealed, which are gone when the block ends.

    What an import that was killed has left of such copies is removed. Raises as :func:`open_medium`.
    """
    shutil.rmtree(place, ignore_errors=True)
    if not any(map(is_sealed, roots)):
        yield list(roots)
        return
    make_directory(place, mode=0o700)
    try:
        key = load_key(site)
        found = []
        for number, root in enumerate(roots, 1):
            out = place / f"{number:03d}" / root.name
            if is_sealed(root):
                make_directory(out.parent)
                open_medium(root, key, out, on_piece)
            found.append(out if is_sealed(root) else root)
        yield found
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """Yield a directory, readable by its owner alone, that takes its name when the block ends, or is removed."""
    if not out.parent.is_dir():
        raise NotWritable(path=str(out.parent), detail="there is no such directory")
    remove_leftovers(out)
    working = part_of(out)
    working.mkdir(mode=0o700)
    descriptor = os.open(working, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        claim(descriptor)
        yield working
        sync_directory(working)
        working.rename(out)
    except BaseException:
        shutil.rmtree(working, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)
    sync_directory(out.parent)


def _open(medium: Medium, piece: Piece, target: Path, key: bytes, kit_digest: str) -> None:
    make_directory(target.parent)
    found = hashlib.sha256()
    stored = seals.stored_name(piece.stored)
    with medium.open(stored) as source, target.open("xb") as out:
        for data in seals.opened(_chunks(source, piece.size), key, kit_digest, piece.stored, piece.size):
            found.update(data)
            out.write(data)
        out.flush()
        os.fsync(out.fileno())
    if digest.of_raw(found.digest()) != piece.digest:
        raise DigestMismatch(path=piece.stored, expected=piece.digest, found=digest.of_raw(found.digest()))
    if piece.path.startswith(f"{layout.PROGRAM_DIRECTORY}/"):
        target.chmod(0o755)


def _chunks(source: FileIO, size: int) -> Iterator[bytes]:
    yield read_exactly(source, seals.HEADER)
    left = size
    for _ in range(seals.chunks_of(size)):
        taken = min(seals.CHUNK, left)
        yield read_exactly(source, taken + seals.OVERHEAD)
        left -= taken


def read_exactly(source: FileIO, most: int) -> bytes:
    """Return so many bytes of a file, fewer only where it ends."""
    parts: list[bytes] = []
    while most and (data := source.read(most)):
        parts.append(data)
        most -= len(data)
    return b"".join(parts)
