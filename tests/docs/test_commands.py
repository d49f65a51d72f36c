"""The commands that README.md shows work as they stand there, in the order in which they stand there."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import INPUTS, ROOT

BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """Return the lines of a page's code blocks that call the program, without their comments."""
    lines = [line for block in BLOCK.findall((ROOT / page).read_text()) for line in block.splitlines()]
    return [line.partition("  #")[0].strip() for line in lines if line.startswith("stella ")]


class Reader:
    """Somebody who follows a page: copies what it names into place, fills in what it leaves open."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.environment = os.environ | {"PYTHONPATH": str(ROOT)}
        for name in ("STELLA_OPS", "STELLA_SITE", "STELLA_FEEDS", "STELLA_LOCKER", "STELLA_ROOTPACK", "STELLA_KEYS"):
            self.environment.pop(name, None)

    def fill_in(self, line: str) -> str:
        root = self.place / "rootpack" / "metadata" / "1.root.json"
        if "<hex>" in line:
            line = line.replace("<hex>", hashlib.sha256(root.read_bytes()).hexdigest())
        if "<scan-id>" in line:
            line = line.replace("<scan-id>", next((self.place / "records").iterdir()).name)
        if "<run-id>" in line:
            runs = next((self.place / "ops/offline/replay").iterdir())
            line = line.replace("<run-id>", min(runs.iterdir()).name)
        return line

    def run(self, line: str) -> None:
        words = shlex.split(self.fill_in(line))
        assert words[0] == "stella"
        command = [sys.executable, "-m", "stella", *words[1:]]
        done = subprocess.run(
            command, cwd=self.place, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    made = Reader(tmp_path)
    for name in ("sbom.cdx.json", "policy.toml"):
        shutil.copyfile(INPUTS / name, tmp_path / name)
    shutil.make_archive(str(tmp_path / "all"), "zip", INPUTS / "advisories")
    return made


def test_readme_walks_from_keys_to_the_locker(reader: Reader, frozen_verifier) -> None:
    shown = commands("README.md")
    assert [line.split()[1] for line in shown].count("replay") == 2
    shutil.copytree(frozen_verifier.directory, reader.place / "dist" / "linux-x86_64")
    for line in shown:
        if line.startswith("stella offline init"):
            shutil.copyfile(reader.place / "rootpack/metadata/1.root.json", reader.place / "1.root.json")
        if line.startswith("stella rootpack add-key"):
            shutil.copyfile(reader.place / "ops/site/site.pub.pem", reader.place / "site.pub.pem")
        if "later-snapshot" in line:
            later = ["feed", "add", "pypi", str(INPUTS / "advisories-later"), "--feeds", "later"]
            reader.run(shlex.join(["stella", *later]))
            snapshot = next(path for path in (reader.place / "later/pypi").iterdir() if path.is_dir())
            snapshot.rename(reader.place / "later-snapshot")
        reader.run(line)
    assert (reader.place / "results.stella-sync").is_file()


@pytest.mark.parametrize("page", ["docs/operator.md", "docs/locker.md", "docs/auditor.md", "README.md"])
def test_shown_commands_and_options_exist(page: str) -> None:
    shown = commands(page)
    assert shown or page == "docs/auditor.md"
    for line in shown:
        words = shlex.split(line.translate(dict.fromkeys(map(ord, "<>[]"))))
        group = (
            words[1:3]
            if words[1] in ("rootpack", "feed", "kit", "locker", "offline", "sync", "timeline", "retention", "evidence")
            else words[1:2]
        )
        group = words[1:4] if group in (["locker", "audit"], ["evidence", "holds"]) else group
        command = [sys.executable, "-m", "stella", *group, "--help"]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, line
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in done.stdout, f"{page}: {line}"


@pytest.mark.parametrize("page", [*sorted(path.name for path in (ROOT / "docs").glob("*.md")), "README.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page if page == "README.md" else ROOT / "docs" / page
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        assert (path.parent / target).exists(), f"{page} links to {target}"
