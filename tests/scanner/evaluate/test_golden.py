"""The outputs of the crafted scan, byte for byte, and what they have to say about it."""

import json

import pytest

from kit.bytes import canonical, digest, merkle
from scanner import outputs
from scanner.evaluate import evaluate


@pytest.fixture(scope="module")
def made(crafted):
    return evaluate(crafted())


@pytest.fixture(scope="module")
def found(made):
    return json.loads(made[outputs.FINDINGS])


def finding(found, identifier):
    (one,) = [one for one in found["findings"] if one["id"] == identifier]
    return one


def test_the_outputs_are_the_golden_bytes(made, request):
    expected = request.path.parent / "data" / "expected"
    paths = [path.relative_to(expected).as_posix() for path in expected.rglob("*") if path.is_file()]
    assert sorted(paths) == list(made)
    for path in paths:
        assert made[path] == (expected / path).read_bytes(), path


def test_the_json_outputs_are_canonical(made):
    for path, data in made.items():
        if path.endswith(".json"):
            assert canonical.encode(canonical.decode(data)) == data


def test_aliases_are_one_finding_under_the_smallest_record_id(found):
    one = finding(found, "GHSA-lant-0001-aaaa")
    assert one["aliases"] == ["CVE-2024-1001", "PYSEC-2024-1"]
    assert [record["id"] for record in one["records"]] == ["GHSA-lant-0001-aaaa", "PYSEC-2024-1"]


def test_instances_of_one_package_are_one_finding_with_all_refs(found):
    assert finding(found, "GHSA-lant-0001-aaaa")["component"]["refs"] == ["lantern-a", "lantern-b"]


def test_evidence_names_the_digest_of_the_canonical_line(found, crafted_records):
    (record,) = finding(found, "PYSEC-2024-6")["records"]
    (line,) = [canonical.encode_foreign(one) for one in crafted_records["pypi"] if one["id"] == "PYSEC-2024-6"]
    assert record["digest"] == digest.of_bytes(line)
    assert record["matched"] == [
        {"affected": 1, "by": "list", "comparator": "pep440", "index": 0, "listed": "1.0.0"},
    ]


def test_the_gravest_scored_vector_of_a_group_is_its_severity(found):
    assert finding(found, "GHSA-lant-0001-aaaa")["severity"]["score"] == 93
    assert finding(found, "PYSEC-2024-6")["severity"] == {
        "feed": "pypi",
        "level": "medium",
        "record": "PYSEC-2024-6",
        "score": 50,
        "vector": "AV:N/AC:L/Au:N/C:N/I:N/A:P",
    }
    assert finding(found, "PYSEC-2024-9")["severity"] == {"level": "unknown", "reason": "unscored-vector"}


def test_two_records_of_one_id_are_told_apart_by_digest(found):
    assert len(finding(found, "TWIN-1")["records"]) == 1


def test_a_withdrawn_record_is_listed_and_is_no_finding(found):
    assert [one["id"] for one in found["withdrawn"]] == ["PYSEC-2024-2"]
    assert "PYSEC-2024-2" not in {record["id"] for one in found["findings"] for record in one["records"]}


def test_what_cannot_be_judged_is_listed_with_its_reason(found):
    assert [(one["id"], one["reason"]) for one in found["undecidable"]] == [
        ("PYSEC-2024-3", "unparsable-event"),
        ("PYSEC-2024-4", "git-only"),
    ]
    assert len(found["unreadable"]) == 1


def test_every_component_is_accounted_for(made, found):
    counts = json.loads(made[outputs.VERDICT])["counts"]
    assert counts["components"] == counts["evaluated"] + counts["notEvaluated"] + counts["notPackages"]
    assert {one["ref"]: one["reason"] for one in found["notEvaluated"]} == {
        "app": "not-a-package",
        "bad": "bad-purl",
        "bare": "no-version",
        "deb": "no-feed",
        "mystery": "version-unparsable",
        "none": "no-purl",
        "os": "not-a-package",
    }


def test_an_unparsable_version_is_hit_by_a_list_entry_of_the_same_text_and_by_nothing_else(found):
    (record,) = finding(found, "PYSEC-2024-7")["records"]
    assert record["matched"][0]["comparator"] == "text"


def test_a_statement_of_a_trusted_author_outweighs_a_later_one_of_another(found):
    one = finding(found, "GO-2024-1")
    assert one["vex"]["status"] == "not_affected"
    assert one["decision"] == {"action": "ignore", "by": "vex"}


def test_a_statement_about_one_of_two_vulnerabilities_of_a_record_does_not_settle_the_finding(made, found):
    one = finding(found, "PYSEC-2024-6")
    assert one["aliases"] == ["CVE-2024-1006", "CVE-2024-1007"]
    assert "vex" not in one
    assert [partial["id"] for partial in json.loads(made[outputs.VEX])["partial"]] == ["PYSEC-2024-6"]


def test_an_expired_rule_is_listed_and_matches_nothing(made, found):
    assert json.loads(made[outputs.VERDICT])["expiredRules"] == ["ended"]
    assert finding(found, "GHSA-lant-0001-aaaa")["decision"]["rule"] == "grave"


def test_the_finding_tree_is_rfc_6962_over_the_findings(made, found):
    tree = json.loads(made[outputs.FINDING_TREE])
    hashes = [merkle.leaf_hash(canonical.encode(one)) for one in found["findings"]]
    assert [leaf["leafHash"] for leaf in tree["leaves"]] == [digest.of_raw(one) for one in hashes]
    assert tree["root"] == digest.of_raw(merkle.root(hashes))
    assert json.loads(made[outputs.VERDICT])["findingRoot"] == tree["root"]


def test_the_verdict_tree_covers_every_other_member(made):
    tree = json.loads(made[outputs.VERDICT_TREE])
    assert [leaf["path"] for leaf in tree["leaves"]] == [path for path in made if path != outputs.VERDICT_TREE]
    for leaf in tree["leaves"]:
        assert (leaf["size"], leaf["digest"]) == (len(made[leaf["path"]]), digest.of_bytes(made[leaf["path"]]))
    assert tree["root"] == digest.of_raw(
        merkle.root([merkle.leaf_hash(canonical.encode(leaf)) for leaf in tree["leaves"]])
    )


def test_findings_name_nothing_of_a_feed_as_a_whole(made, crafted):
    for feed in crafted().feeds:
        assert feed.snapshot_digest.encode() not in made[outputs.FINDINGS]
        assert feed.snapshot_digest.encode() in made[outputs.VERDICT]
