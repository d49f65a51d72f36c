"""Every cause is put to the test: two worlds differ in several places, each named change is undone, and so undone the
difference is gone; with any one of several changes left in place it is not."""

import json
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bytes import canonical, digest
from kit.reachability import GraphInput, TraceInput
from scanner import outputs
from scanner.difference import Entry
from scanner.evaluate import EvaluationInput, evaluate
from scanner.explain import explain
from scanner.explain.pairing import finding_pairs, package_key, record_keys
from scanner.outputs import Finding, FindingsDocument, VexOutput
from scanner.reachability import Source

LANTERN, WINCH, GOPHER, WHOLE = (
    "pkg:pypi/lantern@1.0",
    "pkg:pypi/winch@2.0",
    "pkg:golang/a.org/b@v1.0.0",
    "pkg:pypi/app@1",
)
VECTORS = {
    "high": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N",
    "low": "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N",
}
RULES = {
    "grave": {"action": "fail", "match": {"severityAtLeast": "high"}},
    "one": {"action": "ignore", "match": {"ids": ["CVE-1", "PYSEC-2"]}},
    "winch": {"action": "fail", "match": {"packages": ["pkg:pypi/winch"]}},
    "vex": {"action": "warn", "match": {"vexStatus": ["affected", "fixed"]}},
    "fix": {"action": "fail", "match": {"fixAvailable": True}},
    "lower": {"action": "downgrade", "to": "low", "match": {"severityAtLeast": "medium"}},
    "stated": {"action": "requireVex", "match": {"ids": ["PYSEC-1", "PYSEC-3", "CVE-3"]}},
    "called": {"action": "fail", "match": {"reachability": ["reachable"]}},
    "idle": {"action": "ignore", "match": {"reachability": ["unreachable"], "severityAtMost": "low"}},
    "young": {"action": "fail", "match": {"ageBelowDays": 100}},
}
EDGES = [(WHOLE, LANTERN, 0), (WHOLE, LANTERN, 1), (WHOLE, WINCH, 0), (WINCH, LANTERN, 0), (WINCH, LANTERN, 1)]
EDGES += [(WINCH, GOPHER, 0), (WHOLE, GOPHER, 0)]
TIMES = ("2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z")
LISTS = ("decisions", "conflicts", "partial")

Record = dict[str, object] | None
names = st.sampled_from(["CVE-1", "CVE-2", "PYSEC-2", "GHSA-1", "CVE-3"])


def record(identifier: str, package: str, ecosystem: str = "PyPI") -> st.SearchStrategy[Record]:
    def made(aliases: list[str], end: str | None, level: str | None, withdrawn: bool, text: str) -> Record:
        events = [{"introduced": "0"}] + ([{"fixed": end}] if end else [])
        affected = {
            "package": {"ecosystem": ecosystem, "name": package},
            "ranges": [{"type": "ECOSYSTEM", "events": events}],
        }
        found: dict[str, object] = {"id": identifier, "modified": TIMES[0], "affected": [affected], "details": text}
        if text == "b":
            found["published"] = "2025-12-01T00:00:00Z"
        if aliases:
            found["aliases"] = sorted(set(aliases))
        if level:
            found["severity"] = [{"type": "CVSS_V3", "score": VECTORS[level]}]
        return found | ({"withdrawn": TIMES[0]} if withdrawn else {})

    ends = st.sampled_from([None, None, "0.5", "9.0", "odd one"])
    levels = st.sampled_from([None, *VECTORS])
    return st.builds(
        made, st.lists(names, max_size=2), ends, levels, st.integers(0, 5).map(lambda n: n == 0), st.sampled_from("ab")
    )


RECORDS = {
    ("first", "PYSEC-1"): record("PYSEC-1", "lantern"),
    ("first", "PYSEC-2"): record("PYSEC-2", "lantern"),
    ("first", "PYSEC-3"): record("PYSEC-3", "winch"),
    ("second", "GHSA-1"): record("GHSA-1", "lantern"),
    ("second", "PYSEC-2"): record("PYSEC-2", "lantern"),
    ("second", "GO-1"): record("GO-1", "a.org/b", "Go"),
}


