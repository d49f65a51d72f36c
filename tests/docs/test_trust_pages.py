"""docs/operator.md and docs/trust.md: the keepers' commands work as they stand there, and sites follow them."""

import contextlib
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import stella
from builder import trust_draft, trust_view
from kit.result import REFUSED, VERIFIED
from kit.trust import revocations, rootpack
from tests.world import INPUTS, ROOT
from verifier import site as sites
from verifier import site_time
from verifier.site_time import TimeFloor

OPERATOR = (ROOT / "docs" / "operator.md").read_text()
TRUST = (ROOT / "docs" / "trust.md").read_text()
CHAPTERS = {
    "Keeping the keys": 10,
    "Rotating": 10,
    "Sending a kit on several media": 7,
    "Revoking": 12,
    "Recovering a lost key": 17,
    "When a site reports ToolHashMismatch": 12,
}
HALF_OF_A_KIT = "108K"
"""A medium that takes more than half of the kit of this test, which carries no program."""
EXPECTED_CODE = re.compile(r"\s+# leaves with ([0-9]+)$")


def chapter(title: str) -> str:
    """Return the text of a chapter of the operator's guide."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", OPERATOR, re.MULTILINE | re.DOTALL)
    return str(found)


def lines_of(text: str) -> list[str]:
    """Return the commands of a text."""
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@dataclass
class Desk:
    """Somebody who follows the guide in one directory; what it leaves open is filled in from what came before."""

    place: Path
    said: str = ""

    def follow(self, title: str) -> None:
        """Carry out a chapter, every command of which has to end with the code that the page says."""
        lines = lines_of(chapter(title))
        assert len(lines) == CHAPTERS[title]
        for line in lines:
            self.run(line)

    def run(self, line: str) -> None:
        expected = EXPECTED_CODE.search(line)
        filled = self.fill_in(EXPECTED_CODE.sub("", line))
        words = shlex.split(filled)
        if words[:2] == ["stella", "rootpack"]:
            code = self._here(words[1:])
        else:
            code = self.start([sys.executable, "-m", *words] if words[0] == "stella" else ["sh", "-c", filled])
        assert code == (int(expected[1]) if expected else 0), f"{line}\n{self.said}"

    def _here(self, words: list[str]) -> int:
        said = io.TextIOWrapper(io.BytesIO())
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = stella.main(words)
        self.said = said.buffer.getvalue().decode()  # type: ignore[attr-defined]
        return code

    def start(self, command: list[str]) -> int:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STELLA_")}
        environment = kept | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=self.place, env=environment, capture_output=True, text=True, check=False)
        self.said = done.stdout + done.stderr
        return done.returncode

    def fill_in(self, line: str) -> str:
        for draft in re.findall(r"<change of ([a-z.]+)>", line):
            opened = trust_draft.open_on(trust_draft.parse((self.place / draft).read_bytes()), self.files())
            line = line.replace(f"<change of {draft}>", opened.fingerprint.removeprefix("sha256:"))
        if "<scan-id>" in line:
            (directory,) = re.findall(r"(\S+)/<scan-id>", line)
            line = line.replace("<scan-id>", next((self.place / directory).iterdir()).name)
        line = line.replace("<size>", HALF_OF_A_KIT)
        if "<printed fingerprint>" in line:
            self.run("stella rootpack show")
            (printed,) = re.findall(r"SHA256:[0-9a-f: ]+(?=\n)", self.said)[:1]
            line = line.replace("<printed fingerprint>", printed)
        if "<moment>" in line:
            time.sleep(1.1)  # what was taken in before lies in an earlier second
            line = line.replace("<moment>", trust_view.text(datetime.now(UTC)))
        return line

    def files(self) -> rootpack.RootPackFiles:
        return trust_view.current_files(self.place / "rootpack")

    def pack(self) -> rootpack.TrustedPack:
        """Return the RootPack as one sees it who pinned the first root."""
        found = self.files()
        later = datetime.now(UTC) + timedelta(days=1)
        return rootpack.load(found, pinned_root=found["metadata/1.root.json"], reference_time=later)

    def result(self) -> dict[str, object]:
        """Return the newest result that a replay left behind."""
        newest = max((self.place / "ops/offline/replay").rglob("result.json"), key=lambda path: path.stat().st_mtime_ns)
        read: dict[str, object] = json.loads(newest.read_bytes())
        return read


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("STELLA_OPS", "STELLA_SITE", "STELLA_FEEDS", "STELLA_LOCKER", "STELLA_ROOTPACK", "STELLA_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("sbom.cdx.json", "policy.toml"):
        shutil.copyfile(INPUTS / name, tmp_path / name)
    made = Desk(tmp_path)
    made.run(f"stella feed add pypi {INPUTS / 'advisories'}")
    return made


def states(desk: Desk) -> dict[str, str]:
    """Return the state of each revoked key by the name of its file."""
    names = {trust_fingerprint(path): path.name.partition(".")[0] for path in (desk.place / "keys").glob("*.pub.pem")}
    return {names[entry.fingerprint]: entry.state for entry in desk.pack().revoked}


def bytes_below(directory: Path) -> dict[str, bytes]:
    """Return every file of a directory by its path."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def trust_fingerprint(path: Path) -> str:
    from builder import signer

    return signer.load_public(path).fingerprint


