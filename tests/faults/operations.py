"""The commands that write, each with what must hold after a fault at any moment and after it came to its end."""

import contextlib
import hashlib
import random
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from unittest import mock

import msgspec
import pytest

from builder import feeds, signer, trust
from kit import layout, syncfile
from kit import result as results
from kit.bundle import BundleReader
from kit.bytes import digest
from kit.errors import TrustRootNotPinned
from kit.trust import dsse
from tests.world import FEED, INPUTS, NOW, SCAN_ID, SCAN_TIME, World
from verifier import evidence, guard, intake, run_dir, site_kits
from verifier import site as sites
from verifier.kit_store import Store, check_copy
from verifier.session import Setting

MOMENT = run_dir.stamp(NOW)
LATER = "2026-05-31T00:00:00Z"
SITE_FILES = {sites.ROOT_FILE, sites.KEY_FILE, sites.PUBLIC_FILE, sites.STATE_FILE, sites.LOCK_FILE}
RUN_FILES = {
    run_dir.JOURNAL_FILE, evidence.RESULT_FILE, evidence.RESULT_ENVELOPE, evidence.RECORD_FILE, evidence.RECEIPT_FILE,
    evidence.RECEIPT_ENVELOPE, evidence.METRICS_FILE, evidence.REPORT_FILE, "receipt.txt",
}  # fmt: skip


class Ended(Protocol):
    """How a run of the program ended."""

    code: int
    err: str


@dataclass(frozen=True)
class Stage:
    """What the operations begin with: a world, and below ``base`` the rest."""

    world: World
    base: Path

    @property
    def tampered(self) -> Path:
        """Return the kit that is refused."""
        return self.base / "tampered"

    @property
    def site(self) -> Path:
        """Return a site that is pinned and has seen nothing."""
        return self.base / "site"

    @property
    def visited(self) -> Path:
        """Return where ``ops`` and ``site`` of a site lie that has replayed: two runs, and one that was cut off."""
        return self.base / "visited"

    @property
    def sent(self) -> Path:
        """Return what that site sent home after its first run."""
        return self.base / "sent"

    @property
    def references(self) -> Path:
        """Return where undisturbed results lie."""
        return self.base / "references"

    @property
    def office(self) -> Path:
        """Return where a RootPack trusts a second signer, and its keys are."""
        return self.base / "office"

    @property
    def program(self) -> Path:
        """Return a program that kits carry."""
        return self.base / "linux-x86_64"


class Operation(Protocol):
    """One command. ``place`` is the directory in which everything happens that the command changes."""

    name: str
    code: int
    """The exit code with which it comes to its end."""

    def prepare(self, stage: Stage, place: Path) -> None:
        """Put into an empty place what is there before."""

    def words(self, stage: Stage, place: Path) -> list[str]:
        """Return the command line."""

    def half_way(self, stage: Stage, place: Path) -> bool:
        """Check that nothing unfinished looks finished; return whether the command has reached its end."""

    def finished(self, stage: Stage, place: Path, ended: Ended) -> None:
        """Check what a run left behind that came to its end, after others that may not have."""


def tree(root: Path) -> dict[str, tuple[str, int]]:
    """Return digest and mode of every file below a directory."""
    return {
        path.relative_to(root).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode)
        for path in root.rglob("*")
        if path.is_file()
    }


def unfinished(place: Path) -> list[str]:
    """Return what somebody began below a directory and did not finish."""
    return sorted(path.relative_to(place).as_posix() for path in place.rglob(".*"))


def names(directory: Path) -> set[str]:
    """Return the names in a directory, hidden ones as well; none where it is missing."""
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()


