"""The straightforward way, as a yardstick: tarfile, json, a dictionary of all advisories, rfc8785.

It checks the archive's digest and every member's, reads every advisory, matches by the algorithm of the OSV schema and
prints its findings. It shares no code with the product and knows PyPI and Go only.

    python bench/naive.py make SORTED.ndjson SBOM OUT.tar.zst        pack one member an advisory
    python bench/naive.py replay OUT.tar.zst DIGEST                   verify, match, print
"""

import hashlib
import io
import json
import re
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import rfc8785
import zstandard
from packaging.version import Version

ECOSYSTEMS = {"pypi": "PyPI", "golang": "Go"}


def make(lines: Path, sbom: Path, target: Path) -> None:
    """Pack an SBOM, the advisories and a list of all digests."""
    listed: dict[str, str] = {}
    with (
        target.open("wb") as out,
        zstandard.ZstdCompressor(level=3).stream_writer(out) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):

        def add(name: str, data: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            listed[name] = hashlib.sha256(data).hexdigest()

        add("sbom.json", sbom.read_bytes())
        with lines.open("rb") as source:
            for number, line in enumerate(source):
                add(f"advisories/{number:06}.json", line.rstrip(b"\n"))
        add("digests.json", json.dumps(listed).encode())


def replay(path: Path, expected: str) -> bytes:
    """Verify everything and return the findings."""
    with path.open("rb") as source:
        if hashlib.file_digest(source, "sha256").hexdigest() != expected:
            raise SystemExit("archive digest")
    members: dict[str, bytes] = {}
    found: dict[str, str] = {}
    with (
        path.open("rb") as source,
        zstandard.ZstdDecompressor().stream_reader(source) as content,
        tarfile.open(fileobj=content, mode="r|") as archive,
    ):
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None
            members[member.name] = file.read()
            found[member.name] = hashlib.sha256(members[member.name]).hexdigest()
    listed = json.loads(members.pop("digests.json"))
    del found["digests.json"]
    if listed != found:
        raise SystemExit("member digests")
    index: dict[tuple[str, str], list[tuple[str, int, dict[str, Any]]]] = {}
    for name, data in members.items():
        if name.startswith("advisories/"):
            record = json.loads(data)
            for position, entry in enumerate(record["affected"]):
                ecosystem, package = entry["package"]["ecosystem"], entry["package"]["name"]
                index.setdefault((ecosystem, normal(ecosystem, package)), []).append((found[name], position, record))
    findings = []
    for component in json.loads(members["sbom.json"])["components"]:
        kind, package, version = split(component["purl"])
        ecosystem = ECOSYSTEMS[kind]
        for digest, position, record in index.get((ecosystem, normal(ecosystem, package)), []):
            if "withdrawn" not in record and affects(record["affected"][position], version, ecosystem):
                findings.append([component["purl"], record["id"], f"sha256:{digest}", position])
    return rfc8785.dumps(sorted(findings))


def normal(ecosystem: str, name: str) -> str:
    """Return a package name as it is compared."""
    return re.sub("[-_.]+", "-", name).lower() if ecosystem == "PyPI" else name


def split(purl: str) -> tuple[str, str, str]:
    """Return type, name and version of a package URL."""
    kind, _, rest = purl.removeprefix("pkg:").partition("/")
    name, _, version = rest.rpartition("@")
    return kind, unquote(name), unquote(version)


def affects(entry: dict[str, Any], version: str, ecosystem: str) -> bool:
    """Tell whether an affected entry holds of a version."""
    order: Callable[[str], Any] = Version if ecosystem == "PyPI" else semver
    own = order(version)
    if any(order(listed) == own for listed in entry.get("versions", [])):
        return True
    for part in entry.get("ranges", []):
        inside = False
        events = [next(iter(event.items())) for event in part["events"]]
        for kind, text in sorted(events, key=lambda event: (event[1] != "0", event[1] != "0" and order(event[1]))):
            if kind == "introduced" and (text == "0" or own >= order(text)):
                inside = True
            elif kind == "fixed" and own >= order(text):
                inside = False
        if inside:
            return True
    return False


def semver(text: str) -> tuple[int, ...]:
    """Return the order of a version of three numbers."""
    return tuple(map(int, text.split(".")))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", lines, sbom, target]:
            make(Path(lines), Path(sbom), Path(target))
        case ["replay", archive, digest]:
            sys.stdout.buffer.write(replay(Path(archive), digest))
        case _:
            raise SystemExit(__doc__)
