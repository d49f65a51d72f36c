"""snapshot.json: what contradicts itself or the format is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.errors import MalformedDocument, NotCanonical, StellaError, UnsupportedVersion
from kit.snapshot import SnapshotInfo, records
from kit.snapshot.records import RECORD, parse_ordinals


@pytest.fixture
def document(build: Callable[..., tuple[Path, SnapshotInfo]], sources: list[Any]) -> dict[str, Any]:
    place, _ = build([*sources, ("x.json", b"[]")])
    value: dict[str, Any] = json.loads((place / RECORD).read_bytes())
    return value


def encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def test_what_the_writer_made_is_read(document: dict[str, Any]) -> None:
    assert records.decode(encoded(document)).refused_count == 1


@pytest.mark.parametrize(
    ("pointer", "value", "error"),
    [
        ("schemaVersion", "1.1", UnsupportedVersion),
        ("schemaVersion", 1, MalformedDocument),
        ("name", "Demo", MalformedDocument),
        ("name", "../x", MalformedDocument),
        ("snapshotTime", "2026-01-02", MalformedDocument),
        ("snapshotTime", "2026-13-02T00:00:00Z", MalformedDocument),
        ("pageSize", 1, MalformedDocument),
        ("indexPageSize", 16384, MalformedDocument),
        ("advisories", -1, MalformedDocument),
        ("advisories", 0, MalformedDocument),
        ("advisories", 2**32, MalformedDocument),
        ("advisories", 1.5, MalformedDocument),
        ("withdrawn", 10_000, MalformedDocument),
        ("packages", 1, MalformedDocument),
        ("pages", 0, MalformedDocument),
        ("pages", 10_000, MalformedDocument),
        ("indexPages", 0, MalformedDocument),
        ("contentSize", 3, MalformedDocument),
        ("contentRoot", "sha256:00", MalformedDocument),
        ("contentRoot", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", MalformedDocument),
        ("indexRoot", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", MalformedDocument),
        ("pageRoot", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", MalformedDocument),
        ("sourceDigest", "md5:00", MalformedDocument),
        ("refusedCount", 2, MalformedDocument),
        ("oddCount", 1, MalformedDocument),
        ("oddCount", 20_000, MalformedDocument),
        ("refused", [{"reason": "no-such-reason"}], MalformedDocument),
        ("ecosystems", [], MalformedDocument),
        ("members", [], MalformedDocument),
        ("novelty", 1, MalformedDocument),
    ],
)
def test_contradiction_is_refused(
    document: dict[str, Any], pointer: str, value: object, error: type[StellaError]
) -> None:
    with pytest.raises((error, NotCanonical)):
        records.decode(encoded(document | {pointer: value}))


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members[::-1],
        lambda members: [*members, members[-1]],
        lambda members: [member for member in members if member["path"] != "pages.bin"],
        lambda members: [*members, {"path": "zzz", "size": 1, "digest": members[0]["digest"]}],
        lambda members: [{**members[0], "digest": "sha256:00"}, *members[1:]],
        lambda members: [{**members[0], "size": -1}, *members[1:]],
    ],
)
def test_member_list_that_is_not_the_formats_is_refused(
    document: dict[str, Any], change: Callable[[list[Any]], list[Any]]
) -> None:
    with pytest.raises(MalformedDocument):
        records.decode(encoded(document | {"members": change(document["members"])}))


@pytest.mark.parametrize(
    "change",
    [
        lambda items: items[::-1],
        lambda items: [*items[:-1], items[0]],
        lambda items: [{**items[0], "packages": items[0]["packages"] + 1}, *items[1:]],
        lambda items: [{**items[0], "advisories": 0}, *items[1:]],
        lambda items: [{**items[0], "advisories": 10_000}, *items[1:]],
    ],
)
def test_ecosystem_counts_that_do_not_add_up_are_refused(
    document: dict[str, Any], change: Callable[[list[Any]], list[Any]]
) -> None:
    with pytest.raises(MalformedDocument):
        records.decode(encoded(document | {"ecosystems": change(document["ecosystems"])}))


def test_other_spelling_of_the_same_record_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(NotCanonical):
        records.decode(json.dumps(document).encode())


@pytest.mark.parametrize("text", ["0", "7", "0,1,2", "5,1000000,4294967294"])
def test_ordinals_of_an_entry_are_read(text: str) -> None:
    assert parse_ordinals(text.encode(), 2**32 - 1) == tuple(int(item) for item in text.split(","))


@pytest.mark.parametrize(
    "text", ["", ",", "1,", ",1", "1,,2", "01", "1,1", "2,1", "-1", "+1", "1 ", "1_0", "\u0661", "9", "1,9", "9" * 5000]
)
def test_ordinals_out_of_form_order_or_range_are_refused(text: str) -> None:
    with pytest.raises(MalformedDocument):
        parse_ordinals(text.encode(), 9)
