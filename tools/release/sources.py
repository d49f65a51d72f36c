"""Fetches the pinned Debian packages of ``sources.toml`` through apt, checks them, and unpacks them.

A version that a mirror lists and has not yet, or no longer, is asked for again, from each archive that may have it.

apt runs on state of its own below the work directory, with the archives that the machine is set up for: nothing of the
machine is changed, and no archive is named here.
"""

import os
import shutil
import subprocess
import time
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
    architecture: str = ""

    @property
    def directory(self) -> str:
        """Where it is unpacked: by its name, and the architecture of a package that has one."""
        return f"{self.name}_{self.architecture}" if self.architecture else self.name

    @property
    def wanted(self) -> str:
        """Return it as apt names it."""
        return f"{self.name}:{self.architecture}={self.version}" if self.architecture else f"{self.name}={self.version}"


ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names of the machines that there are releases for."""

_ROUNDS = 3


def packages(kind: str, machine: str) -> list[Package]:
    """Return the pinned packages for a machine: kind ``source`` or ``binary``."""
    listed = tomllib.loads(LOCK.read_text())[kind]
    if kind == "source":
        return [Package(one["package"], one["version"], None, one["files"]) for one in listed]
    name = ARCHITECTURES[machine]
    return [
        Package(
            one["package"],
            one["version"],
            one["suite"],
            {file: found for file, found in one["files"].items() if file.endswith(f"_{name}.deb")},
            name,
        )
        for one in listed
    ]


def package(sources: Path, name: str, machine: str) -> Path:
    """Return where a binary package for a machine was unpacked."""
    return sources / f"{name}_{ARCHITECTURES[machine]}"


def fetch(work: Path, machine: str) -> Path:
    """Fetch and unpack what is not there yet; return the directory, with one below it for each package."""
    place = work / "sources"
    place.mkdir(parents=True, exist_ok=True)
    kinds = ("source", "binary")
    missing = [(kind, one) for kind in kinds for one in packages(kind, machine) if not _is_there(place, one)]
    if not missing:
        return place
    archives = place / "archives"
    archives.mkdir(exist_ok=True)
    suites = {one.suite for _, one in missing if one.suite}
    architectures = {one.architecture for _, one in missing if one.architecture}
    ways = [
        _Apt(work / f"apt-{name}", suites, architectures, security=security)
        for name, security in (("archive", False), ("security", True))
    ]
    for kind, one in missing:
        words = ("source", "--download-only", one.wanted) if kind == "source" else ("download", one.wanted)
        if not all(_has(archives / name, expected) for name, expected in one.files.items()):
            _download(ways, words, archives)
        for name, expected in one.files.items():
            check(archives / name, expected)
        target = place / one.directory
        shutil.rmtree(target, ignore_errors=True)
        if kind == "source":
            description = next(archives / name for name in one.files if name.endswith(".dsc"))
            call(["dpkg-source", "--no-check", "-x", description, target], cwd=place)
        else:
            call(["dpkg-deb", "-x", archives / next(iter(one.files)), target], cwd=place)
        (place / f"{one.directory}.version").write_text(one.version)
    return place


def _download(ways: "Sequence[_Apt]", words: Sequence[str], archives: Path) -> None:
    """Ask each archive in turn, and then again: a security update is in one of them first, and may be there alone."""
    for round_ in range(1, _ROUNDS + 1):
        for way in ways:
            try:
                way.run(*words, cwd=archives)
            except InternalError as error:
                refused = error
                continue
            return
        for way in ways:
            way.forget()
        if round_ < _ROUNDS:
            time.sleep(round_)
    raise refused


def _has(path: Path, expected: str) -> bool:
    return path.is_file() and digest.hex_of(digest.of_file(path)[0]) == expected


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
    stamp = place / f"{one.directory}.version"
    return stamp.is_file() and stamp.read_text() == one.version


class _Apt:
    """apt with lists, cache and sources of its own: source packages, and the suites asked for."""

    def __init__(self, place: Path, suites: set[str], architectures: set[str], *, security: bool) -> None:
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
                named = ",".join(sorted(architectures))
                lines += [f"deb [arch={named}] {where} {each} main" for each in sorted(suites)]
        (place / "sources" / "debian.list").write_text("\n".join(lines) + "\n")
        self._options = [
            f"Dir::Etc::SourceList={os.devnull}",
            f"Dir::Etc::SourceParts={place / 'sources'}",
            f"Dir::State::Lists={place / 'lists'}",
            f"Dir::State::Status={os.devnull}",
            f"Dir::Cache={place / 'cache'}",
            "APT::Sandbox::User=root",  # its own user may not enter our directories
            "Acquire::Retries=3",
            *(f"APT::Architectures::={each}" for each in sorted(architectures)),
        ]
        self._updated = False

    def forget(self) -> None:
        """Ask for the lists anew before the next command."""
        self._updated = False

    def run(self, *words: str, cwd: Path) -> None:
        """Run one command of apt-get, in a directory."""
        options = [word for option in self._options for word in ("-o", option)]
        if not self._updated:
            call(["apt-get", "-q", *options, "update"], cwd=cwd)
            self._updated = True
        call(["apt-get", "-q", *options, *words], cwd=cwd)
