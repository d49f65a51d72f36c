"""Verification and replay of whole kits as the command line does them: T1 to T4, and a real scan."""

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import measure
import world
from measure import Command

PEER = 'openssl dgst -sha256 "$1"; zstd -dc "$1" | openssl dgst -sha256'


def against_peer() -> None:
    """T1, T2: the large kit against what hashing and unpacking its bundle takes."""
    size = world.bundle("large").stat().st_size / 1e6
    measure.heading(f"whole kit, input bundle of {size:.0f} MB, against openssl and zstd on that bundle")
    peer = measure.shell(PEER, world.bundle("large"))
    for name, program in (("", world.stella), (", frozen folder", world.frozen)):
        ours, theirs = measure.paired(world.check("verify", "large", program=program), peer)
        measure.ratio("T1", f"stella verify{name}", ours.cpu, theirs.cpu, 0.9)
        ours, theirs = measure.paired(world.check("replay", "large", program=program), peer)
        measure.ratio("T2", f"stella replay, 1,000 components{name}", ours.cpu, theirs.cpu, 1.3)


def against_naive() -> None:
    """T3: a kit of 30,000 records against the straightforward program on the same records, findings compared."""
    measure.heading(
        "kit of a tenth of the records, against tarfile + json + a dictionary + rfc8785 on the same records"
    )
    archive = world.PLACE / "naive.tar.zst"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    words = [sys.executable, Path(__file__).with_name("naive.py"), "replay", archive, digest]
    naive = json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)
    if naive != recorded_findings("tenth"):
        raise SystemExit("the straightforward program has other findings")
    ours, theirs = measure.paired(world.check("replay", "tenth"), Command(words))
    measure.ratio("T3", f"stella replay, {len(naive)} hits", ours.cpu, theirs.cpu, 1 / 30)
    ours, theirs = measure.paired(world.check("replay", "tenth", program=world.frozen), Command(words))
    measure.ratio("T3", f"stella replay, {len(naive)} hits, frozen folder", ours.cpu, theirs.cpu, 1 / 30)


def recorded_findings(name: str) -> list[list[object]]:
    """Return the recorded findings as the straightforward program gives its own."""
    archive = world.manifest(name).with_name("outputbundle.tar.zst")
    with tempfile.TemporaryFile() as content:
        subprocess.run(["zstd", "-dc", archive], stdout=content, check=True)
        content.seek(0)
        with tarfile.open(fileobj=content) as members:
            file = members.extractfile("findings.json")
            assert file is not None
            document = json.load(file)
    return sorted(
        [finding["component"]["purl"], record["id"], record["digest"], matched["affected"]]
        for finding in document["findings"]
        for record in finding["records"]
        for matched in record["matched"]
    )


def memory() -> None:
    """T4: peak memory, and that it does not follow the feed."""
    measure.heading("peak resident memory")
    for verb, limit in (("verify", 40), ("replay", 80)):
        large = measure.alone(world.check(verb, "large"), 3).peak
        small = measure.alone(world.check(verb, "small"), 3).peak
        measure.absolute("T4", f"stella {verb}, large kit", large, limit, "MB")
        measure.absolute("T4", f"stella {verb}, large kit - small kit", large - small, 10, "MB")


def real_scan() -> None:
    """Replay the scan of a real SBOM of 1,607 packages against the real PyPI and Go advisories."""
    measure.heading("real scan: SPDX document of 1,607 packages, PyPI and Go advisories")
    if not world.has_real_data():
        measure.told("", "skipped", f"no {world.REAL_SBOM} below {world.DATA.name}; see STELLA_TEST_DATA")
        return
    for name, folder in (("frozen folder", True), ("frozen single file", False)):
        command = world.check("replay", "real", program=lambda *words, at=folder: world.frozen(*words, folder=at))
        measure.absolute("real", f"stella replay, {name}", measure.alone(command).cpu, 1.0)
    measure.absolute("real", "stella replay, from source", measure.alone(world.check("replay", "real")).cpu, 1.0)


if __name__ == "__main__":
    world.ensure(real=True, freeze=True)
    against_peer()
    against_naive()
    memory()
    real_scan()
