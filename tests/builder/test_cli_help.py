"""Each command of the connected side helps by itself: one line, examples of its own, its own exit codes, defaults."""

import re

import pytest

import stella
from verifier.cli._exit_codes import BY_COMMAND, EXIT_CODES

COMMANDS = [
    "scan", "scan sign", "attest", "witness cosign", "timestamp", "feed add", "feed list", "feed show", "feed diff",
    "rootpack init", "rootpack show", "rootpack add-key", "rootpack add-tsa", "rootpack rotate", "rootpack revoke",
    "rootpack require", "rootpack sign", "rootpack publish", "rootpack read-key", "kit plan", "kit build",
    "kit rehearse", "kit split", "kit join", "kit check-volume",
    "kit delta", "kit seal", "locker init", "locker ingest",
    "locker metrics", "locker drill", "locker schedule",
    "locker migrate", "locker status", "locker list", "locker show", "locker receipt", "locker audit verify",
    "locker audit checkpoint", "locker audit restart", "timeline list", "timeline show", "timeline export",
    "sync acknowledge", "sync import",
    "retention run", "retention forecast", "retention certificate", "retention shorten",
    "evidence holds create", "evidence holds list", "evidence holds show", "evidence holds release",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_the_commands_own_examples_and_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert stella.main([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    examples = re.findall(r"^    stella (.*)$", shown, re.MULTILINE)
    assert 2 <= len(examples) <= 3
    assert all(f"{example} ".startswith(f"{command} ") for example in examples)
    codes = {int(code) for code in re.findall(r"^ +([0-9]+)  ", shown.partition("Exit codes:")[2], re.MULTILINE)}
    assert codes == {0, 1, 2, 130, *BY_COMMAND[command]}
    assert codes < set(EXIT_CODES)


@pytest.mark.parametrize(
    "group",
    ["feed", "rootpack", "kit", "locker", "locker audit", "timeline", "witness", "retention", "evidence holds"],
)
def test_summary_of_each_command_fits_its_line(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert stella.main([*group.split(), "--help"]) == 0
    lines = capsys.readouterr().out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert len(lines) == len(
        {command.removeprefix(f"{group} ").split()[0] for command in COMMANDS if command.startswith(f"{group} ")}
    )
    assert not [line for line in lines if line.endswith("...")]


@pytest.mark.parametrize("command", ["scan", "kit plan", "kit build", "rootpack init"])
def test_what_may_be_repeated_says_so(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = {"scan": 5, "kit plan": 2, "kit build": 3, "rootpack init": 1}
    assert stella.main([*command.split(), "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("May be repeated.") == expected[command]
