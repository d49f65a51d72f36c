"""Ledger evidence of a scan at a site: which logs and witnesses count, what is demanded, what is reported.

Pure checks are in kit.ledger; docs/format.md section 10.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kit import layout
from kit.errors import EvidenceMissing, LimitExceeded
from kit.trust.keys import PublicKey
from kit.trust.rootpack import TrustedPack
from verifier.medium import Medium
from verifier.site_time import DEFAULTS, SETTINGS_FILE, Settings

if TYPE_CHECKING:
    # Most kits have no ledger evidence; only one that has it pays for importing what judges it.
    from kit.ledger.checkpoint import Trust
    from kit.ledger.entry import Logged
    from kit.ledger.evidence import Finding
    from kit.ledger.known import KnownLog
    from kit.ledger.note import NoteKey
    from kit.trust.dsse import Verified

LOG, WITNESS = "log", "witness"
CLOCK_SKEW = timedelta(hours=24)
"""How far a cosignature may lie ahead of the reference time and still count."""


def read(medium: Medium, directory: str) -> dict[str, bytes]:
    """Return the files of ledger evidence below a directory of the medium by name; others there are not looked at.

    Raises :class:`LimitExceeded`.
    """
    below = medium.below(f"{directory}/")
    if not below:
        return {}
    from kit.ledger import evidence

    limits = {name: limit for name in below if "/" not in name and (limit := evidence.limit_of(name)) is not None}
    size = sum(medium.sizes[below[name]] for name in limits)
    if len(limits) > evidence.MAX_FILES or size > evidence.MAX_BYTES:
        raise LimitExceeded(path=directory, expected=f"{evidence.MAX_FILES} files, {evidence.MAX_BYTES} bytes")
    return {name: medium.read(below[name], limit=limit) for name, limit in limits.items()}


def why_not(proofs: Mapping[str, bytes], pack: TrustedPack) -> str | None:
    """Return why evidence that is not demanded is not judged; None where there is something to judge."""
    if not proofs:
        return "no ledger proof is demanded"
    if not any(key.usage == LOG for key in pack.trusted_keys):
        return "no ledger proof is demanded, and the RootPack trusts no log that the kit's could be held against"
    return None


def logged(envelope: bytes, verified: "Verified") -> "Logged":
    """Return an envelope as the entries of logs are held against it."""
    from kit.ledger.entry import Logged

    return Logged(envelope, verified)


def trust_of(pack: TrustedPack, at: str, taken_in: str | None = None) -> "Trust":
    """Return whose word counts: keys of usage log and witness, each named by its owner.

    ``at`` and ``taken_in`` are those of :meth:`TrustedPack.standing`.
    """
    from kit.ledger.checkpoint import Trust

    logs = pack.standing(LOG, at=at, taken_in=taken_in)
    early = {key.public for key in pack.trusted_keys if key.usage == LOG and at < key.valid_from}
    revoked = {entry.fingerprint for entry in pack.revoked if entry.since <= at}
    early -= {key for key in early if key.fingerprint in revoked}
    return Trust(
        logs=_named(pack, logs.current),
        witnesses=_named(pack, pack.standing(WITNESS, at=at, taken_in=taken_in).current),
        quorum=pack.threshold(WITNESS) if pack.keys(WITNESS, None) else 0,
        latest=int((datetime.fromisoformat(at) + CLOCK_SKEW).timestamp()),
        retired=_named(pack, (key for key in logs.retired if key not in early)),
        early=_named(pack, (key for key in logs.retired if key in early)),
        compromised=_named(pack, logs.compromised),
    )


def check(
    proofs: Mapping[str, bytes],
    logged: "Logged",
    pack: TrustedPack,
    *,
    at: str,
    demanded: str | None,
    taken_in: str | None = None,
) -> "tuple[Finding, ...]":
    """Return what the evidence proves; raises :class:`EvidenceMissing` where more is demanded, else as its checks do.

    Where ``demanded`` says by whom, there must be proofs by as many distinct logs as the keyring's threshold for usage
    log says. ``at`` and ``taken_in`` are those of :meth:`TrustedPack.standing`.
    """
    from kit.ledger import evidence

    findings = evidence.verify(proofs, logged, trust_of(pack, at, taken_in))
    needed = pack.threshold(LOG) if demanded else 0
    if (found := _distinct(finding.opened.log for finding in findings)) < needed:
        detail = f"proof that a trusted log has the envelope, demanded by {demanded}"
        raise EvidenceMissing(path=layout.EVIDENCE_DIRECTORY, detail=detail, expected=needed, found=found).then(
            "Ask the sender to attest the record (stella attest) and to build the kit again."
        )
    return findings


def demanded_by(pack: TrustedPack, *, asked: bool, settings: Settings = DEFAULTS) -> str | None:
    """Return who demands ledger evidence of a run: the RootPack, the site, or its operator now; None for nobody."""
    if LOG in pack.keyring.required:
        return "the RootPack"
    if settings.require_ledger:
        return f"{SETTINGS_FILE} of this site"
    return "--ledger" if asked else None


def _distinct(logs: "Iterable[NoteKey]") -> int:
    """Return how many logs these keys stand for: those of one host are of one operator, and count once."""
    return len({key.name.partition("/")[0].lower() for key in logs})


def remarks(findings: "Iterable[Finding]", pack: TrustedPack, *, at: str, taken_in: str | None) -> list[str]:
    """Return a sentence for each revoked key of a log or witness that was counted all the same."""
    standings = {usage: pack.standing(usage, at=at, taken_in=taken_in).remarks for usage in (LOG, WITNESS)}
    said: set[str] = set()
    for finding in findings:
        signed = [(LOG, finding.opened.log), *((WITNESS, one.witness) for one in finding.opened.cosignatures)]
        for usage, key in signed:
            name = key.public.fingerprint
            if name in standings[usage]:
                said.add(f"{finding.file}: the {usage}'s key {name} is {standings[usage][name]}.")
    return sorted(said)


def described(findings: "Sequence[Finding]", known: "Sequence[KnownLog]", *, at: str) -> list[dict[str, object]]:
    """Return the findings as a result reports them, each held against what the site remembers of its log.

    Raises what :func:`kit.ledger.memory.check` raises.
    """
    from kit.ledger import evidence

    standings = evidence.hold_against(known, findings, now=at)
    return [_described(finding, standing) for finding, standing in zip(findings, standings, strict=True)]


def _described(finding: "Finding", standing: str) -> dict[str, object]:
    checkpoint = finding.opened.checkpoint
    entry: dict[str, object] = {
        "file": finding.file,
        "kind": finding.kind,
        "log": checkpoint.origin,
        "key": finding.opened.log.public.fingerprint,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "index": finding.index,
        "memory": standing,
        "witnesses": [one.witness.name for one in finding.opened.cosignatures],
    }
    if finding.time is not None:
        entry["promisedAt"] = finding.time
    return entry


def _named(pack: TrustedPack, keys: Iterable[PublicKey]) -> "tuple[NoteKey, ...]":
    """Return keys under their owners' names; an owner with a space can sign nothing, for no note can name it."""
    from kit.ledger.note import NoteKey, is_name

    return tuple(NoteKey(owner, key) for key in keys if is_name(owner := pack.owner(key)))
