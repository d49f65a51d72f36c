"""Which statement decides: product and part, one author over time, several authors, conflicts."""

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import LimitExceeded
from scanner.identity import from_purl, parse_purl
from scanner.sbom import Component, Sbom
from scanner.vex import Decision, Resolver, VexDocument, VexIndex, read_vex
from scanner.vex.fits import covers

DAY = "2024-01-0{}T00:00:00Z"
CAUTION = ["affected", "under_investigation", "unknown", "fixed", "not_affected"]


def component(purl: str | None, ref: str = "ref") -> Component:
    return Component(ref, "name", None, purl, "library", from_purl(purl))


def sbom(*components: Component, subject: Component | None = None) -> Sbom:
    every = (*components, *([subject] if subject else []))
    return Sbom("CycloneDX", "1.6", None, "", subject, None, every, (), ())


def claim(
    status: str, *, day: int = 1, cve: Any = "CVE-1", product: Any = "pkg:pypi/a@1", **more: Any
) -> dict[str, Any]:
    return {"vulnerability": cve, "products": [product], "status": status, "timestamp": DAY.format(day)} | more


def vex(name: str, author: str, *claims: dict[str, Any]) -> VexDocument:
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "author": author}
    return read_vex(name, json.dumps(head | {"statements": claims}).encode())


def decide(*documents: VexDocument, ids: tuple[str, ...] = ("CVE-1",), trust: tuple[str, ...] = ()) -> Decision | None:
    return Resolver(VexIndex(documents), sbom(component("pkg:pypi/a@1")), trust).decide(ids, ["ref"])


def status(decision: Decision | None) -> str | None:
    return decision.status if decision else None


COVERS = [
    ("pkg:pypi/a", "pkg:pypi/a@1", True),
    ("pkg:pypi/a@1", "pkg:pypi/a@1", True),
    ("pkg:pypi/a@1", "pkg:pypi/a@1.0", True),
    ("pkg:pypi/a@1", "pkg:pypi/a@1.0.1", False),
    ("pkg:pypi/a@1", "pkg:pypi/a", False),
    ("pkg:pypi/a-b", "pkg:pypi/A_b@1", True),
    ("pkg:pypi/a", "pkg:npm/a@1", False),
    ("pkg:pypi/a", "pkg:pypi/ab@1", False),
    ("pkg:golang/github.com/aws/aws-sdk-go@1.55.6", "pkg:golang/github.com/aws/aws-sdk-go@v1.55.6", True),
    ("pkg:golang/github.com/aws/aws-sdk-go@1.55.6", "pkg:golang/github.com/aws/aws-sdk-go@v1.55.7", False),
    ("pkg:golang/github.com/aws/aws-sdk-go", "pkg:golang/github.com/aws/aws-sdk-go/v2@v2.0.0", False),
    ("pkg:golang/github.com/aws", "pkg:golang/github.com/aws/aws-sdk-go@v1.55.7", False),
    ("pkg:golang/x@(devel)", "pkg:golang/x@(devel)", True),
    ("pkg:golang/x@(devel)", "pkg:golang/x@v0.0.0", False),
    ("pkg:golang/go@1.19", "pkg:golang/stdlib@v1.19.0", True),
    ("pkg:npm/a@1.0", "pkg:npm/a@1.0.0", False),
    ("pkg:generic/a@1.0.0+x", "pkg:generic/a@1.0.0", False),
    ("pkg:npm/%40s/a@1.0.0", "pkg:npm/@s/a@1.0.0", True),
    ("pkg:npm/%40s/a", "pkg:npm/a@1.0.0", False),
    ("pkg:oci/fleet", "pkg:oci/fleet@sha256:12?repository_url=r.example.org/fleet", True),
    (
        "pkg:oci/fleet?repository_url=r.example.org%2Ffleet",
        "pkg:oci/fleet@sha256:12?repository_url=r.example.org/fleet",
        True,
    ),
    ("pkg:oci/fleet?repository_url=other", "pkg:oci/fleet@sha256:12?repository_url=r.example.org/fleet", False),
    ("pkg:apk/wolfi/git@2.39.0-r1?arch=armv7", "pkg:apk/wolfi/git@2.39.0-r1?arch=x86_64", False),
    ("pkg:apk/wolfi/git@2.39.0-r1?arch=armv7", "pkg:apk/wolfi/git@2.39.0-r1", False),
    ("pkg:apk/wolfi/git", "pkg:apk/alpine/git@2.39.0-r1", False),
]


