"""Checkpoints of logs (C2SP tlog-checkpoint) and the cosignatures of witnesses (C2SP tlog-cosignature, Ed25519).

A checkpoint is a signed note whose text names a log, the size of its tree, and the root. What is returned from here is
signed by a trusted key of that very log; size and root are taken from nowhere else.
"""

import base64
import re
from collections.abc import Iterable

import msgspec

from kit.bytes.merkle import EMPTY_ROOT, HASH_SIZE
from kit.bytes.strict_json import MAX_INTEGER
from kit.errors import (
    LedgerQuorumMissing,
    LedgerSignatureInvalid,
    LedgerUnknown,
    LimitExceeded,
    MalformedDocument,
    SignerNotYetValid,
    SignerRetired,
    SignerRevoked,
)
from kit.ledger import note
from kit.ledger.note import TYPE_COSIGNATURE, Note, NoteKey, SignatureLine
from kit.trust.keys import ED25519, Signer

MAX_SIZE = MAX_INTEGER
"""Leaves of a tree: what our own documents can name."""
MAX_EXTENSIONS = 16

_TIME_BYTES = 8
_REKOR_TREE = re.compile(r" - [0-9]{1,20}")


class Checkpoint(msgspec.Struct, frozen=True):
    """One tree of a log: ``root`` is the raw hash; ``text`` the signed bytes."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> bytes:
        """Return the note text."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()


class Cosignature(msgspec.Struct, frozen=True):
    """That a witness saw a checkpoint, consistent with all that it saw of the log before; ``time`` in Unix seconds."""

    witness: NoteKey
    time: int


class Opened(msgspec.Struct, frozen=True):
    """A checkpoint that a trusted key of its log signed, and the witnesses whose cosignatures fit, by name."""

    checkpoint: Checkpoint
    log: NoteKey
    cosignatures: tuple[Cosignature, ...]


class Trust(msgspec.Struct, frozen=True):
    """Whose word counts: the keys of logs and witnesses, and how many witnesses must have seen a checkpoint.

    ``latest`` is the latest time, in Unix seconds, that a cosignature may name: a later one does not count. ``retired``
    are keys of logs after their window, ``early`` those before it, ``compromised`` those in somebody else's hands: they
    never count, but are told apart from unknown ones.
    """

    logs: tuple[NoteKey, ...]
    witnesses: tuple[NoteKey, ...] = ()
    quorum: int = 0
    latest: int = MAX_SIZE
    retired: tuple[NoteKey, ...] = ()
    early: tuple[NoteKey, ...] = ()
    compromised: tuple[NoteKey, ...] = ()


def parse(text: bytes, path: str) -> Checkpoint:
    """Read a checkpoint's note text; raises :class:`MalformedDocument` and :class:`LimitExceeded`."""
    whole = note.read_text(text, path, limit=note.MAX_BYTES)
    lines = whole[:-1].split("\n")
    if not whole.endswith("\n") or len(lines) < 3 or not all(lines):
        raise MalformedDocument(path=path, detail="a checkpoint has at least three lines, none of them empty")
    origin, written_size, written_root, *extensions = lines
    if len(extensions) > MAX_EXTENSIONS:
        raise LimitExceeded(path=path, detail="extension lines", expected=MAX_EXTENSIONS, found=len(extensions))
    size = note.read_number(written_size, MAX_SIZE)
    root = note.decode_base64(written_root)
    if size is None or root is None or len(root) != HASH_SIZE:
        raise MalformedDocument(path=path, detail="a checkpoint's second line is its size, its third a SHA-256 hash")
    if size == 0 and root != EMPTY_ROOT:
        raise MalformedDocument(path=path, detail="the empty tree has another root")
    return Checkpoint(origin, size, root, tuple(extensions))


