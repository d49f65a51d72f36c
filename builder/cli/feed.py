"""stella feed: make, list and show the feed snapshots that scans are evaluated against."""

from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json
from verifier.cli.table import table

if TYPE_CHECKING:
    from builder.feeds import Added, FeedSummary, FeedView

app = typer.Typer(no_args_is_help=True, help="Keep snapshots of advisory feeds.")

EXAMPLES = """
Examples:

  stella feed add pypi PyPI/all.zip --time 2026-05-29T00:00:00Z

  stella feed add go Go/all.zip --time 2026-05-29T00:00:00Z --feeds /srv/feeds \\
    --origin https://osv-vulnerabilities.storage.googleapis.com/Go/all.zip

  stella feed list

  stella feed list --feeds /srv/feeds --json

  stella feed show pypi

  stella feed show pypi --snapshot fca5dc1a8f47545c --deep --json
"""

Feeds = Annotated[Path, typer.Option("--feeds", envvar="STELLA_FEEDS", help="The feed store.", metavar="DIR")]
Name = Annotated[str, typer.Argument(help="The feed's name: a-z, 0-9, dot, dash, underscore.", metavar="NAME")]

DEFAULT_FEEDS = Path("feeds")


@app.command()
def add(
    name: Name,
    source: Annotated[
        Path, typer.Argument(help="OSV all.zip, directory of OSV JSON files, or NDJSON.", metavar="SOURCE")
    ],
    feeds: Feeds = DEFAULT_FEEDS,
    time: Annotated[
        str | None,
        typer.Option(
            "--time",
            help="When the source was current, such as its download, UTC; by default the newest 'modified' of its "
            "records. Never a file's time.",
            metavar="YYYY-MM-DDTHH:MM:SSZ",
        ),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            "--origin", help="Where it comes from, as sites are to see it; the file's name by default.", metavar="TEXT"
        ),
    ] = None,
    level: Annotated[int, typer.Option("--level", help="Zstandard level.", min=1, max=19)] = 3,
    dictionary_from: Annotated[
        Path | None,
        typer.Option(
            "--dictionary-from",
            help="Snapshot directory whose dictionary is used; one is trained by default.",
            metavar="DIR",
        ),
    ] = None,
    make_current: Annotated[
        bool, typer.Option("--make-current", help="Make it the current one although it is older than that.")
    ] = False,
    change_ecosystems: Annotated[
        bool,
        typer.Option("--change-ecosystems", help="Accept a source that lacks an ecosystem which the feed has now."),
    ] = False,
    json: Json = False,
) -> Verdict:
    """Make a snapshot of an advisory source.

    It becomes the feed's current one, unless that is of a later time. The same records give the same snapshot, and
    adding it again changes nothing.
    """
    from builder import feeds as store
    from verifier import session
    from verifier.run_dir import stamp

    console = Console(json=json)
    added = store.add(
        feeds,
        name,
        source,
        snapshot_time=time,
        now=stamp(session.clock()),
        level=level,
        dictionary_from=dictionary_from,
        origin=origin,
        make_current=make_current,
        change_ecosystems=change_ecosystems,
    )
    _print_view(console, store.show(feeds, name, added.digest))
    for line in _remarks(added):
        console.talk(line)
    elsewhere = [] if feeds == DEFAULT_FEEDS else ["--feeds", str(feeds)]
    if not added.current:
        return console.verdict(added.word, 0, join(["stella", "feed", "show", name, *elsewhere]))
    words = ["--feed", name, *elsewhere, "--sbom", "SBOM", "--policy", "POLICY", "--key", "KEY", "--out", "records"]
    return console.verdict(added.word, 0, join(["stella", "scan", "--record", *words]))


@app.command("list")
def list_(feeds: Feeds = DEFAULT_FEEDS, json: Json = False) -> Verdict:
    """List the feeds with their current snapshots."""
    from builder import feeds as store

    console = Console(json=json)
    found = store.list_feeds(feeds)
    if json:
        console.document({"feeds": found})
    else:
        console.data("\n".join(_summary_lines(found)))
    return console.verdict(f"LISTED {len(found)}", 0, "" if found else "stella feed add NAME SOURCE")


@app.command()
def show(
    name: Name,
    feeds: Feeds = DEFAULT_FEEDS,
    snapshot: Annotated[
        str | None,
        typer.Option(
            "--snapshot", help="Digest of a snapshot, or its first digits; the current one by default.", metavar="HEX"
        ),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Check every advisory, both trees and the index as well.")
    ] = False,
    json: Json = False,
) -> Verdict:
    """Check a snapshot against its own record.

    Shows its counts, roots, and irregular records. INTACT says that the bytes are those of the record; who made the
    record is for the signature of the scan that uses it.
    """
    from builder import feeds as store

    console = Console(json=json)
    view = store.show(feeds, name, snapshot, deep=deep)
    _print_view(console, view)
    return console.verdict("INTACT", 0, "" if deep else "--deep also checks every advisory, both trees and the index")


def _remarks(added: "Added") -> list[str]:
    """Return what the operator must know about the time of a snapshot and about what is current now."""
    from builder.feeds import ecosystems

    time, before = added.info.snapshot_time, added.previous
    lines = []
    if added.time_from_records:
        lines.append(f"time {time}: the newest 'modified' of the records; give the time of the download with --time")
    if before is None:
        return lines
    if not added.current:
        lines.append(
            f"warning: this snapshot of {time} is older than the current one; scans go on with that of "
            f"{before.snapshot_time}; --make-current makes this one current all the same"
        )
    elif added.moved and time < before.snapshot_time:
        lines.append(
            f"warning: current moved BACK from {before.snapshot_time} to {time}: scans use older advisories now"
        )
    for word, found in (
        ("gained", ecosystems(added.info) - ecosystems(before)),
        ("lost", ecosystems(before) - ecosystems(added.info)),
    ):
        if found and added.current:
            lines.append(f"warning: the feed {word} {', '.join(sorted(found))}")
    return lines


def _print_view(console: Console, view: "FeedView") -> None:
    if console.json:
        console.document(view)
    else:
        console.data("\n".join(_view_lines(view)))


def _summary_lines(found: "list[FeedSummary]") -> list[str]:
    head = ("feed", "time", "advisories", "packages", "refused", "snapshots", "current snapshot")
    rows = [
        (
            feed.name, feed.snapshot_time, str(feed.advisories), str(feed.packages), str(feed.refused),
            str(feed.snapshots), feed.snapshot.removeprefix("sha256:")[:16],
        )
        for feed in found
    ]  # fmt: skip
    return table(head, rows, right=range(2, 6))


def _view_lines(view: "FeedView") -> list[str]:
    info = view.info
    lines = [
        f"feed         {info.name}",
        f"source       {info.source} {info.source_digest or ''}".rstrip(),
        f"time         {info.snapshot_time}",
        f"snapshot     {view.snapshot}{'' if view.current else ', not the current one'}",
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
