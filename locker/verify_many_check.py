"""What a worker does for one scan of the nightly verification: documents, bundles, evidence, and a replay where asked.

The order is that of docs/format.md section 5, under the RootPack in force. Pure but for reading the store: what was
found is a value, sent back to the one process that writes. What is wrong with a scan is a fault in the answer, never an
exception; only a store that is gone is raised, since that says nothing about the scan.
"""

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec

from kit import __version__, layout, manifest
from kit.bundle import BundleReader, BundleRecord
from kit.bytes import canonical, digest
from kit.errors import (
    DigestMismatch,
    EvidenceMissing,
    FileMissing,
    InternalError,
    ReplayDiffers,
    ServerUnreachable,
    SizeMismatch,
    StellaError,
)
from kit.manifest import Manifest
from kit.trust import dsse
from kit.trust.rootpack import TrustedPack
from locker import cas
from locker.cas import DirectoryCas
from locker.feed_roots import check_feeds
from locker.settings import StoreSettings
from locker.tiers import Tiers, open_cold
from scanner import engine
from verifier import envelopes, ledger

INPUT, OUTPUT = "input", "output"
MAX_DOCUMENT = 32 << 20
EQUAL = "equal"
"""A replay that gave the recorded bytes; any other outcome is a reason code."""
ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the objects lie, as every worker can reach them; ``mark`` is an object by which it knows the hot store."""

    directory: str
    store: StoreSettings | None
    cold: StoreSettings | None
    mark: str


@dataclass(frozen=True, slots=True)
class Orders:
    """What is the same for every scan of a night. There is no key in it."""

    place: Place
    pack: TrustedPack
    at: str
    replay: bool
    explain: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, as its error says it."""

    reason: str
    exit_code: int
    sentence: str
    details: dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle of a scan. ``checked``: its bytes were read this night, and ``fault`` was found.

    ``decoded`` names the record for which it was decoded whole not long ago; ``purged`` ones are not looked for.
    """

    digest: str
    size: int
    role: str
    checked: bool
    fault: Fault | None
    decoded: str | None
    purged: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan as the rows have it. Digests have their prefix; of an evidence file's versions the latest comes last."""

    scan_id: str
    tenant: str
    manifest_hash: str
    kept_at: str
    envelopes: tuple[tuple[str, int], ...]
    evidence: tuple[tuple[str, str, int], ...]
    bundles: tuple[Bundle, ...]

    @property
    def purged(self) -> bool:
        """Tell whether retention removed a bundle of it, so that it cannot be verified any more."""
        return any(bundle.purged for bundle in self.bundles)


