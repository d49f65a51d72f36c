"""What-if replay: exactly one dimension varies - feeds, tools or policy - and the difference is explained.

See docs/format.md section 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kit import layout
from kit.bundle import DirectorySource
from kit.bytes import digest
from kit.errors import FileMissing, UsageError
from kit.snapshot import SnapshotReader
from scanner.evaluate import EvaluationInput, FeedSource
from verifier.medium import read_file
from verifier.replay import MAX_DOCUMENT, with_feeds, with_policy

FEEDS = "feeds"
TOOLS = "tools"
POLICY = "policy"
DIMENSIONS = (FEEDS, TOOLS, POLICY)
SNAPSHOT_FILE = "snapshot.json"


@dataclass(frozen=True, slots=True)
class Variation:
    """One varied dimension: its new input, by digest, and whether a trusted key had signed that input."""

    dimension: str
    signed: bool
    digests: dict[str, str]


def check_dimension(value: str) -> str:
    """Return a dimension's name; raises :class:`UsageError` for any other word."""
    if value not in DIMENSIONS:
        raise UsageError(detail=f"--vary takes one of {', '.join(DIMENSIONS)}", found=value[:32])
    return value


def from_scan(dimension: str, recorded: EvaluationInput, other: EvaluationInput) -> tuple[EvaluationInput, Variation]:
    """Vary one dimension by the same dimension of another scan, whose manifest and bundles were verified."""
    if dimension == POLICY:
        varied = with_policy(recorded, other.policy)
        return varied, Variation(POLICY, signed=True, digests={"policy": digest.of_bytes(other.policy)})
    return _replace_feeds(recorded, other.feeds, signed=True)


def from_path(dimension: str, recorded: EvaluationInput, path: Path) -> tuple[EvaluationInput, Variation]:
    """Vary feeds by a snapshot directory (or a directory of such), or the policy by a file; nobody signed these."""
    if dimension == POLICY:
        policy = read_file(path, limit=MAX_DOCUMENT)
        return with_policy(recorded, policy), Variation(
            POLICY, signed=False, digests={"policy": digest.of_bytes(policy)}
        )
    return _replace_feeds(recorded, _snapshots(path), signed=False)


def running_tools(recorded: EvaluationInput, engine_digest: str) -> tuple[EvaluationInput, Variation]:
    """Vary the tools: the running engine evaluates what another engine recorded."""
    return recorded, Variation(TOOLS, signed=False, digests={"stella-engine": engine_digest})


def _replace_feeds(
    recorded: EvaluationInput, feeds: Sequence[FeedSource], *, signed: bool
) -> tuple[EvaluationInput, Variation]:
    names = {feed.name for feed in recorded.feeds}
    chosen = [feed for feed in feeds if feed.name in names]
    if not chosen:
        raise UsageError(
            detail="--with holds no feed of a name that the scan used",
            expected=", ".join(sorted(names)),
            found=", ".join(sorted(feed.name for feed in feeds)) or "none",
        )
    digests = {feed.name: feed.snapshot_digest for feed in chosen}
    return with_feeds(recorded, chosen), Variation(FEEDS, signed=signed, digests=digests)


def _snapshots(path: Path) -> list[FeedSource]:
    """Open every snapshot at a path or one level below it, each verified against its own description."""
    if not path.is_dir():
        raise FileMissing(path=path.name, detail="--with takes a snapshot directory or another scan's manifest.json")
    places = [path] if (path / SNAPSHOT_FILE).is_file() else sorted(place for place in path.iterdir() if place.is_dir())
    feeds: list[FeedSource] = []
    for place in places:
        if (place / SNAPSHOT_FILE).is_file():
            described = read_file(place / SNAPSHOT_FILE, limit=MAX_DOCUMENT)
            reader = SnapshotReader(DirectorySource(place), "", digest.of_bytes(described))
            reader.verify_quick()
            feeds.append(reader)
    return feeds


def is_scan(path: Path) -> bool:
    """Tell whether a path names another scan's manifest."""
    return path.name == layout.MANIFEST_FILE
