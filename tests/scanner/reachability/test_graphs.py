"""Call graphs and traces: strict reading, limits, the way into a package, what stays unknown."""

import contextlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import digest
from kit.errors import DuplicateMember, LimitExceeded, MalformedDocument, NameCollision, StellaError
from kit.reachability import CodeIdCoverage, GraphInput, TraceInput
from scanner import reachability
from scanner.reachability import Evidence, Source, documents, evidence

NOW = "2026-01-31T00:00:00Z"
A, B = "pkg:pypi/a@1", "pkg:pypi/b@1"


def graph(by_id: dict[str, tuple[str | None, list[str]]], *entries: str, **changes: object) -> bytes:
    """Return a graph of nodes by id: package URL and calls."""
    written = [{"id": name, "calls": calls} | ({"purl": purl} if purl else {}) for name, (purl, calls) in by_id.items()]
    document = {"schema": "stella-call-graph/1", "nodes": written, "entryPoints": list(entries), "complete": True}
    return json.dumps(document | changes).encode()


def trace(*purls: str, recorded_at: str = NOW) -> bytes:
    document = {"schema": "stella-runtime-trace/1", "recordedAt": recorded_at, "observed": [{"purl": p} for p in purls]}
    return json.dumps(document).encode()


def of_graph(data: bytes | None, name: str = "0") -> Source:
    found = digest.of_bytes(name.encode())
    uri = f"cas://reachability/graphs/{found}"
    return GraphInput(cas_uri=uri, hash=found, hash_alg="sha256", path="p", digest=found), data


def of_trace(data: bytes | None, recorded_at: str = NOW) -> Source:
    found = digest.of_bytes(data or b"")
    uri = f"cas://reachability/runtime/{found}"
    return TraceInput(cas_uri=uri, hash=found, hash_alg="sha256", recorded_at=recorded_at), data


def about(purl: str, *given: Source) -> reachability.Verdict:
    verdict = Evidence(given, NOW).about(purl, "1")
    assert verdict is not None
    return verdict


def test_without_evidence_there_is_no_verdict() -> None:
    assert Evidence([], NOW).about(A, "1") is None


def test_the_shortest_way_from_the_first_entry_point_is_the_evidence() -> None:
    nodes = {"z": (None, ["x"]), "m": (None, ["x", "a1"]), "x": (None, ["a1", "a0"]), "a0": (A, []), "a1": (A, [])}
    verdict = about(A, of_graph(graph(nodes, "z", "m")))
    assert verdict.state == "reachable"
    assert verdict.path is not None
    assert (verdict.path.length, verdict.path.entry_point, verdict.path.node) == (1, "m", "a1")


def test_an_entry_point_itself_is_reached_by_no_call() -> None:
    verdict = about(A, of_graph(graph({"a": (A, ["a"])}, "a")))
    assert verdict.path is not None
    assert (verdict.path.length, verdict.path.node) == (0, "a")


@pytest.mark.parametrize(
    ("sources", "purl", "state", "reason"),
    [
        ([of_graph(graph({"m": (None, []), "a": (A, [])}, "m"))], A, "unreachable", None),
        ([of_graph(graph({"m": (None, []), "a": (A, [])}, "m", complete=False))], A, "unknown", "incomplete-graph"),
        ([of_graph(graph({"m": (None, [])}, "m"))], A, "unknown", "not-in-graph"),
        ([of_graph(graph({"m": (None, []), "a": (A, [])}, "m"))], "pkg:pypi/a@2", "unknown", "not-in-graph"),
        ([of_graph(graph({"m": (None, []), "a": ("pkg:pypi/A", [])}, "m"))], "pkg:pypi/a@2", "unreachable", None),
        ([of_graph(graph({"m": (None, []), "a": (A, [])}, "m"))], "pkg:pypi/a", "unreachable", None),
        ([of_graph(graph({"m": (None, []), "a": (A, [])}, "m"))], "", "unknown", "no-purl"),
        (
            [
                of_graph(graph({"m": (None, []), "a": (A, [])}, "m")),
                of_graph(graph({"n": (None, [])}, "n", complete=False), "1"),
            ],
            A,
            "unknown",
            "incomplete-graph",
        ),
        (
            [of_graph(graph({"m": (None, []), "a": (A, [])}, "m")), of_graph(None, "1")],
            A,
            "unknown",
            "missing-evidence",
        ),
        ([of_graph(graph({"m": (None, []), "a": (A, [])}, "m")), of_trace(None)], A, "unknown", "missing-evidence"),
        ([of_trace(trace(B))], A, "unknown", "not-in-graph"),
        ([of_trace(trace("pkg:pypi/A"))], A, "reachable", None),
        ([of_graph(graph({"m": (None, []), "a": (A, [])}, "m")), of_trace(trace(A))], A, "reachable", None),
        (
            [
                of_graph(graph({"m": (None, []), "a": (A, [])}, "m")),
                of_graph(graph({"m": (A, [])}, "m"), "1"),
                of_graph(None, "2"),
            ],
            A,
            "reachable",
            None,
        ),
    ],
)
def test_only_complete_evidence_that_knows_a_package_says_unreachable(
    sources: list[Source], purl: str, state: str, reason: str | None
) -> None:
    verdict = about(purl, *sources)
    assert (verdict.state, verdict.reason) == (state, reason)


