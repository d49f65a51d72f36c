"""The replay manifest: everything that went into and came out of a scan, by digest (docs/format.md section 3)."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from uuid import UUID

import msgspec

from kit import layout, reachability
from kit.bundle import BundleRecord, check_record
from kit.bytes import canonical, digest
from kit.errors import DigestMismatch, MalformedDocument, ProfileMissing, UnsupportedVersion
from kit.reachability import Reachability
from kit.trust import profiles, statement

SCHEMA_VERSION = "1.0"
PREDICATE_TYPE = "https://stella-ops.org/attestations/replay-manifest/1"
MAX_BYTES = 8 << 20
ENGINE_TOOL = "stella-engine"
"""Name of the entry of ``inputs.tools`` that identifies the evaluation engine itself."""

_PROFILE = "/scan/cryptoProfile"
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the manifest's records."""


class Scan(_Document, frozen=True):
    """Identity and frozen time of one recorded evaluation; ``crypto_profile`` names the signers' profiles."""

    id: str
    time: str
    mode: str
    scanner_version: str
    crypto_profile: str | None = None


class Layer(_Document, frozen=True):
    """One image layer and its Merkle tree."""

    layer_digest: str
    merkle_root: str
    leaf_count: int


class Subject(_Document, frozen=True):
    """What was scanned."""

    name: str
    oci_digest: str | None = None
    layers: tuple[Layer, ...] = ()


class FileInput(_Document, frozen=True):
    """One input document: a VEX document or a rule file."""

    name: str
    path: str
    digest: str


class SbomInput(_Document, frozen=True):
    """The SBOM document, as it was given."""

    path: str
    digest: str
    format: str


class FeedInput(_Document, frozen=True):
    """One feed snapshot; ``snapshot_hash`` is the digest of its ``snapshot.json``, the roots are those of its trees."""

    name: str
    path: str
    snapshot_hash: str
    snapshot_time: str
    merkle_root: str
    index_root: str


class ToolInput(_Document, frozen=True):
    """One tool by digest; with ``path`` when its file travels in the input bundle."""

    name: str
    version: str
    sha256: str
    path: str | None = None


class Inputs(_Document, frozen=True):
    """Everything that went in; arrays sorted by name."""

    sbom: SbomInput
    feeds: tuple[FeedInput, ...]
    vex: tuple[FileInput, ...]
    rules: tuple[FileInput, ...]
    tools: tuple[ToolInput, ...]
    env: FileInput
    seeds: FileInput


class Policy(_Document, frozen=True):
    """The policy by the digest of its compiled, canonical form."""

    name: str
    digest: str


class Outputs(_Document, frozen=True):
    """Digests of the five named outputs."""

    sbom: str
    findings: str
    vex: str
    verdict: str
    log: str


class Bundles(_Document, frozen=True):
    """Both bundles with every member."""

    input: BundleRecord
    output: BundleRecord


class Engine(_Document, frozen=True):
    """What a verifier must be to replay this scan."""

    contract: str
    minimum_verifier: str


class Compressor(_Document, frozen=True):
    """How the bundles were compressed."""

    library: str
    version: str
    level: int


class Provenance(_Document, frozen=True):
    """Who recorded the scan, as far as it may be told."""

    producer: str


class Manifest(_Document, frozen=True):
    """The replay manifest."""

    schema_version: str
    scan: Scan
    subject: Subject
    inputs: Inputs
    policy: Policy
    outputs: Outputs
    bundles: Bundles
    engine: Engine
    compressor: Compressor
    provenance: Provenance
    reachability: Reachability | None = None


class ManifestPredicate(_Document, frozen=True):
    """The predicate of the manifest's envelope, whose subjects are the manifest and both bundles."""

    scan_id: str
    scan_time: str
    input_bundle: str
    input_content_root: str
    output_bundle: str
    output_content_root: str


def predicate(manifest: Manifest) -> ManifestPredicate:
    """Return what the manifest's envelope says beside its subjects."""
    bundles = manifest.bundles
    return ManifestPredicate(
        scan_id=manifest.scan.id,
        scan_time=manifest.scan.time,
        input_bundle=bundles.input.archive_digest,
        input_content_root=bundles.input.content_root,
        output_bundle=bundles.output.archive_digest,
        output_content_root=bundles.output.content_root,
    )


