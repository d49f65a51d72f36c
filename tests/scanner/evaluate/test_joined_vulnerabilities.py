"""Records that join several CVE ids into one finding: what is said of one of them settles no other."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from scanner.evaluate import evaluate

HEAD = b'schemaVersion = "1.0"\nname = "p"\ndefault = "fail"\n'
SEVERE = {"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}


def record(identifier: str, *aliases: str, **more: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1"]}
    return {"id": identifier, "modified": "2026-01-01T00:00:00Z", "aliases": aliases, "affected": [affected], **more}


BY_ALIAS = [record("CVE-1", "CVE-2"), record("CVE-2", **SEVERE)]
BY_ALIAS_BACK = [record("CVE-1"), record("CVE-2", "CVE-1")]
BY_THIRD = [record("CVE-1"), record("CVE-2"), record("GHSA-1", "CVE-1", "CVE-2")]
NAMED_ONLY = [record("CVE-1", "CVE-2")]
SMALL_LETTERS = [record("CVE-1", "cve-2"), record("cve-2")]
ALL = [BY_ALIAS, BY_ALIAS_BACK, BY_THIRD, NAMED_ONLY, SMALL_LETTERS]


def openvex(*names: str) -> tuple[str, bytes]:
    statements = [
        {
            "vulnerability": name,
            "products": ["pkg:pypi/a@1"],
            "status": "not_affected",
            "timestamp": "2026-01-01T00:00:00Z",
        }
        for name in names
    ]
    document = {"@context": "https://openvex.dev/ns/v0.2.0", "author": "A", "statements": statements}
    return "v", json.dumps(document).encode()


@pytest.fixture
def finding(memory_feed: Any, make_input: Callable[..., Any], make_sbom: Any) -> Callable[..., dict[str, Any]]:
    def found(records: list[dict[str, Any]], *names: str, rules: bytes = b"") -> dict[str, Any]:
        vex = [openvex(*names)] if names else []
        given = make_input(make_sbom("pkg:pypi/a@1"), memory_feed("f", records), vex=vex, policy=HEAD + rules)
        (only,) = json.loads(evaluate(given)["findings.json"])["findings"]
        return only

    return found


@pytest.mark.parametrize("records", ALL)
@pytest.mark.parametrize("named", ["CVE-1", "CVE-2"])
def test_a_statement_about_one_cve_does_not_settle_another(finding: Any, records: Any, named: str) -> None:
    found = finding(records, named)
    assert (found.get("vex"), found["decision"]["action"]) == (None, "fail")


@pytest.mark.parametrize("records", ALL)
def test_statements_about_each_cve_settle_the_finding(finding: Any, records: Any) -> None:
    found = finding(records, "CVE-1", "CVE-2")
    assert (found["vex"]["status"], found["decision"]["by"]) == ("not_affected", "vex")


def test_a_statement_about_a_record_that_names_both_settles_both(finding: Any) -> None:
    assert finding(BY_THIRD, "GHSA-1")["vex"]["status"] == "not_affected"


def rule(action: str, *ids: str) -> bytes:
    to = 'to = "low"\n' if action == "downgrade" else ""
    return f'[[rules]]\nid = "r"\naction = "{action}"\n{to}reason = "x"\nmatch = {{ids = {json.dumps(ids)}}}\n'.encode()


@pytest.mark.parametrize("records", ALL[:4])
@pytest.mark.parametrize(
    ("action", "ids", "matched"),
    [
        ("ignore", ["CVE-1"], False),
        ("ignore", ["CVE-2"], False),
        ("ignore", ["CVE-1", "CVE-2"], True),
        ("downgrade", ["CVE-1"], False),
        ("downgrade", ["CVE-1", "CVE-2"], True),
        ("warn", ["CVE-1"], True),
        ("fail", ["CVE-2"], True),
        ("requireVex", ["CVE-2"], True),
    ],
)
def test_a_rule_that_accepts_one_cve_does_not_accept_another(
    finding: Any, records: Any, action: str, ids: list[str], matched: bool
) -> None:
    decision = finding(records, rules=rule(action, *ids))["decision"]
    assert ("rule" in decision or "downgrade" in decision) == matched


def test_a_finding_says_which_vulnerabilities_it_joins(finding: Any) -> None:
    assert finding(BY_ALIAS)["vulnerabilities"] == [["CVE-1"], ["CVE-2"]]
    assert finding(BY_THIRD)["vulnerabilities"] == [["CVE-1", "GHSA-1"], ["CVE-2", "GHSA-1"]]
    assert "vulnerabilities" not in finding([record("CVE-1", "GHSA-1"), record("GHSA-1")])


def test_a_rule_for_a_record_that_names_both_accepts_both(finding: Any) -> None:
    assert finding(BY_THIRD, rules=rule("ignore", "GHSA-1"))["decision"]["rule"] == "r"
    assert finding([record("CVE-1", "GHSA-1")], rules=rule("ignore", "GHSA-1"))["decision"]["rule"] == "r"
