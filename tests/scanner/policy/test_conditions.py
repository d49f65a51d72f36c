"""The conditions and actions of a rule, each at its edges; downgrades; demanded statements; explanations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kit.errors import LimitExceeded
from scanner import policy
from scanner.identity import Package
from scanner.policy import Facts, compiled

HEAD = 'schemaVersion = "1.0"\nname = "p"\n'
NOW = "2026-01-31T00:00:00Z"
FACTS = Facts(
    names=("CVE-2024-0001",),
    package=Package("PyPI", "babel", "2.6.0"),
    severity="high",
    vex_status=None,
    fix_available=False,
    purl="pkg:pypi/babel@2.6.0",
    score=75,
    owned=False,
    published="2026-01-01T00:00:00Z",
    reachability="unknown",
)


def load(*rules: str, head: str = "") -> policy.Policy:
    """Return a policy of rules ``ACTION | MATCH``, named r0, r1, ..."""
    text = HEAD + head
    for place, written in enumerate(rules):
        action, match = written.split(" | ")
        action, _, level = action.partition(" ")
        text += f'[[rules]]\nid = "r{place}"\naction = "{action}"\nreason = "because {place}"\nmatch = {{{match}}}\n'
        text += f'to = "{level}"\n' if level else ""
    return policy.load(text.encode(), time=NOW)


@pytest.mark.parametrize(
    ("match", "changes", "expected"),
    [
        ("scoreAtLeast = 7.5", {}, True),
        ("scoreAtLeast = 7.6", {}, False),
        ("scoreAtLeast = 7", {}, True),
        ("scoreAtLeast = 0", {"score": None}, False),
        ("scoreAtMost = 7.5", {}, True),
        ("scoreAtMost = 7.4", {}, False),
        ("scoreAtMost = 10", {"score": None}, False),
        ("scoreAtLeast = 9.0", {"score": 90}, True),
        ('purls = ["pkg:pypi/bab*"]', {}, True),
        ('purls = ["pkg:golang/**", "pkg:pypi/babel@1.*"]', {}, False),
        ("ownedByOsPackage = true", {}, False),
        ("ownedByOsPackage = false", {}, True),
        ("ownedByOsPackage = true", {"owned": True}, True),
        ('reachability = ["unknown"]', {}, True),
        ('reachability = ["reachable", "unreachable"]', {}, False),
        ('reachability = ["reachable"]', {"reachability": "reachable"}, True),
        ("ageAtLeastDays = 30", {}, True),
        ("ageAtLeastDays = 31", {}, False),
        ("ageAtLeastDays = 30", {"published": "2026-01-01T00:00:01Z"}, False),
        ("ageAtLeastDays = 30", {"published": "2026-01-01T01:00:00+01:00"}, True),
        ("ageAtLeastDays = 0", {"published": None}, False),
        ("ageAtLeastDays = 0", {"published": "last year"}, False),
        ("ageAtLeastDays = 0", {"published": "2026-02-01T00:00:00Z"}, False),
        ("ageBelowDays = 30", {}, False),
        ("ageBelowDays = 31", {}, True),
        ("ageBelowDays = 31", {"published": None}, False),
        ("ageBelowDays = 1", {"published": "2026-02-01T00:00:00Z"}, True),
        ("publishedBefore = 2026-01-01T00:00:00Z", {}, False),
        ("publishedBefore = 2026-01-01T00:00:00-01:00", {}, True),
        ("publishedBefore = 2026-01-01T00:00:00Z", {"published": None}, False),
    ],
)
def test_a_condition_holds_or_does_not(match: str, changes: dict, expected: bool) -> None:
    decision = load(f"fail | {match}").decide(replace(FACTS, **changes))
    assert (decision.rule == "r0") is expected


def test_a_downgrade_lowers_what_the_rules_after_it_see() -> None:
    rules = load(
        'fail | severityAtLeast = "critical"',
        'downgrade low | purls = ["pkg:pypi/babel"]',
        "fail | scoreAtLeast = 4.0",
        'ignore | severities = ["low"]',
    )
    decision = rules.decide(FACTS)
    assert (decision.action, decision.rule) == ("ignore", "r3")
    assert decision.downgrade == policy.Downgrade("r1", "low", "because 1")
    assert rules.decide(replace(FACTS, severity="critical", score=98)).rule == "r0"


def test_a_downgraded_finding_that_no_rule_matches_gets_the_default() -> None:
    decision = load('downgrade low | ids = ["CVE-2024-0001"]').decide(FACTS)
    assert (decision.action, decision.by, decision.downgrade.to) == ("warn", "default", "low")


@pytest.mark.parametrize(
    ("severity", "score", "lowered"),
    [("medium", 50, False), ("low", 20, False), ("none", 0, False), ("high", 75, True), ("unknown", None, True)],
)
def test_only_what_is_graver_is_lowered(severity: str, score: int | None, lowered: bool) -> None:
    facts = replace(FACTS, severity=severity, score=score)
    decision = load("downgrade medium | fixAvailable = false").decide(facts)
    assert (decision.downgrade is not None) is lowered


def test_the_first_downgrade_counts() -> None:
    decision = load("downgrade medium | fixAvailable = false", "downgrade none | fixAvailable = false").decide(FACTS)
    assert decision.downgrade.rule == "r0"


@pytest.mark.parametrize(
    ("status", "action", "rule"),
    [
        (None, "fail", "r0"),
        ("unknown", "fail", "r0"),
        ("under_investigation", "ignore", "r1"),
        ("affected", "ignore", "r1"),
        ("not_affected", "ignore", None),
    ],
)
def test_a_demanded_statement_is_there_or_the_finding_fails(status: str | None, action: str, rule: str | None) -> None:
    rules = load('requireVex | severityAtLeast = "high"', 'ignore | severityAtLeast = "low"')
    decision = rules.decide(replace(FACTS, vex_status=status))
    assert (decision.action, decision.rule) == (action, rule)


def test_the_compiled_form_has_scores_in_tenths_and_moments_in_utc() -> None:
    match = "scoreAtLeast = 7.50, scoreAtMost = 9, publishedBefore = 2026-01-01T02:00:00+02:00"
    same = "scoreAtMost = 9.0, publishedBefore = 2026-01-01T00:00:00Z, scoreAtLeast = 7.5"
    first, second = load(f"warn | {match}"), load(f"warn | {same}")
    assert b'"scoreAtLeast":75,"scoreAtMost":90' in first.encoded
    assert b'"publishedBefore":"2026-01-01T00:00:00Z"' in first.encoded
    assert first.digest == second.digest


def test_an_explanation_says_of_each_rule_what_did_not_hold() -> None:
    rules = load(
        'ignore | ids = ["CVE-1"]',
        'requireVex | severities = ["low", "high"]',
        "downgrade none | ageBelowDays = 5",
        'downgrade medium | severities = ["high"]',
        'downgrade low | severities = ["medium"]',
        'warn | severities = ["medium"]',
        "fail | fixAvailable = false",
    )
    decision, answers = rules.explain(replace(FACTS, vex_status="affected"))
    told = [(answer.rule.id, answer.matched, answer.unmet) for answer in answers]
    assert decision.rule == "r5"
    assert told == [
        ("r0", False, "ids"),
        ("r1", False, "requireVex"),
        ("r2", False, "ageBelowDays"),
        ("r3", True, None),
        ("r4", False, "downgrade"),
        ("r5", True, None),
    ]


def test_an_explanation_names_ends_and_suppression() -> None:
    text = HEAD + '[[rules]]\nid = "old"\naction = "ignore"\nreason = "r"\nexpires = 2026-01-31T00:00:00Z\n'
    text += 'match = {severities = ["high"]}\n[[rules]]\nid = "next"\naction = "fail"\nreason = "r"\n'
    text += 'match = {severities = ["high"]}\n'
    decision, answers = policy.load(text.encode(), time=NOW).explain(replace(FACTS, vex_status="fixed"))
    assert (decision.by, decision.action) == ("vex", "ignore")
    assert [(answer.rule.id, answer.unmet) for answer in answers] == [("old", "expires"), ("next", "vex.suppress")]


def test_comparisons_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MAX_COMPARISONS", 10)
    rules = load("fail | scoreAtLeast = 9, fixAvailable = true", 'warn | ids = ["CVE-1"]')
    for _ in range(6):
        rules.decide(FACTS)
    with pytest.raises(LimitExceeded):
        rules.decide(FACTS)


conditions = st.sampled_from(
    [
        "scoreAtLeast = 7.5",
        "scoreAtMost = 5.0",
        'severityAtMost = "medium"',
        'severities = ["low", "unknown"]',
        'vexStatus = ["none", "affected"]',
        'ids = ["CVE-2024-0001"]',
        'packages = ["pkg:pypi/babel"]',
        'purls = ["pkg:pypi/b*"]',
        "ageAtLeastDays = 10",
        'reachability = ["reachable"]',
        "ownedByOsPackage = true",
    ]
)
rules = st.builds(
    "{} | {}".format,
    st.sampled_from(["ignore", "warn", "fail", "requireVex", "downgrade low", "downgrade medium"]),
    conditions,
)
found = st.builds(
    Facts,
    names=st.sampled_from([("CVE-2024-0001",), ("CVE-1",)]),
    package=st.just(FACTS.package),
    severity=st.sampled_from(["unknown", "low", "medium", "high", "critical"]),
    vex_status=st.sampled_from([None, "affected", "not_affected", "unknown"]),
    fix_available=st.booleans(),
    purl=st.sampled_from(["pkg:pypi/babel@2.6.0", "pkg:golang/x/y@v1"]),
    score=st.sampled_from([None, 10, 55, 80]),
    owned=st.booleans(),
    published=st.sampled_from([None, "2026-01-30T00:00:00Z", "2025-01-01T00:00:00Z"]),
    reachability=st.sampled_from(["reachable", "unreachable", "unknown"]),
)


@given(st.lists(rules, max_size=6), found)
def test_the_explanation_gives_the_decision(written: list[str], facts: Facts) -> None:
    made = load(*written)
    decision, answers = made.explain(facts)
    assert decision == made.decide(facts)
    final = [answer.rule.id for answer in answers if answer.matched and answer.rule.action != "downgrade"]
    assert final == ([decision.rule] if decision.rule else [])
