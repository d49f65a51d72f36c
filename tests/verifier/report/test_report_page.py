"""The auditor's page: everything on it, nothing but text in it, nothing outside it."""

import base64
import copy
import hashlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import result as results
from kit.bytes import canonical
from kit.errors import MalformedDocument
from verifier.report import RunView, page_of, render, view
from verifier.report_findings import findings_view

NAMES = ("verified", "what_if", "differs", "refused", "refused_early")
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "link",
    "style",
    "body",
    "header",
    "main",
    "section",
    "div",
    "dl",
    "dt",
    "dd",
    "h1",
    "h2",
    "h3",
    "p",
    "span",
    "b",
    "small",
    "code",
    "pre",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "br",
    "details",
    "summary",
}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "rel", "href", "class"}
HOSTILE = "<script>alert(1)</script>\"'>&{{ 7*7 }}</style>\u202e\u200b\n\x1b[31m"


class Reader(HTMLParser):
    """Collects tags, attributes, texts and the style sheet of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []
        self.style = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        if self.tags[-1:] == ["style"] and not self.style:
            self.style = data
        elif data.strip():
            self.text.append(data.strip())


def read(page: bytes) -> Reader:
    reader = Reader()
    reader.feed(page.decode("ascii"))
    reader.close()
    return reader


def everywhere(value, text):
    """Return a JSON value with every string but the states and digests that steer the page replaced."""
    if isinstance(value, dict):
        return {key: everywhere(inner, text) for key, inner in value.items()}
    if isinstance(value, list):
        return [everywhere(inner, text) for inner in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize("name", NAMES)
def test_cases_are_results_of_the_written_schema(load_case, name):
    case = load_case(name)
    assert results.parse_result(canonical.encode(case["result"])).verdict == case["result"]["verdict"]


@pytest.mark.parametrize("name", NAMES)
def test_every_check_appears_with_its_number_name_and_state(load_case, view_of, name):
    case = load_case(name)
    text = read(render(view_of(case))).text
    words = {"passed": "passed", "failed": "FAILED", "not-made": "NOT MADE"}
    place = 0
    for check in case["result"]["checks"]:
        found = text.index(check["name"], place)
        assert str(check["number"]) in text[place:found]
        assert text[found + 1] == words[check["state"]]
        if check["state"] == "not-made":
            assert text[found + 2] == check["detail"]
        place = found
    assert len(page_of(view_of(case)).checks) == 17


@pytest.mark.parametrize("name", NAMES)
def test_verdict_reason_and_digest_of_the_result_appear(load_case, view_of, name):
    case = load_case(name)
    run = view_of(case)
    text = " ".join(read(render(run)).text)
    for key in ("verdict", "reason", "sentence"):
        assert case["result"][key] in text
    assert "RUN_DIR" not in text
    assert f"exit {case['result']['exitCode']}" in text
    assert run.result_digest == "sha256:" + hashlib.sha256(canonical.encode(case["result"])).hexdigest()
    assert run.result_digest.removeprefix("sha256:") + "  result.json" in text


@pytest.mark.parametrize("name", NAMES)
def test_the_policy_allows_the_one_style_sheet_and_nothing_else(load_case, view_of, name):
    reader = read(render(view_of(load_case(name))))
    policy = next(value for tag, key, value in reader.attributes if tag == "meta" and key == "content")
    digest = base64.b64encode(hashlib.sha256(reader.style.encode()).digest()).decode()
    assert (
        policy == f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert reader.tags.count("style") == 1
    assert reader.tags.index("meta") < reader.tags.index("style")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_fetched_and_nothing_is_run(load_case, view_of, name):
    page = render(view_of(load_case(name)))
    reader = read(page)
    assert set(reader.tags) <= TAGS
    assert {key for _, key, _ in reader.attributes} <= ATTRIBUTES
    assert [value for _, key, value in reader.attributes if key == "href"] == ["data:,"]
    assert not re.search(r"url\(|@import|expression|//", reader.style)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_text_stays_text(load_case, view_of, name):
    page = render(view_of({key: everywhere(value, HOSTILE) for key, value in load_case(name).items()}))
    reader = read(page)
    assert set(reader.tags) <= TAGS
    assert {key for _, key, _ in reader.attributes} <= ATTRIBUTES
    assert not any("alert" in (value or "") for _, _, value in reader.attributes)
    assert any("<script>alert(1)</script>" in text for text in reader.text)
    assert any("{{ 7*7 }}" in text for text in reader.text)
    assert any(r"\u202e\u200b\u000a\u001b[31m" in text for text in reader.text)
    assert b"&#8238;" not in page
    assert all(byte in b"\n" or 32 <= byte < 127 for byte in page)


def test_letters_of_other_scripts_are_shown_as_they_are(load_case, view_of):
    case = load_case("verified")
    case["result"]["scan"]["subject"] = "Größenprüfung 注文"
    page = render(view_of(case))
    assert "Größenprüfung 注文" in read(page).text
    assert page.isascii()


def test_the_same_run_gives_the_same_bytes_whatever_the_hash_seed(load_case, view_of):
    program = (
        "import json, sys, hashlib; from kit.bytes import canonical; from verifier import report;"
        "case = json.load(sys.stdin);"
        "outputs = {path: canonical.encode(value) for path, value in case['outputs'].items()};"
        "view = report.view(canonical.encode(case['result']), case['difference'], outputs=outputs);"
        "print(hashlib.sha256(report.render(view)).hexdigest())"
    )
    case = load_case("what_if")
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=canonical.encode(case),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_differences_come_with_their_causes_and_consequences_are_gathered(load_case, view_of):
    run = view_of(load_case("what_if"))
    difference = page_of(run).difference
    told = {(row.kind, row.place, row.subject.split()[0], row.cause) for row in difference.told[0].entries}
    assert told == {
        ("appeared", "", "PYSEC-2024-60", "feed-record-added"),
        ("vanished", "", "PYSEC-2023-177", "feed-record-changed"),
        ("vanished", "", "PYSEC-2022-42969", "feed-record-withdrawn"),
        ("appeared", "withdrawn", "PYSEC-2022-42969", "feed-record-withdrawn"),
    }
    assert "merkle/finding-tree.json" in difference.following
    assert [row.cause for row in difference.causes][-1] == "consequence"
    text = " ".join(read(render(run)).text)
    assert "the record was withdrawn" in text
    assert "Equal: sbom.json, vex.json." in text


def test_a_member_with_very_many_differences_is_cut_and_says_so(load_case, view_of):
    case = load_case("differs")
    member = next(row for row in case["difference"]["members"] if row["state"] == "changed")
    member["entries"] = member["entries"] * 150
    assert "50 more in diff.json" in read(render(view_of(case))).text


def test_gravest_findings_come_first_and_the_rest_is_counted(load_case, view_of):
    findings = page_of(view_of(load_case("verified"))).findings
    assert [row.action for row in findings.shown] == ["fail"] * 2 + ["warn"] * 10
    assert findings.total == 19
    assert [(row.level, row.total) for row in findings.levels][:2] == [("critical", "2"), ("high", "13")]
    assert [row.score for row in findings.shown[:4]] == ["9.8", "9.8", "8.8", "8.6"]
    assert findings.not_evaluated_total == 2
    assert [row.kind for row in findings.left_out] == ["component", "component", "withdrawn"]


def test_a_suppressed_finding_names_its_statement_and_an_ignored_one_its_rule(load_case, view_of):
    case = load_case("verified")
    rows = case["outputs"]["findings.json"]["findings"]
    case["outputs"]["findings.json"]["findings"] = [row for row in rows if row["decision"]["action"] == "ignore"]
    shown = {row.id: row.why for row in page_of(view_of(case)).findings.shown}
    assert shown["PYSEC-2020-36"] == "VEX not affected: vulnerable code not in execute path"
    assert shown["PYSEC-2021-421"].startswith("rule babel-locale-names: Locale names come from a fixed list")


def test_one_key_that_signed_twice_is_one_signer(load_case, view_of):
    signers = page_of(view_of(load_case("verified"))).signers
    assert [row.name for row in signers] == ["kit.dsse.json, manifest.dsse.json"]
    assert re.fullmatch(r"([0-9a-f]{4} ){15}[0-9a-f]{4}", signers[0].digest)


def test_what_a_run_did_not_reach_is_said_to_be_absent(load_case, view_of):
    text = read(render(view_of(load_case("refused_early")))).text
    for said in (
        "No signature was counted.",
        "The manifest was not read, so no input is known.",
        "The scan was not replayed, so no output was compared.",
    ):
        assert said in text
    assert text.count("not recorded") >= 5


def test_an_unknown_state_of_a_check_counts_as_failed(load_case, view_of):
    case = load_case("verified")
    case["result"]["checks"][3]["state"] = "probably"
    page = page_of(view_of(case))
    assert page.checks[3].state == "failed"
    assert page.checks[3].word == "probably"


def test_a_result_that_is_no_object_is_refused():
    with pytest.raises(MalformedDocument):
        view(b"[]")


json_values = st.recursive(
    st.booleans() | st.integers(-9, 2**53) | st.text(max_size=8) | st.just("sha256:" + "ab" * 32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aZ-_", max_size=4), inner, max_size=3),
    max_leaves=6,
)
PARTS = [
    "checks",
    "guard",
    "inputs",
    "kit",
    "mode",
    "outputs",
    "referenceTime",
    "rootPack",
    "scan",
    "signers",
    "verdict",
    "verifier",
    "exitCode",
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_result_of_any_shape_still_gives_a_page(load_case, data):
    case = copy.deepcopy(load_case("verified"))
    result, outputs = case["result"], case["outputs"]
    for part in data.draw(st.lists(st.sampled_from(PARTS), max_size=5)):
        result[part] = data.draw(json_values)
    row = data.draw(st.sampled_from(outputs["findings.json"]["findings"]))
    row[data.draw(st.sampled_from(sorted(row)))] = data.draw(json_values)
    run = RunView(
        result=result,
        result_digest="sha256:" + "0" * 64,
        difference=data.draw(st.dictionaries(st.sampled_from(["members", "causes"]), json_values)),
        findings=outputs["findings.json"],
        verdict=data.draw(st.dictionaries(st.sampled_from(["verdict", "grounds", "expiredRules"]), json_values)),
        journal=[{"seq": 0, "data": data.draw(json_values)}],
    )
    assert set(read(render(run)).tags) <= TAGS


def test_what_a_policy_weighed_about_a_finding_is_said(load_case, view_of):
    case = copy.deepcopy(load_case("verified"))
    rows = case["outputs"]["findings.json"]["findings"]
    (finding,) = case["outputs"]["findings.json"]["findings"] = rows[:1]
    finding["ownedByOsPackage"] = True
    finding["reachability"] = {"state": "unknown", "reason": "graph-missing"}
    finding["decision"]["downgrade"] = {"rule": "tools", "to": "low", "reason": "Only at build time."}
    (shown,) = page_of(view_of(case)).findings.shown
    told = (
        "lowered to low by rule tools: Only at build time., unknown by the call graphs (graph missing), "
        "installed by a package of the operating system"
    )
    assert shown.why.endswith(told)


def test_what_was_not_evaluated_is_counted_by_reason_and_ecosystem():
    rows = [
        {"ref": str(number), "name": str(number), "reason": "no-feed", "purl": f"pkg:{kind}/x@1"}
        for number, kind in enumerate(["npm"] * 30 + ["gem"] * 2)
    ]
    found = findings_view({"notEvaluated": [*rows, {"ref": "z", "name": "z", "reason": "no-purl"}]}, None)
    counts = [(row.count, row.reason, row.ecosystem) for row in found.left_out_counts]
    assert counts == [("30", "no feed", "npm"), ("2", "no feed", "gem"), ("1", "no purl", "no purl")]


@pytest.mark.parametrize(
    ("level", "number", "heading"),
    [
        ("unknown", 30, "The first 12 of 30 by decision and name; no severity is known; findings.json has all"),
        ("unknown", 2, "Each finding, by decision and name; no severity is known"),
        ("low", 30, "The gravest 12 of 30; findings.json has all"),
        ("low", 2, "Each finding, gravest first"),
    ],
)
def test_heading_claims_no_order_that_is_not_there(level, number, heading):
    rows = [{"id": f"CVE-{each}", "severity": {"level": level}} for each in range(number)]
    assert findings_view({"findings": rows}, None).heading == heading