def take(desk: Desk, kit: str, site: str = "ops/site") -> tuple[str, str]:
    """Replay a kit at a site and return verdict and reason."""
    scan = next((desk.place / kit / "replay").iterdir()).name
    manifest = f"{kit}/replay/{scan}/manifest.json"
    desk.start([sys.executable, "-m", "stella", "replay", manifest, "--strict", "--offline", "--site", site])
    result = desk.result()
    return str(result["verdict"]), str(result["reason"])


def test_the_keepers_chapters_from_the_ceremony_to_the_incident(desk: Desk) -> None:
    desk.follow("Keeping the keys")
    assert "SHA256:" in desk.said
    (pin,) = lines_of(chapter("Once: pin the trust root"))
    root = (desk.place / "rootpack/metadata/1.root.json").read_bytes()
    (desk.place / "1.root.json").write_bytes(root)
    desk.run(pin.replace("<64 hex digits>", hashlib.sha256(root).hexdigest()))
    # A site takes a kit of the first key in before anything changes.
    desk.run(
        "stella scan --record --sbom sbom.cdx.json --feed pypi --policy policy.toml --key keys/kit-1.key.pem --out r"
    )
    desk.run("stella kit build --record r/<scan-id> --key keys/kit-1.key.pem --sequence 1 --out offline-1")
    assert take(desk, "offline-1") == (VERIFIED, "Ok")

    desk.follow("Rotating")
    assert (desk.pack().root_version, len(desk.pack().keys("kit", None))) == (2, 2)
    assert take(desk, "offline-2") == (VERIFIED, "Ok")
    assert take(desk, "offline-1") == (VERIFIED, "Ok")

    desk.follow("Sending a kit on several media")
    assert bytes_below(desk.place / "joined") == bytes_below(desk.place / "offline-2")
    assert sorted(path.name for path in (desk.place / "media").iterdir()) == ["volume-1-of-2", "volume-2-of-2"]

    desk.follow("Revoking")
    assert states(desk) == {"kit-1": revocations.RETIRED, "kit-2": revocations.COMPROMISED}
    assert take(desk, "offline-3") == (VERIFIED, "Ok")
    for earlier in ("offline-1", "offline-2"):  # taken in before, so they stay
        assert take(desk, earlier) == (VERIFIED, "Ok")
        assert desk.result()["notes"]
    desk.run(
        "stella kit build --record records-2/<scan-id> --key keys/kit-3.key.pem --sequence 9 --out x   # leaves with 21"
    )
    assert "SignerUnfit" in desk.said

    desk.follow("Recovering a lost key")
    assert desk.pack().root_version == 4
    assert [entry.usage for entry in desk.pack().trusted_keys if entry.owner == "site-7"] == ["site"]
    assert take(desk, "offline-4") == (VERIFIED, "Ok")

    desk.follow("When a site reports ToolHashMismatch")
    assert states(desk)["kit-3"] == revocations.COMPROMISED
    # By the moment of writing: two runs may have begun in one second.
    written = sorted((desk.place / "ops").rglob("result.json"), key=lambda path: path.stat().st_mtime_ns)
    results = [json.loads(path.read_bytes()) for path in written[-4:]]
    assert [(result["verdict"], result["reason"]) for result in results[-1:]] == [(REFUSED, "OlderThanAccepted")]
    (told,) = [note for result in results for note in result.get("notes", ()) if "compromised since" in note][:1]
    assert "counts because it was taken in on" in told


def test_the_floor_is_lowered_as_the_page_says(desk: Desk) -> None:
    (line,) = [line for line in lines_of(chapter("Questions that come up")) if "floor" in line]
    desk.follow("Keeping the keys")
    root = (desk.place / "rootpack/metadata/1.root.json").read_bytes()
    site = sites.init(desk.place / "ops/site", root, sites.root_fingerprint(root), entropy=os.urandom)
    later = trust_view.text(datetime.now(UTC) + timedelta(days=90))
    site.update(time_floor=TimeFloor(time=later, source=site_time.RESULT, evidence="run"))
    desk.run(line)
    lowered = sites.load(desk.place / "ops/site").state
    assert (lowered.time_floor.time, lowered.floor_resets[0].before.time) == ("2026-01-01T00:00:00Z", later)


def test_settings_on_the_page_are_settings() -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", TRUST, re.DOTALL)
    assert site_time.parse_settings(shown.encode()).kit_breach_hours == 336
    assert set(tomllib.loads(shown)) == {name.replace("_", "-") for name in site_time.Settings.__struct_fields__}


def test_no_command_of_the_keepers_stands_in_two_pages() -> None:
    assert not lines_of(TRUST)


@pytest.mark.parametrize("title", CHAPTERS)
def test_anchors_of_the_chapters_are_there(title: str) -> None:
    anchor = title.lower().replace(" ", "-")
    assert f"(#{anchor})" in OPERATOR or f"operator.md#{anchor}" in TRUST


def test_every_anchor_leads_to_a_heading() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", found.lower()).replace(" ", "-")
        for found in re.findall(r"^#+ (.*)$", OPERATOR, re.MULTILINE)
    }
    linked = set(re.findall(r"\(#([a-z0-9-]+)\)", OPERATOR)) | set(re.findall(r"operator\.md#([a-z0-9-]+)", TRUST))
    assert linked <= headings
