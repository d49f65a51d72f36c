"""From graphs and traces to a verdict on a package (docs/matching.md section 8.4).

Breadth first from all entry points at once, everything in the order of ids, so that equal graphs give equal evidence
whatever the order in which they are written.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, Protocol

import msgspec

from kit.errors import LimitExceeded, MalformedDocument, NameCollision
from kit.reachability import CodeIdCoverage, GraphInput, TraceInput
from scanner.reachability.documents import MAX_CALLS, MAX_NODES, GraphDocument, TraceDocument, calls, coverage, read
from scanner.reachability.spellings import Spellings
from scanner.spelling import comparable

MAX_SOURCES = 64
MAX_TOTAL = 64 << 20
MAX_PACKAGES = 50_000
State = Literal["reachable", "unreachable", "unknown"]
REACHABLE: State = "reachable"
UNREACHABLE: State = "unreachable"
UNKNOWN: State = "unknown"

Source = tuple[GraphInput | TraceInput, bytes | None]
"""A piece of evidence as the manifest names it, and its bytes where they are carried."""
_Package = tuple[tuple[str, ...], str]


class Path(msgspec.Struct, frozen=True, order=True):
    """The shortest way into a package: number of calls, entry point, node reached, and the graph's URI."""

    length: int
    entry_point: str
    node: str
    graph: str


class Seen(msgspec.Struct, frozen=True, order=True):
    """An observed use of a package: when, in which trace, and the symbol, empty where the trace names none."""

    recorded_at: str
    trace: str
    symbol: str


class Verdict(msgspec.Struct, frozen=True):
    """What the evidence says about a package; ``reason`` says why it is unknown."""

    state: State
    path: Path | None = None
    seen: Seen | None = None
    reason: str | None = None


class Read(msgspec.Struct, frozen=True):
    """What was read of one source; ``None`` for what is not there or does not apply."""

    uri: str
    digest: str | None
    nodes: int = 0
    calls: int = 0
    reached: int = 0
    coverage: CodeIdCoverage | None = None


class About(Protocol):
    """Whatever can tell about packages."""

    def about(self, purl: str, version: str, looked_up: str = "") -> Verdict | None:
        """Return what the evidence says about a component, ``None`` where a scan has none at all."""


class _Told(msgspec.Struct, frozen=True):
    """What one piece of evidence has on a package."""

    paths: list[Path]
    seen: list[Seen]
    known: bool
    complete: bool


