"""Every cause is put to the test: two worlds differ in several places, each named change is undone, and so undone the
difference is gone; with any one of several changes left in place it is not."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bytes import canonical
from scanner import outputs
from scanner.difference import Entry
from scanner.evaluate import EvaluationInput, evaluate
from scanner.explain import explain
from scanner.explain.pairing import finding_pairs, package_key, record_keys
from scanner.outputs import FindingsDocument, VexOutput

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
}
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


@st.composite
def statements(draw: st.DrawFn) -> dict[str, object]:
    product = draw(st.sampled_from([LANTERN, "pkg:pypi/lantern", WINCH, WHOLE]))
    return {
        "vulnerability": {"name": draw(names)},
        "products": [{"@id": product}],
        "status": draw(st.sampled_from(["not_affected", "affected", "fixed"])),
        "timestamp": draw(st.sampled_from(TIMES)),
    }


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict, dict]:
    """Return two worlds that differ in some places and are the same in the others."""

    def both(strategy: st.SearchStrategy) -> tuple:
        first = draw(strategy)
        return first, (draw(strategy) if draw(st.booleans()) else first)

    found: tuple[dict, dict] = ({"records": {}, "vex": {}, "rules": {}}, {"records": {}, "vex": {}, "rules": {}})

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
    values = {
        "order": st.permutations(sorted(RULES)),
        "default": st.sampled_from(["warn", "fail"]),
        "trust": st.sampled_from([[], ["A"], ["B", "A"]]),
        "suppress": st.sampled_from([["not_affected", "fixed"], ["not_affected"]]),
        "time": st.sampled_from(TIMES),
        "components": st.sets(st.sampled_from([(LANTERN, 0), (LANTERN, 1), (WINCH, 0), (GOPHER, 0)])),
        "subject": st.sampled_from([None, WHOLE]),
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
            lines += [f"match = {value(rule['match'])}"] + [f"expires = {rule.get('expires')}"] * ("expires" in rule)
    return "\n".join(lines).encode()


def sbom(world: dict) -> bytes:
    components = [
        {"type": "library", "bom-ref": f"{purl}#{number}", "name": purl, "purl": purl}
        for purl, number in sorted(world["components"])
    ]
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components}
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
        return make_input(sbom(world), *feeds, vex=found, policy=policy(world), time=world["time"])

    return make


def undone(old: dict, new: dict, changes: list[str]) -> dict:
    """Return the second world with these changes put back as they are in the first."""
    world = {name: (dict(value) if isinstance(value, dict) else value) for name, value in new.items()}
    orders = [[name for name in side["order"] if name in side["rules"]] for side in (new, old)]
    world["order"] = merged(*(reversed(orders) if "policy/order of rules" in changes else orders))
    patches: dict[str, list[tuple[str, int]]] = {}
    for change in changes:
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
    values = [
        getattr(each, rest[0]) if rest[0] != "fixAvailable" else each.fix_available
        for each in (old.findings[left], found, world.findings[partner])
    ]
    if rest[0] == "vex":
        plain = [(each.status, each.justification) if each else None for each in values]
        values = plain if plain[0] != plain[1] else values
    return values[0] == values[2]


def meaning(one) -> list:
    listed = one.statements if hasattr(one, "statements") else [getattr(one, "decided", None) or one.statement]
    return [(each.author, each.timestamp, each.status, each.justification) for each in listed]


def caused(tree) -> Iterator[tuple[str, Entry]]:
    for member in tree.members:
        for one in member.entries:
            if one.pointer.split("/")[1:2] != ["documents"] and member.path in (outputs.FINDINGS, outputs.VEX):
                yield member.path, one


@settings(max_examples=80)
@given(pair=worlds())
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
