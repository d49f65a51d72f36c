"""Checkpoints of logs (C2SP tlog-checkpoint) and the cosignatures of witnesses (C2SP tlog-cosignature, Ed25519).

A checkpoint is a signed note whose text names a log, the size of its tree, and the root. What is returned from here is
signed by a trusted key of that very log; size and root are taken from nowhere else.
"""

import base64
import re
from dataclasses import dataclass

from kit.bytes.merkle import EMPTY_ROOT, HASH_SIZE
from kit.bytes.strict_json import MAX_INTEGER
from kit.errors import (
    LedgerQuorumMissing,
    LedgerSignatureInvalid,
    LedgerUnknown,
    LimitExceeded,
    MalformedDocument,
    SignerRetired,
    SignerRevoked,
)
from kit.ledger import note
from kit.ledger.note import TYPE_COSIGNATURE, Note, NoteKey
from kit.trust.keys import ED25519, Signer

MAX_SIZE = MAX_INTEGER
"""Leaves of a tree: what our own documents can name."""
MAX_EXTENSIONS = 16

_TIME_BYTES = 8
_REKOR_TREE = re.compile(r" - [0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
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


@dataclass(frozen=True, slots=True)
class Cosignature:
    """That a witness saw a checkpoint, consistent with all that it saw of the log before; ``time`` in Unix seconds."""

    witness: NoteKey
    time: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint that a trusted key of its log signed, and the witnesses whose cosignatures fit, by name."""

    checkpoint: Checkpoint
    log: NoteKey
    cosignatures: tuple[Cosignature, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose word counts: the keys of logs and witnesses, and how many witnesses must have seen a checkpoint.

    ``latest`` is the latest time, in Unix seconds, that a cosignature may name: a later one does not count. ``retired``
    are keys of logs outside of their window, ``compromised`` those in somebody else's hands: they never count, but are
    told apart from unknown ones.
    """

    logs: tuple[NoteKey, ...]
    witnesses: tuple[NoteKey, ...] = ()
    quorum: int = 0
    latest: int = MAX_SIZE
    retired: tuple[NoteKey, ...] = ()
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


def cosign(signed: bytes, name: str, signer: Signer, *, time: int) -> bytes:
    """Return a signed checkpoint with one more line: the cosignature of a witness at a time in Unix seconds."""
    read = note.parse(signed, "checkpoint")
    key = NoteKey(name, signer.public)
    stamp = time.to_bytes(_TIME_BYTES)
    line = note.SignatureLine(name, key.key_id(TYPE_COSIGNATURE), stamp + signer.sign(_cosigned(read.text, time)))
    return note.encode(read.text, [*read.signatures, line])


def open_signed(data: bytes, trust: Trust, *, path: str) -> Opened:
    """Return the checkpoint of a note that a trusted key of its log signed, and enough witnesses have seen.

    Raises :class:`LedgerUnknown` when no trusted log key is named under this origin, :class:`SignerRevoked` and
    :class:`SignerRetired` when one that does not count signed, :class:`LedgerSignatureInvalid` when the signature of a
    trusted key does not fit, :class:`LedgerQuorumMissing`, and what :func:`kit.ledger.note.parse` and :func:`parse`
    raise.
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
    if len(cosignatures) < trust.quorum:
        seen = ", ".join(one.witness.name for one in cosignatures)
        raise LedgerQuorumMissing(
            path=path, origin=shown(checkpoint.origin), expected=trust.quorum, found=len(cosignatures), witnesses=seen
        )
    return Opened(checkpoint, min(named, key=lambda key: key.public.fingerprint), cosignatures)


def is_origin(origin: str, name: str) -> bool:
    """Tell whether a key's name belongs to an origin: it is the same, or Rekor v1's, which appends its tree's id."""
    return origin == name or (origin.startswith(name) and _REKOR_TREE.fullmatch(origin[len(name) :]) is not None)


def shown(text: str) -> str:
    """Return foreign text as errors show it."""
    return ascii(text)[1:-1][:160]


def _refuse_uncounted(read: Note, checkpoint: Checkpoint, trust: Trust, path: str) -> None:
    for refusal, keys in ((SignerRevoked, trust.compromised), (SignerRetired, trust.retired)):
        named = note.by_key(read, [key for key in keys if is_origin(checkpoint.origin, key.name)])
        for key, line in named.items():
            if key.public.verify(read.text, line.value):
                raise refusal(path=path, origin=shown(checkpoint.origin), signer=key.public.fingerprint)


def _cosignatures(read: Note, trust: Trust, path: str) -> tuple[Cosignature, ...]:
    """Return the cosignatures of trusted witnesses, one a key; one that does not fit is fatal."""
    witnesses = [key for key in trust.witnesses if key.public.algorithm == ED25519]
    found: list[Cosignature] = []
    for key, line in note.by_key(read, witnesses, TYPE_COSIGNATURE).items():
        time = int.from_bytes(line.value[:_TIME_BYTES])
        if time > MAX_SIZE or not key.public.verify(_cosigned(read.text, time), line.value[_TIME_BYTES:]):
            raise LedgerSignatureInvalid(path=path, witness=shown(key.name), signer=key.public.fingerprint)
        if time <= trust.latest:
            found.append(Cosignature(key, time))
    return tuple(sorted(found, key=lambda one: (one.witness.name, one.witness.public.fingerprint)))


def _cosigned(text: bytes, time: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%b" % (time, text)
