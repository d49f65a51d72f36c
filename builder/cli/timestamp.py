"""stella timestamp: have an authority vouch for when a record or a kit was signed."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import DEFAULT_ROOTPACK, RootPack
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

if TYPE_CHECKING:
    from builder.timestamps import Place, Stamped

EXAMPLES = """
Examples:

  stella timestamp records/<scan-id> --tsa https://tsa.example

  stella timestamp records/<scan-id> --query record.tsq

  stella timestamp records/<scan-id> --reply record.tsr
"""


def command(
    record: Annotated[Path, typer.Argument(help="A recorded scan's directory, or a kit's.", metavar="DIR")],
    tsa: Annotated[
        str | None, typer.Option("--tsa", envvar="STELLA_TSA", help="Ask this authority (RFC 3161).", metavar="URL")
    ] = None,
    query: Annotated[
        Path | None, typer.Option("--query", help="Write the request here, to be taken there.", metavar="FILE")
    ] = None,
    reply: Annotated[
        Path | None, typer.Option("--reply", help="Keep this answer to such a request.", metavar="FILE")
    ] = None,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    json: Json = False,
) -> Verdict:
    """Have an authority vouch for when a recorded scan or a kit was signed.

    The stamp lies beside the signature; it keeps the signature good after its key was retired. One of --tsa, --query
    and --reply is needed.
    """
    from builder import files, signing, timestamps
    from kit.errors import UsageError
    from kit.trust.evidence import MAX_STAMP
    from verifier import session
    from verifier.medium import read_file

    # An authority from the environment is asked only where no file is named.
    if (query is not None and reply is not None) or (tsa is None and query is None and reply is None):
        raise UsageError(detail="one of --tsa, --query and --reply is needed")
    console = Console(json=json)
    pack = signing.own_pack(rootpack)
    place = timestamps.place(record, pack)
    if query is not None:
        files.write_new(query, timestamps.query(place))
        console.document({"query": str(query), "envelope": place.envelope})
        return console.verdict("ASKED", 0, f"stella timestamp {quote(str(record))} --reply FILE")
    now = session.clock()
    if reply is not None:
        done = [timestamps.keep(place, pack, read_file(reply, limit=MAX_STAMP), now=now)]
    else:
        done = timestamps.stamp(place, pack, timestamps.by_http(tsa or ""), now=now)
    console.document(_document(place, done))
    return console.verdict("STAMPED", 0)


def _document(place: "Place", done: "list[Stamped]") -> dict[str, object]:
    stamps = [
        {
            "file": one.file,
            "signer": one.proven.signer,
            "time": one.proven.time,
            "authority": one.proven.name,
            "certificate": one.proven.by,
            "known": one.known,
        }
        for one in done
    ]
    return {"envelope": place.envelope, "stamps": stamps}
