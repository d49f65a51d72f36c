"""The whole main job on the project's own example input: record, carry across the gap, replay, bring the proof home.

Run by ``make demo``. Everything happens below ``demo/`` (or the directory given as argument): ``connected/`` is the
site that scans, ``airgap/`` the one that replays.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
INPUTS = HERE / "inputs"
DEMO = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "demo"
CONNECTED = DEMO / "connected"
AIRGAP = DEMO / "airgap"
SCAN_ID = "5e11a000-0000-4000-8000-000000000001"
FEED = "example-pypi"
POLICY = os.path.relpath(INPUTS / "policy.toml")


class Demo:
    """Runs commands and prints one line a step: title, seconds, verdict."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.number = 0

    def step(self, title: str, command: list[str], *, expect: int = 0, cwd: Path = ROOT) -> str:
        """Run one command; print its verdict line; stop the demo when its exit code is not the expected one."""
        self.number += 1
        started = time.monotonic()
        print(f"{self.number:2}  {title:<58} ", end="", flush=True)
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment())
        said = [line for line in done.stderr.splitlines() if line.startswith("VERDICT")]
        verdict = said[-1].removeprefix("VERDICT").split("  next:")[0].strip() if said else f"exit {done.returncode}"
        print(f"{time.monotonic() - started:5.1f} s  {verdict}", flush=True)
        if done.returncode != expect:
            print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
            raise SystemExit(f"demo: expected exit code {expect}, got {done.returncode}: {' '.join(command)}")
        return done.stdout


def environment() -> dict[str, str]:
    """Return the environment of the installed program's processes."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def without_network() -> list[str]:
    """Return a prefix that starts a command in an empty network namespace, where this machine lets us make one."""
    prefix = ["unshare", "--map-root-user", "--net"]
    probe = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    return prefix if probe.returncode == 0 else []


def main() -> None:
    """Walk the whole way."""
    shutil.rmtree(DEMO, ignore_errors=True)
    CONNECTED.mkdir(parents=True)
    AIRGAP.mkdir()
    demo = Demo()
    kit = connected_half(demo)
    runs = airgap_half(demo, kit)
    home_again(demo)
    refusal_and_what_if(demo, kit)
    print(f"\nDone in {time.monotonic() - demo.started:.0f} s. Look at:")
    for label, path in (
        ("the page of the replay", runs / "report.html"),
        ("its signed result", runs / "result.json"),
        ("its receipt", runs / "receipt.txt"),
        ("its log", runs / "journal.ndjson"),
        ("the kit", kit / "README.txt"),
        ("all runs", AIRGAP / "ops/offline/replay" / SCAN_ID),
    ):
        print(f"  {label:<24} {os.path.relpath(path)}")
    stella, locker = os.path.relpath(ROOT / ".venv/bin/stella"), os.path.relpath(CONNECTED / "locker")
    print("\nTry next:")
    print(f"  why each finding counts  {stella} policy explain {POLICY} --findings {os.path.relpath(runs)}")
    print(f"  what the locker knows    {stella} locker show {SCAN_ID} --locker {locker}")
    print(f"  an SBOM of your own      {stella} help feed add, then {stella} help scan")


def connected_half(demo: Demo) -> Path:
    """Make keys, feed, record and kit; return the kit's directory."""
    stella = [sys.executable, "-m", "stella"]
    key = str(CONNECTED / "keys/kit-1.key.pem")
    rootpack = str(CONNECTED / "rootpack")
    demo.step(
        "create the RootPack and its keys",
        [
            *stella,
            "rootpack",
            "init",
            "--rootpack",
            rootpack,
            "--keys",
            str(CONNECTED / "keys"),
            "--owner",
            "example",
            "--single-signer",
        ],
    )
    store = ["--feeds", str(CONNECTED / "feeds")]
    demo.step("take a feed snapshot", feed_add(stella, store, "advisories", "2026-06-01T00:00:00Z"))
    record = CONNECTED / "records" / SCAN_ID
    demo.step(
        "record a scan",
        [
            *stella, "scan", "--record", "--sbom", str(INPUTS / "sbom.cdx.json"), *store, "--feed", FEED,
            "--vex", str(INPUTS / "vex/orders-api.openvex.json"), "--policy", str(INPUTS / "policy.toml"), "--key", key,
            "--rootpack", rootpack, "--scan-id", SCAN_ID, "--time", "2026-06-02T08:00:00Z", "--out", str(record.parent),
        ],
    )  # fmt: skip
    root = CONNECTED / "rootpack/metadata/1.root.json"
    locker = str(CONNECTED / "locker")
    demo.step("make the Evidence Locker", [*stella, "locker", "init", locker, *pin(root)])
    demo.step(
        "ingest the record", [*stella, "locker", "ingest", str(record), "--locker", locker, "--rootpack", rootpack]
    )
    demo.step(
        "freeze the verifier (the first time: about a minute)",
        [sys.executable, "-m", "builder.freeze", "--out", str(DEMO / "dist")],
    )
    kit = DEMO / "medium/offline"
    program = next(path for path in sorted((DEMO / "dist").iterdir()) if path.is_dir())
    demo.step(
        "build the kit",
        [
            *stella, "kit", "build", "--record", str(record), "--rootpack", rootpack, "--key", key, "--program",
            str(program), "--sequence", "1", "--out", str(kit),
        ],
    )  # fmt: skip
    demo.step("rehearse it, offline", [*stella, "kit", "rehearse", str(kit), "--root", str(root)])
    return kit


