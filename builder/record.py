"""Recording a scan: inputs into a bundle, one evaluation, outputs into a bundle, a manifest over both, signed.

The evaluation reads its inputs from the finished input bundle, through the very code that will replay it.
"""

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import zstandard

import kit
from builder import reachability
from builder.files import whole_directory, write_atomic
from kit import layout
from kit import manifest as manifests
from kit.bundle import BundleReader, BundleRecord, DirectorySource, write_bundle
from kit.bytes import canonical, digest
from kit.errors import AlreadyAccepted, FileMissing, StellaError, UsageError
from kit.manifest import Manifest
from kit.snapshot import SnapshotReader, records
from kit.trust import dsse, statement
from kit.trust.keys import Signer
from scanner import policy as policies
from scanner.engine import EngineIdentity
from scanner.evaluate import MATCH_CONTRACT
from scanner.sbom import read_sbom
from verifier import replay
from verifier.medium import read_file

PRODUCER = f"stella {kit.__version__}"
MINIMUM_VERIFIER = "0.1.0"
STEM = "recording"
"""Stem of the directories of records that are not whole yet: one for all, so that a record removes what others left."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that took part in the scan outside the engine: its file travels in the input bundle."""

    name: str
    version: str
    file: Path


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What to record. ``feeds`` are snapshot directories by name, ``vex`` documents by name, times are UTC stamps.

    ``evidence`` are call graphs and runtime traces, ``sbom_path`` is how an error names the SBOM, ``crypto_profile``
    the signers' profiles as :func:`builder.signing.crypto_profile` has them.
    """

    scan_id: str
    time: str
    sbom: bytes
    feeds: Mapping[str, Path]
    vex: Mapping[str, bytes]
    policy: bytes
    tools: Sequence[Tool]
    engine: EngineIdentity
    architecture: str
    subject: str | None = None
    oci_digest: str | None = None
    level: int = 3
    evidence: Sequence[reachability.Evidence] = ()
    sbom_path: str = "sbom"
    crypto_profile: str | None = None


def record(request: ScanRequest, signers: Sequence[Signer], out: Path) -> tuple[Path, Manifest]:
    """Record a scan into ``out/<scan-id>/`` and return that directory and its manifest.

    The directory appears whole or not at all. Raises :class:`AlreadyAccepted` when it is there, and the typed
    errors of the readers for inputs that cannot be used.
    """
    if not signers:
        raise UsageError(detail="a record needs at least one signing key")
    manifests.check_scan_id(request.scan_id)
    final = out / request.scan_id
    if final.exists():
        raise AlreadyAccepted(path=request.scan_id, detail="this scan is recorded here already")
    with whole_directory(final, stem=STEM) as working:
        manifest = _write(request, signers, working)
    return final, manifest


def sign_manifest(manifest: Manifest, encoded: bytes, signers: Sequence[Signer]) -> bytes:
    """Return the envelope over a manifest and its two bundles."""
    subjects = manifests.subjects(manifest, digest.of_bytes(encoded))
    payload = statement.make(subjects, manifests.PREDICATE_TYPE, manifests.predicate(manifest))
    return dsse.sign(payload, dsse.IN_TOTO, signers)


def _write(request: ScanRequest, signers: Sequence[Signer], directory: Path) -> Manifest:
    try:
        sbom = read_sbom(request.sbom)
    except StellaError as fault:
        fault.details["path"] = request.sbom_path
        raise fault.then("Mend the SBOM or make it anew; CycloneDX and SPDX are read.") from None
    subject = manifests.Subject(name=request.subject or sbom.name or "unnamed", oci_digest=request.oci_digest)
    sbom_format = f"{sbom.format.lower()}-{sbom.spec_version}"
    section, documents = reachability.section(request.evidence, request.time)
    members = _members(request, subject, sbom_format) | documents
    input_path = directory / layout.INPUT_BUNDLE
    with input_path.open("wb") as target:
        input_record = write_bundle(target, members.items(), level=request.level)
    inputs = _inputs(request, sbom_format, {member.path: member.digest for member in input_record.members})
    with BundleReader(input_path, input_record) as reader:
        reader.verify()
        draft = msgspec.structs.replace(
            _manifest(request, subject, inputs, input_record, None, {}), reachability=section
        )
        outputs = replay.run(replay.evaluation_input(draft, reader))
    with (directory / layout.OUTPUT_BUNDLE).open("wb") as target:
        output_record = write_bundle(target, outputs.items(), level=request.level)
    manifest = msgspec.structs.replace(
        _manifest(request, subject, inputs, input_record, output_record, outputs), reachability=section
    )
    encoded = canonical.encode_record(manifest)
    manifests.parse(encoded)
    write_atomic(directory / layout.MANIFEST_FILE, encoded)
    write_atomic(directory / layout.MANIFEST_ENVELOPE, sign_manifest(manifest, encoded, signers))
    return manifest


def _members(request: ScanRequest, subject: manifests.Subject, sbom_format: str) -> dict[str, bytes | Path]:
    """Return the members of the input bundle."""
    scan = {
        "schemaVersion": "1.0",
        "id": request.scan_id,
        "time": request.time,
        "subject": subject.name,
        "contract": MATCH_CONTRACT,
    }
    seed = manifests.seed(request.scan_id, subject.layers)
    environment = {"os": "linux", "arch": request.architecture, "locale": "C", "timezone": "UTC", "seed": seed}
    members: dict[str, bytes | Path] = {
        layout.SCAN_MEMBER: canonical.encode(scan),
        layout.SEEDS_MEMBER: canonical.encode({"seed": seed}),
        layout.ENVIRONMENT_MEMBER: canonical.encode(environment),
        layout.POLICY_MEMBER: request.policy,
        _sbom_path(sbom_format, request.sbom): request.sbom,
    }
    for name, data in request.vex.items():
        members[_vex_path(manifests.check_name(name, "vex"))] = data
    for tool in request.tools:
        members[f"tools/{manifests.check_name(tool.name, 'tools')}"] = tool.file
    for name, directory in request.feeds.items():
        prefix = layout.feed_prefix(manifests.check_name(name, "feeds"))
        members |= {prefix + path.name: path for path in _snapshot_files(directory)}
    return members


def _snapshot_files(directory: Path) -> list[Path]:
    """Return the files of a snapshot: its record and what that lists, nothing else that lies beside them.

    Raises :class:`FileMissing` for a link: what it leads to is not the snapshot's.
    """
    info = records.decode(read_file(directory / records.RECORD, limit=records.MAX_RECORD_BYTES))
    files = [directory / name for name in (records.RECORD, *(member.path for member in info.members))]
    for path in files:
        if path.is_symlink() or not path.is_file():
            raise FileMissing(path=f"{directory.name}/{path.name}", detail="not a regular file of the snapshot")
    return files


def _inputs(request: ScanRequest, sbom_format: str, digests: Mapping[str, str]) -> manifests.Inputs:
    """Return the manifest's inputs section; every digest is that of the bundle's member."""
    tools = [
        manifests.ToolInput(
            name=manifests.ENGINE_TOOL, version=request.engine.document.version, sha256=request.engine.digest
        )
    ]
    tools += [
        manifests.ToolInput(
            name=tool.name, version=tool.version, sha256=digests[f"tools/{tool.name}"], path=f"tools/{tool.name}"
        )
        for tool in request.tools
    ]
    sbom_path = _sbom_path(sbom_format, request.sbom)
    return manifests.Inputs(
        sbom=manifests.SbomInput(path=sbom_path, digest=digests[sbom_path], format=sbom_format),
        feeds=tuple(_feed(name, request.feeds[name], digests) for name in sorted(request.feeds)),
        vex=tuple(_file(name, _vex_path(name), digests) for name in sorted(request.vex)),
        rules=(_file("policy", layout.POLICY_MEMBER, digests),),
        tools=tuple(sorted(tools, key=lambda tool: tool.name)),
        env=_file("env", layout.ENVIRONMENT_MEMBER, digests),
        seeds=_file("seeds", layout.SEEDS_MEMBER, digests),
    )


def _feed(name: str, directory: Path, digests: Mapping[str, str]) -> manifests.FeedInput:
    prefix = layout.feed_prefix(name)
    info = SnapshotReader(DirectorySource(directory), "", digests[prefix + "snapshot.json"]).info
    if info.name != name:
        raise UsageError(detail="the snapshot is of another feed", expected=name, found=info.name)
    return manifests.FeedInput(
        name=name,
        path=prefix,
        snapshot_hash=digests[prefix + "snapshot.json"],
        snapshot_time=info.snapshot_time,
        merkle_root=info.content_root,
        index_root=info.index_root,
    )


def _file(name: str, path: str, digests: Mapping[str, str]) -> manifests.FileInput:
    return manifests.FileInput(name=name, path=path, digest=digests[path])


def _manifest(
    request: ScanRequest,
    subject: manifests.Subject,
    inputs: manifests.Inputs,
    input_record: BundleRecord,
    output_record: BundleRecord | None,
    outputs: Mapping[str, bytes],
) -> Manifest:
    """Return the manifest; without outputs it is the draft that the evaluation reads its inputs by."""
    named = {name: digest.of_bytes(outputs.get(path, b"")) for name, path in layout.OUTPUT_MEMBERS.items()}
    policy = policies.load(request.policy, time=request.time)
    return Manifest(
        schema_version=manifests.SCHEMA_VERSION,
        scan=manifests.Scan(
            id=request.scan_id,
            time=request.time,
            mode="record",
            scanner_version=request.engine.document.version,
            crypto_profile=request.crypto_profile,
        ),
        subject=subject,
        inputs=inputs,
        policy=manifests.Policy(name=policy.document.name, digest=policy.digest),
        outputs=manifests.Outputs(**named),
        bundles=manifests.Bundles(input=input_record, output=output_record or input_record),
        engine=manifests.Engine(contract=MATCH_CONTRACT, minimum_verifier=MINIMUM_VERIFIER),
        compressor=manifests.Compressor(
            library="zstandard",
            version=".".join(str(part) for part in zstandard.ZSTD_VERSION),
            level=request.level,
        ),
        provenance=manifests.Provenance(producer=PRODUCER),
    )


def _sbom_path(sbom_format: str, data: bytes) -> str:
    """Return the member's path, with the ending that people know for such a document."""
    begin = data.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if sbom_format.startswith("spdx"):
        return "sboms/sbom.spdx.json" if begin == b"{" else "sboms/sbom.spdx"
    return "sboms/sbom.cdx.xml" if begin == b"<" else "sboms/sbom.cdx.json"


def _vex_path(name: str) -> str:
    return f"vex/{name}.json"
