"""stella policy: what it says about a policy, and why each finding is decided as it is."""

import json
import shlex
from pathlib import Path

import pytest

import stella
from builder.cli import policy as commands
from kit import layout
from tests.world import FEED, INPUTS, SCAN_TIME, Replay, World

POLICY = INPUTS / "policy.toml"


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, dict]:
    code = stella.main([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_check_says_what_is_in_force_and_what_has_ended(capsys) -> None:
    code, said = run(capsys, "policy", "check", POLICY, "--time", SCAN_TIME)
    assert code == 0
    assert [(rule["id"], rule["state"]) for rule in said["rules"]] == [
        ("babel-locale-names", "in force"),
        ("lexers-behind-login", "expired"),
        ("critical-breaks-the-build", "in force"),
        ("low-is-noted", "in force"),
    ]
    assert (said["expired"], said["neverMatch"]) == (["lexers-behind-login"], [])


def test_check_gives_the_digest_that_a_record_carries(capsys, world: World) -> None:
    _, said = run(capsys, "policy", "check", POLICY, "--time", SCAN_TIME)
    manifest = json.loads((world.record / layout.MANIFEST_FILE).read_bytes())
    assert said["digest"] == manifest["policy"]["digest"]


def test_check_names_rules_that_never_match(capsys, tmp_path: Path) -> None:
    written = tmp_path / "policy.toml"
    written.write_text(
        POLICY.read_text() + '\n[[rules]]\nid = "late"\naction = "warn"\nreason = "r"\nmatch = {severities = ["low"]}\n'
    )
    code, said = run(capsys, "policy", "check", written, "--time", SCAN_TIME)
    assert code == 0
    assert said["rules"][-1]["state"] == "never matches"
    assert said["neverMatch"] == [{"rule": "late", "because": "low-is-noted takes all that it could match"}]


def test_check_refuses_a_fault_with_its_line(capsys, tmp_path: Path) -> None:
    written = tmp_path / "policy.toml"
    written.write_text(POLICY.read_text().replace("severityAtMost", "severityAtmost"))
    code, said = run(capsys, "policy", "check", written)
    assert (code, said["reason"]) == (31, "MalformedDocument")
    line = said["details"]["line"]
    assert "severityAtmost" in written.read_text().splitlines()[line - 1]


def test_explain_reads_a_record_its_manifest_a_run_and_a_file(
    capsys, world: World, replay: Replay, tmp_path: Path
) -> None:
    _, directory = replay(world.kit)
    alone = tmp_path / "findings.json"
    alone.write_bytes((directory / "outputs" / "findings.json").read_bytes())
    places = [world.record, world.record / layout.MANIFEST_FILE, directory, directory / "outputs" / "findings.json"]
    answers = [run(capsys, "policy", "explain", POLICY, "--findings", place) for place in places]
    answers.append(run(capsys, "policy", "explain", POLICY, "--findings", alone, "--time", SCAN_TIME))
    assert {code for code, _ in answers} == {0}
    assert all(said == answers[0][1] for _, said in answers)
    code, refusal = run(capsys, "policy", "explain", POLICY, "--findings", alone)
    assert (code, refusal["reason"]) == (2, "UsageError")


def test_explain_gives_the_recorded_decisions(capsys, world: World, replay: Replay) -> None:
    _, directory = replay(world.kit)
    recorded = json.loads((directory / "outputs" / "findings.json").read_bytes())["findings"]
    _, said = run(capsys, "policy", "explain", POLICY, "--findings", directory)
    assert [(one["id"], one["action"]) for one in said["findings"]] == [
        (one["id"], one["decision"]["action"]) for one in recorded
    ]


def test_explain_says_why_no_earlier_rule_decided(capsys, world: World) -> None:
    code, said = run(capsys, "policy", "explain", POLICY, "--findings", world.record, "--id", "CVE-2021-42771")
    (one,) = said["findings"]
    assert (code, one["decidedBy"], one["rules"]) == (
        0,
        "rule babel-locale-names",
        [{"rule": "babel-locale-names", "answer": "decides"}],
    )
    _, said = run(capsys, "policy", "explain", POLICY, "--findings", world.record)
    (first, *_) = [one for one in said["findings"] if one["decidedBy"] == "rule critical-breaks-the-build"]
    assert first["rules"] == [
        {"rule": "babel-locale-names", "answer": "no match: ids"},
        {"rule": "lexers-behind-login", "answer": "has ended"},
        {"rule": "critical-breaks-the-build", "answer": "decides"},
    ]


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        ("explain {policy} --findings {record} --id CVE-0", 2, "UsageError"),
        ("explain {policy} --findings {empty}", 32, "FileMissing"),
        ("explain {policy} --findings {policy} --time 2026-01-01T00:00:00Z", 31, "MalformedDocument"),
        ("explain {policy} --findings {record} --time today", 2, "UsageError"),
        ("check {empty}/nothing.toml", 2, "UsageError"),
        ("check {policy} --time today", 2, "UsageError"),
    ],
)
def test_what_cannot_be_done_is_refused(
    capsys, world: World, tmp_path: Path, words: str, code: int, reason: str
) -> None:
    filled = words.format(policy=POLICY, record=world.record, empty=tmp_path)
    found, said = run(capsys, "policy", *shlex.split(filled))
    assert (found, said["reason"]) == (code, reason)


