"""Taking a recorded scan into the locker (docs/locker.md, "Ingest").

The order is that of docs/format.md section 5: RootPack, envelope, manifest, files, bundles, roots. Only then do objects
enter the store, and only when every one of them is on the disk does the run's row say ``verified``. Each step can be
repeated, so an ingest that was killed is completed by the next one.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kit import layout, manifest
from kit.bundle import BundleReader, BundleRecord
from kit.bytes import digest
from kit.errors import (
    DigestMismatch,
    EvidenceMissing,
    FileMissing,
    FileUndeclared,
    LimitExceeded,
    LockerConflict,
    SizeMismatch,
    StellaError,
    UsageError,
)
from kit.manifest import Manifest, check_name
from kit.result import Check
from kit.trust import dsse, rootpack
from kit.trust.rootpack import RootPackFiles, TrustedPack
from locker import cas, quarantine, registry, trust
from locker.feed_roots import check_feeds
from locker.holds import components
from locker.retention.admit import ObjectGone, is_leaving
from locker.store import Locker
from verifier import envelopes, ledger, sigstore_bundles
from verifier.medium import Medium, survey
from verifier.run_dir import stamp
from verifier.steps import Steps

MAX_ENVELOPE = 1 << 20
_EVIDENCE = f"{layout.EVIDENCE_DIRECTORY}/"
_BESIDE = (f"{layout.ROOTPACK_DIRECTORY}/", _EVIDENCE)
"""What may lie beside a record that its manifest does not name."""
MAX_EVIDENCE_FILES = 256
MAX_EVIDENCE = 32 << 20
"""Bytes of all files of evidence that are kept with a record."""
MANIFEST_BEGINNING = b'{"bundles":{'
"""The first bytes of every manifest: canonical JSON leaves no other spelling of what comes first."""
_BUNDLES = {"input": layout.INPUT_BUNDLE, "output": layout.OUTPUT_BUNDLE}


@dataclass(frozen=True, slots=True)
class Ingested:
    """A scan that is in the locker; ``known`` when it was there before."""

    scan_id: str
    manifest_hash: str
    status: str
    known: bool


def ingest(
    locker: Locker, directory: Path, *, now: datetime, tenant: str = "default", rootpack_directory: Path | None = None
) -> Ingested:
    """Verify a recorded scan's directory and keep it; idempotent.

    The RootPack is that of ``rootpack_directory``, else the record's own ``rootpack/``, unless the locker has kept a
    newer one. Raises the error of the first check that fails, after the refusal was recorded: as the run's status, or
    in the quarantine where the record has no scan id or its scan id belongs to another manifest. Of a directory that is
    no record at all nothing is kept: :class:`UsageError`.
    """
    check_name(tenant, "tenant")
    _check_kind(directory)
    with locker.writing():
        if rootpack_directory is not None:
            trust.in_force(locker, rootpack.read_directory(rootpack_directory), now=now)
        attempt = _Attempt(locker, directory, now, tenant)
        with attempt.refusals():
            return attempt.run(own_rootpack=rootpack_directory is None)


class _Attempt:
    """One pass over one record; its methods are the steps in their order."""

    def __init__(self, locker: Locker, directory: Path, now: datetime, tenant: str) -> None:
        self._locker = locker
        self._directory = directory
        self._now = now
        self._tenant = tenant
        self._checks: list[Check] = []
        self._steps = Steps(self._checks.append)
        self._listed = components.Listed(())

    def run(self, *, own_rootpack: bool) -> Ingested:
        """Make the checks, then keep the record."""
        with self._steps.step("media"):
            medium = survey(self._directory)
            for name in (layout.MANIFEST_FILE, layout.MANIFEST_ENVELOPE):
                if name not in medium.sizes:
                    raise EvidenceMissing(path=name)
        with self._steps.step("rootpack"):
            pack, pack_bundle = trust.in_force(
                self._locker, _own_rootpack(medium) if own_rootpack else None, now=self._now
            )
        with self._steps.step("manifest-envelope"):
            raw = medium.read(layout.MANIFEST_FILE, limit=manifest.MAX_BYTES)
            envelope = medium.read(layout.MANIFEST_ENVELOPE, limit=MAX_ENVELOPE)
            known = trust.taken_in(self._locker, digest.of_bytes(raw))
            moments = envelopes.Moments(stamp(self._now), known)
            files = envelopes.beside(medium, layout.EVIDENCE_DIRECTORY)
            judged = envelopes.verify(envelope, pack, moments, files, name=layout.MANIFEST_ENVELOPE)
            signed = judged.verified
        with self._steps.step("manifest-content"):
            parsed = manifest.check_statement(signed.payload, raw, signed_profiles=pack.profiles(signed.signers))
        record = registry.Record(
            manifest=parsed,
            manifest_hash=digest.of_bytes(raw),
            signers=signed.signers,
            profiles={key.fingerprint: pack.profile(key) or key.algorithm for key in signed.signers},
            tenant=self._tenant,
            pack_bundle=pack_bundle,
        )
        if registry.begin(self._locker, record, now=self._now) and self._complete(record, len(raw)):
            self._check_copy(medium, parsed, pack)
            self._check_evidence(medium, pack, envelope, signed, known)
            done = self._add_envelope(record, envelope)
        else:
            self._check_content(medium, parsed, pack)
            self._check_evidence(medium, pack, envelope, signed, known)
            done = self._keep(record, raw, envelope)
        self._keep_evidence(medium, record)
        return done

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Record a refusal for what the record is; what the locker's own machine lacks is no fault of the record."""
        try:
            yield
        except StellaError as error:
            if 20 <= error.exit_code < 40 or isinstance(error, LockerConflict):
                self._refuse(error)
            raise

    def _check_files(self, medium: Medium, pack: TrustedPack) -> None:
        with self._steps.step("files"):
            expected = {layout.MANIFEST_FILE, layout.MANIFEST_ENVELOPE, *_BUNDLES.values()}
            envelope = medium.read(layout.MANIFEST_ENVELOPE, limit=MAX_ENVELOPE)
            expected |= set(sigstore_bundles.check(medium, "", envelope, pack))
            for path in sorted(expected - set(medium.sizes)):
                raise FileMissing(path=path)
            for path in medium.sizes:
                if path not in expected and not path.startswith(_BESIDE):
                    raise FileUndeclared(path=path)

    def _check_copy(self, medium: Medium, parsed: Manifest, pack: TrustedPack) -> None:
        """Hold the bundles of a record that the locker has against their digests, each read once.

        Whoever is told KNOWN may throw the other copies away.
        """
        self._check_files(medium, pack)
        for role in ("output", "input"):
            described: BundleRecord = getattr(parsed.bundles, role)
            path = _BUNDLES[role]
            with self._steps.step(f"{role}-bundle"):
                if medium.sizes[path] != described.archive_size:
                    raise SizeMismatch(path=path, expected=described.archive_size, found=medium.sizes[path])
                found, _ = medium.digest(path)
                if found != described.archive_digest:
                    raise DigestMismatch(path=path, expected=described.archive_digest, found=found)

    def _check_content(self, medium: Medium, parsed: Manifest, pack: TrustedPack) -> None:
        self._check_files(medium, pack)
        with (
            self._steps.step("output-bundle"),
            BundleReader(self._directory / layout.OUTPUT_BUNDLE, parsed.bundles.output) as reader,
        ):
            reader.verify()
            self._listed = components.read(reader)
        with BundleReader(self._directory / layout.INPUT_BUNDLE, parsed.bundles.input) as reader:
            with self._steps.step("input-bundle"):
                reader.verify()
            with self._steps.step("merkle-roots"):
                check_feeds(reader, parsed)

    def _check_evidence(
        self, medium: Medium, pack: TrustedPack, envelope: bytes, signed: dsse.Verified, taken_in: str | None
    ) -> None:
        """Judge ledger evidence as a site does where nobody demands it: what is wrong is not kept."""
        sizes = [medium.sizes[path] for path in medium.below(_EVIDENCE).values()]
        if len(sizes) > MAX_EVIDENCE_FILES or sum(sizes) > MAX_EVIDENCE:
            expected = f"{MAX_EVIDENCE_FILES} files, {MAX_EVIDENCE} bytes"
            raise LimitExceeded(path=layout.EVIDENCE_DIRECTORY, expected=expected, found=sum(sizes))
        proofs = ledger.read(medium, layout.EVIDENCE_DIRECTORY)
        if (why := ledger.why_not(proofs, pack)) is not None:
            self._steps.not_made("ledger", why)
            return
        with self._steps.step("ledger"):
            logged, at = ledger.logged(envelope, signed), stamp(self._now)
            ledger.check(proofs, logged, pack, at=at, demanded=None, taken_in=taken_in)

    def _keep_evidence(self, medium: Medium, record: registry.Record) -> None:
        """Keep every file of evidence, also those that are judged elsewhere or not at all."""
        files = medium.below(_EVIDENCE)
        read = {name: medium.read(path, limit=MAX_EVIDENCE) for name, path in sorted(files.items())}
        stored = {name: self._locker.cas.put_bytes(data, cas.EVIDENCE) for name, data in read.items()}
        if stored:
            registry.add_evidence(self._locker, record, stored, now=self._now)

    def _complete(self, record: registry.Record, manifest_size: int) -> bool:
        """Tell whether the store still has what a known run's row promises."""
        bundles = (record.manifest.bundles.input, record.manifest.bundles.output)
        with self._locker.rows.read() as connection:
            if any(is_leaving(connection, digest.hex_of(bundle.archive_digest)) for bundle in bundles):
                return False
        tiers = self._locker.tiers
        held = all(tiers.holds(bundle.archive_digest, bundle.archive_size) for bundle in bundles)
        return held and self._locker.cas.holds(record.manifest_hash, cas.DOCUMENT, manifest_size)

    def _add_envelope(self, record: registry.Record, envelope: bytes) -> Ingested:
        """Keep the envelope of a known run, which may be signed by others than the one that is there."""
        stored = self._locker.cas.put_bytes(envelope, cas.DOCUMENT)
        status = registry.add_envelope(self._locker, record, stored, now=self._now)
        return Ingested(record.manifest.scan.id, record.manifest_hash, status, known=True)

    def _keep(self, record: registry.Record, raw: bytes, envelope: bytes) -> Ingested:
        while True:
            with suppress(ObjectGone):  # a retention run removed what lay there before: put it again
                return self._put(record, raw, envelope)

    def _put(self, record: registry.Record, raw: bytes, envelope: bytes) -> Ingested:
        store = self._locker.cas
        documents = {
            registry.MANIFEST: store.put_bytes(raw, cas.DOCUMENT),
            registry.ENVELOPE: store.put_bytes(envelope, cas.DOCUMENT),
        }
        bundles: dict[str, tuple[BundleRecord, cas.Stored]] = {}
        for role, name in _BUNDLES.items():
            described: BundleRecord = getattr(record.manifest.bundles, role)
            path = self._directory / name
            size = described.archive_size
            stored = store.put_file(path, cas.BUNDLE, digest=described.archive_digest, size=size)
            bundles[role] = (described, stored)
        status, known = registry.finish(self._locker, record, bundles, documents, self._listed, now=self._now)
        return Ingested(record.manifest.scan.id, record.manifest_hash, status, known)

    def _refuse(self, error: StellaError) -> None:
        claim = _claim(self._directory)
        if claim is not None and not isinstance(error, LockerConflict):
            scan_id, manifest_hash = claim
            if registry.fail(self._locker, scan_id, manifest_hash, self._tenant, error, now=self._now):
                return
        documents = (layout.MANIFEST_FILE, layout.MANIFEST_ENVELOPE)
        files = {name: data for name in documents if (data := _small(self._directory / name)) is not None}
        left = {name: size for name in _BUNDLES.values() if (size := _size(self._directory / name)) is not None}
        refusal = quarantine.Refusal(
            tenant=self._tenant,
            source=quarantine.RECORD,
            error=error,
            files=files,
            checks=self._checks,
            left_behind=left,
        )
        quarantine.keep(self._locker, refusal, now=self._now)


