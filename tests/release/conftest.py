"""The release under test: what ``make release`` left, named by STELLA_RELEASE."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from builder import freeze
from tests.release_hosts import Host


@pytest.fixture(scope="session")
def released():
    """Return the release of this machine's kind, as a freeze.Frozen."""
    place = Path(os.environ.get("STELLA_RELEASE", "none")) / freeze.platform()
    if not place.is_dir():
        pytest.skip("no release here: make release, then make release-check")
    return freeze.Frozen(place)


@pytest.fixture(scope="session")
def tool():
    """Return the path of a program, or skip."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed")
        return found

    return find


@pytest.fixture
def hosts(world, tool):
    """Return what makes a host of a release: a directory for all, with programs, kit, root and results."""
    tool("bwrap")
    made = Path(tempfile.mkdtemp(prefix="stella-hosts-", dir="/var/tmp"))

    def with_release(release: freeze.Frozen) -> Host:
        shutil.copytree(release.directory, made / "bin", symlinks=True)
        world.copy_kit(made / "kit")
        (made / "root.json").write_bytes(world.root)
        (made / "out").mkdir()
        subprocess.run(["chmod", "-R", "a+rX", made], check=True)
        (made / "out").chmod(0o777)
        return Host(made)

    yield with_release
    shutil.rmtree(made)


@pytest.fixture
def host(hosts, released):
    """Return a host with the release of this machine's kind."""
    return hosts(released)
