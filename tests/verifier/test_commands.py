"""The air-gap commands as an operator types them: output, exit codes, JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder.record import record
from kit import errors
from tests.world import NOW, ROOT, SCAN_ID, World, scan_request
from verifier.run_dir import stamp

AT = ("--at", stamp(NOW))


class Terminal:
    """Runs the program in a directory that holds a pinned site and the kit."""

    def __init__(self, place: Path, world: World) -> None:
        self.place = place
        world.copy_kit(place / "offline")
        self.manifest = f"offline/replay/{SCAN_ID}/manifest.json"

    def __call__(self, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "tr_TR.UTF-8"}
        command = [sys.executable, "-m", "stella", *words]
        done = subprocess.run(command, cwd=self.place, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == expect, f"{words}\n{done.stdout}\n{done.stderr}"
        return done

    def runs(self) -> list[Path]:
        return sorted((self.place / "ops/offline/replay" / SCAN_ID).iterdir())


@pytest.fixture
def terminal(world: World, tmp_path: Path) -> Terminal:
    made = Terminal(tmp_path, world)
    world.new_site(tmp_path / "ops" / "site")
    return made


def test_replay_ends_with_one_verdict_line_and_data_on_stdout(terminal: Terminal) -> None:
    done = terminal("replay", terminal.manifest, "--strict", "--offline", *AT)
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("VERDICT")] == [lines[-1]]
    assert lines[-1].startswith("VERDICT  VERIFIED (0)")
    assert done.stdout.startswith("scan")
    assert done.stdout.isascii()


def test_json_is_the_signed_result(terminal: Terminal) -> None:
    done = terminal("verify", terminal.manifest, "--json", *AT)
    (run,) = terminal.runs()
    assert done.stdout.encode() == (run / "result.json").read_bytes() + b"\n"
    assert json.loads(done.stdout)["verdict"] == "INTACT"
    assert json.loads(done.stdout)["referenceTime"] == {"time": stamp(NOW), "source": "--at (audit)"}


@pytest.mark.parametrize(
    "spelling", [["--what-if", "--vary=feeds"], ["--what-if", "--vary", "feeds"], ["--what-if", "feeds"]]
)
def test_what_if_is_accepted_in_every_spelling(terminal: Terminal, world: World, spelling: list[str]) -> None:
    done = terminal("replay", terminal.manifest, *spelling, "--with", str(world.later_feed), "--json", *AT)
    result = json.loads(done.stdout)
    assert (result["mode"], result["verdict"]) == ("what-if:feeds", "WHAT-IF")
    assert result["causes"]["feed-record-added"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--strict", "--what-if", "--vary=feeds", "--with", "x"],
        ["--what-if"],
        ["--what-if", "--vary=weather", "--with", "x"],
        ["--what-if", "--vary=feeds"],
        ["--vary=feeds", "--with", "x"],
        ["--no-such-option"],
        ["--at", "yesterday"],
        ["--progress", "loud"],
    ],
)
def test_command_that_cannot_be_carried_out_is_usage(terminal: Terminal, words: list[str]) -> None:
    done = terminal("replay", terminal.manifest, *words, "--json", expect=errors.UsageError.exit_code)
    assert json.loads(done.stdout)["ok"] is False
    assert "Traceback" not in done.stderr


def test_refusal_is_told_by_code_sentence_and_next_step(terminal: Terminal) -> None:
    (terminal.place / "offline" / "README.txt").write_text("changed")
    done = terminal("replay", terminal.manifest, *AT, expect=30)
    assert done.stderr.splitlines()[-1].startswith("VERDICT  REFUSED: SizeMismatch (30)  next: ")
    assert "README.txt" in done.stdout


def test_receipt_and_report_of_a_run(terminal: Terminal) -> None:
    terminal("replay", terminal.manifest, *AT)
    run = str(terminal.runs()[0].relative_to(terminal.place))
    assert "VERDICT    VERIFIED" in terminal("receipt", run, "--out", "slip.dsse.json").stdout
    assert json.loads((terminal.place / "slip.dsse.json").read_bytes())["payloadType"] == "application/vnd.in-toto+json"
    assert "VERIFIED (0)" in terminal("report", run, "--html", "page.html").stdout
    assert (terminal.place / "page.html").read_bytes().startswith(b"<!DOCTYPE html>")


def test_receipt_leaves_as_page_pictures_and_letters(terminal: Terminal) -> None:
    (terminal.place / "offline" / "README.txt").write_text("changed")
    terminal("replay", terminal.manifest, *AT, expect=30)
    run = str(terminal.runs()[0].relative_to(terminal.place))
    done = terminal("receipt", run, "--paper", "page.html", "--png", "code.png", "--svg", "code.svg", "--qr")
    assert "STELLA1:\n" in done.stdout
    assert "##############" in done.stdout
    assert done.stdout.isascii()
    page = (terminal.place / "page.html").read_bytes()
    assert page.startswith(b"<!DOCTYPE html>")
    assert b"REFUSED" in page
    assert (terminal.place / "code.png").read_bytes().startswith(b"\x89PNG")
    assert (terminal.place / "code.svg").read_text().count("<path") == 2
    printed = str(terminal.runs()[0] / "receipt.txt")
    said = terminal("receipt", "check", printed, "--key", "ops/site/site.pub.pem")
    assert "says REFUSED, SizeMismatch, of scan" in said.stderr
    (terminal.runs()[0] / "receipt.dsse.json").write_bytes(b"{}")
    elsewhere = terminal("receipt", run, "--site", "nowhere", "--json", expect=30)
    assert json.loads(elsewhere.stdout)["reason"] == "DigestMismatch"


@pytest.mark.parametrize(("command", "name"), [("receipt", "receipt.json"), ("report", "result.json")])
def test_edited_document_is_refused_at_its_site(terminal: Terminal, command: str, name: str) -> None:
    (terminal.place / "offline" / "README.txt").write_text("changed")
    terminal("replay", terminal.manifest, *AT, expect=30)
    run = terminal.runs()[0]
    text = (run / name).read_bytes()
    (run / name).write_bytes(text.replace(b'"verdict":"REFUSED"', b'"verdict":"VERIFIED"'))
    done = terminal(command, str(run), "--json", expect=30)
    assert json.loads(done.stdout)["reason"] == "DigestMismatch"


def test_document_elsewhere_is_shown_with_a_warning(terminal: Terminal) -> None:
    terminal("replay", terminal.manifest, *AT)
    done = terminal("receipt", str(terminal.runs()[0]), "--site", "nowhere")
    assert "signature of this document was not checked" in done.stderr


def test_look_changes_nothing_and_trusts_nothing_unpinned(terminal: Terminal) -> None:
    before = sorted(terminal.place.rglob("*"))
    document = json.loads(terminal("look", "offline", "--site", "nowhere", "--json").stdout)
    assert document["trust"]["pinned"] is False
    assert document["claimed"]["sequence"] == 1
    assert sorted(terminal.place.rglob("*")) == before


def test_look_names_trusted_signers(terminal: Terminal) -> None:
    document = json.loads(terminal("look", "offline", "--json", *AT).stdout)
    assert document["trust"]["signers"][0].endswith("(release engineering)")


def test_unpinned_site_names_the_kits_fingerprint(terminal: Terminal) -> None:
    done = terminal("replay", terminal.manifest, "--site", "nowhere", "--json", expect=23)
    answer = json.loads(done.stdout)
    assert answer["reason"] == "TrustRootNotPinned"
    assert answer["details"]["rootInTheKit"].startswith("SHA256:")


def test_diff_of_two_scans_names_causes(terminal: Terminal, world: World, tmp_path: Path) -> None:
    later = scan_request(world.later_feed, scan_id="5e11a000-0000-4000-8000-00000000000c")
    other, _ = record(later, [world.kit_signer], tmp_path / "records")
    done = terminal("diff", str(world.record), str(other), "--json", "--exit-code", expect=10)
    assert json.loads(done.stdout)["causes"]["feed-record-added"] == 1
    assert "signatures were not checked" in done.stderr
    assert terminal("diff", str(world.record), str(world.record)).stderr.splitlines()[-1] == "VERDICT  EQUAL (0)"


def test_cut_off_run_is_reported_by_the_next(terminal: Terminal) -> None:
    terminal("replay", terminal.manifest, *AT)
    (run,) = terminal.runs()
    lines = (run / "journal.ndjson").read_bytes().splitlines(keepends=True)
    (run / "journal.ndjson").write_bytes(b"".join(lines[:5]) + lines[5][:10])
    done = terminal("replay", terminal.manifest, *AT)
    assert f"an earlier run was cut off and counts for nothing: {run.name}" in done.stderr


def test_manifest_of_no_scan_directory_leaves_its_log_under_a_fixed_name(terminal: Terminal, world: World) -> None:
    scan = terminal.place / "offline" / "replay" / SCAN_ID
    scan.rename(scan.with_name("..evil"))
    terminal("replay", "offline/replay/..evil/manifest.json", *AT, expect=31)
    assert [path.name for path in (terminal.place / "ops/offline/replay").iterdir()] == ["unknown"]
