"""The example inputs: what they claim about themselves, and that their facts are those of the published records."""

import importlib.util
import json
import os
import re
import sys
import uuid
import zipfile
from pathlib import Path

import pytest

from kit.bytes import canonical, digest
from scanner.evaluate import EvaluationInput, evaluate

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
INPUTS = EXAMPLES / "inputs"
DATA = Path(os.environ.get("STELLA_TEST_DATA", ROOT.parent / "shared" / "data"))
PUBLISHED = {"advisories": "2024-01-30", "advisories-later": "2024-10-10"}
FIRST_VERDICT = {"fail": 2, "ignore": 2, "warn": 15}


def records(name):
    return {path.stem: json.loads(path.read_bytes()) for path in sorted((INPUTS / name).glob("*.json"))}


def published(name):
    path = DATA / "osv" / "PyPI" / PUBLISHED[name] / "all.zip"
    if not path.is_file():
        pytest.skip(f"no published advisories at {path.relative_to(DATA)} of the test data (STELLA_TEST_DATA)")
    with zipfile.ZipFile(path) as archive:
        return {entry["id"]: entry for entry in (json.loads(archive.read(member)) for member in archive.namelist())}


def prose(record):
    return re.findall(r"[a-z0-9]+", f"{record.get('summary', '')} {record.get('details', '')}".lower())


def runs(words, length):
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


