"""kit.bytes.tar: docs/format.md section 1.4, against golden headers, Python's tarfile and GNU tar."""

import io
import shutil
import subprocess
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import names, tar
from kit.errors import HostileName, LimitExceeded

components = st.text(st.sampled_from("abcxyz019._-\u00e9\u65e5\U0001f600"), min_size=1, max_size=60)
paths = st.lists(components, min_size=1, max_size=8).map("/".join)
sizes = st.integers(0, 1 << 34) | st.sampled_from([8**11 - 1, 8**11, tar.MAX_SIZE])
LONG_DIRECTORY = "d" * 60 + "/" + "e" * 60


def read_back(header):
    """Return what Python's tarfile makes of header blocks alone."""
    with tarfile.open(fileobj=io.BytesIO(header + tar.END), ignore_zeros=False) as archive:
        return archive.next()


def test_golden_headers(vectors):
    for case in vectors("tar"):
        assert tar.header(case["path"], case["size"]).hex() == "".join(case["header"]), case["path"]


@given(paths, sizes)
def test_tarfile_reads_path_size_and_fixed_metadata(path, size):
    try:
        names.check_name(path)
    except HostileName:
        return
    header = tar.header(path, size)
    assert len(header) % tar.BLOCK == 0
    assert tar.length(path, size) == len(header) + size + tar.padding(size)
    found = read_back(header)
    assert (found.name, found.size, found.isreg()) == (path, size, True)
    assert (found.mode, found.uid, found.gid, found.mtime) == (0o755 if path.startswith("tools/") else 0o644, 0, 0, 0)
    assert (found.uname, found.gname, found.linkname, found.devmajor, found.devminor) == ("", "", "", 0, 0)
    assert set(found.pax_headers) <= {"path", "size"}


@pytest.mark.parametrize(
    ("path", "size", "records"),
    [
        ("a" * 100, 0, set()),
        ("a" * 101, 0, {"path"}),
        ("a" * 99 + "/" + "b" * 100, 0, set()),
        ("a" * 98 + "/" + "b" * 101, 0, {"path"}),
        ("\u00e9", 0, {"path"}),
        ("a", 8**11 - 1, set()),
        ("a", 8**11, {"size"}),
        ("\u00e9", 8**11, {"path", "size"}),
    ],
)
def test_pax_records_stand_only_where_ustar_cannot_hold_the_value(path, size, records):
    header = tar.header(path, size)
    assert set(read_back(header).pax_headers) == records
    assert len(header) == (1536 if records else 512)


def test_long_path_is_split_at_the_leftmost_slash_that_leaves_100_bytes():
    header = tar.header(f"{LONG_DIRECTORY}/file", 0)
    assert header[:100].rstrip(b"\0") == b"e" * 60 + b"/file"
    assert header[345:500].rstrip(b"\0") == b"d" * 60


@pytest.mark.parametrize("path", ["a", "a/b.json", "tools/bin/x", f"{LONG_DIRECTORY}/f", "a" * 100, "x/" + "a" * 100])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 8**11 - 1])
def test_ustar_header_is_that_of_tarfile_but_for_the_device_numbers(path, size):
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = 0o755 if path.startswith("tools/") else 0o644
    theirs = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    ours = tar.header(path, size)
    theirs[329:345] = ours[329:345]
    theirs[148:156] = ours[148:156]
    assert bytes(theirs) == ours


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar program here")
def test_stream_is_byte_for_byte_what_gnu_tar_writes(tmp_path):
    version = subprocess.run(["tar", "--version"], capture_output=True, text=True, check=True).stdout
    if "GNU tar" not in version:
        pytest.skip("tar is not GNU tar here")
    members = {"a": b"", "b/c.json": b"{}", "b/d": b"x" * 512, "tools/run": b"y" * 1025, "z" * 90: b"z" * 511}
    stream = b""
    for path, content in members.items():
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755 if path.startswith("tools/") else 0o644)
        stream += tar.header(path, len(content)) + content + bytes(tar.padding(len(content)))
    options = ["--format=ustar", "--numeric-owner", "--owner=0", "--group=0", "--mtime=@0", "-b1", "-cf", "-"]
    theirs = subprocess.run(["tar", "-C", tmp_path, *options, *members], capture_output=True, check=True).stdout
    assert stream + tar.END == theirs


@pytest.mark.parametrize("size", [-1, tar.MAX_SIZE + 1])
def test_size_that_no_document_can_hold_is_refused(size):
    with pytest.raises(LimitExceeded):
        tar.header("a", size)


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_path_that_a_header_cannot_hold_is_refused(path):
    with pytest.raises(HostileName):
        tar.header(path, 0)


@given(st.integers(0, 1 << 53))
def test_padding_fills_the_block(size):
    assert 0 <= tar.padding(size) < tar.BLOCK
    assert (size + tar.padding(size)) % tar.BLOCK == 0