def parse(data: bytes) -> Manifest:
    """Read a manifest and hold it against itself.

    Raises the errors of :func:`kit.bytes.canonical.decode_record`, :class:`UnsupportedVersion`, and
    :class:`MalformedDocument` where the sections contradict one another or the bundles' member lists.
    """
    manifest = canonical.decode_record(data, Manifest, max_bytes=MAX_BYTES)
    if manifest.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=layout.MANIFEST_FILE, expected=SCHEMA_VERSION, found=manifest.schema_version)
    check_scan_id(manifest.scan.id)
    check_time(manifest.scan.time, "/scan/time")
    if manifest.scan.crypto_profile is not None:
        profiles.split(manifest.scan.crypto_profile, _PROFILE)
    check_record(manifest.bundles.input)
    check_record(manifest.bundles.output)
    _check_inputs(manifest)
    _check_outputs(manifest)
    return manifest


def check_statement(payload: bytes, raw: bytes, *, signed_profiles: Iterable[str] = ()) -> Manifest:
    """Return the manifest that a verified statement is about; ``raw`` are the bytes of ``manifest.json``.

    ``signed_profiles`` are the crypto profiles of the keys that signed it. Raises :class:`DigestMismatch` when other
    bytes were signed, :class:`MalformedDocument` when the statement names other bundles than the manifest,
    :class:`ProfileMissing` when the manifest claims a profile of which no key signed.
    """
    signed = statement.parse(payload)
    if signed.predicate_type != PREDICATE_TYPE:
        raise UnsupportedVersion(
            path=layout.MANIFEST_ENVELOPE, expected=PREDICATE_TYPE, found=signed.predicate_type[:120]
        )
    found = digest.of_bytes(raw)
    if signed.subjects.get(layout.MANIFEST_FILE) != found:
        expected = signed.subjects.get(layout.MANIFEST_FILE, "not named")
        raise DigestMismatch(path=layout.MANIFEST_FILE, expected=expected, found=found)
    manifest = parse(raw)
    said = canonical.convert(signed.predicate, ManifestPredicate)
    if said != predicate(manifest) or signed.subjects != subjects(manifest, found):
        raise MalformedDocument(path=layout.MANIFEST_ENVELOPE, detail="is not about this manifest and its bundles")
    claimed = manifest.scan.crypto_profile
    if claimed is not None and (missing := set(profiles.split(claimed, _PROFILE)) - set(signed_profiles)):
        raise ProfileMissing(
            path=layout.MANIFEST_FILE,
            pointer=_PROFILE,
            expected=min(missing),
            detail="is claimed; no key of it signed",
        )
    return manifest


def subjects(manifest: Manifest, manifest_digest: str) -> dict[str, str]:
    """Return what the manifest's envelope is signed over: the manifest and both bundles, by digest."""
    return {
        layout.MANIFEST_FILE: manifest_digest,
        layout.INPUT_BUNDLE: manifest.bundles.input.archive_digest,
        layout.OUTPUT_BUNDLE: manifest.bundles.output.archive_digest,
    }


def check_scan_id(scan_id: str) -> str:
    """Return a scan id that is a UUID in its one canonical spelling, fit to be a directory name."""
    try:
        canonical_form = str(UUID(scan_id))
    except ValueError:
        canonical_form = ""
    if scan_id != canonical_form:
        raise MalformedDocument(pointer="/scan/id", expected="a lowercase UUID", found=scan_id[:64])
    return scan_id


def check_time(time: str, pointer: str) -> datetime:
    """Return a UTC time written ``YYYY-MM-DDTHH:MM:SSZ``."""
    if _TIME.fullmatch(time):
        try:
            return datetime.fromisoformat(time)
        except ValueError:
            pass
    raise MalformedDocument(pointer=pointer, expected="YYYY-MM-DDTHH:MM:SSZ", found=time[:64])


def check_name(name: str, pointer: str) -> str:
    """Return an input's name: lowercase letters, digits, dot, underscore and hyphen, at most 64."""
    if not _NAME.fullmatch(name):
        raise MalformedDocument(pointer=pointer, expected="[a-z0-9._-], at most 64 characters", found=name[:80])
    return name


