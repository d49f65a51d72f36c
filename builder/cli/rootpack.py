"""stella rootpack: found a RootPack, show it, and change it, alone or by several keepers."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import rootpack_lines as lines
from builder.cli.options import DEFAULT_ROOTPACK, Passphrase, RootPack, passphrase
from kit.errors import UsageError
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

if TYPE_CHECKING:
    from builder.trust_change import Change
    from builder.trust_draft import Opened
    from builder.trust_publish import Office
    from kit.trust.keys import PublicKey

app = typer.Typer(no_args_is_help=True, help="Keep keys and trust roots.")

EXAMPLES = """
Examples:

  stella rootpack init --owner release-engineering --keys keys

  stella rootpack init --owner release-engineering --kit-key ci.pub.pem --kit-key spare.pub.pem --passphrase-file phrase

  stella rootpack show

  stella rootpack add-key site.pub.pem --usage site --owner site-7 --keys keys

  stella rootpack add-key ci.pub.pem --usage kit --owner ci --until 2027-03-31T23:59:59Z

  stella rootpack add-tsa --chain tsa-chain.pem --uri https://tsa.example --keys keys

  stella rootpack add-tsa --chain tsa-chain.pem --uri https://tsa.example --propose next.draft

  stella rootpack rotate --old keys/kit-1.pub.pem --new keys/kit-2.pub.pem --make --overlap-days 30

  stella rootpack rotate --old root-1.pub.pem --new root-4.pub.pem --keys /media/one --propose next.draft

  stella rootpack sign next.draft --keys /media/two

  stella rootpack sign next.draft --keys /media/two --expect SHA256:5b1f...

  stella rootpack publish next.draft --keys keys

  stella rootpack publish --keys keys

  stella rootpack revoke keys/kit-1.pub.pem --state compromised --since 2026-11-20T00:00:00Z --reason "host broken into"

  stella rootpack revoke sha256:5b1f... --state retired --propose next.draft --keys /media/one

  stella rootpack revoke keys/kit-1.pub.pem --state compromised --last-good-log log.example/stella --last-good-index 41

  stella rootpack show --draft next.draft

  stella rootpack read-key 'hsm:2?label=release' --name kit-2 --keys keys

  stella rootpack read-key hsm:1 --name online-2 --json
"""

Keys = Annotated[
    Path,
    typer.Option(
        "--keys", envvar="STELLA_KEYS", help="Directory of the private key files, or key URIs.", metavar="DIR"
    ),
]
Owner = Annotated[str, typer.Option("--owner", help="Who holds the key, as sites are to see it.", metavar="NAME")]
Propose = Annotated[
    Path | None,
    typer.Option(
        "--propose", help="Publish nothing; write the change here, for other keepers to sign.", metavar="FILE"
    ),
]
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
    from builder import signer, trust
    from kit.trust.keys import ECDSA_P256

    console = Console(json=json)
    founded = trust.init(
        rootpack,
        keys,
        now=_now(time),
        owner=owner,
        entropy=os.urandom,
        ceremony=trust.SINGLE_SIGNER if single_signer else trust.Ceremony(),
        kit_keys=[_public(path, algorithm) for path in kit_key or []],
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
    from builder import trust_view

    _check_there(rootpack)
    console = Console(json=json)
    if draft is not None:
        opened = _opened(draft, rootpack)
        lines.print_draft(console, opened, _now(time))
        return console.verdict("PROPOSED", 0, f"stella rootpack sign {draft} --keys DIR")
    view = trust_view.show(rootpack, now=_now(time))
    lines.print_out(console, view, lines.pack_lines(view))
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
    algorithm: Annotated[
        str | None,
        typer.Option("--algorithm", help="An RSA key's padding: rsa-pss-sha256 or rsa-pkcs1-sha256.", metavar="NAME"),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="Crypto profile of the key, such as FIPS-140-3.", metavar="NAME"),
    ] = None,
    demand_profile: Annotated[
        list[str] | None,
        typer.Option(
            "--demand-profile",
            help="From now on a key of this profile must sign, whatever the threshold; repeat for each.",
            metavar="NAME",
        ),
    ] = None,
    propose: Propose = None,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Trust one more key for one usage.

    Publishes new versions of targets, snapshot and timestamp; the keys of these roles must be at hand.
    """
    from builder import trust_change

    made = trust_change.adding(
        _public(key, algorithm),
        usage=usage,
        owner=owner,
        valid_until=until,
        threshold=threshold,
        profile=profile,
        demanded=demand_profile or (),
    )
    return publish_or_propose(made, office_of(rootpack, keys, time, passphrase_file), propose, json=json)


