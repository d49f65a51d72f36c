"""Statements about products between subject and component: every path has to be blocked."""

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import LimitExceeded
from scanner.sbom import Sbom, read_sbom
from scanner.vex import Decision, Resolver, VexIndex, read_vex
from scanner.vex.paths import Paths

TIME = "2024-01-01T00:00:00Z"


def purl(name: str) -> str:
    return f"pkg:pypi/{name.lower()}@1"


def sbom(*edges: str, subject: str | None = "S", others: str = "", **members: Any) -> Sbom:
    """Return an SBOM with edges ``AB``, from A to B; a letter is a component and its ref."""
    names = sorted({*"".join(edges), *others} - {subject})
    components = [{"bom-ref": name, "name": name, "purl": purl(name)} for name in names]
    metadata = {"component": {"bom-ref": subject, "name": subject, "purl": purl(subject)}} if subject else {}
    graph: dict[str, list[str]] = {}
    for source, target in edges:
        graph.setdefault(source, []).append(target)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "metadata": metadata,
        "components": components,
        "dependencies": [{"ref": source, "dependsOn": targets} for source, targets in graph.items()],
    }
    return read_sbom(json.dumps(document | members).encode())


def claim(product: str, part: str | None = "K", status: str = "not_affected", author: str = "A", **more: Any) -> Any:
    parts = {"subcomponents": [{"@id": purl(part)}]} if part else {}
    statement = {"vulnerability": "CVE-1", "products": [{"@id": purl(product)} | parts], "status": status}
    return author, statement | {"timestamp": TIME} | more


def resolver(inventory: Sbom, *claims: Any, trust: Iterable[str] = ()) -> Resolver:
    head = {"@context": "https://openvex.dev/ns/v0.2.0"}
    documents = [
        read_vex(f"{number}.json", json.dumps(head | {"author": author, "statements": [statement]}).encode())
        for number, (author, statement) in enumerate(claims)
    ]
    return Resolver(VexIndex(documents), inventory, tuple(trust))


def decide(inventory: Sbom, *claims: Any, trust: Iterable[str] = (), refs: Iterable[str] = "K") -> Decision | None:
    return resolver(inventory, *claims, trust=trust).decide(["CVE-1"], list(refs))


def blockers(decision: Decision | None) -> list[str]:
    return [one.ref for one in decision.blocks] if decision else []


P = claim("P")
CASES = [
    ("the only path", sbom("SP", "PK"), [P], ["P"]),
    ("a product as a whole", sbom("SP", "PK"), [claim("P", None)], ["P"]),
    ("a product further up", sbom("SP", "PX", "XK"), [P], ["P"]),
    ("the product nearest to the component is named", sbom("SP", "PX", "XK"), [P, claim("X")], ["X"]),
    ("a second path", sbom("SP", "PK", "SK"), [P], []),
    ("a second path through another product", sbom("SP", "PK", "SQ", "QK"), [P], []),
    ("both paths", sbom("SP", "PK", "SQ", "QK"), [P, claim("Q")], ["P", "Q"]),
    ("a diamond above the product", sbom("SA", "SB", "AP", "BP", "PK"), [P], ["P"]),
    ("another part", sbom("SP", "PK"), [claim("P", "X")], []),
    ("a product that is not on the way", sbom("SP", "PX", "SK"), [claim("P", None)], []),
    ("a product below", sbom("SK", "KP"), [P], []),
    ("a circle", sbom("SP", "PK", "KP", "KX", "XK"), [P], ["P"]),
    ("a circle around the product", sbom("SX", "XP", "PX", "PK"), [P], ["P"]),
    ("a circle with a second way in", sbom("SP", "PK", "XK", "KX", "SX"), [P], []),
    ("a circle that nothing leads to", sbom("SY", "PK", "KP"), [P], []),
    ("a product that nothing leads to", sbom("SX", "PK"), [P], ["P"]),
    ("a component that nothing leads to", sbom("SP", "PX", others="K"), [claim("P", None)], []),
    ("another one that nothing leads to", sbom("SP", "PK", "OK"), [P], []),
    ("no subject", sbom("SP", "PK", subject=None), [P], []),
    ("no graph", sbom(others="PK"), [P], []),
    (
        "a part of the graph that was not read",
        sbom("SP", "PK", dependencies=[{"ref": "S", "dependsOn": ["P", "Z"]}, {"ref": "P", "dependsOn": ["K"]}]),
        [P],
        [],
    ),
]


