"""What the rootpack commands print."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from verifier.cli.console import Console

if TYPE_CHECKING:
    from builder.trust import KeyFile
    from builder.trust_draft import Opened
    from builder.trust_view import KeyView, RootPackView


def print_draft(console: Console, opened: "Opened", now: datetime) -> None:
    """Print what a draft changes, who has signed it, and what has expired."""
    from builder import trust_draft

    view = trust_draft.describe(opened, now)
    lines = [f"change      {view.fingerprint}", f"            {view.grouped}"]
    lines += [f"            {line}" for line in view.changes]
    for demand in view.demands:
        lines += ["", f"{demand.role:<12}by {demand.by}: {len(demand.signed)} of {demand.threshold} signatures"]
        lines += [f"            {'signed' if key in demand.signed else '-':<8}{key}" for key in demand.keys]
    lines += [f"WARNING     {note}" for note in view.notes]
    print_out(console, view, lines)


def print_out(console: Console, document: object, lines: Iterable[str]) -> None:
    """Print a document as JSON where that is asked for, else as lines."""
    if console.json:
        console.document(document)
    else:
        console.data("\n".join(lines))


def key_file_lines(key_files: "Iterable[KeyFile]") -> list[str]:
    """Return the lines of a ceremony's key files."""
    return [f"{key.name:<12}{'made' if key.created else 'found':<8}{key.use:<24}{key.fingerprint}" for key in key_files]


def pack_lines(pack: "RootPackView") -> list[str]:
    """Return the lines of a RootPack: roots, roles, keys and their windows."""
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
        lines += [line for key in role.keys for line in _key_lines(key)]
    for signer in pack.signers:
        window = f"from {signer.valid_from}" + (f" until {signer.valid_until}" if signer.valid_until else "")
        lines += ["", f"{signer.usage:<12}{signer.owner}: {signer.state}, {window}"]
        if signer.revoked_since:
            why = f": {signer.revoked_for}" if signer.revoked_for else ""
            lines += [f"            REVOKED since {signer.revoked_since}{why}"]
        lines += _key_lines(signer.key, signer.profile)
    having = [signer.usage for signer in pack.signers]
    needed = ", ".join(
        f"{number} of {having.count(usage)} {usage}" for usage, number in sorted(pack.thresholds.items())
    )
    required = [f"required    evidence by keys of usage {usage}, of every run" for usage in pack.required]
    demanded = [f"profiles    {usage}: a key of each of {', '.join(names)}" for usage, names in pack.profiles.items()]
    return [*lines, "", f"signatures  {needed} needed", *required, *demanded]


def published_lines(pack: "RootPackView") -> list[str]:
    """Return what was published, a line a role and a line a key; ``stella rootpack show`` has all of it."""
    root = pack.roots[-1]
    lines = [f"published   {pack.issued}, expires {pack.expires}", f"root {root.version:<7}{root.grouped}"]
    for role in pack.roles:
        state = "EXPIRED" if role.expired else "expires"
        lines.append(f"{role.role:<12}version {role.version}, {state} {role.expires}")
    keys = [f"{key.usage:<12}{key.owner}: {key.state}, {key.key.grouped[:19]} ..." for key in pack.signers]
    return [*lines, *keys, "to see all of it: stella rootpack show"]


def _key_lines(key: "KeyView", profile: str | None = None) -> list[str]:
    named = f", profile {profile}" if profile else ""
    return [f"            {key.grouped} {key.algorithm}{named}", f"            {key.fingerprint}"]


def standing(opened: "Opened", draft: Path) -> tuple[str, int, str]:
    """Return verdict, exit code and next step of a draft as it stands."""
    if all(demand.is_met for demand in opened.demands):
        return "READY", 0, f"stella rootpack publish {quote(str(draft))}"
    return "PROPOSED", 0, f"another keeper: {signing(opened, draft)}"


def signing(opened: "Opened", draft: Path) -> str:
    """Return how a keeper signs a draft, and no other one that may take its place."""
    return f"stella rootpack sign {quote(str(draft))} --keys DIR --expect {opened.shown_fingerprint}"


def carries(rootpack: Path) -> str:
    """Return the next step after a publication."""
    return f"the next kit carries it: stella kit build ... --rootpack {rootpack}"
