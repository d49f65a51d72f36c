"""stella scan sign: add a signature to a recorded scan."""

from pathlib import Path
from shlex import join
from typing import Annotated

import typer

from builder.cli.options import DEFAULT_ROOTPACK, Passphrase, RootPack, passphrase
from kit.errors import UsageError
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

EXAMPLES = """
Examples:

  stella scan sign records/<scan-id> --key keys/kit-2.key.pem

  stella scan sign records/<scan-id> --key 'keys/kit-2.pub.pem=hsm:2?label=release' --dry-run

  stella scan sign records/<scan-id> --envelope from-bob/manifest.dsse.json --json
"""


def command(
    record: Annotated[Path, typer.Argument(help="The recorded scan's directory.", metavar="RECORD")],
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            help="Private key of usage kit in the RootPack: a file (PEM), or PUB.pem=URI of one in an HSM or KMS.",
            metavar="KEY",
        ),
    ] = None,
    envelope: Annotated[
        list[Path] | None,
        typer.Option(
            "--envelope", help="Take the signatures of this copy of manifest.dsse.json that count.", metavar="FILE"
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Leave out the signatures that do not count any more.")
    ] = False,
    drop_proofs: Annotated[
        bool, typer.Option("--drop-proofs", help="Remove the proofs of stella attest that become void.")
    ] = False,
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect",
            help="Digest of manifest.json as you know it; needed where no key vouches for the record.",
            metavar="sha256:HEX",
        ),
    ] = None,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    passphrase_file: Passphrase = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Verify the record and show what would change, but sign nothing.")
    ] = False,
    json: Json = False,
) -> Verdict:
    """Add a signature to a recorded scan.

    The record is verified first, every byte of it. A second signer adds theirs, or a new key's is added after the first
    was put aside; signatures that are there stay.
    """
    from builder import requests, scan_signing, signing
    from kit.bytes import digest
    from kit.trust import dsse
    from verifier import session
    from verifier.asked import typed
    from verifier.run_dir import stamp

    if not key and not envelope:
        raise UsageError(detail="nothing to add: give --key or --envelope")
    console = Console(json=json)
    now = stamp(session.clock())
    with typed("--expect"):
        expected = None if expect is None else digest.check(expect.lower())
    requests.check_private(key or [])
    signers = signing.load(key or [], rootpack, at=now, password=passphrase(passphrase_file))
    addition = scan_signing.Addition(
        signers=signers,
        copies=[(str(path), requests.read(path, "--envelope", limit=dsse.MAX_BYTES)) for path in envelope or []],
        expected=expected,
        replace=replace,
        drop_proofs=drop_proofs,
    )
    signed = scan_signing.sign(record, signing.own_pack(rootpack), addition, now=now, dry_run=dry_run)
    console.document(signed)
    trust = [] if rootpack == DEFAULT_ROOTPACK else ["--rootpack", str(rootpack)]
    if dry_run:
        return console.verdict("WOULD SIGN" if signed.changed else "NOTHING TO SIGN", 0, "the same without --dry-run")
    if signed.removed:
        following = ["stella", "attest", str(record), *trust, "--log", "DIR", "--log-key", "KEY"]
    elif signed.counting < signed.needed:
        following = ["stella", "scan", "sign", str(record), *trust, "--key", "KEY"]
    else:
        following = ["stella", "kit", "build", "--record", str(record), *trust, "--key", "KEY", "--sequence", "NUMBER"]
        following += ["--out", "DIR"]
    return console.verdict("SIGNED" if signed.changed else "NOTHING TO SIGN", 0, join(following))
