"""stella attest: put the envelopes of recorded scans into transparency logs, and have their trees witnessed."""

from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import DEFAULT_ROOTPACK, Passphrase, RootPack, passphrase
from kit.errors import UsageError
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.attest import Attested
    from builder.cosigning import Witness
    from kit.ledger.checkpoint import Trust
    from kit.trust.rootpack import TrustedPack

EXAMPLES = """
Examples:

  stella attest records/<scan-id> --log log --log-key keys/log-1.key.pem --witness witness.example/w=https://w.example

  stella attest records/<scan-id> --rekor https://rekor.example --receipt

  stella attest records/<scan-id> --add-cosignature witness.cosig
"""


def command(
    ctx: typer.Context,
    record: Annotated[list[Path], typer.Argument(help="Recorded scans' directories.", metavar="RECORD...")],
    log: Annotated[
        Path | None,
        typer.Option("--log", envvar="STELLA_LOG", help="Our own log's directory; founded if missing.", metavar="DIR"),
    ] = None,
    log_key: Annotated[
        str | None,
        typer.Option(
            "--log-key",
            help="Private key of usage log in the RootPack: a file (PEM), or PUB.pem=URI of one in an HSM or KMS.",
            metavar="KEY",
        ),
    ] = None,
    since: Annotated[
        list[int] | None,
        typer.Option("--from", help="Size of the log that a site remembers, if long ago.", min=1, metavar="SIZE"),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option("--witness", help="Have our log's tree cosigned (C2SP tlog-witness).", metavar="NAME=URL"),
    ] = None,
    rekor: Annotated[
        str | None, typer.Option("--rekor", envvar="STELLA_REKOR", help="A Rekor log to submit to.", metavar="URL")
    ] = None,
    rekor_version: Annotated[
        int, typer.Option("--rekor-version", help="Interface of that log.", min=1, max=2, metavar="1|2")
    ] = 1,
    rekor_key: Annotated[
        list[str] | None,
        typer.Option("--rekor-key", help="Judge it by this public key, not the RootPack's.", metavar="NAME=FILE"),
    ] = None,
    receipt: Annotated[
        bool, typer.Option("--receipt", help="Write rekor-receipt.json and rekor-body.json as well.")
    ] = False,
    add_cosignature: Annotated[
        list[Path] | None,
        typer.Option("--add-cosignature", help="What stella witness cosign wrote.", metavar="FILE"),
    ] = None,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    passphrase_file: Passphrase = None,
    json: Json = False,
) -> Verdict:
    """Put the envelopes of recorded scans into transparency logs, and the proofs beside the records.

    A log of our own is a directory of static files. What a log on the network answers is judged before anything is
    written. A record that a log has already gets a fresh proof.
    """
    from builder import attest, cosigning, signer, signing
    from builder.web import Client
    from verifier import session
    from verifier.run_dir import stamp

    # Our own log may stand in the environment while this command is about another one.
    source = ctx.get_parameter_source("log")
    by_the_way = source is not None and source.name == "ENVIRONMENT" and log_key is None
    own = None if by_the_way and (rekor or add_cosignature) else log
    if own is None and (witness or since or log_key):
        raise UsageError(detail="--log-key, --witness and --from are about our own log", expected="--log DIR")
    if own is not None and log_key is None:
        raise UsageError(option="--log", detail="our own log is signed anew", expected="--log-key FILE")
    if own is None and rekor is None and not add_cosignature:
        raise UsageError(detail="no log is named", expected="--log DIR --log-key FILE, or --rekor URL")
    if rekor is None and (rekor_key or receipt):
        raise UsageError(detail="--rekor-key and --receipt are about a Rekor log", expected="--rekor URL")
    console = Console(json=json)
    pack = signing.own_pack(rootpack)
    now = stamp(session.clock())
    done: list[Attested] = []
    if own is not None and log_key is not None:
        key = signer.load(log_key, passphrase(passphrase_file))
        asked = [_witness(pack, each, now) for each in witness or ()]
        done += attest.attest(record, pack, own, key, now=now, since=since or (), witnesses=asked)
    if rekor is not None:
        client = Client(rekor, option="--rekor")
        trust = _trust(rekor_key) if rekor_key else None
        done += attest.attest_at(record, pack, client, rekor_version, now=now, trust=trust, receipt=receipt)
    added = cosigning.add(record, add_cosignature, pack, now=now) if add_cosignature else []
    console.document(_told(done, added))
    words = ["stella", "kit", "build", *(word for path in record for word in ("--record", str(path)))]
    shown = [] if rootpack == DEFAULT_ROOTPACK else ["--rootpack", str(rootpack)]
    return console.verdict("ATTESTED", 0, f"{join([*words, *shown])} --key KEY --sequence NUMBER --out DIR")


def _told(done: "Sequence[Attested]", added: list[str]) -> dict[str, object]:
    """Return the document of what was done: each log with its records."""
    logs: dict[str, list[dict[str, object]]] = {}
    for one in done:
        entry: dict[str, object] = {
            "record": one.record,
            "index": one.index,
            "size": one.size,
            "root": one.root,
            "files": list(one.files),
        }
        if one.witnesses:
            entry["witnesses"] = list(one.witnesses)
        logs.setdefault(one.origin, []).append(entry)
    told = [{"log": origin, "records": records} for origin, records in logs.items()]
    document: dict[str, object] = {"logs": told} if told else {}
    return document | ({"cosigned": added} if added else {})


def _witness(pack: "TrustedPack", given: str, now: str) -> "Witness":
    from builder import cosigning
    from builder.web import Client

    name, equals, url = given.partition("=")
    if not equals:
        raise UsageError(option="--witness", expected="NAME=URL", found=given[:80])
    return cosigning.witness(pack, name, Client(url, option="--witness"), now=now)


def _trust(given: list[str]) -> "Trust":
    from builder import log_keys
    from kit.ledger.checkpoint import Trust

    return Trust(log_keys.named(given, "--rekor-key"))