def test_the_last_use_that_was_seen_is_the_evidence() -> None:
    early, late = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    verdict = about(A, *[of_trace(trace(A, recorded_at=time), time) for time in (late, early)])
    assert verdict.seen is not None
    assert verdict.seen.recorded_at == late


@pytest.mark.parametrize(
    ("data", "error", "pointer"),
    [
        (b"", MalformedDocument, None),
        (b"[]", MalformedDocument, "/schema"),
        (b"{}", MalformedDocument, "/schema"),
        (b'{"schema": 1}', MalformedDocument, "/schema"),
        (b'{"schema": "stella-call-graph/2"}', MalformedDocument, "/schema"),
        (b'{"schema": "stella-call-graph/1"}', MalformedDocument, ""),
        (graph({"m": (None, [])}, "m", surprise=1), MalformedDocument, ""),
        (graph({"m": (None, [])}), MalformedDocument, "/entryPoints"),
        (graph({"m": (None, [])}, "m", "n"), MalformedDocument, "/entryPoints/1"),
        (graph({"m": (None, ["n"])}, "m"), MalformedDocument, "/nodes/0/calls"),
        (graph({}, "m", nodes=[{"id": "m"}] * 2), MalformedDocument, "/nodes"),
        (graph({}, "m", nodes=[{"id": ""}]), MalformedDocument, "/nodes/0/id"),
        (graph({"m": (None, [])}, "m", complete=None), MalformedDocument, "/complete"),
        (graph({"m": (None, [])}, "m").replace(b'"complete"', b'"nodes": [], "complete"'), DuplicateMember, None),
        (trace(A, recorded_at="yesterday"), MalformedDocument, "/recordedAt"),
        (trace(A, recorded_at="2026-02-30T00:00:00Z"), MalformedDocument, "/recordedAt"),
        (b" " * (documents.MAX_BYTES + 1), LimitExceeded, None),
    ],
    ids=lambda one: str(one)[:60] if isinstance(one, bytes) else None,
)
def test_a_document_of_another_form_is_refused(data: bytes, error: type[StellaError], pointer: str | None) -> None:
    with pytest.raises(error) as caught:
        reachability.read("name", data)
    assert caught.value.details["path"] == "name"
    assert pointer is None or caught.value.details.get("pointer", "") == pointer


def test_what_the_manifest_says_must_be_what_the_document_says() -> None:
    data = graph({"m": (None, [])}, "m")
    entry, _ = of_graph(data)
    assert isinstance(entry, GraphInput)
    wrong = CodeIdCoverage(total_nodes=1, nodes_with_symbol_id=0, nodes_with_code_id=1, coverage_percent=100)
    forged = GraphInput(cas_uri=entry.cas_uri, hash=entry.hash, hash_alg="sha256", code_id_coverage=wrong)
    for source in (
        (forged, data),
        of_graph(trace(A)),
        of_trace(data),
        of_trace(trace(A, recorded_at="2026-01-01T00:00:00Z"), NOW),
        of_trace(trace(A, recorded_at="2026-02-01T00:00:00Z"), "2026-02-01T00:00:00Z"),
        of_trace(trace("no purl")),
        of_graph(graph({"m": ("no purl", [])}, "m")),
    ):
        with pytest.raises(MalformedDocument):
            Evidence([source], NOW)
    with pytest.raises(NameCollision):
        Evidence([of_graph(data), of_graph(data)], NOW)


@pytest.mark.parametrize(
    ("module", "name", "limit"),
    [
        (evidence, "MAX_NODES", 5),
        (evidence, "MAX_CALLS", 5),
        (evidence, "MAX_SOURCES", 2),
        (evidence, "MAX_TOTAL", 300),
        (evidence, "MAX_PACKAGES", 1),
        (documents, "MAX_NODES", 1),
        (documents, "MAX_CALLS", 1),
        (documents, "MAX_BYTES", 50),
    ],
)
def test_what_evidence_costs_is_counted(monkeypatch: pytest.MonkeyPatch, module: object, name: str, limit: int) -> None:
    sources = [of_graph(graph({"m": (A, ["m", "n"]), "n": (B, [])}, "m"), str(place)) for place in range(3)]
    assert Evidence(sources, NOW).sources
    monkeypatch.setattr(module, name, limit)
    with pytest.raises(LimitExceeded):
        Evidence(sources, NOW)