@pytest.mark.parametrize(
    ("inventory", "claims", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_component_is_suppressed_if_every_path_is_blocked(inventory: Sbom, claims: Any, expected: list[str]) -> None:
    for order in permutations(claims):
        decision = decide(inventory, *order)
        assert blockers(decision) == expected
        assert (decision is not None) is bool(expected)


@pytest.mark.parametrize("status", ["affected", "under_investigation", "something"])
def test_only_a_status_that_suppresses_blocks(status: str) -> None:
    assert decide(sbom("SP", "PK"), claim("P", status=status)) is None


def test_of_several_products_the_most_cautious_status_is_quoted() -> None:
    decision = decide(sbom("SP", "PK", "SQ", "QK"), P, claim("Q", status="fixed", justification="x"))
    assert decision is not None
    assert (decision.status, decision.statement.document, decision.justification) == ("fixed", "1.json", "x")
    assert [(one.ref, one.status, one.statement.document) for one in decision.blocks] == [
        ("P", "not_affected", "0.json"),
        ("Q", "fixed", "1.json"),
    ]


def test_each_product_is_weighed_by_itself() -> None:
    later = {"timestamp": "2025-01-01T00:00:00Z"}
    both = sbom("SP", "PK", "SQ", "QK")
    assert blockers(decide(both, P, claim("Q", **later))) == ["P", "Q"]
    assert decide(both, P, claim("Q"), claim("Q", status="affected", **later)) is None
    assert blockers(decide(both, P, claim("Q", status="affected"), claim("Q", **later))) == ["P", "Q"]
    against = claim("P", status="affected", author="B")
    assert decide(sbom("SP", "PK"), P, against) is None
    assert blockers(decide(sbom("SP", "PK"), P, against, trust=["A"])) == ["P"]
    assert decide(sbom("SP", "PK"), P, against, trust=["B", "A"]) is None


@pytest.mark.parametrize("status", ["affected", "fixed"])
@pytest.mark.parametrize("direct", [claim("K", None), claim("S", "K"), claim("S", None)], ids=["it", "part", "whole"])
def test_a_statement_about_component_or_subject_comes_first(direct: Any, status: str) -> None:
    decision = decide(sbom("SP", "PK"), P, (direct[0], direct[1] | {"status": status}))
    assert decision is not None
    assert (decision.status, decision.blocks) == (status, ())


def test_every_instance_of_a_package_has_to_be_blocked() -> None:
    components = [{"bom-ref": name, "name": name, "purl": purl("K" if name in "KL" else name)} for name in "KLPQ"]
    for second, expected in ((["Q"], []), (["P"], ["P"])):
        graph = [{"ref": "S", "dependsOn": ["P", "Q"]}, {"ref": "P", "dependsOn": ["K"]}]
        graph += [{"ref": name, "dependsOn": ["L"]} for name in second if name == "Q"]
        if second == ["P"]:
            graph[1] = {"ref": "P", "dependsOn": ["K", "L"]}
        inventory = sbom(components=components, dependencies=graph)
        assert blockers(decide(inventory, P, refs="KL")) == expected


def linked(ref: str, state: str) -> bytes:
    link = f"urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#{ref}"
    entry = {"id": "CVE-1", "analysis": {"state": state}, "affects": [{"ref": link}]}
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "vulnerabilities": [entry]}).encode()


