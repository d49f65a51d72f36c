"""Hostile archives that a bundle reader must refuse, although a signed record names their very digest.

The families are those known from tar readers and extractors: names, links, special files, extension headers, sizes,
ends, slack. The record always describes the innocent members; the archive is what a hostile packer made instead.
"""

import io
import random
import tarfile

import pytest
import zstandard

from kit.bundle import BundleReader, BundleRecord, write_bundle
from kit.bytes import digest, frames, tar
from kit.errors import DigestMismatch, InternalError, MalformedFrame, MalformedTar

INNOCENT = {"a.json": b"{}", "docs/b.txt": b"b" * 700, "tools/run": b"#!/bin/sh\n"}
PARTS = {
    name: tar.header(name, len(content)) + content + bytes(tar.padding(len(content)))
    for name, content in INNOCENT.items()
}
FIRST = PARTS["a.json"]
REST = [PARTS["docs/b.txt"], PARTS["tools/run"], tar.END]


def summed(header):
    """Return a header block with its checksum made right."""
    blank = header[:148] + b" " * 8 + header[156:512]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:] + header[512:]


def patched(offset, data, source=FIRST):
    """Return the first member's part with some header bytes replaced and the checksum made right."""
    return summed(source[:offset] + data + source[offset + len(data) :])


def field(value, width):
    return value.ljust(width, b"\0")


def pax(records, kind=b"x"):
    """Return an extension header with its records as they are given."""
    block = tar.header("././@PaxHeader", len(records))
    return patched(156, kind, block) + records + bytes(tar.padding(len(records)))


def record_line(key, value):
    rest = len(key) + len(value) + 3
    total = next(total for total in range(rest, rest + 20) if rest + len(str(total)) == total)
    return b"%d %b=%b\n" % (total, key, value)


def by_tarfile(form, **fields):
    """Return the header and content that Python's tarfile writes for a member of two bytes."""
    info = tarfile.TarInfo("a.json")
    info.size = 2
    for name, value in fields.items():
        setattr(info, name, value)
    content = b"{}" + bytes(510) if info.size == 2 else b""
    return info.tobuf(form) + content


def covert(offset, source=FIRST):
    """Return the first member's part with a byte hidden where readers do not look."""
    return source[:offset] + b"\x01" + source[offset + 1 :]


