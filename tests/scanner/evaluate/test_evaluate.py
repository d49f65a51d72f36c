"""The evaluation as a function: what does not count, what decides the verdict, what is refused."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kit.bytes import canonical
from kit.errors import LimitExceeded, MalformedDocument, NameCollision, UnsupportedVersion
from scanner import outputs
from scanner.candidates import Hit
from scanner.evaluate import evaluate
from scanner.findings import vulnerabilities

HEAD = b'schemaVersion = "1.0"\nname = "p"\n'


def advisory(identifier: str, name: str = "lantern", **members: object) -> dict:
    entry = {
        "package": {"ecosystem": "PyPI", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
    }
    return {"id": identifier, "modified": "2024-01-01T00:00:00Z", "affected": [entry], **members}


@pytest.fixture
def verdict_of(memory_feed, make_sbom, make_input):
    def run(policy: bytes, *records: dict, purls: tuple[str, ...] = ("pkg:pypi/lantern@1.0",)) -> dict:
        scan = make_input(make_sbom(*purls), memory_feed("pypi", records), policy=HEAD + policy)
        return json.loads(evaluate(scan)[outputs.VERDICT])

    return run


def test_the_order_of_feeds_and_documents_does_not_count(crafted):
    given = crafted()
    turned = replace(given, feeds=list(reversed(given.feeds)), vex=list(reversed(given.vex)))
    assert evaluate(turned) == evaluate(given)


def test_the_order_of_components_does_not_count(crafted, random_orders):
    given = crafted()
    document = json.loads(given.sbom)
    expected = evaluate(given)
    for order in random_orders(document["components"][:-1]):
        components = [*order, document["components"][-1]]
        found = evaluate(replace(given, sbom=json.dumps(document | {"components": components}).encode()))
        for path in (outputs.SBOM, outputs.FINDINGS, outputs.VEX, outputs.FINDING_TREE, outputs.TRACE):
            assert found[path] == expected[path], path


def test_the_order_of_records_does_not_count(crafted, crafted_records, memory_feed, random_orders):
    given = crafted()
    expected = evaluate(given)[outputs.FINDINGS]
    for order in random_orders(crafted_records["pypi"]):
        feed = memory_feed("pypi", crafted_records["pypi"])
        lines = {json.dumps(json.loads(line), sort_keys=True): line for line in feed.lines}
        feed.lines = [lines[json.dumps(record, sort_keys=True)] for record in order]
        feed.records = lambda packages, lines=feed.lines: enumerate(lines)
        assert evaluate(replace(given, feeds=[given.feeds[0], feed]))[outputs.FINDINGS] == expected


@pytest.fixture
def random_orders():
    def orders(items: list) -> list[list]:
        return [list(reversed(items)), items[3:] + items[:3], items[1::2] + items[::2]]

    return orders


def test_only_packages_of_covered_ecosystems_are_asked_for(crafted):
    given = crafted()
    evaluate(given)
    go, pypi = given.feeds
    assert go.asked == [("Go", "example.org/winch"), ("Go", "stdlib")]
    assert pypi.asked == sorted(pypi.asked)
    assert {ecosystem for ecosystem, _ in pypi.asked} == {"PyPI"}


def test_a_component_whose_ecosystem_no_feed_covers_says_so(memory_feed, make_sbom, make_input):
    given = make_input(
        make_sbom("pkg:golang/example.org/a@v1.0.0", "pkg:pypi/lantern@1"), memory_feed("pypi", [advisory("A")])
    )
    found = json.loads(evaluate(given)[outputs.FINDINGS])
    assert [(one["ref"], one["reason"], one["detail"]) for one in found["notEvaluated"]] == [("ref-0", "no-feed", "Go")]


@pytest.mark.parametrize(
    ("policy", "verdict", "grounds"),
    [
        (b"", "warn", [("warn", "default", None)]),
        (b'default = "ignore"', "pass", []),
        (b'default = "fail"', "fail", [("fail", "default", None)]),
        (b'default = "ignore"\nthresholds = {maxFindings = 0}', "pass", []),
        (b"thresholds = {maxFindings = 1}", "fail", [("fail", "threshold", "maxFindings"), ("warn", "default", None)]),
        (b"thresholds = {maxFindings = 2}", "warn", [("warn", "default", None)]),
        (b"thresholds = {maxWarnings = 1}", "fail", [("fail", "threshold", "maxWarnings"), ("warn", "default", None)]),
        (
            b'default = "ignore"\n[[rules]]\nid = "a"\naction = "fail"\nreason = "r"\nmatch = {ids = ["A-1"]}',
            "fail",
            [("fail", "rule", "a")],
        ),
    ],
)
def test_the_verdict_is_the_gravest_of_its_grounds(verdict_of, policy, verdict, grounds):
    found = verdict_of(policy, advisory("A-1"), advisory("A-2"))
    assert found["verdict"] == verdict
    assert [(one["action"], one["kind"], one.get("name")) for one in found["grounds"]] == grounds


@pytest.mark.parametrize(("action", "verdict"), [("ignore", "pass"), ("warn", "warn"), ("fail", "fail")])
@pytest.mark.parametrize(
    ("records", "purls", "gap"),
    [
        ([], ("pkg:pypi/lantern",), "notEvaluated"),
        ([], ("pkg:nowhere/lantern@1",), "notEvaluated"),
        ([], ("pkg:pypi/lantern@odd-version",), "notEvaluated"),
        (
            [advisory("A") | {"affected": [{"package": {"ecosystem": "PyPI", "name": "lantern"}, "ranges": 1}]}],
            None,
            "unreadable",
        ),
        (
            [
                advisory("A")
                | {"affected": [{"package": {"ecosystem": "PyPI", "name": "lantern"}, "ranges": [{"type": "GIT"}]}]}
            ],
            None,
            "undecidable",
        ),
    ],
)
def test_gaps_in_the_evaluation_are_the_policys_to_judge(verdict_of, action, verdict, records, purls, gap):
    others = [advisory("B", "other")]
    found = verdict_of(
        f'unevaluated = "{action}"'.encode(), *records, *others, purls=purls or ("pkg:pypi/lantern@1.0",)
    )
    assert found["verdict"] == verdict
    assert found["counts"][gap] == 1


def test_what_is_no_package_is_no_gap(make_input, memory_feed):
    components = [
        {"type": "file", "name": "f", "bom-ref": "f"},
        {"type": "operating-system", "name": "os", "bom-ref": "o"},
    ]
    subject = {"type": "container", "name": "image", "bom-ref": "s"}
    sbom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "metadata": {"component": subject},
        "components": components,
    }
    found = json.loads(evaluate(make_input(json.dumps(sbom).encode(), memory_feed("pypi", [])))[outputs.VERDICT])
    assert (found["verdict"], found["notEvaluated"]) == ("pass", {"not-a-package": 3})


def test_a_record_in_two_feeds_is_evidence_from_both(memory_feed, make_sbom, make_input):
    feeds = [memory_feed(name, [advisory("A", aliases=["CVE-1"])]) for name in ("second", "first")]
    found = json.loads(evaluate(make_input(make_sbom("pkg:pypi/lantern@1"), *feeds))[outputs.FINDINGS])
    (one,) = found["findings"]
    assert [record["feed"] for record in one["records"]] == ["first", "second"]


def test_a_package_under_two_package_urls_is_two_findings(memory_feed, make_sbom, make_input):
    sbom = make_sbom("pkg:pypi/lantern@1", "pkg:pypi/Lantern@1?file_name=a.whl")
    found = json.loads(evaluate(make_input(sbom, memory_feed("pypi", [advisory("A")])))[outputs.FINDINGS])
    assert [one["component"]["purl"] for one in found["findings"]] == [
        "pkg:pypi/Lantern@1?file_name=a.whl",
        "pkg:pypi/lantern@1",
    ]


def test_severity_vectors_of_the_matched_entry_replace_those_of_the_record(memory_feed, make_sbom, make_input):
    low, high = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    record = advisory("A", severity=[{"type": "CVSS_V3", "score": high}])
    record["affected"][0]["severity"] = [{"type": "CVSS_V3", "score": low}]
    found = json.loads(
        evaluate(make_input(make_sbom("pkg:pypi/lantern@1"), memory_feed("f", [record])))[outputs.FINDINGS]
    )
    assert found["findings"][0]["severity"]["vector"] == low


def test_the_highest_of_several_vectors_counts(memory_feed, make_sbom, make_input):
    vectors = [f"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:{one}/I:N/A:N" for one in "LHN"]
    record = advisory("A", severity=[{"type": "CVSS_V3", "score": vector} for vector in vectors])
    found = json.loads(
        evaluate(make_input(make_sbom("pkg:pypi/lantern@1"), memory_feed("f", [record])))[outputs.FINDINGS]
    )
    assert found["findings"][0]["severity"]["vector"] == vectors[1]


def test_the_first_doubt_of_a_record_is_reported_with_its_entry(memory_feed, make_sbom, make_input):
    record = advisory("A")
    fine = {"package": {"ecosystem": "PyPI", "name": "lantern"}, "versions": ["7"]}
    doubtful = [
        fine | {"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": text}]}]}
        for text in ("x y", "z")
    ]
    record["affected"] = [fine, *doubtful]
    found = json.loads(
        evaluate(make_input(make_sbom("pkg:pypi/lantern@1"), memory_feed("f", [record])))[outputs.FINDINGS]
    )
    (one,) = found["undecidable"]
    assert (one["affected"], one["range"], one["value"]) == (1, 0, "x y")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"time": "2026-01-02 03:04:05"}, MalformedDocument),
        ({"time": "2026-02-30T00:00:00Z"}, MalformedDocument),
        ({"sbom": b"{}"}, MalformedDocument),
        ({"policy": b"name = 1"}, MalformedDocument),
        ({"policy": HEAD.replace(b"1.0", b"9.0")}, UnsupportedVersion),
        ({"policy": b"#" * (1 << 20)}, LimitExceeded),
        ({"vex": [("a", b"{}")]}, MalformedDocument),
        ({"vex": "twice"}, NameCollision),
        ({"feeds": "twice"}, NameCollision),
    ],
    ids=str,
)
def test_an_input_that_is_refused_as_a_whole_stops_the_evaluation(crafted, change, error):
    given = crafted()
    change = {name: list(getattr(given, name)) * 2 if value == "twice" else value for name, value in change.items()}
    with pytest.raises(error):
        evaluate(replace(given, **change))


def hit(identifier: str, *aliases: str, upstream: tuple[str, ...] = ()) -> Hit:
    return Hit("f", identifier, "", "", aliases, upstream, (), (), (), "")


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ([hit("PYSEC-1", "CVE-1", "GHSA-1")], [("CVE-1", "GHSA-1", "PYSEC-1")]),
        ([hit("PYSEC-1", "GHSA-1"), hit("GHSA-1")], [("GHSA-1", "PYSEC-1")]),
        ([hit("ALPINE-CVE-1", upstream=("CVE-1",))], [("ALPINE-CVE-1", "CVE-1")]),
        ([hit("DSA-1", upstream=("CVE-1", "CVE-2"))], [("DSA-1",)]),
        ([hit("PYSEC-1", "CVE-1", upstream=("CVE-2",))], [("CVE-1", "PYSEC-1")]),
        (
            [hit("GHSA-a", "CVE-1"), hit("GHSA-b", "CVE-2"), hit("GO-1", "CVE-1", "CVE-2", "GHSA-a", "GHSA-b")],
            [("CVE-1", "GHSA-a", "GO-1"), ("CVE-2", "GHSA-b", "GO-1")],
        ),
        (
            [hit("GO-1", "CVE-1", "CVE-2", "GHSA-c"), hit("GHSA-c", "OTHER")],
            [("CVE-1", "GO-1"), ("CVE-2", "GO-1"), ("GHSA-c", "OTHER")],
        ),
    ],
)
def test_each_vulnerability_of_a_group_has_its_own_names(group, expected):
    assert vulnerabilities(group) == expected


@given(data=st.data())
def test_any_record_is_judged_or_listed(data, crafted, crafted_records, memory_feed):
    records = copy.deepcopy(crafted_records["pypi"])
    place: object = data.draw(st.sampled_from(records))
    while isinstance(place, dict | list) and place:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(
                st.sampled_from([1, 1.5, "", "x", "0", "*", "1.0", [], {}, ["a"], {"a": 1}, True, None])
            )
            break
        place = place[key]
    given_input = crafted()
    line = canonical.encode_foreign
    feed = memory_feed("pypi", [])
    feed.ecosystems = {"PyPI"}
    feed.records = lambda packages: ((ordinal, line(record)) for ordinal, record in enumerate(records))
    found = json.loads(evaluate(replace(given_input, feeds=[given_input.feeds[0], feed]))[outputs.FINDINGS])
    assert len(found["unreadable"]) in {0, 1, 2}


@pytest.mark.parametrize("withdrawn", ["", "no", "2024", "2024-13-01T00:00:00Z"])
def test_a_record_is_withdrawn_by_a_time_only(verdict_of, withdrawn):
    counts = verdict_of(b"", advisory("CVE-1", withdrawn=withdrawn))["counts"]
    assert (counts["findings"], counts["withdrawn"]) == (1, 0)
    counts = verdict_of(b"", advisory("CVE-1", withdrawn="2024-01-01T00:00:00.5+01:00"))["counts"]
    assert (counts["findings"], counts["withdrawn"]) == (0, 1)
