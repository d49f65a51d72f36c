"""Sealing a medium to the encryption keys of sites (docs/format.md section 2.5)."""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from builder.files import whole_directory, write_atomic
from kit import kitfile, layout
from kit import seal as seals
from kit.bytes import canonical, digest
from kit.errors import AlreadyAccepted, DigestMismatch, UsageError
from kit.seal import Recipient, Seal, SealingKey
from kit.volume import Piece
from verifier import seal as site_side
from verifier.medium import Medium, survey


def seal(
    root: Path,
    recipients: Sequence[SealingKey],
    out: Path,
    entropy: Callable[[int], bytes],
    on_piece: Callable[[Piece], None],
) -> Seal:
    """Write a sealed form of a kit, a delta or a volume to a directory that is made whole or not at all.

    Every file is held against the signed list on the way. ``entropy`` gives the medium's key; what else is random is
    libsodium's own. Raises :class:`AlreadyAccepted` where ``out`` exists, :class:`UsageError` for what is sealed
    already, for a kit with time stamps of its own, and without or with too many recipients.
    """
    if out.exists():
        raise AlreadyAccepted(path=str(out), detail="the directory of the sealed kit exists")
    medium = survey(root)
    if layout.SEAL_FILE in medium.sizes:
        raise UsageError(path=str(root), detail="this is sealed already")
    keys = {key.fingerprint: key for key in recipients}
    if not 1 <= len(keys) <= seals.MAX_RECIPIENTS:
        raise UsageError(option="--to", expected=f"1 to {seals.MAX_RECIPIENTS} keys", found=len(keys))
    there = site_side.read(medium)
    if stamps := sorted(set(medium.below(f"{layout.EVIDENCE_DIRECTORY}/").values()) - set(there.files)):
        raise UsageError(detail="a sealed kit carries no time stamps over the kit itself", found=stamps[0]).then(
            "Send it unsealed; or stamp the records instead (stella timestamp RECORD) and build the kit again."
        )
    there.check_names(medium, sealed=False)
    key = entropy(seals.KEY_BYTES)
    record = Seal(
        schema_version=seals.SCHEMA_VERSION,
        kit_digest=there.kit_digest,
        recipients=seals.sorted_recipients([_wrapped(key, one) for one in keys.values()]),
    )
    encoded = canonical.encode_record(record)
    seals.parse(encoded)
    with whole_directory(out) as working:
        write_atomic(working / layout.SEAL_FILE, encoded)
        for path in there.clear(medium):
            _copy(medium, path, working / path, there.files)
        for path, piece in there.files.items():
            if not site_side.stays_clear(path):
                on_piece(piece)
                _seal(medium, piece, working / seals.stored_name(path), key, there.kit_digest)
        written = sorted(path.relative_to(working).as_posix() for path in working.rglob("*") if path.is_file())
        write_atomic(
            working / layout.SUMS_FILE, kitfile.sums([(path, digest.of_file(working / path)[0]) for path in written])
        )
    return record


def _wrapped(key: bytes, recipient: SealingKey) -> Recipient:
    from nacl.bindings import crypto_box_seal

    wrapped = base64.b64encode(crypto_box_seal(key, recipient.point)).decode()
    return Recipient(key=recipient.fingerprint, wrapped=wrapped)


def _copy(medium: Medium, path: str, target: Path, listed: Mapping[str, Piece]) -> None:
    data = medium.read(path, limit=kitfile.MAX_BYTES)
    if path in listed and (found := digest.of_bytes(data)) != listed[path].digest:
        raise DigestMismatch(path=path, expected=listed[path].digest, found=found)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, data)


def _seal(medium: Medium, piece: Piece, target: Path, key: bytes, kit_digest: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        with medium.open(piece.stored) as source:
            for _ in range(seals.chunks_of(piece.size)):
                data = site_side.read_exactly(source, min(seals.CHUNK, piece.size))
                found.update(data)
                yield data

    with target.open("xb") as out:
        for data in sealed(pieces(), key, kit_digest, piece.stored, piece.size):
            out.write(data)
    if digest.of_raw(found.digest()) != piece.digest:
        raise DigestMismatch(path=piece.stored, expected=piece.digest, found=digest.of_raw(found.digest()))


def sealed(pieces: Iterator[bytes], key: bytes, kit_digest: str, path: str, size: int) -> Iterator[bytes]:
    """Yield the header and the chunks of a sealed file, given in the pieces that become its chunks."""
    from nacl import bindings

    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    yield bindings.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    last = seals.chunks_of(size) - 1
    for index, data in enumerate(pieces):
        final = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
        tag = final if index == last else bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
        bound = seals.associated(kit_digest, path, size, index)
        yield bindings.crypto_secretstream_xchacha20poly1305_push(state, data, bound, tag)