# What stands in place of the first member, in one frame.
NAMES = {
    "parent path": b"../a.json",
    "absolute path": b"/a.json",
    "parent inside": b"x/../a.json",
    "dot path": b"./a.json",
    "double slash": b"a//json",
    "UNC path": b"\\\\host\\a.json",
    "drive path": b"c:/a.json",
    "stream path": b"a.json:x",
    "device name": b"nul.json",
    "trailing dot": b"a.json.",
    "newline": b"a.json\n",
    "escape": b"a.json\x1b[2J",
    "bidirectional": "a\u202enosj.txt".encode(),
    "zero width": "a\u200b.json".encode(),
    "not UTF-8": b"a\xff.json",
    "NFD": "a\u0301.json".encode(),
    "other case": b"A.json",
    "other name": b"b.json",
    "alias": b"a~1.jso",
    "name after a zero byte": b"a.json\0x",
    "empty": b"",
    "directory": b"a.json/",
}
FIRST_PARTS = {
    **{f"name: {label}": patched(0, field(name, 100)) for label, name in NAMES.items()},
    "deep path": patched(0, field(b"a/" * 49 + b"a", 100)),
    "PATH_MAX chain": pax(record_line(b"path", b"d/" * 3000 + b"a.json")) + FIRST,
    "prefix in front": patched(345, b"x"),
    **{
        f"type {kind!r}": patched(156, kind)
        for kind in (
            b"\0",
            b"1",
            b"2",
            b"3",
            b"4",
            b"5",
            b"6",
            b"7",
            b"S",
            b"M",
            b"V",
            b"D",
            b"N",
            b"L",
            b"K",
            b"g",
            b"x",
            b"X",
            b"Z",
        )
    },
    "hard link": by_tarfile(tarfile.USTAR_FORMAT, type=tarfile.LNKTYPE, linkname="/etc/passwd", size=0),
    "symbolic link": by_tarfile(tarfile.USTAR_FORMAT, type=tarfile.SYMTYPE, linkname="../../etc", size=0),
    "link name on a file": patched(157, b"x"),
    "character device": by_tarfile(tarfile.USTAR_FORMAT, type=tarfile.CHRTYPE, devmajor=1, devminor=3, size=0),
    "fifo": by_tarfile(tarfile.USTAR_FORMAT, type=tarfile.FIFOTYPE, size=0),
    "directory": by_tarfile(tarfile.USTAR_FORMAT, type=tarfile.DIRTYPE, size=0),
    "set user id": patched(100, b"0004755\0"),
    "executable": patched(100, b"0000755\0"),
    "world writable": patched(100, b"0000666\0"),
    "owner": patched(108, b"0001750\0"),
    "group": patched(116, b"0001750\0"),
    "owner name": patched(265, b"root"),
    "group name": patched(297, b"root"),
    "time": patched(136, b"14000000000\0"),
    "negative time": patched(136, b"\xff" * 12),
    "device numbers": patched(329, b"0000001\0"),
    "old magic": patched(257, b"ustar  \0"),
    "no magic": patched(257, bytes(8)),
    "version": patched(263, b"01"),
    "negative size": patched(124, b"\xff" * 12),
    "binary size": patched(124, b"\x80" + bytes(10) + b"\x02"),
    "huge size": patched(124, b"77777777777\0"),
    "size not octal": patched(124, b"0000000000x\0"),
    "size with spaces": patched(124, b"          2\0"),
    "size without end": patched(124, b"000000000002"),
    "smaller size": patched(124, b"00000000001\0"),
    "larger size": patched(124, b"00000000003\0"),
    "signed checksum": FIRST[:148] + b"-00001\0 " + FIRST[156:],
    "wrong checksum": covert(148),
    "checksum of other form": FIRST[:148] + b" " + FIRST[148:153] + b" \0" + FIRST[156:],
    "checksum zero": FIRST[:148] + b"000000\0 " + FIRST[156:],
    "slack after the name": covert(99),
    "slack in the link name": covert(256),
    "slack after the prefix": covert(511),
    "slack in front of the end of the block": covert(505),
    "covert padding": covert(512 + 2),
    "covert padding at the end": covert(1023),
    "changed content": covert(512),
    "zero header": bytes(512) + FIRST[512:],
    "zero member": bytes(1024),
    "random": random.Random(4).randbytes(1024),
    "nested frame": frames.compress_frame(bytes(4 << 20)).ljust(1024, b"\0"),
    "duplicate member": FIRST + FIRST,
    "case collision": FIRST + patched(0, b"A.json"),
    "member more": FIRST + tar.header("a.more", 0),
    "directory before": patched(156, b"5", tar.header("docs/", 0)) + FIRST,
    "global header": pax(record_line(b"path", b"x"), b"g") + FIRST,
    "global comment": pax(record_line(b"comment", b"x"), b"g") + FIRST,
    "Solaris header": pax(record_line(b"path", b"x"), b"X") + FIRST,
    "GNU long name": by_tarfile(tarfile.GNU_FORMAT, name="a" * 120),
    "GNU long link": by_tarfile(tarfile.GNU_FORMAT, type=tarfile.SYMTYPE, linkname="l" * 120, size=0),
    "GNU sparse": patched(156, b"S") + bytes(512),
    "multi-volume": patched(156, b"M"),
    "volume label": patched(156, b"V", tar.header("label", 0)) + FIRST,
    "pax path not needed": pax(record_line(b"path", b"a.json")) + FIRST,
    "pax other path": pax(record_line(b"path", b"../x")) + FIRST,
    "pax double path": pax(record_line(b"path", b"a.json") * 2) + FIRST,
    "pax size smaller": pax(record_line(b"size", b"1")) + FIRST,
    "pax size zero": pax(record_line(b"size", b"0")) + FIRST,
    "pax size negative": pax(record_line(b"size", b"-1")) + FIRST,
    "pax size huge": pax(record_line(b"size", b"9" * 30)) + FIRST,
    "pax size that swallows the next": pax(record_line(b"size", b"1536")) + FIRST,
    "pax size as float": pax(record_line(b"size", b"2.0")) + FIRST,
    "pax link path": pax(record_line(b"linkpath", b"/etc")) + FIRST,
    "pax attributes": pax(record_line(b"SCHILY.xattr.user.x", b"1")) + FIRST,
    "pax sparse map": pax(record_line(b"GNU.sparse.map", b"0,1") + record_line(b"GNU.sparse.name", b"x")) + FIRST,
    "pax charset": pax(record_line(b"hdrcharset", b"BINARY")) + FIRST,
    "pax time": pax(record_line(b"mtime", b"1.5")) + FIRST,
    "pax empty": pax(b"") + FIRST,
    "pax without records": pax(b"\0" * 10) + FIRST,
    "pax without key": pax(b"4 =\n") + FIRST,
    "pax wrong length": pax(b"99 path=a.json\n") + FIRST,
    "pax length zero": pax(b"0 path=a.json\n") + FIRST,
    "pax length not a number": pax(b"xx path=a.json\n") + FIRST,
    "pax of 2 MB": pax(record_line(b"comment", b"x" * (2 << 20))) + FIRST,
    "pax before pax": pax(record_line(b"path", b"x")) * 2 + FIRST,
    "pax dangling": pax(record_line(b"path", b"a.json")),
    "nothing": b"",
}