@dataclass(frozen=True, slots=True)
class BundleAnswer:
    """What reading a bundle gave; ``decoded`` names the record for which it was decoded whole just now."""

    digest: str
    fault: Fault | None
    decoded: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found of a scan: nothing wrong where there are no faults."""

    scan: Scan
    faults: tuple[Fault, ...]
    bundles: tuple[BundleAnswer, ...]
    replay: str | None
    difference: bytes | None
    arch: str


def check_scan(orders: Orders, scan: Scan) -> Answer:
    """Check one scan."""
    return _Check(orders, scan, _tiers(orders.place)).answer()


def lost(scan: Scan) -> Answer:
    """Answer for a scan that took its worker along."""
    fault = fault_of(InternalError(detail="the worker that checked this scan ended with it, more than once"))
    return Answer(scan, (fault,), (), None, None, architecture())


def fault_of(error: StellaError) -> Fault:
    """Return an error as a value."""
    return Fault(error.reason, error.exit_code, error.sentence, dict(error.details))


def architecture() -> str:
    """Return the lane that this machine's results belong to: x64, arm64, or the machine's own name."""
    return ARCHITECTURES.get(platform.machine().lower(), platform.machine()[:16])


class _Check:
    """One scan's checks; each that fails leaves its fault, and those that do not need it go on."""

    def __init__(self, orders: Orders, scan: Scan, tiers: Tiers) -> None:
        self._orders = orders
        self._scan = scan
        self._tiers = tiers
        self._faults: list[Fault] = []
        self._bundles: list[BundleAnswer] = []
        self._replay: str | None = None
        self._difference: bytes | None = None

    def answer(self) -> Answer:
        """Make the checks."""
        parsed = self._caught(self._documents)
        # A file-backed store is read in place; this directory is for what comes out of a bucket.
        with TemporaryDirectory(prefix="stella-verify-") as work:
            for bundle in self._scan.bundles:
                if not bundle.purged:
                    self._check_bundle(bundle, parsed, Path(work))
        found = self._scan, tuple(self._faults), tuple(self._bundles), self._replay, self._difference
        return Answer(*found, architecture())

    def _caught(self, check: Callable[[], Value]) -> Value | None:
        try:
            return check()
        except ServerUnreachable:
            raise
        except StellaError as error:
            self._faults.append(fault_of(error))
        except Exception as error:  # noqa: BLE001  # whatever one scan's bytes provoke, the others are checked
            self._faults.append(fault_of(InternalError(detail=f"{type(error).__name__}: {error}"[:300])))
        return None

    def _documents(self) -> Manifest:
        """Check manifest, envelopes and evidence; every document must be whole, and one envelope must stand."""
        scan, pack = self._scan, self._orders.pack
        raw = self._document(scan.manifest_hash, cas.DOCUMENT, None)
        kept = [self._document(name, cas.DOCUMENT, size) for name, size in scan.envelopes]
        evidence = {name: self._document(found, cas.EVIDENCE, size) for name, found, size in scan.evidence}
        stamps = {name: data for name, data in evidence.items() if envelopes.is_stamp(name)}
        proofs = _proofs(evidence)
        beside = envelopes.Beside(stamps, lambda: proofs)
        refused: StellaError | None = None
        for envelope in reversed(kept):
            try:
                moments = envelopes.Moments(self._orders.at, scan.kept_at)
                signed = envelopes.verify(envelope, pack, moments, beside, name=layout.MANIFEST_ENVELOPE).verified
                profiles = pack.profiles(signed.signers)
                parsed = manifest.check_statement(signed.payload, raw, signed_profiles=profiles)
                self._check_evidence(proofs, envelope, signed)
            except StellaError as error:
                refused = refused or error
            else:
                return parsed
        raise refused or EvidenceMissing(path=layout.MANIFEST_ENVELOPE)

    def _check_evidence(self, proofs: dict[str, bytes], envelope: bytes, signed: dsse.Verified) -> None:
        orders = self._orders
        if ledger.why_not(proofs, orders.pack) is None:
            kept_at = self._scan.kept_at
            ledger.check(
                proofs, ledger.logged(envelope, signed), orders.pack, at=orders.at, demanded=None, taken_in=kept_at
            )

    def _document(self, name: str, suffix: str, size: int | None) -> bytes:
        """Return a document whose bytes have its digest."""
        path = cas.location(name, suffix)
        data = bytearray()
        for piece in self._tiers.hot.read(name, suffix):
            data += piece
            if len(data) > MAX_DOCUMENT:
                raise SizeMismatch(path=path, expected=size or MAX_DOCUMENT, found=len(data))
        if size is not None and len(data) != size:
            raise SizeMismatch(path=path, expected=size, found=len(data))
        if (found := digest.of_bytes(data)) != name:
            raise DigestMismatch(path=path, expected=name, found=found)
        return bytes(data)

    def _check_bundle(self, bundle: Bundle, parsed: Manifest | None, work: Path) -> None:
        """Read a bundle's bytes, unless that was done this night; decode it where that was not done lately."""
        record = _record(parsed, bundle.role)
        key = record_key(record, parsed) if record is not None and parsed is not None else None
        replay = self._replays and bundle.role == INPUT and parsed is not None
        if bundle.fault is not None:
            self._faults.append(bundle.fault)
        elif record is not None and (replay or bundle.decoded != key):
            self._told(bundle, lambda: self._decode(bundle, record, parsed, work), key)
        elif not bundle.checked:
            self._told(bundle, lambda: self._hash(bundle), None)

    def _told(self, bundle: Bundle, check: Callable[[], object], key: str | None) -> None:
        before = len(self._faults)
        self._caught(check)
        if self._tiers.cold is not None and [one.reason for one in self._faults[before:]] == [FileMissing.__name__]:
            # It may have left the hot store between the look for it and its first byte.
            del self._faults[before:]
            self._caught(check)
        fault = self._faults[before] if len(self._faults) > before else None
        # What a replay found is the scan's; the bytes were whole.
        if fault is not None and fault.reason != ReplayDiffers.__name__:
            key = None
        else:
            fault = None
        self._bundles.append(BundleAnswer(bundle.digest, fault, key))

    def _hash(self, bundle: Bundle) -> None:
        path = cas.location(bundle.digest, cas.BUNDLE)
        self._forget(bundle.digest)
        found, size = self._tiers.digest_of(bundle.digest)
        if size != bundle.size:
            raise SizeMismatch(path=path, expected=bundle.size, found=size)
        if found != bundle.digest:
            raise DigestMismatch(path=path, expected=bundle.digest, found=found)

    def _decode(self, bundle: Bundle, record: BundleRecord, parsed: Manifest | None, work: Path) -> None:
        """Read every byte, frame, header and member of a bundle, hold its feeds' roots, and replay where asked."""
        place = cas.location(bundle.digest, cas.BUNDLE)
        if (record.archive_digest, record.archive_size) != (bundle.digest, bundle.size):
            raise DigestMismatch(path=place, expected=record.archive_digest, found=bundle.digest)
        self._forget(bundle.digest)
        with self._tiers.file(bundle.digest, work) as path, BundleReader(path, record) as reader:
            try:
                reader.verify()
            except StellaError as error:
                member = error.details.get("path")
                error.details["path"] = f"{place}: {member}" if member else place
                raise
            if bundle.role == INPUT and parsed is not None:
                check_feeds(reader, parsed)
                if self._replays:
                    self._make_replay(reader, parsed, work)

    @property
    def _replays(self) -> bool:
        """Tell whether the scan is run again; what was purged has nothing left to compare with."""
        return self._orders.replay and not self._scan.purged

    def _forget(self, name: str) -> None:
        """Let the kernel forget a bundle's bytes, wherever they are files."""
        for store in self._tiers.stores():
            if isinstance(store, DirectoryCas):
                _forget_pages(store.path(name, cas.BUNDLE))

    def _make_replay(self, reader: BundleReader, parsed: Manifest, work: Path) -> None:
        """Run the scan again; what forbids a replay here is its outcome, and no fault of the evidence."""
        from verifier import declared, replay

        running = engine.current()
        recorded = next((tool.sha256 for tool in parsed.inputs.tools if tool.name == manifest.ENGINE_TOOL), "")
        if recorded != running.digest:
            self._replay = "ToolHashMismatch"
            return
        declared.check_minimum(parsed, __version__)
        declared.check(parsed, reader)
        inputs = replay.evaluation_input(parsed, reader)
        comparison = replay.compare(parsed, replay.run(inputs))
        if comparison.equal:
            self._replay = EQUAL
            return
        self._replay = ReplayDiffers.__name__
        different = [entry.path for entry in comparison.entries if not entry.equal]
        if self._orders.explain:
            from scanner.explain import explain

            with self._recorded_outputs(parsed, work) as outputs:
                self._difference = canonical.encode_record(
                    explain(outputs, comparison.outputs, inputs, inputs, engine_changed=False)
                )
        equal = len(comparison.entries) - len(different)
        raise ReplayDiffers(path=different[0], detail=f"{equal} of {len(comparison.entries)} members equal")

    @contextmanager
    def _recorded_outputs(self, parsed: Manifest, work: Path) -> Iterator[dict[str, bytes]]:
        from verifier import replay

        record = parsed.bundles.output
        with (
            self._tiers.file(record.archive_digest, work) as path,
            BundleReader(path, record) as reader,
        ):
            reader.verify()
            yield {member.path: reader.read(member.path, limit=replay.MAX_DOCUMENT) for member in record.members}


