"""docs/policy.md: its example is a policy, decides as the page says, and its commands work."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

import stella
from scanner import policy
from scanner.identity import Package
from scanner.policy import Facts
from scanner.policy.review import idle_rules
from tests.world import ROOT, World

PAGE = (ROOT / "docs" / "policy.md").read_text()
EXAMPLE = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL).group(1).encode()
NOW = "2026-06-01T00:00:00Z"
FACTS = Facts(
    names=("CVE-2026-1",),
    package=Package("PyPI", "flask", "1.0"),
    severity="medium",
    vex_status=None,
    fix_available=True,
    purl="pkg:pypi/flask@1.0",
    score=50,
    published="2026-01-01T00:00:00Z",
)


@pytest.mark.parametrize(
    ("changes", "action", "rule"),
    [
        ({}, "warn", None),
        (
            {"names": ("CVE-2021-42771",), "package": Package("PyPI", "babel", "2.6.0")},
            "ignore",
            "babel-locale-names",
        ),
        ({"owned": True, "severity": "critical"}, "ignore", "distribution-mends"),
        ({"reachability": "reachable", "score": 75, "severity": "high"}, "fail", "in-use-and-mendable"),
        ({"reachability": "unreachable", "score": 75, "severity": "high"}, "ignore", "low"),
        ({"severity": "critical", "score": 98}, "fail", "critical-needs-a-statement"),
        ({"severity": "critical", "score": 98, "vex_status": "affected"}, "fail", "high"),
        ({"severity": "critical", "score": 98, "vex_status": "not_affected"}, "ignore", None),
        ({"severity": "high", "purl": "pkg:pypi/pytest-xdist@3"}, "warn", "build-tools"),
        ({"severity": "high", "published": "2026-05-20T00:00:00Z"}, "warn", "high-for-two-weeks"),
        ({"severity": "high"}, "fail", "high"),
        ({"severity": "high", "published": None}, "fail", "high"),
        ({"severity": "unknown", "score": None}, "warn", None),
    ],
)
def test_the_example_decides_as_the_page_says(changes: dict, action: str, rule: str | None) -> None:
    decision = policy.load(EXAMPLE, time=NOW).decide(replace(FACTS, **changes))
    assert (decision.action, decision.rule) == (action, rule)


def test_the_example_has_no_idle_and_no_ended_rule() -> None:
    compiled = policy.load(EXAMPLE, time=NOW)
    assert (idle_rules(compiled), compiled.expired) == ([], ())


def test_the_commands_of_the_page_work(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policy.toml").write_bytes(EXAMPLE)
    shutil.copytree(world.record, Path("records") / world.record.name)
    shown = [line for line in PAGE.splitlines() if line.startswith("stella policy")]
    assert len(shown) == 4
    for line in shown:
        words = shlex.split(line.replace("<scan-id>", world.record.name))
        assert stella.main(words[1:]) == 0, line
    assert capsys.readouterr().out
