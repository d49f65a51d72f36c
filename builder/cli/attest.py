"""stella attest: put the envelopes of recorded scans into a transparency log."""

from pathlib import Path
from shlex import join
from typing import Annotated

import typer

from builder.cli.options import DEFAULT_ROOTPACK, Passphrase, RootPack, passphrase
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

EXAMPLES = """
Examples:

  stella attest records/<scan-id> --log log --log-key keys/log-1.key.pem

  stella attest records/<scan-id> records/<other-id> --log log --log-key keys/log-1.key.pem --from 1200 --json
"""


def command(
    record: Annotated[list[Path], typer.Argument(help="Recorded scans' directories.", metavar="RECORD...")],
    log: Annotated[
        Path, typer.Option("--log", envvar="STELLA_LOG", help="The log's directory; founded if missing.", metavar="DIR")
    ],
    log_key: Annotated[
        str,
        typer.Option(
            "--log-key",
            help="Private key of usage log in the RootPack: a file (PEM), or PUB.pem=URI of one in an HSM or KMS.",
            metavar="KEY",
        ),
    ],
    since: Annotated[
        list[int] | None,
        typer.Option("--from", help="Size of the log that a site remembers, if long ago.", min=1, metavar="SIZE"),
    ] = None,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    passphrase_file: Passphrase = None,
    json: Json = False,
) -> Verdict:
    """Put the envelopes of recorded scans into a log of our own, and the proofs beside the records.

    The log is a directory of static files. A record that it has already gets a fresh proof.
    """
    from builder import attest, signer, signing
    from verifier import session
    from verifier.run_dir import stamp

    console = Console(json=json)
    pack = signing.own_pack(rootpack)
    key = signer.load(log_key, passphrase(passphrase_file))
    now = stamp(session.clock())
    done = attest.attest(record, pack, log, key, now=now, since=since or ())
    document: dict[str, object] = {
        "log": done[0].origin,
        "size": done[0].size,
        "root": done[0].root,
        "records": [{"record": one.record, "index": one.index, "files": list(one.files)} for one in done],
    }
    console.document(document)
    words = ["stella", "kit", "build", *(word for path in record for word in ("--record", str(path)))]
    trust = [] if rootpack == DEFAULT_ROOTPACK else ["--rootpack", str(rootpack)]
    return console.verdict("ATTESTED", 0, f"{join([*words, *trust])} --key KEY --sequence NUMBER --out DIR")
