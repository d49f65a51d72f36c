"""What the tests of imports share: an air-gapped host in miniature, and a kit that is refused."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from kit import layout
from kit.result import Check
from tests.world import NOW, SCAN_ID, World
from verifier import guard, intake, site
from verifier.kit_store import Store
from verifier.session import Setting


@dataclass(frozen=True)
class Host:
    """An air-gapped host: a site, the place of its runs, the place of its kits."""

    home: Path

    @property
    def site(self) -> site.Site:
        return site.load(self.home / "site")

    @property
    def store(self) -> Store:
        return Store(self.home / "kits")

    @property
    def current(self) -> Path:
        return self.store.current / "default"

    def take_in(
        self,
        *media: Path,
        now: datetime = NOW,
        heard: Sequence[Callable[[Check], None]] = (),
        **wanted: object,
    ) -> intake.Taken:
        """Import in this process, without the guard."""
        asked = intake.Wanted(media, self.home / "kits", **wanted)  # type: ignore[arg-type]
        setting = Setting(self.home / "ops", self.home / "site", None, lambda: now)
        return intake.take_in(asked, setting, intake.Heard(heard[0] if heard else lambda _: None, lambda _: None))


@pytest.fixture
def host(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Return a host whose site has pinned the world's root; the guard is left out, for it stays for ever."""
    report = guard.GuardReport(layers=(), probe="none")
    monkeypatch.setattr(guard, "enforce", lambda _: report)
    world.new_site(tmp_path / "host" / "site")
    return Host(tmp_path / "host")


@pytest.fixture
def tampered(world: World, tmp_path: Path) -> Path:
    """Return a kit with one flipped bit in its input bundle."""
    kit = world.copy_kit(tmp_path / "tampered")
    bundle = kit / layout.scan_directory(SCAN_ID) / layout.INPUT_BUNDLE
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    return kit
