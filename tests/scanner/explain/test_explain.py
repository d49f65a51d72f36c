"""Differences and their causes: one thing varied at a time, and what the tree has to say about it."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kit.bytes import canonical
from scanner import outputs
from scanner.difference import Difference
from scanner.evaluate import evaluate
from scanner.explain import explain

LANTERN, WINCH = "pkg:pypi/lantern@1.0", "pkg:pypi/winch@2.0"
FEED_CAUSES = {"feed-record-added", "feed-record-changed", "feed-record-removed", "feed-record-withdrawn"}
HIGH, LOW = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
HEAD = b'schemaVersion = "1.0"\nname = "p"\n'
GRAVE = b'[[rules]]\nid = "grave"\naction = "fail"\nreason = "r"\nmatch = {severityAtLeast = "high"}\n'


def advisory(
    identifier: str, name: str = "lantern", ecosystem: str = "PyPI", end: str | None = None, **members: object
) -> dict:
    events = [{"introduced": "0"}] + ([{"fixed": end}] if end else [])
    entry = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": identifier, "modified": "2024-01-01T00:00:00Z", "affected": [entry], **members}


BASE = [
    advisory("PYSEC-1", aliases=["CVE-1"], severity=[{"type": "CVSS_V3", "score": LOW}]),
    advisory("PYSEC-2", end="1.5"),
    advisory("PYSEC-3", "winch", aliases=["CVE-3"]),
    advisory("PYSEC-4", end="0.5"),
    advisory("PYSEC-5", withdrawn="2024-01-01T00:00:00Z"),
]


def without(identifier: str) -> list[dict]:
    return [record for record in BASE if record["id"] != identifier]


def changed(identifier: str, **members: object) -> list[dict]:
    return [record | members if record["id"] == identifier else record for record in BASE]


def vex(status: str, name: str = "CVE-3") -> tuple[str, bytes]:
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "author": "somebody",
        "timestamp": "2024-01-01T00:00:00Z",
        "statements": [{"vulnerability": {"name": name}, "products": [{"@id": WINCH}], "status": status}],
    }
    return "vex", json.dumps(document).encode()


@pytest.fixture
def inputs(memory_feed, make_sbom, make_input):
    def make(records=None, purls=(LANTERN, WINCH), **others):
        feed = memory_feed("pypi", BASE if records is None else records)
        return make_input(make_sbom(*purls), feed, **({"policy": HEAD + GRAVE} | others))

    return make


def entries(tree: Difference, path: str = outputs.FINDINGS) -> list[tuple[str, str, str, str]]:
    (member,) = [member for member in tree.members if member.path == path]
    return [(one.kind, one.subject.split(" ")[0], one.cause, one.detail) for one in member.entries]


def resolve(pointer: str, document: object) -> object:
    for part in pointer.split("/")[1:]:
        document = (
            document[int(part)] if isinstance(document, list) else document[part.replace("~1", "/").replace("~0", "~")]
        )
    return document


def check_pointers(tree: Difference, recorded: dict[str, bytes], replayed: dict[str, bytes]) -> None:
    for member in tree.members:
        for one in member.entries:
            if one.pointer.startswith("line "):
                lines = (recorded if one.kind == "vanished" else replayed)[member.path].splitlines()
                assert 1 <= int(one.pointer.removeprefix("line ")) <= len(lines)
            elif one.kind == "vanished" or (one.kind == "metadata" and one.after is None):
                resolve(one.pointer, json.loads(recorded[member.path]))
            else:
                resolve(one.pointer, json.loads(replayed[member.path]))


def compare(before, after, **options) -> Difference:
    recorded, replayed = evaluate(before), evaluate(after)
    tree = explain(recorded, replayed, before, after, **options)
    check_pointers(tree, recorded, replayed)
    again = explain(recorded, replayed, before, after, **options)
    assert canonical.encode_record(tree) == canonical.encode_record(again)
    for member in tree.members:
        assert (member.state == "equal") == (recorded.get(member.path) == replayed.get(member.path))
        assert bool(member.entries) == (member.state != "equal")
    return tree


def test_equal_outputs_have_no_differences(inputs):
    tree = compare(inputs(), inputs())
    assert tree.equal
    assert tree.causes == {}


MERGED = "PYSEC-1 and PYSEC-2 became one: PYSEC-1 changed in feed pypi: aliases"
FEED_CHANGES = {
    "a record is added": (
        [*BASE, advisory("PYSEC-9")],
        [("appeared", "PYSEC-9", "feed-record-added", "PYSEC-9 added to feed pypi")],
    ),
    "a record is removed": (
        without("PYSEC-2"),
        [("vanished", "PYSEC-2", "feed-record-removed", "PYSEC-2 removed from feed pypi")],
    ),
    "a record is withdrawn": (
        changed("PYSEC-2", withdrawn="2024-02-02T00:00:00Z"),
        [
            ("vanished", "PYSEC-2", "feed-record-withdrawn", "PYSEC-2 withdrawn in feed pypi"),
            ("appeared", "PYSEC-2", "feed-record-withdrawn", "PYSEC-2 withdrawn in feed pypi"),
        ],
    ),
    "a range is narrowed": (
        changed("PYSEC-2", affected=advisory("", end="0.9")["affected"]),
        [("vanished", "PYSEC-2", "feed-record-changed", "PYSEC-2 changed in feed pypi: affected")],
    ),
    "a range is widened": (
        changed("PYSEC-4", affected=advisory("", end="1.1")["affected"], modified="2024-03-03T00:00:00Z"),
        [("appeared", "PYSEC-4", "feed-record-changed", "PYSEC-4 changed in feed pypi: affected, modified")],
    ),
    "a withdrawal is taken back": (
        changed("PYSEC-5", withdrawn=None),
        [
            ("appeared", "PYSEC-5", "feed-record-changed", "PYSEC-5 changed in feed pypi: withdrawn"),
            ("vanished", "PYSEC-5", "feed-record-changed", "PYSEC-5 changed in feed pypi: withdrawn"),
        ],
    ),
    "a severity rises": (
        changed("PYSEC-1", severity=[{"type": "CVSS_V3", "score": HIGH}]),
        [
            ("changed", "PYSEC-1", "feed-record-changed", "PYSEC-1 changed in feed pypi: severity"),
            ("changed", "PYSEC-1", "feed-record-changed", "PYSEC-1 changed in feed pypi: severity"),
            ("changed", "PYSEC-1", "feed-record-changed", "PYSEC-1 changed in feed pypi: severity"),
        ],
    ),
    "a text changes": (
        changed("PYSEC-1", details="more words"),
        [("changed", "PYSEC-1", "feed-record-changed", "PYSEC-1 changed in feed pypi: details")],
    ),
    "a record of a group takes over as its representative": (
        [*BASE, advisory("GHSA-1", aliases=["CVE-1"])],
        [
            ("changed", "GHSA-1", "feed-record-added", "GHSA-1 added to feed pypi"),
            ("changed", "GHSA-1", "feed-record-added", "GHSA-1 added to feed pypi"),
            ("changed", "GHSA-1", "feed-record-added", "GHSA-1 added to feed pypi"),
        ],
    ),
    "two groups become one": (
        changed("PYSEC-1", aliases=["CVE-1", "PYSEC-2"]),
        [
            ("changed", "PYSEC-1", "alias-merge", MERGED),
            ("changed", "PYSEC-1", "alias-merge", MERGED),
            ("changed", "PYSEC-1", "alias-merge", MERGED),
            (
                "vanished",
                "PYSEC-2",
                "alias-merge",
                "PYSEC-2 is part of PYSEC-1 now: PYSEC-1 changed in feed pypi: aliases",
            ),
        ],
    ),
    "a record becomes undecidable": (
        changed("PYSEC-2", affected=advisory("", end="not a version")["affected"]),
        [
            ("vanished", "PYSEC-2", "feed-record-changed", "PYSEC-2 changed in feed pypi: affected"),
            ("appeared", "PYSEC-2", "feed-record-changed", "PYSEC-2 changed in feed pypi: affected"),
        ],
    ),
}


@pytest.mark.parametrize("name", FEED_CHANGES)
def test_another_feed_changes_only_what_its_records_cause(name, inputs):
    records, expected = FEED_CHANGES[name]
    tree = compare(inputs(), inputs(records))
    assert sorted(entries(tree)) == sorted(expected)
    assert tree.causes.keys() <= FEED_CAUSES | {"alias-merge", "input-identity", "consequence"}
    assert [one.cause for member in tree.members for one in member.entries if one.pointer.startswith("/inputs")] == [
        "input-identity"
    ]


def test_two_records_of_one_id_are_told_apart(inputs):
    twins = [advisory("TWIN"), advisory("TWIN", end="0.1")]
    grown = [advisory("TWIN"), advisory("TWIN", end="1.1")]
    tree = compare(inputs([*BASE, *twins]), inputs([*BASE, *grown]))
    assert {one[:3] for one in entries(tree)} == {("changed", "TWIN", "feed-record-changed")}


def test_a_record_that_stayed_is_not_blamed_for_another_of_its_id(inputs):
    twin, other = advisory("TWIN", aliases=["CVE-1"]), advisory("TWIN", end="0.1")
    before = inputs([*BASE, twin, other])
    after = inputs([*changed("PYSEC-1", details="more"), twin, other | {"details": "more"}])
    assert entries(compare(before, after)) == [
        ("changed", "PYSEC-1", "feed-record-changed", "PYSEC-1 changed in feed pypi: details")
    ]


def test_an_unreadable_record_is_a_difference_of_its_feed(inputs):
    broken = advisory("BROKEN") | {"affected": [{"package": {"ecosystem": "PyPI", "name": "lantern"}, "ranges": 7}]}
    tree = compare(inputs(), inputs([*BASE, broken]))
    ((kind, subject, cause, _),) = entries(tree)
    assert (kind, subject, cause) == ("appeared", "pypi", "feed-record-added")


def test_a_feed_for_another_ecosystem_makes_components_evaluated(inputs, memory_feed):
    before = inputs(purls=(LANTERN, "pkg:golang/example.org/a@v1.0.0"))
    after = replace(before, feeds=[*before.feeds, memory_feed("go", [advisory("GO-1", "example.org/b", "Go")])])
    assert entries(compare(before, after)) == [
        ("vanished", "pkg:golang/example.org/a@v1.0.0", "feed-record-added", "feed go covers Go now")
    ]
    assert entries(compare(after, before)) == [
        ("appeared", "pkg:golang/example.org/a@v1.0.0", "feed-record-removed", "feed go covers Go no more")
    ]


def test_a_vex_statement_changes_the_decision(inputs):
    tree = compare(inputs(), inputs(vex=[vex("not_affected")]))
    assert entries(tree) == [
        ("changed", "PYSEC-3", "vex-statement", "statement 0 of VEX document vex added: CVE-3 not_affected"),
        ("changed", "PYSEC-3", "vex-statement", "statement 0 of VEX document vex added: CVE-3 not_affected"),
    ]
    assert {cause for _, _, cause, _ in entries(tree, outputs.VEX)} == {"vex-statement"}
    assert tree.causes.keys() == {"vex-statement", "input-identity", "consequence"}
    (detail,) = {detail for *_, detail in entries(compare(inputs(vex=[vex("fixed")]), inputs(vex=[vex("affected")])))}
    assert detail == "statement 0 of VEX document vex changed: CVE-3 affected (status)"


def test_a_record_can_bring_a_statement_to_bear(inputs):
    documents = [vex("not_affected", "CVE-33")]
    tree = compare(inputs(vex=documents), inputs(changed("PYSEC-3", aliases=["CVE-3", "PYSEC-33"]), vex=documents))
    assert {one[2] for one in entries(tree)} == {"feed-record-changed"}
    tree = compare(inputs(vex=documents), inputs(changed("PYSEC-3", aliases=["CVE-33"]), vex=documents))
    assert {one[2] for one in entries(tree)} == {"feed-record-changed"}
    assert {one[2] for one in entries(tree, outputs.VEX)} == {"feed-record-changed"}


def test_a_policy_changes_decisions_and_nothing_else(inputs):
    rule = b'[[rules]]\nid = "winch"\naction = "ignore"\nreason = "r"\nmatch = {packages = ["pkg:pypi/winch"]}\n'
    tree = compare(inputs(), inputs(policy=HEAD + GRAVE + rule))
    assert entries(tree) == [("changed", "PYSEC-3", "policy-rule", "rule winch added")]
    assert tree.causes.keys() == {"policy-rule", "input-identity", "consequence"}


def test_a_threshold_changes_the_verdict(inputs):
    tree = compare(inputs(), inputs(policy=HEAD + b"thresholds = {maxWarnings = 0}\n" + GRAVE))
    assert [one[2:] for one in entries(tree, outputs.VERDICT) if one[2] not in ("input-identity", "consequence")] == [
        ("policy-rule", "thresholds.maxWarnings is 0, was none")
    ]
    assert next(member for member in tree.members if member.path == outputs.FINDINGS).state == "equal"


def test_a_rule_that_ends_between_two_times_is_the_cause(inputs):
    rule = b'[[rules]]\nid = "once"\naction = "ignore"\nreason = "r"\nexpires = 2026-06-01T00:00:00Z\n'
    before = inputs(policy=HEAD + rule + b'match = {ids = ["CVE-3"]}\n')
    tree = compare(before, replace(before, time="2026-07-01T00:00:00Z"))
    assert entries(tree) == [
        (
            "changed",
            "PYSEC-3",
            "policy-rule",
            "the end of a rule lies between 2026-01-02T03:04:05Z and 2026-07-01T00:00:00Z: once",
        )
    ]
    causes = {
        one.pointer: one.cause for member in tree.members for one in member.entries if member.path == outputs.VERDICT
    }
    assert (causes["/scan/time"], causes["/expiredRules/0"]) == ("input-identity", "policy-rule")


def test_where_facts_and_policy_change_each_decision_has_its_own_cause(inputs):
    rule = b'[[rules]]\nid = "winch"\naction = "ignore"\nreason = "r"\nmatch = {packages = ["pkg:pypi/winch"]}\n'
    records = changed("PYSEC-1", severity=[{"type": "CVSS_V3", "score": HIGH}])
    tree = compare(inputs(), inputs(records, policy=HEAD + GRAVE + rule))
    decisions = {
        one.subject: one.cause for member in tree.members for one in member.entries if one.pointer.endswith("/decision")
    }
    assert decisions == {f"PYSEC-1 {LANTERN}": "feed-record-changed", f"PYSEC-3 {WINCH}": "policy-rule"}


def test_another_sbom_brings_and_takes_components(inputs):
    tree = compare(inputs(purls=(LANTERN,)), inputs(purls=(LANTERN, WINCH)))
    assert entries(tree) == [("appeared", "PYSEC-3", "sbom-component", f"{WINCH} is in the replayed SBOM only")]
    assert {one[2] for one in entries(tree, outputs.SBOM)} == {"sbom-component"}
    tree = compare(inputs(), inputs(purls=(LANTERN,)))
    assert entries(tree) == [("vanished", "PYSEC-3", "sbom-component", f"{WINCH} is in the recorded SBOM only")]


def test_another_instance_of_a_component_changes_its_refs(inputs):
    tree = compare(inputs(purls=(LANTERN,)), inputs(purls=(LANTERN, LANTERN)))
    assert {one[:3] for one in entries(tree)} == {
        ("changed", "PYSEC-1", "sbom-component"),
        ("changed", "PYSEC-2", "sbom-component"),
    }


def tampered(recorded: dict[str, bytes], path: str, change) -> dict[str, bytes]:
    document = json.loads(recorded[path])
    change(document)
    return recorded | {path: canonical.encode(document)}


@pytest.mark.parametrize(("engine_changed", "cause"), [(False, "unexplained"), (True, "tool")])
def test_what_equal_inputs_cannot_explain_is_the_engines_or_unexplained(inputs, engine_changed, cause):
    given = inputs()
    made = evaluate(given)
    recorded = tampered(made, outputs.FINDINGS, lambda document: document["findings"].pop())
    tree = explain(recorded, made, given, given, engine_changed=engine_changed)
    assert {one[2] for one in entries(tree)} == {cause}
    check_pointers(tree, recorded, made)


@pytest.mark.parametrize(
    "path", [outputs.LOG, outputs.TRACE, outputs.VERDICT, outputs.FINDING_TREE, outputs.VERDICT_TREE]
)
def test_a_member_that_differs_alone_is_unexplained(inputs, path):
    given = inputs()
    made = evaluate(given)
    recorded = made | {path: made[path].replace(b"1", b"2")}
    tree = explain(recorded, made, given, given)
    assert tree.causes.keys() - {"consequence"} == {"unexplained"}
    assert {one[2] for one in entries(tree, path)} == {"unexplained"}


def test_another_contract_is_named(inputs):
    given = inputs()
    made = evaluate(given)
    recorded = made | {path: data.replace(b"osv-match/1", b"osv-match/0") for path, data in made.items()}
    tree = explain(recorded, made, given, given, engine_changed=True)
    assert entries(tree) == [("metadata", "contract", "engine-contract", "the matching contract differs")]
    assert tree.causes.keys() == {"engine-contract", "consequence"}


@pytest.mark.parametrize("path", [outputs.FINDINGS, outputs.FINDING_TREE, outputs.SBOM])
def test_an_order_that_differs_is_named(inputs, path):
    given = inputs()
    made = evaluate(given)
    name = {outputs.FINDINGS: "findings", outputs.FINDING_TREE: "leaves", outputs.SBOM: "components"}[path]
    recorded = tampered(made, path, lambda document: document[name].reverse())
    assert {one[2] for one in entries(explain(recorded, made, given, given), path)} == {"ordering"}


def test_the_same_values_in_other_bytes_are_not_called_an_order(inputs):
    given = inputs()
    made = evaluate(given)
    recorded = made | {outputs.SBOM: made[outputs.SBOM].replace(b",", b", ")}
    assert {one[2] for one in entries(explain(recorded, made, given, given), outputs.SBOM)} == {"unexplained"}


def test_members_of_one_side_only_are_told(inputs):
    given = inputs()
    made = evaluate(given)
    fewer = {path: data for path, data in made.items() if path != outputs.TRACE}
    states = {member.path: member.state for member in explain(fewer, made, given, given).members}
    assert states[outputs.TRACE] == "added"
    states = {member.path: member.state for member in explain(made, fewer, given, given).members}
    assert states[outputs.TRACE] == "removed"


def test_an_unreadable_member_is_one_difference(inputs):
    given = inputs()
    made = evaluate(given)
    for path in made:
        tree = explain(made | {path: b"\xff{"}, made, given, given)
        assert {one[2] for one in entries(tree, path)} == {"unexplained"}


@given(data=st.data())
def test_any_recorded_bytes_can_be_compared(data, damage):
    given_input, made = damage
    path = data.draw(st.sampled_from(sorted(made)))
    if path.endswith(".json") and data.draw(st.booleans()):
        document = json.loads(made[path])
        place: object = document
        while isinstance(place, dict | list) and place and data.draw(st.booleans()):
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            key = data.draw(st.sampled_from(list(keys)))
            if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
                place[key] = data.draw(st.sampled_from([1, "x", [], {}, ["a", 1], {"a": 1}, True, 1.5, None]))
                break
            place = place[key]
        recorded = made | {path: json.dumps(document).encode()}
    else:
        start = data.draw(st.integers(0, len(made[path])))
        recorded = made | {path: made[path][:start] + data.draw(st.binary(max_size=8)) + made[path][start + 3 :]}
    tree = explain(recorded, made, given_input, given_input)
    assert tree.equal == (recorded == made)
    assert canonical.decode(canonical.encode_record(tree))
    explain(made, recorded, given_input, given_input)


@pytest.fixture(scope="module")
def damage(memory_feed, make_sbom, make_input):
    sbom = make_sbom(LANTERN, WINCH, "pkg:pypi/bare", "pkg:deb/debian/bash@1")
    records = copy.deepcopy([*BASE, advisory("PYSEC-6", end="odd one")])
    given_input = make_input(sbom, memory_feed("pypi", records), vex=[vex("not_affected")])
    return given_input, evaluate(given_input)