def test_coverage_is_of_code_ids_rounded_down() -> None:
    nodes = [{"id": "1", "codeId": "c"}, {"id": "2", "symbolId": "s", "codeId": "c"}, {"id": "3", "symbolId": "t"}]
    found = reachability.read("g", graph({}, "1", nodes=nodes))
    assert isinstance(found, reachability.GraphDocument)
    expected = CodeIdCoverage(total_nodes=3, nodes_with_symbol_id=2, nodes_with_code_id=2, coverage_percent=66)
    assert reachability.coverage(found) == expected


names = st.sampled_from("abcdef")
graphs = st.dictionaries(
    names, st.tuples(st.sampled_from([None, A, B]), st.lists(names, max_size=4)), min_size=1, max_size=6
)


@given(graphs, st.lists(names, min_size=1, max_size=2), st.randoms(use_true_random=False))
def test_reached_is_what_a_plain_search_reaches_whatever_the_order(
    nodes: dict, entries: list[str], source: random.Random
) -> None:
    known = {name: (purl, [call for call in calls if call in nodes]) for name, (purl, calls) in nodes.items()}
    starts = [entry for entry in entries if entry in known] or [min(known)]
    reached, pending = set(starts), list(starts)
    while pending:
        for call in known[pending.pop()][1]:
            if call not in reached:
                reached.add(call)
                pending.append(call)
    shuffled = list(known)
    source.shuffle(shuffled)
    verdicts = [
        about(A, of_graph(graph({name: known[name] for name in order}, *starts))) for order in (sorted(known), shuffled)
    ]
    assert verdicts[0] == verdicts[1]
    holders = {name for name, (purl, _) in known.items() if purl == A}
    expected = "reachable" if holders & reached else "unreachable" if holders else "unknown"
    assert verdicts[0].state == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "purl", "calls", "x"]), inner),
    max_leaves=8,
)
members = st.sampled_from(["schema", "nodes", "entryPoints", "complete", "recordedAt", "observed"])


@given(
    st.binary(max_size=80)
    | st.dictionaries(members, json_values).map(lambda one: json.dumps(one).encode())
    | st.tuples(
        st.sampled_from(["stella-call-graph/1", "stella-runtime-trace/1"]), st.dictionaries(members, json_values)
    ).map(lambda one: json.dumps(one[1] | {"schema": one[0]}).encode())
)
def test_any_bytes_are_a_document_or_refused(data: bytes) -> None:
    found = None
    with contextlib.suppress(StellaError):
        found = reachability.read("any", data)
    assert found is None or found.schema in (reachability.GRAPH_SCHEMA, reachability.TRACE_SCHEMA)


@pytest.mark.parametrize(
    ("unreached", "reached", "looked_up"),
    [
        ("pkg:nuget/newtonsoft.json@1.0.0", "pkg:nuget/Newtonsoft.Json@1.0.0", ""),
        ("pkg:composer/Acme/Lib@1.0.0", "pkg:composer/acme/lib@1.0.0", ""),
        ("pkg:golang/a/b@v1.0.0", "pkg:golang/a/b@1.0.0", ""),
        ("pkg:npm/%40s/n@1.0.0", "pkg:npm/%40s%2Fn@1.0.0", ""),
        ("pkg:npm/n@1.0.0", "pkg:npm/n@main", ""),
        ("pkg:generic/A@1.0.0", "pkg:generic/a@1.0.0", ""),
        ("pkg:deb/debian/libssl3@1", "pkg:deb/debian/openssl@2", "openssl"),
    ],
)
def test_a_package_that_is_reached_under_another_spelling_is_never_unreachable(unreached, reached, looked_up):
    nodes = {"m": (None, ["b"]), "a": (unreached, []), "b": (reached, [])}
    alone = {"m": (None, []), "a": (unreached, [])}
    for sources in ([of_graph(graph(nodes, "m"))], [of_graph(graph(alone, "m")), of_trace(trace(reached))]):
        verdict = Evidence(sources, NOW).about(unreached, "", looked_up)
        assert (verdict and verdict.state, verdict and verdict.reason) == ("unknown", "other-spelling")


def test_another_version_that_is_reached_leaves_a_package_unreachable():
    nodes = {"m": (None, ["b"]), "a": ("pkg:nuget/a@1.0.0", []), "b": ("pkg:nuget/A@2.0.0", [])}
    assert about("pkg:nuget/a@1.0.0", of_graph(graph(nodes, "m"))).state == "unreachable"
