"""RFC 3339 times, against the standard library where that can say them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.instant import parse_instant

SAME = [
    "2023-01-09T00:02:03.647787998Z",
    "2023-01-08T18:02:03.647787998-06:00",
    "2023-01-09t00:02:03.647787998z",
    "2023-01-09T04:02:03.6477879989999+04:00",
]
REFUSED = [
    "",
    "2023-01-09",
    "2023-01-09T00:02:03",
    "2023-01-09 00:02:03Z",
    "2023-01-09T00:02Z",
    "2023-01-09T00:02:03.Z",
    "2023-01-09T00:02:03,5Z",
    "2023-01-09T00:02:03+0400",
    "2023-01-09T00:02:03+24:00",
    "2023-01-09T00:02:03+04:60",
    "2023-01-09T00:02:03+4:00",
    "2023-01-09T00:02:03ZZ",
    "2023-01-09T24:00:00Z",
    "2023-01-09T00:60:00Z",
    "2023-01-09T00:00:61Z",
    "2023-02-29T00:00:00Z",
    "2023-13-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "2023-W01-1T00:00:00Z",
    "20230109T000203Z",
    "2023-01-09T00:02:03.٣Z",
    "٢023-01-09T00:02:03Z",
    "2023-01-09T00:02:03\u2212\u0660\u0660:00",
]


def test_one_moment_has_one_value_whatever_its_spelling() -> None:
    assert {parse_instant(text) for text in SAME} == {(1_673_222_523, 647_787_998)}


@pytest.mark.parametrize("text", REFUSED)
def test_a_text_of_another_form_is_no_time(text: str) -> None:
    assert parse_instant(text) is None


def test_the_ends_of_the_calendar_have_an_order_with_any_offset() -> None:
    first, last = parse_instant("0001-01-01T00:00:00+23:59"), parse_instant("9999-12-31T23:59:60-23:59")
    assert first is not None
    assert last is not None
    assert first < (0, 0) < last


def test_a_leap_second_follows_the_last_second_of_its_minute() -> None:
    second, leap = parse_instant("2016-12-31T23:59:59Z"), parse_instant("2016-12-31T23:59:60Z")
    assert second is not None
    assert leap == (second[0] + 1, 0)


offsets = st.integers(-1_439, 1_439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=offsets).filter(lambda moment: 1 < moment.year < 9999)


@given(moments)
def test_times_agree_with_the_standard_library(moment: datetime) -> None:
    found = parse_instant(moment.isoformat())
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    assert found == (since.days * 86_400 + since.seconds, since.microseconds * 1_000)


@given(st.text(st.sampled_from("0123456789-+:.TZtz "), max_size=30) | st.text())
def test_any_text_is_a_time_or_none(text: str) -> None:
    parse_instant(text)