@pytest.mark.parametrize(("wanted", "found", "expected"), COVERS)
def test_a_package_url_covers_what_it_names_and_leaves_open_the_rest(wanted: str, found: str, expected: bool) -> None:
    assert covers(parse_purl(wanted), parse_purl(found)) is expected


PART = {"@id": "pkg:golang/example.org/app", "subcomponents": [{"@id": "pkg:pypi/a"}, {"@id": "pkg:pypi/b"}]}
APP = "pkg:golang/example.org/app@v1.0.0"
PRODUCTS = [
    ("the component itself", "pkg:pypi/a", "pkg:pypi/a@1", None, True),
    ("the component, whatever the subject", "pkg:pypi/a", "pkg:pypi/a@1", APP, True),
    ("the component by equal text", "pkg:pypi/%zz", "pkg:pypi/%zz", None, True),
    ("another package", "pkg:pypi/b", "pkg:pypi/a@1", APP, False),
    ("the subject as a whole", "pkg:golang/example.org/app", "pkg:pypi/a@1", APP, True),
    ("another version of the subject", "pkg:golang/example.org/app@v2.0.0", "pkg:pypi/a@1", APP, False),
    ("a part of the subject", PART, "pkg:pypi/a@1", APP, True),
    ("another part of the subject", PART, "pkg:pypi/b@1", APP, True),
    ("no part of the subject", PART, "pkg:pypi/c@1", APP, False),
    ("a part of another subject", PART, "pkg:pypi/a@1", "pkg:golang/example.org/other@v1", False),
    ("a part of an unknown subject", PART, "pkg:pypi/a@1", None, False),
    ("a product with parts is not about the product itself", PART, APP, APP, False),
    ("a component without a package URL", "pkg:pypi/a", None, APP, False),
    ("a whole subject holds for components without a package URL too", "pkg:golang/example.org/app", None, APP, True),
    ("a text that is no package URL", "https://example.org/app", "pkg:pypi/a@1", APP, False),
]


@pytest.mark.parametrize(
    ("product", "purl", "subject", "expected"), [case[1:] for case in PRODUCTS], ids=[case[0] for case in PRODUCTS]
)
def test_a_statement_is_about(product: Any, purl: str | None, subject: str | None, expected: bool) -> None:
    index = VexIndex([vex("a", "A", claim("fixed", product=product))])
    whole = component(subject, "subject") if subject else None
    given_sbom = sbom(component(purl), subject=whole)
    assert (Resolver(index, given_sbom, []).decide(["CVE-1"], ["ref"]) is not None) is expected


def test_where_no_statement_applies_there_is_no_decision() -> None:
    assert decide() is None
    assert decide(vex("a", "A", claim("fixed", cve="CVE-2"))) is None
    assert decide(vex("a", "A", claim("fixed")), ids=()) is None


def test_a_statement_is_found_by_name_alias_and_any_letter_case() -> None:
    document = vex("a", "A", claim("fixed", cve={"name": "GO-1", "aliases": ["GHSA-aaaa", "cve-1"]}))
    for ids in (("GO-1",), ("ghsa-AAAA",), ("CVE-1",), ("CVE-9", "CVE-1", "GO-1")):
        assert status(decide(document, ids=ids)) == "fixed"


def test_the_decision_names_its_statement() -> None:
    document = vex("a.json", "A", claim("fixed", cve="X"), claim("not_affected", justification="component_not_present"))
    decision = decide(document)
    assert decision is not None
    assert (decision.statement.document, decision.statement.digest, decision.statement.index) == (
        "a.json",
        document.digest,
        1,
    )
    assert (decision.author, decision.justification, decision.timestamp, decision.conflict) == (
        "A",
        "component_not_present",
        DAY.format(1),
        (),
    )


def test_of_one_author_the_latest_statement_holds_across_documents_and_aliases() -> None:
    documents = [
        vex("a", "A", claim("not_affected", day=1), claim("affected", day=3, cve="GO-1")),
        vex("b", "A", claim("fixed", day=2)),
    ]
    for order in permutations(documents):
        assert status(decide(*order, ids=("CVE-1", "GO-1"))) == "affected"
        assert status(decide(*order)) == "fixed"


def test_time_is_compared_by_the_nanosecond_and_across_offsets() -> None:
    early = claim("affected") | {"timestamp": "2024-01-01T00:00:00.123456788Z"}
    late = claim("fixed") | {"timestamp": "2023-12-31T18:00:00.123456789-06:00"}
    assert status(decide(vex("a", "A", late, early))) == "fixed"


