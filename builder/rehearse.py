"""Rehearsing a kit: the verifier runs on the finished kit, under its guard, as it will behind the gap."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import kit as product
from kit import kitfile, layout
from kit.bytes import digest
from kit.errors import FileMissing
from verifier import site


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The outcome for one scan: the verifier's exit code, its verdict and its reason."""

    scan_id: str
    exit_code: int
    verdict: str
    reason: str


def rehearse(kit: Path, root: bytes, *, program: Path | None) -> list[Rehearsal]:
    """Replay every scan of a kit at a throw-away site that pins ``root``, one process a scan.

    ``program`` is a frozen verifier; without it the installed program runs. Nothing of the rehearsal stays behind.
    """
    described = kitfile.parse((kit / layout.KIT_FILE).read_bytes())
    command = [str(program)] if program else [sys.executable, "-m", "stella"]
    environment = os.environ | {"PYTHONPATH": str(Path(product.__file__).parents[1])}
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="stella-rehearsal-") as scratch:
        place = Path(scratch)
        site.init(place / "site", root, digest.of_bytes(root), entropy=os.urandom)
        for scan in described.scans:
            manifest = kit / layout.scan_directory(scan.id) / layout.MANIFEST_FILE
            arguments = ["replay", str(manifest), "--strict", "--offline", "--json", "--progress", "none"]
            places = ["--site", str(place / "site"), "--ops", str(place / "ops")]
            done = subprocess.run([*command, *arguments, *places], capture_output=True, check=False, env=environment)  # noqa: S603
            outcomes.append(_outcome(scan.id, done))
    return outcomes


def program_in(kit: Path, platform: str) -> Path | None:
    """Return the kit's own verifier for a platform such as ``linux-x86_64``, where it carries one."""
    path = kit / layout.PROGRAM_DIRECTORY / platform / "stella"
    return path if path.is_file() and os.access(path, os.X_OK) else None


def _outcome(scan_id: str, done: "subprocess.CompletedProcess[bytes]") -> Rehearsal:
    try:
        said = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise FileMissing(path=scan_id, detail=f"the verifier gave no result (exit code {done.returncode})") from None
    return Rehearsal(scan_id, done.returncode, str(said.get("verdict", "REFUSED")), str(said.get("reason", "")))
