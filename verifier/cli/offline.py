"""stella offline: the state of an air-gapped site."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import DEFAULT_KITS, DEFAULT_OPS, DEFAULT_SITE, Json, Kits, Ops, SiteDirectory

EXAMPLES = """
Examples:

  stella offline init --root 1.root.json --expect-root SHA256:77b017de...

  stella offline init --root 1.root.json --expect-root "SHA256:77b0 17de ..." --site /srv/stella/site

  stella offline status

  stella offline status --json

  stella offline floor --to 2026-06-01T12:00:00Z --reason "the clock's battery was empty"
"""

app = typer.Typer(no_args_is_help=True, help="Pin the trust root of this site, and show what it remembers.")


@app.command()
def init(
    root: Annotated[
        Path, typer.Option("--root", help="The first root: rootpack/metadata/1.root.json.", metavar="FILE")
    ],
    expect_root: Annotated[
        str,
        typer.Option(
            "--expect-root", help="Its fingerprint, from another way than the kit: SHA256:<hex>.", metavar="FINGERPRINT"
        ),
    ],
    encryption_key: Annotated[
        bool, typer.Option("--encryption-key", help="Also make a key that kits can be sealed to.")
    ] = False,
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
) -> Verdict:
    """Pin the trust root of this site and make the site's signing key."""
    from verifier import mounts
    from verifier import site as sites
    from verifier.places import check_outside, kit_around

    console = Console(json=json)
    around, kit = kit_around(site), kit_around(root)
    if around is not None:
        check_outside(around, "--site", site)
    if (note := mounts.apart(site, kit or root.parent)) and kit:
        console.talk(f"note: {note}")
    made = sites.init(site, sites.read_root(root), expect_root, entropy=os.urandom)
    document: dict[str, object] = {
        "site": made.fingerprint,
        "root": sites.root_fingerprint(made.pinned_root),
        "publicKey": str(site / sites.PUBLIC_FILE),
    }
    if encryption_key:
        from verifier import seal

        document["encryptionKey"] = seal.make_key(site, os.urandom).fingerprint
        document["encryptionPublicKey"] = str(site / seal.PUBLIC_FILE)
    console.document(document)
    return console.verdict(
        "PINNED",
        0,
        f"send {sites.PUBLIC_FILE} home: stella rootpack add-key {sites.PUBLIC_FILE} --usage site --owner NAME",
    )


@app.command()
def status(
    kits: Kits = DEFAULT_KITS, ops: Ops = DEFAULT_OPS, site: SiteDirectory = DEFAULT_SITE, json: Json = False
) -> Verdict:
    """Show what is active here and how old it is, the pinned root, the quarantine, the last runs.

    The exit code is that of the worst about an active kit: stale, or its copy missing or changed.
    """
    from verifier import session, site_text, site_view
    from verifier import site as sites
    from verifier.kit_store import Store

    console = Console(json=json)
    document, fault = site_view.status(sites.load(site), Store(kits), ops, session.clock())
    console.told(document, site_text.status(document))
    if fault is None:
        return console.verdict("PINNED", 0)
    return console.verdict(f"PINNED, ACTIVE KIT: {fault.reason}", fault.exit_code, fault.next_step)


@app.command()
def floor(
    to: Annotated[
        str, typer.Option("--to", help="The latest time that is surely past, UTC.", metavar="YYYY-MM-DDTHH:MM:SSZ")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why the floor was wrong; kept for ever.", metavar="TEXT")],
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
) -> Verdict:
    """Set the site's time floor, on record.

    Lower, for a site whose own clock ran ahead for a while; higher, for one whose clock is lost. First set the clock
    right if it can be.
    """
    from verifier import asked
    from verifier import site as sites

    console = Console(json=json)
    found = sites.load(site)
    with asked.typed("--to"), found.locked():
        before = found.state.time_floor
        found.reset_floor(to, reason)
    word = "LOWERED" if before is not None and to < before.time else "RAISED"
    console.document({"timeFloor": msgspec.to_builtins(found.state.time_floor)})
    return console.verdict(word, 0, "stella offline status")
