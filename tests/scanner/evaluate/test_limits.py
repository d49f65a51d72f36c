"""What an evaluation may cost is bounded by counts: more is refused by name of the count, the bound itself is not."""

from collections.abc import Callable

import pytest

from kit.errors import LimitExceeded
from scanner import candidates, identity, outputs, schemes
from scanner.evaluate import EvaluationInput, evaluate

OPEN = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
BEYOND = [{"type": "ECOSYSTEM", "events": [{"introduced": "9"}]}]


def record(number: int, ranges: list[dict], **more: object) -> dict:
    entry = {"package": {"ecosystem": "PyPI", "name": "x"}, "ranges": ranges}
    return {"id": f"T-{number}", "modified": "2026-01-01T00:00:00Z", "affected": [entry]} | more


@pytest.fixture
def judged(make_sbom, make_input, memory_feed) -> Callable[[int, list[dict]], EvaluationInput]:
    def given(packages: int, records: list[dict]) -> EvaluationInput:
        sbom = make_sbom(*(f"pkg:pypi/x@1.{number}" for number in range(packages)))
        return make_input(sbom, memory_feed("feed", records))

    return given


CASES = {
    "packages against ranges": (candidates, "MAX_COMPARISONS", 24, 4, [record(n, BEYOND) for n in range(3)]),
    "packages against entries without ranges": (
        candidates,
        "MAX_COMPARISONS",
        8,
        4,
        [record(0, []) | {"affected": [{"package": {"ecosystem": "PyPI", "name": "x"}}] * 2}],
    ),
    "one package against many ranges": (candidates, "MAX_COMPARISONS", 51, 1, [record(0, BEYOND * 50)]),
    "hits": (candidates, "MAX_HITS", 6, 2, [record(n, OPEN) for n in range(3)]),
    "withdrawn hits": (candidates, "MAX_HITS", 2, 2, [record(0, OPEN, withdrawn="2026-01-01T00:00:00Z")]),
    "doubts": (candidates, "MAX_HITS", 2, 2, [record(0, [{"type": "ECOSYSTEM", "events": [{"fixed": "a b"}]}])]),
    "unreadable records": (candidates, "MAX_HITS", 1, 2, [record(0, OPEN, aliases=7)]),
    "aliases": (candidates, "MAX_NAMES", 8, 2, [record(0, OPEN, aliases=["CVE-2026-1", "CVE-2026-2", "T-9"])]),
    "characters of parsed versions": (
        schemes,
        "MAX_CHARACTERS",
        15,
        2,
        [record(0, [{"type": "ECOSYSTEM", "events": [{"introduced": "7.000.000"}]}])],
    ),
    "parsed versions": (
        schemes,
        "MAX_PARSED",
        3,
        2,
        [record(0, [{"type": "ECOSYSTEM", "events": [{"introduced": "7"}]}])],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_more_than_the_bound_is_refused_and_the_bound_is_not(name, judged, monkeypatch):
    module, constant, needed, packages, records = CASES[name]
    given = judged(packages, records)
    monkeypatch.setattr(module, constant, needed)
    assert outputs.FINDINGS in evaluate(given)
    monkeypatch.setattr(module, constant, needed - 1)
    with pytest.raises(LimitExceeded) as caught:
        evaluate(given)
    assert caught.value.details["expected"] == needed - 1


def test_an_output_that_no_reader_would_take_is_not_written(judged, monkeypatch):
    given = judged(1, [record(0, OPEN)])
    largest = max(len(data) for data in evaluate(given).values())
    monkeypatch.setattr(outputs, "MAX_MEMBER", largest)
    assert evaluate(given)
    monkeypatch.setattr(outputs, "MAX_MEMBER", largest - 1)
    with pytest.raises(LimitExceeded):
        evaluate(given)


def test_a_version_cache_that_overflows_changes_no_output(judged, monkeypatch):
    records = [record(n, [{"type": "ECOSYSTEM", "events": [{"introduced": f"1.{n}"}]}]) for n in range(20)]
    given = judged(20, records)
    expected = evaluate(given)
    monkeypatch.setattr(schemes, "_KEPT", 3)
    assert evaluate(given) == expected
    monkeypatch.setattr(schemes, "_KEPT_CHARACTERS", 8)
    assert evaluate(given) == expected


def test_a_repository_of_many_prefixes_and_endings_is_put_in_order_in_one_go():
    repeats = 200_000
    assert identity.normalise("SwiftURL", "git://" * repeats + "A" + ".git/" * repeats) == "a"
    assert identity.normalise("SwiftURL", "git://" * repeats) == ""
