"""docs/operator.md, on deltas and sealed kits: the commands work as they stand, between a site and its sender."""

import shutil
from pathlib import Path

import pytest

from tests.docs.test_trust_pages import Desk, chapter, lines_of
from tests.world import INPUTS

BEFORE = """
stella rootpack init --owner release --single-signer
stella scan --record --sbom sbom.cdx.json --feed pypi --policy policy.toml --key keys/kit-1.key.pem --out records-1
stella kit build --record records-1/<scan-id> --key keys/kit-1.key.pem --sequence 1 --out offline-1
stella offline init --root rootpack/metadata/1.root.json --expect-root "<printed fingerprint>"
stella rootpack add-key ops/site/site.pub.pem --usage site --owner site-7
stella offline import offline-1
stella scan --record --sbom sbom.cdx.json --feed pypi --policy policy.toml --key keys/kit-1.key.pem --out records-2
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a sender whose site has taken in kit 1, with the receipt of that, and a record for kit 2."""
    monkeypatch.chdir(tmp_path)
    for name in ("sbom.cdx.json", "policy.toml"):
        shutil.copyfile(INPUTS / name, tmp_path / name)
    made = Desk(tmp_path)
    made.run(f"stella feed add pypi {INPUTS / 'advisories'}")
    for line in BEFORE.strip().splitlines():
        made.run(line)
    (receipt,) = (tmp_path / "ops/offline/replay").rglob("receipt.dsse.json")
    shutil.copyfile(receipt, tmp_path / "receipt.dsse.json")
    return made


def test_what_a_site_lacks_is_sent_as_the_page_says(desk: Desk) -> None:
    lines = lines_of(chapter("Sending only what a site lacks"))
    assert len(lines) == 6
    for line in lines:
        desk.run(line)
        if line.startswith("stella kit plan"):
            assert "the site has it" in desk.said
    for name in ("offline-2-delta", "delta-for-site-7"):
        assert (desk.place / name / "DELTA.json").is_file()
        assert not list((desk.place / name).glob("replay/*/inputbundle.tar.zst"))
    desk.run("stella look offline-2-delta")
    assert "delta on" in desk.said
    scan = next((desk.place / "records-2").iterdir()).name
    for command in ("verify", "replay"):
        desk.run(f"stella {command} offline-2-delta/replay/{scan}/manifest.json  # leaves with 41")
    desk.run("stella offline import offline-2-delta")
    desk.run("stella replay ops/kits/current/default --strict --offline")
    told = {path.read_bytes() for path in (desk.place / "ops/kits/current/default").rglob("*.tar.zst")}
    assert told == {path.read_bytes() for path in (desk.place / "offline-2").rglob("*.tar.zst")}
    desk.run("stella offline import delta-for-site-7  # leaves with 51")


def test_a_kit_is_sealed_as_the_page_says(desk: Desk) -> None:
    (own,) = [line for line in lines_of(chapter("Taking a kit in")) if "encryption-key" in line]
    desk.run(own)
    shutil.copyfile(desk.place / "ops/site/seal.pub.pem", desk.place / "seal.pub.pem")
    scan = next((desk.place / "records-2").iterdir()).name
    desk.run(f"stella kit build --record records-2/{scan} --key keys/kit-1.key.pem --sequence 2 --out offline-2")
    lines = lines_of(chapter("Sealing"))
    assert len(lines) == 2
    for line in lines:
        desk.run(line)
    desk.run("stella look sealed-2")
    assert "sealed for" in desk.said
    desk.run("stella offline import sealed-2")
    assert "ACTIVATED" in desk.said
