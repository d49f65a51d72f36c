"""Fetches the pinned Debian packages of ``sources.toml`` through apt, checks them, and unpacks them.

apt runs on state of its own below the work directory, with the archives that the machine is set up for: nothing of the
machine is changed, and no archive is named here.
"""

import os
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.bytes import digest
from kit.errors import DigestMismatch, FileMissing, InternalError

LOCK = Path(__file__).with_name("sources.toml")


@dataclass(frozen=True, slots=True)
class Package:
    """A pinned package: the files that make it, by name, with the hexadecimal SHA-256 of each."""

    name: str
    version: str
    suite: str | None
    files: Mapping[str, str]


def packages(kind: str) -> list[Package]:
    """Return the pinned packages: kind ``source`` or ``binary``."""
    listed = tomllib.loads(LOCK.read_text())[kind]
    return [Package(one["package"], one["version"], one.get("suite"), one["files"]) for one in listed]


def fetch(work: Path) -> Path:
    """Fetch and unpack what is not there yet; return the directory, with one below it for each package."""
    place = work / "sources"
    place.mkdir(parents=True, exist_ok=True)
    missing = [(kind, one) for kind in ("source", "binary") for one in packages(kind) if not _is_there(place, one)]
    if not missing:
        return place
    archives = place / "archives"
    archives.mkdir(exist_ok=True)
    suites = {one.suite for _, one in missing if one.suite}
    archive, security = _Apt(work / "apt", suites), _Apt(work / "apt-security", suites, security=True)
    for kind, one in missing:
        wanted = f"{one.name}={one.version}"
        words = ("source", "--download-only", wanted) if kind == "source" else ("download", wanted)
        try:
            archive.run(*words, cwd=archives)
        except InternalError:  # a security update is there first, and may be there alone
            security.run(*words, cwd=archives)
        for name, expected in one.files.items():
            check(archives / name, expected)
        target = place / one.name
        if kind == "source":
            description = next(archives / name for name in one.files if name.endswith(".dsc"))
            call(["dpkg-source", "--no-check", "-x", description, target], cwd=place)
        else:
            call(["dpkg-deb", "-x", archives / next(iter(one.files)), target], cwd=place)
        (place / f"{one.name}.version").write_text(one.version)
    return place


def check(path: Path, expected: str) -> None:
    """Raise :class:`DigestMismatch` unless the file has the hexadecimal SHA-256."""
    if not path.is_file():
        raise FileMissing(path=path.name, detail="its version left the archive; see tools/release/sources.toml")
    found = digest.hex_of(digest.of_file(path)[0])
    if found != expected:
        raise DigestMismatch(path=path.name, expected=expected, found=found)


def call(words: Sequence[str | Path], cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed; InternalError with the end of its output where it fails."""
    done = subprocess.run(  # noqa: S603  # our own words only
        [str(word) for word in words],
        cwd=cwd,
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InternalError(detail=f"{words[0]} {words[1]} ended with {done.returncode}: {done.stdout[-4000:]}")
    return done.stdout


def _is_there(place: Path, one: Package) -> bool:
    stamp = place / f"{one.name}.version"
    return stamp.is_file() and stamp.read_text() == one.version


class _Apt:
    """apt with lists, cache and sources of its own: source packages, and the suites asked for."""

    def __init__(self, place: Path, suites: set[str], *, security: bool = False) -> None:
        for below in ("lists/partial", "cache/archives/partial", "sources"):
            (place / below).mkdir(parents=True, exist_ok=True)
        fields = "$(REPO_URI) $(RELEASE) $(ORIGIN)"
        asked = ["apt-get", "indextargets", "--format", fields, "Created-By: Packages", "Component: main"]
        known = {line for line in call(asked, cwd=place).splitlines() if line.endswith(" Debian")}
        if not known:
            raise FileMissing(path="sources.list", detail="apt knows no Debian archive: run apt-get update")
        lines = []
        for line in sorted(known):
            where, suite, _origin = line.split()
            if suite.endswith("-security") != security:
                continue
            lines.append(f"deb-src {where} {suite} main")
            if "-" not in suite:
                lines += [f"deb {where} {each} main" for each in sorted(suites)]
        (place / "sources" / "debian.list").write_text("\n".join(lines) + "\n")
        self._options = [
            f"Dir::Etc::SourceList={os.devnull}",
            f"Dir::Etc::SourceParts={place / 'sources'}",
            f"Dir::State::Lists={place / 'lists'}",
            f"Dir::State::Status={os.devnull}",
            f"Dir::Cache={place / 'cache'}",
            "APT::Sandbox::User=root",  # its own user may not enter our directories
            "Acquire::Retries=3",
        ]
        self._updated = False

    def run(self, *words: str, cwd: Path) -> None:
        options = [word for option in self._options for word in ("-o", option)]
        if not self._updated:
            call(["apt-get", "-q", *options, "update"], cwd=cwd)
            self._updated = True
        call(["apt-get", "-q", *options, *words], cwd=cwd)
