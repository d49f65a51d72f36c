"""stella feed diff: what changed between two snapshots of a feed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verifier.cli.console import Console, Verdict, one_line
from verifier.cli.options import Json

if TYPE_CHECKING:
    from builder.feed_changes import FeedDifference

EXAMPLES = """
Examples:

  stella feed diff osv-pypi@sha256:<digest> osv-pypi

  stella feed diff <digest> osv-pypi --sbom app.cdx.json --exit-code
"""

app = typer.Typer()

_MOST_SHOWN = 200
_SIGNS = {"added": "+", "removed": "-", "withdrawn": "w", "changed": "~"}
_FEEDS = Path("feeds")


@app.command()
def diff(
    before: Annotated[
        str, typer.Argument(help="Snapshot directory, feed (its current one), FEED@DIGEST or digest.", metavar="A")
    ],
    after: Annotated[str, typer.Argument(help="The other snapshot, named in the same way.", metavar="B")],
    feeds: Annotated[
        Path, typer.Option("--feeds", envvar="STELLA_FEEDS", help="The feed store.", metavar="DIR")
    ] = _FEEDS,
    packages: Annotated[
        list[str] | None,
        typer.Option("--packages", help="Only records about this package.", metavar="PURL"),
    ] = None,
    sbom: Annotated[
        Path | None, typer.Option("--sbom", help="Only records about packages of this SBOM.", metavar="FILE")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Leave with 10 when they differ.")] = False,
    json: Json = False,
) -> Verdict:
    """Compare two snapshots of a feed, record by record."""
    from builder import feed_changes, requests
    from builder.feeds import opened
    from kit.errors import ReplayDiffers

    console = Console(json=json)
    wanted = None
    if packages or sbom is not None:
        wanted = feed_changes.packages_of(packages or [], requests.read(sbom, "--sbom") if sbom is not None else None)
    places = [feed_changes.locate(feeds, text) for text in (before, after)]
    with opened(places[0]) as old, opened(places[1]) as new:
        found = feed_changes.compare(old, new, wanted)
    if json:
        console.document(found)
    else:
        console.data("\n".join(_lines(found)))
    if found.equal or not found.records:
        return console.verdict("EQUAL", 0)
    return console.verdict("DIFFERENT", ReplayDiffers.exit_code if exit_code else 0)


def _lines(found: "FeedDifference") -> list[str]:
    if found.equal:
        return [f"the same {found.after.advisories} advisories, content root {found.after.content_root}"]
    lines = [
        f"{word:<7} {one.name} {one.snapshot_time} {one.snapshot[7:23]} {one.advisories} advisories"
        for word, one in (("before", found.before), ("after", found.after))
    ]
    if found.packages is not None:
        lines.append(f"only records about {found.packages} packages")
    lines += ["", f"{'':<20}" + "".join(f"{kind:>11}" for kind in found.counts)]
    rows = [*found.ecosystems.items(), ("all records", found.counts)]
    lines += [f"{one_line(name)[:20]:<20}" + "".join(f"{count:>11}" for count in row.values()) for name, row in rows]
    if found.members:
        lines += [
            "",
            "members that changed: " + ", ".join(f"{one_line(name)} {found.members[name]}" for name in found.members),
        ]
    lines.append("")
    for one in found.records[:_MOST_SHOWN]:
        told = one_line(": " + ", ".join(one.members)) if one.members else ""
        lines.append(one_line(f"{_SIGNS[one.kind]} {one.id}  {', '.join(one.ecosystems) or 'no package'}") + told)
    if len(found.records) > _MOST_SHOWN:
        lines.append(f"({len(found.records) - _MOST_SHOWN} more; --json has them all)")
    return lines
