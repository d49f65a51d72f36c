"""docs/trust.md: its commands work as they stand there, in the order in which they stand there."""

import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builder import trust_draft, trust_view
from kit.trust import revocations, rootpack
from tests.world import ROOT
from verifier import site as sites
from verifier import site_time
from verifier.site_time import TimeFloor

PAGE = (ROOT / "docs" / "trust.md").read_text()
BLOCKS = [body for kind, body in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if not kind]
PRELUDE = 'set -e\nstella() { "$STELLA_PYTHON" -m stella "$@"; }\n'


class Keeper:
    """Somebody who follows the page in a shell; the times that are given by hand lie before all others."""

    def __init__(self, place: Path) -> None:
        self.place = place
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STELLA_")}
        self.environment = kept | {"PYTHONPATH": str(ROOT), "STELLA_PYTHON": sys.executable}

    def run(self, line: str) -> str:
        if "<change>" in line:
            draft = trust_draft.parse((self.place / "next.draft").read_bytes())
            opened = trust_draft.open_on(draft, trust_view.current_files(self.place / "rootpack"))
            line = line.replace("<change>", opened.fingerprint.removeprefix("sha256:"))
        done = subprocess.run(
            ["sh", "-c", PRELUDE + line],
            cwd=self.place,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


def test_page_walks_from_the_ceremony_to_the_stolen_key(keeper: Keeper) -> None:
    lines = [line for block in BLOCKS for line in block.splitlines()]
    assert len(lines) > 25
    said = ""
    for line in lines:
        if line.startswith("stella offline floor"):
            later = datetime.now(UTC) + timedelta(days=90)
            root = (keeper.place / "rootpack/metadata/1.root.json").read_bytes()
            site = sites.init(keeper.place / "ops/site", root, sites.root_fingerprint(root), entropy=os.urandom)
            site.update(time_floor=TimeFloor(time=trust_view.text(later), source=site_time.RESULT, evidence="run"))
        said = keeper.run(line)
    assert "2026-01-01T00:00:00Z" in said
    found = trust_view.current_files(keeper.place / "rootpack")
    pack = rootpack.load(
        found, pinned_root=found["metadata/1.root.json"], reference_time=datetime.now(UTC) + timedelta(days=1)
    )
    assert pack.root_version == 3
    assert [entry.state for entry in pack.revoked] == [revocations.COMPROMISED]


def test_settings_on_the_page_are_settings() -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert site_time.parse_settings(shown.encode()).kit_breach_hours == 336
    assert set(tomllib.loads(shown)) == {name.replace("_", "-") for name in site_time.Settings.__struct_fields__}
