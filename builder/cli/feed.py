"""stella feed: make, list and show the feed snapshots that scans are evaluated against."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

if TYPE_CHECKING:
    from builder.feeds import FeedSummary, FeedView

app = typer.Typer(no_args_is_help=True, help="Keep snapshots of advisory feeds.")

EXAMPLES = """
Examples:

  stella feed add pypi PyPI/all.zip --time 2026-05-29T00:00:00Z

  stella feed list --json

  stella feed show pypi --deep
"""

Feeds = Annotated[Path, typer.Option("--feeds", envvar="STELLA_FEEDS", help="The feed store.", metavar="DIR")]
Name = Annotated[str, typer.Argument(help="The feed's name: a-z, 0-9, dot, dash, underscore.", metavar="NAME")]


@app.command()
def add(
    name: Name,
    source: Annotated[
        Path, typer.Argument(help="OSV all.zip, directory of OSV JSON files, or NDJSON.", metavar="SOURCE")
    ],
    feeds: Feeds = Path("feeds"),
    time: Annotated[
        str | None,
        typer.Option("--time", help="When the source was current, UTC; its last change by default.", metavar="TIME"),
    ] = None,
    origin: Annotated[
        str | None, typer.Option("--origin", help="Where it comes from, as sites are to see it.", metavar="TEXT")
    ] = None,
    level: Annotated[int, typer.Option("--level", help="Zstandard level.", min=1, max=19)] = 3,
    dictionary_from: Annotated[
        Path | None,
        typer.Option("--dictionary-from", help="Snapshot directory whose dictionary is used.", metavar="SNAPSHOT"),
    ] = None,
    json: Json = False,
) -> Verdict:
    """Make a snapshot of an advisory source; it becomes the feed's current one."""
    from builder import feeds as store

    console = Console(json=json)
    added = store.add(
        feeds,
        name,
        source,
        snapshot_time=time,
        level=level,
        dictionary_from=dictionary_from,
        origin=origin,
    )
    _print_view(console, store.show(feeds, name, added.digest))
    word = "ADDED" if added.created else "UNCHANGED"
    return console.verdict(word, 0, f"stella scan --record --feed {name} ...")


@app.command("list")
def list_(feeds: Feeds = Path("feeds"), json: Json = False) -> Verdict:
    """List the feeds with their current snapshots."""
    from builder import feeds as store

    console = Console(json=json)
    found = store.list_feeds(feeds)
    if json:
        console.document({"feeds": found})
    else:
        console.data("\n".join(_summary_lines(found)))
    return console.verdict("LISTED", 0)


@app.command()
def show(
    name: Name,
    feeds: Feeds = Path("feeds"),
    snapshot: Annotated[
        str | None, typer.Option("--snapshot", help="Digest, or its first digits; else the current one.")
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Check every advisory, both trees and the index as well.")
    ] = False,
    json: Json = False,
) -> Verdict:
    """Verify a snapshot against its record and show its counts, roots, and irregular records."""
    from builder import feeds as store

    console = Console(json=json)
    view = store.show(feeds, name, snapshot, deep=deep)
    _print_view(console, view)
    return console.verdict("HOLDS", 0)


def _print_view(console: Console, view: "FeedView") -> None:
    if console.json:
        console.document(view)
    else:
        console.data("\n".join(_view_lines(view)))


def _summary_lines(found: "list[FeedSummary]") -> list[str]:
    return [f"{'feed':<20} {'time':<20} {'advisories':>10} {'packages':>9}  snapshot"] + [
        f"{feed.name:<20} {feed.snapshot_time:<20} {feed.advisories:>10} {feed.packages:>9}  {feed.snapshot[7:23]}"
        for feed in found
    ]


def _view_lines(view: "FeedView") -> list[str]:
    info = view.info
    lines = [
        f"feed         {info.name}",
        f"source       {info.source} {info.source_digest or ''}".rstrip(),
        f"time         {info.snapshot_time}",
        f"snapshot     {view.snapshot}",
        f"content root {info.content_root}",
        f"index root   {info.index_root}",
        f"advisories   {info.advisories} in {info.pages} pages, {info.withdrawn} withdrawn",
        f"packages     {info.packages}",
        f"bytes        {info.content_size} of content, {view.stored_size} stored",
    ]
    lines += [
        f"             {item.ecosystem}: {item.advisories} advisories, {item.packages} packages"
        for item in info.ecosystems
    ]
    lines += [f"refused      {count} {reason}" for reason, count in view.refused_by_reason.items()]
    lines += [f"odd          {count} {reason}" for reason, count in view.odd_by_reason.items()]
    return [*lines, f"deep         {view.deep}"] if view.deep else lines
