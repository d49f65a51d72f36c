"""The report of a period for people: text of 80 columns, and the rows of its page (templates/period.html.j2)."""

import base64
import hashlib
from collections.abc import Iterator

import msgspec

from verifier import texts
from verifier.period_rows import ABSENCE, CLAIM, MEMORY, SIGNED, TAKEN, ExceptionRow, KitRow, Report, RunRow
from verifier.period_runs import CHECKED, CUT_OFF, REFUTED, UNCHECKED
from verifier.render import row, wrapped
from verifier.report import TONES
from verifier.site_text import counted

_NUMBER = 11
_WORDS = {CHECKED: "signed", UNCHECKED: "NOT CHECKED", REFUTED: "NOT BELIEVED", CUT_OFF: "CUT OFF"}
BASES = {
    SIGNED: "the site's key signed it",
    MEMORY: "the site remembers it; nobody signed it",
    CLAIM: "it says so itself; nothing bears it out",
    ABSENCE: "nothing that is here tells of it",
}


class Line(msgspec.Struct, frozen=True):
    """One number of a channel, or a range of them: a kit, or a gap."""

    number: str
    outcome: str
    tone: str
    kit: str
    at: str
    signers: str
    verdicts: str
    basis: str


class RunLine(msgspec.Struct, frozen=True):
    """One run as the page shows it; ``verdict`` is never that of a run which is not believed."""

    at: str
    mode: str
    verdict: str
    tone: str
    reason: str
    number: str
    run: str
    standing: str
    judged: str
    why: str
    signers: str
    policy: str
    digest: str


def lines_of(report: Report) -> dict[str, list[Line]]:
    """Return kits and gaps together, channel by channel, ascending by number."""
    found: dict[str, list[tuple[int, Line]]] = {}
    shown = {(kit.channel, kit.sequence) for kit in report.kits}
    for kit in report.kits:
        found.setdefault(kit.channel, []).append((kit.sequence, _kit_line(kit)))
    for gap in report.gaps:
        if (gap.channel, gap.first) not in shown:
            number = str(gap.first) if gap.first == gap.last else f"{gap.first} to {gap.last}"
            line = Line(number, gap.outcome.upper(), "bad", gap.detail or "", "", "", "", gap.basis)
            found.setdefault(gap.channel, []).append((gap.first, line))
    return {channel: [line for _, line in sorted(those, key=lambda one: one[0])] for channel, those in found.items()}


def _kit_line(kit: KitRow) -> Line:
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in kit.verdicts.items())
    signers = ", ".join(signer.owner for signer in kit.signers)
    tone = "good" if kit.outcome in TAKEN and kit.basis == SIGNED else "soft" if kit.outcome in TAKEN else "bad"
    return Line(str(kit.sequence), kit.outcome, tone, kit.kit, kit.at or "", signers, verdicts, kit.basis)


def runs_of(report: Report) -> list[RunLine]:
    """Return the runs as the page shows them."""
    return [_run_line(run) for run in report.runs]


def _run_line(run: RunRow) -> RunLine:
    verdict = run.verdict if run.standing == CHECKED and run.verdict else _WORDS[run.standing]
    said = f"says {run.verdict}" if run.standing not in (CHECKED, CUT_OFF) and run.verdict else ""
    return RunLine(
        at=run.at or "time not known",
        mode=run.mode or "",
        verdict=verdict,
        tone=TONES.get(verdict, "bad"),
        reason=run.reason or "",
        number=str(run.sequence) if run.sequence is not None else "",
        run=run.run,
        standing=_WORDS[run.standing],
        judged=run.judged_by or "",
        why="; ".join(part for part in (said, run.why or "") if part),
        signers=", ".join(f"{one.owner} {texts.grouped(one.fingerprint, 16)}" for one in run.signers),
        policy=run.policy_verdict or "",
        digest=(run.result_digest or "").removeprefix("sha256:"),
    )


def tallies(report: Report) -> list[tuple[str, str, str]]:
    """Return the few numbers that sum the report up: label, value, tone."""
    missing = sum(gap.last - gap.first + 1 for gap in report.gaps)
    doubtful = len(report.runs) - report.count(CHECKED) - report.count(CUT_OFF)
    return [
        ("kits taken in", str(sum(kit.outcome in TAKEN for kit in report.kits)), ""),
        ("numbers missing", str(missing), "warn" if missing else ""),
        ("runs signed", str(report.count(CHECKED)), ""),
        ("not checked or not believed", str(doubtful), "bad" if doubtful else ""),
        ("cut off", str(report.count(CUT_OFF)), ""),
        ("exceptions", str(len(report.exceptions)), "warn" if report.exceptions else ""),
    ]


def chain_words(report: Report) -> str:
    """Return what the receipts that are here make together."""
    chain = report.chain
    parts = [f"{counted(chain.receipts, 'receipt')} here"]
    parts.append(f"{counted(len(chain.gaps), 'gap')}" if chain.gaps else "no gap")
    parts.append(f"{counted(chain.forks, 'fork')}" if chain.forks else "no fork")
    if chain.newest_is_here is not None:
        parts.append("the newest that the site remembers " + ("is here" if chain.newest_is_here else "is MISSING"))
    return ", ".join(parts)


