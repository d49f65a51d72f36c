"""Rules that can never match: found where it is certain, and never said of a rule that some finding meets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner import policy
from scanner.identity import Package
from scanner.policy import Facts
from scanner.policy.review import idle_rules

HEAD = 'schemaVersion = "1.0"\nname = "p"\n'
NOW = "2026-01-31T00:00:00Z"


def load(*rules: str) -> policy.Policy:
    """Return a policy of rules ``ACTION | MATCH [| EXPIRES]``, named r0, r1, ..."""
    text = HEAD
    for place, written in enumerate(rules):
        action, match, *end = written.split(" | ")
        action, _, level = action.partition(" ")
        text += f'[[rules]]\nid = "r{place}"\naction = "{action}"\nreason = "r"\nmatch = {{{match}}}\n'
        text += f'to = "{level}"\n' if level else ""
        text += f"expires = {end[0]}\n" if end else ""
    return policy.load(text.encode(), time=NOW)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (('fail | severityAtLeast = "high"', 'warn | severities = ["critical"]'), [("r1", "r0")]),
        (('fail | severities = ["critical"]', 'warn | severityAtLeast = "high"'), []),
        (('warn | ids = ["a", "b"]', 'fail | ids = ["b"], fixAvailable = true'), [("r1", "r0")]),
        (('warn | ids = ["a"], fixAvailable = true', 'fail | ids = ["a"]'), []),
        (('warn | packages = ["pkg:pypi/a"]', 'fail | packages = ["pkg:pypi/a@1"]'), [("r1", "r0")]),
        (('warn | packages = ["pkg:pypi/a@1"]', 'fail | packages = ["pkg:pypi/a"]'), []),
        (("warn | scoreAtLeast = 5", "fail | scoreAtLeast = 7"), [("r1", "r0")]),
        (("warn | scoreAtLeast = 0", "fail | fixAvailable = true"), []),
        (("warn | ageAtLeastDays = 5", "fail | ageAtLeastDays = 7, ageBelowDays = 9"), [("r1", "r0")]),
        (("warn | ageAtLeastDays = 0", "fail | fixAvailable = true"), []),
        (("warn | fixAvailable = true", 'fail | fixAvailable = true, vexStatus = ["affected"]'), [("r1", "r0")]),
        (("warn | fixAvailable = true", 'fail | fixAvailable = true, vexStatus = ["fixed"]'), []),
        (("requireVex | fixAvailable = true", "fail | fixAvailable = true"), []),
        (("requireVex | fixAvailable = true", 'fail | fixAvailable = true, vexStatus = ["none"]'), [("r1", "r0")]),
        (("downgrade low | fixAvailable = true", "fail | fixAvailable = true"), []),
        (
            ('warn | severities = ["low"]', "downgrade low | fixAvailable = true", 'fail | severities = ["low"]'),
            [],
        ),
        (("warn | fixAvailable = true | 2026-02-01T00:00:00Z", "fail | fixAvailable = true"), []),
        (
            (
                "warn | fixAvailable = true | 2026-03-01T00:00:00Z",
                "fail | fixAvailable = true | 2026-02-01T00:00:00Z",
            ),
            [("r1", "r0")],
        ),
        (("warn | fixAvailable = true | 2026-01-01T00:00:00Z", "fail | fixAvailable = true"), []),
        (('warn | severityAtLeast = "high", severityAtMost = "low"',), [("r0", None)]),
        (("warn | scoreAtLeast = 7, scoreAtMost = 6.9",), [("r0", None)]),
        (("warn | ageAtLeastDays = 7, ageBelowDays = 7",), [("r0", None)]),
    ],
)
def test_a_rule_that_never_matches_is_found(rules: tuple[str, ...], expected: list) -> None:
    assert [(one.rule, one.by) for one in idle_rules(load(*rules))] == expected


matches = st.sampled_from(
    [
        "scoreAtLeast = 5.0",
        "scoreAtLeast = 7.0",
        "scoreAtLeast = 0",
        'severityAtLeast = "medium"',
        'severityAtMost = "low"',
        'severities = ["low", "unknown"]',
        'severities = ["low"]',
        'vexStatus = ["none", "affected"]',
        'vexStatus = ["none"]',
        'vexStatus = ["not_affected"]',
        "fixAvailable = true",
        "ageAtLeastDays = 10",
        "ageAtLeastDays = 0",
        "ageBelowDays = 40000",
    ]
)
rules = st.builds(
    "{} | {}".format,
    st.sampled_from(["ignore", "fail", "requireVex", "downgrade low"]),
    st.lists(matches, min_size=1, max_size=2, unique_by=lambda one: one.split()[0]).map(", ".join),
).filter(lambda text: "40000" not in text)
WORLD = [
    Facts(
        names=("CVE-1",),
        package=Package("PyPI", "a", "1"),
        severity=severity,
        vex_status=status,
        fix_available=fix,
        score=score,
        published=published,
    )
    for severity, score in [("unknown", None), ("low", 20), ("low", None), ("medium", 50), ("high", 75), ("high", None)]
    for status in (None, "affected", "not_affected", "unknown")
    for fix in (True, False)
    for published in (None, "2026-01-30T00:00:00Z", "2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
]


@given(st.lists(rules, max_size=4))
@settings(max_examples=60)
def test_no_finding_meets_a_rule_of_which_it_is_said(written: list[str]) -> None:
    made = load(*written)
    idle = {one.rule for one in idle_rules(made)}
    for facts in WORLD:
        decision = made.decide(facts)
        assert decision.rule not in idle
        assert decision.downgrade is None or decision.downgrade.rule not in idle


def test_a_rule_that_has_to_name_every_vulnerability_leaves_joined_findings_to_one_that_has_not():
    head = b'schemaVersion = "1.0"\nname = "p"\n'
    rule = '[[rules]]\nid = "{}"\naction = "{}"\nreason = "x"\nmatch = {{ids = ["CVE-1"]}}\n'
    idle = {
        (earlier, later): [
            one.rule
            for one in idle_rules(
                policy.load(head + rule.format("a", earlier).encode() + rule.format("b", later).encode(), time=NOW)
            )
        ]
        for earlier in ("ignore", "warn")
        for later in ("ignore", "fail")
    }
    assert idle == {
        ("ignore", "ignore"): ["b"],
        ("ignore", "fail"): [],
        ("warn", "ignore"): ["b"],
        ("warn", "fail"): ["b"],
    }
