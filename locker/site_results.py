"""What a file of site results must be before any of it counts (docs/locker.md, "Results of sites").

The envelope is signed by the site that it names, every member of the bundle belongs to a listed run, and each run
stands on its own: result, receipt and journal fit their signatures, the list and one another.
"""

from datetime import datetime

from kit import journal, layout, syncfile
from kit import result as results
from kit.bytes import canonical, digest
from kit.errors import (
    DigestMismatch,
    EvidenceMissing,
    FileUndeclared,
    LimitExceeded,
    MalformedDocument,
    SignerUnknown,
    UnsupportedVersion,
)
from kit.manifest import check_scan_id, check_time
from kit.result import Result
from kit.syncfile import RunEntry, SiteResults
from kit.trust import dsse, statement
from kit.trust.keys import PublicKey
from kit.trust.rootpack import TrustedPack
from verifier.evidence import (
    DIFFERENCE_FILE,
    RECEIPT_ENVELOPE,
    RECEIPT_FILE,
    RECORD_FILE,
    RESULT_ENVELOPE,
    RESULT_FILE,
    UNKNOWN_SCAN,
    summary,
)
from verifier.run_dir import JOURNAL_FILE, stamp

MAX_CONTENT = 1 << 30
MAX_RUNS = 1000
MAX_MEMBER = results.MAX_BYTES
MAX_WORD = 64

_REQUIRED = (JOURNAL_FILE, RECEIPT_ENVELOPE, RECEIPT_FILE, RESULT_ENVELOPE, RESULT_FILE)
_OPTIONAL = (DIFFERENCE_FILE, RECORD_FILE)


def verify_envelope(envelope: bytes, pack: TrustedPack, now: datetime) -> tuple[SiteResults, PublicKey]:
    """Return what the file says of itself, and the key of the one site that says it.

    Keys are judged at ``now``: when a file was made, only its own signer says. Raises :class:`SignerRetired` for a key
    outside of its window and :class:`SignerRevoked` for a compromised one, apart from :class:`SignerUnknown`.
    """
    keys = pack.standing("site", at=stamp(now))
    described, signers = syncfile.verify(
        envelope, keys.current, threshold=pack.threshold("site"), retired=keys.retired, compromised=keys.compromised
    )
    site = next((key for key in signers if key.fingerprint == described.site), None)
    if site is None:
        raise SignerUnknown(path="site results", found=described.site)
    if len(described.runs) > MAX_RUNS:
        raise LimitExceeded(pointer="/runs", expected=MAX_RUNS, found=len(described.runs))
    if described.bundle.content_size > MAX_CONTENT:
        raise LimitExceeded(pointer="/bundle", expected=MAX_CONTENT, found=described.bundle.content_size)
    return described, site


def members_by_run(described: SiteResults) -> dict[str, frozenset[str]]:
    """Return the files of each listed run; every member must belong to one, and be one that travels."""
    found: dict[str, set[str]] = {}
    for entry in described.runs:
        _check_place(entry.path)
        if entry.path in found:
            raise MalformedDocument(pointer="/runs", detail="a run is listed twice", path=entry.path)
        found[entry.path] = set()
    for member in described.bundle.members:
        place, _, name = member.path.rpartition("/")
        if place not in found or name not in _REQUIRED + _OPTIONAL:
            raise FileUndeclared(path=member.path)
        if member.size > MAX_MEMBER:
            raise LimitExceeded(path=member.path, expected=MAX_MEMBER, found=member.size)
        found[place].add(name)
    return {place: frozenset(names) for place, names in found.items()}


def _check_place(path: str) -> None:
    top, _, rest = path.partition("/")
    scan, _, run = rest.partition("/")
    if scan != UNKNOWN_SCAN:
        check_scan_id(scan)
    if top != "runs" or not run or "/" in run:
        raise MalformedDocument(pointer="/runs", expected="runs/<scan-id>/<run-id>", found=path[:120])


