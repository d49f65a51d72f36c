"""stella witness: cosign the checkpoints of logs, from files alone."""

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

  stella witness cosign records/<scan-id>/evidence/log-1f2e3d4c.tlog-proof --key w.key.pem --out w.cosig

  stella witness cosign checkpoint --consistency log.tlog-consistency --key w.key.pem --name witness.example/w \\
    --log-key log.example/1=log.pub.pem --state witness --out w.cosig
"""

app = typer.Typer(no_args_is_help=True, help="Cosign checkpoints of logs, without a network.")


@app.command()
def cosign(
    checkpoint: Annotated[Path, typer.Argument(help="A log's checkpoint, or a .tlog-proof with one.", metavar="FILE")],
    key: Annotated[Path, typer.Option("--key", help="The witness's private key (PEM, Ed25519).", metavar="FILE")],
    out: Annotated[Path, typer.Option("--out", help="Where the cosignature is written.", metavar="FILE")],
    name: Annotated[
        str | None, typer.Option("--name", help="The witness's name; the key's owner by default.", metavar="NAME")
    ] = None,
    state: Annotated[
        Path,
        typer.Option("--state", envvar="STELLA_WITNESS", help="What the witness cosigned before.", metavar="DIR"),
    ] = Path("witness"),
    consistency: Annotated[
        Path | None,
        typer.Option(
            "--consistency", help="Proof that the log only grew; beside a .tlog-proof by default.", metavar="FILE"
        ),
    ] = None,
    log_key: Annotated[
        list[str] | None,
        typer.Option("--log-key", help="Judge the log by this key, not the RootPack's.", metavar="NAME=FILE"),
    ] = None,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    passphrase_file: Passphrase = None,
    json: Json = False,
) -> Verdict:
    """Cosign a log's checkpoint, if the log only grew.

    The state remembers the last tree of each log; keep it as safe as the key, and never go back to an older copy of it.
    """
    from msgspec.structs import replace

    from builder import files, log_keys, signer, signing, witness
    from builder.requests import read
    from kit.ledger import evidence, note, proof
    from kit.ledger.checkpoint import Trust
    from verifier import ledger, session
    from verifier.run_dir import stamp

    console = Console(json=json)
    now = stamp(session.clock())
    pack = None if log_key and name else signing.own_pack(rootpack)
    signing_key = signer.load(key, passphrase(passphrase_file))
    owner = name or (pack.owner(signing_key.public) if pack is not None else "")
    if not owner:
        raise UsageError(option="--name", detail="the RootPack does not know this key; name the witness")
    logs = Trust(log_keys.named(log_key or (), "--log-key"))
    trust = ledger.trust_of(pack, now) if pack is not None and not log_key else logs
    beside = checkpoint.with_suffix(evidence.CONSISTENCY_SUFFIX)
    if consistency is None and checkpoint.suffix == evidence.INCLUSION_SUFFIX and beside.is_file():
        consistency = beside
    history = None if consistency is None else read(consistency, "--consistency", limit=proof.MAX_CONSISTENCY)
    data = read(checkpoint, "FILE", limit=max(proof.MAX_INCLUSION, note.MAX_BYTES))
    signed = witness.checkpoint_of(data, checkpoint.name)
    seen, line = witness.cosign(signed, history, replace(trust, quorum=0), owner, signing_key, state, now=now)
    files.write_atomic(out, line)
    document: dict[str, object] = {
        "log": seen.origin,
        "size": seen.size,
        "root": seen.root.hex(),
        "witness": owner,
        "time": now,
        "file": str(out),
    }
    console.document(document)
    return console.verdict("COSIGNED", 0, f"send it back: stella attest RECORD --add-cosignature {join([str(out)])}")
