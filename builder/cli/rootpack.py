"""stella rootpack: found a RootPack, show it, and name the keys of an HSM."""

import os
from pathlib import Path
from typing import Annotated

import typer

from builder.cli import rootpack_lines as lines
from builder.cli.options import DEFAULT_ROOTPACK, Passphrase, RootPack, passphrase
from builder.cli.rootpack_options import DEFAULT_KEYS, Keys, Owner, Time
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

app = typer.Typer(no_args_is_help=True, help="Keep keys and trust roots.")

EXAMPLES = """
Examples:

stella rootpack init --owner release-engineering --keys keys

  stella rootpack init --owner release-engineering --kit-key ci.pub.pem --kit-key spare.pub.pem --passphrase-file phrase

  stella rootpack show

  stella rootpack show --draft next.draft

  stella rootpack read-key 'hsm:2?label=release' --name kit-2 --keys keys

  stella rootpack read-key hsm:1 --name online-2 --json
"""


@app.command()
def init(
    owner: Owner,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    keys: Keys = DEFAULT_KEYS,
    kit_key: Annotated[
        list[Path] | None,
        typer.Option(
            "--kit-key",
            help="Public key (PEM) of a kit signer kept elsewhere; repeat for more; else one is made.",
            metavar="FILE",
        ),
    ] = None,
    algorithm: Annotated[
        str | None,
        typer.Option("--algorithm", help="Of the kit keys; ecdsa-p256-sha256 for those that are made.", metavar="NAME"),
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
    from builder import signer, trust, trust_requests
    from kit.trust.keys import ECDSA_P256

    console = Console(json=json)
    founded = trust.init(
        rootpack,
        keys,
        now=trust_requests.moment(time),
        owner=owner,
        entropy=os.urandom,
        ceremony=trust.SINGLE_SIGNER if single_signer else trust.Ceremony(),
        kit_keys=[trust_requests.public_key(path, algorithm) for path in kit_key or []],
        kit_algorithm=algorithm or ECDSA_P256,
        password=passphrase(passphrase_file),
    )
    lines.print_out(console, founded, [*lines.key_file_lines(founded.key_files), "", *lines.pack_lines(founded.pack)])
    console.talk(f"public keys: {keys}/*{signer.PUBLIC_SUFFIX}; take the root and targets keys offline now")
    root = rootpack / "metadata" / "1.root.json"
    pin = founded.pack.roots[0].pin
    return console.verdict("FOUNDED", 0, f"at each site: stella offline init --root {root} --expect-root {pin}")


@app.command()
def show(
    rootpack: RootPack = DEFAULT_ROOTPACK,
    draft: Annotated[
        Path | None, typer.Option("--draft", help="Show what this proposed change would do.", metavar="FILE")
    ] = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Show versions, keys and their windows.

    Nothing is compared with a pin.
    """
    from builder import trust_requests, trust_view

    trust_requests.check_there(rootpack)
    console = Console(json=json)
    if draft is not None:
        opened = trust_requests.opened(draft, rootpack)
        lines.print_draft(console, opened, trust_requests.moment(time))
        return console.verdict("PROPOSED", 0, lines.signing(opened, draft))
    view = trust_view.show(rootpack, now=trust_requests.moment(time))
    lines.print_out(console, view, lines.pack_lines(view))
    expired = [role.role for role in view.roles if role.expired]
    return console.verdict(f"EXPIRED: {', '.join(expired)}" if expired else "CURRENT", 0)


@app.command("read-key")
def read_key(
    uri: Annotated[str, typer.Argument(help="The key's URI: hsm:ID?label=TOKEN.", metavar="URI")],
    name: Annotated[str, typer.Option("--name", help="Name of the key's two files.", metavar="NAME")],
    keys: Keys = DEFAULT_KEYS,
    json: Json = False,
) -> Verdict:
    """Name a key that lives in an HSM.

    Reads its public half from the token and writes NAME.pub.pem and NAME.key.uri. Compare the fingerprint.
    """
    from builder import remote_signer, signer, trust_requests
    from kit.trust.keys import grouped

    console = Console(json=json)
    trust_requests.check_key_name(name)
    public = remote_signer.read_public(uri)
    signer.write_remote(keys, name, public, uri)
    console.document(
        {"algorithm": public.algorithm, "fingerprint": public.fingerprint, "grouped": grouped(public.fingerprint)}
    )
    file = keys / f"{name}{signer.PUBLIC_SUFFIX}"
    return console.verdict("NAMED", 0, f"stella rootpack add-key {file} --usage USAGE --owner NAME")
