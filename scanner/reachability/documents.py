"""Call graphs and runtime traces as documents: reading and limits (docs/format.md section 3.1)."""

from typing import Annotated

import msgspec

from kit.bytes import canonical
from kit.errors import LimitExceeded, MalformedDocument, StellaError
from kit.manifest import check_time
from kit.reachability import CodeIdCoverage

GRAPH_SCHEMA = "stella-call-graph/1"
TRACE_SCHEMA = "stella-runtime-trace/1"
MAX_BYTES = 16 << 20
MAX_NODES = 200_000
MAX_CALLS = 1_000_000

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True, gc=False
):
    """Base of the records."""


class Node(_Document, frozen=True, gc=False):
    """A function, a module or a whole package; ``calls`` are ids of nodes.

    ``symbol_id`` and ``code_id`` identify it elsewhere, by name and by code; they count for the coverage only.
    """

    id: _Text
    purl: _Text | None = None
    symbol: _Text | None = None
    symbol_id: _Text | None = None
    code_id: _Text | None = None
    calls: tuple[str, ...] = ()


class GraphDocument(_Document, frozen=True, gc=False):
    """A call graph. Only one that is ``complete`` says by the lack of a path that something is not called."""

    schema: str
    nodes: tuple[Node, ...]
    entry_points: tuple[str, ...]
    complete: bool = False


class Observation(_Document, frozen=True, gc=False):
    """A package, and a symbol in it, that a run was seen to use."""

    purl: _Text
    symbol: _Text | None = None


class TraceDocument(_Document, frozen=True, gc=False):
    """What was observed of a run, up to ``recorded_at``."""

    schema: str
    recorded_at: str
    observed: tuple[Observation, ...]


class _Head(msgspec.Struct, gc=False):
    schema: str


def read(name: str, data: bytes) -> GraphDocument | TraceDocument:
    """Read a graph or a trace; which of them it is, its ``schema`` says. ``name`` is what a refusal calls it.

    Raises :class:`LimitExceeded` and the errors of :func:`kit.bytes.canonical.decode`, and :class:`MalformedDocument`
    for another schema, ids that repeat, and calls and entry points that no node has.
    """
    if len(data) > MAX_BYTES:
        raise LimitExceeded(path=name, detail="document bytes", expected=MAX_BYTES, found=len(data))
    try:
        schema = msgspec.json.decode(data, type=_Head).schema
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        schema = ""
    try:
        if schema == GRAPH_SCHEMA:
            return _checked(name, canonical.decode_record(data, GraphDocument, max_bytes=MAX_BYTES, canonical=False))
        if schema == TRACE_SCHEMA:
            trace = canonical.decode_record(data, TraceDocument, max_bytes=MAX_BYTES, canonical=False)
            check_time(trace.recorded_at, "/recordedAt")
            return trace
        canonical.decode(data, max_bytes=MAX_BYTES, canonical=False)
    except StellaError as error:
        error.details.setdefault("path", name)
        raise
    raise MalformedDocument(path=name, pointer="/schema", expected=f"{GRAPH_SCHEMA} or {TRACE_SCHEMA}")


def _checked(name: str, graph: GraphDocument) -> GraphDocument:
    """Return a graph that agrees with itself and is within the limits."""
    if len(graph.nodes) > MAX_NODES:
        raise LimitExceeded(path=name, detail="nodes of a graph", expected=MAX_NODES, found=len(graph.nodes))
    count = calls(graph)
    if count > MAX_CALLS:
        raise LimitExceeded(path=name, detail="calls of a graph", expected=MAX_CALLS, found=count)
    known = {node.id for node in graph.nodes}
    if len(known) != len(graph.nodes):
        raise MalformedDocument(path=name, pointer="/nodes", detail="an id is used twice")
    if not graph.entry_points:
        raise MalformedDocument(path=name, pointer="/entryPoints", detail="a graph needs an entry point")
    for position, entry in enumerate(graph.entry_points):
        if entry not in known:
            raise MalformedDocument(path=name, pointer=f"/entryPoints/{position}", detail="no node has this id")
    for position, node in enumerate(graph.nodes):
        if not known.issuperset(node.calls):
            raise MalformedDocument(path=name, pointer=f"/nodes/{position}/calls", detail="no node has such an id")
    return graph


def coverage(graph: GraphDocument) -> CodeIdCoverage:
    """Return how many nodes carry the ids by which they can be found elsewhere; the percentage is of code ids."""
    total = len(graph.nodes)
    with_code = sum(node.code_id is not None for node in graph.nodes)
    return CodeIdCoverage(
        total_nodes=total,
        nodes_with_symbol_id=sum(node.symbol_id is not None for node in graph.nodes),
        nodes_with_code_id=with_code,
        coverage_percent=with_code * 100 // total,
    )


def calls(graph: GraphDocument) -> int:
    """Return the number of edges."""
    return sum(len(node.calls) for node in graph.nodes)
