"""A kit on several media: cutting, checking one alone, joining, and importing it volume by volume."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stella
from builder import split as splits
from kit import errors, layout, volume
from kit.bytes import canonical, digest
from kit.volume import Piece, Volume
from tests.attacks import forge
from tests.world import NOW, World
from verifier import session, volumes

SIZE = 150_000


def nothing(_: Piece) -> None:
    return None


@pytest.fixture(scope="module")
def large(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a kit of 600 kB, most of it one file."""
    home = tmp_path_factory.mktemp("large")
    program = home / "linux-x86_64"
    program.mkdir()
    (program / "stella").write_bytes(random.Random(8).randbytes(500_000))
    (program / "notes.txt").write_bytes(random.Random(9).randbytes(50_000))
    (program / "stella").chmod(0o755)
    return world.build_kit(home / "kit", programs=[program])


@pytest.fixture(scope="module")
def cut(world: World, large: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the volumes of the large kit, in order."""
    out = tmp_path_factory.mktemp("cut") / "media"
    splits.split(large, SIZE, out, [world.kit_signer], nothing)
    return sorted(out.iterdir())


@pytest.fixture
def media(cut: list[Path], tmp_path: Path) -> list[Path]:
    """Return copies of the volumes, to be broken."""
    return [Path(shutil.copytree(path, tmp_path / "media" / path.name)) for path in cut]


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_joined_volumes_are_the_kit_byte_for_byte(large: Path, cut: list[Path], tmp_path: Path) -> None:
    assert len(cut) > 4
    splits.join(random.Random(2).sample(cut, len(cut)), tmp_path / "joined", nothing)
    assert files(tmp_path / "joined") == files(large)
    splits.join([cut[0].parent], tmp_path / "of-the-directory", nothing)
    assert files(tmp_path / "of-the-directory") == files(large)


def test_every_volume_fits_its_medium_and_only_what_must_be_is_cut(cut: list[Path]) -> None:
    for place in cut:
        blocks = sum(-(-path.stat().st_size // volume.BLOCK) for path in place.rglob("*") if path.is_file())
        assert blocks * volume.BLOCK <= SIZE
    parts = {piece.path for place in cut for piece in volumes.read(place).record.pieces if piece.stored != piece.path}
    assert parts == {"bin/linux-x86_64/stella"}


def test_every_volume_is_checked_alone_and_by_sha256sum(world: World, cut: list[Path]) -> None:
    for number, place in enumerate(cut, 1):
        found = splits.check_volume(place, world.root, NOW, nothing)
        assert (found.record.number, found.record.count) == (number, len(cut))
        done = subprocess.run(
            ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=place, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        listed = {line.split("  ")[1] for line in (place / "SHA256SUMS").read_text().splitlines()}
        assert listed == set(files(place)) - {"SHA256SUMS"}


def test_same_kit_size_and_key_give_the_same_bytes(world: World, large: Path, cut: list[Path], tmp_path: Path) -> None:
    splits.split(large, SIZE, tmp_path / "again", [world.kit_signer], nothing)
    assert files(tmp_path / "again") == files(cut[0].parent)


def test_another_signers_volume_is_not_of_the_pinned_root(large: Path, world: World, tmp_path: Path) -> None:
    stranger = forge.stranger(tmp_path / "stranger")
    splits.split(large, SIZE, tmp_path / "media", [stranger.signer], nothing)
    with pytest.raises(errors.SignerUnknown):
        splits.check_volume(min((tmp_path / "media").iterdir()), world.root, NOW, nothing)


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def swap_records(media: Sequence[Path]) -> None:
    for name in (volume.VOLUME_FILE, volume.VOLUME_ENVELOPE):
        first, second = media[0] / name, media[1] / name
        kept = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(kept)


def largest(place: Path) -> Path:
    return max((path for path in place.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


FAULTS: dict[str, tuple[Callable[[list[Path]], object], type[errors.StellaError]]] = {
    "altered": (lambda media: change(largest(media[0])), errors.DigestMismatch),
    "shortened": (lambda media: os.truncate(largest(media[0]), 10), errors.SizeMismatch),
    "a piece gone": (lambda media: largest(media[0]).unlink(), errors.FileMissing),
    "a file too many": (lambda media: (media[0] / "extra").write_bytes(b"x"), errors.FileUndeclared),
    "records swapped": (swap_records, errors.FileMissing),
    "no record's envelope": (lambda media: (media[0] / volume.VOLUME_ENVELOPE).unlink(), errors.EvidenceMissing),
    "sums changed": (lambda media: change(media[0] / layout.SUMS_FILE), errors.DigestMismatch),
    "a link": (lambda media: (media[0] / "link").symlink_to("/etc/passwd"), errors.FileUndeclared),
    "a hostile name": (lambda media: (media[0] / "a:b").write_bytes(b""), errors.HostileName),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_volume_is_refused_by_name(media: list[Path], tmp_path: Path, fault: str) -> None:
    spoil, expected = FAULTS[fault]
    spoil(media)
    with pytest.raises(expected):
        volumes.check_alone(media[0], nothing)
    with pytest.raises(expected):
        splits.join(media, tmp_path / "joined", nothing)
    assert not (tmp_path / "joined").exists()


def test_a_missing_volume_is_named(cut: list[Path], tmp_path: Path) -> None:
    with pytest.raises(errors.VolumeMissing) as refused:
        splits.join([*cut[:1], *cut[2:3]], tmp_path / "joined", nothing)
    others = ", ".join(str(number) for number in range(4, len(cut) + 1))
    assert f"Bring volumes 2, {others} of {len(cut)} and run again" in refused.value.next_step


def test_a_volume_given_twice_in_place_of_another_is_told(cut: list[Path], tmp_path: Path) -> None:
    again = shutil.copytree(cut[0], tmp_path / "again")
    with pytest.raises(errors.VolumeMissing, match=r"volume 2 of .* missing.*given twice: 1"):
        splits.join([*cut[:1], Path(again), *cut[2:]], tmp_path / "joined", nothing)


def test_a_volume_of_another_kit_or_of_another_split_is_foreign(
    world: World, large: Path, cut: list[Path], tmp_path: Path
) -> None:
    splits.split(large, 2 * SIZE, tmp_path / "wider", [world.kit_signer], nothing)
    splits.split(world.build_kit(tmp_path / "kit", sequence=9), SIZE, tmp_path / "other", [world.kit_signer], nothing)
    for stranger in (tmp_path / "wider", tmp_path / "other"):
        with pytest.raises(errors.VolumeForeign):
            splits.join([*cut, max(stranger.iterdir())], tmp_path / "joined", nothing)


def test_a_volume_mixed_with_no_volume_is_a_mistake(world: World, cut: list[Path], tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError, match="no volume"):
        splits.join([*cut, world.kit], tmp_path / "joined", nothing)
    with pytest.raises(errors.UsageError, match="there is no volume here"):
        splits.join([world.kit], tmp_path / "joined", nothing)


def test_a_damaged_kit_is_not_split(world: World, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    change(largest(kit))
    with pytest.raises(errors.DigestMismatch):
        splits.split(kit, SIZE, tmp_path / "media", [world.kit_signer], nothing)
    assert not (tmp_path / "media").exists()


def test_a_time_stamp_over_the_kit_is_not_lost_in_silence(world: World, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    (kit / "evidence").mkdir()
    (kit / "evidence/12345678.tsr").write_bytes(b"stamp")
    with pytest.raises(errors.UsageError, match="time stamps"):
        splits.split(kit, SIZE, tmp_path / "media", [world.kit_signer], nothing)
    assert not (tmp_path / "media").exists()


def test_a_medium_that_is_too_small_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError, match="fills the medium"):
        splits.split(world.kit, 30_000, tmp_path / "media", [world.kit_signer], nothing)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("cd", 722_534_400), ("DVD", 4_606_365_532), ("4480M", 4480 << 20), ("700MB", 700_000_000), ("fat32", 1 << 50)],
)
def test_media_are_given_by_name_or_by_size(text: str, expected: int) -> None:
    assert splits.capacity(text) == expected


@pytest.mark.parametrize("text", ["", "floppy", "12x", "-5", "4.7 GBB"])
def test_other_media_are_refused(text: str) -> None:
    with pytest.raises(errors.UsageError, match="--size"):
        splits.capacity(text)


SIZES = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}", fullmatch=True),
    st.integers(0, 400_000) | st.integers(0, 20_000_000_000),
    min_size=1,
    max_size=20,
)


@given(sizes=SIZES, capacity=st.integers(200_000, 30_000_000_000))
def test_cut_pieces_cover_every_file_once_and_fit(sizes: dict[str, int], capacity: int) -> None:
    capacity = max(capacity, sum(sizes.values()) // 300)  # fewer volumes than numbers
    cuts = volume.cut(sizes.items(), capacity, 1000)
    for one in cuts:
        assert sum(-(-size // volume.BLOCK) * volume.BLOCK for _, _, size in one) <= capacity
        assert all(size <= volume.MAX_PIECE for _, _, size in one)
    covered: dict[str, int] = {}
    for path, offset, size in sorted(piece for one in cuts for piece in one):
        assert offset == covered.get(path, 0)
        covered[path] = offset + size
    assert covered == sizes


def record(**changes: object) -> dict[str, object]:
    piece = {"path": "a/b", "offset": 0, "size": 3, "digest": digest.of_bytes(b"abc"), "stored": "a/b"}
    base: dict[str, object] = {
        "schemaVersion": "1.0",
        "kitId": "default-000001-0123456789ab",
        "kitDigest": digest.of_bytes(b"kit"),
        "set": digest.of_bytes(b"set"),
        "number": 1,
        "count": 2,
        "pieces": [piece | {name: value for name, value in changes.items() if name in piece}],
    }
    return base | {name: value for name, value in changes.items() if name in base}


def test_a_record_that_says_nothing_odd_is_read() -> None:
    assert volume.parse(canonical.encode(record())).pieces[0].stored == "a/b"
    assert volume.parse(canonical.encode(record(stored="a/b.part001"))).pieces[0].stored == "a/b.part001"


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 0}, {"number": 3}, {"count": 1000, "number": 1}, {"pieces": []}, {"schemaVersion": "2.0"},
        {"kitDigest": "md5:0"}, {"set": ""}, {"digest": "x"}, {"stored": "../a"}, {"stored": "a/c"}, {"stored": "a/bx"},
        {"stored": "a/b.part1"}, {"stored": "a/b.part0001"}, {"path": "/etc", "stored": "/etc"}, {"offset": -1},
        {"size": -1}, {"stored": "VOLUME.json", "path": "VOLUME.json"}, {"number": "1"}, {"extra": 1},
    ],
    ids=repr,
)  # fmt: skip
def test_an_odd_record_is_refused(changes: dict[str, object]) -> None:
    document = record(**changes) | ({"extra": 1} if "extra" in changes else {})
    with pytest.raises((errors.MalformedDocument, errors.UnsupportedVersion, errors.HostileName, errors.NameCollision)):
        volume.parse(canonical.encode(document))


@given(data=st.binary(max_size=300) | st.builds(lambda cut: canonical.encode(record())[:cut], st.integers(0, 500)))
def test_any_bytes_are_a_record_or_refused(data: bytes) -> None:
    try:
        parsed = volume.parse(data)
    except errors.StellaError:
        return
    assert isinstance(parsed, Volume)
    assert canonical.encode_record(parsed) == data


def test_the_commands(
    world: World, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "clock", lambda: NOW)
    key = ("--key", str(world.keys / "kit-1.key.pem"), "--rootpack", str(world.rootpack))
    media = tmp_path / "media"
    assert stella.main(["kit", "split", str(large), "--size", str(SIZE), *key, "--out", str(media)]) == 0
    first = min(media.iterdir())
    root = ("--root", str(world.rootpack / "metadata" / "1.root.json"))
    assert stella.main(["kit", "check-volume", str(first), *root]) == 0
    assert "of the pinned root's keys" in capsys.readouterr().out
    assert stella.main(["kit", "join", str(media), "--out", str(tmp_path / "joined")]) == 0
    assert files(tmp_path / "joined") == files(large)
    shutil.rmtree(first)
    assert stella.main(["kit", "join", str(media), "--out", str(tmp_path / "again")]) == 40
    assert "Bring volume 1 of" in capsys.readouterr().err
