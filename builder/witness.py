"""A small witness that needs no network: it cosigns checkpoints of logs (docs/format.md section 10.7).

It keeps the last checkpoint that it cosigned of each log, and cosigns only what is the same tree or contains it. What
it keeps is on the disk before its signature leaves, so that no crash makes it sign both sides of a fork.
"""

import hashlib
from pathlib import Path

from builder import files
from kit.bytes import canonical
from kit.errors import MalformedDocument, StellaError
from kit.ledger import checkpoint, memory, note, proof
from kit.ledger.checkpoint import Checkpoint, Opened, Trust, shown
from kit.ledger.known import KnownLog
from kit.ledger.memory import Seen
from kit.ledger.proof import Tree
from kit.trust.keys import ED25519, Signer
from verifier.medium import read_file
from verifier.site_time import moment

MAX_STATE = 64 << 10


def cosign(
    signed: bytes, history: bytes | None, trust: Trust, name: str, signer: Signer, state: Path, *, now: str
) -> tuple[Checkpoint, bytes]:
    """Return a checkpoint and the signature line by which the witness of a name cosigns it.

    ``history`` is a ``.tlog-consistency`` about it. ``state`` is the witness's directory, made where it is missing.
    Raises what :func:`kit.ledger.checkpoint.open_signed`, :func:`kit.ledger.proof.check_consistency` and
    :func:`kit.ledger.memory.check` raise; nothing is signed then, and nothing forgotten.
    """
    if signer.public.algorithm != ED25519 or not note.is_name(name):
        raise MalformedDocument(detail="a witness has an Ed25519 key, and a name without spaces and plus signs")
    opened = checkpoint.open_signed(signed, trust, path="checkpoint")
    seen = Seen(opened.checkpoint, _prefixes(opened, history))
    files.make_directory(state, 0o700)
    with files.locked(state):
        place = state / _file(opened.checkpoint.origin)
        known = _read(place, opened.checkpoint.origin)
        memory.check(known, seen, path="checkpoint")
        kept = memory.remember((), [Seen(opened.checkpoint)], now=known[0].first_seen if known else now)
        files.write_atomic(place, canonical.encode_record(kept[0]))
        line = checkpoint.cosignature(signed, name, signer, time=int(moment(now).timestamp()))
    return opened.checkpoint, note.encode_signatures([line])


def checkpoint_of(data: bytes, path: str) -> bytes:
    """Return the signed checkpoint that a file is, or that a ``.tlog-proof`` holds."""
    if data.startswith(proof.INCLUSION_HEADER.encode()):
        return proof.parse_inclusion(data, path).checkpoint
    return data


def _prefixes(opened: Opened, history: bytes | None) -> tuple[Tree, ...]:
    if history is None:
        return ()
    proofs = proof.parse_consistency(history, "consistency")
    return proof.check_consistency(proofs, opened.checkpoint, path="consistency")


def _file(origin: str) -> str:
    return f"{hashlib.sha256(origin.encode()).hexdigest()}.json"


def _read(place: Path, origin: str) -> tuple[KnownLog, ...]:
    """Return what the witness keeps of a log; a file that is unreadable or another log's is never a first use."""
    if not place.exists():
        return ()
    try:
        log = canonical.decode_record(read_file(place, limit=MAX_STATE), KnownLog)
    except StellaError as fault:
        fault.details["path"] = place.name
        raise
    if log.origin != origin:
        raise MalformedDocument(
            path=place.name, detail="is of another log", expected=shown(origin), found=shown(log.origin)
        ).then("Nothing was signed. Find out who changed the witness's directory, and bring back its newest copy.")
    return (log,)
