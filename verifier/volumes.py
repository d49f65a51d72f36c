"""Volumes on their media: checking one alone, and making one kit of several (docs/format.md section 2.1)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kit import kitfile, layout, volume
from kit.bytes import digest
from kit.errors import (
    DigestMismatch,
    EvidenceMissing,
    FileMissing,
    FileUndeclared,
    SizeMismatch,
    StellaError,
    UsageError,
    VolumeForeign,
    VolumeMissing,
)
from kit.kitfile import Kit
from kit.volume import Piece, Volume
from verifier import delta
from verifier.intake_copy import Copied
from verifier.medium import Medium, survey

DEFAULT_CALLED = "volume-"


class OnMedium(msgspec.Struct, frozen=True):
    """One volume where it lies: its files, its own record, and the kit that it belongs to by its own list."""

    medium: Medium
    record: Volume
    kit: Kit
    kit_digest: str

    @property
    def text(self) -> str:
        """Return which volume of how many it is."""
        return f"{self.record.number} of {self.record.count}"

    @property
    def where(self) -> str:
        """Return which volume it is, and the name of the directory it lies in."""
        return f"{self.text} in {self.medium.root.name}"


def find(media: Sequence[Path]) -> list[Path]:
    """Return the directories of volumes that an operator means by these: they themselves, or those right inside.

    Nothing where none of them is or holds a volume; :class:`UsageError` where one of them is or holds none.
    """
    found: list[Path] = []
    without: list[Path] = []
    for named in media:
        inside = [named]
        if named.is_dir() and not _is_volume(named) and not (named / layout.KIT_FILE).is_file():
            inside = sorted(path for path in named.iterdir() if path.is_dir())
        volumes = [path.resolve() for path in inside if _is_volume(path)]
        found += volumes
        without += [] if volumes else [named]
    if found and without:
        raise UsageError(path=str(without[0]), detail="this is no volume, and others given are").then(
            "Give the volumes of one kit, and nothing else."
        )
    return list(dict.fromkeys(found))


def _is_volume(path: Path) -> bool:
    return (path / volume.VOLUME_FILE).is_file()


@contextmanager
def named(which: str) -> Iterator[None]:
    """Let an error say which volume it is about, where none inside has said so."""
    try:
        yield
    except StellaError as error:
        error.details.setdefault("volume", which)
        raise


def read(root: Path, known: Mapping[str, Kit] | None = None) -> OnMedium:
    """Read a volume's own documents and hold them against one another; its files are only counted.

    A list of the kit that is ``known`` by its digest is neither parsed nor held again. Raises the errors of
    :func:`kit.volume.parse` and :func:`kit.volume.check_kit`, :class:`FileMissing` and :class:`FileUndeclared` for
    files that are not those listed; each names the volume.
    """
    with named(root.name):
        medium = survey(root)
        for path in volume.DOCUMENTS:
            if path not in medium.sizes:
                raise EvidenceMissing(path=path)
        record = volume.parse(medium.read(volume.VOLUME_FILE, limit=kitfile.MAX_BYTES, hold=False))
        with named(f"{record.number} of {record.count} in {root.name}"):
            return _of_record(medium, record, known or {})


def _of_record(medium: Medium, record: Volume, known: Mapping[str, Kit]) -> OnMedium:
    raw = medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES, hold=False)
    kit_digest = digest.of_bytes(raw)
    kit = known.get(kit_digest)
    if kit is None:
        kit = kitfile.parse(medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES))
        kit = delta.read(medium, kit, kit_digest).there
    volume.check_kit(record, kit, kit_digest)
    listed = {piece.stored: piece.size for piece in volume.pieces_of(record, kit)}
    for path in sorted({*listed, *volume.DOCUMENTS} - set(medium.sizes)):
        raise FileMissing(path=path)
    for path, size in medium.sizes.items():
        if path not in listed and path not in volume.DOCUMENTS:
            raise FileUndeclared(path=path)
        if path in listed and listed[path] != size:
            raise SizeMismatch(path=path, expected=listed[path], found=size)
    _check_sums(medium, record, kit)
    return OnMedium(medium, record, kit, kit_digest)


def _check_sums(medium: Medium, record: Volume, kit: Kit) -> None:
    """SHA256SUMS of a volume is derived from its lists, so it must be that, byte for byte."""
    expected = sums(medium, record, kit)
    if medium.sizes[layout.SUMS_FILE] != len(expected):
        raise SizeMismatch(path=layout.SUMS_FILE, expected=len(expected), found=medium.sizes[layout.SUMS_FILE])
    if medium.read(layout.SUMS_FILE, limit=len(expected), hold=False) != expected:
        raise DigestMismatch(path=layout.SUMS_FILE, expected=digest.of_bytes(expected))


def sums(medium: Medium, record: Volume, kit: Kit) -> bytes:
    """Return what SHA256SUMS of a volume has to be."""
    entries = [(piece.stored, piece.digest) for piece in volume.pieces_of(record, kit)]
    entries += [(path, medium.digest(path)[0]) for path in volume.DOCUMENTS if path != layout.SUMS_FILE]
    return kitfile.sums(entries)


def check_alone(root: Path, on_piece: Callable[[Piece], None]) -> OnMedium:
    """Check every byte of one volume without any other; no signature, for which a trust root is needed."""
    found = read(root)
    with named(found.where):
        for piece in volume.pieces_of(found.record, found.kit):
            on_piece(piece)
            actual, size = found.medium.digest(piece.stored)
            if size != piece.size:
                raise SizeMismatch(path=piece.stored, expected=piece.size, found=size)
            if actual != piece.digest:
                raise DigestMismatch(path=piece.stored, expected=piece.digest, found=actual)
    return found


class Gathered(msgspec.Struct):
    """Which volumes of one set are there, and which were given twice."""

    given: dict[int, OnMedium] = msgspec.field(default_factory=dict)
    twice: list[int] = msgspec.field(default_factory=list)
    copied: Copied = msgspec.field(default_factory=Copied)

    @property
    def first(self) -> OnMedium:
        """Return one of the volumes: each has what all have."""
        return next(iter(self.given.values()))

    def check_complete(self, staged: Sequence[int] = ()) -> None:
        """Raise :class:`VolumeMissing` with the numbers that are neither here nor staged before."""
        record = self.first.record
        there = {*self.given, *staged}
        missing = sorted(set(range(1, record.count + 1)) - there)
        if missing:
            again = f"; given twice: {volume.numbers_text(self.twice)}" if self.twice else ""
            plural = "s" if len(missing) > 1 else ""
            text = volume.numbers_text(missing)
            raise VolumeMissing(
                detail=f"volume{plural} {text} of {record.count} missing, of {record.kit_id}{again}",
                found=f"volume {volume.numbers_text(there)}",
            ).then(f"Bring volume{plural} {text} of {record.count} and run again; what is here stays.")


def gather(roots: Sequence[Path]) -> Gathered:
    """Read volumes that are to be one kit, in whatever order they are given; :class:`VolumeForeign` for a stranger."""
    gathered = Gathered()
    known: dict[str, Kit] = {}
    for root in roots:
        one = read(root, known)
        known[one.kit_digest] = one.kit
        if gathered.given:
            check_same_set(gathered.first, one)
        if one.record.number in gathered.given:
            gathered.twice.append(one.record.number)
        else:
            gathered.given[one.record.number] = one
    return gathered


def check_same_set(first: OnMedium, other: OnMedium) -> None:
    """Refuse a volume of another kit, or of another split of the same kit, or a second one of the same number."""
    if first.kit_digest != other.kit_digest:
        raise VolumeForeign(expected=f"a volume of {first.kit.kit_id}", found=f"{other.text} of {other.kit.kit_id}")
    if (first.record.set, first.record.count) != (other.record.set, other.record.count):
        raise VolumeForeign(
            expected=f"a volume of the set of {first.record.count}",
            found=f"{other.text} of another split of {other.kit.kit_id}",
        )
