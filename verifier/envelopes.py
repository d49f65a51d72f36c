"""Envelopes of records and kits, with what others vouch for about their signatures (docs/format.md 4.2, 4.6, 4.9).

One judgement for site, locker and builder: a signature is judged by the reference time, by the reader's journal, and by
evidence of when it existed, which is verified under the RootPack before it counts. The evidence carries its own
signatures, so it may be read before the files of a kit are hashed; nothing of it is used that does not hold.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from kit.errors import LimitExceeded, SignerRetired, SignerRevoked, StellaError
from kit.trust import dsse
from kit.trust.evidence import (
    MAX_STAMP,
    MAX_STAMPS,
    PROMISE,
    STAMP_SUFFIX,
    WITNESS,
    Evidence,
    Existence,
    Position,
)
from kit.trust.rootpack import TrustedPack
from verifier import ledger
from verifier.medium import Medium

if TYPE_CHECKING:
    from kit.ledger.evidence import Finding

USAGE = "kit"
_NO_AUTHORITY = "time stamps are carried, not judged: the RootPack trusts no time-stamping authority"


class Beside(msgspec.Struct, frozen=True):
    """What lies beside an envelope: its time stamps by name, and what reads the files of ledger evidence if needed."""

    stamps: Mapping[str, bytes]
    proofs: Callable[[], Mapping[str, bytes]]


class Moments(msgspec.Struct, frozen=True):
    """What a signature is judged by: reference time and time taken in, and how far ahead evidence may lie."""

    at: str
    taken_in: str | None = None
    skew: timedelta = ledger.CLOCK_SKEW

    @property
    def latest(self) -> str:
        """Return the latest time that counts; what is vouched for later comes from a wrong clock, here or there."""
        return _text(datetime.fromisoformat(self.at) + self.skew)


class Judged(msgspec.Struct, frozen=True):
    """An envelope that enough keys signed that count; ``times`` are proven, ``notes`` are sentences for the result."""

    envelope: bytes
    verified: dsse.Verified
    times: tuple[Existence, ...]
    notes: tuple[str, ...]


def beside(medium: Medium, directory: str) -> Beside:
    """Return what lies in an evidence directory of a medium; raises :class:`LimitExceeded`."""
    return Beside(read_stamps(medium, directory), lambda: ledger.read(medium, directory))


def read_stamps(medium: Medium, directory: str) -> dict[str, bytes]:
    """Return the time stamps in a directory of a medium by name; raises :class:`LimitExceeded`."""
    below = {name: path for name, path in medium.below(f"{directory}/").items() if is_stamp(name)}
    if len(below) > MAX_STAMPS:
        raise LimitExceeded(path=directory, detail="time stamps", expected=MAX_STAMPS, found=len(below))
    return {name: medium.read(path, limit=MAX_STAMP) for name, path in sorted(below.items())}


def is_stamp(name: str) -> bool:
    """Tell whether a file of an evidence directory is a time stamp."""
    return name.endswith(STAMP_SUFFIX) and "/" not in name


def verify(envelope: bytes, pack: TrustedPack, moments: Moments, files: Beside, *, name: str) -> Judged:
    """Return what enough keys of usage kit signed that count at the reference time, or by what is proven.

    Raises what :meth:`TrustedPack.verify` raises, and what :func:`kit.trust.timestamp.verify` raises for a time stamp
    that does not hold. Ledger evidence is only asked where a signer would be refused without it; where that does not
    hold, the refusal stays and says so.
    """
    stamps, notes = _stamped(envelope, pack, files.stamps, name)
    ahead = [one for one in stamps if one.time > moments.latest]
    notes += [f"{one}, which lies ahead of {moments.at} and does not count." for one in ahead]
    proven = Evidence(times=tuple(one for one in stamps if one not in ahead))
    try:
        verified = _verify(envelope, pack, moments, proven, name)
    except (SignerRetired, SignerRevoked) as refused:
        proven = proven.with_more(_logged(envelope, pack, moments, files, refused, name))
        verified = _verify(envelope, pack, moments, proven, name)
    remarks = pack.standing(USAGE, at=moments.at, taken_in=moments.taken_in, proven=proven).remarks
    for key in verified.signers:
        if key.fingerprint in remarks:
            notes.append(f"{name}: the signer's key {key.fingerprint} is {remarks[key.fingerprint]}.")
    return Judged(envelope, verified, proven.times, tuple(notes))


def of_findings(findings: "Iterable[Finding]", latest: str) -> Evidence:
    """Return what proofs of logs say of signatures: the times of promises and witnesses, and places in the log."""
    times: list[Existence] = []
    positions: list[Position] = []
    last = int(datetime.fromisoformat(latest).timestamp())
    for finding in findings:
        origin, log = finding.opened.checkpoint.origin, finding.opened.log
        told = [(PROMISE, log, finding.time)] if finding.time is not None else []
        told += [(WITNESS, one.witness, one.time) for one in finding.opened.cosignatures]
        for signer in finding.signers:
            positions.append(Position(signer.fingerprint, origin, finding.index, finding.file))
            for source, key, seconds in told:
                if seconds <= last:
                    time = _text(datetime.fromtimestamp(seconds, UTC))
                    by = key.public.fingerprint
                    times.append(Existence(signer.fingerprint, time, time, source, by, key.name, finding.file))
    return Evidence(tuple(times), tuple(positions))


def described(times: Sequence[Existence]) -> list[dict[str, str]]:
    """Return proven times as a result reports them."""
    return [
        {"file": one.file, "source": one.source, "by": one.by, "name": one.name, "signer": one.signer, "time": one.time}
        for one in times
    ]


def _verify(envelope: bytes, pack: TrustedPack, moments: Moments, proven: Evidence, name: str) -> dsse.Verified:
    return pack.verify(
        envelope,
        usage=USAGE,
        at=moments.at,
        payload_types=(dsse.IN_TOTO,),
        name=name,
        taken_in=moments.taken_in,
        proven=proven,
    )


def _stamped(
    envelope: bytes, pack: TrustedPack, stamps: Mapping[str, bytes], name: str
) -> tuple[list[Existence], list[str]]:
    """Return the times of an envelope's stamps, each of which holds, and what is to be said of stamps not judged."""
    if not stamps:
        return [], []
    if not pack.authorities:
        return [], [f"{name}: {_NO_AUTHORITY}."]
    # Few kits have time stamps; only these pay for importing what judges them.
    from kit.trust import timestamp

    _, signatures = dsse.signatures(envelope, pack.keys(USAGE, None), name=name)
    found = [timestamp.verify(data, signatures, pack.authorities, path=file) for file, data in sorted(stamps.items())]
    return found, []


def _logged(
    envelope: bytes, pack: TrustedPack, moments: Moments, files: Beside, refused: StellaError, name: str
) -> Evidence:
    """Return what logs prove of the signatures of an envelope; the refusal is raised where they prove nothing."""
    proofs = files.proofs()
    if not proofs or ledger.why_not(proofs, pack) is not None:
        raise refused
    signed, _ = dsse.signatures(envelope, pack.keys(USAGE, None), name=name)
    try:
        findings = ledger.check(
            proofs,
            ledger.logged(envelope, signed),
            pack,
            at=moments.at,
            demanded=None,
            taken_in=moments.taken_in,
        )
    except StellaError as fault:
        refused.details["evidence"] = f"{fault.reason}: {fault}"[:240]
        raise refused from fault
    return of_findings(findings, moments.latest)


NONE_BESIDE = Beside({}, dict)
"""What lies beside an envelope that has no evidence."""


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
