"""What an air-gapped site remembers.

Its pinned root, its signing key, and what it has accepted (docs/format.md section 4).
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kit.bytes import canonical, digest
from kit.errors import (
    AlreadyAccepted,
    DigestMismatch,
    KeyRefused,
    OlderThanAccepted,
    OtherRootPinned,
    RootNotExpected,
    SiteDamaged,
    StellaError,
    TrustRootNotPinned,
    TrustRootRefused,
    UnsupportedVersion,
    UsageError,
)
from kit.kitfile import Kit
from kit.ledger.known import KnownLog
from kit.trust import rootpack
from kit.trust.keyring import check_time
from kit.trust.keys import SEED_SIZES, PemSigner, grouped
from kit.trust.revocations import Revocation
from verifier.durable import make_directory, write_atomic
from verifier.medium import read_file
from verifier.site_kits import Activation, active
from verifier.site_time import (
    DEFAULTS,
    MAX_SETTINGS,
    OPERATOR,
    SETTINGS_FILE,
    FloorReset,
    Settings,
    TimeFloor,
    parse_settings,
)

SCHEMA_VERSION = "1.0"
ROOT_FILE = "pinned.root.json"
KEY_FILE = "site.key.pem"
PUBLIC_FILE = "site.pub.pem"
STATE_FILE = "state.json"
LOCK_FILE = "lock"
MAX_ROOT = 1 << 20
FINGERPRINT_DIGITS = 64


class AcceptedKit(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """One kit that this site has found intact; ``digest`` is that of its KIT.json."""

    kit_id: str
    channel: str
    sequence: int
    digest: str
    accepted_at: str


class SiteState(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """The site's memory: what it accepted, how late it is, and what it was told.

    Floors of versions and of time, accepted kits in order, revoked keys, the latest receipt, trees of logs, and which
    kits became active. ``checksum`` is over the rest of it (:func:`encode_state`); states of old have none.
    """

    schema_version: str
    floors: rootpack.Versions | None = None
    accepted: tuple[AcceptedKit, ...] = ()
    last_receipt: str | None = None
    time_floor: TimeFloor | None = None
    floor_resets: tuple[FloorReset, ...] = ()
    revocations: tuple[Revocation, ...] = ()
    logs: tuple[KnownLog, ...] = ()
    activations: tuple[Activation, ...] = ()
    checksum: str | None = None


class Site:
    """A pinned site. Reading is free; every change goes through :meth:`update` under the site's lock."""

    def __init__(
        self, path: Path, pinned_root: bytes, signer: PemSigner, state: SiteState, settings: Settings = DEFAULTS
    ) -> None:
        self.path = path
        self.settings = settings
        self.pinned_root = pinned_root
        self.signer = signer
        self.state = state

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the site's signing key."""
        return self.signer.public.fingerprint

    def knows(self, kit_digest: str) -> bool:
        """Tell whether this site has accepted the kit with this KIT.json."""
        return any(entry.digest == kit_digest for entry in self.state.accepted)

    def accepted_at(self, kit_digest: str) -> str | None:
        """Return when this site accepted the kit with this KIT.json, by its own records."""
        return next((entry.accepted_at for entry in self.state.accepted if entry.digest == kit_digest), None)

    def check_order(self, kit: Kit, kit_digest: str, *, activating: bool = False) -> str:
        """Return ``new`` or ``known`` for a kit that may be used here.

        Raises :class:`OlderThanAccepted` for a kit that this site never accepted and whose sequence number in its
        channel is not above the highest accepted one; and for one that is to become the active kit of its channel
        (``activating``) where a later one is.
        """
        known = self.knows(kit_digest)
        highest = max((entry.sequence for entry in self.state.accepted if entry.channel == kit.channel), default=0)
        current = active(self.state.activations).get(kit.channel)
        if not known and kit.sequence <= highest:
            raise OlderThanAccepted(path="KIT.json", expected=f"sequence above {highest}", found=kit.sequence)
        if activating and current is not None and kit.sequence < current.sequence:
            raise OlderThanAccepted(
                path="KIT.json", expected=f"sequence {current.sequence} or above, the active kit's", found=kit.sequence
            )
        return "known" if known else "new"

    def update(self, **changes: object) -> None:
        """Replace members of the state and make the change durable."""
        self.state = msgspec.structs.replace(self.state, **changes)
        write_atomic(self.path / STATE_FILE, encode_state(self.state))

    def reset_floor(self, time: str, reason: str) -> None:
        """Set the floor to a time, on record; :class:`UsageError` where it is that already, or no reason is given."""
        before = self.state.time_floor
        if check_time(time, "--to") == (before.time if before is not None else None):
            raise UsageError(detail="the floor is at this time already", found=time)
        if not reason.strip():
            raise UsageError(option="--reason", detail="the reason is kept, and must not be empty")
        floor = TimeFloor(time=time, source=OPERATOR, evidence=reason)
        reset = FloorReset(before=before, time=time, reason=reason)
        self.update(time_floor=floor, floor_resets=(*self.state.floor_resets, reset))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the site's lock, so that two runs do not write its state at once; reads the state anew."""
        with changing(self.path):
            self.state = _read_state(self.path, STATE_FILE)  # a signed result names no place of this host
            yield


