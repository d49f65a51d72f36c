"""How a command ends: reason code, verdict line, exit code, and what reaches stdout and stderr on the way."""

import errno
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from kit import errors
from kit.result import Check
from verifier.cli import _runner
from verifier.cli._exit_codes import EXIT_CODES
from verifier.cli.console import Console, Progress, ascii_text, one_line

ROOT = Path(__file__).parents[2]
ERRORS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.StellaError) and value is not errors.StellaError
]


def raising(error):
    def action():
        raise error

    return action


@pytest.fixture
def run(capfd):
    """Run an action and return exit code, stdout and the lines of stderr."""

    def call(action, **options):
        code = _runner.run(action, **options)
        captured = capfd.readouterr()
        return code, captured.out, captured.err.splitlines()

    return call


def program(code, **options):
    """Run code in a process of its own, with the runner at hand."""
    preamble = "import os, sys, time\nfrom verifier.cli import _runner\nfrom verifier.cli.console import Console\n"
    return subprocess.Popen(
        [sys.executable, "-c", preamble + code], cwd=ROOT, stderr=subprocess.PIPE, text=True, **options
    )


# errors


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_cause_ends_with_its_code_and_one_verdict_line(run, error):
    code, out, talk = run(raising(error(path="a/b", expected=1)))
    assert (code, out) == (error.exit_code, "")
    assert talk == [
        f"stella: {error.__name__}: {error.sentence} (path a/b, expected 1)",
        f"VERDICT  {error.__name__} ({error.exit_code})  next: {error.next_step}",
    ]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_cause_is_one_json_object(run, error):
    code, out, talk = run(raising(error(path="a/b")), json=True)
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "schemaVersion": "1.0",
        "ok": False,
        "reason": error.__name__,
        "exitCode": code,
        "message": error.sentence,
        "nextStep": error.next_step,
        "details": {"path": "a/b"},
    }
    assert len([line for line in talk if line.startswith("VERDICT")]) == 1


def test_the_table_of_exit_codes_and_the_error_family_agree():
    assert {error.exit_code for error in ERRORS} | {0} == set(EXIT_CODES)


@pytest.mark.parametrize(
    ("error", "reason", "detail"),
    [
        (KeyboardInterrupt(), "Interrupted", None),
        (typer.Abort(), "Interrupted", None),
        (typer.BadParameter("too long"), "UsageError", "Invalid value: too long"),
        (OSError(errno.ENOSPC, "No space left"), "NoSpace", "No space left"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "NoSpace", "Quota exceeded"),
        (OSError(errno.EROFS, "Read-only", "/ops/x"), "NotWritable", "Read-only"),
        (PermissionError(errno.EACCES, "Denied", "/absent/x"), "NotWritable", "Denied"),
        (PermissionError(errno.EPERM, "Denied", b"/absent/x"), "NotWritable", "Denied"),
        (OSError(errno.EIO, "Input/output error"), "NotReadable", "Input/output error"),
        (OSError(errno.ENOMEDIUM, "No medium", "/media/x"), "NotReadable", "No medium"),
        (PermissionError(errno.EACCES, "Denied"), "InternalError", "PermissionError: [Errno 13] Denied"),
        (ValueError("two\nlines"), "InternalError", "ValueError: two\\nlines"),
        (RecursionError("deep"), "InternalError", "RecursionError: deep"),
    ],
)
def test_what_is_no_error_of_ours_is_translated(run, error, reason, detail):
    code, out, talk = run(raising(error), json=True)
    failure = json.loads(out)
    assert failure["reason"] == reason
    assert failure["exitCode"] == code == getattr(errors, reason).exit_code
    assert failure["details"].get("detail") == detail
    assert talk[-1].startswith(f"VERDICT  {reason} ({code})")


