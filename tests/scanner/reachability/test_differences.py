"""Evidence and ownership in the outputs: what they change, and to what a difference is put down."""

import json
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from kit.bytes import digest
from kit.reachability import GraphInput
from scanner import evaluate as evaluation
from scanner import outputs
from scanner.evaluate import EvaluationInput, evaluate
from scanner.explain import explain
from scanner.reachability import Source

RECORD = {
    "id": "PYSEC-1",
    "modified": "2025-01-01T00:00:00Z",
    "published": "2024-12-31T00:00:00Z",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1"]}],
}
POLICY = b"""
schemaVersion = "1.0"
name = "p"
[[rules]]
id = "owned"
action = "fail"
reason = "r"
match = { ownedByOsPackage = true }
[[rules]]
id = "called"
action = "fail"
reason = "r"
match = { reachability = ["reachable"] }
"""


def source(purl: str, *, complete: bool = True) -> Source:
    nodes = [{"id": "main", "purl": purl}]
    document = {"schema": "stella-call-graph/1", "nodes": nodes, "entryPoints": ["main"], "complete": complete}
    data = json.dumps(document).encode()
    found = digest.of_bytes(data)
    uri = f"cas://reachability/graphs/{found}"
    return GraphInput(cas_uri=uri, hash=found, hash_alg="sha256", path="p", digest=found), data


@pytest.fixture
def plain(make_input: Callable, make_sbom: Callable, memory_feed: type) -> EvaluationInput:
    return make_input(make_sbom("pkg:pypi/a@1"), memory_feed("pypi", [RECORD]), policy=POLICY)


def finding(made: dict[str, bytes]) -> dict:
    (one,) = json.loads(made[outputs.FINDINGS])["findings"]
    return one


def test_without_evidence_nothing_is_said_of_it(plain: EvaluationInput) -> None:
    made = evaluate(plain)
    one = finding(made)
    assert not {"reachability", "ownedByOsPackage"} & one.keys()
    assert one["records"][0]["published"] == RECORD["published"]
    assert "reachability" not in json.loads(made[outputs.VERDICT])["inputs"]
    assert b"reachability" not in made[outputs.LOG]


def test_what_evidence_changes_is_put_down_to_it(plain: EvaluationInput) -> None:
    called = replace(plain, reachability=[source("pkg:pypi/a@1")])
    before, after = evaluate(plain), evaluate(called)
    assert finding(after)["decision"]["rule"] == "called"
    difference = explain(before, after, plain, called)
    causes = {
        (member.path, one.pointer): one.cause
        for member in difference.members
        for one in member.entries
        if member.path == outputs.FINDINGS
    }
    assert causes == {
        (outputs.FINDINGS, "/findings/0/decision"): "reachability-evidence",
        (outputs.FINDINGS, "/findings/0/reachability"): "reachability-evidence",
    }
    assert "unexplained" not in difference.causes


def test_evidence_is_told_in_trace_and_log(plain: EvaluationInput) -> None:
    graph = source("pkg:pypi/b@1")
    made = evaluate(replace(plain, reachability=[graph]))
    (told,) = json.loads(made[outputs.TRACE])["graphs"]
    assert (told["casUri"], told["nodes"], told["calls"], told["reached"]) == (graph[0].cas_uri, 1, 0, 1)
    assert f'casUri="{graph[0].cas_uri}" digest="{graph[0].digest}"'.encode() in made[outputs.LOG]


@pytest.mark.parametrize(("owners", "owned"), [(("system", "system"), True), (("system", None), False)])
def test_a_package_is_owned_where_all_its_instances_are(
    plain: EvaluationInput, make_sbom: Callable, monkeypatch: pytest.MonkeyPatch, owners: tuple, owned: bool
) -> None:
    genuine = evaluation.read_sbom

    def read(data: bytes):
        sbom = genuine(data)
        components = tuple(replace(one, owner=owner) for one, owner in zip(sbom.components, owners, strict=True))
        return replace(sbom, components=components)

    monkeypatch.setattr(evaluation, "read_sbom", read)
    one = finding(evaluate(replace(plain, sbom=make_sbom("pkg:pypi/a@1", "pkg:pypi/a@1"))))
    assert one.get("ownedByOsPackage", False) is owned
    assert one["decision"]["by"] == ("rule" if owned else "default")
