"""stella report --period: what happened at a site in a stretch of time, for its auditor (docs/format.md section 7.5).

Kits and runs with verdicts and signers; numbers that are missing; what was out of the ordinary. Reads only. Each row
says what stands behind it: the site's signature, the site's own memory, or nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from kit import result as results
from kit.errors import ReceiptMissing, SiteDamaged, SiteForked, StellaError
from verifier import guard, quarantine, site_kits, site_time
from verifier.period import Period
from verifier.period_rows import (
    ABSENCE,
    CLAIM,
    MEMORY,
    SCHEMA_VERSION,
    SIGNED,
    TAKEN,
    ChainRow,
    ExceptionRow,
    GapRow,
    KitRow,
    Report,
    RunRow,
    SignerRow,
)
from verifier.period_runs import CHECKED, CUT_OFF, REFUTED, UNCHECKED, AuditedRun, AuditedRuns
from verifier.period_sources import Sources
from verifier.run_dir import stamp
from verifier.site import SiteState
from verifier.site_rebuild import was_accepted

DAMAGED = "site's memory damaged"


def make(sources: Sources, now: datetime) -> Report:
    """Return the report of a period."""
    runs, state = sources.runs, sources.state
    kits = _kits(sources)
    chain = runs.chain
    here = {link.digest for link in chain.links}
    return Report(
        schema_version=SCHEMA_VERSION,
        period=sources.period.name,
        first=stamp(sources.period.first),
        last=stamp(sources.period.end - timedelta(seconds=1)),
        made_at=stamp(now),
        site=sources.site,
        root=sources.root,
        kits=kits,
        runs=tuple(_run(run, state) for run in runs.within),
        gaps=tuple(_gaps(sources, kits)),
        exceptions=tuple(_exceptions(sources, now)),
        chain=ChainRow(
            receipts=len(chain.links),
            gaps=tuple(gap.missing for gap in chain.gaps),
            forks=len(chain.forks),
            newest_is_here=state.last_receipt in here if state is not None and state.last_receipt else None,
        ),
        outside=len(runs.without),
        not_checked=tuple(_not_checked(sources)),
    )


def verdict(report: Report, runs: AuditedRuns) -> tuple[str, int, str]:
    """Return the verdict word, exit code and next step: the worst run that is not believed, else the chain's."""
    refuted = [run for run in runs.within if run.standing == REFUTED]
    if refuted:
        worst = max(refuted, key=lambda run: run.exit_code)
        word = f"REPORTED, {len(refuted)} NOT BELIEVED"
        return word, worst.exit_code, "Keep these run directories, find out who changed them, and run again."
    if any(row.kind == DAMAGED for row in report.exceptions):
        return f"REPORTED, {SiteDamaged.__name__}", SiteDamaged.exit_code, SiteDamaged.next_step
    if report.chain.forks:
        return f"REPORTED, {SiteForked.__name__}", SiteForked.exit_code, SiteForked.next_step
    if report.chain.gaps or report.chain.newest_is_here is False:
        return f"REPORTED, {ReceiptMissing.__name__}", ReceiptMissing.exit_code, ReceiptMissing.next_step
    if report.count(UNCHECKED) or report.site is None:
        return "REPORTED, NOT CHECKED", 0, "Name the site whose key signed the runs: --site DIR, or --key site.pub.pem"
    if not report.runs and not report.kits:
        return "REPORTED, NOTHING HERE", 0, "Check the period, and the place of the runs: --ops DIR, or directories."
    return "REPORTED", 0, ""


def _run(run: AuditedRun, state: SiteState | None) -> RunRow:
    result = run.result
    at = stamp(run.moment) if run.moment is not None else None
    if result is None or run.standing == CUT_OFF:
        return RunRow(run=run.name, standing=run.standing, at=at, why=run.why)
    judged = result.reference_time
    told = state.acknowledged if state is not None else ()
    return RunRow(
        run=run.name,
        standing=run.standing,
        at=at,
        mode=result.mode,
        verdict=result.verdict,
        reason=result.reason,
        exit_code=result.exit_code,
        kit=result.kit.id if result.kit else None,
        sequence=result.kit.sequence if result.kit else None,
        scan=result.scan.id if result.scan else None,
        judged_by=f"{judged.time}, {judged.source}",
        signers=_signers(result.signers),
        policy_verdict=result.policy_verdict,
        result_digest=run.result_digest,
        receipt_digest=run.receipt_digest,
        acknowledged=run.standing == CHECKED and run.result_digest in told,
        why=run.why,
    )


def _signers(signers: Iterable[results.SignerEntry]) -> tuple[SignerRow, ...]:
    found = {signer.fingerprint: signer.owner for signer in signers}
    return tuple(SignerRow(owner=owner, fingerprint=key) for key, owner in sorted(found.items()))


def _believed(runs: Iterable[AuditedRun]) -> Iterator[tuple[AuditedRun, results.Result]]:
    for run in runs:
        if run.result is not None and run.standing in (CHECKED, UNCHECKED):
            yield run, run.result


