"""The runs of a site as an auditor may believe them: each held against its signatures, its journal, its receipt.

A run whose documents do not hold is listed with what it claims and why nobody should believe it; it is never counted
among those that do (docs/format.md section 7.5).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from kit import result as results
from kit.bytes import digest
from kit.errors import DigestMismatch, FileUndeclared, StellaError, UsageError
from kit.receipt_chain import Chain, Link, of_site
from kit.result import Receipt, Result
from kit.trust.keys import PublicKey
from verifier import evidence, site_time
from verifier.medium import read_file
from verifier.period import Period
from verifier.run_dir import JOURNAL_FILE, ends_finished

CHECKED = "checked"
"""Result and receipt have the site's signature, and the journal leads to them."""
UNCHECKED = "not checked"
"""There is no key to hold it against."""
REFUTED = "not believed"
"""Something of it is not what the site signed."""
CUT_OFF = "cut off"
"""It has no end, and counts for nothing."""
DEPTH = 3
"""How far below a given directory runs are looked for: ops, replay, scan."""


class AuditedRun(msgspec.Struct, frozen=True):
    """One run; ``why`` is why it is not believed. ``moment`` is the best that is known of when it was."""

    path: Path
    standing: str
    moment: datetime | None
    result: Result | None = None
    receipt: Receipt | None = None
    receipt_digest: str | None = None
    result_digest: str | None = None
    why: str | None = None
    exit_code: int = 0

    @property
    def name(self) -> str:
        """Return the run's place: scan and run."""
        return f"{self.path.parent.name}/{self.path.name}"


class AuditedRuns(msgspec.Struct, frozen=True):
    """The runs of a period in the order in which they were made, and the chain of all receipts that are there."""

    within: tuple[AuditedRun, ...]
    without: tuple[AuditedRun, ...]
    chain: Chain


def audit(places: Sequence[Path], key: PublicKey | None, period: Period) -> AuditedRuns:
    """Return the runs below some places, each checked as far as it can be.

    A run belongs to the period by the time that it was judged at, or by standing in the chain of receipts between two
    that do: a clock that was wrong takes nothing out. What has no time that can be read belongs to every period.
    """
    paths = dict.fromkeys(path.resolve() for place in places for path in _runs_below(place))
    runs = _each_once(_audited(path, key) for path in paths)
    chain = of_site(
        Link(run.receipt_digest, run.receipt.previous, run.receipt.finished_at)
        for run in runs
        if run.receipt is not None and run.receipt_digest is not None and run.standing != REFUTED
    )
    order = {link.digest: number for number, link in enumerate(chain.links)}
    inside = [order[run.receipt_digest] for run in runs if _is_inside(run, period) and run.receipt_digest in order]
    span = range(min(inside), max(inside) + 1) if inside else range(0)
    within = [
        run
        for run in runs
        if run.moment is None or _is_inside(run, period) or order.get(run.receipt_digest or "", -1) in span
    ]
    within.sort(key=lambda run: (order.get(run.receipt_digest or "", len(order)), run.path.name))
    listed = {run.path for run in within}
    return AuditedRuns(_in_time(within), tuple(run for run in runs if run.path not in listed), chain)


def _each_once(runs: Iterable[AuditedRun]) -> list[AuditedRun]:
    """Return runs without second copies of those that hold: evidence counts once, wherever it lies."""
    known: set[str] = set()
    found = []
    for run in runs:
        if run.standing in (CHECKED, UNCHECKED) and run.result_digest is not None:
            if run.result_digest in known:
                continue
            known.add(run.result_digest)
        found.append(run)
    return found


def _is_inside(run: AuditedRun, period: Period) -> bool:
    return run.moment is not None and period.holds(run.moment)


def _in_time(runs: list[AuditedRun]) -> tuple[AuditedRun, ...]:
    """Return runs with those that are in no chain put between the others by their names, which begin with a time."""
    chained = [run for run in runs if _is_chained(run)]
    for other in (run for run in runs if not _is_chained(run)):
        place = next((at for at, run in enumerate(chained) if run.path.name > other.path.name), len(chained))
        chained.insert(place, other)
    return tuple(chained)


