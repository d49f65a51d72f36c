"""Hosts that have nothing: a root with the parts of a release and a kit, /proc, and what a test adds."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from kit.bytes import digest
from tests.world import NOW, SCAN_ID
from verifier.run_dir import stamp

PINNED = "/out/site"


@dataclass(frozen=True)
class Host:
    """A host: the place of its parts, options of its root, who runs, and what goes before every program."""

    place: Path
    options: tuple[object, ...] = ()
    user: int | None = None
    variables: tuple[tuple[str, str], ...] = ()
    before: tuple[str, ...] = ()
    added: tuple[object, ...] = field(default=())

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run words in a root that holds nothing but the place's parts and /proc."""
        root: list[object] = ["--unshare-pid", "--proc", "/proc", "--bind", self.place / "out", "/out"]
        for name in ("bin", "kit", "root.json"):
            root += ["--ro-bind", self.place / name, f"/{name}"]
        settings = [word for pair in self.variables for word in ("--setenv", *pair)]
        command = ["bwrap", "--clearenv", *root, *self.added, *self.options, *settings]
        if self.user is not None:
            command = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", *command]
        return subprocess.run(
            [*self.before, *map(str, command), "--", *words],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def adding(self, *options: object) -> "Host":
        """Return the host with more in its root."""
        return replace(self, added=(*self.added, *options))

    def pin(self, program: str) -> None:
        """Pin the root at the host's site, unless that is done."""
        if (self.place / "out" / "site").exists():
            return
        expected = "SHA256:" + digest.hex_of(digest.of_bytes((self.place / "root.json").read_bytes()))
        done = self.run(program, "offline", "init", "--root", "/root.json", "--expect-root", expected, "--site", PINNED)
        assert done.returncode == 0, done.stderr

    def replay(self, program: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """Pin the root and replay the kit."""
        self.pin(program)
        manifest = f"/kit/replay/{SCAN_ID}/manifest.json"
        options = ["--strict", "--offline", "--json", "--at", stamp(NOW), "--site", PINNED, "--ops", "/out/ops"]
        return self.run(program, "replay", manifest, *options, *words)

    def result(self, program: str, *words: str) -> dict[str, object]:
        """Return the result of a replay, which has to be VERIFIED."""
        done = self.replay(program, *words)
        assert done.returncode == 0, done.stderr
        result: dict[str, object] = json.loads(done.stdout)
        assert result["verdict"] == "VERIFIED"
        return result


def elf_files(directory: Path) -> Iterator[Path]:
    """Yield every program and library below a directory."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def needs_of(path: Path) -> tuple[str, tuple[int, ...]]:
    """Return a program's kind of machine, and the newest version of glibc that it asks for."""
    said = subprocess.run(["readelf", "-hVW", path], capture_output=True, text=True, check=True).stdout
    (machine,) = re.findall(r"Machine: +(.*)", said)
    wanted = {tuple(map(int, found.split("."))) for found in re.findall(r"Name: GLIBC_([0-9.]+)", said)}
    return str(machine), max(wanted, default=(0,))
