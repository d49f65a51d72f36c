"""Reports and differences of runs, scans and bundles: what was checked, what is at hand, and that it is said."""

import csv
import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import stella
from builder.record import record
from kit import layout
from kit.errors import DigestMismatch, FileMissing
from tests.world import ROOT, Replay, World, scan_request
from verifier import compare, sources
from verifier.difference_text import difference_text
from verifier.run import VERIFY, WHAT_IF, Plan

LATER_ID = "5e11a000-0000-4000-8000-00000000000c"


@pytest.fixture
def opened():
    with ExitStack() as stack:
        yield lambda path, key=None: stack.enter_context(sources.opened(path, key))


@pytest.fixture(scope="module")
def later(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    request = scan_request(world.later_feed, scan_id=LATER_ID)
    return record(request, [world.kit_signer], tmp_path_factory.mktemp("later"))[0]


def test_a_run_is_verified_only_where_its_signature_is_checked(
    world: World, replay: Replay, tmp_path: Path, opened
) -> None:
    site = world.new_site(tmp_path / "site")
    _, run = replay(world.kit, site=site)
    checked, unchecked = (opened(run, key).standing for key in (site.signer.public, None))
    assert (checked.word, checked.verified) == ("VERIFIED", True)
    assert (unchecked.word, unchecked.verified) == ("UNCHECKED", False)


def test_a_what_if_and_a_recorded_scan_are_not_verified(world: World, replay: Replay, tmp_path: Path, opened) -> None:
    site = world.new_site(tmp_path / "site")
    _, run = replay(world.kit, Plan(WHAT_IF, "feeds", world.later_feed), site=site)
    assert opened(run, site.signer.public).standing.word == "WHAT-IF"
    assert opened(world.record, None).standing.word == "RECORDED"
    assert not opened(world.record, None).standing.verified


def test_a_run_without_findings_exports_nothing(world: World, replay: Replay, opened) -> None:
    _, run = replay(world.kit, Plan(VERIFY))
    with pytest.raises(FileMissing, match=r"findings\.json"):
        sources.evaluated(opened(run, None), "0.1.0")


def test_edited_findings_are_refused(world: World, replay: Replay, opened) -> None:
    _, run = replay(world.kit)
    place = run / "outputs" / "findings.json"
    place.write_bytes(place.read_bytes().replace(b'"action":"fail"', b'"action":"warn"'))
    with pytest.raises(DigestMismatch):
        opened(run, None)


@pytest.mark.parametrize("kind", ["sarif", "cyclonedx-vdr", "cyclonedx-vex", "openvex", "csv", "markdown", "table"])
def test_report_writes_every_format(
    world: World, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["report", str(world.record), "--format", kind]
    assert stella.main(words) == 0
    out, err = capsys.readouterr()
    assert "NOT VERIFIED" in out.replace("\\", "")
    assert err.splitlines()[-1] == "VERDICT  EXPORTED (0)"
    assert stella.main([*words, "--out", str(tmp_path / "report")]) == 0
    assert (tmp_path / "report").read_bytes().decode() == out
    capsys.readouterr()
    assert stella.main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["content"], document["verified"], document["standing"]) == (out, False, "RECORDED")


def test_report_of_a_verified_run_at_its_site(world: World, replay: Replay, tmp_path: Path, capsys) -> None:
    site = world.new_site(tmp_path / "site")
    _, run = replay(world.kit, site=site)
    words = ["report", str(run), "--site", str(tmp_path / "site"), "--format"]
    assert stella.main([*words, "csv"]) == 0
    out = capsys.readouterr().out
    assert {row[-2] for row in csv.reader(out.splitlines()[1:])} == {"true"}
    assert stella.main([*words, "sarif"]) == 0
    log = json.loads(capsys.readouterr().out)
    assert log["runs"][0]["invocations"][0]["executionSuccessful"] is True
    assert stella.main([*words, "html", "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_bytes().startswith(b"<!DOCTYPE html>")
    for wrong in (["pdf"], ["html"], ["status", "--out", "x"]):
        assert stella.main([*words, *wrong]) == 2
    capsys.readouterr()


def test_two_scans_are_explained_by_their_inputs(world: World, later: Path, opened) -> None:
    old, new = (opened(path, None) for path in (world.record, later))
    tree = compare.diff(old, new)
    assert tree.causes["feed-record-added"] == 1
    assert "unexplained" not in tree.causes
    changes = {change.id for member in tree.members for one in member.entries for change in one.changes}
    assert "feeds/example-pypi/PYSEC-2024-60" in changes
    text = difference_text(tree)
    assert text.splitlines()[0] == "findings: 1 appeared, 2 vanished, 0 changed"
    assert "|-- feed-record-added: PYSEC-2024-60 added to feed example-pypi" in text
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80
    assert "looked up in the inputs of both sides" in compare.inputs_at_hand(old, new)


def test_without_inputs_only_the_one_input_that_differs_is_blamed(
    world: World, later: Path, tmp_path: Path, opened
) -> None:
    for name, source in (("a", world.record), ("b", later)):
        (tmp_path / name).mkdir()
        for file in (layout.MANIFEST_FILE, layout.OUTPUT_BUNDLE):
            shutil.copyfile(source / file, tmp_path / name / file)
    for place in (layout.OUTPUT_BUNDLE, ""):
        old, new = (opened(tmp_path / name / place, None) for name in "ab")
        tree = compare.diff(old, new)
        assert tree.causes.keys() == {"input", "input-identity", "consequence"}
        details = {one.detail for member in tree.members for one in member.entries if one.cause == "input"}
        assert details == {"feed example-pypi is all that differs; its parts are not at hand"}
        assert "inputs of A and B are not at hand" in compare.inputs_at_hand(old, new)


def test_members_that_a_run_did_not_keep_are_compared_by_digest(
    world: World, later: Path, replay: Replay, opened
) -> None:
    _, run = replay(world.kit)
    same = compare.diff(opened(run, None), opened(world.record, None))
    assert same.equal
    tree = compare.diff(opened(run, None), opened(later, None))
    states = {member.path: member.state for member in tree.members}
    assert (states["sbom.json"], states["logs/replay.log"]) == ("equal", "changed")
    text = " ".join(difference_text(tree).split())
    assert "differ, but their bytes were not kept: logs/replay.log" in text
    assert compare.diff(opened(later, None), opened(run, None)).equal is False


def test_diff_says_what_was_at_hand(world: World, later: Path, replay: Replay) -> None:
    _, run = replay(world.kit)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "stella", "diff", str(run), str(later), "--site", "nowhere", "--exit-code"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 10, done.stderr
    assert "note: the inputs of A are not at hand" in done.stderr
    assert "note: A is NOT VERIFIED (UNCHECKED)" in done.stderr
    assert done.stdout.startswith("findings: 1 appeared")