# The whole archive, frame by frame.
ENDS = {
    "no end": [FIRST, *REST[:-1]],
    "one zero block": [FIRST, *REST[:-1], bytes(512)],
    "three zero blocks": [FIRST, *REST[:-1], bytes(1536)],
    "end of GNU tar": [FIRST, *REST[:-1], bytes(10240)],
    "end in two frames": [FIRST, *REST[:-1], bytes(512), bytes(512)],
    "end not zero": [FIRST, *REST[:-1], bytes(1023) + b"\x01"],
    "end too early": [FIRST, tar.END, *REST],
    "member after the end": [FIRST, *REST, FIRST],
    "second archive": [FIRST, *REST, FIRST, *REST],
    "zeros after the end": [FIRST, *REST, bytes(512)],
    "data after the end": [FIRST, *REST, b"data"],
    "data in the end's frame": [FIRST, *REST[:-1], tar.END + b"data"],
    "member missing": [FIRST, *REST[1:]],
    "last member missing": [FIRST, REST[0], tar.END],
    "members exchanged": [REST[0], FIRST, *REST[1:]],
    "first member twice": [FIRST, FIRST, *REST],
    "members in one frame": [FIRST + REST[0], *REST[1:]],
    "all in one frame": [FIRST + b"".join(REST)],
    "header in a frame of its own": [FIRST[:512], FIRST[512:], *REST],
    "cut inside a block": [FIRST[:700], FIRST[700:], *REST],
    "only the end": [tar.END],
}


def packed(parts):
    return b"".join(frames.compress_frame(part) for part in parts if part)


GOOD = packed([FIRST, *REST])

# What stands in place of the archive, around or inside its frames.
ARCHIVES = {
    "skippable frame before": b"\x50\x2a\x4d\x18\x04\0\0\0skip" + GOOD,
    "skippable frame between": packed([FIRST]) + b"\x50\x2a\x4d\x18\x04\0\0\0skip" + packed(REST),
    "skippable frame after": GOOD + b"\x50\x2a\x4d\x18\x04\0\0\0skip",
    "garbage before": b"x" + GOOD,
    "garbage between": packed([FIRST]) + b"garbage" + packed(REST),
    "garbage after": GOOD + b"garbage",
    "zeros after": GOOD + bytes(512),
    "truncated": GOOD[:-1],
    "truncated at a frame": packed([FIRST, *REST[:-1]]),
    "truncated in a header": GOOD[:3],
    "one frame over all": zstandard.ZstdCompressor(write_checksum=True).compress(FIRST + b"".join(REST)),
    "empty frame between": packed([FIRST]) + zstandard.ZstdCompressor(write_checksum=True).compress(b"") + packed(REST),
    "no checksum": packed([FIRST]) + b"".join(zstandard.ZstdCompressor().compress(part) for part in REST),
    "bomb": packed([FIRST]) + zstandard.ZstdCompressor(write_checksum=True).compress(bytes(32 << 20)) + packed(REST),
    "gzip in disguise": b"\x1f\x8b\x08\0\0\0\0\0" + GOOD[8:],
    "plain tar": FIRST + b"".join(REST),
    "nested": packed([GOOD]),
}


@pytest.fixture
def verify(tmp_path):
    """Return a function that verifies archive bytes against the innocent members' record, their digest included."""
    target = io.BytesIO()
    innocent = write_bundle(target, INNOCENT.items())
    assert target.getvalue() == GOOD

    def run(archive):
        path = tmp_path / "bundle.tar.zst"
        path.write_bytes(archive)
        record = BundleRecord(
            members=innocent.members,
            content_root=innocent.content_root,
            content_size=innocent.content_size,
            archive_digest=digest.of_bytes(archive),
            archive_size=len(archive),
        )
        with BundleReader(path, record) as reader:
            try:
                reader.verify()
            finally:
                assert list(tmp_path.iterdir()) == [path]
                if reader.bytes_decompressed == 0:
                    for name in INNOCENT:
                        with pytest.raises(InternalError):
                            reader.read(name, limit=1 << 20)

    return run


def test_innocent_archive_passes(verify):
    verify(GOOD)


@pytest.mark.parametrize("name", FIRST_PARTS)
def test_hostile_member_is_refused(verify, name):
    part = FIRST_PARTS[name]
    if len(part) != len(FIRST):
        expected = MalformedFrame
    else:
        expected = DigestMismatch if name == "changed content" else MalformedTar
    archive = packed([part, *REST])
    with pytest.raises(expected):
        verify(archive)


@pytest.mark.parametrize("name", [name for name, part in FIRST_PARTS.items() if len(part) > len(FIRST)])
def test_hostile_member_is_refused_wherever_the_frames_are_cut(verify, name):
    part = FIRST_PARTS[name]
    for parts in ([part[:1024], part[1024:], *REST], [FIRST, part, *REST], [FIRST, part[: len(REST[0])], *REST]):
        with pytest.raises((MalformedFrame, MalformedTar)):
            verify(packed(parts))


@pytest.mark.parametrize("name", ENDS)
def test_archive_of_other_members_or_another_end_is_refused(verify, name):
    with pytest.raises((MalformedFrame, MalformedTar)):
        verify(packed(ENDS[name]))


@pytest.mark.parametrize("name", ARCHIVES)
def test_archive_of_other_frames_is_refused(verify, name):
    with pytest.raises(MalformedFrame):
        verify(ARCHIVES[name])


@pytest.mark.parametrize("offset", range(0, 1024, 7))
def test_no_byte_of_a_member_is_free(verify, offset):
    flipped = bytearray(FIRST)
    flipped[offset] ^= 0x40
    with pytest.raises((MalformedTar, DigestMismatch)):
        verify(packed([bytes(flipped), *REST]))
