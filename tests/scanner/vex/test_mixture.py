"""Three formats in one run: the same claim is the same decision, whatever the format, the order and the spelling."""

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import LimitExceeded
from scanner.sbom import Sbom, read_sbom
from scanner.vex import Allowance, Decision, Resolver, VexDocument, VexIndex, read_vex
from scanner.vex.model import CAUTION

APP, PART = "pkg:pypi/app@1", "pkg:pypi/a@1"
TIMES = {
    1: ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00", "2023-12-31T23:59:60Z", "2024-01-01t00:00:00.000z"],
    2: ["2024-01-01T00:00:00.000000001Z", "2023-12-31T18:00:00.0000000019-06:00"],
    3: ["2024-01-02T00:00:00Z", "2024-01-01T12:00:00-12:00"],
}
STATES = {
    "affected": ("known_affected", "exploitable"),
    "under_investigation": ("under_investigation", "in_triage"),
    "unknown": ("something", "something"),
    "fixed": ("fixed", "resolved"),
    "not_affected": ("known_not_affected", "not_affected"),
}
INVENTORY: Sbom = read_sbom(
    json.dumps(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "metadata": {"component": {"bom-ref": "S", "name": "app", "purl": APP}},
            "components": [{"bom-ref": "K", "name": "a", "purl": PART}],
        }
    ).encode()
)


def openvex(author: str, status: str, time: str) -> Any:
    product = {"@id": APP, "subcomponents": [{"@id": PART}]}
    statement = {"vulnerability": {"name": "CVE-1"}, "products": [product], "status": status, "timestamp": time}
    return {"@context": "https://openvex.dev/ns/v0.2.0", "author": author, "statements": [statement]}


def csaf(author: str, status: str, time: str) -> Any:
    products = [
        {"name": name, "product_id": name, "product_identification_helper": {"purl": purl}}
        for name, purl in (("W", APP), ("P", PART))
    ]
    relation = {
        "category": "default_component_of",
        "full_product_name": {"name": "R", "product_id": "R"},
        "product_reference": "P",
        "relates_to_product_reference": "W",
    }
    head = {"csaf_version": "2.0", "publisher": {"name": author}, "tracking": {"current_release_date": time}}
    return {
        "document": head,
        "product_tree": {"full_product_names": products, "relationships": [relation]},
        "vulnerabilities": [{"cve": "CVE-1", "product_status": {STATES[status][0]: ["R"]}}],
    }


def cyclonedx(author: str, status: str, time: str) -> Any:
    component = {"bom-ref": "x", "name": "app", "purl": APP}
    entry = {"id": "CVE-1", "analysis": {"state": STATES[status][1]}, "affects": [{"ref": "y"}]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "metadata": {"timestamp": time, "component": component, "supplier": {"name": author}},
        "components": [{"bom-ref": "y", "name": "a", "purl": PART}],
        "vulnerabilities": [entry],
    }


