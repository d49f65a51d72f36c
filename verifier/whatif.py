"""What-if replay: exactly one dimension varies - feeds, tools or policy - and the difference is explained.

See docs/format.md section 6.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from kit import layout
from kit.bundle import DirectorySource
from kit.bytes import digest
from kit.errors import StellaError, UsageError
from kit.manifest import MAX_BYTES, Manifest, parse
from kit.snapshot import SnapshotReader
from scanner import policy as policies
from scanner.evaluate import EvaluationInput, FeedSource
from verifier import asked
from verifier.medium import read_file
from verifier.replay import MAX_DOCUMENT, check_contract, with_feeds, with_policy

FEEDS = "feeds"
TOOLS = "tools"
POLICY = "policy"
DIMENSIONS = (FEEDS, TOOLS, POLICY)
SNAPSHOT_FILE = "snapshot.json"
CURRENT_FILE = "current"
"""The file of a feed's store that names the directory of its current snapshot."""
_MAX_CURRENT = 256
_SHORT = 12
_OF_A_SCAN = (layout.MANIFEST_FILE, layout.KIT_FILE)
_ANY_TIME = "1970-01-01T00:00:00Z"
"""When a policy is only read, its rules' ends do not matter."""


class Variation(msgspec.Struct, frozen=True):
    """One varied dimension: its inputs before and after, and whether a trusted key had signed the new ones.

    ``digests`` are those of the new inputs; ``changes`` say for each what it was and what it is, for people.
    """

    dimension: str
    signed: bool
    digests: dict[str, str]
    changes: dict[str, str]


def check_dimension(value: str) -> str:
    """Return a dimension's name; raises :class:`UsageError` for any other word."""
    if value not in DIMENSIONS:
        raise UsageError(detail=f"--vary takes one of {', '.join(DIMENSIONS)}", found=value[:32]).then(
            f"Give --vary= with one of {', '.join(DIMENSIONS)}."
        )
    return value


def find(dimension: str, named: Path) -> asked.Place:
    """Return the input that an operator means by ``--with``: another scan's manifest, snapshots, or a policy file.

    Raises :class:`UsageError` where there is nothing of that kind.
    """
    if named.name == layout.MANIFEST_FILE or any((named / name).is_file() for name in _OF_A_SCAN):
        return asked.place(named)
    if dimension == POLICY and not named.is_file():
        raise _mistaken(named, "there is no policy file at this place", "Give a policy in TOML, or another scan.")
    if dimension == FEEDS and not _snapshot_directories(named):
        raise _mistaken(
            named,
            "there is no feed snapshot at this place",
            "Give the directory that holds snapshot.json, a directory of such, or another scan.",
        )
    taken = _current(named) if dimension == FEEDS else None
    return asked.Place(named.resolve(), f"taken: {taken}, the feed's current snapshot" if taken else None)


def check_unsigned(dimension: str, path: Path, manifest: Path) -> None:
    """Refuse an input that nobody signed and that cannot take the place of the recorded one (:class:`UsageError`).

    The manifest is read for its feeds' names only; nothing vouches for it yet, and a faulty one is for the run to say.
    """
    recorded = _peek(manifest)
    try:
        if dimension == POLICY:
            policies.load(read_file(path, limit=policies.MAX_BYTES), time=recorded.scan.time if recorded else _ANY_TIME)
        elif recorded is not None:
            _matching({feed.name for feed in recorded.inputs.feeds}, _snapshots(path))
    except UsageError:
        raise
    except StellaError as error:
        raise _mistaken(path, f"--with cannot be used: {error}", "Mend it, or give another one.") from None


def from_scan(dimension: str, recorded: EvaluationInput, other: EvaluationInput) -> tuple[EvaluationInput, Variation]:
    """Vary one dimension by the same dimension of another scan, whose manifest and bundles were verified."""
    if dimension == POLICY:
        varied = with_policy(recorded, other.policy)
        return varied, _of_policy(recorded, other.policy, signed=True)
    return _replace_feeds(recorded, other.feeds, signed=True)


def from_path(dimension: str, recorded: EvaluationInput, path: Path) -> tuple[EvaluationInput, Variation]:
    """Vary feeds by a snapshot directory (or a directory of such), or the policy by a file; nobody signed these."""
    if dimension == POLICY:
        policy = read_file(path, limit=MAX_DOCUMENT)
        return with_policy(recorded, policy), _of_policy(recorded, policy, signed=False)
    feeds = _snapshots(path)
    for feed in feeds:
        feed.verify_quick()
    return _replace_feeds(recorded, feeds, signed=False)


def running_tools(
    recorded: EvaluationInput, recorded_engine: str, engine_digest: str
) -> tuple[EvaluationInput, Variation]:
    """Vary the tools: the running engine evaluates what another engine recorded."""
    name = "stella-engine"
    changes = {name: _change(_shown(recorded_engine), _shown(engine_digest))}
    return recorded, Variation(TOOLS, signed=False, digests={name: engine_digest}, changes=changes)