def airgap_half(demo: Demo, kit: Path) -> Path:
    """Pin the root and replay with the kit's frozen binary; return the run's directory."""
    binary = frozen(kit)
    root = kit / "rootpack/metadata/1.root.json"
    demo.step("at the site: pin the trust root", [*binary, "offline", "init", *pin(root)], cwd=AIRGAP)
    demo.step("look at the medium", [*binary, "look", str(kit)], cwd=AIRGAP)
    manifest = str(kit / "replay" / SCAN_ID / "manifest.json")
    offline = without_network()
    title = "replay, strict, frozen, " + ("in an empty network namespace" if offline else "under its own guard")
    demo.step(title, [*offline, *binary, "replay", manifest, "--strict", "--offline"], cwd=AIRGAP)
    runs = min((AIRGAP / "ops/offline/replay" / SCAN_ID).iterdir())
    demo.step("print the receipt", [*binary, "receipt", str(runs)], cwd=AIRGAP)
    demo.step(
        "pack the signed results",
        [*binary, "sync", "export", "--out", str(DEMO / "medium/results.stella-sync")],
        cwd=AIRGAP,
    )
    return runs


def home_again(demo: Demo) -> None:
    """Enrol the site's key and import its results."""
    stella = [sys.executable, "-m", "stella"]
    rootpack = str(CONNECTED / "rootpack")
    demo.step(
        "at home: enrol the site's key in the RootPack",
        [
            *stella, "rootpack", "add-key", str(AIRGAP / "ops/site/site.pub.pem"), "--rootpack", rootpack, "--keys",
            str(CONNECTED / "keys"), "--usage", "site", "--owner", "example site",
        ],
    )  # fmt: skip
    demo.step(
        "import the results into the locker",
        [
            *stella, "sync", "import", str(DEMO / "medium/results.stella-sync"), "--locker",
            str(CONNECTED / "locker"), "--rootpack", rootpack,
        ],
    )  # fmt: skip


def refusal_and_what_if(demo: Demo, kit: Path) -> None:
    """Flip one byte of a copy of the kit and see it refused; then ask what later advisories would say."""
    binary = frozen(kit)
    tampered = DEMO / "medium/tampered"
    shutil.copytree(kit, tampered)
    bundle = tampered / "replay" / SCAN_ID / "inputbundle.tar.zst"
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    manifest = str(tampered / "replay" / SCAN_ID / "manifest.json")
    demo.step(
        "flip one byte of the kit: refused",
        [*binary, "replay", manifest, "--strict", "--offline"],
        expect=30,
        cwd=AIRGAP,
    )
    stella = [sys.executable, "-m", "stella"]
    later = CONNECTED / "later"
    demo.step(
        "take a later feed snapshot",
        feed_add(stella, ["--feeds", str(later)], "advisories-later", "2026-09-01T00:00:00Z"),
    )
    snapshot = next(path.parent for path in sorted(later.rglob("snapshot.json")))
    output = demo.step(
        "what if: the same scan against the later feed",
        [
            *binary, "replay", str(kit / "replay" / SCAN_ID / "manifest.json"), "--what-if", "--vary=feeds", "--with",
            str(snapshot), "--json",
        ],
        cwd=AIRGAP,
    )  # fmt: skip
    causes = json.loads(output)["causes"]
    print(f"    differences: {in_words(causes)}")


def in_words(causes: dict[str, int]) -> str:
    """Return how many differences there are by cause, as people say it; the causes are those of docs/matching.md."""
    from verifier.report_difference import CAUSES, CONSEQUENCE

    own = [f"{CAUSES.get(cause, cause)} ({count})" for cause, count in sorted(causes.items()) if cause != CONSEQUENCE]
    following = causes.get(CONSEQUENCE, 0)
    return ", ".join(own) + (f"; {following} more follow from these" if following else "")


def feed_add(stella: list[str], store: list[str], name: str, moment: str) -> list[str]:
    """Return the command that takes a snapshot of one of the example's advisory directories."""
    return [*stella, "feed", "add", FEED, str(INPUTS / name), *store, "--time", moment]


def pin(root: Path) -> list[str]:
    """Return the options that pin a root; here the fingerprint comes from the same place, at a site it must not."""
    import hashlib

    return ["--root", str(root), "--expect-root", "SHA256:" + hashlib.sha256(root.read_bytes()).hexdigest()]


def frozen(kit: Path) -> list[str]:
    """Return the frozen verifier that the kit carries."""
    return [str(next((kit / "bin").glob("*/stella")))]


if __name__ == "__main__":
    main()
