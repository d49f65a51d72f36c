"""Cutting a finished kit into signed volumes for smaller media, and joining them (docs/format.md section 2.1)."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from builder import signing
from builder.files import whole_directory, write_atomic
from builder.plan import parse_size
from kit import kitfile, layout, volume
from kit.bytes import canonical, digest
from kit.errors import AlreadyAccepted, DigestMismatch, LimitExceeded, UsageError
from kit.kitfile import Kit
from kit.trust import dsse, rootpack, statement
from kit.trust.keys import Signer
from kit.trust.metadata import MAX_BYTES
from kit.volume import Piece, Volume
from verifier import delta, volumes
from verifier.intake_copy import copy
from verifier.kit_store import check_copy
from verifier.medium import Medium, survey
from verifier.run_dir import stamp

MEDIA = {
    "cd": 737_280_000,
    "dvd": 4_700_372_992,
    "dvd-dl": 8_543_666_176,
    "bd": 25_025_314_816,
    "bd-dl": 50_050_629_632,
}
"""Capacities of media by name; of two kinds of disc the smaller one. Two hundredths of each stay free."""
FAT32 = "fat32"
UNBOUNDED = 1 << 50
CHUNK = 1 << 20


def capacity(text: str, option: str = "--size") -> int:
    """Return the bytes of a medium given by name, such as ``dvd``, or by size, such as ``4480M``.

    ``fat32`` bounds files, not the medium. Raises :class:`UsageError`.
    """
    name = text.strip().lower()
    if name == FAT32:
        return UNBOUNDED
    if name in MEDIA:
        return MEDIA[name] * 98 // 100
    try:
        return parse_size(name)
    except UsageError:
        expected = f"a size such as 700MB or 4.7GB, or one of {', '.join((*MEDIA, FAT32))}"
        raise UsageError(option=option, expected=expected, found=ascii(text)[:40]) from None


def split(
    root: Path, size: int, out: Path, signers: Sequence[Signer], on_piece: Callable[[Piece], None]
) -> list[Volume]:
    """Write the volumes of a kit below a directory that is made whole or not at all; return their records.

    Every byte of the kit is held against its own list on the way. Raises :class:`AlreadyAccepted` where ``out`` exists,
    :class:`UsageError` for a medium that is too small, and for a kit with time stamps of its own.
    """
    if out.exists():
        raise AlreadyAccepted(path=str(out), detail="the directory of the volumes exists")
    medium = survey(root)
    if stamps := medium.below(f"{layout.EVIDENCE_DIRECTORY}/"):
        detail = "volumes carry no time stamps over the kit itself, and one would be lost"
        raise UsageError(detail=detail, found=min(stamps.values())).then(
            "Send it in one piece; or stamp the records instead (stella timestamp RECORD) and build the kit again."
        )
    raw = medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES)
    kit_digest = digest.of_bytes(raw)
    kit = delta.read(medium, kitfile.parse(raw), kit_digest).there
    check_copy(root, kit_digest, kit)
    documents = medium.sizes[layout.KIT_FILE] + medium.sizes[layout.KIT_ENVELOPE]
    try:
        cuts = volume.cut([(file.path, file.size) for file in kit.files], size, documents)
    except LimitExceeded as error:
        raise UsageError(option="--size", **error.details) from None
    digests = {file.path: file.digest for file in kit.files}
    lists = [tuple(_piece(medium, digests, *each, on_piece) for each in one) for one in _with_parts(cuts)]
    identity = volume.set_id(lists)
    made = [
        Volume(
            schema_version=volume.SCHEMA_VERSION,
            kit_id=kit.kit_id,
            kit_digest=kit_digest,
            set=identity,
            number=number,
            count=len(lists),
            pieces=pieces,
        )
        for number, pieces in enumerate(lists, 1)
    ]
    with whole_directory(out) as working:
        for record in made:
            _write(medium, kit, record, working / directory_name(record), signers)
    return made


def directory_name(record: Volume) -> str:
    """Return the name of a volume's directory, and the label for its medium."""
    width = len(str(record.count))
    return f"{volumes.DEFAULT_CALLED}{record.number:0{width}d}-of-{record.count}"


def join(roots: Sequence[Path], out: Path, on_piece: Callable[[Piece], None]) -> Kit:
    """Make one kit of volumes in a directory that appears whole or not at all; return what its KIT.json says.

    Every byte is held against the kit's list; whose signatures those are is not asked here. Raises
    :class:`VolumeMissing` and the other errors of :mod:`verifier.volumes`.
    """
    if out.exists():
        raise AlreadyAccepted(path=str(out), detail="the kit's directory exists")
    found = volumes.find(roots)
    if not found:
        raise UsageError(detail="there is no volume here", found=", ".join(map(str, roots))[:200]).then(
            "Give the directories that hold VOLUME.json."
        )
    gathered = volumes.gather(found)
    gathered.check_complete()
    volume.check_tiles((one.record for one in gathered.given.values()), gathered.first.kit)
    kit, first = gathered.first.kit, gathered.first.medium
    with whole_directory(out) as working:
        for _, one in sorted(gathered.given.items()):
            with volumes.named(one.where):
                copy(one.medium, volume.pieces_of(one.record, kit), working, on_piece)
        named = [(file.path, file.digest) for file in kit.files]
        for path in (layout.KIT_FILE, layout.KIT_ENVELOPE):
            data = first.read(path, limit=first.sizes[path])
            write_atomic(working / path, data)
            named.append((path, digest.of_bytes(data)))
        write_atomic(working / layout.SUMS_FILE, kitfile.sums(named))
        check_copy(working, gathered.first.kit_digest, kit)
    return kit


