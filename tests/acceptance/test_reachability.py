"""T-REACH-009: graphs and traces travel with the scan and decide again behind the gap."""

import json
import shutil
from dataclasses import replace as with_changes
from pathlib import Path

import pytest

from builder.reachability import Evidence
from builder.record import record, sign_manifest
from kit import layout
from kit import manifest as manifests
from kit.bundle import BundleReader, write_bundle
from kit.bytes import canonical, digest
from kit.errors import DigestMismatch, MalformedDocument, UsageError
from kit.result import REFUSED, VERIFIED, WHAT_IF
from tests.world import SCAN_ID, SCAN_TIME, Replay, World, scan_request
from verifier.run import WHAT_IF as VARY
from verifier.run import Plan

POLICY = b"""
schemaVersion = "1.0"
name = "by reachability"

[[rules]]
id = "in-use"
action = "fail"
reason = "What runs is mended first."
match = { reachability = ["reachable"] }

[[rules]]
id = "never-called"
action = "ignore"
reason = "No path of calls leads there."
match = { reachability = ["unreachable"] }
"""


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def graph(called: list[str], others: list[str], **changes: object) -> bytes:
    """Return a graph whose entry point calls the packages of the first list and knows those of the second."""
    nodes: list[dict[str, object]] = [{"id": "main", "calls": called, "codeId": "code:1"}]
    nodes += [{"id": purl, "purl": purl} for purl in (*called, *others)]
    document = {"schema": "stella-call-graph/1", "nodes": nodes, "entryPoints": ["main"], "complete": True}
    return encoded(document | changes)


def trace(*purls: str, recorded_at: str = "2026-05-29T22:00:00Z") -> bytes:
    observed = [{"purl": purl, "symbol": "load"} for purl in purls]
    return encoded({"schema": "stella-runtime-trace/1", "recordedAt": recorded_at, "observed": observed})


@pytest.fixture(scope="module")
def packages(world: World) -> list[str]:
    """Return the package URLs of the example's findings, each once."""
    manifest = manifests.parse((world.record / layout.MANIFEST_FILE).read_bytes())
    found = json.loads(members(world.record, manifest, "output")["findings.json"])
    return sorted({finding["component"]["purl"] for finding in found["findings"]})


def members(scan: Path, manifest: manifests.Manifest, side: str) -> dict[str, bytes]:
    name, bundle = {
        "input": (layout.INPUT_BUNDLE, manifest.bundles.input),
        "output": (layout.OUTPUT_BUNDLE, manifest.bundles.output),
    }[side]
    with BundleReader(scan / name, bundle) as reader:
        reader.verify()
        return {member.path: reader.read(member.path, limit=1 << 22) for member in bundle.members}


def recorded(world: World, place: Path, *evidence: Evidence, **changes: object) -> Path:
    request = scan_request(world.feed, policy=POLICY, evidence=evidence, **changes)
    return record(request, [world.kit_signer], place)[0]


def findings(scan: Path) -> list[dict]:
    manifest = manifests.parse((scan / layout.MANIFEST_FILE).read_bytes())
    return json.loads(members(scan, manifest, "output")["findings.json"])["findings"]


def verdict(scan: Path) -> dict:
    manifest = manifests.parse((scan / layout.MANIFEST_FILE).read_bytes())
    return json.loads(members(scan, manifest, "output")["verdict.json"])


