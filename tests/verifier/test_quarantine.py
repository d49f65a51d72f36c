"""The quarantine: hostile names, limits, the same refusal twice, removal with a reason."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from kit import errors, layout
from kit.bytes import digest
from tests.verifier.conftest import Host
from tests.world import World
from verifier import quarantine


def members(host: Host, entry: quarantine.Entry, place: Path) -> set[str]:
    """Return the names in an entry's bundle, as tar tells them."""
    bundle = host.store.quarantine / entry.id / quarantine.BUNDLE_FILE
    plain = subprocess.run(["zstd", "-dcq", str(bundle)], capture_output=True, check=True).stdout
    place.write_bytes(plain)
    listed = subprocess.run(["tar", "tf", str(place)], capture_output=True, check=True).stdout
    return set(listed.decode().splitlines())


def test_names_that_no_host_should_make_are_kept_as_numbers(world: World, host: Host, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    (kit / "con").write_bytes(b"device")
    (kit / "a\u202eb").write_bytes(b"bidi")
    os.close(os.open(os.fsencode(kit) + b"/\xff", os.O_CREAT))
    (kit / "link").symlink_to("/etc/passwd")
    os.mkfifo(kit / "pipe")
    taken = host.take_in(kit)
    assert taken.last.reason in {"HostileName", "FileUndeclared"}
    entry = quarantine.show(host.store.quarantine, taken.quarantined or "")
    kinds = {file.name: (file.kind, (file.member or "").partition("/")[0]) for file in entry.files}
    assert kinds["link"] == ("link", "")
    assert kinds["pipe"] == ("other", "")
    assert kinds["con"] == ("file", quarantine.UNNAMED)
    assert kinds["a\\u202eb"] == ("file", quarantine.UNNAMED)
    assert kinds["\\udcff"] == ("file", quarantine.UNNAMED)
    assert kinds["KIT.json"] == ("file", "KIT.json")
    kept = {file.member for file in entry.files if file.member}
    assert members(host, entry, tmp_path / "plain.tar") == kept
    assert not [path for path in host.store.root.rglob("*") if path.is_symlink() or path.is_fifo()]


def test_the_bundle_holds_the_bytes_that_were_refused(host: Host, tampered: Path) -> None:
    entry = quarantine.show(host.store.quarantine, host.take_in(tampered).quarantined or "")
    place = host.store.quarantine / entry.id / quarantine.BUNDLE_FILE
    assert digest.of_file(place) == (entry.bundle_digest, entry.bundle_size)
    assert {file.name for file in entry.files} == {
        path.relative_to(tampered).as_posix() for path in tampered.rglob("*") if path.is_file()
    }


def test_the_same_refusal_of_the_same_files_is_one_entry(host: Host, tampered: Path) -> None:
    first, second = host.take_in(tampered), host.take_in(tampered)
    assert first.quarantined == second.quarantined
    assert "the same lies in quarantine already" in second.notes
    readme = tampered / layout.README_FILE
    readme.write_bytes(readme.read_bytes().upper())
    assert host.take_in(tampered).quarantined != first.quarantined
    assert len(quarantine.entries(host.store.quarantine)) == 2


def test_what_exceeds_the_budget_is_listed_and_left_out(world: World, host: Host, tampered: Path) -> None:
    (host.home / "site" / "site.toml").write_text("quarantine-mebibytes = 0\n")
    entry = quarantine.show(host.store.quarantine, host.take_in(tampered).quarantined or "")
    assert (entry.kept, entry.bundle_digest) == (quarantine.NOTHING, None)
    assert len(entry.files) > 10


def test_large_files_are_left_out_where_only_small_ones_fit(
    host: Host, tampered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = next(tampered.rglob(layout.INPUT_BUNDLE))
    monkeypatch.setattr(quarantine, "MAX_DOCUMENT", bundle.stat().st_size - 1)
    sizes = [path.stat().st_size for path in tampered.rglob("*") if path.is_file()]
    taken = host.take_in(tampered, dry_run=True)
    entry_id, _ = quarantine.keep(
        host.store.quarantine, {"": tampered}, taken.last, "scan/run", now="2026-06-01T12:00:00Z", budget=sum(sizes) - 1
    )
    entry = quarantine.show(host.store.quarantine, entry_id)
    assert entry.kept == quarantine.DOCUMENTS
    assert {file.name for file in entry.files if file.member is None} == {bundle.relative_to(tampered).as_posix()}


def test_removal_needs_a_reason_and_leaves_the_record(host: Host, tampered: Path) -> None:
    entry_id = host.take_in(tampered).quarantined or ""
    with pytest.raises(errors.UsageError, match="--reason"):
        quarantine.remove(host.store.quarantine, entry_id, " ", now="2026-06-01T12:00:00Z")
    place = quarantine.remove(host.store.quarantine, entry_id, "looked into", now="2026-06-01T12:00:00Z")
    assert {path.name for path in place.iterdir()} == {
        "failure-reason.txt", "quarantine.json", "removed.json", "verification.log",
    }  # fmt: skip
    assert json.loads((place / "removed.json").read_bytes())["reason"] == "looked into"
    assert quarantine.entries(host.store.quarantine) == []


@pytest.mark.parametrize("name", ["", "..", "../store", ".removed"])
def test_no_id_leads_out_of_the_quarantine(host: Host, name: str) -> None:
    with pytest.raises(errors.UsageError, match="no such entry"):
        quarantine.remove(host.store.quarantine, name, "why", now="2026-06-01T12:00:00Z")


def test_a_damaged_entry_is_named_and_hides_no_other(host: Host, tampered: Path) -> None:
    first = host.take_in(tampered).quarantined or ""
    (host.store.quarantine / "broken").mkdir()
    assert [entry.id for entry in quarantine.entries(host.store.quarantine)] == [first]
    assert quarantine.unreadable(host.store.quarantine) == ["broken"]