def source(document: dict[str, object]) -> tuple[str, Source]:
    data = json.dumps(document).encode()
    found = digest.of_bytes(data)
    if "observed" in document:
        uri = f"cas://reachability/runtime/{found}"
        when = document["recordedAt"]
        return uri, (
            TraceInput(cas_uri=uri, hash=found, hash_alg="sha256", recorded_at=when, path="p", digest=found),
            data,
        )
    uri = f"cas://reachability/graphs/{found}"
    return uri, (GraphInput(cas_uri=uri, hash=found, hash_alg="sha256", path="p", digest=found), data)


def graph(reached: str, idle: str, *, complete: bool) -> dict[str, object]:
    nodes = [{"id": "main", "purl": reached}, {"id": "idle", "purl": idle}]
    return {"schema": "stella-call-graph/1", "nodes": nodes, "entryPoints": ["main"], "complete": complete}


TRACE = {"schema": "stella-runtime-trace/1", "recordedAt": TIMES[0], "observed": [{"purl": LANTERN}, {"purl": GOPHER}]}
SOURCES = dict(
    map(
        source,
        [
            graph(WHOLE, LANTERN, complete=True),
            graph(WINCH, LANTERN, complete=True),
            graph(WINCH, GOPHER, complete=False),
            TRACE,
        ],
    )
)


SEALED = {
    "id": "GO-1",
    "modified": TIMES[0],
    "affected": [{"package": {"ecosystem": "Go", "name": "a.org/b"}, "versions": ["v9"]}],
}


@st.composite
def statements(draw: st.DrawFn) -> dict[str, object]:
    product = draw(st.sampled_from([LANTERN, "pkg:pypi/lantern", WINCH, WINCH, WHOLE]))
    parts = draw(st.sampled_from([None, None, LANTERN, "pkg:pypi/winch"]))
    return {
        "vulnerability": {"name": draw(names)},
        "products": [{"@id": product} | ({"subcomponents": [{"@id": parts}]} if parts else {})],
        "status": draw(st.sampled_from(["not_affected", "affected", "fixed"])),
        "timestamp": draw(st.sampled_from(TIMES)),
    }


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict, dict]:
    """Return two worlds that differ in some places and are the same in the others."""

    def both(strategy: st.SearchStrategy) -> tuple:
        first = draw(strategy)
        return first, (draw(strategy) if draw(st.booleans()) else first)

    found: tuple[dict, dict] = tuple({"records": {}, "vex": {}, "rules": {}, "evidence": {}} for _ in range(2))

    def put(part: str, key: object, values: tuple) -> None:
        for world, value in zip(found, values, strict=True):
            world[part] |= {key: value} if value is not None else {}

    for key, strategy in RECORDS.items():
        put("records", key, both(st.none() | strategy | strategy))
    for name in ("ours", "theirs"):
        put("vex", name, both(st.none() | st.tuples(st.sampled_from(["A", "B"]), st.lists(statements(), max_size=3))))
    for name, rule in RULES.items():
        ends = st.sampled_from([{}, {}, {"expires": "2026-03-01T00:00:00Z"}])
        put("rules", name, both(st.none() | st.builds(lambda end, rule=rule: rule | end, ends)))
    for uri in SOURCES:
        put("evidence", uri, both(st.sampled_from([None, None, "there", "there", "missing"])))
    values = {
        "order": st.permutations(sorted(RULES)),
        "default": st.sampled_from(["warn", "fail"]),
        "trust": st.sampled_from([[], ["A"], ["B", "A"]]),
        "suppress": st.sampled_from([["not_affected", "fixed"], ["not_affected"]]),
        "time": st.sampled_from(TIMES),
        "components": st.sets(st.sampled_from([(LANTERN, 0), (LANTERN, 1), (WINCH, 0), (GOPHER, 0)])),
        "subject": st.sampled_from([None, WHOLE, WHOLE]),
        "edges": st.sets(st.sampled_from(EDGES)),
    }
    for name, strategy in values.items():
        for world, value in zip(found, both(strategy), strict=True):
            world[name] = value
    return found


