"""stella scan: what it says of what was found, and how VEX documents are named."""

import json
from pathlib import Path
from typing import Any

import pytest

import stella
from builder import requests
from kit import layout
from kit.errors import UsageError
from tests.world import FEED, INPUTS, SCAN_TIME, World

VEX = INPUTS / "vex" / "orders-api.openvex.json"
LONG = "oci__index.docker.io__rancher__mirrored-longhornio-longhorn-manager.openvex.json"


@pytest.fixture
def scan(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str | Path, sbom: Path = INPUTS / "sbom.cdx.json") -> tuple[int, str, str]:
        fixed = ["scan", "--record", "--sbom", sbom, "--policy", INPUTS / "policy.toml", "--out", tmp_path / "records"]
        fixed += ["--feed", f"{FEED}={world.feed}", "--key", world.keys / "kit-1.key.pem", "--time", SCAN_TIME]
        code = stella.main([str(word) for word in [*fixed, "--rootpack", world.rootpack, *words]])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def rows(out: str, name: str) -> list[str]:
    return [line[12:] for line in out.splitlines() if line.startswith(f"{name:<11} ")]


def test_a_scan_says_what_was_found_and_why_the_verdict_is_what_it_is(scan: Any) -> None:
    code, out, err = scan("--vex", VEX)
    assert code == 0
    assert rows(out, "verdict") == ["fail"]
    assert rows(out, "ground") == [
        "fail: 2 by rule critical-breaks-the-build",
        "warn: 15 by the policy's default",
        "warn: 2 components not evaluated",
    ]
    assert rows(out, "findings") == ["19 in 25 packages: 2 critical, 13 high, 3 medium, 1 unknown"]
    assert rows(out, "policy") == ["2 fail, 15 warn, 2 ignore"]
    assert rows(out, "vex") == ["orders-api: 2 of 2 statements apply"]
    assert "warning:" not in err
    (record,) = rows(out, "record")
    assert f"to see the findings: stella report {record} --format table" in err
    assert err.splitlines()[-1].startswith("VERDICT  RECORDED (0)  next: stella kit build --record")


def test_the_next_step_after_a_failing_verdict_names_the_record(scan: Any) -> None:
    code, out, err = scan("--exit-verdict")
    (record,) = rows(out, "record")
    expected = f"VERDICT  POLICY VERDICT fail (12)  next: stella report {record} --format table"
    assert (code, err.splitlines()[-1]) == (12, expected)


def test_a_scan_that_evaluated_nothing_is_loud(scan: Any, tmp_path: Path) -> None:
    sbom = tmp_path / "go.json"
    part = {"type": "library", "name": "a", "version": "1.0.0", "purl": "pkg:golang/example.com/a@v1.0.0"}
    sbom.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [part]}))
    code, out, err = scan("--vex", VEX, sbom=sbom)
    assert (code, rows(out, "left out")) == (0, ["1 no feed: 1 Go"])
    assert "warning: NOTHING WAS EVALUATED: 0 of 1 components; no feed speaks of Go" in err
    assert "warning: VEX document orders-api applies to no finding" in err
    assert "VERDICT  RECORDED (0)" in err
    sbom.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}))
    assert "warning: NOTHING WAS EVALUATED: the SBOM names no package" in scan(sbom=sbom)[2]


def test_json_holds_the_same_counts(scan: Any) -> None:
    said = json.loads(scan("--vex", f"named={VEX}", "--json")[1])
    assert said["severities"] == {"critical": 2, "high": 13, "medium": 3, "unknown": 1}
    assert said["actions"] == {"fail": 2, "warn": 15, "ignore": 2}
    assert said["vex"] == [{"name": "named", "statements": 2, "applied": 2}]
    assert (Path(said["record"]) / layout.MANIFEST_FILE).is_file()


def test_a_malformed_sbom_is_named_by_its_path(scan: Any, tmp_path: Path) -> None:
    sbom = tmp_path / "broken.json"
    sbom.write_text("{")
    code, _, err = scan(sbom=sbom)
    assert (code, str(sbom) in err, "Ask the sender" in err) == (31, True, False)


def test_a_policy_with_a_fault_is_named_by_its_path(scan: Any, tmp_path: Path) -> None:
    policy = tmp_path / "p1.toml"
    policy.write_text("name = 7\n")
    code, _, err = scan("--policy", policy)
    assert (code, f"path {policy}" in err, (tmp_path / "records").exists()) == (31, True, False)


def test_a_vex_document_is_named_by_its_file_or_as_it_is_told(tmp_path: Path) -> None:
    with_sign = tmp_path / "a=b.json"
    for path in (tmp_path / LONG, tmp_path / ("x" + LONG), tmp_path / "Orders.CSAF.json", with_sign):
        path.write_bytes(b"{}")
    names = list(requests.vex_documents([str(tmp_path / LONG), str(tmp_path / "Orders.CSAF.json"), f"own={with_sign}"]))
    assert names[1:] == ["orders", "own"]
    assert (names[0].startswith("oci__index.docker.io__rancher__mirrored-longhornio-long"), len(names[0])) == (True, 64)
    again = requests.vex_documents([str(tmp_path / LONG), str(tmp_path / ("x" + LONG))])
    assert (names[0] in again, len(again)) == (True, 2)
    with pytest.raises(UsageError) as refusal:
        requests.vex_documents([str(with_sign)])
    assert "--vex NAME=FILE" in refusal.value.next_step
    with pytest.raises(UsageError, match="NAME="):
        requests.vex_documents([f"own={with_sign}", f"own={with_sign}"])


def test_a_public_key_is_called_one(scan: Any, world: World) -> None:
    code, _, err = scan("--key", world.keys / "kit-1.pub.pem")
    assert (code, "this is the public key" in err, "kit-1.key.pem" in err.splitlines()[-1]) == (2, True, True)


def test_a_place_that_cannot_be_made_is_named_in_full(scan: Any) -> None:
    code, _, err = scan("--out", "/proc/nonexistent/x")
    assert (code, "path /proc/nonexistent/x/" in err) == (60, True)