def test_a_trusted_author_overrules_a_later_one() -> None:
    documents = [vex("a", "A", claim("not_affected", day=1)), vex("b", "B", claim("affected", day=5))]
    for trust, expected in [
        (("A",), "not_affected"),
        (("B",), "affected"),
        (("B", "A"), "affected"),
        (("A", "B"), "not_affected"),
    ]:
        decision = decide(*documents, trust=trust)
        assert status(decision) == expected
        assert decision is not None
        assert decision.conflict == ()


def test_an_author_named_twice_has_the_first_place() -> None:
    documents = [vex("a", "A", claim("not_affected")), vex("b", "B", claim("affected"))]
    assert status(decide(*documents, trust=("A", "B", "A"))) == "not_affected"


def test_authors_of_no_rank_are_settled_by_caution_and_noted() -> None:
    documents = [vex("a", "A", claim("not_affected", day=5)), vex("b", "B", claim("affected", day=1))]
    for order in permutations(documents):
        decision = decide(*order, trust=("Z",))
        assert decision is not None
        assert decision.status == "affected"
        assert [(one.author, one.status, one.timestamp) for one in decision.conflict] == [
            ("A", "not_affected", DAY.format(5)),
            ("B", "affected", DAY.format(1)),
        ]


def test_one_author_at_one_time_is_settled_by_caution_even_where_trusted() -> None:
    decision = decide(vex("a", "A", claim("not_affected"), claim("under_investigation")), trust=("A",))
    assert decision is not None
    assert (decision.status, len(decision.conflict)) == ("under_investigation", 2)


@pytest.mark.parametrize("place", range(len(CAUTION) - 1))
def test_the_most_cautious_status_wins(place: int) -> None:
    for order in permutations(CAUTION[place : place + 2]):
        assert status(decide(vex("a", "A", *(claim(word) for word in order)))) == CAUTION[place]


def test_equal_claims_with_other_reasons_are_no_conflict_and_the_first_one_is_quoted() -> None:
    claims = [
        claim("not_affected", justification=word)
        for word in ("component_not_present", "inline_mitigations_already_exist")
    ]
    decision = decide(vex("b", "A", claims[1]), vex("a", "A", claims[0]))
    assert decision is not None
    assert (decision.statement.document, decision.justification, decision.conflict) == (
        "a",
        "component_not_present",
        (),
    )


def test_an_unknown_word_of_the_latest_statement_does_not_suppress() -> None:
    assert status(decide(vex("a", "A", claim("not_affected", day=1), claim("resolved", day=2)))) == "unknown"


def test_statements_about_ids_that_no_finding_has_are_dropped() -> None:
    documents = [vex("a", "A", claim("fixed"), claim("fixed", cve="CVE-2"))]
    index = VexIndex(documents, wanted=["cve-2"])
    assert index.speaks_of(["CVE-1", "cve-2"]) == ["CVE-2"]
    assert VexIndex(documents).speaks_of(["CVE-1", "cve-2"]) == ["CVE-1", "CVE-2"]


def test_a_conflict_names_each_status_of_an_author_once() -> None:
    decision = decide(vex("a", "A", *[claim("fixed")] * 3, *[claim("affected")] * 2))
    assert decision is not None
    assert [(one.statement.index, one.status) for one in decision.conflict] == [(0, "fixed"), (3, "affected")]


claims_of = st.lists(
    st.tuples(st.sampled_from("ABC"), st.integers(1, 3), st.sampled_from(CAUTION), st.sampled_from(["CVE-1", "CVE-2"])),
    min_size=1,
    max_size=6,
)


@given(claims_of, st.permutations("ABC").map(lambda order: tuple(order[:2])), st.randoms(use_true_random=False))
def test_the_order_of_documents_never_matters(claims: Any, trust: tuple[str, ...], random: Any) -> None:
    documents = [
        vex(f"{number}.json", author, claim(word, day=day, cve=cve))
        for number, (author, day, word, cve) in enumerate(claims)
    ]
    moved = random.sample(documents, len(documents))
    ids = ("CVE-1", "CVE-2")
    decision = decide(*documents, ids=ids, trust=trust)
    assert decision == decide(*moved, ids=ids[::-1], trust=trust)
    assert decision is not None
    rank = {author: place for place, author in enumerate(trust)}
    latest = {author: max(day for who, day, *_ in claims if who == author) for author, *_ in claims}
    current = [(rank.get(author, len(trust)), word) for author, day, word, _ in claims if day == latest[author]]
    trusted = {word for place, word in current if place == min(current)[0]}
    assert decision.status == min(trusted, key=CAUTION.index)
    assert bool(decision.conflict) == (len(trusted) > 1)