def policy(world: dict) -> bytes:
    def value(one: object) -> str:
        if isinstance(one, dict):
            return "{" + ", ".join(f"{key} = {value(inner)}" for key, inner in one.items()) + "}"
        return json.dumps(one)

    lines = ['schemaVersion = "1.0"', 'name = "p"', f"default = {json.dumps(world['default'])}"]
    lines += [f"vex = {value({'trust': world['trust'], 'suppress': world['suppress']})}"]
    for name in world["order"]:
        if name in world["rules"]:
            rule = world["rules"][name]
            lines += ["[[rules]]", f'id = "{name}"', 'reason = "r"', f"action = {value(rule['action'])}"]
            lines += [f"to = {value(rule.get('to'))}"] * ("to" in rule)
            lines += [f"match = {value(rule['match'])}"] + [f"expires = {rule.get('expires')}"] * ("expires" in rule)
    return "\n".join(lines).encode()


@st.composite
def blocked(draw: st.DrawFn) -> tuple[dict, dict]:
    """Return two worlds that differ in what leads to a component and in what is said about that."""
    first, second = draw(worlds())
    one = {"vulnerability": st.just({"name": "CVE-1"}), "timestamp": st.just(TIMES[0])}
    status = st.sampled_from(["not_affected", "not_affected", "fixed", "affected"])
    products = st.builds(
        lambda product, part: [{"@id": product} | ({"subcomponents": [{"@id": part}]} if part else {})],
        st.sampled_from([WINCH, WINCH, GOPHER]),
        st.sampled_from([None, LANTERN, LANTERN]),
    )
    said = st.lists(st.fixed_dictionaries(one | {"products": products, "status": status}), max_size=2)
    edges = [(WHOLE, WINCH, 0), (WHOLE, GOPHER, 0), (WINCH, LANTERN, 0), (GOPHER, LANTERN, 0), (WHOLE, LANTERN, 0)]
    leading = st.sets(st.sampled_from(edges[2:] if draw(st.booleans()) else edges[2:4])).map(
        lambda found: found.union(edges[:2])
    )
    others = st.sets(st.sampled_from([(WINCH, 0), (GOPHER, 0)]), min_size=1)
    parts = {
        "vex": st.fixed_dictionaries({"ours": st.tuples(st.just("A"), said), "theirs": st.tuples(st.just("B"), said)}),
        "edges": leading,
        "components": others.map(lambda found: found | {(LANTERN, 0)}),
    }
    record = draw(RECORDS["first", "PYSEC-1"]) | {"id": "CVE-1", "aliases": []}
    for name, strategy in parts.items():
        before = draw(strategy)
        first[name], second[name] = before, draw(strategy) if draw(st.booleans()) else before
    for world in (first, second):
        world |= {"records": {("first", "CVE-1"): record, ("second", "GO-1"): SEALED}, "subject": WHOLE}
    return first, second


def ref_of(purl: str, number: int = 0) -> str:
    return "app" if purl == WHOLE else f"{purl}#{number}"


def refs_of(world: dict) -> set[str]:
    return {ref_of(*one) for one in world["components"]} | ({"app"} if world["subject"] else set())


def edges_of(world: dict) -> set[tuple[str, str]]:
    """Return the edges that are between components."""
    refs = refs_of(world)
    edges = {(ref_of(one), ref_of(*other)) for one, *other in world["edges"]}
    return {edge for edge in edges if refs.issuperset(edge)}


def sbom(world: dict) -> bytes:
    components = [
        {"type": "library", "bom-ref": ref_of(purl, number), "name": purl, "purl": purl}
        for purl, number in sorted(world["components"])
        if purl != WHOLE or not world["subject"]
    ]
    edges = world["drawn"] if "drawn" in world else edges_of(world)
    listed = {source: sorted(target for start, target in edges if start == source) for source, _ in sorted(edges)}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "components": components,
        "dependencies": [{"ref": source, "dependsOn": targets} for source, targets in listed.items()],
    }
    if world["subject"]:
        document["metadata"] = {"component": {"type": "application", "bom-ref": "app", "name": "app", "purl": WHOLE}}
    return json.dumps(document).encode()


def document(author: str, found: list) -> bytes:
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "author": author, "timestamp": TIMES[0]}
    return json.dumps(head | {"statements": found}).encode()


@pytest.fixture(scope="module")
def given_by(memory_feed, make_input):
    def make(world: dict) -> EvaluationInput:
        feeds = [
            memory_feed(name, [one for (feed, _), one in world["records"].items() if feed == name])
            for name in ("first", "second")
        ]
        found = [(name, document(author, listed)) for name, (author, listed) in world["vex"].items()]
        evidence = [
            (SOURCES[uri][0], SOURCES[uri][1] if held == "there" else None) for uri, held in world["evidence"].items()
        ]
        others = {"vex": found, "policy": policy(world), "time": world["time"], "reachability": evidence}
        return make_input(sbom(world), *feeds, **others)

    return make