def _is_chained(run: AuditedRun) -> bool:
    return run.standing in (CHECKED, UNCHECKED) and run.receipt_digest is not None


def _runs_below(place: Path) -> Iterator[Path]:
    """Yield the directories of runs below one: it may be a run, a scan's runs, or the place of all runs."""
    if not place.is_dir():
        raise UsageError(path=str(place), detail="there is no such directory").then(
            "Give the place of the runs: --ops DIR, or directories of runs."
        )
    for depth in range(DEPTH + 1):
        for path in sorted(place.glob("/".join("*" * depth))) if depth else [place]:
            if (path / JOURNAL_FILE).is_file():
                yield path


def _audited(path: Path, key: PublicKey | None) -> AuditedRun:
    named = _time_of_name(path.name)
    try:
        if not ends_finished(path / JOURNAL_FILE):
            return AuditedRun(path, CUT_OFF, named, why="it did not end, so it counts for nothing")
    except OSError as error:
        return AuditedRun(path, REFUTED, named, why=f"not readable: {error.strerror}", exit_code=60)
    found = AuditedRun(path, REFUTED, named)
    try:
        raw = read_file(path / evidence.RESULT_FILE, limit=results.MAX_BYTES)
        result = results.parse_result(raw)
        found = replace(found, result=result, result_digest=digest.of_bytes(raw), moment=_moment(result) or named)
        slip = read_file(path / evidence.RECEIPT_FILE, limit=results.MAX_BYTES)
        found = replace(found, receipt=results.parse_receipt(slip), receipt_digest=digest.of_bytes(slip))
        if key is not None:
            evidence.check_signed(path, evidence.RESULT_FILE, raw, key)
            evidence.check_signed(path, evidence.RECEIPT_FILE, slip, key)
        _check_agreement(found, key)
        evidence.check_journal(path, result)
    except StellaError as error:
        return replace(found, why=f"{error.reason}: {error}", exit_code=error.exit_code)
    except OSError as error:
        return replace(found, why=f"not readable: {error.strerror}", exit_code=60)
    return replace(found, standing=CHECKED if key is not None else UNCHECKED)


def _check_agreement(run: AuditedRun, key: PublicKey | None) -> None:
    """Hold result, receipt and directory against one another: each must be about the same run of the same site."""
    result, receipt = run.result, run.receipt
    if result is None or receipt is None:
        raise DigestMismatch(path=evidence.RECEIPT_FILE)
    if receipt.result_digest != run.result_digest:
        raise DigestMismatch(
            path=evidence.RECEIPT_FILE,
            pointer="/resultDigest",
            expected=run.result_digest or "",
            found=receipt.result_digest,
        )
    said = (receipt.run_id, receipt.verdict, receipt.reason, receipt.site)
    if said != (result.run_id, result.verdict, result.reason, result.site):
        raise DigestMismatch(path=evidence.RECEIPT_FILE, detail="it says something else than the result")
    if result.run_id != run.path.name:
        raise FileUndeclared(path=run.path.name, detail="the run's own result names another run: it was copied here")
    if result.scan is not None and run.path.parent.name not in (result.scan.id, evidence.UNKNOWN_SCAN):
        raise FileUndeclared(path=run.path.parent.name, detail="the run's own result names another scan")
    if key is not None and result.site != key.fingerprint:
        raise DigestMismatch(
            path=evidence.RESULT_FILE, pointer="/site", expected=key.fingerprint, found=result.site or ""
        )


def _moment(result: Result) -> datetime | None:
    """Return when a run was, as far as it says: the time it was judged at, unless an auditor chose that."""
    judged = result.reference_time
    try:
        return site_time.moment(result.finished_at if judged.source == results.AUDIT else judged.time)
    except StellaError:
        return None


def _time_of_name(name: str) -> datetime | None:
    """Return the time that a run's name begins with, which nobody has signed."""
    try:
        return datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
