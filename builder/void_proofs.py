"""Which evidence beside a record becomes void when its envelope changes, and removing it (docs/format.md 4.9, 10).

A proof of our own log binds the envelope's bytes. A time stamp and an entry of Rekor are about signatures, so they
become void with those that are dropped. What fits no signature now is not made void by the change, and stays.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import files
from kit import layout
from kit.errors import StellaError
from kit.ledger import evidence, rekor, rekor_body
from kit.ledger.entry import Logged
from kit.trust import dsse
from kit.trust.dsse import Opened, Verified
from kit.trust.evidence import MAX_STAMP, STAMP_SUFFIX
from verifier.medium import read_file


@dataclass(frozen=True, slots=True)
class Change:
    """An envelope as it is, and those of its signatures, each with its key id, that the changed one keeps."""

    envelope: bytes
    opened: Opened
    kept: Sequence[tuple[str, bytes]]


def find(record: Path, change: Change) -> list[str]:
    """Return the files that a change makes void, by their paths in the record: each after what belongs to it."""
    place = record / layout.EVIDENCE_DIRECTORY
    found = [*_own_log(place), *_stamps(place, change), *_entries(place, change)]
    return [f"{place.name}/{name}" for name in dict.fromkeys(found) if (place / name).is_file()]


def remove(record: Path, proofs: Sequence[str]) -> None:
    """Remove proofs before the envelope changes: one without proof can be attested, a proof of another is refused."""
    for name in proofs:
        files.remove(record / name)
    if proofs:
        files.sync_tree(record / layout.EVIDENCE_DIRECTORY, recurse=False)


def _own_log(place: Path) -> Iterator[str]:
    for path in sorted(place.glob(f"*{evidence.INCLUSION_SUFFIX}")):
        yield from _with_consistency(path.name, evidence.INCLUSION_SUFFIX)


def _stamps(place: Path, change: Change) -> Iterator[str]:
    paths = sorted(place.glob(f"*{STAMP_SUFFIX}"))
    if not paths:
        return
    # Few records have time stamps; only these pay for importing what reads them.
    from kit.trust import timestamp

    signatures = [(entry.signer, entry.value) for entry in change.opened.entries if entry.signer is not None]
    kept = {value for _, value in change.kept}
    for path in paths:
        try:
            subject = timestamp.subject(read_file(path, limit=MAX_STAMP), signatures, path=path.name)
        except StellaError:
            continue
        if subject not in kept:
            yield path.name


def _entries(place: Path, change: Change) -> Iterator[str]:
    """Yield entries of Rekor that fit the envelope as it is and not with the kept signatures alone."""
    bodies = [(path, evidence.REKOR_SUFFIX) for path in sorted(place.glob(f"*{evidence.REKOR_SUFFIX}"))]
    bodies += [(path, "") for path in (place / evidence.BODY_FILE,) if path.is_file()]
    if not bodies:
        return
    opened = change.opened
    before = _logged(change.envelope, opened, [entry.value for entry in opened.entries])
    after = dsse.seal(opened.payload, opened.payload_type, change.kept)
    kept = _logged(after, opened, [value for _, value in change.kept])
    for path, suffix in bodies:
        if not _is_about(path, before) or _is_about(path, kept):
            continue
        yield from _with_consistency(path.name, suffix) if suffix else _receipt(place)


def _is_about(path: Path, logged: Logged) -> bool:
    try:
        data = read_file(path, limit=evidence.limit_of(path.name) or 0)
        body = data if path.name == evidence.BODY_FILE else rekor.body_of(data, path.name)
        rekor_body.check(body, rekor_body.kind_of(body, path.name), logged, path=path.name)
    except StellaError:
        return False
    return True


def _logged(envelope: bytes, opened: Opened, values: Collection[bytes]) -> Logged:
    signers = {entry.signer for entry in opened.entries if entry.signer is not None and entry.value in values}
    ordered = tuple(sorted(signers, key=lambda key: key.fingerprint))
    return Logged(envelope, Verified(opened.payload, opened.payload_type, ordered))


def _receipt(place: Path) -> Iterator[str]:
    """Yield upstream's receipt, after the checkpoint that it may name, and its body last: by that it is known."""
    try:
        data = read_file(place / evidence.RECEIPT_FILE, limit=rekor.MAX_BYTES)
        named = rekor.receipt_names(data, evidence.RECEIPT_FILE)
    except StellaError:
        named = None
    if named is not None and named.endswith(evidence.NOTE_SUFFIX) and Path(named).name == named:
        yield named
    yield from (evidence.RECEIPT_FILE, evidence.BODY_FILE)


def _with_consistency(name: str, suffix: str) -> tuple[str, str]:
    return name.removesuffix(suffix) + evidence.CONSISTENCY_SUFFIX, name
