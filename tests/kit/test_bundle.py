"""kit.bundle: writing, the record, verifying and reading (docs/format.md section 1.6)."""

import io
import os
import random
import shutil
import subprocess
import tarfile

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.bundle import BundleReader, BundleRecord, check_record, write_bundle
from kit.bytes import canonical, digest, frames, merkle, tar
from kit.errors import (
    DigestMismatch,
    FileMissing,
    HostileName,
    InternalError,
    LimitExceeded,
    MalformedFrame,
    MalformedTar,
    NameCollision,
    SizeMismatch,
    StellaError,
)

MIB = 1 << 20
CUT = frames.MAX_CONTENT
SMALL = {
    "a.json": b"{}",
    "empty": b"",
    "sboms/sbom.json": b'{"bomFormat":"CycloneDX"}',
    "tools/bin/run": b"\x7fELF" + bytes(700),
    "vex/" + "d" * 60 + "/" + "e" * 60 + ".json": b"long",
    "\u00fcber.txt": b"not ASCII",
}

file_names = st.from_regex(r"[a-e]{1,3}(/[f-h\u00e4]{1,3}){0,2}", fullmatch=True)
contents = st.dictionaries(file_names, st.binary(max_size=2000), max_size=6)


@pytest.fixture
def pack(tmp_path):
    """Return a function that writes members as a bundle file and returns (path, record)."""

    def write(members, **options):
        path = tmp_path / "bundle.tar.zst"
        with path.open("wb") as file:
            record = write_bundle(file, members.items() if isinstance(members, dict) else members, **options)
        return path, record

    return write


def written(members, **options):
    """Return (archive bytes, record)."""
    target = io.BytesIO()
    record = write_bundle(target, members.items(), **options)
    return target.getvalue(), record


@pytest.fixture
def large(tmp_path):
    """Return members around the sizes at which frames are cut, some of them as files."""
    source = random.Random(11)
    sizes = [CUT - 512, CUT - 511, CUT - 513, CUT, CUT + 1, 2 * CUT - 512, 2 * CUT - 1024, 2 * CUT]
    members = {f"m{index}": source.randbytes(size) for index, size in enumerate(sizes)}
    members["zeros"] = bytes(3 * CUT + 77)
    members["tools/" + "p" * 100] = source.randbytes(CUT - 1536 + 1)
    return members


def test_golden_bundle(request):
    golden = canonical.decode_foreign((request.path.parent / "data" / "bundle.json").read_bytes())
    archive, record = written(SMALL)
    assert canonical.encode_record(record) == canonical.encode(golden["record"]) or golden["library"] != frames.LIBRARY
    assert record.content_root == golden["record"]["contentRoot"]
    # The archive as it was packed once: readable for ever, whatever the library's release makes today.
    stored = bytes.fromhex("".join(golden["archive"]))
    assert stored == archive or golden["library"] != frames.LIBRARY
    assert digest.of_bytes(stored) == golden["record"]["archiveDigest"]
    stream = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(stored), read_across_frames=True).read()
    with tarfile.open(fileobj=io.BytesIO(stream)) as tarball:
        assert {info.name: tarball.extractfile(info).read() for info in tarball} == SMALL


def test_members_are_read_back_after_verification(pack):
    path, record = pack(SMALL)
    with BundleReader(path, record) as reader:
        reader.verify()
        assert reader.names() == tuple(sorted(SMALL, key=str.encode))
        for name, content in SMALL.items():
            assert reader.read(name, limit=10_000) == content
            assert reader.open(name).size == len(content)
            assert reader.open(name).read_at(0, len(content)) == content


def test_large_members_are_cut_into_frames_and_read_at_any_place(pack, tmp_path, large):
    given = {}
    for index, (name, content) in enumerate(large.items()):
        if index % 2:
            given[name] = content
        else:
            given[name] = tmp_path / f"file{index}"
            given[name].write_bytes(content)
    path, record = pack(given)
    check_record(record)
    with path.open("rb", buffering=0) as file:
        lengths = [content for _, _, content in frames.read_frames(file)]
    assert max(lengths) == CUT
    assert sum(lengths) == record.content_size
    with BundleReader(path, record) as reader:
        reader.verify()
        assert reader.bytes_decompressed == record.content_size
        for name, content in large.items():
            member = reader.open(name)
            assert member.read_at(0, len(content)) == reader.read(name, limit=1 << 30) == content
            for at in (0, 1, CUT - 1600, CUT - 512, CUT - 1, CUT, len(content) - 5):
                length = min(5000, len(content) - at)
                if length >= 0:
                    assert member.read_at(at, length) == content[at : at + length]


def test_same_members_give_same_bytes_in_any_order_from_bytes_or_files(tmp_path):
    expected, record = written(SMALL)
    shuffled = list(SMALL.items())
    random.Random(3).shuffle(shuffled)
    for index, (name, content) in enumerate(shuffled):
        if index % 2:
            file = tmp_path / str(index)
            file.write_bytes(content)
            shuffled[index] = (name, file)
    assert written(dict(shuffled)) == (expected, record)


