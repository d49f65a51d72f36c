"""kit.bundle.sources: a directory read like a bundle."""

import os
import socket
from pathlib import Path

import pytest

from kit.bundle import BundleReader, DirectorySource, MemberSource, write_bundle
from kit.errors import FileMissing, HostileName, LimitExceeded, NameCollision, SizeMismatch

FILES = {"a.json": b"{}", "b/c/d.txt": b"d" * 5000, "b/e": b"", "z": b"last"}


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "root"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def read_all(source: MemberSource) -> dict[str, bytes]:
    return {name: source.read(name, limit=10_000) for name in source.names()}


def test_directory_and_bundle_are_read_alike(tree, tmp_path):
    path = tmp_path / "bundle"
    with path.open("wb") as file:
        record = write_bundle(file, FILES.items())
    with DirectorySource(tree) as directory, BundleReader(path, record) as bundle:
        bundle.verify()
        assert read_all(directory) == read_all(bundle) == FILES
        assert directory.names() == bundle.names()
        for source in (directory, bundle):
            member = source.open("b/c/d.txt")
            assert (member.size, member.read_at(4990, 10)) == (5000, b"d" * 10)
            for offset, length in ((4990, 11), (-1, 1), (0, -1), (5001, 0)):
                with pytest.raises(SizeMismatch):
                    member.read_at(offset, length)
            with pytest.raises(LimitExceeded):
                source.read("z", limit=3)
            with pytest.raises(FileMissing):
                source.open("b/c")


@pytest.mark.parametrize("path", ["absent", "b/absent", "a.json/x", "b", "b/c"])
def test_what_is_no_file_is_missing(tree, path):
    with DirectorySource(tree) as source, pytest.raises(FileMissing):
        source.open(path)


@pytest.mark.parametrize(
    "path", ["../root/a.json", "/etc/passwd", "b/../a.json", "./a.json", "", "b//e", "a.json\0", "z "]
)
def test_hostile_path_is_refused(tree, path):
    with DirectorySource(tree) as source, pytest.raises(HostileName):
        source.open(path)


def test_symbolic_links_are_not_followed_and_not_overlooked(tree, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (tree / "link").symlink_to(tmp_path / "secret")
    (tree / "linked").symlink_to(tmp_path)
    (tree / "inside").symlink_to(tree / "b")
    (tree / "dangling").symlink_to("nowhere")
    with DirectorySource(tree) as source:
        assert set(source.names()) == {*FILES, "link", "linked", "inside", "dangling"}
        for path in ("link", "linked", "linked/secret", "inside/e", "dangling"):
            with pytest.raises(FileMissing):
                source.open(path)


def test_special_files_are_not_opened_and_not_overlooked(tree):
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        previous = os.open(".", os.O_RDONLY)
        os.chdir(tree)
        try:
            listener.bind("socket")
        finally:
            os.fchdir(previous)
            os.close(previous)
        with DirectorySource(tree) as source:
            assert set(source.names()) == {*FILES, "pipe", "socket"}
            for path in ("pipe", "socket"):
                with pytest.raises(FileMissing):
                    source.open(path)


@pytest.mark.parametrize(
    ("name", "error"),
    [(b"caf\xe9", HostileName), (b"a\nb", HostileName), (b"nul.txt", HostileName), (b"A.JSON", NameCollision)],
)
def test_directory_with_other_names_than_allowed_is_refused(tree, name, error):
    (tree / os.fsdecode(name)).write_bytes(b"")
    with DirectorySource(tree) as source, pytest.raises(error):
        source.names()


def test_directory_deeper_than_allowed_is_refused(tree):
    (tree / "/".join("x" * 40)).mkdir(parents=True)
    with DirectorySource(tree) as source, pytest.raises(HostileName):
        source.names()


def test_file_that_shrinks_is_noticed(tree):
    with DirectorySource(tree) as source:
        member = source.open("z")
        (tree / "z").write_bytes(b"la")
        with pytest.raises(SizeMismatch):
            member.read_at(0, 4)


def open_files():
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc here")
    return len(list(Path("/proc/self/fd").iterdir()))


def test_reading_leaves_no_file_open(tree):
    with DirectorySource(tree) as source:
        before = open_files()
        read_all(source)
        with pytest.raises(LimitExceeded):
            source.read("z", limit=1)
        assert open_files() == before


def test_a_path_is_opened_once_and_closed_with_the_source(tree):
    source = DirectorySource(tree)
    before = open_files()
    first = source.open("z")
    assert source.open("z") is first
    source.close()
    source.close()
    assert open_files() == before - 1
    with pytest.raises(OSError, match="descriptor"):
        first.read_at(0, 1)
