"""The commands below "locker audit", and the receipt that a locker gives of a scan."""

import os
from datetime import UTC, datetime
from pathlib import Path
from shlex import join
from typing import Annotated

import typer

from locker.cli.options import DEFAULT_LOCKER, Actor, LockerDirectory
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

app = typer.Typer()
group = typer.Typer(no_args_is_help=True, help="Prove that nobody changed the timeline.")
app.add_typer(group, name="audit")

EXAMPLES = """
Examples:

  stella locker audit verify

  stella locker audit verify --locker /srv/locker --json

  stella locker audit checkpoint

  stella locker audit checkpoint --locker /srv/locker --out locker.checkpoint

  stella locker audit restart --reason "disk lost, restored from Friday's backup"

  stella locker audit restart --locker /srv/locker --reason "ticket 4711" --actor ann --json

  stella locker receipt <scan-id>

  stella locker receipt <scan-id> --locker /srv/locker --out scan.locker-receipt
"""


@group.command()
def verify(locker: LockerDirectory = DEFAULT_LOCKER, json: Json = False) -> Verdict:
    """Derive the audit log anew and compare all that was signed.

    Every event with its leaf, every kept hash, every checkpoint, the one beside the database, what sites were shown,
    and the triggers. Reads only; the same rows give the same answer.
    """
    from locker import audit_verify
    from locker.store import open_locker

    with open_locker(locker) as opened:
        report = audit_verify.verify(opened)
    console = Console(json=json)
    if json:
        console.document(audit_verify.described(report))
    else:
        console.data(f"origin       {report.origin}\nevents       {report.size}\nroot         {report.root}")
        console.data(f"checkpoints  {report.checkpoints}, the newest over {report.newest} events")
        console.data(f"sightings    {report.sightings}")
        for line in audit_verify.reasons(report):
            console.data(line)
    for remark in report.remarks:
        console.talk(f"note: {remark}")
    if (worst := report.worst) is not None:
        return console.verdict(worst.reason, worst.exit_code, worst.next_step)
    return console.verdict("UNCHANGED", 0)


@group.command()
def checkpoint(
    locker: LockerDirectory = DEFAULT_LOCKER,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write it there for a kit, with FILE.tlog-consistency beside it.", metavar="FILE"),
    ] = None,
    json: Json = False,
) -> Verdict:
    """Sign the audit log as it is now.

    Run it at the end of each job, and hourly. Nothing is signed twice. With --out for stella kit build
    --locker-checkpoint: sites remember it, and catch a log that was rewritten since.
    """
    from kit.ledger import proof
    from locker import audit
    from locker.store import open_locker
    from verifier.durable import write_atomic

    with open_locker(locker) as opened:
        signed = audit.sign(opened, now=datetime.now(UTC))
        if out is not None:
            with opened.rows.read() as connection:
                grown = audit.growth(connection, signed.checkpoint)
            write_atomic(out.with_name(out.name + ".tlog-consistency"), proof.encode_consistency(grown))
            write_atomic(out, signed.note)
    console = Console(json=json)
    found = signed.checkpoint
    console.document({"origin": found.origin, "size": found.size, "root": found.root.hex(), "fresh": signed.fresh})
    following = join(["stella", "kit", "build", "--locker-checkpoint", str(out), "..."]) if out else ""
    return console.verdict("SIGNED" if signed.fresh else "KNOWN", 0, following)


@group.command()
def restart(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept on the timeline.", metavar="TEXT")],
    locker: LockerDirectory = DEFAULT_LOCKER,
    actor: Actor = None,
    json: Json = False,
) -> Verdict:
    """Begin anew, on record, after events were lost.

    Only where an older database had to be put back: the log then lacks what it once signed, and nothing is written to
    the locker any more. A new key signs from here on; what is lost is told by every later audit.
    """
    from locker import audit
    from locker.acting import of_process
    from locker.store import open_locker

    with open_locker(locker, of_process(actor)) as opened:
        signed = audit.restart(opened, reason, now=datetime.now(UTC), entropy=os.urandom)
    console = Console(json=json)
    console.document({"origin": signed.checkpoint.origin, "size": signed.checkpoint.size})
    return console.verdict("BEGUN ANEW", 0, "give the new audit/audit.pub.pem to those who check receipts")


@app.command()
def receipt(
    scan_id: Annotated[str, typer.Argument(help="The scan's id, or its first digits.", metavar="SCAN-ID")],
    out: Annotated[Path | None, typer.Option("--out", help="Write it there, not on stdout.", metavar="FILE")] = None,
    locker: LockerDirectory = DEFAULT_LOCKER,
    json: Json = False,
) -> Verdict:
    """Give the proof of a scan's ingest and history.

    One plain text: each event of the scan with its proof in the audit log, under one signed checkpoint. Anybody who has
    audit/audit.pub.pem checks it, without the locker: stella receipt check FILE --key audit.pub.pem.
    """
    from kit.bytes import digest
    from locker import audit, views
    from locker import receipt as receipts
    from locker.store import open_locker
    from verifier.durable import write_atomic

    with open_locker(locker) as opened:
        signed = audit.sign(opened, now=datetime.now(UTC))
        scan = views.scan_id(opened, scan_id)
        text = receipts.make(opened, scan, signed)
    console = Console(json=json)
    if out is not None:
        write_atomic(out, text)
    if json:
        console.document({"scan": scan, "digest": digest.of_bytes(text), "receipt": text.decode()})
    elif out is None:
        console.text(text)
    key = str(locker / "audit" / "audit.pub.pem")
    following = join(["stella", "receipt", "check", str(out) if out else "FILE", "--key", key])
    return console.verdict("RECEIPT", 0, following)