def _check_kind(directory: Path) -> None:
    """Refuse what is no record, and keep nothing of it: others call a file manifest.json as well."""
    place = directory / layout.MANIFEST_FILE
    if not place.is_file():
        raise UsageError(path=directory.name, detail=f"not a recorded scan: there is no {layout.MANIFEST_FILE}")
    with place.open("rb") as file:
        ours = file.read(len(MANIFEST_BEGINNING)) == MANIFEST_BEGINNING
    # A manifest that was spoiled in its first bytes still has its envelope beside it, and is evidence of that.
    if not ours and not (directory / layout.MANIFEST_ENVELOPE).is_file():
        detail = f"not a recorded scan: {layout.MANIFEST_FILE} is of another kind; nothing of it was kept"
        raise UsageError(path=directory.name, detail=detail).then("Give the directory that stella scan --record made.")


def _own_rootpack(medium: Medium) -> RootPackFiles | None:
    below = medium.below(f"{layout.ROOTPACK_DIRECTORY}/")
    return {name: medium.read(path, limit=trust.MAX_METADATA) for name, path in below.items()} or None


def _claim(directory: Path) -> tuple[str, str] | None:
    """Return the scan id that a refused record claims and its manifest's digest, if it is well-formed that far."""
    raw = _small(directory / layout.MANIFEST_FILE)
    if raw is None:
        return None
    try:
        return manifest.parse(raw).scan.id, digest.of_bytes(raw)
    except StellaError:
        return None


def _small(path: Path) -> bytes | None:
    """Return a document's bytes; nothing for what is no file, or too large to be the document."""
    size = _size(path)
    return path.read_bytes() if size is not None and size <= manifest.MAX_BYTES else None


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() and not path.is_symlink() else None