def states(scan: Path) -> dict[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    for one in findings(scan):
        found.setdefault(one["component"]["purl"], set()).add((one["reachability"]["state"], one["decision"]["action"]))
    return found


def test_t_reach_009_graphs_and_traces_are_rehydrated(
    world: World, replay: Replay, tmp_path: Path, packages: list[str]
) -> None:
    called, uncalled, seen, absent = packages[:4]
    evidence = Evidence("graph", graph([called], [uncalled, seen])), Evidence("trace", trace(seen))
    scan = recorded(world, tmp_path / "records", *evidence)
    found = states(scan)
    assert {state for state, _ in found[called]} == {"reachable"}
    assert {state for state, _ in found[seen]} == {"reachable"}
    assert {action for _, action in found[called] | found[seen]} <= {"fail", "ignore"}
    assert found[uncalled] == {("unreachable", "ignore")}
    assert {state for state, _ in found[absent]} == {"unknown"}
    kit = world.build_kit(tmp_path / "kit", records=[scan])
    result, _ = replay(kit)
    assert (result.verdict, result.reason) == (VERIFIED, "Ok")
    assert [entry.path for entry in result.outputs if not entry.equal] == []


def test_t_reach_009_the_manifest_names_evidence_by_content(world: World, tmp_path: Path, packages: list[str]) -> None:
    bodies = graph(packages[:1], []), graph([], packages[:1]), trace(packages[0])
    scan = recorded(world, tmp_path, *(Evidence(str(place), data) for place, data in enumerate(bodies)))
    section = json.loads((scan / layout.MANIFEST_FILE).read_bytes())["reachability"]
    uris = [f"cas://reachability/graphs/{digest.of_bytes(body)}" for body in bodies[:2]]
    assert [entry["casUri"] for entry in section["graphs"]] == sorted(uris)
    (only,) = section["runtimeTraces"]
    assert only["casUri"] == f"cas://reachability/runtime/{digest.of_bytes(bodies[2])}"
    assert (only["hashAlg"], only["recordedAt"]) == ("sha256", "2026-05-29T22:00:00Z")
    assert only["path"] == f"reachability/runtime/{digest.of_bytes(bodies[2]).removeprefix('sha256:')}.json"
    coverage = {"totalNodes": 2, "nodesWithSymbolId": 0, "nodesWithCodeId": 1, "coveragePercent": 50}
    assert [entry["codeIdCoverage"] for entry in section["graphs"]] == [coverage] * 2


def test_t_reach_009_what_is_named_and_not_there_is_unknown_with_a_warning(
    world: World, replay: Replay, tmp_path: Path, packages: list[str]
) -> None:
    called, uncalled = packages[:2]
    uri = "cas://reachability/graphs/blake3:" + "5a" * 32
    evidence = Evidence("graph", graph([called], [uncalled])), Evidence(uri, uri=uri)
    scan = recorded(world, tmp_path / "records", *evidence)
    for one in findings(scan):
        state = one["reachability"]
        if one["component"]["purl"] == called:
            assert (state["state"], state["entryPoint"], state["pathLength"]) == ("reachable", "main", 1)
        else:
            assert state == {"state": "unknown", "reason": "missing-evidence"}
    said = verdict(scan)
    ground = {"action": "warn", "kind": "reachability", "count": 1, "name": "reachability:unknown"}
    assert ground in said["grounds"]
    assert {"casUri": uri} in said["inputs"]["reachability"]
    result, _ = replay(world.build_kit(tmp_path / "kit", records=[scan]))
    assert result.verdict == VERIFIED


def test_t_reach_009_missing_evidence_turns_a_pass_into_a_warning(world: World, tmp_path: Path) -> None:
    uri = "cas://reachability/runtime/sha256:" + "00" * 32
    silent = b'schemaVersion = "1.0"\nname = "silent"\ndefault = "ignore"\nunevaluated = "ignore"\n'
    request = scan_request(world.feed, policy=silent)
    plain, _ = record(request, [world.kit_signer], tmp_path / "plain")
    assert verdict(plain)["verdict"] == "pass"
    named, _ = record(with_changes(request, evidence=[Evidence(uri, uri=uri)]), [world.kit_signer], tmp_path / "named")
    assert verdict(named)["verdict"] == "warn"


def test_t_reach_009_a_kit_without_the_graph_is_refused_as_missing(
    world: World, replay: Replay, tmp_path: Path, packages: list[str]
) -> None:
    """A builder that leaves the graph out of the bundle and signs the rest: the signed list misses what is named."""
    scan = recorded(world, tmp_path / "records", Evidence("graph", graph(packages[:1], [])))
    kit = world.build_kit(tmp_path / "kit", records=[scan])
    place = kit / layout.scan_directory(SCAN_ID)
    manifest = manifests.parse((place / layout.MANIFEST_FILE).read_bytes())
    kept = {path: data for path, data in members(place, manifest, "input").items() if "reachability/" not in path}
    with (place / layout.INPUT_BUNDLE).open("wb") as target:
        bundle = write_bundle(target, kept.items())
    document = json.loads((place / layout.MANIFEST_FILE).read_bytes())
    document["bundles"]["input"] = json.loads(canonical.encode_record(bundle))
    body = canonical.encode(document)
    signed = sign_manifest(canonical.decode_record(body, manifests.Manifest), body, [world.kit_signer])
    (place / layout.MANIFEST_FILE).write_bytes(body)
    (place / layout.MANIFEST_ENVELOPE).write_bytes(signed)
    result, _ = replay(kit)
    assert (result.verdict, result.reason, result.exit_code) == (REFUSED, "FileMissing", 32)
    failed = next(check for check in result.checks if check.state == "failed")
    assert failed.name == "manifest-content"
    assert "reachability/graphs/" in (failed.detail or "")


def test_t_reach_009_a_graph_that_changed_on_the_way_is_refused(
    world: World, replay: Replay, tmp_path: Path, packages: list[str]
) -> None:
    scan = recorded(world, tmp_path / "records", Evidence("graph", graph(packages[:1], [])))
    kit = world.build_kit(tmp_path / "kit", records=[scan])
    bundle = kit / layout.scan_directory(SCAN_ID) / layout.INPUT_BUNDLE
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"\0")
    result, _ = replay(kit)
    assert (result.verdict, result.reason) == (REFUSED, "DigestMismatch")