def sign(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Return a checkpoint as its log signs it: the key's name is the origin."""
    return note.encode(checkpoint.text, [note.sign(checkpoint.text, checkpoint.origin, signer)])


def cosignature(signed: bytes, name: str, signer: Signer, *, time: int) -> SignatureLine:
    """Return the line by which a witness says that it saw a signed checkpoint, at a time in Unix seconds."""
    text = note.parse(signed, "checkpoint").text
    key_id = NoteKey(name, signer.public).key_id(TYPE_COSIGNATURE)
    return SignatureLine(name, key_id, time.to_bytes(_TIME_BYTES) + signer.sign(_cosigned(text, time)))


def cosign(signed: bytes, name: str, signer: Signer, *, time: int) -> bytes:
    """Return a signed checkpoint with one more line: the cosignature of a witness at a time in Unix seconds."""
    read = note.parse(signed, "checkpoint")
    return note.encode(read.text, [*read.signatures, cosignature(signed, name, signer, time=time)])


def with_cosignatures(
    signed: bytes, lines: Iterable[SignatureLine], witnesses: Iterable[NoteKey], *, path: str
) -> tuple[bytes, tuple[NoteKey, ...]]:
    """Return a signed checkpoint with the cosignatures of trusted witnesses among some lines, and these witnesses.

    A line takes the place of an older one of the same key; lines of other keys are left out. Raises
    :class:`LedgerSignatureInvalid` for a trusted witness's line that does not fit this checkpoint.
    """
    read = note.parse(signed, path)
    found = note.by_key(Note(read.text, tuple(lines)), [key for key in witnesses if _can_cosign(key)], TYPE_COSIGNATURE)
    for key, line in found.items():
        _cosignature(read.text, key, line, path)
    fresh = {(line.name, line.key_id): line for line in found.values()}
    kept = [line for line in read.signatures if (line.name, line.key_id) not in fresh]
    return note.encode(read.text, [*kept, *fresh.values()]), tuple(found)


def open_signed(data: bytes, trust: Trust, *, path: str) -> Opened:
    """Return the checkpoint of a note that a trusted key of its log signed, and enough witnesses have seen.

    Raises :class:`LedgerUnknown` when no trusted log key is named under this origin, :class:`SignerRevoked`,
    :class:`SignerNotYetValid` and :class:`SignerRetired` when one that does not count signed,
    :class:`LedgerSignatureInvalid` when the signature of a trusted key does not fit, :class:`LedgerQuorumMissing`, and
    what :func:`kit.ledger.note.parse` and :func:`parse` raise.
    """
    read = note.parse(data, path)
    checkpoint = parse(read.text, path)
    named = note.by_key(read, [key for key in trust.logs if is_origin(checkpoint.origin, key.name)])
    if not named:
        _refuse_uncounted(read, checkpoint, trust, path)
        claimed = ", ".join(sorted({line.name for line in read.signatures}))
        raise LedgerUnknown(path=path, origin=shown(checkpoint.origin), found=shown(claimed))
    for key, line in named.items():
        if not key.public.verify(read.text, line.value):
            raise LedgerSignatureInvalid(path=path, origin=shown(checkpoint.origin), signer=key.public.fingerprint)
    cosignatures = _cosignatures(read, trust, path)
    # A witness that holds two keys, as while it rotates them, has still seen the checkpoint only once.
    distinct = min(len({one.witness.name for one in cosignatures}), len({one.witness.public for one in cosignatures}))
    if distinct < trust.quorum:
        seen = ", ".join(one.witness.name for one in cosignatures)
        raise LedgerQuorumMissing(
            path=path, origin=shown(checkpoint.origin), expected=trust.quorum, found=distinct, witnesses=seen
        )
    return Opened(checkpoint, min(named, key=lambda key: key.public.fingerprint), cosignatures)


def is_origin(origin: str, name: str) -> bool:
    """Tell whether a key's name belongs to an origin: it is the same, or Rekor v1's, which appends its tree's id."""
    return origin == name or (origin.startswith(name) and _REKOR_TREE.fullmatch(origin[len(name) :]) is not None)


def shown(text: str) -> str:
    """Return foreign text as errors show it."""
    return ascii(text)[1:-1][:160]


def _refuse_uncounted(read: Note, checkpoint: Checkpoint, trust: Trust, path: str) -> None:
    groups = ((SignerRevoked, trust.compromised), (SignerNotYetValid, trust.early), (SignerRetired, trust.retired))
    for refusal, keys in groups:
        named = note.by_key(read, [key for key in keys if is_origin(checkpoint.origin, key.name)])
        for key, line in named.items():
            if key.public.verify(read.text, line.value):
                raise refusal(path=path, origin=shown(checkpoint.origin), signer=key.public.fingerprint)


def _cosignatures(read: Note, trust: Trust, path: str) -> tuple[Cosignature, ...]:
    """Return the cosignatures of trusted witnesses, one a key; one that does not fit is fatal."""
    witnesses = [key for key in trust.witnesses if _can_cosign(key)]
    lines = note.by_key(read, witnesses, TYPE_COSIGNATURE)
    found = [_cosignature(read.text, key, line, path) for key, line in lines.items()]
    counted = [one for one in found if one.time <= trust.latest]
    return tuple(sorted(counted, key=lambda one: (one.witness.name, one.witness.public.fingerprint)))


def _cosignature(text: bytes, key: NoteKey, line: SignatureLine, path: str) -> Cosignature:
    time = int.from_bytes(line.value[:_TIME_BYTES])
    if time > MAX_SIZE or not key.public.verify(_cosigned(text, time), line.value[_TIME_BYTES:]):
        raise LedgerSignatureInvalid(path=path, witness=shown(key.name), signer=key.public.fingerprint)
    return Cosignature(key, time)


def _can_cosign(key: NoteKey) -> bool:
    return key.public.algorithm == ED25519


def _cosigned(text: bytes, time: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%b" % (time, text)
