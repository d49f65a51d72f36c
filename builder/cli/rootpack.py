"""stella rootpack: found a RootPack, show it, add keys to its keyring."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import DEFAULT_ROOTPACK, Passphrase, RootPack, passphrase
from kit.errors import UsageError
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

if TYPE_CHECKING:
    from builder.trust import KeyFile
    from builder.trust_view import RootPackView

app = typer.Typer(no_args_is_help=True, help="Keep keys and trust roots.")

EXAMPLES = """
Examples:

  stella rootpack init --owner release-engineering --keys keys

  stella rootpack init --owner release-engineering --kit-key ci.pub.pem --kit-key spare.pub.pem --passphrase-file phrase

  stella rootpack show

  stella rootpack show --rootpack /srv/rootpack --json

  stella rootpack add-key site.pub.pem --usage site --owner site-7 --keys keys

  stella rootpack add-key ci.pub.pem --usage kit --owner ci --until 2027-03-31T23:59:59Z
"""

Keys = Annotated[
    Path,
    typer.Option("--keys", envvar="STELLA_KEYS", help="Directory of the private key files (mode 0600).", metavar="DIR"),
]
Owner = Annotated[str, typer.Option("--owner", help="Who holds the key, as sites are to see it.", metavar="NAME")]
Time = Annotated[str | None, typer.Option("--time", help="Take this UTC time for now.", metavar="YYYY-MM-DDTHH:MM:SSZ")]


@app.command()
def init(
    owner: Owner,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    keys: Keys = Path("keys"),
    kit_key: Annotated[
        list[Path] | None,
        typer.Option(
            "--kit-key",
            help="Public key (PEM) of a kit signer kept elsewhere; repeat for more; else one is made.",
            metavar="FILE",
        ),
    ] = None,
    single_signer: Annotated[
        bool,
        typer.Option("--single-signer", help="One root and one targets key instead of 2 of 3: for demonstrations."),
    ] = False,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Found a RootPack and make its keys.

    Makes the root, targets, online and kit keys that are missing, and publishes version 1.
    """
    from builder import signer, trust

    console = Console(json=json)
    founded = trust.init(
        rootpack,
        keys,
        now=_now(time),
        owner=owner,
        entropy=os.urandom,
        ceremony=trust.SINGLE_SIGNER if single_signer else trust.Ceremony(),
        kit_keys=[signer.load_public(path) for path in kit_key or []],
        password=passphrase(passphrase_file),
    )
    _print(console, founded, [*_key_file_lines(founded.key_files), "", *_pack_lines(founded.pack)])
    console.talk(f"public keys: {keys}/*{signer.PUBLIC_SUFFIX}; take the root and targets keys offline now")
    root = rootpack / "metadata" / "1.root.json"
    pin = founded.pack.roots[0].pin
    return console.verdict("FOUNDED", 0, f"at each site: stella offline init --root {root} --expect-root {pin}")


@app.command()
def show(rootpack: RootPack = DEFAULT_ROOTPACK, time: Time = None, json: Json = False) -> Verdict:
    """Show versions, keys and their windows.

    Nothing is compared with a pin.
    """
    from builder import trust_view

    _check_there(rootpack)
    console = Console(json=json)
    view = trust_view.show(rootpack, now=_now(time))
    _print(console, view, _pack_lines(view))
    expired = [role.role for role in view.roles if role.expired]
    return console.verdict(f"EXPIRED: {', '.join(expired)}" if expired else "CURRENT", 0)


@app.command("add-key")
def add_key(
    key: Annotated[Path, typer.Argument(help="The public key to trust (PEM).", metavar="PEM")],
    usage: Annotated[str, typer.Option("--usage", help="kit, site, anchor, log or witness.", metavar="USAGE")],
    owner: Owner,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    keys: Keys = Path("keys"),
    until: Annotated[
        str | None,
        typer.Option(
            "--until", help="Last moment of its window, UTC; open by default.", metavar="YYYY-MM-DDTHH:MM:SSZ"
        ),
    ] = None,
    threshold: Annotated[
        int | None,
        typer.Option("--threshold", help="How many keys of this usage must sign from now on.", min=1),
    ] = None,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Trust one more key for one usage.

    Publishes new versions of targets, snapshot and timestamp; the keys of these roles must be at hand.
    """
    from builder import signer, trust

    _check_there(rootpack)
    console = Console(json=json)
    view = trust.add_key(
        rootpack,
        keys,
        signer.load_public(key),
        usage=usage,
        owner=owner,
        now=_now(time),
        valid_until=until,
        threshold=threshold,
        password=passphrase(passphrase_file),
    )
    _print(console, view, _pack_lines(view))
    return console.verdict("PUBLISHED", 0, "the next kit carries it: stella kit build ... --rootpack " + str(rootpack))


def _now(time: str | None) -> datetime:
    from kit.trust.keyring import check_time
    from verifier.asked import typed

    with typed("--time"):
        return datetime.now(UTC) if time is None else datetime.fromisoformat(check_time(time, "--time"))


def _check_there(rootpack: Path) -> None:
    if not (rootpack / "metadata").is_dir():
        found = "a directory without metadata/" if rootpack.is_dir() else "no such directory"
        raise UsageError(option="--rootpack", path=str(rootpack), expected="a RootPack's directory", found=found)


def _print(console: Console, document: object, lines: Iterable[str]) -> None:
    if console.json:
        console.document(document)
    else:
        console.data("\n".join(lines))


def _key_file_lines(key_files: "Iterable[KeyFile]") -> list[str]:
    return [f"{key.name:<12}{'made' if key.created else 'found':<8}{key.use:<24}{key.fingerprint}" for key in key_files]


def _pack_lines(pack: "RootPackView") -> list[str]:
    lines = [f"issued      {pack.issued}", f"expires     {pack.expires}", ""]
    for root in pack.roots:
        lines += [
            f"root {root.version:<7}expires {root.expires}",
            f"            {root.pin}",
            f"            {root.grouped}",
        ]
    for role in pack.roles:
        state = "EXPIRED" if role.expired else "expires"
        quorum = f"{role.threshold} of {len(role.keys)} keys"
        lines += ["", f"{role.role:<12}version {role.version}, {quorum}, {state} {role.expires}"]
        lines += [f"            {key.grouped} {key.algorithm}" for key in role.keys]
    for signer in pack.signers:
        window = f"from {signer.valid_from}" + (f" until {signer.valid_until}" if signer.valid_until else "")
        lines += ["", f"{signer.usage:<12}{signer.owner}: {signer.state}, {window}"]
        lines += [f"            {signer.key.grouped} {signer.key.algorithm}"]
    needed = ", ".join(f"{number} {usage}" for usage, number in sorted(pack.thresholds.items()))
    return [*lines, "", f"signatures  {needed} needed"]
