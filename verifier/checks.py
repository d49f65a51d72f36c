"""The ordered checks of a kit and one of its scans, up to the replay (docs/format.md section 5).

Each step fails closed with a typed error; what a step learns is kept in :class:`Facts`, so that a refusal can still say
what held. No step reads a document before the steps that vouch for it have passed; each document is parsed once and
handed onward.
"""

from pathlib import Path

from kit import kitfile, layout
from kit import manifest as manifests
from kit.bundle import BundleReader, BundleRecord
from kit.bytes import digest
from kit.errors import (
    DeltaNotRebuilt,
    DigestMismatch,
    EvidenceMissing,
    FileMissing,
    FileUndeclared,
    KitSealed,
    MalformedDocument,
    MerkleRootMismatch,
    OlderThanAccepted,
    SizeMismatch,
    StellaError,
    ToolHashMismatch,
    TrustExpired,
    UnsupportedVersion,
)
from kit.snapshot import SnapshotReader
from kit.snapshot.records import RECORD
from kit.trust import dsse, rootpack
from scanner.engine import MATCH_CONTRACT
from verifier import ages, declared, envelopes, ledger, listing, locker_notes, programs, sigstore_bundles
from verifier.facts import Facts, Request
from verifier.medium import Medium, survey
from verifier.pack_files import read_pack
from verifier.replay import check_contract
from verifier.site import Site
from verifier.steps import Steps

MAX_ENVELOPE = 1 << 20