def test_an_input_without_read_permission_is_not_called_unwritable(run, monkeypatch, tmp_path):
    secret = tmp_path / "secret"
    secret.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    _code, out, _talk = run(raising(PermissionError(errno.EACCES, "Denied", str(secret))), json=True)
    assert json.loads(out)["details"] == {"path": str(secret), "detail": "Denied"}
    assert json.loads(out)["reason"] == "NotReadable"


@pytest.mark.parametrize(("debug", "shown"), [("", False), ("1", True)])
def test_a_traceback_is_shown_only_when_asked_for(run, monkeypatch, debug, shown):
    monkeypatch.setenv("STELLA_DEBUG", debug)
    _code, _out, talk = run(raising(ValueError("bug")))
    assert any(line.startswith("Traceback") for line in talk) == shown
    assert len(talk) == 2 or shown


def test_a_hostile_name_in_an_error_cannot_reach_the_terminal(run):
    hostile = "kit/\x1b[2J\u202egnp\n\r.\udcff"
    _code, out, talk = run(raising(errors.HostileName(path=hostile)), json=True)
    assert len(talk) == 2
    assert all(line.isascii() and line.isprintable() for line in talk)
    assert out.isascii()
    assert json.loads(out)["details"]["path"] == hostile


# verdicts


def test_the_exit_code_is_that_of_the_verdict(run):
    code, _out, talk = run(lambda: Console().verdict("REPLAY_DIFFERS", 10, "read\nthis"))
    assert (code, talk) == (10, ["VERDICT  REPLAY_DIFFERS (10)  next: read\\nthis"])


def test_help_has_no_verdict(run):
    assert run(lambda: 0) == (0, "", [])


@pytest.mark.parametrize("outcome", [None, 10, True, "VERIFIED"])
def test_a_command_that_ends_without_a_verdict_is_a_bug(run, outcome):
    code, _out, talk = run(lambda: outcome)
    assert (code, talk[-1].split()[1]) == (1, "InternalError")


# output


@given(st.text())
def test_output_is_printable_ascii(text):
    shown = ascii_text(text)
    assert all(character in "\n\t" or " " <= character <= "~" for character in shown)
    assert "\n" not in one_line(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_printable_ascii_stays_as_it_is(text):
    assert ascii_text(text) == text


def test_data_are_text_or_one_document_but_never_both(capfd):
    for as_json in (False, True):
        console = Console(json=as_json)
        console.data("signer  release")
        console.document({"signers": [{"name": "r\u00e9lease", "ok": True}], "kits": [], "size": 3})
    assert capfd.readouterr().out == (
        "signer  release\n"
        "signers\n"
        "  - name         r\\xe9lease\n"
        "    ok           yes\n"
        "kits         none\n"
        "size         3\n"
        '{"kits": [], "signers": [{"name": "r\\u00e9lease", "ok": true}], "size": 3}\n'
    )


def test_an_encoded_document_is_passed_on_byte_for_byte(capfdbinary):
    Console(json=True).raw('{"name":"r\u00e9lease"}'.encode())
    assert capfdbinary.readouterr().out == '{"name":"r\u00e9lease"}\n'.encode()


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (Progress.AUTO, "passed     1 media: all sums hold\n"),
        (Progress.PLAIN, "passed     1 media: all sums hold\n"),
        (Progress.JSON, '{"step": " 1 media", "state": "passed", "detail": "all sums hold"}\n'),
        (Progress.NONE, ""),
    ],
)
def test_steps_are_shown_as_asked(capfd, progress, shown):
    console = Console(progress=progress)
    if progress is not Progress.JSON:
        console.step("rootpack", "running")
    console.check(Check(number=1, name="media", state="passed", detail="all sums hold"))
    assert capfd.readouterr() == ("", shown)


def test_an_unknown_way_of_progress_is_a_usage_error():
    with pytest.raises(errors.UsageError):
        Console(progress="fancy")


