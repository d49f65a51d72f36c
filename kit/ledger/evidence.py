"""All ledger evidence of one scan: its files, and what they prove together (docs/format.md section 10.1)."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kit.bytes import merkle
from kit.errors import EvidenceMissing, LedgerProofWrong, LimitExceeded
from kit.ledger import checkpoint, entry, memory, note, proof, rekor, rekor_body
from kit.ledger.checkpoint import Opened, Trust
from kit.ledger.entry import Logged
from kit.ledger.known import KnownLog
from kit.ledger.memory import Seen
from kit.ledger.proof import ConsistencyProofs, Tree
from kit.trust.keys import PublicKey

INCLUSION_SUFFIX = ".tlog-proof"
CONSISTENCY_SUFFIX = ".tlog-consistency"
REKOR_SUFFIX = ".rekor.json"
RECEIPT_FILE = "rekor-receipt.json"
BODY_FILE = "rekor-body.json"
NOTE_SUFFIX = ".checkpoint"

MAX_FILES = 64
MAX_BYTES = 8 << 20
_BY_SUFFIX = {
    INCLUSION_SUFFIX: proof.MAX_INCLUSION,
    CONSISTENCY_SUFFIX: proof.MAX_CONSISTENCY,
    REKOR_SUFFIX: rekor.MAX_BYTES,
    NOTE_SUFFIX: note.MAX_BYTES,
}
_BY_NAME = {RECEIPT_FILE: rekor.MAX_BYTES, BODY_FILE: rekor_body.MAX_BYTES}


class Finding(msgspec.Struct, frozen=True):
    """One proof that holds: ``file`` has it, ``kind`` is ``tlog-proof``, ``rekor-v1``, ``rekor-v2``, ``rekor-receipt``.

    ``signers`` are those whose signatures the log has. ``time`` (Unix seconds) is the log's signed promise's, where
    there is one.
    """

    file: str
    kind: str
    opened: Opened
    index: int
    signers: tuple[PublicKey, ...]
    time: int | None
    seen: Seen


def limit_of(name: str) -> int | None:
    """Return the largest size of a file of ledger evidence; None for a name that is none of ours."""
    by_suffix = (limit for ending, limit in _BY_SUFFIX.items() if name.endswith(ending))
    return _BY_NAME.get(name) or next(by_suffix, None)


def verify(files: Mapping[str, bytes], logged: Logged, trust: Trust) -> tuple[Finding, ...]:
    """Return every proof of the files, each of which holds, ascending by the size of its tree.

    ``files`` are all files of ledger evidence by name. Raises the error of the first that does not hold: what
    :func:`kit.ledger.checkpoint.open_signed` and :func:`kit.ledger.rekor.verify` raise, and :class:`LimitExceeded`.
    """
    size = sum(map(len, files.values()))
    if len(files) > MAX_FILES or size > MAX_BYTES:
        raise LimitExceeded(detail="ledger evidence", expected=f"{MAX_FILES} files, {MAX_BYTES} bytes")
    entries = [(name, _entry(name, files, logged, trust)) for name in sorted(files) if _is_proof(name)]
    if files and not entries:
        raise EvidenceMissing(detail="none of the files of ledger evidence is a proof", found=min(files))
    histories = {name: data for name, data in sorted(files.items()) if name.endswith(CONSISTENCY_SUFFIX)}
    history = {name: proof.parse_consistency(data, name) for name, data in histories.items()}
    _check_used(history, [one.opened for _, one in entries])
    findings = [_finding(name, one, history) for name, one in entries]
    return tuple(sorted(findings, key=lambda one: (one.opened.checkpoint.size, one.file)))


def hold_against(known: Sequence[KnownLog], findings: Iterable[Finding], *, now: str) -> list[str]:
    """Return how each finding stands to what a site remembers, and to the findings before it.

    Raises what :func:`kit.ledger.memory.check` raises.
    """
    standings: list[str] = []
    for finding in findings:
        standings.append(memory.check(known, finding.seen, path=finding.file))
        known = memory.remember(known, [finding.seen], now=now, path=finding.file)
    return standings


def _finding(name: str, one: rekor.Entry, history: Mapping[str, ConsistencyProofs]) -> Finding:
    seen = Seen(one.opened.checkpoint, _prefixes(one.opened, history))
    return Finding(name, one.kind, one.opened, one.index, one.signers, one.time, seen)


def _is_proof(name: str) -> bool:
    return name == RECEIPT_FILE or name.endswith((INCLUSION_SUFFIX, REKOR_SUFFIX))


def _entry(name: str, files: Mapping[str, bytes], logged: Logged, trust: Trust) -> rekor.Entry:
    if name.endswith(REKOR_SUFFIX):
        return rekor.verify(files[name], logged, trust, path=name)
    if name == RECEIPT_FILE:
        named = rekor.receipt_names(files[name], name)
        signed = None if named is None else _needed(files, named)
        return rekor.verify_receipt(files[name], _needed(files, BODY_FILE), signed, logged, trust, path=name)
    read = proof.parse_inclusion(files[name], name)
    leaf = entry.make(logged) if read.extra is None else read.extra
    entry.check(entry.parse(leaf, name), logged, path=name)
    opened = checkpoint.open_signed(read.checkpoint, trust, path=name)
    proof.check_inclusion(merkle.leaf_hash(leaf), read.index, read.hashes, opened.checkpoint, path=name)
    return rekor.Entry(INCLUSION_SUFFIX[1:], opened, read.index, logged.verified.signers)


def _needed(files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise EvidenceMissing(path=checkpoint.shown(name), detail=f"{RECEIPT_FILE} needs it")
    return files[name]


def _check_used(history: Mapping[str, ConsistencyProofs], opened: Iterable[Opened]) -> None:
    trees = {(one.checkpoint.origin, one.checkpoint.size) for one in opened}
    for name, proofs in history.items():
        if (proofs.origin, proofs.size) not in trees:
            raise LedgerProofWrong(
                path=name, detail="is about no checkpoint of this evidence", origin=checkpoint.shown(proofs.origin)
            )


def _prefixes(opened: Opened, history: Mapping[str, ConsistencyProofs]) -> tuple[Tree, ...]:
    """Return the trees that the files prove to be prefixes of a checkpoint's; each file about it must hold."""
    signed = opened.checkpoint
    trees: list[Tree] = []
    for name, proofs in history.items():
        if (proofs.origin, proofs.size) == (signed.origin, signed.size):
            trees += proof.check_consistency(proofs, signed, path=name)
    return tuple(trees)