def _with_parts(cuts: Sequence[Sequence[tuple[str, int, int]]]) -> list[list[tuple[str, int, int, int | None]]]:
    """Return the cuts with the number of its part for each piece that is no whole file, counted along the file."""
    offsets: dict[str, list[int]] = {}
    for path, offset, _ in sorted(piece for one in cuts for piece in one):
        offsets.setdefault(path, []).append(offset)
    return [
        [
            (path, offset, size, offsets[path].index(offset) + 1 if len(offsets[path]) > 1 else None)
            for path, offset, size in one
        ]
        for one in cuts
    ]


def _piece(
    medium: Medium,
    digests: Mapping[str, str],
    path: str,
    offset: int,
    size: int,
    part: int | None,
    on_piece: Callable[[Piece], None],
) -> Piece:
    found = digests[path] if part is None else _digest_of_part(medium, path, offset, size)
    piece = Piece(path=path, offset=offset, size=size, digest=found, stored=volume.stored_name(path, part))
    on_piece(piece)
    return piece


def _digest_of_part(medium: Medium, path: str, offset: int, size: int) -> str:
    found = hashlib.sha256()
    with medium.open(path) as source:
        source.seek(offset)
        while size and (data := source.read(min(CHUNK, size))):
            found.update(data)
            size -= len(data)
    return digest.of_raw(found.digest())


def _write(medium: Medium, kit: Kit, record: Volume, place: Path, signers: Sequence[Signer]) -> None:
    """Write one volume: its pieces, what every volume has, its signed record, its sums."""
    for piece in volume.pieces_of(record, kit):
        _copy_piece(medium, piece, place / piece.stored)
    for path in (layout.KIT_FILE, layout.KIT_ENVELOPE):
        write_atomic(place / path, medium.read(path, limit=medium.sizes[path]))
    encoded = canonical.encode_record(record)
    volume.parse(encoded)
    payload = statement.make(
        {volume.VOLUME_FILE: digest.of_bytes(encoded)}, volume.PREDICATE_TYPE, volume.predicate(record)
    )
    write_atomic(place / volume.VOLUME_FILE, encoded)
    write_atomic(place / volume.VOLUME_ENVELOPE, dsse.sign(payload, dsse.IN_TOTO, signers))
    write_atomic(place / layout.SUMS_FILE, b"")
    write_atomic(place / layout.SUMS_FILE, volumes.sums(survey(place), record, kit))


def _copy_piece(medium: Medium, piece: Piece, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    found, left = hashlib.sha256(), piece.size
    with medium.open(piece.path) as source, target.open("xb") as written:
        source.seek(piece.offset)
        while left and (data := source.read(min(CHUNK, left))):
            found.update(data)
            written.write(data)
            left -= len(data)
    if digest.of_raw(found.digest()) != piece.digest:
        raise DigestMismatch(path=piece.path, expected=piece.digest, found=digest.of_raw(found.digest()))


def check_volume(place: Path, root: bytes | None, now: datetime, on_piece: Callable[[Piece], None]) -> volumes.OnMedium:
    """Check one volume as :func:`verifier.volumes.check_alone`; with a pinned root its and the kit's signatures too."""
    roots = volumes.find([place])
    if len(roots) != 1:
        raise UsageError(path=str(place), detail=f"there are {len(roots)} volumes here, not one").then(
            "Give the directory that holds VOLUME.json."
        )
    found = volumes.check_alone(roots[0], on_piece)
    if root is not None:
        prefix = f"{layout.ROOTPACK_DIRECTORY}/"
        files = {name: found.medium.read(path, limit=MAX_BYTES) for name, path in found.medium.below(prefix).items()}
        pack = rootpack.load(files, pinned_root=root, reference_time=now)
        for name, subject, check in (
            (layout.KIT_ENVELOPE, layout.KIT_FILE, kitfile.check_statement),
            (volume.VOLUME_ENVELOPE, volume.VOLUME_FILE, volume.check_statement),
        ):
            envelope = found.medium.read(name, limit=dsse.MAX_BYTES)
            signed = pack.verify(envelope, usage=signing.USAGE, at=stamp(now), payload_types=(dsse.IN_TOTO,), name=name)
            check(signed.payload, found.medium.read(subject, limit=kitfile.MAX_BYTES))
    return found
