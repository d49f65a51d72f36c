"""Evidence of reachability for a record: from files and names to the manifest's section and the bundle's members."""

from collections.abc import Sequence
from dataclasses import dataclass

from kit import layout
from kit.bytes import digest
from kit.errors import DigestMismatch, MalformedDocument, UsageError
from kit.manifest import check_time
from kit.reachability import HASH_ALGORITHMS, GraphInput, Reachability, TraceInput
from scanner.reachability import GraphDocument, coverage, read

_KINDS = {layout.GRAPH_URI: "graphs", layout.TRACE_URI: "runtime"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """A graph or trace: its document, or the name under which the evidence store has it, or both."""

    name: str
    data: bytes | None = None
    uri: str | None = None


def section(given: Sequence[Evidence], time: str) -> tuple[Reachability | None, dict[str, bytes]]:
    """Return the manifest's section, ``None`` without evidence, and the members of the input bundle.

    Raises the reader's errors, :class:`DigestMismatch` for a document that is not the one its name says,
    :class:`MalformedDocument` for a trace from after the scan, :class:`UsageError` for the same evidence twice.
    """
    graphs: dict[str, GraphInput] = {}
    traces: dict[str, TraceInput] = {}
    members: dict[str, bytes] = {}
    for one in given:
        entry = _entry(one, time)
        if entry.cas_uri in graphs or entry.cas_uri in traces:
            raise UsageError(detail="a graph or trace is given twice", found=one.name)
        if isinstance(entry, GraphInput):
            graphs[entry.cas_uri] = entry
        else:
            traces[entry.cas_uri] = entry
        if entry.path is not None and one.data is not None:
            members[entry.path] = one.data
    if not given:
        return None, {}
    ordered = Reachability(
        graphs=tuple(graphs[uri] for uri in sorted(graphs)),
        runtime_traces=tuple(traces[uri] for uri in sorted(traces)),
    )
    return ordered, members


def _entry(one: Evidence, time: str) -> GraphInput | TraceInput:
    if one.data is None:
        return _named(one)
    document = read(one.name, one.data)
    own = digest.of_bytes(one.data)
    is_graph = isinstance(document, GraphDocument)
    prefix = layout.GRAPH_URI if is_graph else layout.TRACE_URI
    uri = one.uri or prefix + own
    found_prefix, declared = _split(uri)
    if found_prefix != prefix:
        raise UsageError(detail="the name is of the other kind of evidence", expected=prefix, found=uri[:120])
    algorithm = declared.partition(":")[0]
    if algorithm == "sha256" and declared != own:
        raise DigestMismatch(path=one.name, expected=declared, found=own)
    path = layout.reachability_member(_KINDS[prefix], own.removeprefix("sha256:"))
    if isinstance(document, GraphDocument):
        return GraphInput(
            cas_uri=uri,
            hash=declared,
            hash_alg=HASH_ALGORITHMS[algorithm],
            path=path,
            digest=own,
            code_id_coverage=coverage(document),
        )
    if check_time(document.recorded_at, "/recordedAt") > check_time(time, "/scan/time"):
        raise MalformedDocument(
            path=one.name, pointer="/recordedAt", expected=f"not after {time}", found=document.recorded_at
        )
    return TraceInput(
        cas_uri=uri,
        hash=declared,
        hash_alg=HASH_ALGORITHMS[algorithm],
        recorded_at=document.recorded_at,
        path=path,
        digest=own,
    )


def _named(one: Evidence) -> GraphInput | TraceInput:
    """Return evidence that is named and not there."""
    uri = one.uri or ""
    prefix, declared = _split(uri)
    algorithm = HASH_ALGORITHMS[declared.partition(":")[0]]
    if prefix == layout.GRAPH_URI:
        return GraphInput(cas_uri=uri, hash=declared, hash_alg=algorithm)
    return TraceInput(cas_uri=uri, hash=declared, hash_alg=algorithm)


def _split(uri: str) -> tuple[str, str]:
    """Return the prefix and the hash of a URI; what follows the prefix is checked with the manifest."""
    for prefix in _KINDS:
        declared = uri.removeprefix(prefix)
        if declared != uri and declared.partition(":")[0] in HASH_ALGORITHMS:
            return prefix, declared
    raise UsageError(
        detail="evidence is named cas://reachability/graphs/ALGORITHM:HEX or cas://reachability/runtime/ALGORITHM:HEX",
        expected=" or ".join(HASH_ALGORITHMS),
        found=uri[:120],
    )
