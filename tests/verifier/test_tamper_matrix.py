"""Every file of a kit flipped, cut, extended, removed, doubled, swapped: always refused, with the expected reason."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.result import REFUSED
from tests.world import SCAN_ID, Replay, World

SCAN = f"replay/{SCAN_ID}"
FILES = (
    "KIT.json",
    "README.txt",
    "SHA256SUMS",
    "kit.dsse.json",
    f"{SCAN}/inputbundle.tar.zst",
    f"{SCAN}/manifest.193295b4.sigstore.json",
    f"{SCAN}/manifest.dsse.json",
    f"{SCAN}/manifest.json",
    f"{SCAN}/outputbundle.tar.zst",
    f"{SCAN}/rootpack/metadata/1.root.json",
    f"{SCAN}/rootpack/metadata/1.snapshot.json",
    f"{SCAN}/rootpack/metadata/1.targets.json",
    f"{SCAN}/rootpack/metadata/timestamp.json",
    "rootpack/metadata/1.root.json",
    "rootpack/metadata/1.snapshot.json",
    "rootpack/metadata/1.targets.json",
    "rootpack/metadata/timestamp.json",
)
KEYRINGS = ("rootpack/targets", f"{SCAN}/rootpack/targets")

DIGEST, SIZE, GONE = {"DigestMismatch"}, {"SizeMismatch"}, {"FileMissing"}
ENVELOPE = {
    "DuplicateMember",
    "EvidenceMissing",
    "MalformedDocument",
    "NotCanonical",
    "SignatureInvalid",
    "SignerUnknown",
}
TRUST = {"TrustRootRefused"}


def flip(place: float) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[min(len(data) - 1, int(len(data) * place))] ^= 0x01
        path.write_bytes(data)

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\x00")


def remove(path: Path) -> None:
    path.unlink()


def double(path: Path) -> None:
    shutil.copyfile(path, path.with_name(path.name + ".copy"))


CHANGES: dict[str, Callable[[Path], None]] = {
    "flip-first": flip(0.0),
    "flip-third": flip(0.33),
    "flip-middle": flip(0.5),
    "flip-two-thirds": flip(0.67),
    "flip-last": flip(1.0),
    "cut": cut,
    "empty": empty,
    "extend": extend,
    "remove": remove,
    "double": double,
}


def reasons(path: str, change: str) -> set[str]:
    """Return the reasons that may be given for a change of a file; the first check that sees the fault names it."""
    name = path.rpartition("/")[2]
    if change == "double":
        # Beside the metadata a stray file is seen by the RootPack's own list of files, elsewhere by KIT.json's.
        return {"FileUndeclared", "TrustRootRefused"} if path.startswith("rootpack/") else {"FileUndeclared"}
    if change == "remove":
        if name in ("KIT.json", "kit.dsse.json", "manifest.json", "manifest.dsse.json"):
            return {"EvidenceMissing"}
        return GONE | TRUST if path.startswith("rootpack/") else GONE
    if name in ("kit.dsse.json", "manifest.dsse.json"):
        return ENVELOPE | DIGEST if change in ("cut", "extend") else ENVELOPE
    if path.startswith("rootpack/"):
        return TRUST
    if name.endswith(".sigstore.json"):
        return {"SigstoreBundleWrong"}
    if name in ("KIT.json", "manifest.json"):
        return DIGEST
    return SIZE if change in ("cut", "empty", "extend") else DIGEST


def every_file(world: World) -> list[str]:
    return sorted(path.relative_to(world.kit).as_posix() for path in world.kit.rglob("*") if path.is_file())


def test_matrix_names_every_file_of_the_kit(world: World) -> None:
    found = [path for path in every_file(world) if path.rpartition("/")[0] not in KEYRINGS]
    assert found == sorted(FILES)
    assert sum(path.rpartition("/")[0] in KEYRINGS for path in every_file(world)) == len(KEYRINGS)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("path", [*FILES, *KEYRINGS])
def test_changed_file_is_refused(world: World, replay: Replay, tmp_path: Path, path: str, change: str) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    if path in KEYRINGS:
        path = next(found for found in every_file(world) if found.rpartition("/")[0] == path)
    CHANGES[change](kit / path)
    site = world.new_site(tmp_path / "site")
    before = (site.path / "state.json").read_bytes()
    result, _ = replay(kit, site=site)
    assert (result.verdict, result.reason in reasons(path, change)) == (REFUSED, True), result.reason
    assert result.exit_code not in (0, 1)
    assert [check.state for check in result.checks].count("failed") == 1
    if result.reason != "ReplayDiffers":
        after = (site.path / "state.json").read_bytes()
        assert before.partition(b'"lastReceipt"')[0] == after.partition(b'"lastReceipt"')[0] or b"accepted" not in after


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"{SCAN}/inputbundle.tar.zst", f"{SCAN}/outputbundle.tar.zst"),
        (f"{SCAN}/manifest.json", "KIT.json"),
        (f"{SCAN}/manifest.dsse.json", "kit.dsse.json"),
        ("rootpack/metadata/1.targets.json", "rootpack/metadata/1.snapshot.json"),
        ("README.txt", "SHA256SUMS"),
    ],
)
def test_swapped_files_are_refused(world: World, replay: Replay, tmp_path: Path, first: str, second: str) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    (kit / first).rename(tmp_path / "held")
    (kit / second).rename(kit / first)
    (tmp_path / "held").rename(kit / second)
    result, _ = replay(kit)
    assert result.verdict == REFUSED
    assert result.exit_code in (20, 21, 22, 23, 30, 31, 32)


def test_link_in_the_kit_is_refused(world: World, replay: Replay, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    (kit / "README.txt").unlink()
    (kit / "README.txt").symlink_to(world.kit / "README.txt")
    result, _ = replay(kit)
    assert (result.verdict, result.reason) == (REFUSED, "FileUndeclared")


def test_untouched_kit_is_verified(world: World, replay: Replay, tmp_path: Path) -> None:
    result, _ = replay(world.copy_kit(tmp_path / "kit"))
    assert (result.verdict, result.exit_code) == ("VERIFIED", 0)
