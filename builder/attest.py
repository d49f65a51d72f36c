"""Attesting records: their envelopes become entries of a log, and the proof is put beside each record.

The files are those of docs/format.md section 10; ``stella kit build`` carries them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from builder import cosigning, files, rekor, signing, tile_log
from builder.cosigning import Witness
from builder.rekor import Submitted
from builder.tile_log import TileLog
from builder.web import Client
from kit import layout
from kit import manifest as manifests
from kit.bytes import digest, merkle
from kit.errors import LedgerRefused, LedgerRolledBack, SignerUnfit, UsageError
from kit.ledger import checkpoint, entry, evidence, note, proof
from kit.ledger.checkpoint import Trust
from kit.ledger.entry import Logged
from kit.ledger.proof import ConsistencyProofs, InclusionProof, Tree
from kit.trust import dsse
from kit.trust.keys import Signer
from kit.trust.rootpack import TrustedPack
from verifier import ledger
from verifier.medium import read_file

RECENT_TREES = 512
"""How many of the log's last sizes the kit can connect a site's memory with, unless more are asked for."""
USAGE = "log"


@dataclass(frozen=True, slots=True)
class Attested:
    """What the log says of a record: the entry's index in the tree of ``size``; ``files`` are beside the record.

    ``witnesses`` have cosigned that tree.
    """

    record: str
    origin: str
    index: int
    size: int
    root: str
    files: tuple[str, ...]
    witnesses: tuple[str, ...] = ()


def attest(
    records: Sequence[Path],
    pack: TrustedPack,
    log: Path,
    signer: Signer,
    *,
    now: str,
    since: Sequence[int] = (),
    witnesses: Sequence[Witness] = (),
) -> list[Attested]:
    """Put the envelopes of recorded scans into a log and the proofs beside the records; idempotent.

    All records get a proof in the same tree, those that the log has already a fresh one. ``since`` are sizes of earlier
    trees that sites remember, beside the last :data:`RECENT_TREES`. ``witnesses`` are asked to cosign the tree; where
    that leaves fewer than the RootPack asks for, the first one's refusal is raised once everything is written. Raises
    :class:`SignerUnfit` for a log key that the RootPack does not trust, and for a record that a site would refuse;
    :class:`LedgerRolledBack` when a record has a proof in a larger tree than the log's; what
    :func:`builder.tile_log.opened` raises; :class:`UsageError`.
    """
    name = _name(pack, signer, now)
    logged = [_logged(record, pack, now) for record in records]
    with tile_log.opened(log, name, signer) as opened:
        for record in records:
            _check_not_older(record, opened)
        indices = opened.append([entry.make(one) for one in logged])
        if bad := [size for size in since if not 0 < size <= opened.checkpoint.size]:
            raise UsageError(
                option="--from", found=bad[0], expected=f"1 to {opened.checkpoint.size}, a size of the log"
            )
        trust = replace(ledger.trust_of(pack, now), logs=(opened.key,), quorum=0)
        _bring_back(opened, records, trust)
        refused = cosigning.collect(opened, witnesses)
        history = _history(opened, since)
        done = [
            _put(record, one, index, opened, history, trust)
            for record, one, index in zip(records, logged, indices, strict=True)
        ]
    if refused and len(set(done[0].witnesses)) < ledger.trust_of(pack, now).quorum:
        raise refused[0]
    return done


def attest_at(
    records: Sequence[Path],
    pack: TrustedPack,
    client: Client,
    version: int,
    *,
    now: str,
    trust: Trust | None = None,
    receipt: bool = False,
) -> list[Attested]:
    """Put the envelopes of recorded scans into a Rekor log and its proofs beside the records; idempotent.

    Nothing is written beside a record unless all that the log answered for it holds, under the RootPack's keys of usage
    log or those of ``trust``. ``receipt`` adds upstream's form of the same proof. Raises what :func:`_logged`,
    :func:`builder.rekor.submit` and :func:`kit.ledger.evidence.verify` raise.
    """
    judged = replace(trust or ledger.trust_of(pack, now), quorum=0)
    logged = [_logged(record, pack, now) for record in records]
    for one in logged:
        rekor.check_signers(one, version)
    return [
        _submitted(record, one, rekor.submit(client, one, version, judged), judged, receipt=receipt)
        for record, one in zip(records, logged, strict=True)
    ]


def _submitted(record: Path, logged: Logged, entries: Sequence[Submitted], trust: Trust, *, receipt: bool) -> Attested:
    """Judge what a log answered for a record, then write it."""
    findings: list[evidence.Finding] = []
    found: dict[str, bytes] = {}
    for one in entries:
        (finding,) = evidence.verify({f"answer{evidence.REKOR_SUFFIX}": one.document}, logged, trust)
        expected = (one.signer,) if one.signer is not None else logged.verified.signers
        if missing := {key.fingerprint for key in expected} - {key.fingerprint for key in finding.signers}:
            raise LedgerRefused(path=record.name, detail="the log's entry lacks a signer", expected=min(missing))
        name = stem(finding.opened.checkpoint.origin, "rekor")
        suffix = f"-{digest.hex_of(one.signer.fingerprint)[:8]}" if one.signer is not None else ""
        found[f"{name}{suffix}{evidence.REKOR_SUFFIX}"] = one.document
        findings.append(finding)
    if receipt:
        if len(entries) != 1:
            raise UsageError(option="--receipt", detail="a receipt is of one entry; this record has one a signer")
        found |= {evidence.RECEIPT_FILE: rekor.receipt(entries[0]), evidence.BODY_FILE: entries[0].body}
        evidence.verify(found, logged, trust)
    place = record / layout.EVIDENCE_DIRECTORY
    files.make_directory(place)
    for name, data in sorted(found.items()):
        files.write_atomic(place / name, data)
    opened = findings[0].opened
    return Attested(
        record=record.name,
        origin=opened.checkpoint.origin,
        index=findings[0].index,
        size=opened.checkpoint.size,
        root=opened.checkpoint.root.hex(),
        files=tuple(f"{layout.EVIDENCE_DIRECTORY}/{name}" for name in sorted(found)),
        witnesses=tuple(each.witness.name for each in opened.cosignatures),
    )


def stem(origin: str, kind: str = "log") -> str:
    """Return the name that a log's files have beside a record, without their endings.

    It is so long that no log can choose an origin whose files would take the place of another's.
    """
    return f"{kind}-{hashlib.sha256(origin.encode()).hexdigest()[:32]}"


def _name(pack: TrustedPack, signer: Signer, now: str) -> str:
    """Return the name of a log key: its owner in the RootPack."""
    if signer.public not in pack.keys(USAGE, now):
        raise SignerUnfit(
            path="--log-key", found=signer.public.fingerprint, detail=f"no key of usage {USAGE} that is valid at {now}"
        ).then("Trust it first: stella rootpack add-key FILE.pub.pem --usage log --owner NAME")
    return pack.owner(signer.public)


def _logged(record: Path, pack: TrustedPack, now: str) -> Logged:
    path = f"{record.name}/{layout.MANIFEST_ENVELOPE}"
    for name in (layout.MANIFEST_FILE, layout.MANIFEST_ENVELOPE):
        if not (record / name).is_file():
            raise UsageError(path=str(record), expected="a recorded scan's directory", detail=f"{name} is missing")
    data = read_file(record / layout.MANIFEST_ENVELOPE, limit=dsse.MAX_BYTES)
    signed = signing.check_envelope(pack, data, [now], name=path)
    raw = read_file(record / layout.MANIFEST_FILE, limit=manifests.MAX_BYTES)
    manifests.check_statement(signed.payload, raw, signed_profiles=pack.profiles(signed.signers))
    return Logged(data, signed)


def _own_proof(record: Path, opened: TileLog) -> tuple[str, bytes | None]:
    """Return the name of a record's proof in a log, and the checkpoint in it where there is one."""
    place = record / layout.EVIDENCE_DIRECTORY / (stem(opened.key.name) + evidence.INCLUSION_SUFFIX)
    if not place.is_file():
        return place.name, None
    return place.name, proof.parse_inclusion(read_file(place, limit=proof.MAX_INCLUSION), place.name).checkpoint


