"""The locker's commands, through the program's own entry."""

import json
from pathlib import Path

import msgspec
import pytest

import stella
from kit.errors import UsageError
from kit.syncfile import RunEntry
from locker.cli import locker as commands
from verifier.cli.table import table


class Program:
    """Runs commands against one locker."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def __call__(self, *words: object) -> tuple[int, str, str]:
        code = stella.main([str(word) for word in words])
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err

    def json(self, *words: object) -> tuple[int, dict[str, object]]:
        code, out, _ = self(*words, "--json")
        assert out.count("\n") == 1
        return code, json.loads(out)


@pytest.fixture
def program(present_world, tmp_path, capsys, monkeypatch) -> Program:
    directory = tmp_path / "locker"
    monkeypatch.setenv("STELLA_LOCKER", str(directory))
    made = Program(directory, capsys)
    root = present_world.pack / "metadata/1.root.json"
    code, out, err = made("locker", "init", directory, "--root", root, "--expect-root", present_world.expected_root)
    assert code == 0
    assert present_world.expected_root in out
    assert err.startswith("VERDICT  MADE (0)")
    return made


def test_making_a_locker_twice_has_its_own_exit_code(program, present_world) -> None:
    root = present_world.pack / "metadata/1.root.json"
    again = ("locker", "init", program.directory, "--root", root, "--expect-root", present_world.expected_root)
    assert program(*again)[0] == 51
    code, document = program.json(*again)
    assert (code, document["reason"], document["ok"]) == (51, "AlreadyAccepted", False)


def test_a_wrong_fingerprint_makes_nothing(program, present_world, tmp_path) -> None:
    root = present_world.pack / "metadata/1.root.json"
    other = tmp_path / "other"
    assert program("locker", "init", other, "--root", root, "--expect-root", "SHA256:" + "0" * 64)[0] == 30
    assert program("locker", "status", "--locker", other)[0] == 2


def test_from_record_to_replayed(program, present_world, tmp_path, scan_ids) -> None:
    record = present_world.record(tmp_path)
    code, document = program.json("locker", "ingest", record)
    assert (code, document["status"], document["known"]) == (0, "verified", False)
    code, out, err = program("locker", "ingest", record)
    following = f"stella locker show {scan_ids[0]} --locker {program.directory}"
    assert (code, err.splitlines()[-1]) == (0, f"VERDICT  KNOWN (0)  next: {following}")
    assert scan_ids[0] in out
    present_world.run(tmp_path / "ops", record, "run-1")
    results = present_world.export(tmp_path / "ops", tmp_path / "results.stella-sync")
    code, document = program.json("sync", "import", results)
    assert (code, document["site"]) == (0, present_world.site.fingerprint)
    assert [run["outcome"] for run in document["runs"]] == ["imported"]
    code, document = program.json("locker", "status")
    assert (code, document["upkeep"], document["runs"]) == (
        22,
        "unknown",
        {"pending": 0, "verified": 0, "failed": 0, "replayed": 1},
    )
    assert document["siteResults"] == 1
    code, document = program.json("locker", "list", "--status", "replayed")
    assert [run["id"] for run in document["runs"]] == [scan_ids[0]]
    code, out, _ = program("locker", "list", "--status", "failed")
    assert (code, len(out.splitlines())) == (0, 1)
    code, document = program.json("locker", "show", scan_ids[0])
    assert (code, document["status"], document["siteResults"][0]["origin"]) == (0, "replayed", "site")
    code, out, err = program("locker", "show", scan_ids[0])
    assert "cas://replay/" in out
    assert err == "VERDICT  REPLAYED (0)\n"


def test_a_refusal_ends_with_its_own_code(program, present_world, tmp_path, scan_ids) -> None:
    record = present_world.record(tmp_path)
    (record / "outputbundle.tar.zst").unlink()
    code, document = program.json("locker", "ingest", record)
    assert (code, document["reason"], document["exitCode"]) == (32, "FileMissing", 32)
    code, out, _ = program("locker", "list", "--wide")
    head, row = out.splitlines()
    assert head.split()[:4] == ["ingested", "status", "scan", "tenant"]
    assert row[head.index("status") :].startswith(f"failed  {scan_ids[0]}  default")
    assert row[head.index("refused for") :] == "FileMissing"


def test_contradicting_results_warn_and_fail_only_if_asked(program, present_world, tmp_path) -> None:
    record = present_world.record(tmp_path, rootpack=False)
    present_world.run(tmp_path / "ops", record, "run-1", "DIFFERS")
    present_world.run(tmp_path / "ops", record, "run-2", "VERIFIED")
    results = present_world.export(tmp_path / "ops", tmp_path / "results.stella-sync")
    code, out, err = program("sync", "import", results, "--rootpack", present_world.pack)
    assert code == 0
    assert out.count("imported") == 2
    assert err.count("warning: conflict: ") == 1
    assert program("sync", "import", results, "--fail-on-conflict")[0] == 71


def test_a_refusal_beside_a_verified_replay_is_everyday_life(program, present_world, tmp_path) -> None:
    record = present_world.record(tmp_path, rootpack=False)
    present_world.run(tmp_path / "ops", record, "run-1", "REFUSED", reason="DigestMismatch", exit_code=30)
    present_world.run(tmp_path / "ops", record, "run-2", "VERIFIED")
    results = present_world.export(tmp_path / "ops", tmp_path / "results.stella-sync")
    code, out, err = program("sync", "import", results, "--rootpack", present_world.pack, "--fail-on-conflict")
    assert (code, out.count("imported")) == (0, 2)
    assert "conflict" not in err


def test_a_run_that_does_not_stand_is_shown_and_lies_in_the_quarantine(program, present_world, tmp_path) -> None:
    """No verifier writes such a file: a site signed a list that is better than its own result."""
    record = present_world.record(tmp_path, rootpack=False)
    present_world.run(tmp_path / "ops", record, "run-1", "DIFFERS")
    present_world.run(tmp_path / "ops", record, "run-2", "VERIFIED")

    def embellish(members: dict[str, bytes], entries: list[RunEntry]) -> None:
        entries[0] = msgspec.structs.replace(entries[0], verdict="VERIFIED", reason="Ok")

    out_file = present_world.export(tmp_path / "ops", tmp_path / "results.stella-sync")
    results = present_world.reseal(out_file, embellish)
    command = ("sync", "import", results, "--rootpack", present_world.pack)
    code, out, err = program(*command)
    assert code == 31
    refused, imported = out.splitlines()
    assert refused.startswith(f"quarantined  runs/{record.name}/run-1  ")
    assert "MalformedDocument: " in refused
    assert imported.startswith(f"imported     runs/{record.name}/run-2  ")
    (entry,) = (program.directory / "quarantine/default").iterdir()
    assert "VERDICT  MalformedDocument (31)  next: " in err.splitlines()[-1]
    assert f"quarantine/default/{entry.name}/failure-reason.txt" in err
    assert {path.name for path in entry.iterdir()} >= {"failure-reason.txt", "quarantine.json", "result.json"}
    code, document = program.json(*command)
    first, second = document["runs"]
    assert (code, first["outcome"], first["refusal"]) == (31, "quarantined", "MalformedDocument")
    assert first["quarantine"] == f"default/{entry.name}"
    assert second["outcome"] == "known"
    assert [path.name for path in (program.directory / "quarantine/default").iterdir()] == [entry.name]


def test_a_private_key_given_by_mistake_stays_where_it_is(program, present_world, tmp_path) -> None:
    secret = next(present_world.keys.glob("kit*.key.pem"))
    for words in (("sync", "import", secret), ("sync", "import", secret, "--rootpack", present_world.pack)):
        code, document = program.json(*words)
        assert (code, document["reason"], document["details"]) == (2, "NotSiteResults", {"path": secret.name})
        assert "stella sync export" in str(document["nextStep"])
    content = secret.read_bytes()
    assert not [path for path in program.directory.rglob("*") if path.is_file() and content in path.read_bytes()]
    assert list((program.directory / "quarantine").iterdir()) == []


def test_a_run_without_its_signed_receipt_does_not_travel(present_world, tmp_path) -> None:
    directory = present_world.run(tmp_path / "ops", present_world.record(tmp_path), "run-1")
    (directory / "receipt.dsse.json").unlink()
    with pytest.raises(UsageError, match="no finished run"):
        present_world.export(tmp_path / "ops", tmp_path / "results.stella-sync")


@pytest.mark.parametrize(
    "words",
    [
        ("locker", "ingest", "nowhere"),
        ("locker", "show", "nothing"),
        ("locker", "list", "--status", "done"),
        ("locker", "ingest", "nowhere", "--tenant", "No Name"),
        ("locker", "ingest", "nowhere", "--rootpack", "nowhere"),
        ("locker", "init", "new", "--root", "nowhere", "--expect-root", "SHA256:" + "0" * 64),
        ("sync", "import", "nowhere", "--tenant", "No Name"),
        ("sync", "import", "nowhere", "--rootpack", "nowhere"),
        ("locker", "status", "--locker", "nowhere"),
        ("sync", "import", "nowhere"),
        ("locker", "init"),
    ],
)
def test_a_mistake_of_the_caller_is_exit_code_2(program, words) -> None:
    assert program(*words)[0] == 2


@pytest.mark.parametrize("words", [("locker", "init"), ("locker", "ingest"), ("sync", "import")])
def test_help_has_an_example_and_the_exit_codes(program, words) -> None:
    code, out, _ = program(*words, "--help")
    assert code == 0
    assert f"stella {words[0]} {words[1]}" in out
    assert "71  conflict in the locker, or another trust root is pinned" in out
    assert "12  the policy" not in out


def test_results_of_a_site_that_is_not_enrolled_say_how_to_enrol_it(program, present_world, tmp_path) -> None:
    record = present_world.record(tmp_path, rootpack=False)
    present_world.site = present_world.new_site("site-9", 9)
    present_world.run(tmp_path / "ops", record, "run-1")
    results = present_world.export(tmp_path / "ops", tmp_path / "results.stella-sync")
    code, _, err = program("sync", "import", results, "--rootpack", present_world.pack)
    assert (code, "VERDICT  SignerUnknown (21)" in err) == (21, True)
    assert "stella rootpack add-key" in err.splitlines()[-1]
    assert "stella look" not in err


def test_a_damaged_file_of_results_is_asked_for_again_at_the_site(program, present_world, tmp_path) -> None:
    record = present_world.record(tmp_path, rootpack=False)
    present_world.run(tmp_path / "ops", record, "run-1")
    results = present_world.export(tmp_path / "ops", tmp_path / "results.stella-sync")
    results.write_bytes(results.read_bytes()[:-1])
    code, _, err = program("sync", "import", results, "--rootpack", present_world.pack)
    assert code in (30, 31, 32)
    assert "stella sync export" in err.splitlines()[-1]
    assert "this kit" not in err


def test_a_list_is_narrow_and_its_short_ids_can_be_shown(program, present_world, tmp_path, scan_ids) -> None:
    record = present_world.record(tmp_path)
    assert program("locker", "ingest", record, "--tenant", "a-tenant-with-a-name-of-some-length")[0] == 0
    _, out, _ = program("locker", "list")
    assert max(map(len, out.splitlines())) <= 100
    assert scan_ids[0][:8] in out
    assert scan_ids[0] not in out
    assert scan_ids[0] in program("locker", "list", "--wide")[1]
    code, document = program.json("locker", "show", scan_ids[0][:8])
    assert (code, document["id"]) == (0, scan_ids[0])
    assert program("locker", "show", scan_ids[0][:7])[0] == 2


@pytest.mark.parametrize("length", [1, 40, 400])
def test_a_line_of_the_list_has_at_most_100_columns(length: int) -> None:
    cells = ["2026-01-01T00:00:00Z", "verified", "0" * 36, "t" * 64, "s" * length, "MatchContractDiffers"]
    lines = table(commands._COLUMNS, commands._narrow([cells], 8))
    assert max(map(len, lines)) <= 100


def test_a_scan_is_shown_with_the_names_of_those_who_signed(program, present_world, tmp_path, scan_ids) -> None:
    record = present_world.record(tmp_path)
    program("locker", "ingest", record)
    present_world.run(tmp_path / "ops", record, "run-1")
    program("sync", "import", present_world.export(tmp_path / "ops", tmp_path / "results.stella-sync"))
    _, document = program.json("locker", "show", scan_ids[0])
    assert [one["owner"] for one in document["signatures"]] == ["release"]
    (result,) = document["siteResults"]
    assert (result["site"], result["siteOwner"]) == (present_world.site.fingerprint, "site-7")


def test_a_night_from_whole_to_failed_to_mended(program, present_world, tmp_path, scan_ids) -> None:
    record = present_world.record(tmp_path)
    program("locker", "ingest", record)
    words = ("verify", "--latest", "5", "--executor", "process:1")
    code, out, err = program(*words)
    assert (code, err.splitlines()[-1]) == (0, "VERDICT  VERIFIED 1 (0)")
    assert out.splitlines()[1].split() == ["verified", "1"]
    held = program.json("locker", "show", scan_ids[0])[1]["bundles"]
    location = next(one["location"] for one in held if one["role"] == "input")
    bundle = Path(str(program.directory / location.replace("cas://", "cas/")))
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    code, document = program.json(*words, "--locker", program.directory)
    assert (code, [one["code"] for one in document["failing"]]) == (30, ["DigestMismatch"])
    assert program.json("locker", "show", scan_ids[0])[1]["failure"] == "DigestMismatch"
    assert program("locker", "ingest", record)[0] == 0
    assert program("verify", "--latest=5", "--executor=process:1")[0] == 0


def test_the_connected_half_of_verify_has_its_own_help(program) -> None:
    code, out, _ = program("verify", "--latest", "5", "--help")
    assert code == 0
    assert "--executor" in out
    assert "--scan-only" not in out
    code, out, _ = program("verify", "--help")
    assert (code, "--executor-tls DIR" in out, "--scan-only" in out) == (0, False, True)


def test_metrics_and_drills_from_the_command_line(program, tmp_path) -> None:
    out = tmp_path / "stella.prom"
    assert program("locker", "metrics", "--out", out)[0] == 0
    assert "# TYPE replay_verify_total counter" in out.read_text()
    code, shown, _ = program("locker", "metrics")
    assert (code, "locker_checklist{" in shown) == (0, True)
    assert program("locker", "metrics", "--out", tmp_path / "x.txt")[0] == 2
    assert program("locker", "metrics", "--out", tmp_path / "nowhere/x.prom")[0] == 60
    assert program("locker", "drill", "--note", "T-OPA-008")[0] == 0
    assert program("locker", "drill", "--note", " ")[0] == 2
    code, shown, err = program("locker", "status")
    assert (code, err) == (22, "VERDICT  UPKEEP UNKNOWN (22)\n")
    assert "ok       drill-held" in shown


def test_a_schedule_needs_rows_on_postgresql(program) -> None:
    code, document = program.json("locker", "schedule", "--once")
    assert (code, document["reason"]) == (2, "UsageError")