def _of_policy(recorded: EvaluationInput, policy: bytes, *, signed: bool) -> Variation:
    before, after = digest.of_bytes(recorded.policy), digest.of_bytes(policy)
    changes = {"policy": _change(_shown(before), _shown(after))}
    return Variation(POLICY, signed=signed, digests={"policy": after}, changes=changes)


def _change(before: str, after: str) -> str:
    """Say what an input was and what it is; the same one again is said to be that."""
    return f"{after}, the same as recorded: nothing varies" if before == after else f"{before} -> {after}"


def _shown(value: str) -> str:
    return digest.hex_of(value)[:_SHORT]


def _snapshot(feed: FeedSource) -> str:
    """Return a snapshot's time, where it tells one, and the beginning of its digest."""
    time = feed.info.snapshot_time if isinstance(feed, SnapshotReader) else ""
    return " ".join(part for part in (time, _shown(feed.snapshot_digest)) if part)


def _replace_feeds(
    recorded: EvaluationInput, feeds: Sequence[FeedSource], *, signed: bool
) -> tuple[EvaluationInput, Variation]:
    chosen = _matching({feed.name for feed in recorded.feeds}, feeds)
    before = {feed.name: _snapshot(feed) for feed in recorded.feeds}
    return with_feeds(recorded, chosen), Variation(
        FEEDS,
        signed=signed,
        digests={feed.name: feed.snapshot_digest for feed in chosen},
        changes={feed.name: _change(before[feed.name], _snapshot(feed)) for feed in chosen},
    )


def _matching(names: set[str], feeds: Sequence[FeedSource]) -> list[FeedSource]:
    chosen = [feed for feed in feeds if feed.name in names]
    if not chosen:
        raise UsageError(
            detail="--with holds no feed of a name that the scan used",
            expected=", ".join(sorted(names)),
            found=", ".join(sorted(feed.name for feed in feeds)) or "none",
        ).then("Give a snapshot of the feed that is expected.")
    held = [feed.name for feed in chosen]
    if twice := sorted({name for name in held if held.count(name) > 1}):
        raise UsageError(
            detail="--with holds several snapshots of one feed, and nothing says which one is meant",
            found=", ".join(f"{name}: {' and '.join(_of_name(chosen, name))}" for name in twice),
        ).then("Give the directory of the one snapshot that you mean.")
    return chosen


def _of_name(feeds: Sequence[FeedSource], name: str) -> list[str]:
    return [_snapshot(feed) for feed in feeds if feed.name == name]


def _snapshots(path: Path) -> list[SnapshotReader]:
    """Open the snapshots that a path means, by their own descriptions: :func:`_snapshot_directories`."""
    feeds: list[SnapshotReader] = []
    for place in _snapshot_directories(path):
        described = read_file(place / SNAPSHOT_FILE, limit=MAX_DOCUMENT)
        reader = SnapshotReader(DirectorySource(place), "", digest.of_bytes(described))
        check_contract(reader)
        feeds.append(reader)
    return feeds


def _snapshot_directories(path: Path) -> list[Path]:
    """Return the snapshot at a path, the current one of a feed's store, or those one level below, in order."""
    if not path.is_dir():
        return []
    if (path / SNAPSHOT_FILE).is_file():
        return [path]
    if (current := _current(path)) is not None:
        return [current]
    return [place for place in sorted(path.iterdir()) if (place / SNAPSHOT_FILE).is_file()]


def _current(path: Path) -> Path | None:
    """Return the snapshot that the store of a feed calls current; None where no store is.

    Raises :class:`UsageError` where the store names one that is not in it.
    """
    if (path / SNAPSHOT_FILE).is_file() or not (path / CURRENT_FILE).is_file():
        return None
    named = read_file(path / CURRENT_FILE, limit=_MAX_CURRENT).decode("ascii", "replace").strip()
    inside = named not in ("", ".", "..") and "/" not in named and "\0" not in named
    if not inside or not (path / named / SNAPSHOT_FILE).is_file():
        raise _mistaken(
            path / CURRENT_FILE,
            "this feed's store names a current snapshot that it does not hold",
            "Give the directory of the snapshot that you mean.",
        )
    return path / named


def _peek(manifest: Path) -> Manifest | None:
    try:
        return parse(read_file(manifest, limit=MAX_BYTES))
    except StellaError:
        return None


def _mistaken(named: Path, detail: str, next_step: str) -> UsageError:
    return UsageError(path=str(named), detail=detail).then(next_step)


def is_scan(path: Path) -> bool:
    """Tell whether a path names another scan's manifest."""
    return path.name == layout.MANIFEST_FILE
