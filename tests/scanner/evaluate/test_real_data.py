"""Real SBOMs against real feeds: an independent matcher finds the same, and so do the documents of other generators."""

import json
import random
import re
from urllib.parse import unquote

import pytest
import semver
from packaging.version import InvalidVersion, Version

from scanner import outputs
from scanner.evaluate import evaluate
from scanner.sbom import read_sbom

# Raw hits (package URL, advisory) in the older and the newer snapshots of PyPI and Go.
ANCHORS = {
    "python-legacy-ml.syft.cdx16.json": (145, 157),
    "python-legacy-ml.syft.spdx23.json": (145, 157),
    "python-legacy-ml.trivy.cdx16.json": (145, 157),
    "alpine311-python-sdc-cli.syft.spdx23.json": (11, 12),
    "alpine311-python-sdc-cli.trivy.spdx22.json": (11, 12),
    "go-constellation.syft.spdx22.json": (137, 266),
    "go-proton-bridge.cdx12.json": (34, 58),
    "debian11-airflow.trivy.spdx22.json": (64, 73),
    "debian12-web.syft.cdx16.json": (5, 6),
    "debian12-web.trivy.cdx16.json": (0, 0),
}
SAME_SYSTEM = [
    ("python-legacy-ml.syft.cdx16.json", "python-legacy-ml.syft.spdx23.json", "python-legacy-ml.trivy.cdx16.json"),
    ("alpine311-python-sdc-cli.syft.spdx23.json", "alpine311-python-sdc-cli.trivy.spdx22.json"),
    ("debian12-web.syft.cdx16.json", "debian12-web.trivy.cdx16.json"),
]


def purls_of(document: dict) -> set[str]:
    def nested(component: dict):
        yield component
        for inner in component.get("components", ()):
            yield from nested(inner)

    if "spdxVersion" in document:
        references = [one for package in document["packages"] for one in package.get("externalRefs", ())]
        return {one["referenceLocator"] for one in references if one["referenceType"] == "purl"}
    roots = [document.get("metadata", {}).get("component", {}), *document["components"]]
    return {one["purl"] for root in roots for one in nested(root) if "purl" in one}


def look_up(purl: str) -> tuple[str, str, str] | None:
    found = re.fullmatch(r"pkg:(pypi|golang)/([^@?#]+)@([^?#]+)(?:\?[^#]*)?(?:#(v\d+).*)?", purl)
    if not found:
        return None
    kind, name, version = found[1], unquote(found[2]), unquote(found[3])
    if kind == "pypi":
        return "PyPI", re.sub(r"[-_.]+", "-", name).lower(), version
    suffix = found[4]
    return "Go", f"{name}/{suffix}" if suffix and not name.endswith(suffix) else name, version


def parse(ecosystem: str, text: str):
    """Return a comparable version or ``None``."""
    if ecosystem == "PyPI":
        try:
            return Version(text)
        except InvalidVersion:
            return None
    text = text.removeprefix("go") if text.startswith("go") else text.removeprefix("v")
    if re.fullmatch(r"\d+\.\d+", text):
        text += ".0"
    try:
        return semver.Version.parse(text)
    except ValueError:
        return None


def walk(ecosystem: str, item: dict, version) -> tuple[bool, bool, bool]:
    """Return whether a sorted walk ends affected at a version, whether nothing later ends that, and the last state."""
    order = {"fixed": 0, "last_affected": 1, "introduced": 2}
    events = [(kind, at) for event in item["events"] for kind, at in event.items()]
    keys = [None if at == "0" else parse(ecosystem, at) for _, at in events]
    if version is None or any(key is None and at != "0" for key, (_, at) in zip(keys, events, strict=True)):
        return False, False, False
    zero = [kind for (kind, _), key in zip(events, keys, strict=True) if key is None]
    later = [(key, order[kind], kind) for (kind, _), key in zip(events, keys, strict=True) if key is not None]
    held = last = False
    ends = False
    for key, _, kind in [(None, 0, kind) for kind in zero] + sorted(later, key=lambda one: one[:2]):
        last = kind == "introduced"
        if kind == "introduced" and (key is None or key <= version):
            held = True
        elif (kind == "fixed" and key <= version) or (kind == "last_affected" and key < version):
            held = False
        elif kind != "introduced":
            ends = True
    return held, held and not ends, last


def affects(ecosystem: str, entry: dict, text: str) -> bool:
    """Decide by list and sorted walk, as the schema describes it, and by a Go module's own numbering."""
    version = parse(ecosystem, text)
    for listed in entry.get("versions") or ():
        other = parse(ecosystem, listed)
        if listed == text or (version is not None and other is not None and other == version):
            return True
    found = [walk(ecosystem, item, version) for item in entry.get("ranges") or () if item["type"] != "GIT"]
    custom = (entry.get("ecosystem_specific") or {}).get("custom_ranges") if ecosystem == "Go" else None
    if not custom or version is None or version < semver.Version(0, 0, 1):
        return any(held for held, _, _ in found)
    if any(held and not (without_end and last) for held, without_end, last in found):
        return True
    waits = any(held for held, _, _ in found)
    own = any(walk(ecosystem, item, version)[0] for item in custom)
    return own and (waits or not any(last for _, _, last in found))