@pytest.mark.parametrize("level", [1, 9])
def test_content_root_does_not_depend_on_the_level(level):
    archive, record = written(SMALL | {"text": b"abc" * 5000}, level=level)
    other, again = written(SMALL | {"text": b"abc" * 5000})
    assert (record.content_root, record.content_size) == (again.content_root, again.content_size)
    assert archive != other
    check_record(record)


def test_stream_is_the_members_in_the_order_of_their_path_bytes():
    members = {"b": b"1", "a/b": b"2", "a-b": b"3", "\u00e4": b"4", "C": b"5", "a.b": b"6"}
    archive, record = written(members)
    order = ["C", "a-b", "a.b", "a/b", "b", "\u00e4"]
    assert [member.path for member in record.members] == order
    stream = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(archive), read_across_frames=True).read()
    expected = b"".join(tar.header(name, 1) + members[name] + bytes(511) for name in order) + bytes(1024)
    assert stream == expected
    assert record.content_size == len(expected)
    leaves = [canonical.encode({"path": m.path, "size": m.size, "digest": m.digest}) for m in record.members]
    assert record.content_root == "sha256:" + merkle.root([merkle.leaf_hash(leaf) for leaf in leaves]).hex()
    assert (record.archive_digest, record.archive_size) == (digest.of_bytes(archive), len(archive))


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_ordinary_tools_read_our_bundles(pack, tmp_path, program):
    if shutil.which(program) is None or shutil.which("zstd") is None:
        pytest.skip(f"no {program} or zstd program here")
    path, _ = pack(SMALL | {"big": bytes(2 * CUT)})
    stream = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
    target = tmp_path / "out"
    target.mkdir()
    subprocess.run(
        [program, "-xf", "-", "-C", target],
        input=stream,
        check=True,
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
    )
    found = {os.fsdecode(file.relative_to(target)): file.read_bytes() for file in target.rglob("*") if file.is_file()}
    assert found == SMALL | {"big": bytes(2 * CUT)}
    assert (target / "tools/bin/run").stat().st_mode & 0o777 == 0o755
    assert (target / "a.json").stat().st_mode & 0o777 == 0o644


def test_bundle_without_members(pack):
    path, record = pack({})
    assert record.content_root == digest.of_raw(merkle.EMPTY_ROOT)
    assert record.content_size == 1024
    with BundleReader(path, record) as reader:
        reader.verify()
        assert reader.names() == ()


@given(contents)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_is_written_verifies_and_reads_back(tmp_path, members):
    path = tmp_path / "b"
    try:
        archive, record = written(members)
    except NameCollision:
        return
    path.write_bytes(archive)
    again = canonical.decode_record(canonical.encode_record(record), BundleRecord)
    with BundleReader(path, again) as reader:
        reader.verify()
        assert {name: reader.read(name, limit=5000) for name in reader.names()} == members


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_changed_archive_is_refused_even_when_its_digest_is_signed(tmp_path, data):
    archive, record = written(SMALL)
    changed = bytearray(archive)
    kind = data.draw(st.sampled_from(["set", "insert", "delete", "cut"]))
    at = data.draw(st.integers(0, len(changed) - 1))
    if kind == "set":
        changed[at] = data.draw(st.integers(0, 255))
    elif kind == "insert":
        changed[at:at] = data.draw(st.binary(min_size=1, max_size=20))
    elif kind == "delete":
        del changed[at : at + data.draw(st.integers(1, 20))]
    else:
        del changed[at:]
    path = tmp_path / "b"
    path.write_bytes(changed)
    if changed != archive:
        with BundleReader(path, record) as reader, pytest.raises((SizeMismatch, DigestMismatch)):
            reader.verify()
    signed = msgspec.structs.replace(record, archive_digest=digest.of_bytes(changed), archive_size=len(changed))
    try:
        reader = BundleReader(path, signed)
    except LimitExceeded:
        return
    with reader:
        try:
            reader.verify()
        except (MalformedFrame, MalformedTar, DigestMismatch):
            with pytest.raises(InternalError):
                reader.open("a.json")
            return
        assert {name: reader.read(name, limit=5000) for name in reader.names()} == SMALL


def test_nothing_is_read_before_verification_or_after_closing(pack):
    path, record = pack(SMALL)
    reader = BundleReader(path, record)
    for call in (lambda: reader.open("a.json"), lambda: reader.read("a.json", limit=9)):
        with pytest.raises(InternalError):
            call()
    reader.verify()
    member = reader.open("a.json")
    reader.close()
    for call in (lambda: reader.open("a.json"), lambda: reader.read("a.json", limit=9), lambda: member.read_at(0, 1)):
        with pytest.raises(InternalError):
            call()


def test_failed_second_verification_closes_the_way_to_the_members(pack):
    path, record = pack(SMALL)
    with BundleReader(path, record) as reader:
        reader.verify()
        reader.verify()
        assert reader.read("a.json", limit=2) == b"{}"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(SizeMismatch):
            reader.verify()
        with pytest.raises(InternalError):
            reader.open("a.json")


