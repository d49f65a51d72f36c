"""Two snapshots of real feeds: every difference has a feed record as its cause, there and back."""

import json

import pytest

from scanner import outputs
from scanner.evaluate import evaluate
from scanner.explain import explain

APPEARED = {
    "python-legacy-ml.syft.cdx16.json": 12,
    "go-constellation.syft.spdx22.json": 129,
    "debian11-airflow.trivy.spdx22.json": 9,
}
ALLOWED = {"feed-record-added", "feed-record-changed", "input-identity", "consequence"}


@pytest.mark.parametrize("name", APPEARED)
def test_every_difference_of_newer_snapshots_has_its_record(name, test_data, real_feeds, make_input):
    sbom = (test_data / "sboms" / name).read_bytes()
    before, after = make_input(sbom, *real_feeds["old"]), make_input(sbom, *real_feeds["new"])
    recorded, replayed = evaluate(before), evaluate(after)
    tree = explain(recorded, replayed, before, after)
    assert tree.causes.keys() <= ALLOWED
    (member,) = [member for member in tree.members if member.path == outputs.FINDINGS]
    appeared = [one for one in member.entries if one.kind == "appeared"]
    assert len(appeared) == APPEARED[name]
    findings = json.loads(replayed[outputs.FINDINGS])["findings"]
    for one in appeared:
        finding = findings[int(one.pointer.rpartition("/")[2])]
        assert one.subject == f"{finding['id']} {finding['component']['purl']}"
        assert finding["id"] in one.detail
    back = explain(replayed, recorded, after, before)
    (member,) = [member for member in back.members if member.path == outputs.FINDINGS]
    assert sum(one.kind == "vanished" for one in member.entries) == APPEARED[name]
    assert back.causes["feed-record-removed"] == tree.causes["feed-record-added"]


def test_a_crafted_withdrawal_makes_real_findings_vanish(test_data, real_records, memory_feed, make_input):
    sbom = (test_data / "sboms" / "python-legacy-ml.syft.cdx16.json").read_bytes()
    records = real_records("PyPI", "2024-10-10")
    first = json.loads(evaluate(make_input(sbom, memory_feed("pypi", records)))[outputs.FINDINGS])["findings"][0]
    withdrawn = [
        record | {"withdrawn": "2024-10-11T00:00:00Z"} if record["id"] == first["id"] else record for record in records
    ]
    before = make_input(sbom, memory_feed("pypi", records))
    after = make_input(sbom, memory_feed("pypi", withdrawn))
    tree = explain(evaluate(before), evaluate(after), before, after)
    (member,) = [member for member in tree.members if member.path == outputs.FINDINGS]
    assert {(one.kind, one.cause) for one in member.entries} == {
        ("vanished", "feed-record-withdrawn"),
        ("appeared", "feed-record-withdrawn"),
    }
