"""stella receipt: the small signed slip of a run; handed back as file, text, code or paper, and checked at home."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.errors import UsageError
from verifier.cli.console import Console, Verdict
from verifier.cli.options import DEFAULT_SITE, At, Json, SiteDirectory

if TYPE_CHECKING:
    from kit.receipt import Genuine
    from verifier.receipt_code import Code
    from verifier.receipt_intake import Sites

LOCKERS_BEGINNING = b"stella-ops.org/locker-receipt@"
DEFAULT = "show"
"""The command of the group that ``stella receipt RUN_DIR`` means."""

EXAMPLES = """
Examples:

  stella receipt show ops/offline/replay/<scan-id>/<run-id>

  stella receipt show ops/offline/replay/<scan-id>/<run-id> --qr

  stella receipt show ops/offline/replay/<scan-id>/<run-id> --paper receipt.html --out receipt.dsse.json

  stella receipt check receipt.dsse.json --rootpack rootpack

  stella receipt check scanned.txt --key site-7.pub.pem --json

  stella receipt check scan.locker-receipt --key audit.pub.pem

  stella receipt chain returned/ --rootpack rootpack

  stella receipt chain monday.txt tuesday.dsse.json --rootpack rootpack --json
"""

app = typer.Typer(no_args_is_help=True, help="Print the receipt of a run; check receipts that came back.")

RootPack = Annotated[
    Path | None,
    typer.Option(
        "--rootpack",
        envvar="STELLA_ROOTPACK",
        help="Hold it to the keys of usage site in this RootPack.",
        metavar="DIR",
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key", help="Hold it to this public key (PEM) alone; windows and revocations go unchecked.", metavar="PEM"
    ),
]


@app.command()
def show(
    run: Annotated[
        Path, typer.Argument(help="A run directory below ops/offline/replay/<scan-id>/.", metavar="RUN_DIR")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Copy the signed slip (receipt.dsse.json) there.", metavar="FILE")
    ] = None,
    paper: Annotated[
        Path | None, typer.Option("--paper", help="Write a page to print (HTML, A5), code and all.", metavar="FILE")
    ] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Write the QR code as PNG.", metavar="FILE")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write the QR code as SVG.", metavar="FILE")] = None,
    qr: Annotated[bool, typer.Option("--qr", help="Print the QR code as well.")] = False,
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
) -> Verdict:
    """Print the receipt of a run; the signed form is receipt.dsse.json beside it.

    The word show may be left out.
    """
    from kit.bytes import digest
    from kit.result import parse_receipt
    from verifier import evidence, receipt_code, receipt_page
    from verifier.cli.outcome import key_of
    from verifier.durable import write_atomic
    from verifier.render import receipt_text

    console = Console(json=json)
    key = key_of(console, site)
    data = evidence.read_receipt(run, key)
    receipt = parse_receipt(data)
    envelope = evidence.read_receipt_envelope(run, data)
    slip = evidence.slip_of(envelope)
    code = _code(console, slip) if png or svg or qr or paper else None
    if out is not None:
        write_atomic(out, envelope)
    if png is not None:
        write_atomic(png, receipt_code.png(_needed(code)))
    if svg is not None:
        write_atomic(svg, receipt_code.svg(_needed(code)).encode())
    if paper is not None:
        page = receipt_page.render(receipt, digest.of_bytes(data), slip, code, is_checked=key is not None)
        write_atomic(paper, page)
    if json:
        console.raw(data)
    console.data(receipt_text(receipt, is_checked=key is not None, slip=slip))
    if qr:
        _draw(console, _needed(code))
    for written in filter(None, (out, png, svg, paper)):
        console.talk(f"written: {written}")
    if key is None:
        return console.verdict("RECEIPT, NOT CHECKED", 0)
    return console.verdict("RECEIPT", 0, "hand it back; stella sync export sends it with the results")


@app.command()
def check(
    file: Annotated[
        Path,
        typer.Argument(
            help="receipt.dsse.json, receipt.txt, or the text of a scanned code; - for standard input.", metavar="FILE"
        ),
    ],
    rootpack: RootPack = None,
    key: Key = None,
    at: At = None,
    json: Json = False,
) -> Verdict:
    """Tell whether a site signed a receipt, and what it says.

    The exit code is about the receipt alone: 0 means that the site wrote it, whatever it says of the replay. Of a
    printed text only the letters from STELLA1: on are read. A photo is not read: let a phone turn its code into text.
    A locker's receipt of a scan is checked as well: --key is then the locker's audit.pub.pem, or the RootPack has it.
    """
    from verifier import receipt_intake, receipt_report

    console = Console(json=json)
    with receipt_intake.about_a_receipt():
        name, data = _read(file)
    if data.startswith(LOCKERS_BEGINNING):
        return _check_lockers(console, data, name, rootpack=rootpack, key=key, at=at)
    sites = _sites(rootpack, key, at)
    with receipt_intake.about_a_receipt():
        found = receipt_intake.envelopes(data, name)
        if len(found) > 1:
            raise UsageError(path=name, detail=f"there are {len(found)} slips in it").then(
                "Give them one by one, or all of them to stella receipt chain."
            )
        genuine = sites.genuine(found[0], name)
    contradicted = [label.lower() for label in receipt_report.contradictions(data, genuine)]
    if json:
        told = {"contradicted": contradicted} if contradicted else {}
        console.document(receipt_report.as_document(genuine, sites) | told)
    console.data(receipt_report.as_text(genuine, sites))
    if contradicted:
        console.talk(
            f"WARNING: the readable words of this text contradict its signed slip ({', '.join(contradicted)}): "
            "somebody changed them; what counts is the slip, as told here"
        )
    return console.verdict(f"GENUINE: {receipt_report.said(genuine, sites)}", 0)


@app.command()
def chain(
    places: Annotated[
        list[Path],
        typer.Argument(
            help="Files as check takes them; of a directory, every receipt.dsse.json below.", metavar="PLACE..."
        ),
    ],
    rootpack: RootPack = None,
    key: Key = None,
    at: At = None,
    json: Json = False,
) -> Verdict:
    """Put receipts in order, site by site, and tell what is missing between them.

    A gap is a receipt that another one names and that is not here; two that name the same one are a fork. The exit
    code is that of the worst: a receipt that is refused, then a fork, then a gap.
    """
    from kit.errors import StellaError
    from verifier import receipt_intake, receipt_report

    console = Console(json=json)
    sites = _sites(rootpack, key, at)
    found: list[Genuine] = []
    refused: list[tuple[str, StellaError]] = []
    for path in (file for place in places for file in receipt_intake.files_at(place)):
        try:
            with receipt_intake.about_a_receipt():
                name, data = _read(path)
                found += [sites.genuine(envelope, name) for envelope in receipt_intake.envelopes(data, name)]
        except StellaError as error:
            refused.append((str(path), error))
    told = receipt_report.chains(found, refused, sites)
    if json:
        console.document(told.document)
    console.data(told.text)
    return console.verdict(*told.verdict)


def _check_lockers(
    console: Console, data: bytes, name: str, *, rootpack: Path | None, key: Path | None, at: str | None
) -> Verdict:
    """Check the receipt that a locker gave of a scan."""
    from verifier import locker_receipts

    proven = locker_receipts.check(data, name, rootpack=rootpack, key=key, at=at)
    if console.json:
        console.document(locker_receipts.as_document(proven))
    console.data(locker_receipts.as_text(proven))
    return console.verdict("GENUINE: the locker has logged this", 0)


def _sites(rootpack: Path | None, key: Path | None, at: str | None) -> "Sites":
    """Return whose receipts are believed; :class:`UsageError` unless it is said in one way."""
    from verifier import receipt_intake, session

    moment = session.moment(at, session.clock())
    if key is not None:
        return receipt_intake.of_key(key)
    if rootpack is None:
        raise UsageError(detail="nothing says whose receipts are to be believed").then(
            "Give --rootpack DIR, or the site's public key: --key PEM"
        )
    return receipt_intake.of_rootpack(rootpack, moment)


def _read(path: Path) -> tuple[str, bytes]:
    """Return the name and the bytes of a file, or of standard input."""
    from verifier import receipt_intake
    from verifier.medium import read_file

    if str(path) == receipt_intake.STANDARD_INPUT:
        return "standard input", sys.stdin.buffer.read(receipt_intake.MAX_TEXT + 1)
    return path.name, read_file(path, limit=receipt_intake.MAX_TEXT)


def _code(console: Console, slip: str | None) -> "Code | None":
    """Return the code of a slip; where there is none, say so."""
    from kit.errors import LimitExceeded
    from verifier import receipt_code

    try:
        return receipt_code.make(slip) if slip is not None else None
    except LimitExceeded as error:
        console.talk(f"note: no QR code: {error}; {error.next_step}")
        return None


def _needed(code: "Code | None") -> "Code":
    if code is None:
        raise UsageError(detail="this receipt has no QR code").then("Hand back receipt.dsse.json or receipt.txt.")
    return code


def _draw(console: Console, code: "Code") -> None:
    """Print a code in the way that this terminal can show; to a file or a pipe, in plain ASCII."""
    from verifier import receipt_code
    from verifier.cli.console import columns

    if not console.on_terminal:
        console.drawing(receipt_code.marks(code))
        return
    environment = os.environ
    locale = environment.get("LC_ALL") or environment.get("LC_CTYPE") or environment.get("LANG") or ""
    drawn = receipt_code.for_screen(
        code,
        columns=columns(),
        colours="NO_COLOR" not in environment and environment.get("TERM", "") not in ("", "dumb"),
        blocks="utf" in locale.lower(),
    )
    if drawn is None:
        console.talk(
            f"note: the QR code needs {receipt_code.width_of(code)} columns here, and there are {columns()}: widen the "
            "terminal, or write it: --png FILE, --svg FILE or --paper FILE"
        )
        return
    console.drawing(drawn)
