"""stella offline quarantine and state: what was refused here, and what the site remembers."""

from pathlib import Path
from typing import Annotated

import typer

from kit.errors import UsageError
from verifier.cli.console import Console, Verdict
from verifier.cli.options import DEFAULT_KITS, DEFAULT_SITE, Json, Kits, SiteDirectory

EXAMPLES = """
Examples:

  stella offline quarantine list

  stella offline quarantine show 20260601T120000Z-DigestMismatch-1a2b3c4d --json

  stella offline quarantine remove 20260601T120000Z-DigestMismatch-1a2b3c4d --reason "sent home on paper"

  stella offline state show --json

  stella offline state rebuild --from /srv/stella/ops
"""

app = typer.Typer(no_args_is_help=True)


@app.command("quarantine")
def quarantined(
    action: Annotated[str, typer.Argument(help="list, show or remove.", metavar="[list|show|remove]")] = "list",
    entry: Annotated[str | None, typer.Argument(help="The entry, for show and remove.", metavar="[ID]")] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="With remove: why; the record stays with it.", metavar="TEXT")
    ] = None,
    kits: Kits = DEFAULT_KITS,
    json: Json = False,
) -> Verdict:
    """Show what was refused, or remove it.

    Nothing of an entry can be run or becomes part of a kit here. Removing deletes what is kept of the medium; the
    record moves to .removed.
    """
    from verifier import quarantine, session
    from verifier.kit_store import Store
    from verifier.run_dir import stamp

    console, store = Console(json=json), Store(kits)
    _check_action(action, ("list", "show", "remove"), needs_name=action != "list", name=entry)
    if (reason is not None) != (action == "remove"):
        raise UsageError(option="--reason", detail="belongs to remove, and to nothing else")
    if action == "list":
        found = quarantine.entries(store.quarantine)
        console.document(
            {
                "entries": [
                    {"id": each.id, "kit": each.claimed_kit or "unknown", "kept": each.kept, "bytes": each.bundle_size}
                    for each in found
                ],
                "unreadable": quarantine.unreadable(store.quarantine),
            }
        )
        return console.verdict(f"{len(found)} IN QUARANTINE", 0)
    if action == "show":
        console.document(quarantine.show(store.quarantine, entry or ""))
        return console.verdict("SHOWN", 0)
    store.prepare()
    with store.locked():
        place = quarantine.remove(store.quarantine, entry or "", reason or "", now=stamp(session.clock()))
    console.document({"removed": entry, "record": str(place)})
    return console.verdict("REMOVED", 0)


@app.command("state")
def state(
    action: Annotated[str, typer.Argument(help="show or rebuild.", metavar="[show|rebuild]")] = "show",
    source: Annotated[
        Path | None, typer.Option("--from", help="With rebuild: the place of the runs (--ops).", metavar="OPS_DIR")
    ] = None,
    kits: Kits = DEFAULT_KITS,
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
) -> Verdict:
    """Show all that the site remembers, or make it anew from its signed results.

    Rebuilding is for a state.json that is damaged or lost; the pinned root and the site's key must be there. The
    damaged file stays beside the new one.
    """
    from verifier import site as sites

    console = Console(json=json)
    _check_action(action, ("show", "rebuild"), needs_name=False, name=None)
    if (source is not None) != (action == "rebuild"):
        raise UsageError(option="--from", detail="belongs to rebuild, which cannot do without it")
    if action == "show":
        console.document(sites.load(site).state)
        return console.verdict("SHOWN", 0)
    from verifier import site_rebuild
    from verifier.kit_store import Store

    rebuilt = site_rebuild.rebuild(site, source or Path(), Store(kits))
    console.document(rebuilt.document())
    return console.verdict("REBUILT", 0, "stella offline status")


def _check_action(action: str, known: tuple[str, ...], *, needs_name: bool, name: str | None) -> None:
    if action not in known:
        raise UsageError(detail=f"one of {', '.join(known)}", found=action[:32])
    if needs_name != (name is not None):
        raise UsageError(detail=f"{action} takes {'the id of an entry' if needs_name else 'no id'}")
