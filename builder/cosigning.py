"""Collecting the cosignatures of witnesses, by C2SP tlog-witness or from files (docs/format.md section 10.7).

A witness is believed by its key in the RootPack: lines of other keys are left out, one of its own that does not fit is
refused.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from builder import files
from builder.tile_log import TileLog
from builder.web import Client, shown
from kit import layout
from kit.errors import EvidenceMissing, LedgerRefused, StellaError, UsageError
from kit.ledger import checkpoint, evidence, note, proof
from kit.ledger.checkpoint import MAX_SIZE
from kit.ledger.note import NoteKey, SignatureLine
from kit.trust.rootpack import TrustedPack
from verifier import ledger
from verifier.medium import read_file

KIND = "text/plain; charset=utf-8"
MAX_LINES = 16 << 10
_ATTEMPTS = 4
"""How often a witness may say that it knows another size: once by rule, more while others ask it too."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness on the network, by the name that the RootPack has for its keys."""

    name: str
    keys: tuple[NoteKey, ...]
    client: Client


def witness(pack: TrustedPack, name: str, client: Client, *, now: str) -> Witness:
    """Return the witness of a name; :class:`UsageError` where the RootPack has no such key that counts."""
    known = ledger.trust_of(pack, now).witnesses
    keys = tuple(key for key in known if key.name == name)
    if not keys:
        names = ", ".join(sorted({key.name for key in known})) or "no witness"
        raise UsageError(
            option="--witness", detail="the RootPack has no key of such a witness", expected=names, found=name
        ).then("Trust it first: stella rootpack add-key FILE.pub.pem --usage witness --owner NAME")
    return Witness(name, keys, client)


def collect(log: TileLog, witnesses: Iterable[Witness]) -> list[StellaError]:
    """Have the log's checkpoint cosigned, and kept with what was given; return why some witnesses gave nothing."""
    refused: list[StellaError] = []
    for one in witnesses:
        try:
            lines = _ask(one, log)
            signed, found = checkpoint.with_cosignatures(log.signed, lines, one.keys, path=one.client.prefix)
            if not found:
                raise LedgerRefused(path=one.client.prefix, detail="the answer has no line of the witness's key")
        except StellaError as fault:
            fault.details.setdefault("witness", one.name)
            refused.append(fault)
        else:
            log.keep(signed)
    return refused


def _ask(one: Witness, log: TileLog) -> tuple[SignatureLine, ...]:
    """Submit the log's checkpoint with the proof that the witness needs; it says what it has seen before."""
    client, size, old = one.client, log.checkpoint.size, 0
    for _ in range(_ATTEMPTS):
        answer = client.post("/add-checkpoint", request(log, old), kind=KIND, limit=MAX_LINES)
        if answer.status == 200:
            return note.parse_signatures(answer.body, client.prefix)
        seen = note.read_number(answer.body.removesuffix(b"\n").decode(errors="replace") or "-", MAX_SIZE)
        if answer.status != 409 or seen is None or seen == old:
            raise LedgerRefused(path=client.prefix, status=answer.status, found=shown(answer.body))
        if seen > size:
            raise LedgerRefused(
                path=client.prefix, detail="the witness has seen a larger tree of this log", expected=size, found=seen
            ).then("Bring back the log's newest copy; never append to an older one: sites would see a fork.")
        old = seen
    raise LedgerRefused(path=client.prefix, detail="the witness knows another size each time")


def request(log: TileLog, old: int) -> bytes:
    """Return what ``add-checkpoint`` takes: the size before, the proof that the log only grew, the checkpoint."""
    hashes = [base64.b64encode(each).decode() for each in log.tree.consistency(old)]
    return "".join(f"{line}\n" for line in (f"old {old}", *hashes, "")).encode() + log.signed


def add(records: Sequence[Path], cosignatures: Sequence[Path], pack: TrustedPack, *, now: str) -> list[str]:
    """Put cosignatures from files into the own log's proofs beside records; return the changed files.

    Each file of cosignatures must have a line that fits a checkpoint there: :class:`EvidenceMissing` otherwise.
    """
    witnesses = ledger.trust_of(pack, now).witnesses
    changed: dict[Path, bytes] = {}
    for source in cosignatures:
        lines = note.parse_signatures(read_file(source, limit=MAX_LINES), source.name)
        used = False
        for place in _proofs(records):
            read = proof.parse_inclusion(changed.get(place) or _read(place), place.name)
            signed = _fitting(read.checkpoint, lines, witnesses)
            if signed is not None:
                used = True
                changed[place] = proof.encode_inclusion(replace(read, checkpoint=signed))
        if not used:
            detail = "no line is a trusted witness's cosignature of a checkpoint beside these records"
            raise EvidenceMissing(path=source.name, detail=detail).then(
                "Have the witness cosign the checkpoint of the record's own .tlog-proof."
            )
    for place, data in sorted(changed.items()):
        files.write_atomic(place, data)
    return [f"{place.parents[1].name}/{layout.EVIDENCE_DIRECTORY}/{place.name}" for place in sorted(changed)]


def _fitting(signed: bytes, lines: Iterable[SignatureLine], witnesses: Sequence[NoteKey]) -> bytes | None:
    """Return a checkpoint with those lines that are cosignatures of it; None where none is."""
    found = None
    for line in lines:
        try:
            cosigned, keys = checkpoint.with_cosignatures(found or signed, [line], witnesses, path=line.name)
        except StellaError:
            continue  # of another tree of the same log, such as that of another record
        found = cosigned if keys else found
    return found


def _proofs(records: Iterable[Path]) -> list[Path]:
    pattern = f"*{evidence.INCLUSION_SUFFIX}"
    return [place for record in records for place in sorted((record / layout.EVIDENCE_DIRECTORY).glob(pattern))]


def _read(place: Path) -> bytes:
    return read_file(place, limit=proof.MAX_INCLUSION)