def versioned(*versions: str) -> list[Component]:
    purl = "pkg:deb/debian/foo?distro=debian-12&upstream=bar@1"
    return [Component(f"r{at}", "foo", one, purl, "library", from_purl(purl)) for at, one in enumerate(versions)]


@pytest.mark.parametrize(
    ("versions", "named", "expected"),
    [
        (["1", "2"], "@1", None),
        (["2", "1"], "@1", None),
        (["1", "1"], "@1", "not_affected"),
        (["1", "2"], "", "not_affected"),
    ],
)
def test_a_version_of_one_instance_does_not_speak_for_the_other(
    versions: list[str], named: str, expected: str | None
) -> None:
    index = VexIndex([vex("a", "A", claim("not_affected", product=f"pkg:deb/debian/foo{named}"))])
    found = Resolver(index, sbom(*versioned(*versions)), []).decide(
        ["CVE-1"], [f"r{at}" for at in range(len(versions))]
    )
    assert status(found) == expected


def test_what_affects_one_instance_affects_the_package() -> None:
    index = VexIndex([vex("a", "A", claim("affected", product="pkg:deb/debian/foo@2"))])
    assert status(Resolver(index, sbom(*versioned("1", "2")), []).decide(["CVE-1"], ["r0", "r1"])) == "affected"


NOW = (1_704_240_000, 0)  # 2024-01-03T00:00:00Z


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (("affected", 1), ("not_affected", 9), "affected"),
        (("affected", 1), ("not_affected", 3), "not_affected"),
        (("not_affected", 1), ("affected", 9), "affected"),
        (("not_affected", 9), ("not_affected", 1), "not_affected"),
    ],
)
def test_a_time_after_the_scan_overrules_no_other(
    first: tuple[str, int], second: tuple[str, int], expected: str
) -> None:
    claims = [claim(what, day=day) for what, day in (first, second)]
    index = VexIndex([vex("a", "A", *claims)])
    assert status(Resolver(index, sbom(component("pkg:pypi/a@1")), [], NOW).decide(["CVE-1"], ["ref"])) == expected


def cyclonedx(versions: list[dict[str, str]]) -> VexDocument:
    affects = [{"ref": "pkg:pypi/a", "versions": versions}]
    vulnerabilities = [{"id": "CVE-1", "analysis": {"state": "not_affected"}, "affects": affects}]
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6"}
    return read_vex("v", json.dumps(head | {"vulnerabilities": vulnerabilities}).encode())


def many(count: int) -> Sbom:
    return sbom(*(component(f"pkg:pypi/a@{at + 1}", f"r{at}") for at in range(count)))


def test_versions_of_a_statement_are_read_once_for_all_components(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = [{"version": f"{at}.7"} for at in range(99)] + [{"version": "5.0"}]
    monkeypatch.setattr("scanner.vex.index.MAX_PARSED", len(versions))
    monkeypatch.setattr("scanner.vex.index.MAX_WEIGHED", 50)
    resolver = Resolver(VexIndex([cyclonedx(versions)]), many(50), [])
    found = [status(resolver.decide(["CVE-1"], [f"r{at}"])) for at in range(50)]
    assert [at + 1 for at, one in enumerate(found) if one] == [5]


@pytest.mark.parametrize(
    ("count", "versions"),
    [
        ("MAX_PARSED", [{"version": "1.7"}] * 3 + [{"version": "1.8"}]),
        ("MAX_WEIGHED", [{"range": "vers:pypi/<0.1"}, {"range": "vers:pypi/<0.2"}]),
    ],
)
def test_versions_and_ranges_held_against_components_are_counted(
    monkeypatch: pytest.MonkeyPatch, count: str, versions: list[dict[str, str]]
) -> None:
    monkeypatch.setattr(f"scanner.vex.index.{count}", 3)
    assert status(Resolver(VexIndex([cyclonedx(versions)]), many(1), []).decide(["CVE-1"], ["r0"])) is None
    monkeypatch.setattr(f"scanner.vex.index.{count}", 1)
    with pytest.raises(LimitExceeded):
        Resolver(VexIndex([cyclonedx(versions)]), many(1), []).decide(["CVE-1"], ["r0"])
