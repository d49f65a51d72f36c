"""stella report: a run's result, its page, and findings in the formats that others read."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from kit.errors import UsageError
from verifier.cli.console import Console, Verdict, columns
from verifier.cli.options import DEFAULT_KITS, DEFAULT_OPS, DEFAULT_SITE, Json, Kits, Ops, SiteDirectory

EXAMPLES = """
Examples:

  stella report ops/offline/replay/<scan-id>/<run-id>

  stella report ops/offline/replay/<scan-id>/<run-id> --format sarif --out findings.sarif

  stella report scans/<scan-id> --format table

  stella report --period 2026-Q3 --html quarter.html --out quarter.json

  stella report --period 2026-07-01..2026-07-14 /media/usb/ops --key site-7.pub.pem
"""

HTML, STATUS = "html", "status"


def command(
    places: Annotated[
        list[Path] | None,
        typer.Argument(
            help="A run directory; for the formats of findings also a scan's; with --period, places of runs.",
            metavar="[DIR]...",
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            help="status, html, sarif, cyclonedx-vdr, cyclonedx-vex, openvex, csv, markdown or table.",
            metavar="FORMAT",
        ),
    ] = STATUS,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write there instead of stdout; with --period, the JSON.", metavar="FILE"),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the page there, as --format html --out FILE.", metavar="FILE")
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(
            "--period",
            help="For the auditor: kits, runs, gaps and exceptions of 2026, 2026-Q3, 2026-07, 2026-07-14 or FROM..TO.",
            metavar="PERIOD",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="With --period: the site's public key, where its state is not here.", metavar="PEM"),
    ] = None,
    ops: Ops = DEFAULT_OPS,
    kits: Kits = DEFAULT_KITS,
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
) -> Verdict:
    """Show a run's result, write its page, or export findings; what is not verified says so in every format.

    With --period the report is about a site. It reads only, and holds every run against the site's key.
    """
    from scanner.export import FORMATS

    console = Console(json=json)
    if kind not in {STATUS, HTML, *FORMATS}:
        raise UsageError(detail=f"--format takes {', '.join((STATUS, HTML, *FORMATS))}", found=ascii(kind)[:40])
    if period is not None:
        if kind != STATUS:
            raise UsageError(option="--format", detail="belongs to one run; with --period: --html FILE, --out FILE")
        return _of_period(console, period, _Asked(places or [ops], key, site, kits), html, out)
    if key is not None or not places or len(places) != 1:
        raise UsageError(detail="give one directory of a run, or --period")
    if kind in FORMATS:
        return _export(console, places[0], kind, out, site)
    return _of_run(console, places[0], html or out, site, wants_page=kind == HTML or html is not None)


def _of_run(console: Console, run: Path, place: Path | None, site: Path, *, wants_page: bool) -> Verdict:
    from verifier import evidence
    from verifier.cli.outcome import key_of
    from verifier.durable import write_atomic
    from verifier.render import status_block

    if (place is not None) != wants_page:
        raise UsageError(detail="the page needs a FILE: --format html --out FILE")
    key = key_of(console, site)
    result = evidence.read_run(run, key)
    if place is not None:
        write_atomic(place, evidence.page(run, result, is_checked=key is not None))
    if console.json:
        console.raw(result)
    console.data(
        status_block(evidence.as_json(result), is_checked=key is not None, closing=not console.is_conversation)
    )
    return console.verdict("REPORTED" if key is not None else "REPORTED, NOT CHECKED", 0)


class _Asked(NamedTuple):
    """Where to look for what a period's report is made from."""

    places: list[Path]
    key: Path | None
    site: Path
    kits: Path


def _of_period(console: Console, period: str, asked: _Asked, html: Path | None, out: Path | None) -> Verdict:
    """Report on a site; what is written are the two files that were asked for, and nothing else."""
    import msgspec

    from kit.bytes import canonical
    from verifier import period as periods
    from verifier import period_report, period_sources, period_text, session
    from verifier.durable import write_atomic

    sources = period_sources.gather(
        periods.parse(period), asked.places, key=asked.key, site=asked.site, kits=asked.kits
    )
    if sources.site is None:
        console.talk("note: no site is pinned here, so no signature was checked")
    report = period_report.make(sources, session.clock())
    verdict = period_report.verdict(report, sources.runs)
    document = msgspec.to_builtins(report) | {"verdict": verdict[0], "exitCode": verdict[1]}
    if html is not None:
        write_atomic(html, period_text.page(report))
    if out is not None:
        write_atomic(out, canonical.encode(document) + b"\n")
    console.told(document, period_text.text(report))
    for written in filter(None, (html, out)):
        console.talk(f"written: {written}")
    return console.verdict(*verdict)


def _export(console: Console, place: Path, kind: str, out: Path | None, site: Path) -> Verdict:
    import kit
    from scanner.export import FORMATS, text_table
    from verifier import evidence, sources
    from verifier.cli.outcome import key_of
    from verifier.durable import write_atomic

    is_run = (place / evidence.RESULT_FILE).is_file()
    with sources.opened(place, key_of(console, site) if is_run else None) as source:
        found = sources.evaluated(source, kit.__version__)
    data = text_table(found, columns()) if kind == "table" else FORMATS[kind](found)
    if out is not None:
        write_atomic(out, data)
    if console.json:
        standing = source.standing
        console.document(
            {"format": kind, "standing": standing.word, "verified": standing.verified, "note": standing.note}
            | ({"out": out.name} if out is not None else {"content": data.decode("ascii")})
        )
    elif out is None:
        console.text(data)
    if not source.standing.verified:
        console.talk(f"note: {source.standing}")
    return console.verdict("EXPORTED", 0)