def test_replacing_the_file_after_verification_has_no_effect(pack):
    path, record = pack(SMALL)
    with BundleReader(path, record) as reader:
        reader.verify()
        path.unlink()
        path.write_bytes(b"another")
        assert reader.read("a.json", limit=2) == b"{}"


def test_change_in_place_after_verification_is_met_by_read(pack):
    source = random.Random(17)
    path, record = pack({"a": source.randbytes(1000), "b": b"x"})
    other = b""
    while len(other) != record.archive_size:
        other, _ = written({"a": source.randbytes(1000), "b": b"x"})
    with BundleReader(path, record) as reader:
        reader.verify()
        with path.open("r+b") as file:
            file.write(other)
        with pytest.raises(DigestMismatch):
            reader.read("a", limit=1000)
    with BundleReader(*pack({"a": b"1"})) as reader:
        reader.verify()
        with path.open("r+b") as file:
            file.truncate(10)
        with pytest.raises(MalformedFrame):
            reader.open("a").read_at(0, 1)


def test_only_signed_members_within_the_limit_are_read(pack):
    path, record = pack(SMALL)
    with BundleReader(path, record) as reader:
        reader.verify()
        for name in ("absent", "", "../a.json", "A.JSON"):
            with pytest.raises(FileMissing):
                reader.open(name)
            with pytest.raises(FileMissing):
                reader.read(name, limit=10)
        with pytest.raises(LimitExceeded):
            reader.read("a.json", limit=1)
        member = reader.open("a.json")
        for offset, length in ((0, 3), (3, 0), (-1, 1), (1, -1), (1, 2)):
            with pytest.raises(SizeMismatch):
                member.read_at(offset, length)
        assert member.read_at(2, 0) == b""


def test_few_decoded_frames_are_kept(pack):
    path, record = pack({"a": os.urandom(4 * CUT), "b": b"x"})
    with BundleReader(path, record) as reader:
        reader.verify()
        member = reader.open("a")
        before = reader.bytes_decompressed
        for at in range(0, 2 * CUT - 1000, 10_000):
            member.read_at(at, 100)
        assert reader.bytes_decompressed - before == 2 * CUT
        for at in (0, CUT, 0, CUT):
            member.read_at(at, 10)
        assert reader.bytes_decompressed - before == 2 * CUT
        member.read_at(2 * CUT, 10)
        member.read_at(0, 10)
        assert reader.bytes_decompressed - before == 4 * CUT


def test_bundle_that_is_no_regular_file_is_missing(pack, tmp_path):
    _, record = pack(SMALL)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    for name in ("pipe", "directory", "absent"):
        with pytest.raises(FileMissing):
            BundleReader(tmp_path / name, record)


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ([("../a", b"")], HostileName),
        ([("/a", b"")], HostileName),
        ([("a\\b", b"")], HostileName),
        ([("a", b""), ("a", b"")], NameCollision),
        ([("a", b""), ("A", b"")], NameCollision),
        ([("a", b""), ("a/b", b"")], NameCollision),
        ([(f"m{index}", b"") for index in range(4097)], LimitExceeded),
    ],
)
def test_members_that_no_bundle_may_hold_are_not_written(members, error):
    target = io.BytesIO()
    with pytest.raises(error):
        write_bundle(target, members)
    assert target.getvalue() == b""


def test_most_members_that_a_bundle_may_hold():
    archive, record = written({f"m{index:04}": b"" for index in range(4096)})
    check_record(record)
    assert len(record.members) == 4096
    assert len(archive) == record.archive_size


def test_member_that_is_no_regular_file_is_not_written(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    for name in ("pipe", "directory", "absent"):
        with pytest.raises(FileMissing):
            write_bundle(io.BytesIO(), [("a", tmp_path / name)])


class Meddling(io.BytesIO):
    """A target that changes a member's file when the first frame is written."""

    def __init__(self, change):
        super().__init__()
        self._change = change

    def write(self, data):
        if self._change:
            self._change()
            self._change = None
        return super().write(data)


@pytest.mark.parametrize("size", [CUT, 3 * CUT, 5 * CUT + 1])
def test_file_whose_size_changes_while_it_is_read_is_refused(tmp_path, size):
    file = tmp_path / "file"
    file.write_bytes(bytes(2 * CUT + CUT // 2))
    with pytest.raises(SizeMismatch):
        write_bundle(Meddling(lambda: os.truncate(file, size)), [("a", file)])


@given(contents)
def test_every_record_that_is_written_is_accepted(members):
    try:
        _, record = written(members)
    except StellaError:
        return
    check_record(record)


def test_incompressible_bundle_stays_within_the_largest_size():
    _, record = written({f"m{index:03}": os.urandom(index * 37) for index in range(200)} | {"z": os.urandom(2 * CUT)})
    check_record(record)