@pytest.mark.parametrize("name", ["check", "explain"])
def test_examples_use_options_that_exist(capsys, name: str) -> None:
    lines = [
        line.strip() for line in commands.EXAMPLES.splitlines() if line.strip().startswith(f"stella policy {name}")
    ]
    assert stella.main(["policy", name, "--help"]) == 0
    text = capsys.readouterr().out
    assert len(lines) >= 2
    assert all(word in text for line in lines for word in line.split() if word.startswith("--"))


def test_a_scan_is_recorded_with_a_graph_at_hand_and_one_by_name(capsys, world: World, tmp_path: Path) -> None:
    graph = tmp_path / "graph.json"
    nodes = [{"id": "main", "calls": ["babel"]}, {"id": "babel", "purl": "pkg:pypi/babel@2.6.0"}]
    document = {"schema": "stella-call-graph/1", "nodes": nodes, "entryPoints": ["main"], "complete": True}
    graph.write_text(json.dumps(document))
    named = "cas://reachability/runtime/sha256:" + "5a" * 32
    words = [
        "scan",
        "--record",
        "--sbom",
        INPUTS / "sbom.cdx.json",
        "--policy",
        POLICY,
        "--feed",
        f"{FEED}={world.feed}",
    ]
    words += ["--key", world.keys / "kit-1.key.pem", "--out", tmp_path / "records", "--time", SCAN_TIME]
    words += ["--rootpack", world.rootpack, "--reachability", graph, "--reachability", named]
    code, said = run(capsys, *words)
    assert code == 0
    section = json.loads((Path(said["record"]) / layout.MANIFEST_FILE).read_bytes())["reachability"]
    assert [entry["casUri"] for entry in section["runtimeTraces"]] == [named]
    assert section["graphs"][0]["path"].startswith("reachability/graphs/")
    _, explained = run(capsys, "policy", "explain", POLICY, "--findings", said["record"])
    states = {one["purl"]: one["facts"]["reachability"] for one in explained["findings"]}
    assert states.pop("pkg:pypi/babel@2.6.0") == "reachable"
    assert set(states.values()) == {"unknown"}


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("severityAtMost", "severityAtmost", "there is no severityAtmost here; did you mean severityAtMost?"),
        ("maxWarnings", "zzzzz", "known here are maxFindings, maxNotEvaluated, maxUndecidable, maxWarnings"),
        ('action = "fail"', 'action = "block"', "'block' is none of downgrade, fail, ignore, requireVex, warn"),
        ('"critical" }', '"crit" }', "'crit' is none of critical, high, low, medium, none"),
        ("expires = 2026-12-31T00:00:00Z", 'expires = "2026"', "a date and time with offset is expected"),
        ("maxWarnings = 40", 'maxWarnings = "many"', "Expected `int`, got `str`"),
    ],
)
def test_a_fault_of_a_policy_says_what_would_be_right(
    capsys, tmp_path: Path, right: str, wrong: str, told: str
) -> None:
    written = tmp_path / "p1.toml"
    written.write_text(POLICY.read_text().replace(right, wrong))
    code, said = run(capsys, "policy", "check", written)
    assert (code, said["details"]["path"]) == (31, str(written))
    assert told in said["details"]["detail"]


def test_explain_is_one_line_a_finding_unless_more_is_asked_for(capsys, world: World) -> None:
    words = ["policy", "explain", str(POLICY), "--findings", str(world.record)]
    assert stella.main(words) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["action", "id", "package", "decided", "by", "why"]
    assert len(lines) == 19
    assert {line[head.index("decided by") :].partition("  ")[0] for line in lines} == {
        "default", "vex", "rule babel-locale-names", "rule critical-breaks-the-build"
    }  # fmt: skip
    assert any(line.endswith("VEX says not_affected") for line in lines)
    assert stella.main([*words, "--verbose"]) == 0
    assert "no match: ids" in capsys.readouterr().out
