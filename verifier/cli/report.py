"""stella report: a run's result, its page, and findings in the formats that others read."""

from pathlib import Path
from typing import Annotated

import typer

from kit.errors import UsageError
from verifier.cli.console import Console, Verdict, columns
from verifier.cli.options import DEFAULT_SITE, Json, SiteDirectory

EXAMPLES = """
Examples:

  stella report ops/offline/replay/<scan-id>/<run-id>

  stella report ops/offline/replay/<scan-id>/<run-id> --format sarif --out findings.sarif

  stella report scans/<scan-id> --format table
"""

HTML, STATUS = "html", "status"


def command(
    run: Annotated[
        Path,
        typer.Argument(help="A run directory; for the formats of findings also a scan's directory.", metavar="DIR"),
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            help="status, html, sarif, cyclonedx-vdr, cyclonedx-vex, openvex, csv, markdown or table.",
            metavar="FORMAT",
        ),
    ] = STATUS,
    out: Annotated[Path | None, typer.Option("--out", help="Write there instead of stdout.", metavar="FILE")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="The same as --format html --out FILE.", metavar="FILE")
    ] = None,
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
) -> Verdict:
    """Show a run's result, write its page, or export findings; what is not verified says so in every format."""
    from scanner.export import FORMATS
    from verifier import evidence
    from verifier.cli.outcome import key_of
    from verifier.durable import write_atomic
    from verifier.render import status_block

    console = Console(json=json)
    if kind not in {STATUS, HTML, *FORMATS}:
        raise UsageError(detail=f"--format takes {', '.join((STATUS, HTML, *FORMATS))}", found=ascii(kind)[:40])
    if kind in FORMATS:
        return _export(console, run, kind, out, site)
    place = html or out
    if (place is not None) != (kind == HTML or html is not None):
        raise UsageError(detail="the page needs a FILE: --format html --out FILE")
    key = key_of(console, site)
    result = evidence.read_run(run, key)
    if place is not None:
        write_atomic(place, evidence.page(run, result, is_checked=key is not None))
    if json:
        console.raw(result)
    console.data(status_block(evidence.as_json(result), is_checked=key is not None))
    return console.verdict("REPORTED" if key is not None else "REPORTED, NOT CHECKED", 0)


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
