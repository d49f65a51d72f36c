"""Somebody who has only the disc, and follows docs/operator.md in an otherwise empty root."""

import contextlib
import hashlib
import io
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import stella
from tests.world import INPUTS, ROOT

PAGE = (ROOT / "docs" / "operator.md").read_text()
CHAPTERS = ("Once: pin the trust root", "Each kit", "Taking a kit in", "What it leaves behind", "The way back")
DISC, DESK = "/media/cdrom", "/srv"

CODES = {
    "stella offline import /media/cdrom": 51,  # it was just taken in
    "stella offline open MEDIUM --out DIR": 2,  # this disc is not sealed
    "stella offline rollback --reason TEXT": 2,  # there is no kit before the first one
}
"""What commands in the running text end with, where that is not 0."""
PARTS = ("stella verify", "stella receipt check FILE --rootpack DIR")
"""Named without what they need, or for the desk at home."""


@dataclass
class Home:
    """The connected side, which fills a disc."""

    place: Path

    def run(self, line: str) -> str:
        """Run a command here and return what it said on its standard output."""
        said = io.BytesIO()
        stream = io.TextIOWrapper(said, write_through=True)
        with contextlib.chdir(self.place), contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            code = stella.main(shlex.split(line)[1:])
        assert code == 0, f"{line}\n{said.getvalue().decode()}"
        return said.getvalue().decode()

    def disc(self, programs: Path) -> Path:
        """Return a kit with one scan and the frozen verifier of a directory ``<os>-<arch>``."""
        shutil.copyfile(INPUTS / "sbom.cdx.json", self.place / "sbom.cdx.json")
        shutil.copyfile(INPUTS / "policy.toml", self.place / "policy.toml")
        self.run("stella rootpack init --owner release --single-signer")
        self.run(f"stella feed add pypi {INPUTS / 'advisories'}")
        scan = "--sbom sbom.cdx.json --feed pypi --policy policy.toml --key keys/kit-1.key.pem --out records"
        self.run(f"stella scan --record {scan}")
        record = next((self.place / "records").iterdir())
        self.run(
            f"stella kit build --record {record} --key keys/kit-1.key.pem --sequence 1 --program {programs} --out kit"
        )
        subprocess.run(["chmod", "-R", "a+rX", self.place / "kit"], check=True)
        return self.place / "kit"


@dataclass
class Desk:
    """The host behind the gap: a disc, one directory to write in, /proc, and nothing else but ``libraries``.

    ``program`` is the path of the verifier on the disc, ``before`` are words to put before everything.
    """

    disc: Path
    place: Path
    program: str
    libraries: Sequence[Path] = ()
    options: Sequence[str] = ()
    before: Sequence[str] = ()
    ran: list[str] = field(default_factory=list)

    def follow(self) -> None:
        """Carry out the chapters: the blocks of commands as they stand there, then those in the text."""
        (self.place / "1.root.json").write_bytes((self.disc / "rootpack/metadata/1.root.json").read_bytes())
        for title in CHAPTERS:
            text = chapter(title)
            for line in blocks(text):
                self.run(line)
            for line in spans(text):
                self.run(line, CODES.get(line, 0))

    def run(self, line: str, expected: int = 0) -> str:
        """Run one command of the page, which has to end with the expected code; return what it said."""
        words = shlex.split(self.fill_in(line))
        assert words[0] == "stella"
        done = subprocess.run(
            [*self.before, *self._root(), f"{DISC}/{self.program}", *words[1:]],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )
        assert done.returncode == expected, f"{line}\n{done.returncode}\n{done.stdout}\n{done.stderr}"
        self.ran.append(line)
        return done.stdout

    def fill_in(self, line: str) -> str:
        """Fill in what the page leaves open."""
        root = hashlib.sha256((self.disc / "rootpack/metadata/1.root.json").read_bytes()).hexdigest()
        line = line.replace("<64 hex digits>", root).replace("MEDIUM", DISC)
        line = line.replace("RUN_DIR", "ops/offline/replay/<scan-id>/<run-id>")
        line = line.replace("--scan ID", "--scan <scan-id>")
        line = line.replace("<scan-id>", next((self.disc / "replay").iterdir()).name)
        if "<run-id>" in line:
            runs = next((self.place / "ops/offline/replay").iterdir())
            # The first to end: names alone do not order runs of one second.
            first = min(runs.iterdir(), key=lambda run: (run / "result.json").stat().st_mtime_ns)
            line = line.replace("<run-id>", first.name)
        return line.replace("[", "").replace("]", "")

    def _root(self) -> Iterator[str]:
        yield from ("bwrap", "--clearenv", "--unshare-pid", "--proc", "/proc")
        yield from ("--ro-bind", str(self.disc), DISC, "--bind", str(self.place), DESK, "--chdir", DESK)
        for library in self.libraries:
            yield from ("--ro-bind", str(library), str(library))
        yield from (*self.options, "--")


def chapter(title: str) -> str:
    """Return the text of a chapter of the page."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def blocks(text: str) -> list[str]:
    """Return the commands of a text's blocks."""
    found = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in found for line in block.splitlines()]


def spans(text: str) -> list[str]:
    """Return the commands within a text's sentences and tables, once each."""
    outside = re.sub(r"^```\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = [line for line in re.findall(r"`(stella [^`]+)`", outside) if line not in PARTS]
    return list(dict.fromkeys(found))


def back_at_home(home: Home, desk: Desk) -> str:
    """Enrol the site and check what it handed back; return what is said of it."""
    shutil.copyfile(desk.place / "ops/site/site.pub.pem", home.place / "site.pub.pem")
    home.run("stella rootpack add-key site.pub.pem --usage site --owner site-7")
    shutil.copyfile(desk.place / "receipt.dsse.json", home.place / "receipt.dsse.json")
    return home.run("stella receipt check receipt.dsse.json --rootpack rootpack --json")


def libraries_of(folder: Path) -> list[Path]:
    """Return the files of this machine's C library that a folder form asks for."""
    found: set[Path] = set()
    for path in [folder / "stella", *folder.rglob("*.so*")]:
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        found |= {Path(name) for name in re.findall(r"(/\S+) \(0x", said)}
    return sorted(path for path in found if folder not in path.parents)
