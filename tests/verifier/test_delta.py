"""Deltas: a kit without what its site proved to have, made whole there to the very bytes, or refused with a reason."""

import json
import random
import shutil
from datetime import timedelta
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from builder import delta as maker
from builder import feeds, signer, split, trust
from builder.record import record
from kit import delta as deltas
from kit import errors, layout
from kit import result as results
from kit.bytes import canonical, digest
from kit.trust import dsse, statement
from tests.verifier.conftest import Host
from tests.world import FEED, NOW, SCAN_ID, Replay, World, scan_request
from verifier import evidence

LATER_SCAN = "5e11a000-0000-4000-8000-0000000000d2"


def nothing(_: object) -> None:
    """Hear nothing."""


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def advisories(place: Path, *, changed: bool) -> Path:
    """Write some hundred advisories, the third one changed and one more where asked."""
    place.mkdir()
    chance = random.Random(7)
    for number in range(300):
        words = " ".join(chance.choices(["overflow", "parser", "bypass", "token", "crash", "path"], k=40))
        document = {
            "id": f"PYSEC-2026-{number}",
            "modified": "2026-05-01T00:00:00Z",
            "details": words + (" Fixed later." if changed and number == 3 else ""),
            "affected": [{"package": {"ecosystem": "PyPI", "name": f"package-{number}"}, "versions": ["1.0"]}],
        }
        (place / f"PYSEC-2026-{number}.json").write_text(json.dumps(document))
    if changed:
        document["id"] = "PYSEC-2026-3000"
        (place / "PYSEC-2026-3000.json").write_text(json.dumps(document))
    return place


class Delivered:
    """Two kits of one sender, the first of which a site took in and said so."""

    def __init__(self, world: World, host: Host, home: Path) -> None:
        self.world, self.host, self.home = world, host, home
        self.rootpack = home / "rootpack"
        shutil.copytree(world.rootpack, self.rootpack)
        trust.add_key(
            self.rootpack,
            world.keys,
            host.site.signer.public,
            usage="site",
            owner="site-7",
            now=NOW - timedelta(minutes=30),
        )
        self.key = signer.load(world.keys / "kit-1.key.pem")
        old, new = (
            feeds.add(home / f"feeds-{changed}", "bulk", advisories(home / f"advisories-{changed}", changed=changed))
            for changed in (False, True)
        )
        program = home / "bin" / "linux-x86_64"
        program.mkdir(parents=True)
        (program / "stella").write_bytes(random.Random(1).randbytes(200_000))
        (program / "notes").write_bytes(random.Random(2).randbytes(30_000))
        self.base = self._kit("base", SCAN_ID, old.directory, program, 1)
        (program / "notes").write_bytes(random.Random(2).randbytes(30_000) + b"more")
        self.kit = self._kit("next", LATER_SCAN, new.directory, program, 2)

    def _kit(self, name: str, scan: str, feed: Path, program: Path, sequence: int) -> Path:
        wanted = scan_request(self.world.feed, scan_id=scan, feeds={FEED: self.world.feed, "bulk": feed})
        made, _ = record(wanted, [self.key], self.home / f"records-{name}")
        place = self.home / name
        return self.world.build_kit(
            place, records=[made], programs=[program], sequence=sequence, root_pack=self.rootpack
        )

    def receipt(self) -> Path:
        """Take the base in, and return the signed receipt of it."""
        taken = self.host.take_in(self.base)
        assert taken.last.verdict == results.INTACT, taken.last.sentence
        return taken.runs[-1] / evidence.RECEIPT_ENVELOPE

    def proven(self, receipt: Path) -> maker.Proven:
        return maker.proven(receipt, self.base, self.rootpack, NOW)

    def delta(self, receipt: Path, name: str = "delta") -> Path:
        maker.make(self.kit, self.proven(receipt), self.home / name, [self.key], nothing)
        return self.home / name


@pytest.fixture
def delivered(world: World, host: Host, tmp_path: Path) -> Delivered:
    return Delivered(world, host, tmp_path)


def test_a_delta_is_made_whole_to_the_very_kit(delivered: Delivered, host: Host, replay: Replay) -> None:
    medium = delivered.delta(delivered.receipt())
    sizes = {name: len(data) for name, data in files(medium).items()}
    told = json.loads((medium / deltas.DELTA_FILE).read_bytes())
    assert {one["path"]: one["how"] for one in told["objects"]} == {
        "bin/linux-x86_64/notes": "patch",
        "bin/linux-x86_64/stella": "same",
        f"replay/{LATER_SCAN}/inputbundle.tar.zst": "bundle",
        f"replay/{LATER_SCAN}/outputbundle.tar.zst": "bundle",
    }
    taken = host.take_in(medium)
    assert (taken.last.verdict, taken.last.sentence) == (results.INTACT, "Every signature and byte holds; the scan was not replayed.")
    assert files(host.current) == files(delivered.kit)
    assert replay(host.current, site=host.site, scan_id=LATER_SCAN)[0].verdict == results.VERIFIED
    print(sizes, sum(sizes.values()), sum(map(len, files(delivered.kit).values())))