FORMATS = [openvex, csaf, cyclonedx]
claims = st.lists(
    st.tuples(
        st.sampled_from("ABC"),
        st.sampled_from(sorted(CAUTION)),
        st.sampled_from(sorted(TIMES)),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=6,
)


def written(form: Any, number: int, claim: tuple[str, str, int, int]) -> VexDocument:
    author, status, day, spelling = claim
    time = TIMES[day][spelling % len(TIMES[day])]
    return read_vex(f"{number}.json", json.dumps(form(author, status, time)).encode())


def decide(documents: Any, trust: tuple[str, ...]) -> Decision:
    decision = Resolver(VexIndex(documents), INVENTORY, trust).decide(["CVE-1"], ["K"])
    assert decision is not None
    return decision


def outcome(decision: Decision) -> Any:
    return decision.status, decision.author, sorted((one.author, one.status) for one in decision.conflict)


@given(claims, st.permutations("ABC").map(lambda order: tuple(order[:2])), st.data())
def test_format_order_and_spelling_of_times_do_not_count(
    claims: Any, trust: tuple[str, ...], data: st.DataObject
) -> None:
    plain = [written(openvex, number, (*claim[:3], 0)) for number, claim in enumerate(claims)]
    forms = data.draw(st.lists(st.sampled_from(FORMATS), min_size=len(claims), max_size=len(claims)))
    mixed = [written(form, number, claim) for number, (form, claim) in enumerate(zip(forms, claims, strict=True))]
    expected = decide(plain, trust)
    assert outcome(decide(data.draw(st.permutations(mixed)), trust)) == outcome(expected)
    rank = {author: place for place, author in enumerate(trust)}
    latest = {author: max(day for who, _, day, _ in claims if who == author) for author, *_ in claims}
    current = [(rank.get(author, 9), status) for author, status, day, _ in claims if day == latest[author]]
    words = {status for place, status in current if place == min(current)[0]}
    assert expected.status == min(words, key=lambda status: CAUTION[status])
    assert bool(expected.conflict) == (len(words) > 1)


@pytest.mark.parametrize("status", sorted(CAUTION))
def test_all_three_say_the_same(status: str) -> None:
    documents = [written(form, number, ("A", status, 1, 0)) for number, form in enumerate(FORMATS)]
    assert {one.format for one in documents} == {"OpenVEX", "CSAF", "CycloneDX"}
    for order in permutations(documents):
        decision = decide(order, ())
        assert (decision.status, decision.statement.document, decision.conflict) == (status, "0.json", ())
    assert [outcome(decide([one], ())) for one in documents] == [(status, "A", [])] * 3


@given(claims)
def test_a_word_that_a_format_does_not_have_never_suppresses(claims: Any) -> None:
    unknown = [(author, "unknown", day, spelling) for author, _, day, spelling in claims]
    for form in FORMATS:
        decision = decide([written(form, number, claim) for number, claim in enumerate(unknown)], ("A",))
        assert decision.status == "unknown"


def without_time(author: str, state: str) -> VexDocument:
    document = cyclonedx(author, state, TIMES[1][0])
    document["metadata"].pop("timestamp")
    return read_vex(f"{author}-{state}", json.dumps(document).encode())


def test_a_claim_without_a_time_is_neither_overruled_nor_overrules() -> None:
    dated = {status: written(openvex, 1, ("A", status, 3, 0)) for status in ("affected", "not_affected")}
    for own, other, expected in [
        ("affected", "not_affected", "affected"),
        ("not_affected", "affected", "affected"),
    ]:
        decision = decide([without_time("A", own), dated[other]], ("A",))
        assert (decision.status, len(decision.conflict)) == (expected, 2)


def test_nameless_authors_are_not_one_author() -> None:
    documents = [written(cyclonedx, 1, ("", "affected", 1, 0)), written(cyclonedx, 2, ("", "not_affected", 3, 0))]
    decision = decide(documents, ("", "B"))
    assert (decision.status, len(decision.conflict)) == ("affected", 2)
    trusted = written(openvex, 3, ("B", "fixed", 1, 0))
    assert decide([*documents, trusted], ("", "B")).status == "fixed"


@pytest.mark.parametrize(
    "allowance",
    [{"documents": 2}, {"bytes": 1_000}, {"statements": 2}, {"names": 12}, {"purls": 3}, {"purls_each": 1}],
    ids=lambda one: next(iter(one)),
)
def test_all_documents_share_the_limits(allowance: dict[str, int]) -> None:
    shared = Allowance(**allowance)
    data = [json.dumps(form("A", "fixed", TIMES[1][0])).encode() for form in FORMATS]

    def read_all() -> None:
        for number, one in enumerate(data * 2):
            read_vex(str(number), one, shared)

    with pytest.raises(LimitExceeded) as refused:
        read_all()
    assert str(refused.value.details["path"]).isdigit()


@pytest.mark.parametrize("limit", ["index.MAX_WEIGHED", "resolve.MAX_SIDES"])
def test_what_findings_ask_of_statements_is_counted(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"scanner.vex.{limit}", 10)
    documents = [written(form, number, ("ABC"[number], "fixed", 1, 0)) for number, form in enumerate(FORMATS)]
    documents.append(written(openvex, 4, ("A", "affected", 1, 0)))
    resolver = Resolver(VexIndex(documents), INVENTORY, ())

    def decide_often() -> None:
        for _ in range(10):
            resolver.decide(["CVE-1"], ["K"])

    with pytest.raises(LimitExceeded):
        decide_often()


def test_what_statements_name_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.vex.index.MAX_FILED", 2)
    document = written(openvex, 0, ("A", "fixed", 1, 0))
    assert VexIndex([document]).speaks_of(["CVE-1"])
    with pytest.raises(LimitExceeded):
        VexIndex([document, document])
    assert VexIndex([document, document], wanted=["CVE-2"]).speaks_of(["CVE-1"]) == []


def test_a_finding_meets_only_the_statements_about_its_id_and_product() -> None:
    components = [{"bom-ref": str(number), "name": "x", "purl": f"pkg:pypi/x{number}@1"} for number in range(100)]
    graph = [{"ref": "S", "dependsOn": [one["bom-ref"] for one in components]}]
    document = {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components, "dependencies": graph}
    document["metadata"] = {"component": {"bom-ref": "S", "name": "s", "purl": APP}}
    inventory = read_sbom(json.dumps(document).encode())
    statements = [
        {"vulnerability": f"CVE-{number % 50}", "products": [product], "status": "fixed", "timestamp": TIMES[1][0]}
        for number in range(5_000)
        for product in [{"@id": APP, "subcomponents": [f"pkg:pypi/x{number % 100}"]}, f"pkg:pypi/y{number}"]
    ]
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "author": "A", "statements": statements}
    allowance = Allowance()
    index = VexIndex(wanted=["CVE-7", "CVE-8"])
    index.add(read_vex("a", json.dumps(head).encode(), allowance, wanted=index.wanted))
    resolver = Resolver(index, inventory, ())
    before = index.weighings
    for number in range(100):
        decision = resolver.decide(["CVE-7"], [str(number)])
        assert (decision is not None) is (number % 50 == 7)
    assert before - index.weighings == 100  # fifty statements about each of the two parts that have the id