def test_a_terminal_gets_a_status_line_that_leaves_nothing_behind():
    main, terminal = pty.openpty()
    code = "c = Console(); c.step('replay', 'running'); c.step('replay', 'passed'); c.verdict('VERIFIED', 0)"
    with os.fdopen(terminal, "wb") as stream:
        child = subprocess.Popen(
            [sys.executable, "-c", f"from verifier.cli.console import Console; {code}"], cwd=ROOT, stderr=stream
        )
        child.wait(30)
        shown = os.read(main, 4096).decode().replace("\r\n", "\n")
    os.close(main)
    status = "running   replay"
    assert shown == f"{status}\r{' ' * len(status)}\rpassed    replay\nVERDICT  VERIFIED (0)\n"


def test_a_terminal_gets_an_encoded_document_in_ascii():
    main, terminal = pty.openpty()
    code = 'from verifier.cli.console import Console; Console(json=True).raw(b\'{"b":"\\xc2\\x9b","a":1}\')'
    with os.fdopen(terminal, "wb") as stream:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=stream, check=True)
        shown = os.read(main, 4096)
    os.close(main)
    assert shown == b'{"b":"\\u009b","a":1}\r\n'


# the ends of a process


def test_a_reader_that_leaves_does_not_change_the_verdict():
    code = (
        "def action():\n"
        "    console = Console()\n"
        "    for _ in range(20000): console.data('x' * 80)\n"
        "    return console.verdict('REPLAY_DIFFERS', 10)\n"
        "sys.exit(_runner.run(action))"
    )
    with program(code, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        child.stdout.close()
        talk = child.stderr.read()
    assert (child.returncode, talk) == (10, "VERDICT  REPLAY_DIFFERS (10)\n")


def test_a_full_disk_under_the_output_is_no_space():
    with (
        Path("/dev/full").open("w") as full,
        program("sys.exit(_runner.run(lambda: Console().data('x')))", stdout=full) as child,
    ):
        talk = child.stderr.read()
    assert child.returncode == 60
    assert talk.splitlines()[-1].startswith("VERDICT  NoSpace (60)")


def test_closed_standard_streams_are_no_error():
    command = f"exec {sys.executable} -c 'import sys, stella; sys.exit(stella.main([\"nope\"]))' >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=ROOT, check=False).returncode == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_with_130(number):
    code = (
        "import stella\n"
        "stella.dispatch = lambda words: (print('ready', flush=True), time.sleep(60))\n"
        "sys.argv = ['stella', 'replay']\n"
        "sys.exit(stella.main())"
    )
    with program(code, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        talk = child.stderr.read()
    assert child.returncode == 130
    assert talk.splitlines()[-1].startswith("VERDICT  Interrupted (130)")


def test_requests_to_stop_after_the_first_are_ignored():
    code = (
        "import stella\n"
        "def stubborn(words):\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print('ending', flush=True)\n"
        "        sys.stdin.readline()\n"
        "stella.dispatch = stubborn\n"
        "sys.argv = ['stella', 'replay']\n"
        "sys.exit(stella.main())"
    )
    with program(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "ending\n"
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        _, talk = child.communicate("go on\n")
    assert child.returncode == 130
    assert "Traceback" not in talk
    assert [line for line in talk.splitlines() if line.startswith("VERDICT")] == talk.splitlines()[-1:]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_request_to_stop_after_the_verdict_leaves_its_exit_code(number):
    code = (
        "import stella\n"
        "def done(words):\n"
        "    verdict = Console().verdict('VERIFIED', 0)\n"
        "    sys.stdin.readline()\n"
        "    return verdict\n"
        "stella.dispatch = done\n"
        "sys.argv = ['stella', 'replay']\n"
        "sys.exit(stella.main())"
    )
    with program(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stderr.readline().startswith("VERDICT  VERIFIED (0)")
        child.send_signal(number)
        _, talk = child.communicate("go on\n")
    assert (child.returncode, talk) == (0, "")
