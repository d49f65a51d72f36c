"""stella feed: data on stdout, talk on stderr, one verdict line, exit codes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import stella

TIME = "2026-02-03T04:05:06Z"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "feed.ndjson"
    record = {"id": "T-1", "modified": TIME, "affected": [{"package": {"ecosystem": "PyPI", "name": "A_b"}}]}
    path.write_text(json.dumps(record) + "\n" + json.dumps({"id": "T-2", "modified": TIME}) + "\n[]\n")
    return path


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> tuple[int, str, str]:
        code = stella.main(["feed", *words, "--feeds", str(tmp_path / "feeds")])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_add_list_and_show(run: Any, source: Path) -> None:
    code, out, err = run("add", "demo", str(source), "--time", TIME)
    assert code == 0
    assert "advisories   2 in 1 pages, 0 withdrawn" in out
    assert "refused      1 not-an-object" in out
    assert "odd          1 no-package" in out
    assert err.splitlines()[-1].startswith("VERDICT  ADDED (0)")
    assert run("add", "demo", str(source), "--time", TIME)[2].splitlines()[-1].startswith("VERDICT  UNCHANGED (0)")
    code, out, _ = run("list")
    assert (code, out.splitlines()[1].split()[:4]) == (0, ["demo", TIME, "2", "1"])
    code, out, _ = run("show", "demo", "--deep")
    assert code == 0
    assert "deep         2 advisories, 1 pages, 1 index entries derived anew" in out


def test_json_is_one_object_with_counts_and_roots(run: Any, source: Path) -> None:
    added = json.loads(run("add", "demo", str(source), "--time", TIME, "--json")[1])
    shown = json.loads(run("show", "demo", "--json")[1])
    assert shown == added
    assert shown["info"]["advisories"] == 2
    assert shown["info"]["contentRoot"].startswith("sha256:")
    assert shown["refusedByReason"] == {"not-an-object": 1}
    assert shown["oddByReason"] == {"no-package": 1}
    listed = json.loads(run("list", "--json")[1])
    assert [feed["snapshot"] for feed in listed["feeds"]] == [shown["snapshot"]]


def test_spoiled_snapshot_is_reported_with_its_reason(run: Any, source: Path, tmp_path: Path) -> None:
    run("add", "demo", str(source), "--time", TIME)
    pages = next((tmp_path / "feeds" / "demo").glob("*/pages.bin"))
    pages.write_bytes(pages.read_bytes()[:-1] + b"\x00")
    code, out, err = run("show", "demo", "--json")
    assert code == 30
    assert json.loads(out)["reason"] == "DigestMismatch"
    assert "VERDICT  DigestMismatch (30)" in err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "absent"), 2),
        (("add", "demo", "/nonexistent/all.zip"), 2),
        (("add", "No Name", "SOURCE"), 2),
        (("add", "demo", "SOURCE", "--time", "now"), 2),
        (("add", "demo", "SOURCE", "--level", "20"), 2),
    ],
)
def test_misuse_leaves_with_its_code(run: Any, source: Path, words: tuple[str, ...], code: int) -> None:
    assert run(*(str(source) if word == "SOURCE" else word for word in words))[0] == code


def test_empty_store_lists_nothing(run: Any) -> None:
    code, out, _ = run("list", "--json")
    assert (code, json.loads(out)) == (0, {"feeds": []})


def test_the_time_of_a_snapshot_is_never_that_of_a_file(run: Any, source: Path, tmp_path: Path) -> None:
    code, out, err = run("add", "demo", str(source))
    assert (code, f"time         {TIME}" in out) == (0, True)
    assert f"time {TIME}: the newest 'modified' of the records" in err
    first = json.loads(run("show", "demo", "--json")[1])["snapshot"]
    os.utime(source, (1, 1))
    code, _, err = run("add", "demo", str(source))
    assert (code, "VERDICT  UNCHANGED (0)" in err) == (0, True)
    assert json.loads(run("show", "demo", "--json")[1])["snapshot"] == first
    assert "newest 'modified'" not in run("add", "demo", str(source), "--time", TIME)[2]


def test_a_record_from_the_future_does_not_date_a_snapshot(run: Any, source: Path) -> None:
    source.write_text(json.dumps({"id": "T-1", "modified": "2999-01-01T00:00:00Z"}) + "\n")
    code, _, err = run("add", "demo", str(source))
    assert (code, "found 2999-01-01T00:00:00Z" in err, "--time" in err) == (2, True, True)
    assert run("add", "demo", str(source), "--time", TIME)[0] == 0


def test_columns_stand_under_their_heads(run: Any, source: Path) -> None:
    for name in ("demo", "a-feed-with-a-rather-long-name-1234567890"):
        run("add", name, str(source), "--time", TIME)
    head, *rows = run("list")[1].splitlines()
    at = head.index("time")
    assert all(row[at:].startswith(TIME) and row[at - 2 : at] == "  " for row in rows)
    end = head.index("advisories") + len("advisories")
    assert all(row[end - 2 : end] == " 2" for row in rows)


@pytest.mark.parametrize(
    "words",
    [
        ("add", "Demo!", "{source}"),
        ("add", "demo", "nowhere"),
        ("add", "demo", "{source}", "--time", "today"),
        ("add", "demo", "{source}", "--dictionary-from", "nowhere"),
        ("show", "nothing"),
        ("show", "Demo!"),
        ("show", "there", "--snapshot", "ffff"),
    ],
)
def test_a_mistyped_path_or_value_is_a_usage_error(run: Any, source: Path, words: tuple[str, ...]) -> None:
    run("add", "there", str(source))
    code, _, err = run(*(word.format(source=source) for word in words))
    assert (code, err.splitlines()[-1].startswith("VERDICT  UsageError (2)")) == (2, True)


def test_a_whole_snapshot_is_intact_and_not_verified(run: Any, source: Path) -> None:
    run("add", "demo", str(source))
    for words in (("show", "demo"), ("show", "demo", "--deep")):
        assert "VERDICT  INTACT (0)" in run(*words)[2]


def written(path: Path, modified: str, ecosystem: str = "PyPI") -> str:
    record = {"id": "T-1", "modified": modified, "affected": [{"package": {"ecosystem": ecosystem, "name": "a"}}]}
    path.write_text(json.dumps(record) + "\n")
    return str(path)


def current(run: Any) -> str:
    (feed,) = json.loads(run("list", "--json")[1])["feeds"]
    return str(feed["snapshotTime"])


def test_current_moves_forward_only_unless_it_is_asked_for(run: Any, tmp_path: Path) -> None:
    old, new = "2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z"
    older, newer = written(tmp_path / "old.ndjson", old), written(tmp_path / "new.ndjson", new)
    told = []
    for words in ((newer,), (older,), (older,), (newer,), (older, "--make-current"), (newer,)):
        code, _, err = run("add", "demo", *words)
        assert code == 0
        told.append((err.splitlines()[-1].removeprefix("VERDICT  ").partition(" (0)")[0], current(run)))
        assert (f"scans go on with that of {new}" in err) == (told[-1] != ("ADDED", new) and words == (older,))
        assert ("current moved BACK" in err) == ("--make-current" in words)
    assert told == [
        ("ADDED", new),
        ("ADDED, NOT CURRENT", new),
        ("UNCHANGED", new),
        ("UNCHANGED", new),
        ("MADE CURRENT", old),
        ("MADE CURRENT", new),
    ]


def test_a_snapshot_that_is_not_current_is_shown_as_such(run: Any, tmp_path: Path) -> None:
    run("add", "demo", written(tmp_path / "new.ndjson", "2026-05-01T00:00:00Z"))
    _, out, _ = run("add", "demo", written(tmp_path / "old.ndjson", "2026-01-01T00:00:00Z"))
    assert "not the current one" in out
    assert "not the current one" not in run("show", "demo")[1]


def test_a_source_of_other_ecosystems_is_refused_unless_it_is_meant(run: Any, tmp_path: Path) -> None:
    run("add", "demo", written(tmp_path / "one.ndjson", "2026-01-01T00:00:00Z"))
    other = written(tmp_path / "other.ndjson", "2026-05-01T00:00:00Z", "Go")
    code, _, err = run("add", "demo", other)
    assert (code, "expected PyPI, found Go" in err, current(run)) == (2, True, "2026-01-01T00:00:00Z")
    code, _, err = run("add", "demo", other, "--change-ecosystems")
    assert (code, "the feed lost PyPI" in err, current(run)) == (0, True, "2026-05-01T00:00:00Z")


def test_releases_of_a_distribution_come_and_go(run: Any, tmp_path: Path) -> None:
    run("add", "demo", written(tmp_path / "one.ndjson", "2026-01-01T00:00:00Z", "Alpine:v3.10"))
    code, _, err = run("add", "demo", written(tmp_path / "two.ndjson", "2026-05-01T00:00:00Z", "Alpine:v3.11"))
    assert (code, "the feed lost" in err) == (0, False)


def test_a_zero_is_no_time_of_a_snapshot(run: Any, tmp_path: Path) -> None:
    source = written(tmp_path / "zero.ndjson", "0001-01-01T00:00:00Z")
    code, _, err = run("add", "demo", source)
    assert (code, "0001-01-01T00:00:00Z, which stands for no time" in err) == (2, True)
    assert "next: Say when the source was downloaded: --time" in err.splitlines()[-1]
    assert run("add", "demo", source, "--time", TIME)[0] == 0
    assert current(run) == TIME