@app.command("add-tsa")
def add_tsa(
    chain: Annotated[
        Path,
        typer.Option("--chain", help="Its certificates (PEM): the stamping one first, the root last.", metavar="PEM"),
    ],
    uri: Annotated[str, typer.Option("--uri", help="Where it is asked, as people are to see it.", metavar="URL")],
    since: Annotated[
        str | None,
        typer.Option("--from", help="First moment it is trusted for, UTC; else its certificates'.", metavar="TIME"),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", help="Last moment it is trusted for, UTC; else its certificates'.", metavar="TIME"),
    ] = None,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    keys: Keys = Path("keys"),
    propose: Propose = None,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Trust a time-stamping authority (RFC 3161).

    Its certificate is pinned: when the authority changes it, add the new one as well.
    """
    from builder import timestamps, trust_change

    change = trust_change.stamping(timestamps.read_chain(chain), uri=uri, valid_from=since, valid_until=until)
    return publish_or_propose(change, office_of(rootpack, keys, time, passphrase_file), propose, json=json)


@app.command()
def rotate(
    old: Annotated[
        list[Path] | None,
        typer.Option("--old", help="Public key (PEM) to be replaced, in whatever role or usage it has.", metavar="PEM"),
    ] = None,
    new: Annotated[
        list[Path] | None,
        typer.Option("--new", help="Public key (PEM) to take its place, in the order of --old.", metavar="PEM"),
    ] = None,
    make: Annotated[
        bool, typer.Option("--make", help="Make the new keys whose files are not there, private keys beside them.")
    ] = False,
    algorithm: Annotated[
        str | None,
        typer.Option("--algorithm", help="Of the new keys; that of the old ones by default.", metavar="NAME"),
    ] = None,
    overlap_days: Annotated[
        int,
        typer.Option("--overlap-days", help="How long a replaced key of the keyring still counts.", min=0, max=3650),
    ] = 30,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    keys: Keys = Path("keys"),
    propose: Propose = None,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Put new keys in the places of old ones.

    Without --old and --new, root and targets are renewed. A new root is signed by the keepers of the old root and by
    those of the new one.
    """
    from builder import signer, trust_change

    olds = [signer.load_public(path) for path in old or []]
    if len(olds) != len(new or []):
        raise UsageError(option="--new", expected=f"{len(olds)}, one for each --old", found=len(new or []))
    office = office_of(rootpack, keys, time, passphrase_file)
    if make:
        for path, replaced in zip(new or [], olds, strict=True):
            _make_key(path, algorithm or replaced.algorithm, office.password)
    pairs = list(zip(olds, [_public(path, algorithm) for path in new or []], strict=True))
    change = trust_change.rotating(pairs, overlap=timedelta(days=overlap_days))
    return publish_or_propose(change, office, propose, json=json)


@app.command()
def revoke(
    key: Annotated[
        list[str],
        typer.Argument(help="The keys: public key files (PEM) or fingerprints (sha256:<hex>).", metavar="KEY"),
    ],
    state: Annotated[
        str,
        typer.Option("--state", help="retired: put aside in good order; compromised: in other hands.", metavar="STATE"),
    ],
    since: Annotated[
        str | None,
        typer.Option(
            "--since", help="First moment at which nothing by it counts, UTC; now.", metavar="YYYY-MM-DDTHH:MM:SSZ"
        ),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, as sites are to see it.", metavar="TEXT")] = "",
    last_good_log: Annotated[
        str | None,
        typer.Option("--last-good-log", help="Log whose entries up to --last-good-index count.", metavar="ORIGIN"),
    ] = None,
    last_good_index: Annotated[
        int | None, typer.Option("--last-good-index", help="The last of them.", min=0, metavar="INDEX")
    ] = None,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    keys: Keys = Path("keys"),
    propose: Propose = None,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Take trust from keys of the keyring.

    A site still believes what it took in before that moment, by its own records; of a retired key also what a time
    stamp or a witness saw before, of a compromised one what the log named here had by then.
    """
    from builder import trust_change, trust_view
    from kit.trust.revocations import LastGood

    if (last_good_log is None) != (last_good_index is None):
        raise UsageError(option="--last-good-log", detail="goes together with --last-good-index")
    good = (
        LastGood(origin=last_good_log, index=last_good_index) if last_good_log and last_good_index is not None else None
    )
    office = office_of(rootpack, keys, time, passphrase_file)
    names = [_fingerprint(one) for one in key]
    start = since or trust_view.text(office.now)
    change = trust_change.revoking(names, state=state, since=start, reason=reason, last_good=good)
    return publish_or_propose(change, office, propose, json=json)


@app.command("read-key")
def read_key(
    uri: Annotated[str, typer.Argument(help="The key's URI: hsm:ID?label=TOKEN.", metavar="URI")],
    name: Annotated[str, typer.Option("--name", help="Name of the key's two files.", metavar="NAME")],
    keys: Keys = Path("keys"),
    json: Json = False,
) -> Verdict:
    """Name a key that lives in an HSM.

    Reads its public half from the token and writes NAME.pub.pem and NAME.key.uri. Compare the fingerprint.
    """
    from builder import remote_signer, signer
    from kit.trust.keys import grouped

    console = Console(json=json)
    if Path(name).name != name or not name:
        raise UsageError(option="--name", expected="a name without a directory", found=name[:80])
    public = remote_signer.read_public(uri)
    signer.write_remote(keys, name, public, uri)
    console.document(
        {"algorithm": public.algorithm, "fingerprint": public.fingerprint, "grouped": grouped(public.fingerprint)}
    )
    file = keys / f"{name}{signer.PUBLIC_SUFFIX}"
    return console.verdict("NAMED", 0, f"stella rootpack add-key {file} --usage USAGE --owner NAME")


@app.command()
def sign(
    draft: Annotated[Path, typer.Argument(help="The proposed change; the signatures are added to it.", metavar="FILE")],
    keys: Keys = Path("keys"),
    rootpack: RootPack = DEFAULT_ROOTPACK,
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect", help="Fingerprint of the change, as its proposer saw it: SHA256:<hex>.", metavar="FINGERPRINT"
        ),
    ] = None,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Sign a proposed change with every wanted key that is at hand.

    Needs the RootPack that the change follows, and no network: file, RootPack and keys may be on a machine of your own.
    """
    from builder import files, trust_draft, trust_view
    from kit.bytes import canonical

    _check_there(rootpack)
    console = Console(json=json)
    opened = _opened(draft, rootpack)
    _check_expected(opened, expect)
    signed, signers = trust_draft.sign(opened, keys, passphrase(passphrase_file))
    if not signers:
        raise UsageError(option="--keys", path=str(keys), detail="none of the keys that are to sign is here")
    files.write_atomic(draft, canonical.encode_record(signed))
    opened = trust_draft.open_on(signed, trust_view.current_files(rootpack))
    lines.print_draft(console, opened, _now(time))
    return console.verdict(*lines.standing(opened, draft))


@app.command()
def publish(
    draft: Annotated[
        list[Path] | None,
        typer.Argument(help="The signed change, or copies of it that each keeper has signed.", metavar="FILE"),
    ] = None,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    keys: Keys = Path("keys"),
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Publish a change that enough keepers have signed.

    Without one, snapshot and timestamp are renewed. Needs the online key alone.
    """
    from builder import trust, trust_draft

    office = office_of(rootpack, keys, time, passphrase_file)
    console = Console(json=json)
    copies = [trust_draft.parse(_read(path)) for path in draft or []]
    view = trust.publish(office, copies) if copies else trust.refresh(office)
    lines.print_out(console, view, lines.pack_lines(view))
    return console.verdict("PUBLISHED", 0, lines.carries(rootpack))


def publish_or_propose(change: "Change", office: "Office", propose: Path | None, *, json: bool) -> Verdict:
    """Carry out a change at once, or write it to a file for others to sign."""
    from builder import files, trust, trust_draft, trust_view
    from kit.bytes import canonical

    console = Console(json=json)
    if propose is None:
        view = trust.carry_out(office, change)
        lines.print_out(console, view, lines.pack_lines(view))
        return console.verdict("PUBLISHED", 0, lines.carries(office.pack_dir))
    draft, _ = trust.propose(office, change)
    files.write_new(propose, canonical.encode_record(draft))
    opened = trust_draft.open_on(draft, trust_view.current_files(office.pack_dir))
    lines.print_draft(console, opened, office.now)
    return console.verdict(*lines.standing(opened, propose))


def office_of(rootpack: Path, keys: Path, time: str | None, passphrase_file: Path | None) -> "Office":
    """Return the keeper's office: the RootPack, the keys at hand, and the time."""
    from builder import trust_publish, trust_view

    _check_there(rootpack)
    return trust_publish.Office(rootpack, keys, trust_view.second(_now(time)), password=passphrase(passphrase_file))


def _public(path: Path, algorithm: str | None) -> "PublicKey":
    """Read a public key that is to be trusted; :class:`UsageError` for an RSA key whose padding is not named."""
    from builder import signer
    from kit.trust.keys import RSA, RSA_PKCS1, RSA_PSS

    key = signer.load_public(path, algorithm)
    if key.algorithm == RSA:
        raise UsageError(
            option="--algorithm", expected=f"{RSA_PSS} or {RSA_PKCS1}", detail="an RSA key does not tell its padding"
        )
    return key


def _make_key(public_file: Path, algorithm: str, password: bytes | None) -> None:
    """Make the key of a public key file that is not there."""
    from builder import signer

    if not public_file.name.endswith(signer.PUBLIC_SUFFIX):
        raise UsageError(option="--new", path=public_file.name, expected=f"a name that ends in {signer.PUBLIC_SUFFIX}")
    if not public_file.exists():
        name = public_file.name.removesuffix(signer.PUBLIC_SUFFIX)
        signer.create(public_file.parent, name, algorithm, entropy=os.urandom, password=password)


def _fingerprint(given: str) -> str:
    """Return the fingerprint that was given, or that of the key in a file."""
    from builder import signer

    form = given.lower()
    digits = form.removeprefix("sha256:")
    if form.startswith("sha256:") and len(digits) == 64 and set(digits) <= set("0123456789abcdef"):
        return form
    return signer.load_public(Path(given)).fingerprint


def _read(draft: Path) -> bytes:
    from builder import trust_draft

    try:
        with draft.open("rb") as file:
            return file.read(trust_draft.MAX_BYTES + 1)
    except OSError as fault:
        raise UsageError(path=str(draft), detail=fault.strerror or "cannot be read") from fault


def _opened(draft: Path, rootpack: Path) -> "Opened":
    from builder import trust_draft, trust_view

    return trust_draft.open_on(trust_draft.parse(_read(draft)), trust_view.current_files(rootpack))


def _check_expected(opened: "Opened", expect: str | None) -> None:
    from kit.errors import DraftsDiffer

    if expect is None:
        return
    digits = "".join(expect.lower().removeprefix("sha256:").split())
    if f"sha256:{digits}" != opened.fingerprint:
        raise DraftsDiffer(expected=f"sha256:{digits}", found=opened.fingerprint)


def _now(time: str | None) -> datetime:
    from kit.trust.keyring import check_time
    from verifier.asked import typed

    with typed("--time"):
        return datetime.now(UTC) if time is None else datetime.fromisoformat(check_time(time, "--time"))


def _check_there(rootpack: Path) -> None:
    if not (rootpack / "metadata").is_dir():
        found = "a directory without metadata/" if rootpack.is_dir() else "no such directory"
        raise UsageError(option="--rootpack", path=str(rootpack), expected="a RootPack's directory", found=found)