@pytest.mark.parametrize(
    ("state", "links", "status"),
    [
        ("not_affected", "K", None),
        ("not_affected", "KL", None),
        ("exploitable", "K", "affected"),
        ("not_affected", "S", "not_affected"),
    ],
)
def test_a_link_speaks_for_one_instance(state: str, links: str, status: str | None) -> None:
    components = [{"bom-ref": name, "name": name, "purl": purl("K")} for name in "KL"]
    serial = "urn:uuid:3E671687-395b-41f5-a30f-a58921a69b79"
    inventory = sbom(components=components, serialNumber=serial, version=1, others="")
    documents = [read_vex(name, linked(name, state)) for name in links]
    decision = Resolver(VexIndex(documents), inventory, ()).decide(["CVE-1"], ["K", "L"])
    assert (decision.status if decision else None) == status
    other = sbom(components=components, serialNumber=serial, version=2)
    assert Resolver(VexIndex(documents), other, ()).decide(["CVE-1"], ["K", "L"]) is None
    if links == "K":
        alone = Resolver(VexIndex(documents), inventory, ()).decide(["CVE-1"], ["K"])
        assert alone is not None


letters = "ABCDEFK"
edges_of = st.sets(
    st.tuples(st.sampled_from("S" + letters), st.sampled_from(letters)).filter(lambda e: e[0] != e[1]), min_size=1
)


def paths(graph: Mapping[str, set[str]], start: str, blocked: set[str], seen: tuple[str, ...] = ()) -> bool:
    """Tell, by trying all paths without a repetition, whether one leads to K past what is blocked."""
    if start == "K":
        return True
    return any(
        paths(graph, following, blocked, (*seen, start))
        for following in graph.get(start, ())
        if following not in blocked and following not in seen
    )


@given(edges_of, st.sets(st.sampled_from(letters[:-1]), min_size=1))
def test_the_rule_agrees_with_trying_every_path(edges: set[tuple[str, str]], blocked: set[str]) -> None:
    inventory = sbom(*("".join(edge) for edge in sorted(edges)), others="K")
    decision = decide(inventory, *(claim(name) for name in sorted(blocked)))
    graph: dict[str, set[str]] = {}
    for source, target in edges:
        graph.setdefault(source, set()).add(target)
    names = {one.ref for one in inventory.components}
    graph["S"] = graph.get("S", set()) | (names - {target for _, target in edges} - {"S"})
    reached = {name for name in names if _leads(graph, name)}
    graph["S"] |= names - reached - {"S"}
    assert (decision is None) is paths(graph, "S", blocked)
    assert set(blockers(decision)) <= blocked


def _leads(graph: Mapping[str, set[str]], name: str) -> bool:
    seen, pending = {"S"}, ["S"]
    while pending:
        for following in graph.get(pending.pop(), ()):
            if following not in seen:
                seen.add(following)
                pending.append(following)
    return name in seen


def test_work_in_the_graph_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.vex.paths.MAX_STEPS", 10)
    found = Paths(sbom("SP", "PX", "XK"))
    assert found.above("K") == {"S", "P", "X"}
    with pytest.raises(LimitExceeded):
        found.above("K")


def test_a_long_chain_is_followed() -> None:
    components = [{"bom-ref": str(number), "name": "x", "purl": f"pkg:pypi/x{number}@1"} for number in range(20_000)]
    components.append({"bom-ref": "K", "name": "k", "purl": purl("K")})
    graph = [{"ref": "S", "dependsOn": ["0"]}]
    graph += [{"ref": str(number), "dependsOn": [str(number + 1)]} for number in range(19_999)]
    graph.append({"ref": "19999", "dependsOn": ["K"]})
    inventory = sbom(components=components, dependencies=graph)
    statement = {"vulnerability": "CVE-1", "products": ["pkg:pypi/x5"], "status": "fixed", "timestamp": TIME}
    assert blockers(decide(inventory, ("A", statement))) == ["5"]


def test_a_statement_about_nothing_in_the_sbom_asks_for_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = "SABCDEFGHIJK"
    inventory = sbom(*map("".join, pairwise(chain)))
    monkeypatch.setattr("scanner.vex.paths.MAX_STEPS", len(chain))
    elsewhere = resolver(inventory, claim("Z", None))
    assert [elsewhere.decide(["CVE-1"], [ref]) for ref in chain] == [None] * len(chain)
    with pytest.raises(LimitExceeded):
        resolver(inventory, claim("A", None)).decide(["CVE-1"], ["K"])