@pytest.fixture(scope="module")
def make_sbom():
    spec = importlib.util.spec_from_file_location("example_make_sbom", EXAMPLES / "make_sbom.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop(spec.name, None)


class Feed:
    """A directory of records as a feed."""

    name = "example-pypi"
    ecosystems = frozenset({"PyPI"})

    def __init__(self, directory):
        self._records = list(records(directory).values())
        self._lines = [canonical.encode_foreign(record) for record in self._records]
        self.snapshot_digest = digest.of_bytes(b"\n".join(self._lines))

    def records(self, packages):
        wanted = set(packages)
        for ordinal, record in enumerate(self._records):
            if any(("PyPI", entry["package"]["name"].lower()) in wanted for entry in record["affected"]):
                yield ordinal, self._lines[ordinal]


def evaluated(directory):
    given = EvaluationInput(
        scan_id="0192b6f0-6d3e-7a51-9c1e-5d0f3b7a4e21",
        time="2026-05-30T08:00:00Z",
        subject="orders-api 3.4.1",
        sbom=(INPUTS / "sbom.cdx.json").read_bytes(),
        feeds=[Feed(directory)],
        vex=[("orders-api", (INPUTS / "vex" / "orders-api.openvex.json").read_bytes())],
        policy=(INPUTS / "policy.toml").read_bytes(),
    )
    members = evaluate(given)
    return json.loads(members["findings.json"]), json.loads(members["verdict.json"])


def test_sbom_holds_the_listed_environment_and_the_two_extra_components():
    sbom = json.loads((INPUTS / "sbom.cdx.json").read_bytes())
    lines = (EXAMPLES / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = {tuple(line.split("==")) for line in lines if line and not line.startswith("#")}
    extra = json.loads((EXAMPLES / "extra-components.json").read_bytes())
    found = {(item["name"], item["version"]) for item in sbom["components"]}
    assert found == listed | {(item["name"], item["version"]) for item in extra}
    refs = [item["bom-ref"] for item in sbom["components"]]
    assert refs == sorted(set(refs))
    edges = {item["ref"]: item["dependsOn"] for item in sbom["dependencies"]}
    assert "pkg:pypi/urllib3@1.24.1" in edges["pkg:pypi/requests@2.19.1"]
    assert {ref for found in edges.values() for ref in found} == set(refs)


def test_serial_number_follows_from_the_content(make_sbom):
    sbom = json.loads((INPUTS / "sbom.cdx.json").read_bytes())
    body = {key: sbom[key] for key in ("metadata", "components", "dependencies")}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    assert sbom["serialNumber"] == f"urn:uuid:{uuid.uuid5(make_sbom.NAMESPACE, text)}"


def test_script_reads_names_edges_and_nothing_else_of_an_environment(make_sbom, tmp_path):
    for name, lines in {
        "Big_App": ["small.lib>=1", "other; extra == 'x'", "win; os_name == 'nt'"],
        "small-lib": [],
    }.items():
        directory = tmp_path / f"{name}-1.0.dist-info"
        directory.mkdir()
        needs = "".join(f"Requires-Dist: {line}\n" for line in lines)
        (directory / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}", encoding="utf-8"
        )
    sbom = make_sbom.document("app", "1", [str(tmp_path)], [])
    assert [item["purl"] for item in sbom["components"]] == ["pkg:pypi/big-app@1.0", "pkg:pypi/small-lib@1.0"]
    edges = {item["ref"]: item["dependsOn"] for item in sbom["dependencies"]}
    assert edges["pkg:pypi/big-app@1.0"] == ["pkg:pypi/small-lib@1.0"]
    assert edges["app@1"] == ["pkg:pypi/big-app@1.0"]
    assert str(tmp_path) not in json.dumps(sbom)
    assert sbom == make_sbom.document("app", "1", [str(tmp_path)], [])


@pytest.mark.parametrize("directory", sorted(PUBLISHED))
def test_records_are_named_by_their_id_and_are_plain_ascii(directory):
    for path in (INPUTS / directory).glob("*.json"):
        assert path.read_bytes().isascii()
        assert json.loads(path.read_bytes())["id"] == path.stem


def test_first_snapshot_has_a_withdrawn_record_and_commit_ranges_that_stand_first():
    found = records("advisories")
    assert [record["id"] for record in found.values() if "withdrawn" in record] == ["PYSEC-2023-73"]
    firsts = [entry["ranges"][0]["type"] for record in found.values() for entry in record["affected"]]
    assert "GIT" in firsts
    assert "ECOSYSTEM" in firsts


def test_later_snapshot_differs_in_one_record_added_one_narrowed_one_withdrawn():
    first, later = records("advisories"), records("advisories-later")
    assert set(later) - set(first) == {"PYSEC-2024-60"}
    assert not set(first) - set(later)
    assert {name for name in first if first[name] != later[name]} == {"PYSEC-2022-42969", "PYSEC-2023-177"}
    assert "withdrawn" in later["PYSEC-2022-42969"]
    fixed = [found["PYSEC-2023-177"]["affected"][0]["ranges"][1]["events"][1]["fixed"] for found in (first, later)]
    assert fixed == ["23.9.1", "23.9.0"]


def test_first_snapshot_gives_the_findings_that_the_readme_tells_of():
    findings, verdict = evaluated("advisories")
    assert (verdict["verdict"], verdict["actions"]) == ("fail", FIRST_VERDICT)
    by_id = {finding["id"]: finding for finding in findings["findings"]}
    assert by_id["PYSEC-2020-36"]["decision"]["by"] == "vex"
    assert by_id["PYSEC-2021-421"]["decision"]["rule"] == "babel-locale-names"
    assert [record["id"] for record in by_id["GHSA-462w-v97r-4m45"]["records"]] == [
        "GHSA-462w-v97r-4m45",
        "PYSEC-2019-217",
    ]
    assert by_id["PYSEC-2019-132"]["severity"]["level"] == "unknown"
    assert not {"PYSEC-2018-32", "PYSEC-2020-35", "PYSEC-2021-59", "PYSEC-2021-142", "PYSEC-2018-69"} & set(by_id)
    assert verdict["expiredRules"] == ["lexers-behind-login"]
    assert {entry["reason"] for entry in findings["notEvaluated"]} >= {"no-purl", "unsupported-ecosystem"}


def test_later_snapshot_brings_one_finding_and_takes_two_away():
    first, later = ({one["id"] for one in evaluated(name)[0]["findings"]} for name in PUBLISHED)
    assert later - first == {"PYSEC-2024-60"}
    assert first - later == {"PYSEC-2022-42969", "PYSEC-2023-177"}


@pytest.mark.parametrize("directory", sorted(PUBLISHED))
def test_facts_are_those_of_the_published_records(directory):
    source = published(directory)
    for name, record in records(directory).items():
        if not name.startswith("PYSEC-"):
            continue  # from another source, which the test data does not hold
        original = source[name]
        assert sorted(original["aliases"]) == record["aliases"], name
        assert original["published"] == record["published"], name
        if name == "PYSEC-2022-42969" and directory == "advisories-later":
            continue  # withdrawn after the test data were taken
        assert original["modified"] == record["modified"], name
        assert original.get("withdrawn") == record.get("withdrawn"), name
        for mine, theirs in zip(record["affected"], original["affected"], strict=True):
            assert mine["package"]["name"] == theirs["package"]["name"], name
            assert [(one["type"], one["events"]) for one in mine["ranges"]] == [
                (one["type"], one["events"]) for one in theirs["ranges"]
            ], name


@pytest.mark.parametrize("directory", sorted(PUBLISHED))
def test_prose_is_our_own(directory):
    source = published(directory)
    for name, record in records(directory).items():
        if name in source:
            assert not runs(prose(record), 6) & runs(prose(source[name]), 6), name