def verify_run(entry: RunEntry, files: dict[str, bytes], site: PublicKey) -> Result:
    """Hold a run's files against the site's signatures, the list's entry and one another; return its result."""
    for name in _REQUIRED:
        if name not in files:
            raise EvidenceMissing(path=f"{entry.path}/{name}")
    result = results.parse_result(files[RESULT_FILE])
    found = digest.of_bytes(files[RESULT_FILE])
    named = {RESULT_FILE: found}
    if result.manifest_digest:
        named[layout.MANIFEST_FILE] = digest.check(result.manifest_digest)
    if RECORD_FILE in files:
        named[RECORD_FILE] = digest.of_bytes(files[RECORD_FILE])
    said = _signed(files, RESULT_ENVELOPE, results.RESULT_TYPE, named, site)
    if dict(said.predicate) != summary(result):
        raise MalformedDocument(path=RESULT_ENVELOPE, pointer="/predicate", detail="is not about this result")
    placed = entry.path.endswith(f"/{result.run_id}")
    if entry != _entry(entry.path, result, found) or result.site != site.fingerprint or not placed:
        raise MalformedDocument(path=entry.path, detail="the list of runs and the result contradict one another")
    check_time(result.finished_at, "/finishedAt")
    _check_words(entry)
    _check_receipt(files, result, found, site)
    _check_journal(files[JOURNAL_FILE], result)
    return result


def _check_words(entry: RunEntry) -> None:
    for pointer, word in (("/runId", entry.run_id), ("/mode", entry.mode), ("/reason", entry.reason)):
        if not word or len(word) > MAX_WORD:
            raise MalformedDocument(pointer=pointer, expected=f"1 to {MAX_WORD} characters", found=len(word))


def _entry(path: str, result: Result, result_digest: str) -> RunEntry:
    """Return the list's entry as this result makes it."""
    return RunEntry(
        path=path,
        scan_id=check_scan_id(result.scan.id) if result.scan else "",
        run_id=result.run_id,
        mode=result.mode,
        verdict=result.verdict,
        reason=result.reason,
        manifest_digest=result.manifest_digest or "",
        result_digest=result_digest,
    )


def _check_receipt(files: dict[str, bytes], result: Result, result_digest: str, site: PublicKey) -> None:
    slip = files[RECEIPT_FILE]
    receipt = results.parse_receipt(slip)
    said = _signed(files, RECEIPT_ENVELOPE, results.RECEIPT_TYPE, {RECEIPT_FILE: digest.of_bytes(slip)}, site)
    if canonical.encode(dict(said.predicate)) != slip:
        raise MalformedDocument(path=RECEIPT_ENVELOPE, pointer="/predicate", detail="is not this receipt")
    told = (receipt.result_digest, receipt.run_id, receipt.verdict, receipt.site)
    if told != (result_digest, result.run_id, result.verdict, site.fingerprint):
        raise MalformedDocument(path=RECEIPT_FILE, detail="the receipt is not about this result")


def _check_journal(data: bytes, result: Result) -> None:
    """Check that the chain holds, that the run came to its end, and that the line which the result names is there."""
    if not data.endswith(b"\n"):
        raise MalformedDocument(path=JOURNAL_FILE, detail="the last line is torn")
    lines = data[:-1].split(b"\n")
    if not journal.finished(journal.read(lines)):
        raise EvidenceMissing(path=JOURNAL_FILE, detail="the run was cut off")
    if result.journal_digest not in {digest.of_bytes(line) for line in lines}:
        raise DigestMismatch(path=JOURNAL_FILE, expected=result.journal_digest or "none", found="no such line")


def _signed(
    files: dict[str, bytes], name: str, predicate_type: str, subjects: dict[str, str], site: PublicKey
) -> statement.Statement:
    """Return the statement that the site signed over exactly these subjects."""
    verified = dsse.verify(files[name], [site], threshold=1, payload_types=(dsse.IN_TOTO,), name=name)
    said = statement.parse(verified.payload)
    if said.predicate_type != predicate_type:
        raise UnsupportedVersion(path=name, expected=predicate_type, found=said.predicate_type[:120])
    for subject, expected in subjects.items():
        if (found := said.subjects.get(subject, "not named")) != expected:
            raise DigestMismatch(path=subject, expected=found, found=expected)
    if set(said.subjects) != set(subjects):
        raise MalformedDocument(path=name, pointer="/subject", detail="names what the run does not hold")
    return said
