"""Two snapshots side by side: what is told of each record, what is not read at all, how snapshots are named."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stella
from builder import feed_changes, feeds
from builder.feeds import opened
from kit.bytes import canonical, digest
from kit.errors import UsageError

TIME = "2026-02-03T04:05:06Z"


def record(identifier: str, *packages: str, **members: object) -> dict[str, Any]:
    affected = [{"package": {"ecosystem": "PyPI", "name": name}} for name in packages or ("lantern",)]
    return {"id": identifier, "modified": TIME, "affected": affected, **members}


@pytest.fixture
def snapshot(tmp_path: Path):
    def make(name: str, records: list[dict[str, Any]]) -> Path:
        source = tmp_path / f"{name}.ndjson"
        source.write_text("".join(json.dumps(one) + "\n" for one in records))
        return feeds.add(tmp_path / "feeds", name, source, snapshot_time=TIME).directory

    return make


def difference(old: Path, new: Path, packages: set[tuple[str, str]] | None = None) -> feed_changes.FeedDifference:
    with opened(old) as before, opened(new) as after:
        return feed_changes.compare(before, after, packages)


def told(found: feed_changes.FeedDifference) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.id, one.kind, one.members) for one in found.records]


OLD = [
    record("A-1"),
    record("A-2", aliases=["CVE-2"]),
    record("A-3"),
    record("A-4", withdrawn=TIME),
    record("A-5", "winch"),
    record("TWIN"),
    record("TWIN", details="other"),
]
CASES = {
    "a record is added": ([*OLD, record("A-9")], [("A-9", "added", ())]),
    "a record is removed": (OLD[1:], [("A-1", "removed", ())]),
    "a record is withdrawn": ([record("A-1", withdrawn=TIME), *OLD[1:]], [("A-1", "withdrawn", ("withdrawn",))]),
    "a withdrawal is taken back": (
        [*OLD[:3], record("A-4"), *OLD[4:]],
        [("A-4", "changed", ("withdrawn",))],
    ),
    "members change": (
        [OLD[0], record("A-2", aliases=["CVE-3"], severity=[]), *OLD[2:]],
        [("A-2", "changed", ("aliases", "severity"))],
    ),
    "a record moves to another package": (
        [*OLD[:4], record("A-5", "anchor"), *OLD[5:]],
        [("A-5", "changed", ("affected",))],
    ),
    "one of two records of an id changes": (
        [*OLD[:6], record("TWIN", details="new")],
        [("TWIN", "changed", ("details",))],
    ),
    "one of two records of an id goes": (OLD[:6], [("TWIN", "removed", ())]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_became_of_a_record(name: str, snapshot: Any) -> None:
    records, expected = CASES[name]
    found = difference(snapshot("old", OLD), snapshot("new", records))
    assert told(found) == expected
    assert not found.equal
    assert sum(found.counts.values()) == len(expected)
    back = difference(snapshot("old", records), snapshot("new", OLD))
    assert [one.id for one in back.records] == [one[0] for one in expected]


def test_equal_roots_are_told_without_reading_a_page(snapshot: Any) -> None:
    old, new = snapshot("old", OLD), snapshot("new", list(reversed(OLD)))
    with opened(old) as before, opened(new) as after:
        found = feed_changes.compare(before, after, None)
        assert (found.equal, found.records) == (True, ())
        assert before.counters.pages_touched == after.counters.pages_touched == 0


def test_pages_of_equal_roots_are_not_read(snapshot: Any) -> None:
    many = [record(f"R-{number:05}", f"package-{number:05}", details="x" * 400) for number in range(1500)]
    last = [*many[:-1], many[-1] | {"details": "y" * 400}]
    with opened(snapshot("old", many)) as before, opened(snapshot("new", last)) as after:
        assert before.info.pages > 4
        assert told(feed_changes.compare(before, after, None)) == [("R-01499", "changed", ("details",))]
        assert before.counters.pages_touched == after.counters.pages_touched == 2


def test_only_records_about_the_packages_are_told_also_when_they_no_longer_are(snapshot: Any) -> None:
    new = [record("A-1", "anchor"), *OLD[1:4], record("A-5", "winch", details="more"), *OLD[5:]]
    old, later = snapshot("old", OLD), snapshot("new", new)
    assert told(difference(old, later, {("PyPI", "lantern")})) == [("A-1", "changed", ("affected",))]
    assert told(difference(old, later, {("PyPI", "winch")})) == [("A-5", "changed", ("details",))]
    assert told(difference(old, later, {("PyPI", "elsewhere")})) == []


ids = st.sampled_from([f"R-{number}" for number in range(6)])
records = st.lists(
    st.builds(record, ids, st.sampled_from(["anchor", "lantern", "winch"]), details=st.sampled_from("ab")), max_size=9
)


@settings(max_examples=40, deadline=None)
@given(old=records, new=records)
def test_it_is_the_difference_of_two_multisets(tmp_path_factory: Any, old: list, new: list) -> None:
    place = tmp_path_factory.mktemp("feeds")
    made = []
    for name, listed in (("old", [record("BOTH"), *old]), ("new", [record("BOTH"), *new])):
        source = place / f"{name}.ndjson"
        source.write_text("".join(json.dumps(one) + "\n" for one in listed))
        made.append(feeds.add(place / "feeds", name, source, snapshot_time=TIME).directory)
    lines = [{canonical.encode_foreign(one) for one in side} for side in (old, new)]
    found = difference(*made)
    gone, come = (sorted(json.loads(line)["id"] for line in one - other) for one, other in (lines, reversed(lines)))
    assert sorted(one.id for one in found.records if one.kind != "added") == gone
    assert sorted(one.id for one in found.records if one.kind != "removed") == come


def test_a_snapshot_is_named_by_directory_feed_or_digest(snapshot: Any, tmp_path: Path) -> None:
    store = tmp_path / "feeds"
    first = snapshot("pypi", OLD)
    second = snapshot("pypi", OLD[1:])
    assert feed_changes.locate(store, str(first)) == first
    assert feed_changes.locate(store, "pypi") == second
    assert feed_changes.locate(store, f"pypi@{first.name[:8]}") == first
    assert feed_changes.locate(store, first.name[:8]) == first
    full = digest.of_file(first / "snapshot.json")[0]
    assert feed_changes.locate(store, full) == first
    for text in ("nothing", "pypi@ffffffff", "ffffffff", "", "../pypi", "@", full[:-1] + "x", first.name + "0" * 48):
        with pytest.raises(UsageError):
            feed_changes.locate(store, text)


def test_command_tells_kinds_ecosystems_and_members(snapshot: Any, tmp_path: Path, capsys: Any) -> None:
    snapshot("old", OLD)
    hostile = record("A-9") | {"affected": [{"package": {"ecosystem": "Py\u202ePI", "name": "x"}}]}
    snapshot("new", [*OLD[1:], hostile])
    options = ["--feeds", str(tmp_path / "feeds")]
    assert stella.main(["feed", "diff", "old", "new", *options, "--exit-code"]) == 10
    out, err = capsys.readouterr()
    assert "- A-1  PyPI\n" in out
    assert "+ A-9  Py\\u202ePI\n" in out
    assert out.isascii()
    assert err.splitlines()[-1] == "VERDICT  DIFFERENT (10)"
    assert stella.main(["feed", "diff", "old", "new", *options, "--json", "--packages", "pkg:pypi/lantern"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["counts"] == {"added": 0, "changed": 0, "removed": 1, "withdrawn": 0}
    assert document["packages"] == 1
    assert stella.main(["feed", "diff", "old", "old", *options]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("the same 7 advisories")
    assert err == "VERDICT  EQUAL (0)\n"
    assert stella.main(["feed", "diff", "old", "new", *options, "--packages", "pkg:deb/debian/x"]) == 2