def undone(old: dict, new: dict, changes: list[str]) -> dict:
    """Return the second world with these changes put back as they are in the first."""
    world = {name: (dict(value) if isinstance(value, dict) else value) for name, value in new.items()}
    orders = [[name for name in side["order"] if name in side["rules"]] for side in (new, old)]
    world["order"] = merged(*(reversed(orders) if "policy/order of rules" in changes else orders))
    world["drawn"] = edges_of(new)
    patches: dict[str, list[tuple[str, int]]] = {}
    for change in sorted(changes, key=lambda one: one.startswith("sbom/paths")):
        room, _, rest = change.partition("/")
        if room == "vex" and "/" in rest:
            name, _, what = rest.partition("/")
            word, _, index = what.partition("/")
            patches.setdefault(name, []).append((word, int(index or 0)))
        elif room == "vex":
            put_back(world["vex"], old["vex"], rest)
        elif room == "feeds":
            for key in records_of(rest):
                put_back(world["records"], old["records"], key)
        elif room == "reachability":
            put_back(world["evidence"], old["evidence"], f"cas://{change}")
        elif rest.startswith("paths to "):
            lead_back(world, old, rest.removeprefix("paths to "))
        elif rest.startswith("rules/"):
            put_back(world["rules"], old["rules"], rest.removeprefix("rules/"))
        elif rest.startswith("components/pkg"):
            purl = rest.removeprefix("components/").partition("#")[0]
            others = {one for one in world["components"] if one[0] != purl}
            world["components"] = others | {one for one in old["components"] if one[0] == purl}
        elif rest != "order of rules":
            part = {"components/app": "subject"}.get(rest, rest.rpartition("/")[2])
            world[part] = old[part]
    for name, patch in patches.items():
        if f"vex/{name}" not in changes:
            world["vex"][name] = patched(old["vex"].get(name), new["vex"].get(name), patch)
    return world


def lead_back(world: dict, old: dict, purl: str) -> None:
    """Put back what leads to a package: the components above it, and what leads to each of them."""
    before = edges_of(old)
    above = {ref_of(*one) for one in world["components"] if one[0] == purl}
    while wider := {source for source, target in before if target in above} - above:
        above |= wider
    world["drawn"] = {edge for edge in world["drawn"] if edge[1] not in above} | {
        edge for edge in before if edge[1] in above
    }
    known = [*old["components"], (WHOLE, 0)]
    world["components"] = world["components"] | {one for one in known if ref_of(*one) in above}


def records_of(path: str) -> list[tuple[str, str]]:
    feed, _, identifier = path.partition("/")
    if not identifier.startswith("covers "):
        return [(feed, identifier)]
    in_go = identifier == "covers Go"
    return [(name, one) for name, one in RECORDS if name == feed and (one == "GO-1") == in_go]


def merged(first: list[str], second: list[str]) -> list[str]:
    """Return the rules of one order with those of another put in, each behind the rule that it stood behind there."""
    order, previous = list(first), None
    for name in second:
        if name not in order:
            order.insert(0 if previous is None else order.index(previous) + 1, name)
        previous = name
    return order


def put_back(world: dict, old: dict, key: object) -> None:
    world.pop(key, None)
    if key in old:
        world[key] = old[key]


def patched(old: tuple | None, new: tuple | None, patch: list[tuple[str, int]]) -> tuple:
    """Return a document with single statements put back."""
    author = (new or old or ("",))[0]
    before = list(old[1]) if old else []
    after: list = list(new[1]) if new else []
    for word, index in patch:
        if word == "author":
            author = old[0]
        elif word == "removed":
            after.append(before[index])
        elif word == "added":
            after[index] = None
        else:
            about = [new[1][index][member] for member in ("vulnerability", "products")]
            same = [one for one in before if [one["vulnerability"], one["products"]] == about and one not in new[1]]
            after[index] = same[0]
    return author, [one for one in after if one is not None]