def test_t_reach_009_a_policy_may_be_tried_on_the_same_evidence(
    world: World, replay: Replay, tmp_path: Path, packages: list[str]
) -> None:
    scan = recorded(world, tmp_path / "records", Evidence("graph", graph(packages[:1], packages[1:])))
    kit = world.build_kit(tmp_path / "kit", records=[scan])
    other = tmp_path / "other.toml"
    other.write_bytes(POLICY.replace(b'action = "ignore"', b'action = "warn"'))
    result, run = replay(kit, Plan(VARY, "policy", other))
    assert result.verdict == WHAT_IF
    difference = json.loads((run / "diff.json").read_bytes())
    found = next(member for member in difference["members"] if member["path"] == "findings.json")
    assert {entry["cause"] for entry in found["entries"]} == {"policy-rule"}


def test_evidence_by_a_foreign_hash_is_carried_as_declared(
    world: World, replay: Replay, tmp_path: Path, packages: list[str]
) -> None:
    uri, body = "cas://reachability/graphs/blake3:" + "5a" * 32, graph(packages[:1], [])
    scan = recorded(world, tmp_path / "records", Evidence("graph", body, uri))
    (entry,) = json.loads((scan / layout.MANIFEST_FILE).read_bytes())["reachability"]["graphs"]
    assert (entry["hash"], entry["hashAlg"]) == ("blake3:" + "5a" * 32, "blake3-256")
    assert entry["digest"] == digest.of_bytes(body)
    result, _ = replay(world.build_kit(tmp_path / "kit", records=[scan]))
    assert result.verdict == VERIFIED


def test_a_document_that_is_not_the_named_one_is_refused(world: World, tmp_path: Path) -> None:
    uri = "cas://reachability/graphs/sha256:" + "5a" * 32
    with pytest.raises(DigestMismatch):
        recorded(world, tmp_path, Evidence("graph", graph([], []), uri))


@pytest.mark.parametrize(
    "uri",
    [
        "cas://reachability/graphs/" + "5a" * 32,
        "cas://reachability/graphs/md5:" + "5a" * 16,
        "cas://reachability/other/sha256:" + "5a" * 32,
        "cas://elsewhere",
    ],
)
def test_a_name_of_another_form_is_refused(world: World, tmp_path: Path, uri: str) -> None:
    with pytest.raises(UsageError):
        recorded(world, tmp_path, Evidence(uri, uri=uri))


def test_a_trace_from_after_the_scan_is_refused(world: World, tmp_path: Path, packages: list[str]) -> None:
    late = trace(packages[0], recorded_at="2026-05-30T08:00:01Z")
    with pytest.raises(MalformedDocument) as caught:
        recorded(world, tmp_path, Evidence("trace", late))
    assert caught.value.details["pointer"] == "/recordedAt"
    assert recorded(world, tmp_path / "in-time", Evidence("trace", trace(packages[0], recorded_at=SCAN_TIME))).is_dir()


def test_the_same_evidence_twice_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        recorded(world, tmp_path, *[Evidence("graph", graph([], []))] * 2)


FORGERIES = {
    "later than the scan": lambda section: section["runtimeTraces"][0].update(recordedAt="2026-05-30T08:00:01Z"),
    "no time": lambda section: section["runtimeTraces"][0].pop("recordedAt"),
    "digest without path": lambda section: section["graphs"][0].pop("path"),
    "path without digest": lambda section: section["graphs"][0].pop("digest"),
    "another name": lambda section: section["graphs"][0].update(casUri="cas://reachability/graphs/sha256:" + "0" * 64),
    "another algorithm": lambda section: section["graphs"][0].update(hashAlg="blake3-256"),
    "no hash": lambda section: section["graphs"][0].update(hash="sha256:00"),
    "twice": lambda section: section["graphs"].append(section["graphs"][0]),
    "not named": lambda section: section["graphs"].clear(),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_section_that_contradicts_itself_is_refused(
    world: World, tmp_path: Path, packages: list[str], forgery: str
) -> None:
    evidence = Evidence("graph", graph(packages[:1], [])), Evidence("trace", trace(packages[0]))
    scan = recorded(world, tmp_path / "records", *evidence)
    document = json.loads((scan / layout.MANIFEST_FILE).read_bytes())
    FORGERIES[forgery](document["reachability"])
    with pytest.raises((MalformedDocument, DigestMismatch)):
        manifests.parse(canonical.encode(document))


def test_a_declared_coverage_that_is_not_the_graphs_does_not_replay(
    world: World, replay: Replay, tmp_path: Path, packages: list[str]
) -> None:
    scan = recorded(world, tmp_path / "records", Evidence("graph", graph(packages[:1], [])))
    forged = tmp_path / "forged" / SCAN_ID
    shutil.copytree(scan, forged)
    document = json.loads((forged / layout.MANIFEST_FILE).read_bytes())
    document["reachability"]["graphs"][0]["codeIdCoverage"]["nodesWithCodeId"] = 2
    body = canonical.encode(document)
    (forged / layout.MANIFEST_FILE).write_bytes(body)
    signed = sign_manifest(manifests.parse(body), body, [world.kit_signer])
    (forged / layout.MANIFEST_ENVELOPE).write_bytes(signed)
    result, _ = replay(world.build_kit(tmp_path / "kit", records=[forged]))
    assert (result.verdict, result.reason) == (REFUSED, "MalformedDocument")