def text(report: Report) -> str:
    """Return the report in 80 columns."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield from row("period", f"{report.period}: {report.first} to {report.last}")
    yield from row(
        "site", texts.grouped(report.site) if report.site else "not known", "" if report.site else "NOT MADE"
    )
    yield from row("root", texts.grouped(report.root) if report.root else "not known here")
    yield from row("receipts", chain_words(report))
    yield from row("in sum", "; ".join(f"{label} {value}" for label, value, _ in tallies(report)))
    for channel, those in lines_of(report).items():
        yield ""
        yield f"KITS of channel {texts.printable(channel)}"
        for line in those:
            first = f"{line.number:>{_NUMBER - 2}}  "
            said = f"{line.outcome}" + (f", {line.at}" if line.at else "")
            yield from wrapped(said, first, " " * _NUMBER)
            detail = "; ".join(
                part for part in (line.kit, line.verdicts, line.signers and f"by {line.signers}") if part
            )
            if detail:
                yield from wrapped(detail, " " * _NUMBER)
            if line.basis not in (SIGNED, ABSENCE):
                yield from wrapped(f"{line.basis}: {BASES[line.basis]}", " " * _NUMBER)
    yield ""
    yield "RUNS" if report.runs else "RUNS: none in this period"
    for run in runs_of(report):
        number = f"no. {run.number}" if run.number else ""
        reason = run.reason if run.reason != "Ok" else ""
        words = (f"{run.at:<20}", f"{run.mode[:12]:<12}", f"{run.verdict:<12}", f"{number:<8}", reason)
        yield texts.printable("  ".join(words).rstrip())
        if run.why:
            yield from wrapped(f"{run.run}: {run.why}", " " * 22)
    if report.outside:
        yield from wrapped(f"{counted(report.outside, 'run')} of other times stand in the chain, not in this list.", "")
    yield ""
    yield "EXCEPTIONS" if report.exceptions else "EXCEPTIONS: none is recorded"
    for one in report.exceptions:
        yield from _exception(one)
    yield ""
    yield "NOT CHECKED, AND NOT TO BE READ AS VERIFIED"
    for reason in report.not_checked:
        yield from wrapped(reason, "  - ", "    ")


def _exception(one: ExceptionRow) -> Iterator[str]:
    yield from wrapped(f"{one.kind}: {one.said}", f"{one.at or 'time not recorded':<20}  ", " " * 22)
    where = f"{one.basis}, run {one.run}" if one.run else f"{one.basis}: {BASES[one.basis]}"
    yield from wrapped(where, " " * 22)


def page(report: Report) -> bytes:
    """Return the report as one HTML file without scripts."""
    style = texts.render("report.css.j2").strip() + "\n" + texts.render("period.css.j2").strip()
    style_digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rendered = texts.render(
        "period.html.j2",
        report=report,
        word=_word(report),
        tone="good" if _is_clean(report) else "bad" if report.site is None or report.count(REFUTED) else "warn",
        sentence=_sentence(report),
        tallies=tallies(report),
        channels=lines_of(report),
        runs=runs_of(report),
        bases=BASES,
        chain=chain_words(report),
        site=texts.grouped(report.site) if report.site else "",
        root=texts.grouped(report.root) if report.root else "",
        style=texts.trusted(style),
        style_digest=style_digest,
    )
    return rendered.encode("ascii", "xmlcharrefreplace")


def _word(report: Report) -> str:
    if report.site is None:
        return "NOT CHECKED"
    return "NOTHING HERE" if _is_empty(report) else "CHECKED" if _is_clean(report) else "LOOK HERE"


def _is_empty(report: Report) -> bool:
    """Tell whether nothing at all was found: then nothing at all was checked."""
    return not report.runs and not report.kits


def _is_clean(report: Report) -> bool:
    """Tell whether every run is signed and nothing is missing or out of the ordinary."""
    chain = report.chain
    whole = not chain.gaps and not chain.forks and chain.newest_is_here is not False
    doubtful = len(report.runs) - report.count(CHECKED)
    return (
        not _is_empty(report)
        and report.site is not None
        and whole
        and not doubtful
        and not report.gaps
        and not report.exceptions
    )


def _sentence(report: Report) -> str:
    if report.site is None:
        return "No key of a site was given: nothing below is more than somebody's word."
    if _is_clean(report) and report.chain.newest_is_here is None:
        return "Every run that is here is signed by the site, and no kit number between them is missing."
    if _is_clean(report):
        return "Every run is signed by the site, no kit number is missing, and nothing is out of the ordinary."
    parts = []
    if refuted := report.count(REFUTED):
        parts.append(f"{counted(refuted, 'run')} not what the site signed")
    if cut_off := report.count(CUT_OFF):
        parts.append(f"{counted(cut_off, 'run')} without an end")
    if report.chain.gaps or report.chain.newest_is_here is False:
        parts.append("receipts are missing")
    if report.chain.forks:
        parts.append("the receipts fork")
    if report.gaps:
        parts.append(f"{counted(sum(gap.last - gap.first + 1 for gap in report.gaps), 'kit number')} not taken in")
    if report.exceptions:
        parts.append(f"{counted(len(report.exceptions), 'exception')}")
    if unchecked := report.count(UNCHECKED):
        parts.append(f"{counted(unchecked, 'run')} not checked")
    said = "; ".join(parts) or "no run and no kit of this period is here, so nothing was checked"
    return f"{said[0].upper()}{said[1:]}."