def init(path: Path, root: bytes, expect_root: str, *, entropy: Callable[[int], bytes]) -> Site:
    """Pin a trust root at a new site and make the site's signing key.

    ``expect_root`` is the fingerprint that reached the operator by another way: ``SHA256:<hex>``. Raises
    :class:`UsageError` when that is no fingerprint, :class:`RootNotExpected` when the file is another one,
    :class:`AlreadyAccepted` when this root is pinned here already, :class:`OtherRootPinned` when another one is, and
    the errors of :func:`kit.trust.rootpack.check_root` for a file that is no self-signed root.
    """
    found = digest.of_bytes(root)
    expected = _fingerprint(expect_root)
    if found != expected:
        raise RootNotExpected(expected=f"SHA256: {grouped(expected)}", found=f"SHA256: {grouped(found)}")
    try:
        rootpack.check_root(root)
    except TrustRootRefused as error:
        raise error.then(
            "This file is no root, though it has the fingerprint that you gave: give rootpack/metadata/1.root.json, "
            "and the fingerprint of that file."
        ) from None
    make_directory(path, mode=0o700)
    with changing(path):
        _refuse_pinned(path, found)
        signer = PemSigner.from_seed("ed25519", entropy(SEED_SIZES["ed25519"]))
        write_atomic(path / KEY_FILE, signer.to_pem(), mode=0o600)
        write_atomic(path / PUBLIC_FILE, signer.public.to_pem())
        write_atomic(path / STATE_FILE, encode_state(SiteState(schema_version=SCHEMA_VERSION)))
        # The root comes last: a directory without it is no site, so that a crash before this leaves nothing pinned.
        write_atomic(path / ROOT_FILE, root)
    return load(path)


def _fingerprint(text: str) -> str:
    """Return the digest that an operator typed: any case, in groups or not."""
    digits = text.strip().lower().removeprefix("sha256:").replace(":", "").replace(" ", "")
    if len(digits) != FINGERPRINT_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(
            expected=f"SHA256: and {FINGERPRINT_DIGITS} hexadecimal digits",
            found=f"{len(digits)} characters: {text[:80]}",
            detail="--expect-root is no fingerprint of a root",
        ).then("Read the fingerprint from your sheet again, all groups of it.")
    return f"sha256:{digits}"