class Examination:
    """One pass over the checks. :meth:`intact` makes all of them but the replay and its comparison."""

    def __init__(self, request: Request, site: Site, steps: Steps, facts: Facts) -> None:
        self._request = request
        self._site = site
        self._steps = steps
        self._facts = facts
        self._scan_root = request.manifest.parent
        self._kit_root = self._scan_root if request.scan_only else self._scan_root.parent.parent

    def intact(self) -> None:
        """Make every check up to the replay; raises the error of the first that fails."""
        if self._request.unguarded is not None:
            self._facts.notes.append(f"The operator ran this without the network guard: {self._request.unguarded}")
        medium = self._check_media()
        self._check_rootpack(medium)
        if self._request.scan_only:
            for name in ("kit-envelope", "kit-content", "order"):
                self._steps.not_made(name, "the scan directory stands alone (--scan-only)")
        else:
            self._check_kit(medium)
        self._check_scan(medium)

    def _check_scan(self, medium: Medium) -> None:
        """6 to 15. What is left once it is known whose kit it is."""
        self._check_manifest(medium)
        self._check_volumes()
        self._check_files(medium)
        self._check_bundles()
        self._check_roots()
        self._check_ledger()
        self._check_staleness()
        self._check_engine()

    def _move(self, kit: Path) -> Medium:
        """Go on with a copy of the kit, every byte of which the steps to come are made on."""
        self._scan_root = kit / self._scan_root.relative_to(self._kit_root)
        self._kit_root = kit
        return survey(kit)

    def _path(self, name: str) -> str:
        """Return the path of one of the scan's files, relative to the medium."""
        return (self._scan_root / name).relative_to(self._kit_root).as_posix()

    def _check_media(self) -> Medium:
        """1. The directory holds regular files under allowed names, and the documents that the next steps need."""
        with self._steps.step("media") as evidence:
            if self._request.manifest.name != layout.MANIFEST_FILE:
                raise FileMissing(path=layout.MANIFEST_FILE, found=self._request.manifest.name)
            if not self._request.scan_only and not (self._kit_root / layout.KIT_FILE).is_file():
                # What lies above a manifest that is in no kit is nobody's medium, and not ours to look through.
                raise EvidenceMissing(path=layout.KIT_FILE)
            medium = survey(self._kit_root)
            if layout.SEAL_FILE in medium.sizes:
                raise KitSealed(path=layout.SEAL_FILE)
            evidence["files"] = len(medium.sizes)
            evidence["bytes"] = sum(medium.sizes.values())
            needed = [self._path(layout.MANIFEST_FILE), self._path(layout.MANIFEST_ENVELOPE)]
            if not self._request.scan_only:
                needed = [layout.KIT_FILE, layout.KIT_ENVELOPE, *needed]
            for path in needed:
                if path not in medium.sizes:
                    raise EvidenceMissing(path=path)
        return medium

    def _check_rootpack(self, medium: Medium) -> None:
        """2. The RootPack extends the pinned root, is signed, current, and no older than what this site has seen."""
        with self._steps.step("rootpack") as evidence:
            base = self._path(layout.ROOTPACK_DIRECTORY) if self._request.scan_only else layout.ROOTPACK_DIRECTORY
            files = read_pack(medium, base)
            if not files:
                raise EvidenceMissing(path=base)
            moment = manifests.check_time(self._request.reference_time.time, "/referenceTime")
            # A kit that was accepted once stays replayable after newer ones: its RootPack may lie below the floors.
            known = self._is_known(medium)
            overruled = self._request.overruled is not None
            floors = None if known or overruled else self._site.state.floors
            if (late := self._request.reference_time.clock) is not None:
                self._note(f"The site's clock is behind what it has accepted: it says {late}.", evidence)
            try:
                pack = rootpack.load(files, pinned_root=self._site.pinned_root, reference_time=moment, floors=floors)
            except TrustExpired as expired:
                issued = expired.details.get("issued")
                self._facts.issued = issued if isinstance(issued, str) else None
                raise
            if known:
                evidence["floors"] = "not applied: this kit was accepted before"
            elif overruled:
                evidence["floors"] = "not applied: the operator overruled the order"
            self._note(ages.check_issued(pack.issued, moment, self._site.settings), evidence)
            self._facts.pack, self._facts.issued = pack.under(self._site.state.revocations), pack.issued
            evidence["pinned"] = digest.of_bytes(self._site.pinned_root)
            evidence["rootVersion"] = pack.root_version
            evidence["issued"] = pack.issued
            evidence["expires"] = pack.expires

    def _note(self, sentence: str | None, evidence: dict[str, object]) -> None:
        """Say something aloud, if there is anything: in the result, and beside the check that it belongs to."""
        if sentence is not None:
            self._facts.notes.append(sentence)
            evidence.setdefault("note", sentence)

    def _is_known(self, medium: Medium) -> bool:
        if self._request.scan_only:
            return False
        found = digest.of_bytes(medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES))
        self._facts.taken_in = self._site.accepted_at(found)
        return self._facts.taken_in is not None

    def _check_kit(self, medium: Medium) -> None:
        """3 to 5. The kit's envelope, KIT.json itself, and its place in the order of kits."""
        with self._steps.step("kit-envelope") as evidence:
            raw = medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES)
            payload = self._check_envelope(medium, layout.KIT_ENVELOPE, evidence)[1].payload
        with self._steps.step("kit-content") as evidence:
            kit = kitfile.check_statement(payload, raw)
            self._facts.kit, self._facts.kit_digest = kit, digest.of_bytes(raw)
            evidence["kitId"] = kit.kit_id
            evidence["files"] = len(kit.files)
        with self._steps.step("order") as evidence:
            self._facts.novelty = self._check_order(kit, evidence)
            evidence["sequence"] = kit.sequence
            evidence["kit"] = self._facts.novelty

    def _check_order(self, kit: kitfile.Kit, evidence: dict[str, object]) -> str:
        request, kit_digest = self._request, self._facts.kit_digest or ""
        try:
            return self._site.check_order(kit, kit_digest, activating=request.activating)
        except OlderThanAccepted as older:
            if request.overruled is None:
                raise
            order = f"sequence {kit.sequence}, where the site asks for {older.details['expected']}"
            self._note(f"The operator overruled the order of kits ({order}): {request.overruled}", evidence)
            return "known" if self._site.knows(kit_digest) else "forced"

    def _check_manifest(self, medium: Medium) -> None:
        """6 and 7. The manifest's envelope, then the manifest that it binds together with both bundles."""
        with self._steps.step("manifest-envelope") as evidence:
            raw = medium.read(self._path(layout.MANIFEST_FILE), limit=manifests.MAX_BYTES)
            envelope, signed = self._check_envelope(medium, self._path(layout.MANIFEST_ENVELOPE), evidence)
        with self._steps.step("manifest-content") as evidence:
            profiles = self._facts.pack.profiles(signed.signers) if self._facts.pack is not None else ()
            manifest = manifests.check_statement(signed.payload, raw, signed_profiles=profiles)
            self._facts.envelope, self._facts.signed = envelope, signed
            if not self._request.scan_only and manifest.scan.id != self._scan_root.name:
                raise MalformedDocument(pointer="/scan/id", expected=self._scan_root.name, found=manifest.scan.id)
            self._facts.manifest, self._facts.manifest_digest = manifest, digest.of_bytes(raw)
            evidence["manifest"] = self._facts.manifest_digest
            if manifest.scan.crypto_profile is not None:
                evidence["cryptoProfile"] = manifest.scan.crypto_profile

    def _check_envelope(self, medium: Medium, path: str, evidence: dict[str, object]) -> tuple[bytes, dsse.Verified]:
        """Return an envelope and what it holds, which enough distinct kit keys of the verified RootPack signed."""
        pack = self._facts.pack
        if pack is None:
            raise EvidenceMissing(path=path, detail="no RootPack was verified")
        envelope = medium.read(path, limit=MAX_ENVELOPE)
        directory = f"{path.rpartition('/')[0]}/{layout.EVIDENCE_DIRECTORY}".lstrip("/")
        files = envelopes.beside(medium, directory)
        # When it was signed only the signer says; when it was taken in, this site's own journal does.
        moments = envelopes.Moments(self._request.reference_time.time, self._facts.taken_in, self._site.settings.skew)
        judged = envelopes.verify(envelope, pack, moments, files, name=path)
        for sentence in judged.notes:
            self._note(sentence, evidence)
        if path == layout.KIT_ENVELOPE:
            # Nobody's list can name what vouches for the list's own signature: it is there because it holds.
            self._facts.kit_stamps = [f"{directory}/{name}" for name in files.stamps if pack.authorities]
        else:
            self._facts.stamps = list(files.stamps)
        self._facts.times += judged.times
        if judged.times:
            evidence["times"] = envelopes.described(judged.times)
        verified = judged.verified
        self._facts.signers += [(path, key) for key in verified.signers]
        evidence["signers"] = [key.fingerprint for key in verified.signers]
        evidence["threshold"] = pack.threshold("kit")
        return envelope, verified

    def _check_volumes(self) -> None:
        """8. An import has checked the volumes before it made one kit of them; any other kit is in one piece."""
        if not self._request.joined:
            self._steps.not_made("volumes", "the kit is in one piece")
            return
        with self._steps.step("volumes") as evidence:
            evidence["joined"] = self._request.joined

    def _check_files(self, medium: Medium) -> None:
        """9. Every file is the signed one, none is missing, none is there that nobody signed."""
        with self._steps.step("files") as evidence:
            if layout.DELTA_FILE in medium.sizes:
                raise DeltaNotRebuilt(path=layout.DELTA_FILE)
            self._facts.proofs = ledger.read(medium, self._path(layout.EVIDENCE_DIRECTORY))
            carried = programs.check(medium, self._facts.kit) if self._facts.kit is not None else []
            bundles = self._check_sigstore(medium)
            if self._facts.kit is None:
                listing.check_scan(medium, [*self._facts.proofs, *self._facts.stamps], bundles)
            else:
                scan, stamps = self._path(""), self._facts.kit_stamps
                self._facts.lockers = locker_notes.read(medium)
                evidence.update(listing.check_kit(medium, self._facts.kit, scan, self._manifest(), stamps))
                if carried:
                    evidence["programs"] = carried
            if bundles:
                evidence["sigstoreBundles"] = len(bundles)
                self._facts.acknowledged = locker_notes.acknowledged(self._facts.lockers, self._site.fingerprint)

    def _check_sigstore(self, medium: Medium) -> tuple[str, ...]:
        """Hold the scan's Sigstore bundles against its envelope; return their paths."""
        if self._facts.pack is None:
            raise EvidenceMissing(path=layout.MANIFEST_ENVELOPE, detail="no RootPack was verified")
        scan = "" if self._request.scan_only else self._path("")
        return sigstore_bundles.check(medium, scan, self._facts.envelope, self._facts.pack)

    def _check_bundles(self) -> None:
        """10 and 11. Both bundles: archive digest, every frame, every header, every member."""
        bundles = self._manifest().bundles
        with self._steps.step("input-bundle") as evidence:
            self._facts.input = self._open_bundle(layout.INPUT_BUNDLE, bundles.input, evidence)
        with self._steps.step("output-bundle") as evidence:
            self._facts.output = self._open_bundle(layout.OUTPUT_BUNDLE, bundles.output, evidence)

    def _open_bundle(self, name: str, record: BundleRecord, evidence: dict[str, object]) -> BundleReader:
        evidence["archive"] = record.archive_digest
        evidence["members"] = len(record.members)
        reader = BundleReader(self._scan_root / name, record)
        try:
            reader.verify()
        except StellaError as error:
            reader.close()
            member = error.details.get("path")
            error.details["path"] = f"{self._path(name)}: {member}" if member else self._path(name)
            raise
        return reader

    def _check_roots(self) -> None:
        """12. The feeds' snapshots are the named ones; the bundles' content roots held in the steps before."""
        parsed = self._manifest()
        with self._steps.step("merkle-roots") as evidence:
            evidence["inputContentRoot"] = parsed.bundles.input.content_root
            evidence["outputContentRoot"] = parsed.bundles.output.content_root
            if self._facts.input is None:
                raise EvidenceMissing(path=layout.INPUT_BUNDLE)
            for feed in parsed.inputs.feeds:
                reader = SnapshotReader(self._facts.input, feed.path, feed.snapshot_hash)
                check_contract(reader)
                _check_snapshot_members(reader, feed.path, parsed.bundles.input)
                for name, expected, found in (
                    ("merkleRoot", feed.merkle_root, reader.info.content_root),
                    ("indexRoot", feed.index_root, reader.info.index_root),
                    ("snapshotTime", feed.snapshot_time, reader.info.snapshot_time),
                ):
                    if expected != found:
                        raise MerkleRootMismatch(path=feed.path, pointer=name, expected=expected, found=found)
                self._facts.feeds[feed.path] = reader
            evidence["feeds"] = len(parsed.inputs.feeds)

    def _check_ledger(self) -> None:
        """13. Logs that the RootPack trusts have the envelope, and contradict nothing that the site knows."""
        pack, signed = self._facts.pack, self._facts.signed
        if pack is None or signed is None:
            raise EvidenceMissing(path=layout.MANIFEST_ENVELOPE)
        moment = self._request.reference_time.time
        moments = envelopes.Moments(moment, self._facts.taken_in, self._site.settings.skew)
        demanded = ledger.demanded_by(pack, asked=self._request.ledger, settings=self._site.settings)
        why = None if demanded else ledger.why_not(self._facts.proofs, pack)
        lockers = locker_notes.is_judged(self._facts.lockers, pack, at=moment)
        if why is not None and not lockers:
            self._steps.not_made("ledger", why)
            return
        with self._steps.step("ledger") as evidence:
            if lockers:
                judged = locker_notes.judge(self._facts.lockers, pack, self._site.state.logs, at=moment)
                evidence["locker"] = judged.described
                self._facts.trees = [judged.seen]
            if why is not None:
                evidence["proofsNotJudged"] = why
                return
            logged = ledger.logged(self._facts.envelope, signed)
            taken_in = self._facts.taken_in
            if demanded:
                evidence["demandedBy"] = demanded
            findings = ledger.check(self._facts.proofs, logged, pack, at=moment, demanded=demanded, taken_in=taken_in)
            for sentence in ledger.remarks(findings, pack, at=moment, taken_in=taken_in):
                self._note(sentence, evidence)
            self._facts.trees += [finding.seen for finding in findings]
            self._facts.times += envelopes.of_findings(findings, moments.latest).times
            evidence["proofs"] = ledger.described(findings, self._site.state.logs, at=moment)

    def _check_staleness(self) -> None:
        """14. The kit is not older than its own window at the reference time."""
        kit = self._facts.kit
        if kit is None:
            self._steps.not_made("staleness", "the scan directory stands alone (--scan-only)")
            return
        with self._steps.step("staleness") as evidence:
            evidence["createdAt"] = kit.created_at
            evidence["windowHours"] = kit.staleness_window_hours
            moment = manifests.check_time(self._request.reference_time.time, "/referenceTime")
            evidence["ageHours"] = ages.in_hours(kit.created_at, moment)
            self._note(ages.check_kit(kit, moment, self._site.settings), evidence)

    def _check_engine(self) -> None:
        """15. The running engine is the recorded one, or the operator varies the tools; declarations hold."""
        parsed = self._manifest()
        with self._steps.step("engine-and-tools") as evidence:
            recorded = next(tool for tool in parsed.inputs.tools if tool.name == manifests.ENGINE_TOOL)
            running = self._request.engine
            declared.check_minimum(parsed, self._request.verifier_version)
            evidence["minimumVerifier"] = parsed.engine.minimum_verifier
            evidence["recorded"] = recorded.sha256
            evidence["running"] = running.digest
            if parsed.engine.contract != MATCH_CONTRACT:
                raise UnsupportedVersion(
                    path=layout.MANIFEST_FILE, expected=MATCH_CONTRACT, found=parsed.engine.contract[:64]
                )
            if recorded.sha256 != running.digest and not self._request.vary_tools:
                raise ToolHashMismatch(path=manifests.ENGINE_TOOL, expected=recorded.sha256, found=running.digest)
            if self._facts.input is None:
                raise EvidenceMissing(path=layout.INPUT_BUNDLE)
            declared.check(parsed, self._facts.input)
            evidence["policy"] = parsed.policy.digest

    def _manifest(self) -> manifests.Manifest:
        if self._facts.manifest is None:
            raise EvidenceMissing(path=layout.MANIFEST_FILE)
        return self._facts.manifest


def _check_snapshot_members(reader: SnapshotReader, prefix: str, bundle: BundleRecord) -> None:
    """Hold a snapshot's list against the bundle's, whose members were hashed in step 10; check its directories."""
    listed = {member.path: member for member in bundle.members}
    for member in reader.info.members:
        path = prefix + member.path
        found = listed.get(path)
        if found is None:
            raise FileMissing(path=path)
        if found.size != member.size:
            raise SizeMismatch(path=path, expected=member.size, found=found.size)
        if found.digest != member.digest:
            raise DigestMismatch(path=path, expected=member.digest, found=found.digest)
    own = {prefix + member.path for member in reader.info.members} | {prefix + RECORD}
    for path in listed:
        if path.startswith(prefix) and path not in own:
            raise FileUndeclared(path=path, detail="not in the snapshot's list")
    _ = reader.pages, reader.index_pages