def read(made: dict[str, bytes]) -> tuple[FindingsDocument, VexOutput]:
    return (
        canonical.decode_record(made[outputs.FINDINGS], FindingsDocument),
        canonical.decode_record(made[outputs.VEX], VexOutput),
    )


def is_gone(path: str, one: Entry, recorded: dict, replayed: dict, tried: dict) -> bool:
    (old, old_vex), (new, new_vex), (world, world_vex) = map(read, (recorded, replayed, tried))
    name, position, *rest = one.pointer.split("/")[1:]
    if path == outputs.VEX:
        sides = [getattr(each, name) for each in (old_vex, new_vex, world_vex)]
        found = sides[0 if one.kind == "vanished" else 1][int(position)]
        said = [
            [meaning(each) for each in side if (each.id, each.component) == (found.id, found.component)]
            for side in sides
        ]
        full = [[each for each in side if (each.id, each.component) == (found.id, found.component)] for side in sides]
        return said[2] == said[0] if said[0] != said[1] else full[2] == full[0]
    if name == "notEvaluated":
        ref = (old if one.kind == "vanished" else new).not_evaluated[int(position)].ref
        return [x for x in world.not_evaluated if x.ref == ref] == [x for x in old.not_evaluated if x.ref == ref]
    if name != "findings":
        sides = [getattr(each, name) for each in (old, new, world)]
        found = sides[0 if one.kind == "vanished" else 1][int(position)]
        kept = [
            [x for x in side if (x.feed, x.id, x.component) == (found.feed, found.id, found.component)]
            for side in sides
        ]
        return kept[2] == kept[0]
    if one.kind == "vanished":
        lost = old.findings[int(position)]
        return any((x.id, package_key(x.component)) == (lost.id, package_key(lost.component)) for x in world.findings)
    found = new.findings[int(position)]
    pairs = list(finding_pairs(old.findings, world.findings))
    if one.kind == "appeared":
        fresh = [world.findings[right] for left, right in pairs if left is None]
        mine = [x for x in fresh if package_key(x.component) == package_key(found.component)]
        return not any(set(record_keys(x)) & set(record_keys(found)) for x in mine)
    left = next(left for left, right in finding_pairs(old.findings, new.findings) if right == int(position))
    partner = next(right for one_left, right in pairs if one_left == left)
    if partner is None:
        return False
    member = next(one.name for one in msgspec.structs.fields(Finding) if one.encode_name == rest[0])
    values = [getattr(each, member) for each in (old.findings[left], found, world.findings[partner])]
    if rest[0] == "vex":
        plain = [(each.status, each.justification) if each else None for each in values]
        values = plain if plain[0] != plain[1] else values
    return values[0] == values[2]


def meaning(one) -> list:
    listed = one.statements if hasattr(one, "statements") else [getattr(one, "decided", None) or one.statement]
    told = [("", each) for each in listed] + [(each.ref, each.statement) for each in getattr(one, "blocks", ())]
    return [(ref, each.author, each.timestamp, each.status, each.justification) for ref, each in told]


def caused(tree) -> Iterator[tuple[str, Entry]]:
    for member in tree.members:
        for one in member.entries:
            if one.pointer.split("/")[1:2] != ["documents"] and member.path in (outputs.FINDINGS, outputs.VEX):
                yield member.path, one


@settings(max_examples=120)
@given(pair=worlds() | blocked())
def test_undoing_what_is_named_undoes_the_difference_and_nothing_less_does(given_by, pair):
    old, new = pair
    before, after = given_by(old), given_by(new)
    recorded, replayed = evaluate(before), evaluate(after)
    tree = explain(recorded, replayed, before, after)
    assert not {"unexplained", "tool", "engine-contract"} & tree.causes.keys()
    tried: dict[tuple[str, ...], dict[str, bytes]] = {}

    def world(changes: tuple[str, ...]) -> dict[str, bytes]:
        if changes not in tried:
            tried[changes] = evaluate(given_by(undone(old, new, list(changes))))
        return tried[changes]

    for path, one in caused(tree):
        changes = tuple(change.id for change in one.changes)
        assert changes, one
        assert is_gone(path, one, recorded, replayed, world(changes)), one
        for left_out in changes:
            fewer = tuple(change for change in changes if change != left_out)
            assert not is_gone(path, one, recorded, replayed, world(fewer)), (one, left_out)