def naive(document: dict, records: list[dict]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return the hits and the withdrawn hits, (package URL, advisory), by comparing everything with everything."""
    by_name: dict[tuple[str, str], list[tuple[dict, dict]]] = {}
    for record in records:
        for entry in record["affected"]:
            name = entry["package"]["name"]
            if entry["package"]["ecosystem"] == "PyPI":
                name = re.sub(r"[-_.]+", "-", name).lower()
            by_name.setdefault((entry["package"]["ecosystem"], name), []).append((record, entry))
    hits, withdrawn = set(), set()
    for purl in purls_of(document):
        package = look_up(purl)
        for record, entry in by_name.get(package[:2], ()) if package else ():
            if affects(package[0], entry, package[2]):
                (withdrawn if record.get("withdrawn") else hits).add((purl, record["id"]))
    return hits, withdrawn


@pytest.fixture(scope="module")
def evaluated(test_data, real_feeds, make_input):
    done: dict[tuple[str, str], dict] = {}

    def run(name: str, side: str) -> dict:
        if (name, side) not in done:
            sbom = (test_data / "sboms" / name).read_bytes()
            done[name, side] = json.loads(evaluate(make_input(sbom, *real_feeds[side]))[outputs.FINDINGS])
        return done[name, side]

    return run


def raw_hits(found: dict) -> set[tuple[str, str]]:
    return {(one["component"]["purl"], record["id"]) for one in found["findings"] for record in one["records"]}


@pytest.mark.parametrize("side", ["old", "new"])
@pytest.mark.parametrize("name", ANCHORS)
def test_an_independent_matcher_finds_the_same(name, side, evaluated, test_data, real_records):
    dates = {
        "old": (("Go", "2026-01-28"), ("PyPI", "2024-01-30")),
        "new": (("Go", "2026-08-21"), ("PyPI", "2024-10-10")),
    }
    records = [record for key in dates[side] for record in real_records(*key)]
    hits, withdrawn = naive(json.loads((test_data / "sboms" / name).read_bytes()), records)
    found = evaluated(name, side)
    assert raw_hits(found) == hits
    assert {(one["component"]["purl"], one["id"]) for one in found["withdrawn"]} == withdrawn
    assert len(hits) == ANCHORS[name][side == "new"]


def essence(found: dict, owned: set[str]) -> set[tuple]:
    """Return what has to be equal: (finding id or reason, ecosystem, package, version), refs and purl spelling aside.

    A component that the operating system owns does not count: some generators leave it out.
    """
    every = (("finding", found["findings"]), ("undecidable", found["undecidable"]), ("withdrawn", found["withdrawn"]))
    return {
        (kind, one["id"], one["component"]["ecosystem"], one["component"]["package"], one["component"]["version"])
        for kind, entries in every
        for one in entries
        if one["component"]["purl"] not in owned
    }


@pytest.fixture(scope="module")
def system_feeds(real_feeds, real_records, memory_feed):
    alpine = memory_feed("alpine", real_records("Alpine", "2020-06-08"))
    return {side: [alpine, *feeds] for side, feeds in real_feeds.items()}


@pytest.mark.parametrize("side", ["old", "new"])
@pytest.mark.parametrize("names", SAME_SYSTEM)
def test_generators_that_looked_at_one_system_lead_to_the_same_findings(
    names, side, system_feeds, test_data, make_input
):
    seen = []
    for name in names:
        sbom = (test_data / "sboms" / name).read_bytes()
        made = evaluate(make_input(sbom, *system_feeds[side]))
        owned = {one["purl"] for one in json.loads(made[outputs.SBOM])["components"] if one.keys() >= {"owner", "purl"}}
        seen.append(essence(json.loads(made[outputs.FINDINGS]), owned))
    first, *others = seen
    # All findings of the Debian system are about what its own packages installed, and there is no feed for Debian.
    assert bool(first) is not names[0].startswith("debian12")
    assert all(other == first for other in others)


def test_source_packages_and_releases_are_those_of_the_feed(test_data, real_records):
    """The advisories of a distribution know the names that the packages of its systems are looked up under."""
    for name, feed, ecosystem, least in (
        ("alpine311-python-sdc-cli.syft.spdx23.json", ("Alpine", "2020-06-08"), "Alpine:v3.11", 13),
        ("alma8-ejbca.trivy.spdx22.json", ("AlmaLinux8", "2026-08-21"), "AlmaLinux:8", 90),
    ):
        packages = {
            entry["package"]["name"]
            for record in real_records(*feed)
            for entry in record["affected"]
            if entry["package"]["ecosystem"] == ecosystem
        }
        components = read_sbom((test_data / "sboms" / name).read_bytes()).components
        found = {one.package.name for one in components if getattr(one.package, "ecosystem", None) == ecosystem}
        assert len(found & packages) >= least


@pytest.mark.parametrize("name", ANCHORS)
def test_newer_snapshots_lose_nothing(name, evaluated):
    assert raw_hits(evaluated(name, "old")) <= raw_hits(evaluated(name, "new"))


def shuffled(document: dict, shuffle) -> bytes:
    """Return an SBOM with its lists in another order; what is nested keeps its place in what holds it."""
    for member in ("components", "packages", "relationships", "dependencies"):
        if member in document:
            shuffle(document[member])
    for holder in (*document.get("components", ()), *document.get("packages", ())):
        for member in ("properties", "externalRefs"):
            if member in holder:
                shuffle(holder[member])
    return json.dumps(document).encode()


@pytest.mark.parametrize("side", ["old", "new"])
@pytest.mark.parametrize("name", ANCHORS)
def test_the_order_of_the_inputs_changes_no_finding(name, side, evaluated, test_data, real_feeds, make_input):
    document = json.loads((test_data / "sboms" / name).read_bytes())
    feeds = list(reversed(real_feeds[side]))
    found = json.loads(evaluate(make_input(shuffled(document, random.Random(11).shuffle), *feeds))[outputs.FINDINGS])
    assert found == evaluated(name, side)