class Evidence:
    """All evidence of a scan, read and walked once.

    ``sources`` says what became of each, by URI; ``missing`` counts those that are named and not there.
    """

    def __init__(self, given: Iterable[Source], time: str) -> None:
        self.sources: list[Read] = []
        self._complete = True
        self._paths: dict[_Package, Path] = {}
        self._known: set[_Package] = set()
        self._seen: dict[_Package, Seen] = {}
        self._packages: dict[str, _Package] = {}
        self._spellings = Spellings()
        ordered = sorted(given, key=lambda source: source[0].cas_uri)
        if len(ordered) > MAX_SOURCES:
            raise LimitExceeded(detail="graphs and traces", expected=MAX_SOURCES, found=len(ordered))
        for (left, _), (right, _) in pairwise(ordered):
            if left.cas_uri == right.cas_uri:
                raise NameCollision(path=left.cas_uri, detail="two pieces of evidence have this name")
        size = sum(len(data) for _, data in ordered if data is not None)
        if size > MAX_TOTAL:
            raise LimitExceeded(detail="bytes of all graphs and traces", expected=MAX_TOTAL, found=size)
        self.missing = sum(data is None for _, data in ordered)
        for entry, data in ordered:
            self.sources.append(Read(entry.cas_uri, None) if data is None else self._take(entry, data, time))
            self._check_size()

    def about(self, purl: str, version: str, looked_up: str = "") -> Verdict | None:
        """Return what the evidence says about a component; ``None`` where a scan has none at all.

        ``version`` counts where the package URL has none; ``looked_up`` is the name under which advisories are sought.
        """
        return Joined([self]).about(purl, version, looked_up)

    def told(self, keys: Sequence[_Package]) -> "_Told":
        """Return what is known of a package under any of its keys."""
        return _Told(
            paths=[self._paths[key] for key in keys if key in self._paths],
            seen=[self._seen[key] for key in keys if key in self._seen],
            known=any(key in self._known for key in keys),
            complete=self._complete,
        )

    def may_have(self, purl: str, version: str, looked_up: str) -> bool:
        """Tell whether a package is used under another spelling."""
        return self._spellings.may_have(purl, version, looked_up)

    def _take(self, entry: GraphInput | TraceInput, data: bytes, time: str) -> Read:
        """Read one source, and hold what the manifest says about it against it."""
        document = read(entry.cas_uri, data)
        if isinstance(document, GraphDocument) and isinstance(entry, GraphInput):
            found = coverage(document)
            if entry.code_id_coverage not in (None, found):
                raise MalformedDocument(path=entry.cas_uri, detail="the declared coverage is not the graph's")
            reached = self._walk(entry.cas_uri, document)
            self._complete = self._complete and document.complete
            return Read(entry.cas_uri, entry.digest, len(document.nodes), calls(document), reached, found)
        if isinstance(document, TraceDocument) and isinstance(entry, TraceInput):
            if document.recorded_at > time or document.recorded_at != entry.recorded_at:
                expected = f"{entry.recorded_at}, not after {time}"
                raise MalformedDocument(
                    path=entry.cas_uri, pointer="/recordedAt", expected=expected, found=document.recorded_at
                )
            self._observe(entry.cas_uri, document)
            return Read(entry.cas_uri, entry.digest)
        raise MalformedDocument(path=entry.cas_uri, pointer="/schema", detail="a graph and a trace are mistaken")

    def _walk(self, uri: str, graph: GraphDocument) -> int:
        """Find the shortest way into each package of a graph; return how many nodes are reached."""
        nodes = {node.id: node for node in graph.nodes}
        origin = {entry: (0, entry) for entry in sorted(set(graph.entry_points))}
        pending = deque(origin)
        while pending:
            current = pending.popleft()
            length, entry = origin[current]
            for called in sorted(set(nodes[current].calls)):
                if called not in origin:
                    origin[called] = (length + 1, entry)
                    pending.append(called)
        for position, node in enumerate(graph.nodes):
            if node.purl is None:
                continue
            package = self._package(node.purl, uri, f"/nodes/{position}/purl")
            self._known.add(package)
            if node.id in origin:
                self._spellings.add(node.purl)
                found = Path(*origin[node.id], node.id, uri)
                self._paths[package] = min(found, self._paths.get(package, found))
        return len(origin)

    def _observe(self, uri: str, trace: TraceDocument) -> None:
        for position, one in enumerate(trace.observed):
            package = self._package(one.purl, uri, f"/observed/{position}/purl")
            self._spellings.add(one.purl)
            found = Seen(trace.recorded_at, uri, one.symbol or "")
            self._seen[package] = max(found, self._seen.get(package, found))

    def _package(self, purl: str, uri: str, pointer: str) -> _Package:
        """Return the package that a package URL means; each is read once."""
        package = self._packages.get(purl)
        if package is None:
            if len(self._packages) == MAX_PACKAGES:
                raise LimitExceeded(
                    path=uri, pointer=pointer, detail="package URLs of all evidence", expected=MAX_PACKAGES
                )
            package = comparable(purl)
            if package is None:
                raise MalformedDocument(path=uri, pointer=pointer, detail="no package URL")
            self._packages[purl] = package
        return package

    def _check_size(self) -> None:
        for name, limit, found in (
            ("nodes of all graphs", MAX_NODES, sum(source.nodes for source in self.sources)),
            ("calls of all graphs", MAX_CALLS, sum(source.calls for source in self.sources)),
        ):
            if found > limit:
                raise LimitExceeded(detail=name, expected=limit, found=found)


class Joined:
    """Pieces of evidence that were read apart, as if they had been read together."""

    def __init__(self, parts: Iterable[Evidence]) -> None:
        self._parts = [part for part in parts if part.sources]

    def about(self, purl: str, version: str, looked_up: str = "") -> Verdict | None:
        """Return what all pieces say about a component, as :meth:`Evidence.about` does."""
        if not self._parts:
            return None
        parsed = comparable(purl)
        if parsed is None:
            return Verdict(UNKNOWN, reason="no-purl")
        names, own = parsed
        keys = [(names, own or version), (names, "")]
        told = [part.told(keys) for part in self._parts]
        path = min((one for each in told for one in each.paths), default=None)
        seen = max((one for each in told for one in each.seen), default=None)
        if path or seen:
            return Verdict(REACHABLE, path, seen)
        if any(part.missing for part in self._parts):
            return Verdict(UNKNOWN, reason="missing-evidence")
        if not any(each.known for each in told):
            return Verdict(UNKNOWN, reason="not-in-graph")
        if any(part.may_have(purl, version, looked_up) for part in self._parts):
            return Verdict(UNKNOWN, reason="other-spelling")
        is_complete = all(each.complete for each in told)
        return Verdict(UNREACHABLE) if is_complete else Verdict(UNKNOWN, reason="incomplete-graph")