def _basis(run: AuditedRun) -> str:
    return SIGNED if run.standing == CHECKED else CLAIM


def _kits(sources: Sources) -> tuple[KitRow, ...]:
    """Return the kits that runs of the period were about, and those that the site remembers to have accepted in it."""
    about: dict[tuple[str, int, str], list[tuple[AuditedRun, results.Result]]] = {}
    for run, result in _believed(sources.runs.within):
        if result.kit is not None:
            about.setdefault((result.kit.channel, result.kit.sequence, result.kit.id), []).append((run, result))
    rows = {known: _kit(known, those) for known, those in about.items()}
    for kit in sources.state.accepted if sources.state is not None else ():
        known = (kit.channel, kit.sequence, kit.kit_id)
        if known not in rows and sources.period.holds(_time(kit.accepted_at)):
            rows[known] = KitRow(
                channel=kit.channel, sequence=kit.sequence, kit=kit.kit_id, outcome="accepted", basis=MEMORY,
                at=kit.accepted_at, digest=kit.digest,
            )  # fmt: skip
    return tuple(row for _, row in sorted(rows.items()))


def _kit(known: tuple[str, int, str], runs: Sequence[tuple[AuditedRun, results.Result]]) -> KitRow:
    taken = [(run, result) for run, result in runs if was_accepted(result)]
    good = [(run, result) for run, result in runs if result.verdict != results.REFUSED]
    active = [(run, result) for run, result in taken if result.activation is not None]
    run, result = (active or taken or good or runs)[0]
    outcome = (
        "activated" if active
        else "accepted" if taken
        else "checked, not taken in" if good
        else f"refused: {result.reason}"
    )  # fmt: skip
    verdicts = [found.verdict for _, found in runs]
    return KitRow(
        channel=known[0],
        sequence=known[1],
        kit=known[2],
        outcome=outcome,
        basis=_basis(run),
        at=stamp(run.moment) if run.moment is not None else None,
        digest=result.kit.digest if result.kit is not None else None,
        signers=_signers(result.signers),
        verdicts={verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
    )


def _gaps(sources: Sources, kits: Sequence[KitRow]) -> Iterator[GapRow]:
    """Yield the numbers between the first and the last of each channel that were not taken in."""
    taken: dict[str, set[int]] = {}
    refused = {(row.channel, row.sequence): row for row in kits if row.outcome not in TAKEN}
    for row in kits:
        if row.outcome in TAKEN:
            taken.setdefault(row.channel, set()).add(row.sequence)
    known_before = {*_taken_before(sources)}
    for channel, sequence in known_before:
        taken.setdefault(channel, set()).add(sequence)
    lain = dict(_quarantined(sources))
    for channel in sorted({*taken, *(channel for channel, _ in refused)}):
        here = taken.get(channel, set())
        now = [row.sequence for row in kits if row.channel == channel]
        before = [sequence for known, sequence in known_before if known == channel]
        if not now:
            continue
        lowest = max((number for number in before if number < min(now)), default=min(now) - 1)
        told = {number for known, number in {*refused, *lain} if known == channel}
        for first, last in _missing(lowest, max(now), here, told):
            yield _gap(channel, first, last, refused, lain)


def _gap(
    channel: str, first: int, last: int, refused: dict[tuple[str, int], KitRow], lain: dict[tuple[str, int], str]
) -> GapRow:
    row, entry = refused.get((channel, first)), lain.get((channel, first))
    if row is not None:
        detail = f"in quarantine: {entry}" if entry else None
        return GapRow(channel=channel, first=first, last=last, outcome=row.outcome, basis=row.basis, detail=detail)
    if entry is not None:
        return GapRow(channel=channel, first=first, last=last, outcome="only in quarantine", basis=CLAIM, detail=entry)
    return GapRow(channel=channel, first=first, last=last, outcome="never seen", basis=ABSENCE)


def _missing(lowest: int, highest: int, here: set[int], told: set[int]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of numbers that are not here; a number that something is told of stands alone."""
    at = lowest + 1
    for number in sorted(number for number in here | told if lowest < number <= highest):
        if at < number:
            yield at, number - 1
        if number not in here:
            yield number, number
        at = number + 1
    if at <= highest:
        yield at, highest


def _taken_before(sources: Sources) -> Iterator[tuple[str, int]]:
    """Yield what was accepted before or outside the period, by signed results and by the site's memory."""
    for _, result in _believed(sources.runs.without):
        if result.kit is not None and was_accepted(result):
            yield result.kit.channel, result.kit.sequence
    for kit in sources.state.accepted if sources.state is not None else ():
        yield kit.channel, kit.sequence


def _quarantined(sources: Sources) -> Iterator[tuple[tuple[str, int], str]]:
    """Yield what lies in quarantine by the channel and number that it claims, which nobody vouches for."""
    for entry in quarantine.entries(sources.quarantine) if sources.quarantine is not None else ():
        channel, _, rest = (entry.claimed_kit or "").rpartition("-")[0].rpartition("-")
        if channel and rest.isascii() and rest.isdigit() and len(rest) <= 15:
            yield (channel, int(rest)), entry.id


def _exceptions(sources: Sources, now: datetime) -> Iterator[ExceptionRow]:
    """Yield what an auditor asks about, signed results first, each kind in order of time."""
    backwards = set(sources.runs.chain.backwards)
    for run, result in _believed(sources.runs.within):
        for kind, said in _of_result(result, goes_back=run.receipt_digest in backwards, now=now):
            at = stamp(run.moment) if run.moment is not None else None
            yield ExceptionRow(kind=kind, said=said, basis=_basis(run), at=at, run=run.name)
    if sources.damage is not None:
        yield ExceptionRow(kind=DAMAGED, said=sources.damage, basis=ABSENCE)
    if sources.state is not None:
        yield from _of_memory(sources, sources.state)
    for removal in quarantine.removed(sources.quarantine) if sources.quarantine is not None else ():
        if _may_be_in(sources.period, removal.removed_at):
            said = f"{removal.id}: {removal.reason}"
            yield ExceptionRow(kind="removed from quarantine", said=said, basis=MEMORY, at=removal.removed_at)


def _of_result(result: results.Result, *, goes_back: bool, now: datetime) -> Iterator[tuple[str, str]]:
    judged = result.reference_time
    if result.activation is not None and result.activation.reason is not None:
        yield "order overruled", result.activation.reason
    if result.activation is not None and result.activation.in_place:
        yield "activated in place", "the kit was not copied: it is the medium itself"
    if judged.source == results.AUDIT:
        yield "judged at another time", f"the operator gave {judged.time} (--at)"
    if judged.clock is not None:
        yield "clock behind", f"it said {judged.clock}; judged at {judged.time} instead"
    if goes_back:
        yield "clock went back", f"it ended at {result.finished_at}, before the run that it follows"
    if result.finished_at > stamp(now):
        yield "clock ahead", f"it ended at {result.finished_at}, after this report was made"
    if missing := [*_missing_layers(result.guard)]:
        yield "guard layers missing", ", ".join(missing)
    if result.mode != "import" and result.kit is None and result.verdict != results.REFUSED:
        yield "kit not looked at", "the scan's directory alone was judged (--scan-only)"


def _missing_layers(held: dict[str, object]) -> Iterator[str]:
    layers = held.get("layers")
    rows = [row for row in layers if isinstance(row, dict)] if isinstance(layers, list | tuple) else []
    in_force = {str(row.get("name")) for row in rows if row.get("inForce") is True}
    for name in guard.LAYERS:
        if name not in in_force:
            yield name


def _of_memory(sources: Sources, state: SiteState) -> Iterator[ExceptionRow]:
    period = sources.period
    signed = {
        (result.activation.kit, result.activation.reason)
        for _, result in _believed((*sources.runs.within, *sources.runs.without))
        if result.activation is not None
    }
    for entry in state.activations:
        if not _may_be_in(period, entry.at):
            continue
        said = f"{entry.kit_id}: {entry.reason or 'no reason is kept'}"
        if entry.how == site_kits.ROLLBACK:
            yield ExceptionRow(kind="rolled back", said=said, basis=MEMORY, at=entry.at)
        elif entry.how == site_kits.IMPORT and entry.reason and (entry.digest, entry.reason) not in signed:
            yield ExceptionRow(kind="order overruled", said=said, basis=MEMORY, at=entry.at)
    if any(entry.how == site_kits.REBUILT for entry in state.activations):
        yield ExceptionRow(kind="state rebuilt", said="the site's memory was made anew from its results", basis=MEMORY)
    for pruning in state.prunings:
        if _may_be_in(period, pruning.at):
            said = f"{', '.join((*pruning.kits, *pruning.unfinished))}; {pruning.size} bytes"
            said += f"; promises forgotten: {pruning.forgot}" if pruning.forgot else ""
            yield ExceptionRow(kind="pruned", said=said, basis=MEMORY, at=pruning.at)
    for reset in state.floor_resets:
        before = reset.before.time if reset.before is not None else "none"
        said = f"from {before} to {reset.time}: {reset.reason}"
        yield ExceptionRow(kind="time floor set by hand", said=said, basis=MEMORY)


def _not_checked(sources: Sources) -> Iterator[str]:
    if sources.site is None:
        yield "no key of a site: no signature was checked, and every run is listed with what it claims"
    if sources.unknown is not None:
        yield sources.unknown
    if sources.damage is not None:
        yield "the site's memory: it is damaged, so nothing is known of rollbacks, prunings and floors"
    if sources.state is not None:
        yield "what rests on the site's memory: nobody signed it, whoever can write state.json can change it"
    if sources.quarantine is None:
        yield "the quarantine: no place of kits was given"
    yield "what came after the newest receipt that is here: nobody but the site can tell"
    yield "whether kit numbers above the highest one were sent: the sender's records tell"


def _may_be_in(period: Period, time: str) -> bool:
    """Tell whether a time lies in the period; one that cannot be read may."""
    try:
        return period.holds(_time(time))
    except StellaError:
        return True


def _time(text: str) -> datetime:
    return site_time.moment(text)