def _bring_back(opened: TileLog, records: Sequence[Path], trust: Trust) -> None:
    """Keep the cosignatures of the log's present checkpoint that records got by files."""
    for record in records:
        name, signed = _own_proof(record, opened)
        if signed is not None and checkpoint.open_signed(signed, trust, path=name).checkpoint == opened.checkpoint:
            lines = note.parse(signed, name).signatures
            opened.keep(checkpoint.with_cosignatures(opened.signed, lines, trust.witnesses, path=name)[0])


def _check_not_older(record: Path, opened: TileLog) -> None:
    """Refuse a log that was set back: a record's own proof knows a larger tree of it, or another of the same size."""
    name, signed = _own_proof(record, opened)
    if signed is None:
        return
    before = checkpoint.open_signed(signed, checkpoint.Trust((opened.key,)), path=name).checkpoint
    if before.size > opened.checkpoint.size or opened.tree.root(before.size) != before.root:
        raise LedgerRolledBack(
            path=name, origin=opened.key.name, expected=before.size, found=opened.checkpoint.size
        ).then("Bring back the log's newest copy; never append to an older one: sites would see a fork.")


def _history(opened: TileLog, since: Sequence[int]) -> bytes:
    """Return the proofs that the log's recent trees, and those of the sizes ``since``, are prefixes of its tree."""
    tree, current = opened.tree, opened.checkpoint
    recent = range(max(1, current.size - RECENT_TREES), current.size)
    sizes = sorted({*recent, *(size for size in since if size < current.size)})
    proofs = tuple((Tree(size, tree.root(size)), tuple(tree.consistency(size))) for size in sizes)
    history = ConsistencyProofs(current.origin, current.size, proofs)
    proof.check_consistency(history, current, path=opened.key.name)
    return proof.encode_consistency(history)


def _put(record: Path, logged: Logged, index: int, opened: TileLog, history: bytes, trust: Trust) -> Attested:
    current = opened.checkpoint
    leaf, hashes = entry.make(logged), tuple(opened.tree.inclusion(index))
    # What a damaged tile would spoil is found here, not at a site.
    proof.check_inclusion(merkle.leaf_hash(leaf), index, hashes, current, path=record.name)
    inclusion = InclusionProof(index, hashes, opened.signed, leaf)
    seen = checkpoint.open_signed(opened.signed, trust, path=record.name)
    place = record / layout.EVIDENCE_DIRECTORY
    files.make_directory(place)
    names = [stem(current.origin) + ending for ending in (evidence.CONSISTENCY_SUFFIX, evidence.INCLUSION_SUFFIX)]
    files.write_atomic(place / names[0], history)
    files.write_atomic(place / names[1], proof.encode_inclusion(inclusion))
    return Attested(
        record=record.name,
        origin=current.origin,
        index=index,
        size=current.size,
        root=current.root.hex(),
        files=tuple(f"{layout.EVIDENCE_DIRECTORY}/{name}" for name in names),
        witnesses=tuple(one.witness.name for one in seen.cosignatures),
    )
