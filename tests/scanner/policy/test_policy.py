"""The policy: strict reading, compiled form, first match, ends at the frozen time."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import canonical
from kit.errors import LimitExceeded, MalformedDocument, StellaError, UnsupportedVersion
from scanner import policy
from scanner.identity import Package
from scanner.policy import Facts

FULL = (Path(__file__).parent / "data" / "full.toml").read_bytes()
HEAD = b'schemaVersion = "1.0"\nname = "p"\n'
NOW = "2026-01-01T00:00:00Z"


def rule(**members: str) -> bytes:
    fields = {"id": '"r"', "action": '"warn"', "reason": '"because"', "match": '{ecosystems = ["PyPI"]}'} | members
    return b"[[rules]]\n" + "\n".join(f"{name} = {value}" for name, value in fields.items() if value).encode() + b"\n"


def facts(**members: object) -> Facts:
    fields = {
        "names": ("PYSEC-1", "CVE-2024-0001"),
        "package": Package("PyPI", "some-package", "2.0"),
        "severity": "high",
        "vex_status": None,
        "fix_available": False,
    }
    return Facts(**(fields | members))


@pytest.mark.parametrize(
    ("found", "by", "name", "action"),
    [
        ({}, "rule", "known-and-accepted", "ignore"),
        ({"package": Package("PyPI", "other", "1.0")}, "rule", "known-and-accepted", "ignore"),
        ({"package": Package("PyPI", "other", "1.0.1")}, "default", None, "warn"),
        ({"names": ("CVE-2024-0002",)}, "default", None, "warn"),
        ({"names": ("CVE-2024-0002",), "fix_available": True}, "rule", "mendable-and-grave", "fail"),
        ({"package": Package("Go", "example.org/mod", "v1")}, "rule", "go-modules", "warn"),
        ({"package": Package("Go", "example.org/other", "v1")}, "default", None, "warn"),
        ({"names": (), "severity": "critical", "fix_available": True}, "rule", "mendable-and-grave", "fail"),
        ({"names": (), "severity": "medium"}, "rule", "moderate", "warn"),
        ({"names": (), "severity": "low", "vex_status": "under_investigation"}, "rule", "moderate", "warn"),
        ({"names": (), "severity": "low", "vex_status": "affected"}, "default", None, "warn"),
        ({"names": (), "severity": "none", "fix_available": True}, "rule", "not-rated", "ignore"),
        ({"names": (), "severity": "unknown", "fix_available": True}, "rule", "not-rated", "ignore"),
    ],
)
def test_the_first_rule_whose_conditions_hold_decides(found, by, name, action):
    decision = policy.load(FULL, time=NOW).decide(facts(**found))
    assert (decision.by, decision.rule, decision.action) == (by, name, action)


def test_a_decision_carries_the_reason_of_its_rule():
    assert policy.load(FULL, time=NOW).decide(facts()).reason == "The parser is never fed foreign data."


@pytest.mark.parametrize(
    ("time", "expired"),
    [
        ("2026-06-30T21:59:58Z", ()),
        ("2026-06-30T21:59:59Z", ("known-and-accepted",)),
        ("2030-01-01T00:00:00Z", ("known-and-accepted",)),
    ],
)
def test_a_rule_ends_at_its_moment_of_the_frozen_time(time, expired):
    compiled = policy.load(FULL, time=time)
    assert compiled.expired == expired
    assert (compiled.decide(facts()).rule == "known-and-accepted") == (not expired)


def test_a_suppressing_status_is_ignored_unless_a_rule_names_it():
    data = HEAD + rule(id='"grave"', action='"fail"', match='{severityAtLeast = "low"}')
    compiled = policy.load(data, time=NOW)
    assert compiled.decide(facts(vex_status="affected")).rule == "grave"
    assert compiled.decide(facts(vex_status="unknown")).rule == "grave"
    for status in ("not_affected", "fixed"):
        decision = compiled.decide(facts(vex_status=status))
        assert (decision.by, decision.action) == ("vex", "ignore")
    named = HEAD + rule(id='"doubted"', action='"fail"', match='{vexStatus = ["not_affected"]}')
    assert policy.load(named, time=NOW).decide(facts(vex_status="not_affected")).rule == "doubted"


def test_a_status_that_does_not_suppress_is_like_any_other():
    data = HEAD + b"vex = {suppress = []}\n" + rule(match='{severityAtLeast = "low"}')
    assert policy.load(data, time=NOW).decide(facts(vex_status="not_affected")).rule == "r"


def test_the_compiled_form_is_canonical_and_complete():
    compiled = json.loads(policy.load(HEAD, time=NOW).encoded)
    assert compiled == {
        "schemaVersion": "1.0",
        "name": "p",
        "default": "warn",
        "unevaluated": "warn",
        "vex": {"suppress": ["fixed", "not_affected"], "trust": []},
    }
    full = canonical.decode(policy.load(FULL, time=NOW).encoded)
    first = full["rules"][0]
    assert first["expires"] == "2026-06-30T21:59:59Z"
    assert first["match"]["packages"] == [
        {"ecosystem": "PyPI", "name": "some-package"},
        {"ecosystem": "PyPI", "name": "other", "version": "1.0"},
    ]


def test_comments_and_layout_do_not_change_the_compiled_form():
    rewritten = FULL.replace(b"# Every member", b"# Each member").replace(b" = ", b"=").replace(b"\n\n", b"\n")
    assert rewritten != FULL
    assert policy.load(rewritten, time=NOW).digest == policy.load(FULL, time=NOW).digest


def test_the_order_of_rules_changes_the_compiled_form():
    one, two = rule(id='"a"'), rule(id='"b"')
    assert policy.load(HEAD + one + two, time=NOW).digest != policy.load(HEAD + two + one, time=NOW).digest


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (b'name = "p"', ""),
        (b"schemaVersion = 1", "/schemaVersion"),
        (HEAD + b'extra = "x"', ""),
        (HEAD + b'default = "panic"', "/default"),
        (HEAD + b"thresholds = {maxFindings = -1}", "/thresholds/maxFindings"),
        (HEAD + b"thresholds = {maxFindings = 1.0}", "/thresholds/maxFindings"),
        (HEAD + b"thresholds = {findings = 1}", "/thresholds"),
        (HEAD + b'vex = {trust = ["a", "a"]}', "/vex/trust"),
        (HEAD + b'vex = {suppress = ["affected"]}', "/vex/suppress/0"),
        (HEAD.replace(b'"p"', b'" "'), "/name"),
        (HEAD + rule(extra='"x"'), "/rules/0"),
        (HEAD + rule(reason=""), "/rules/0"),
        (HEAD + rule(reason='"  "'), "/rules/0/reason"),
        (HEAD + rule(reason='"a\\nb"'), "/rules/0/reason"),
        (HEAD + rule(id='"Rule"'), "/rules/0/id"),
        (HEAD + rule() + rule(), "/rules/1/id"),
        (HEAD + rule(match="{}"), "/rules/0/match"),
        (HEAD + rule(match="{idz = []}"), "/rules/0/match"),
        (HEAD + rule(match='{severityAtLeast = "unknown"}'), "/rules/0/match/severityAtLeast"),
        (HEAD + rule(match='{packages = ["django"]}'), "/rules/0/match/packages/0"),
        (HEAD + rule(match='{packages = ["pkg:pypi/a", "pkg:nowhere/b"]}'), "/rules/0/match/packages/1"),
        (HEAD + rule(match='{packages = ["pkg:pypi/a?arch=x"]}'), "/rules/0/match/packages/0"),
        (HEAD + rule(match='{packages = [{ecosystem = "Go"}]}'), "/rules/0/match/packages/0"),
        (HEAD + rule(expires='"2027-01-01T00:00:00Z"'), "/rules/0/expires"),
        (HEAD + rule(expires="2027-01-01"), "/rules/0/expires"),
        (HEAD + rule(expires="2027-01-01T00:00:00"), "/rules/0/expires"),
        (HEAD + rule(expires="2027-01-01T00:00:00.5Z"), "/rules/0/expires"),
        (HEAD + rule(expires="0001-01-01T00:00:00+01:00"), "/rules/0/expires"),
        (HEAD + rule(action='"downgrade"'), "/rules/0"),
        (HEAD + rule(to='"low"'), "/rules/0/to"),
        (HEAD + rule(action='"downgrade"', to='"critical"'), "/rules/0/to"),
        (HEAD + rule(action='"requirevex"'), "/rules/0/action"),
        (HEAD + b'default = "downgrade"', "/default"),
        (HEAD + rule(match='{purls = ["pkg:pypi/a", "django"]}'), "/rules/0/match/purls/1"),
        (HEAD + rule(match="{scoreAtLeast = 10.1}"), "/rules/0/match/scoreAtLeast"),
        (HEAD + rule(match="{scoreAtMost = -0.1}"), "/rules/0/match/scoreAtMost"),
        (HEAD + rule(match="{scoreAtLeast = 7.55}"), "/rules/0/match/scoreAtLeast"),
        (HEAD + rule(match="{scoreAtLeast = 7." + "0" * 40 + "1}"), "/rules/0/match/scoreAtLeast"),
        (HEAD + rule(match="{scoreAtLeast = nan}"), "/rules/0/match/scoreAtLeast"),
        (HEAD + rule(match="{scoreAtLeast = 1e300}"), "/rules/0/match/scoreAtLeast"),
        (HEAD + rule(match='{scoreAtLeast = "7.5"}'), "/rules/0/match/scoreAtLeast"),
        (HEAD + rule(match="{ageAtLeastDays = 1.0}"), "/rules/0/match/ageAtLeastDays"),
        (HEAD + rule(match="{ageBelowDays = -1}"), "/rules/0/match/ageBelowDays"),
        (HEAD + rule(match="{publishedBefore = 2027-01-01}"), "/rules/0/match/publishedBefore"),
        (HEAD + rule(match='{reachability = ["reachible"]}'), "/rules/0/match/reachability/0"),
        (HEAD + rule(match='{ownedByOsPackage = "yes"}'), "/rules/0/match/ownedByOsPackage"),
    ],
    ids=str,
)
def test_a_fault_is_refused_with_its_place(data, pointer):
    with pytest.raises(MalformedDocument) as caught:
        policy.load(data, time=NOW)
    assert caught.value.details["pointer"] == pointer


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (HEAD.replace(b"1.0", b"2.0"), UnsupportedVersion),
        (b"name = ", MalformedDocument),
        (b"\xff", MalformedDocument),
        (HEAD + b"n = " + b"9" * 5000, MalformedDocument),
        (HEAD + b"a = " + b"[" * 20_000, (LimitExceeded, MalformedDocument)),
        (HEAD + b"#" * policy.MAX_BYTES, LimitExceeded),
        (HEAD + b"a = 25:00:00", MalformedDocument),
        (HEAD + b"a = 1e99999999999999999999", MalformedDocument),
        (HEAD + b'name = "again"', MalformedDocument),
    ],
    ids=["version", "cut", "bytes", "number", "depth", "size", "time", "range", "twice"],
)
def test_what_is_no_policy_is_refused(data, error):
    with pytest.raises(error):
        policy.load(data, time=NOW)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (HEAD + b'\n\nextra = "x"', 5),
        (HEAD + rule(extra='"x"'), 8),
        (HEAD + rule(match="{idz = []}"), 7),
        (HEAD + rule() + rule(id='"other"', match="{}"), 12),
        (HEAD + rule() + rule(), 9),
        (HEAD + rule(reason=""), 3),
        (HEAD + rule() + b"x = 1", 8),
        (HEAD + b"[[rules]]\n" + b'id = "a"\naction = "warn"\nreason = "b"\nmatch.ids = [\n"a",\n1,\n]\n', 9),
        (HEAD + b"name = ", 3),
    ],
)
def test_a_fault_is_refused_with_its_line(data, line):
    with pytest.raises(MalformedDocument) as caught:
        policy.load(data, time=NOW)
    assert caught.value.details["line"] == line


def test_more_rules_than_a_person_writes_are_refused():
    rules = b"".join(rule(id=f'"r{place}"', reason='"r"') for place in range(1001))
    with pytest.raises(LimitExceeded):
        policy.load(HEAD + rules, time=NOW)


@given(st.binary(max_size=200) | st.text(alphabet='abc=[]{}"\n.#1:-TZ', max_size=80).map(str.encode))
def test_any_bytes_are_a_policy_or_refused(data):
    for document in (data, HEAD + data):
        with contextlib.suppress(StellaError):
            policy.load(document, time=NOW)


ids = st.lists(st.sampled_from(["CVE-1", "CVE-2", "GHSA-1"]), max_size=2, unique=True)
packages = st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True)
levels = st.sampled_from(["none", "low", "medium", "high", "critical"])
statuses = st.lists(st.sampled_from(["none", "affected", "not_affected", "fixed"]), max_size=2, unique=True)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "ids": ids,
        "packages": packages,
        "ecosystems": st.just(["PyPI"]) | st.just(["Go"]),
        "severityAtLeast": levels,
        "severityAtMost": levels,
        "vexStatus": statuses,
        "fixAvailable": st.booleans(),
    },
).filter(lambda found: any(value != [] for value in found.values()))


def holds(wanted: dict, found: Facts) -> bool:
    scale = ["none", "low", "medium", "high", "critical"]
    place = scale.index(found.severity) if found.severity in scale else None
    return all(
        (
            not wanted.get("ids") or bool(set(wanted["ids"]) & set(found.names)),
            not wanted.get("packages")
            or (found.package.ecosystem == "PyPI" and found.package.name in wanted["packages"]),
            not wanted.get("ecosystems") or found.package.ecosystem in wanted["ecosystems"],
            "severityAtLeast" not in wanted or (place is not None and place >= scale.index(wanted["severityAtLeast"])),
            "severityAtMost" not in wanted or (place is not None and place <= scale.index(wanted["severityAtMost"])),
            not wanted.get("vexStatus") or (found.vex_status or "none") in wanted["vexStatus"],
            "fixAvailable" not in wanted or wanted["fixAvailable"] == found.fix_available,
        )
    )


def written(wanted: dict) -> str:
    members = {
        name: [f"pkg:pypi/{one}" for one in value] if name == "packages" else value for name, value in wanted.items()
    }
    return "{" + ", ".join(f"{name} = {json.dumps(value)}" for name, value in members.items()) + "}"


@given(
    st.lists(conditions, max_size=5),
    st.builds(
        Facts,
        names=ids.map(tuple),
        package=st.builds(Package, st.sampled_from(["PyPI", "Go"]), st.sampled_from(["a", "b"]), st.just("1")),
        severity=levels | st.just("unknown"),
        vex_status=st.sampled_from([None, "affected", "not_affected", "fixed"]),
        fix_available=st.booleans(),
    ),
)
def test_decisions_are_those_of_reading_the_rules_from_the_top(rules, found):
    data = HEAD + b"".join(rule(id=f'"r{place}"', match=written(wanted)) for place, wanted in enumerate(rules))
    decision = policy.load(data, time=NOW).decide(found)
    suppressed = found.vex_status in {"not_affected", "fixed"}
    first = next(
        (
            f"r{place}"
            for place, wanted in enumerate(rules)
            if holds(wanted, found) and (not suppressed or wanted.get("vexStatus"))
        ),
        None,
    )
    assert decision.rule == first
    if first is None:
        assert decision.by == ("vex" if suppressed else "default")


@pytest.mark.parametrize(
    "text",
    [
        b"a." * 30_000 + b"b = 1",
        b"[" + b"a." * 16 + b"b]",
        b"[[" + b"a . " * 16 + b"b]]",
        b"x = {" + b"'a'.\"b\"." * 8 + b"c = 1}",
        b"x = [\n# comment\n{" + b"a." * 16 + b"b = 1}]",
    ],
)
def test_a_key_of_many_parts_is_refused_before_it_is_read(text):
    with pytest.raises(LimitExceeded) as refusal:
        policy.load(HEAD + text, time=NOW)
    assert refusal.value.details["detail"] == "parts of a dotted key"


def test_dots_in_texts_and_comments_are_no_keys():
    many = b"a." * 30 + b"b"
    quoted = [b'"' + many + b'"', b"'" + many + b"'", b'"""\\\n' + many + b'"""', b"'''" + many + b"'''"]
    rules = b"".join(rule(id=f'"r{at}"', reason=text.decode()) for at, text in enumerate(quoted))
    assert len(policy.load(HEAD + b"# " + many + b"\n" + rules, time=NOW).document.rules) == 4


@pytest.mark.parametrize("text", [b"x = " + b"[" * 50_000, b"x = " + b"{a=" * 50_000, b"x = " + b"[" * 90 + b"]" * 90])
def test_deep_nesting_is_a_refusal(text):
    with pytest.raises(StellaError):
        policy.load(HEAD + text, time=NOW)
