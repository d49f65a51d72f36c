"""stella rootpack: found a RootPack, show it, add keys to its keyring."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

if TYPE_CHECKING:
    from builder.trust import KeyFile
    from builder.trust_view import RootPackView

app = typer.Typer(no_args_is_help=True, help="Keep keys and trust roots.")

EXAMPLES = """
Examples:

  stella rootpack init --owner release-engineering --keys keys

  stella rootpack show --json

  stella rootpack add-key site.pub.pem --usage site --owner site-7 --keys keys
"""

RootPack = Annotated[
    Path, typer.Option("--rootpack", envvar="STELLA_ROOTPACK", help="The RootPack's directory.", metavar="DIR")
]
Keys = Annotated[
    Path,
    typer.Option("--keys", envvar="STELLA_KEYS", help="Directory of the private key files (mode 0600).", metavar="DIR"),
]
Owner = Annotated[str, typer.Option("--owner", help="Who holds the key, as sites are to see it.", metavar="NAME")]
Time = Annotated[
    str | None, typer.Option("--time", help="Take this UTC time for now: YYYY-MM-DDTHH:MM:SSZ.", metavar="TIME")
]
Passphrase = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="Passphrase of the private keys, in the first line.", metavar="FILE"),
]


@app.command()
def init(
    owner: Owner,
    rootpack: RootPack = Path("rootpack"),
    keys: Keys = Path("keys"),
    kit_key: Annotated[
        list[Path] | None,
        typer.Option("--kit-key", help="Public key (PEM) of a kit signer kept elsewhere; else one is made."),
    ] = None,
    single_signer: Annotated[
        bool,
        typer.Option("--single-signer", help="One root and one targets key instead of 2 of 3: for demonstrations."),
    ] = False,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Found a RootPack: make the root, targets, online and kit keys that are missing, and publish version 1."""
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
        password=_passphrase(passphrase_file),
    )
    _print(console, founded, [*_key_file_lines(founded.key_files), "", *_pack_lines(founded.pack)])
    console.talk(f"public keys: {keys}/*{signer.PUBLIC_SUFFIX}; take the root and targets keys offline now")
    root = rootpack / "metadata" / "1.root.json"
    pin = founded.pack.roots[0].pin
    return console.verdict("FOUNDED", 0, f"at each site: stella offline init --root {root} --expect-root {pin}")


@app.command()
def show(rootpack: RootPack = Path("rootpack"), time: Time = None, json: Json = False) -> Verdict:
    """Show versions, thresholds, windows and fingerprints; nothing is compared with a pin."""
    from builder import trust_view

    console = Console(json=json)
    view = trust_view.show(rootpack, now=_now(time))
    _print(console, view, _pack_lines(view))
    expired = [role.role for role in view.roles if role.expired]
    return console.verdict(f"EXPIRED: {', '.join(expired)}" if expired else "CURRENT", 0)


@app.command("add-key")
def add_key(
    key: Annotated[Path, typer.Argument(help="The public key to trust (PEM).", metavar="PEM")],
    usage: Annotated[str, typer.Option("--usage", help="kit, site, anchor, log or witness.")],
    owner: Owner,
    rootpack: RootPack = Path("rootpack"),
    keys: Keys = Path("keys"),
    until: Annotated[
        str | None, typer.Option("--until", help="Last moment of its window, UTC; open by default.", metavar="TIME")
    ] = None,
    threshold: Annotated[
        int | None,
        typer.Option("--threshold", help="How many keys of this usage must sign from now on.", min=1),
    ] = None,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Trust one more key for one usage, and publish new versions of targets, snapshot and timestamp."""
    from builder import signer, trust

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
        password=_passphrase(passphrase_file),
    )
    _print(console, view, _pack_lines(view))
    return console.verdict("PUBLISHED", 0, "the next kit carries it: stella kit build")


def _now(time: str | None) -> datetime:
    from kit.trust.keyring import check_time
    from verifier.asked import typed

    with typed("--time"):
        return datetime.now(UTC) if time is None else datetime.fromisoformat(check_time(time, "--time"))


def _passphrase(path: Path | None) -> bytes | None:
    from builder import signer

    return None if path is None else signer.read_passphrase(path)


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