def _refuse_pinned(path: Path, root_digest: str) -> None:
    """Raise where a root is pinned: the same one is there already, another one stays."""
    try:
        pinned = digest.of_bytes((path / ROOT_FILE).read_bytes())
    except FileNotFoundError:
        return
    if pinned == root_digest:
        raise AlreadyAccepted(path=str(path), detail="this root is pinned here")
    raise OtherRootPinned(
        path=str(path), expected=f"SHA256: {grouped(pinned)}", found=f"SHA256: {grouped(root_digest)}"
    )


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Be the only one to change a site; whoever comes later waits. A crash frees it."""
    descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def load(path: Path) -> Site:
    """Return the site that was made in a directory.

    Raises :class:`TrustRootNotPinned` where there is none, :class:`KeyRefused` when others can read its signing key,
    :class:`SiteDamaged` where a file of it is not what the site wrote.
    """
    site = load_bare(path)
    try:
        site.state = _read_state(path, str(path / STATE_FILE))
    except SiteDamaged as error:
        raise error.then(
            "Restore this file from the site's backup. Without one, make it anew from the site's signed results: "
            "stella offline state rebuild --from OPS_DIR"
        ) from None
    return site


def load_bare(path: Path) -> Site:
    """Return a site without what it remembers, of which nothing is read; raises as :func:`load`."""
    try:
        root = (path / ROOT_FILE).read_bytes()
    except FileNotFoundError:
        raise TrustRootNotPinned(path=str(path)) from None
    with _own(path / ROOT_FILE):
        rootpack.check_root(root)
    with _own(path / KEY_FILE):
        signer = PemSigner.from_pem((path / KEY_FILE).read_bytes())
    if (path / KEY_FILE).stat().st_mode & 0o077:
        raise KeyRefused(
            path=KEY_FILE, detail="others than its owner can read this private key, so anybody may have signed with it"
        ).then(f"If nobody else was on this host: chmod 600 {path / KEY_FILE}. Otherwise make a new site.")
    return Site(path, root, signer, SiteState(schema_version=SCHEMA_VERSION), _read_settings(path))


def _read_settings(path: Path) -> Settings:
    try:
        with (path / SETTINGS_FILE).open("rb") as file:
            return parse_settings(file.read(MAX_SETTINGS + 1))
    except FileNotFoundError:
        return DEFAULTS


def encode_state(state: SiteState) -> bytes:
    """Return the bytes of ``state.json``, with the checksum over its canonical form without one."""
    return canonical.encode_record(msgspec.structs.replace(state, checksum=_checksum(state)))


def _checksum(state: SiteState) -> str:
    return digest.of_bytes(canonical.encode_record(msgspec.structs.replace(state, checksum=None)))


def _read_state(path: Path, shown: str) -> SiteState:
    with _own(path / STATE_FILE, shown):
        state = canonical.decode_record((path / STATE_FILE).read_bytes(), SiteState)
        if state.checksum is not None and state.checksum != _checksum(state):
            raise DigestMismatch(path=STATE_FILE, detail="its checksum does not fit: a bit has flipped")
    if state.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=shown, expected=SCHEMA_VERSION, found=state.schema_version)
    return state


@contextmanager
def _own(path: Path, shown: str | None = None) -> Iterator[None]:
    """Read a file that the site wrote itself: whatever is wrong with it, no kit is to blame (:class:`SiteDamaged`)."""
    try:
        yield
    except FileNotFoundError:
        raise SiteDamaged(path=shown or str(path), detail="the file is missing") from None
    except StellaError as error:
        raise SiteDamaged(path=shown or str(path), detail=f"{error.reason}: {error}") from None


def read_root(path: Path) -> bytes:
    """Return the bytes of a root file; raises :class:`kit.errors.FileMissing` or :class:`kit.errors.LimitExceeded`."""
    return read_file(path, limit=MAX_ROOT)


def root_fingerprint(root: bytes) -> str:
    """Return a root's fingerprint as people compare it: ``SHA256:<hex>``."""
    return "SHA256:" + digest.hex_of(digest.of_bytes(root))