def spread(total: int, count: int) -> list[int]:
    """Return so many of the numbers from 1 to a total, evenly, the last one among them."""
    return sorted({-(-total * number // count) for number in range(1, count + 1)})


class FeedAdd:
    """A second snapshot comes to a feed."""

    name = "feed add"
    code = 0

    def prepare(self, stage: Stage, place: Path) -> None:
        shutil.copytree(stage.world.home / "feeds", place / "feeds")

    def words(self, stage: Stage, place: Path) -> list[str]:
        return ["feed", "add", FEED, str(INPUTS / "advisories-later"), "--feeds", str(place / "feeds"), "--time", LATER]

    def half_way(self, stage: Stage, place: Path) -> bool:
        store, old, new = place / "feeds", stage.world.feed, stage.world.later_feed
        current = feeds.current_snapshot(store, FEED).name
        assert [feed.name for feed in feeds.list_feeds(store)] == [FEED]
        whole = {name for name in names(store / FEED) if not name.startswith(".")} - {feeds.CURRENT}
        assert whole <= {old.name, new.name}
        assert current in whole
        for kept in (old, new):
            assert kept.name not in whole or tree(store / FEED / kept.name) == tree(kept)
        return current == new.name

    def finished(self, stage: Stage, place: Path, ended: Ended) -> None:
        assert self.half_way(stage, place)
        assert names(place / "feeds" / FEED) == {stage.world.feed.name, stage.world.later_feed.name, feeds.CURRENT}
        assert names(place / "feeds") == {FEED}
        assert feeds.show(place / "feeds", FEED, deep=True).deep


class _Directory:
    """A command that makes a directory which is there whole or not at all."""

    code = 0
    made = ""

    def prepare(self, stage: Stage, place: Path) -> None:
        (place / self.made).parent.mkdir(parents=True)

    def half_way(self, stage: Stage, place: Path) -> bool:
        made = place / self.made
        if not made.exists():
            return False
        assert tree(made) == tree(stage.references / self.made)
        return True

    def finished(self, stage: Stage, place: Path, ended: Ended) -> None:
        assert self.half_way(stage, place)
        assert names((place / self.made).parent) == {Path(self.made).name}


class ScanRecord(_Directory):
    """A scan is recorded."""

    name = "scan --record"
    made = f"records/{SCAN_ID}"

    def words(self, stage: Stage, place: Path) -> list[str]:
        return [
            "scan", "--record", "--sbom", str(INPUTS / "sbom.cdx.json"), "--policy", str(INPUTS / "policy.toml"),
            "--vex", str(INPUTS / "vex" / "orders-api.openvex.json"), "--feed", f"{FEED}={stage.world.feed}",
            "--rootpack", str(stage.world.rootpack), "--key", str(stage.world.keys / "kit-1.key.pem"),
            "--scan-id", SCAN_ID, "--time", SCAN_TIME, "--out", str(place / "records"),
        ]  # fmt: skip


class KitBuild(_Directory):
    """A kit is built, with a program in it."""

    name = "kit build"
    made = "medium/offline"

    def words(self, stage: Stage, place: Path) -> list[str]:
        return [
            "kit", "build", "--record", str(stage.world.record), "--rootpack", str(stage.world.rootpack),
            "--key", str(stage.world.keys / "kit-1.key.pem"), "--program", str(stage.program),
            "--sequence", "1", "--time", MOMENT, "--out", str(place / self.made),
        ]  # fmt: skip


class ScanSign:
    """A second key signs a recorded scan."""

    name = "scan sign"
    code = 0
    envelope = f"records/{SCAN_ID}/{layout.MANIFEST_ENVELOPE}"

    def prepare(self, stage: Stage, place: Path) -> None:
        shutil.copytree(stage.world.record, place / "records" / SCAN_ID)
        if stage.office.exists():
            return
        for name in ("rootpack", "keys"):
            shutil.copytree(getattr(stage.world, name), stage.office / name)
        second = signer.create(stage.office / "keys", "second", "ed25519", entropy=random.Random(7).randbytes)
        known = {"usage": "kit", "owner": "second", "now": NOW}
        trust.add_key(stage.office / "rootpack", stage.office / "keys", second.public, **known)

    def words(self, stage: Stage, place: Path) -> list[str]:
        return [
            "scan", "sign", str(place / "records" / SCAN_ID), "--key", str(stage.office / "keys" / "second.key.pem"),
            "--rootpack", str(stage.office / "rootpack"),
        ]  # fmt: skip

    def half_way(self, stage: Stage, place: Path) -> bool:
        before = (stage.world.record / layout.MANIFEST_ENVELOPE).read_bytes()
        now = (place / self.envelope).read_bytes()
        keys = [stage.world.kit_signer.public, signer.load_public(stage.office / "keys" / "second.pub.pem")]
        signed = dsse.open_unjudged(now, keys, name="")
        assert {entry.signer for entry in signed.entries} == set(keys[: len(signed.entries)] if now == before else keys)
        record = tree(place / "records" / SCAN_ID)
        kept = {name: made for name, made in tree(stage.world.record).items() if name != layout.MANIFEST_ENVELOPE}
        assert {name: made for name, made in record.items() if name in kept} == kept
        return now != before

    def finished(self, stage: Stage, place: Path, ended: Ended) -> None:
        assert self.half_way(stage, place)
        assert names(place / "records" / SCAN_ID) == names(stage.world.record)


class OfflineInit:
    """A site pins its trust root."""

    name = "offline init"
    code = 0

    def prepare(self, stage: Stage, place: Path) -> None:
        (place / "ops").mkdir()

    def words(self, stage: Stage, place: Path) -> list[str]:
        root = stage.world.rootpack / "metadata" / "1.root.json"
        return [
            "offline", "init", "--root", str(root), "--expect-root", digest.of_bytes(stage.world.root),
            "--site", str(place / "ops" / "site"),
        ]  # fmt: skip

    def half_way(self, stage: Stage, place: Path) -> bool:
        try:
            site = sites.load(place / "ops" / "site")
        except TrustRootNotPinned:
            return False
        assert site.pinned_root == stage.world.root
        assert (site.path / sites.PUBLIC_FILE).read_bytes() == site.signer.public.to_pem()
        assert (site.path / sites.KEY_FILE).stat().st_mode & 0o777 == 0o600
        bare = msgspec.structs.replace(site.state, checksum=None)
        assert bare == sites.SiteState(schema_version=sites.SCHEMA_VERSION)
        return True

    def finished(self, stage: Stage, place: Path, ended: Ended) -> None:
        assert self.half_way(stage, place)
        assert names(place / "ops") == {"site"}
        assert names(place / "ops" / "site") <= SITE_FILES


class Replay:
    """A strict replay at a site that has seen nothing."""

    name = "replay"
    code = 0
    verdict = results.VERIFIED
    files = RUN_FILES | {evidence.OUTPUTS}

    def kit(self, stage: Stage) -> Path:
        """Return the kit whose scan is replayed."""
        return stage.world.kit

    def options(self, stage: Stage) -> list[str]:
        """Return what kind of replay it is."""
        return ["--strict", "--offline"]

    def prepare(self, stage: Stage, place: Path) -> None:
        shutil.copytree(stage.site, place / "site")

    def words(self, stage: Stage, place: Path) -> list[str]:
        return [
            "replay", str(self.kit(stage) / layout.scan_directory(SCAN_ID) / layout.MANIFEST_FILE),
            *self.options(stage), "--at", MOMENT, "--ops", str(place / "ops"), "--site", str(place / "site"),
        ]  # fmt: skip

    def half_way(self, stage: Stage, place: Path) -> bool:
        site = sites.load(place / "site")
        runs = self.runs(place)
        whole = [run for run in runs if run_dir.is_finished(run)]
        for run in whole:
            assert names(run) == self.files
            assert results.parse_result(evidence.read_run(run, site.signer.public)).verdict == self.verdict
        self.check_receipts(runs, whole, site)
        if self.verdict == results.REFUSED:
            assert site.state.accepted == ()
        elif whole:
            assert [kit.sequence for kit in site.state.accepted] == [1]
        return bool(whole)

    def check_receipts(self, runs: Sequence[Path], whole: Sequence[Path], site: sites.Site) -> None:
        """Check that the site's last receipt leads back to that of every finished run, one by one."""
        issued = {}
        for run in runs:
            with contextlib.suppress(FileNotFoundError):
                slip = (run / evidence.RECEIPT_FILE).read_bytes()
                issued[digest.of_bytes(slip)] = results.parse_receipt(slip)
        counted = {digest.of_bytes(evidence.read_receipt(run, site.signer.public)) for run in whole}
        reached, link = set(), site.state.last_receipt
        while link is not None:
            reached.add(link)
            link = issued[link].previous
        assert counted <= reached

    def runs(self, place: Path) -> list[Path]:
        """Return the directories of runs."""
        return sorted((place / "ops").glob("replay/*/*"))

    def finished(self, stage: Stage, place: Path, ended: Ended) -> None:
        assert self.half_way(stage, place)
        for run in self.runs(place):
            told = f"an earlier run was cut off and counts for nothing: {run.name}" in ended.err
            assert (told or (run / run_dir.CUT_OFF_FILE).is_file()) != run_dir.is_finished(run)
        assert names(place / "site") <= SITE_FILES


class OfflineImport(Replay):
    """A newer kit takes the place of the active one."""

    name = "offline import"
    verdict = results.INTACT

    files = RUN_FILES

    def kit(self, stage: Stage) -> Path:
        place = stage.base / "kit-2"
        return place if place.exists() else stage.world.build_kit(place, sequence=2)

    def prepare(self, stage: Stage, place: Path) -> None:
        before = stage.base / "imported"
        if not before.exists():
            shutil.copytree(stage.site, before / "site")
            wanted = intake.Wanted([stage.world.kit], before / "kits")
            setting = Setting(before / "ops", before / "site", None, lambda: NOW)
            report = guard.GuardReport(layers=(), probe="none")
            with mock.patch.object(guard, "enforce", return_value=report):
                intake.take_in(wanted, setting, intake.Heard(lambda _: None, lambda _: None))
        for name in ("site", "kits"):
            shutil.copytree(before / name, place / name, symlinks=True)

    def words(self, stage: Stage, place: Path) -> list[str]:
        return [
            "offline", "import", str(self.kit(stage)), "--at", MOMENT, "--ops", str(place / "ops"),
            "--site", str(place / "site"), "--kits", str(place / "kits"),
        ]  # fmt: skip

    def half_way(self, stage: Stage, place: Path) -> bool:
        site, store = sites.load(place / "site"), Store(place / "kits")
        active = site_kits.active(site.state.activations)["default"]
        check_copy(store.place(active), active.digest)
        linked = check_copy(store.current / "default", digest.of_file(store.current / "default" / "KIT.json")[0])
        assert linked.sequence in {1, active.sequence}
        assert [kit.sequence for kit in site.state.accepted] == list(range(1, active.sequence + 1))
        whole = [run for run in self.runs(place) if run_dir.is_finished(run)]
        for run in whole:
            assert names(run) == self.files
            result = results.parse_result(evidence.read_run(run, site.signer.public))
            assert (result.verdict, result.activation is not None) == (self.verdict, True)
            assert (active.sequence, linked.sequence) == (2, 2)
        return bool(whole)

    def finished(self, stage: Stage, place: Path, ended: Ended) -> None:
        super().finished(stage, place, ended)
        store = Store(place / "kits")
        assert names(store.incoming) == set()
        assert len(names(store.kits)) == 2


class RefusedReplay(Replay):
    """A replay of a kit with a flipped bit."""

    name = "replay, refused"
    code = 30
    verdict = results.REFUSED
    files = RUN_FILES

    def kit(self, stage: Stage) -> Path:
        return stage.tampered


class WhatIf(Replay):
    """A replay with other advisories, which leaves their outputs and the explained difference."""

    name = "replay, what if"
    verdict = results.WHAT_IF
    files = RUN_FILES | {evidence.DIFFERENCE_FILE, evidence.OUTPUTS}

    def options(self, stage: Stage) -> list[str]:
        return ["--what-if", "--vary=feeds", "--with", str(stage.world.later_feed)]


class SyncExport:
    """A site packs its finished runs over an earlier file."""

    name = "sync export"
    code = 0

    def prepare(self, stage: Stage, place: Path) -> None:
        shutil.copytree(stage.visited, place, dirs_exist_ok=True)
        (place / "medium").mkdir()
        shutil.copyfile(stage.sent, place / "medium" / "results")

    def words(self, stage: Stage, place: Path) -> list[str]:
        medium = place / "medium" / "results"
        return ["sync", "export", "--out", str(medium), "--ops", str(place / "ops"), "--site", str(place / "site")]

    def half_way(self, stage: Stage, place: Path) -> bool:
        medium, site = place / "medium" / "results", sites.load(place / "site")
        if medium.read_bytes() == stage.sent.read_bytes():
            return False
        with medium.open("rb") as source, tempfile.NamedTemporaryFile() as bundle:
            envelope = syncfile.split(source, bundle, max_bytes=1 << 30)
            bundle.flush()
            found, _ = syncfile.verify(envelope, [site.signer.public], threshold=1)
            with BundleReader(Path(bundle.name), found.bundle) as reader:
                reader.verify()
        assert [run.verdict for run in found.runs] == [results.VERIFIED] * 2
        return True

    def finished(self, stage: Stage, place: Path, ended: Ended) -> None:
        assert self.half_way(stage, place)
        assert names(place / "medium") == {"results"}
        assert names(place / "site") <= SITE_FILES
        assert "the run was cut off" in ended.err


RECORD, BUILD, REPLAY, REFUSE, EXPORT = ScanRecord(), KitBuild(), Replay(), RefusedReplay(), SyncExport()
SIGN = ScanSign()
WHAT_IF, IMPORT = WhatIf(), OfflineImport()
OPERATIONS: tuple[Operation, ...] = (FeedAdd(), RECORD, SIGN, BUILD, OfflineInit(), REPLAY, REFUSE, IMPORT, EXPORT)
EACH = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
EACH_AND_WHAT_IF = pytest.mark.parametrize("operation", [*OPERATIONS, WHAT_IF], ids=lambda operation: operation.name)
