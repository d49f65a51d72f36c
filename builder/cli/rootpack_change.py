"""stella rootpack add-key, add-tsa, rotate, revoke, require: the next version of a RootPack, published or proposed."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from builder.cli import rootpack_lines as lines
from builder.cli.options import DEFAULT_ROOTPACK, Passphrase, RootPack
from builder.cli.rootpack_options import DEFAULT_KEYS, Keys, Owner, Propose, Time, office_of
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

if TYPE_CHECKING:
    from builder.trust_change import Change
    from builder.trust_publish import Office

EXAMPLES = """
Examples:

  stella rootpack add-key site.pub.pem --usage site --owner site-7 --keys keys

  stella rootpack add-key ci.pub.pem --usage kit --owner ci --until 2027-03-31T23:59:59Z

  stella rootpack add-tsa --chain tsa-chain.pem --uri https://tsa.example --keys keys

  stella rootpack add-tsa --chain tsa-chain.pem --uri https://tsa.example --propose next.draft

  stella rootpack rotate --old keys/kit-1.pub.pem --new keys/kit-2.pub.pem --make --overlap-days 30

  stella rootpack rotate --old root-1.pub.pem --new root-4.pub.pem --keys /media/one --propose next.draft

  stella rootpack revoke keys/kit-1.pub.pem --state compromised --since 2026-11-20T00:00:00Z --reason "host broken into"

  stella rootpack revoke sha256:5b1f... --state retired --propose next.draft --keys /media/one

  stella rootpack revoke keys/kit-1.pub.pem --state compromised --last-good-log log.example/stella --last-good-index 41

stella rootpack require log --keys keys

  stella rootpack require log --off --keys /media/one --propose next.draft
"""

app = typer.Typer()


def change(made_by: "Callable[..., Change]") -> Callable[..., Verdict]:
    """Return the command that carries out a change, or proposes it: with the options that all changes share."""

    @wraps(made_by, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def command(
        *,
        rootpack: RootPack = DEFAULT_ROOTPACK,
        keys: Keys = DEFAULT_KEYS,
        propose: Propose = None,
        passphrase_file: Passphrase = None,
        time: Time = None,
        json: Json = False,
        **own: Any,
    ) -> Verdict:
        office = office_of(rootpack, keys, time, passphrase_file)
        return _publish_or_propose(made_by(**own), office, propose, json=json)

    # What typer reads: the change's own options in the place of ``own``, before the shared ones.
    first = signature(made_by).parameters.values()
    *shared, _ = signature(command, follow_wrapped=False).parameters.values()
    named = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in (*first, *shared)]
    command.__signature__ = Signature(named)  # type: ignore[attr-defined]  # functions may have one
    return command


@app.command("add-key")
@change
def add_key(
    key: Annotated[Path, typer.Argument(help="The public key to trust (PEM).", metavar="PEM")],
    usage: Annotated[str, typer.Option("--usage", help="kit, site, anchor, locker, log or witness.", metavar="USAGE")],
    owner: Owner,
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
) -> "Change":
    """Trust one more key for one usage.

    Publishes new versions of targets, snapshot and timestamp; the keys of these roles must be at hand.
    """
    from builder import trust_change, trust_requests

    return trust_change.adding(
        trust_requests.public_key(key, algorithm),
        usage=usage,
        owner=owner,
        valid_until=until,
        threshold=threshold,
        profile=profile,
        demanded=demand_profile or (),
    )


@app.command("add-tsa")
@change
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
) -> "Change":
    """Trust a time-stamping authority (RFC 3161).

    Its certificate is pinned: when the authority changes it, add the new one as well.
    """
    from builder import timestamps, trust_change

    return trust_change.stamping(timestamps.read_chain(chain), uri=uri, valid_from=since, valid_until=until)


@app.command()
@change
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
) -> "Change":
    """Put new keys in the places of old ones.

    Without --old and --new, root and targets are renewed. A new root is signed by the keepers of the old root and by
    those of the new one.
    """
    from builder import trust_requests

    overlap = timedelta(days=overlap_days)
    return trust_requests.rotating(old or [], new or [], algorithm=algorithm, make=make, overlap=overlap)


@app.command()
@change
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
        int | None,
        typer.Option(
            "--last-good-index",
            help="The last of them: the inclusion proof's index, not Rekor v1's larger global logIndex.",
            min=0,
            metavar="INDEX",
        ),
    ] = None,
) -> "Change":
    """Take trust from keys of the keyring.

    A site still believes what it took in before that moment, by its own records; of a retired key also what a time
    stamp or a witness saw before, of a compromised one what the log named here had by then.
    """
    from builder import trust_change, trust_requests

    good = trust_requests.last_good(last_good_log, last_good_index)
    names = [trust_requests.fingerprint(one) for one in key]
    return trust_change.revoking(names, state=state, since=since, reason=reason, last_good=good)


@app.command()
@change
def require(
    usage: Annotated[str, typer.Argument(help="Whose evidence every run must have: log.", metavar="USAGE")],
    off: Annotated[bool, typer.Option("--off", help="Demand it no longer.")] = False,
) -> "Change":
    """Demand ledger evidence of every run.

    No site can turn off what the RootPack demands, and no kit is built that lacks it.
    """
    from builder import trust_change

    return trust_change.requiring(usage, required=not off)


def _publish_or_propose(made: "Change", office: "Office", propose: Path | None, *, json: bool) -> Verdict:
    """Carry out a change at once, or write it to a file for others to sign."""
    from builder import files, trust, trust_draft, trust_view
    from kit.bytes import canonical

    console = Console(json=json)
    if propose is None:
        view = trust.carry_out(office, made)
        lines.print_out(console, view, lines.pack_lines(view))
        return console.verdict("PUBLISHED", 0, lines.carries(office.pack_dir))
    draft, _ = trust.propose(office, made)
    files.write_new(propose, canonical.encode_record(draft))
    opened = trust_draft.open_on(draft, trust_view.current_files(office.pack_dir))
    lines.print_draft(console, opened, office.now)
    return console.verdict(*lines.standing(opened, propose))
