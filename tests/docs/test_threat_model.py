"""docs/threat-model.md: every test that it names is there, every threat has one, every threat test is named."""

import ast
import re

import pytest

from tests.world import ROOT

PAGE = (ROOT / "docs" / "threat-model.md").read_text()
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if re.match(r"\| [0-9]+ \|", line)]
NAMED = re.compile(r"`(test_[a-z0-9_]+)::(test_[a-z0-9_]+)`")


def collected() -> set[tuple[str, str]]:
    """Return the tests that pytest finds, by module and function."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found.add((path.stem, node.name))
    return found


def test_every_named_test_is_there() -> None:
    named = set(NAMED.findall(PAGE))
    assert len(named) > 50
    assert sorted(named - collected()) == []


def test_numbers_are_given_once_and_ascend() -> None:
    numbers = [int(row[0]) for row in ROWS]
    assert numbers == sorted(set(numbers))
    assert numbers[:15] == list(range(1, 16))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_every_threat_has_a_defence_and_a_test(row: list[str]) -> None:
    number, threat, defence, tests, _ = row
    assert threat.strip()
    assert defence.strip()
    found = NAMED.findall(tests)
    assert found
    if int(number) <= 15:
        assert any(name.startswith(f"test_{int(number):02}_") for _, name in found)


def test_every_test_of_a_threat_is_named() -> None:
    threats = {name for module, name in collected() if module == "test_trust_threats" and name[5:7].isdigit()}
    named = {name for module, name in NAMED.findall(PAGE) if module == "test_trust_threats"}
    assert {name[5:7] for name in threats} == {name[5:7] for name in named}
    assert named <= threats
