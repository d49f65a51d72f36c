"""VEX documents of all formats in an evaluation: what they decide, and what is recorded about them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from kit.errors import LimitExceeded, MalformedDocument, NameCollision, StellaError
from scanner.evaluate import evaluate

TIME = "2024-01-01T00:00:00Z"
COMPONENTS = [{"bom-ref": name, "name": name, "purl": f"pkg:pypi/{name}@1"} for name in ("app", "lib", "dep")]
SBOM = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "metadata": {"component": COMPONENTS[0]},
    "components": COMPONENTS[1:],
    "dependencies": [{"ref": "app", "dependsOn": ["lib"]}, {"ref": "lib", "dependsOn": ["dep"]}],
}
RECORD = {
    "id": "CVE-1",
    "modified": TIME,
    "affected": [{"package": {"ecosystem": "PyPI", "name": "dep"}, "versions": ["1"]}],
}


def openvex(product: Any, status: str = "not_affected", vulnerability: str = "CVE-1") -> dict[str, Any]:
    statement = {"vulnerability": vulnerability, "products": [product], "status": status, "timestamp": TIME}
    return {"@context": "https://openvex.dev/ns/v0.2.0", "author": "A", "statements": [statement]}


CSAF = {
    "document": {
        "csaf_version": "2.0",
        "publisher": {"name": "C"},
        "tracking": {"current_release_date": TIME},
    },
    "product_tree": {
        "full_product_names": [
            {"product_id": "P", "name": "P", "product_identification_helper": {"purl": "pkg:pypi/dep"}}
        ]
    },
    "vulnerabilities": [{"cve": "CVE-1", "product_status": {"fixed": ["P"]}}],
}
CYCLONEDX = SBOM | {
    "metadata": {"timestamp": TIME, "component": COMPONENTS[0]},
    "vulnerabilities": [{"id": "CVE-1", "analysis": {"state": "in_triage"}, "affects": [{"ref": "dep"}]}],
}
BLOCKING = openvex({"@id": "pkg:pypi/lib", "subcomponents": [{"@id": "pkg:pypi/dep"}]})


@pytest.fixture
def run(memory_feed: Any, make_input: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    def evaluated(*documents: Any, sbom: Any = SBOM) -> dict[str, Any]:
        vex = [(f"{place}", json.dumps(document).encode()) for place, document in enumerate(documents)]
        members = evaluate(make_input(json.dumps(sbom).encode(), memory_feed("f", [RECORD]), vex=vex))
        return {name: json.loads(members[name]) for name in ("findings.json", "vex.json", "logs/trace.json")}

    return evaluated


def test_all_paths_blocked_is_a_decision_with_its_evidence(run: Callable[..., Any]) -> None:
    found = run(BLOCKING)
    (finding,) = found["findings.json"]["findings"]
    assert (finding["vex"]["status"], finding["decision"]) == ("not_affected", {"action": "ignore", "by": "vex"})
    (decision,) = found["vex.json"]["decisions"]
    assert [(one["ref"], one["statement"]["author"]) for one in decision["blocks"]] == [("lib", "A")]
    assert decision["decided"] == decision["blocks"][0]["statement"]


def test_a_second_path_leaves_the_finding_as_it_is(run: Callable[..., Any]) -> None:
    graph = [{"ref": "app", "dependsOn": ["lib", "dep"]}, {"ref": "lib", "dependsOn": ["dep"]}]
    found = run(BLOCKING, sbom=SBOM | {"dependencies": graph})
    (finding,) = found["findings.json"]["findings"]
    assert ("vex" in finding, finding["decision"]["by"], found["vex.json"]["decisions"]) == (False, "default", [])


def test_formats_are_mixed_and_each_is_named(run: Callable[..., Any]) -> None:
    found = run(openvex("pkg:pypi/dep"), CSAF, CYCLONEDX)
    assert [(one["format"], one["author"], one["statements"]) for one in found["vex.json"]["documents"]] == [
        ("OpenVEX", "A", 1),
        ("CSAF", "C", 1),
        ("CycloneDX", "", 1),
    ]
    (finding,) = found["findings.json"]["findings"]
    assert finding["vex"]["status"] == "under_investigation"
    (conflict,) = found["vex.json"]["conflicts"]
    assert [one["status"] for one in conflict["statements"]] == ["not_affected", "fixed", "under_investigation"]
    assert found["logs/trace.json"]["counters"]["vexStatements"] == 3


def test_what_is_recorded_of_a_document_does_not_depend_on_the_findings(run: Callable[..., Any]) -> None:
    document = openvex("pkg:pypi/dep")
    document["statements"] += [openvex("pkg:pypi/%zz", vulnerability="CVE-9")["statements"][0], {"status": "fixed"}]
    nothing = SBOM | {"components": [], "dependencies": []}
    assert run(document)["vex.json"]["documents"] == run(document, sbom=nothing)["vex.json"]["documents"]
    assert {one["reason"] for one in run(document)["vex.json"]["documents"][0]["skipped"]} == {"bad-purl", "malformed"}


@pytest.mark.parametrize(
    ("vex", "refusal"),
    [
        ([("a", b"{}"), ("b", json.dumps(CSAF).encode())], MalformedDocument),
        ([("a", json.dumps(CSAF).encode())] * 2, NameCollision),
        ([(str(number), json.dumps(CSAF).encode()) for number in range(10_001)], LimitExceeded),
    ],
    ids=["no format", "one name twice", "too many"],
)
def test_documents_that_are_refused_stop_the_evaluation(
    vex: Any, refusal: type[StellaError], memory_feed: Any, make_input: Callable[..., Any]
) -> None:
    with pytest.raises(refusal):
        evaluate(make_input(json.dumps(SBOM).encode(), memory_feed("f", [RECORD]), vex=vex))


def test_a_statement_of_the_far_future_does_not_overrule_its_authors_true_one(run: Callable[..., Any]) -> None:
    late = openvex("pkg:pypi/dep")
    late["statements"][0]["timestamp"] = "9999-12-31T23:59:59Z"
    (finding,) = run(openvex("pkg:pypi/dep", "affected"), late)["findings.json"]["findings"]
    assert finding["vex"]["status"] == "affected"