def record_key(record: BundleRecord, parsed: Manifest) -> str:
    """Return the name of what decoding a bundle proves: this record and these feeds, as this program reads them.

    Bytes of the same digest decode to the same members, so what was decoded under a key need only be hashed again.
    """
    feeds = msgspec.to_builtins(parsed.inputs.feeds)
    known = {"record": msgspec.to_builtins(record), "feeds": feeds, "engine": engine.current().digest}
    return digest.of_bytes(canonical.encode({**known, "version": __version__}))


def _proofs(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files of a record's evidence that are of a ledger."""
    if not files:
        return {}
    from kit.ledger import evidence

    return {name: data for name, data in files.items() if "/" not in name and evidence.limit_of(name) is not None}


def _record(parsed: Manifest | None, role: str) -> BundleRecord | None:
    if parsed is None or role not in (INPUT, OUTPUT):
        return None
    return parsed.bundles.input if role == INPUT else parsed.bundles.output


@lru_cache(maxsize=1)
def _tiers(place: Place) -> Tiers:
    """Return the stores, once they are known to be the locker's: an empty mount is no proof that evidence is gone."""
    try:
        store = cas.open_store(place.store, Path(place.directory))
        for _ in store.read(place.mark, cas.BUNDLE):
            break
        tiers = Tiers(store, open_cold(place.cold))
    except Exception as fault:  # a client of a store has its own errors, and none says anything about a scan
        detail = "this worker does not see the locker's objects"
        raise ServerUnreachable(path="cas", detail=detail, found=str(fault)[:160]) from fault
    return tiers


def _forget_pages(path: Path) -> None:
    """Let the kernel forget a file, so that its bytes come from the disk: rot is not to be seen in a cache."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # whoever reads it says so
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
