"""Where a site keeps imported kits: whole copies, a link to the active one of each channel, what is on its way.

The layout is that of docs/format.md section 2.2. One importer at a time writes here; readers need no lock.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kit import kitfile, layout
from kit.bytes import digest
from kit.errors import DigestMismatch, FileMissing, FileUndeclared, NotWritable, StellaError
from verifier.durable import make_directory, sync_directory
from verifier.envelopes import read_stamps
from verifier.medium import Medium, survey
from verifier.site_kits import Activation, active

LOCK_FILE = "lock"
IDENTITY_DIGITS = 16


class Store:
    """The places below one directory. Nothing is made before :meth:`prepare`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kits = root / "store"
        self.current = root / "current"
        self.incoming = root / "incoming"
        self.quarantine = root / "quarantine"

    def prepare(self) -> None:
        """Make the directories that are not there yet."""
        for place in (self.kits, self.current, self.incoming):
            make_directory(place)
        make_directory(self.quarantine, mode=0o700)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one to change what is kept here; :class:`NotWritable` while another command does.

        A crash frees it.
        """
        descriptor = os.open(self.root / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise NotWritable(path=str(self.root), detail="another command is changing the kits here").then(
                    "Wait until it has ended, then run again."
                ) from None
            yield
        finally:
            os.close(descriptor)

    def staging(self, kit_digest: str) -> Path:
        """Return where a kit that is on its way is gathered, whatever medium or volume it comes on."""
        return self.incoming / digest.hex_of(kit_digest)[:IDENTITY_DIGITS]

    def place(self, entry: Activation) -> Path:
        """Return where an activated kit lies."""
        return Path(entry.place) if entry.place is not None else self.kits / entry.kit_id

    def put(self, kit: Path, kit_id: str, kit_digest: str) -> None:
        """Keep a finished kit under its id, in place of a damaged one of that id; one that is whole stays."""
        target = self.kits / kit_id
        if target.exists():
            if is_whole(target, kit_digest):
                return
            shutil.rmtree(target)
        kit.rename(target)
        sync_directory(self.kits)
        sync_directory(kit.parent)

    def discard(self, kit_digest: str) -> None:
        """Remove what is left of a kit on its way."""
        shutil.rmtree(self.staging(kit_digest), ignore_errors=True)

    def follow(self, activations: Sequence[Activation]) -> None:
        """Let the links lead to the active kits; each changes at once or not at all."""
        for channel, entry in active(activations).items():
            if self.lags(entry):
                link, fresh = self.current / channel, self.current / f".{channel}.part"
                fresh.unlink(missing_ok=True)
                try:
                    fresh.symlink_to(self._target(entry))
                    fresh.replace(link)
                except OSError:
                    fresh.unlink(missing_ok=True)
                    raise
                sync_directory(self.current)

    def lags(self, entry: Activation) -> bool:
        """Tell whether the link of a channel does not lead to its active kit."""
        try:
            return str((self.current / entry.channel).readlink()) != self._target(entry)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINVAL, errno.ENOTDIR):
                return True
            raise

    def _target(self, entry: Activation) -> str:
        return entry.place if entry.place is not None else f"../{self.kits.name}/{entry.kit_id}"


def check_copy(kit_directory: Path, kit_digest: str, there: kitfile.Kit | None = None) -> kitfile.Kit:
    """Hold a kept kit against its own list, whose digest the site remembers: every file, every byte.

    ``there`` is the list to hold it against where it is not kept whole: that of a delta.
    Raises the errors of :mod:`verifier.medium`, :class:`FileMissing`, :class:`FileUndeclared`, :class:`DigestMismatch`.
    """
    if not kit_directory.is_dir():
        raise FileMissing(path=kit_directory.name, detail="the kit is not here")
    medium = survey(kit_directory)
    raw = medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES)
    check_digest(layout.KIT_FILE, kit_digest, digest.of_bytes(raw))
    kit = there or kitfile.parse(raw)
    stamps = [f"{layout.EVIDENCE_DIRECTORY}/{name}" for name in read_stamps(medium, layout.EVIDENCE_DIRECTORY)]
    check_names(medium, kit, stamps)
    for file in kit.files:
        check_digest(file.path, file.digest, medium.digest(file.path)[0])
    return kit


def is_whole(kit_directory: Path, kit_digest: str) -> bool:
    """Tell whether a kept kit is there with every byte."""
    try:
        check_copy(kit_directory, kit_digest)
    except (StellaError, OSError):
        return False
    return True


def check_names(medium: Medium, kit: kitfile.Kit, stamps: Sequence[str] = ()) -> None:
    """Refuse a medium that lacks a file of the list, or has one that is not in it; no list can name time stamps."""
    listed = {file.path for file in kit.files} | {layout.KIT_FILE, layout.KIT_ENVELOPE, layout.SUMS_FILE}
    for path in sorted(listed - set(medium.sizes)):
        raise FileMissing(path=path)
    for path in medium.sizes:
        if path not in listed and path not in stamps:
            raise FileUndeclared(path=path)


def check_digest(path: str, expected: str, found: str) -> None:
    """Raise :class:`DigestMismatch` for a file that is not the named one."""
    if found != expected:
        raise DigestMismatch(path=path, expected=expected, found=found)
