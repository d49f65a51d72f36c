"""Key files and whole-or-nothing writing."""

import errno
import os
import stat
from pathlib import Path

import pytest

from builder import files, signer
from kit.errors import KeyRefused, NoSpace, NotWritable, UsageError
from kit.trust.keys import ECDSA_P256, ED25519, SEED_SIZES, PemSigner


def fixed(size):
    return bytes(range(size))


@pytest.mark.parametrize("algorithm", SEED_SIZES)
def test_made_key_loads_again(tmp_path, algorithm):
    made = signer.create(tmp_path / "keys", "kit-1", algorithm, entropy=fixed)
    private = tmp_path / "keys" / "kit-1.key.pem"
    assert private.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert signer.load(private).public == made.public
    assert signer.load_public(tmp_path / "keys" / "kit-1.pub.pem") == made.public


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660])
def test_private_key_that_others_can_read_is_refused(tmp_path, mode):
    signer.create(tmp_path, "kit-1", ED25519, entropy=fixed)
    (tmp_path / "kit-1.key.pem").chmod(mode)
    with pytest.raises(UsageError):
        signer.load(tmp_path / "kit-1.key.pem")


def test_private_key_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        signer.create(tmp_path, "kit-1", ED25519, entropy=fixed)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "kit-1.key.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("suffix", [signer.PRIVATE_SUFFIX, signer.PUBLIC_SUFFIX])
def test_key_file_is_never_overwritten(tmp_path, suffix):
    (tmp_path / f"kit-1{suffix}").write_bytes(b"mine")
    with pytest.raises(UsageError):
        signer.create(tmp_path, "kit-1", ED25519, entropy=fixed)
    assert [path.name for path in tmp_path.iterdir()] == [f"kit-1{suffix}"]
    assert (tmp_path / f"kit-1{suffix}").read_bytes() == b"mine"


def test_key_that_is_there_is_used_and_its_lost_public_file_written(tmp_path):
    made, created = signer.ensure(tmp_path, "kit-1", ED25519, entropy=fixed)
    (tmp_path / "kit-1.pub.pem").unlink()
    again, created_again = signer.ensure(tmp_path, "kit-1", ED25519, entropy=fixed)
    assert (created, created_again) == (True, False)
    assert signer.load_public(tmp_path / "kit-1.pub.pem") == made.public == again.public
    with pytest.raises(UsageError):
        signer.ensure(tmp_path, "kit-1", ECDSA_P256, entropy=fixed)


def test_unknown_algorithm_is_refused(tmp_path):
    with pytest.raises(KeyRefused):
        signer.create(tmp_path, "kit-1", "rsa", entropy=fixed)


@pytest.mark.parametrize("read", [signer.load, signer.load_public])
def test_what_is_no_key_is_refused_by_name(tmp_path, read):
    path = tmp_path / "kit.pem"
    with pytest.raises(UsageError):
        read(path)
    for content in (b"", b"text", b"x" * (1 << 20)):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(KeyRefused) as refusal:
            read(path)
        assert refusal.value.details["path"] == "kit.pem"
    with pytest.raises(UsageError):
        read(tmp_path)


def test_keys_are_found_by_fingerprint_alone(tmp_path):
    one = signer.create(tmp_path, "one", ED25519, entropy=fixed)
    two = signer.create(tmp_path, "two", ECDSA_P256, entropy=fixed)
    (tmp_path / "sealed.pub.pem").write_bytes(one.public.to_pem())
    found = signer.find(tmp_path, [two.public.fingerprint, one.public.fingerprint, "sha256:" + "0" * 64])
    assert [key.public.fingerprint for key in found] == sorted([one.public.fingerprint, two.public.fingerprint])
    assert signer.find(tmp_path, []) == []
    assert signer.find(tmp_path / "absent", [one.public.fingerprint]) == []


@pytest.mark.parametrize(("content", "expected"), [(b"secret\n", b"secret"), (b"se cret\r\nmore", b"se cret")])
def test_passphrase_is_the_first_line(tmp_path, content, expected):
    (tmp_path / "file").write_bytes(content)
    assert signer.read_passphrase(tmp_path / "file") == expected


def test_empty_passphrase_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"\nsecret")
    with pytest.raises(UsageError):
        signer.read_passphrase(tmp_path / "file")


# Files


def test_written_file_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "file"
    for content in (b"old", b"new"):
        files.write_atomic(path, content, 0o640)
        assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [files.write_atomic, files.write_new])
@pytest.mark.parametrize(
    ("number", "cause"), [(errno.ENOSPC, NoSpace), (errno.EDQUOT, NoSpace), (errno.EROFS, NotWritable)]
)
@pytest.mark.parametrize("call", ["fsync", "fchmod"])
def test_full_or_read_only_disk_leaves_the_old_file(tmp_path, monkeypatch, write, number, cause, call):
    path = tmp_path / "file"
    if write is files.write_atomic:
        path.write_bytes(b"old")
    before = sorted(tmp_path.iterdir())

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(cause):
        write(path, b"new")
    assert sorted(tmp_path.iterdir()) == before
    assert all(entry.read_bytes() == b"old" for entry in before)


@pytest.mark.parametrize(
    "act",
    [
        lambda path: files.write_atomic(path, b""),
        lambda path: files.write_new(path, b""),
        files.make_directory,
        files.sync_tree,
    ],
    ids=["write_atomic", "write_new", "make_directory", "sync_tree"],
)
def test_place_that_is_no_directory_is_not_writable(tmp_path, act):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotWritable):
        act(tmp_path / "file" / "below")


def test_tree_is_flushed_whole(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x")
    (tmp_path / "a" / "link").symlink_to("nowhere")
    flushed = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    files.sync_tree(tmp_path)
    assert flushed == [str(tmp_path / part) for part in ("a", "a/b", "a/b/file")] + [str(tmp_path)]
    files.sync_tree(tmp_path, recurse=False)
    assert flushed[4:] == [str(tmp_path)]


def test_removing_twice_is_no_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    files.remove(tmp_path / "file")
    files.remove(tmp_path / "file")


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_public_key_in_place_of_a_private_one_is_told_first(tmp_path, mode):
    made = PemSigner.from_seed("ed25519", bytes(32))
    (tmp_path / "kit.pub.pem").write_bytes(made.public.to_pem())
    (tmp_path / "kit.pub.pem").chmod(mode)
    with pytest.raises(KeyRefused, match="this is a public key") as refusal:
        signer.load(tmp_path / "kit.pub.pem")
    assert "NAME.key.pem" in refusal.value.next_step
