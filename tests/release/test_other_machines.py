"""The release for another kind of machine: what it is made of, and that it gives the same bytes, run by qemu."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from builder import freeze
from tests.release_hosts import elf_files, needs_of
from tests.world import ROOT
from tools.release import emulation, sources
from tools.release.cpython import GLIBC

FOREIGN = next(machine for machine in sources.ARCHITECTURES if machine != os.uname().machine)


@pytest.fixture(scope="module")
def foreign():
    """Return the release for the other kind of machine."""
    place = Path(os.environ.get("STELLA_RELEASE", "none")) / f"linux-{FOREIGN}"
    if not place.is_dir():
        pytest.skip(f"no release for {FOREIGN} here: make release-arm64")
    return freeze.Frozen(place)


@pytest.fixture(scope="module")
def before():
    """Return the words that let a program of the other machine run here, without a C library of its own."""
    return emulation.words_before(FOREIGN)


@pytest.fixture
def host(hosts, foreign, before):
    """Return a host of the other kind, with its release, and the C library that the folder form asks for."""
    root = ROOT / "build" / "release" / FOREIGN / "root" / "lib"
    # qemu takes system calls itself and knows no filter for them, so the guard cannot hold here.
    # The freezer's start-up code asks the host for zlib; the folder form has one, which a host without it may name.
    variables = (("LD_LIBRARY_PATH", "/bin/stella-onedir/_internal"),)
    host = replace(hosts(foreign), before=tuple(before), variables=variables)
    return host.adding("--ro-bind", root, "/lib")


UNGUARDED = ("--without-guard", "emulated")


def test_every_program_is_for_that_machine_and_an_old_c_library(foreign, tool) -> None:
    tool("readelf")
    most = tuple(map(int, GLIBC.split(".")))
    found = {path.name: needs_of(path) for path in elf_files(foreign.folder_program.parent)}
    assert len(found) > 20
    assert {name for name, (machine, _) in found.items() if machine != "AArch64"} == set()
    assert {name: asked for name, (_, asked) in found.items() if asked > most} == {}


@pytest.mark.parametrize("program", ["stella", "stella-onedir/stella"])
def test_without_a_guard_it_refuses(host, program) -> None:
    done = host.replay(f"/bin/{program}")
    assert done.returncode == 61
    assert "GuardNotInForce" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("program", ["stella", "stella-onedir/stella"])
def test_the_same_kit_gives_the_same_bytes(host, program, world, replay) -> None:
    there = host.result(f"/bin/{program}", *UNGUARDED)
    here, _ = replay(world.kit)
    assert [(one["path"], one["recorded"], one["replayed"]) for one in there["outputs"]] == [
        (one.path, one.recorded, one.replayed) for one in here.outputs
    ]
    assert (there["verdict"], there["policyVerdict"]) == (here.verdict, here.policy_verdict)
    assert there["manifestDigest"] == here.manifest_digest
    assert there["engine"]["digest"] == here.engine.digest
    assert [(one["name"], one["state"]) for one in there["checks"]] == [(one.name, one.state) for one in here.checks]
    assert any("without the network guard: emulated" in note for note in there["notes"])