def seed(scan_id: str, layers: Sequence[Layer]) -> str:
    """Return the seed of a scan: SHA-256 over the canonical JSON of its id and its layers' Merkle roots, in order."""
    document = {"scanId": scan_id, "layerRoots": [layer.merkle_root for layer in layers]}
    return digest.of_bytes(canonical.encode(document))


def _check_inputs(manifest: Manifest) -> None:
    """Hold the inputs section against the input bundle's member list."""
    inputs = manifest.inputs
    members = {member.path: member.digest for member in manifest.bundles.input.members}
    for section in ("feeds", "vex", "rules", "tools"):
        _check_sorted(section, [entry.name for entry in getattr(inputs, section)])
    if ENGINE_TOOL not in {tool.name for tool in inputs.tools}:
        raise MalformedDocument(pointer="/inputs/tools", detail=f"no entry named {ENGINE_TOOL}")
    if [rule.path for rule in inputs.rules] != [layout.POLICY_MEMBER]:
        raise MalformedDocument(pointer="/inputs/rules", expected=layout.POLICY_MEMBER)
    for feed in inputs.feeds:
        check_name(feed.name, "/inputs/feeds")
        check_time(feed.snapshot_time, "/inputs/feeds")
        if feed.path != layout.feed_prefix(feed.name):
            raise MalformedDocument(pointer="/inputs/feeds", expected=layout.feed_prefix(feed.name), found=feed.path)
    declared = [("sbom", inputs.sbom.path, inputs.sbom.digest), ("env", inputs.env.path, inputs.env.digest)]
    declared += [("seeds", inputs.seeds.path, inputs.seeds.digest)]
    declared += [("feeds", feed.path + "snapshot.json", feed.snapshot_hash) for feed in inputs.feeds]
    declared += [("vex", document.path, document.digest) for document in inputs.vex]
    declared += [("rules", document.path, document.digest) for document in inputs.rules]
    declared += [("tools", tool.path, tool.sha256) for tool in inputs.tools if tool.path]
    _check_members("inputs", declared, members)
    carried = _check_reachability(manifest, members)
    _check_accounted(manifest, carried | {path for _, path, _ in declared if path})


def _check_reachability(manifest: Manifest, members: dict[str, str]) -> set[str]:
    """Hold the evidence of reachability against member list and scan time; return the paths that it names."""
    if manifest.reachability is None:
        return set()
    scanned = check_time(manifest.scan.time, "/scan/time")
    for position, trace in enumerate(manifest.reachability.runtime_traces):
        pointer = f"/reachability/runtimeTraces/{position}/recordedAt"
        if trace.recorded_at is not None and check_time(trace.recorded_at, pointer) > scanned:
            raise MalformedDocument(
                pointer=pointer, expected=f"not after {manifest.scan.time}", found=trace.recorded_at
            )
    return reachability.check(manifest.reachability, members)


def _check_accounted(manifest: Manifest, named: set[str]) -> None:
    """Refuse input members that no section names: what is carried is what is declared."""
    prefixes = tuple(feed.path for feed in manifest.inputs.feeds)
    for member in manifest.bundles.input.members:
        known = member.path in named or member.path == layout.SCAN_MEMBER
        if not known and not (prefixes and member.path.startswith(prefixes)):
            raise MalformedDocument(pointer="/bundles/input/members", detail="no section names it", path=member.path)


def _check_outputs(manifest: Manifest) -> None:
    """Hold the outputs section against the output bundle's member list."""
    members = {member.path: member.digest for member in manifest.bundles.output.members}
    declared = [(name, path, getattr(manifest.outputs, name)) for name, path in layout.OUTPUT_MEMBERS.items()]
    _check_members("outputs", declared, members)


def _check_sorted(section: str, names: Sequence[str]) -> None:
    if any(left >= right for left, right in pairwise(names)):
        raise MalformedDocument(pointer=f"/inputs/{section}", detail="names must ascend and be unique")


def _check_members(section: str, declared: Iterable[tuple[str, str | None, str]], members: dict[str, str]) -> None:
    for name, path, expected in declared:
        found = members.get(path or "")
        if found != expected:
            raise MalformedDocument(
                pointer=f"/{section}/{name}", path=path or "", expected=expected, found=found or "no such member"
            )
