"""Assembling a kit: recorded scans, RootPack, verifier and texts become one signed directory.

The layout is that of docs/format.md section 2.
"""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from shlex import quote

import kit as product
from builder import from_locker, signing, trust_view
from builder.files import whole_directory, write_atomic
from kit import kitfile, layout
from kit import manifest as manifests
from kit.bytes import canonical, digest
from kit.errors import AlreadyAccepted, DigestMismatch, EvidenceMissing, MalformedDocument, UsageError
from kit.ledger.evidence import limit_of
from kit.trust import dsse, rootpack, sigstore, statement
from kit.trust.evidence import MAX_STAMP
from kit.trust.keys import PublicKey, Signer
from kit.trust.rootpack import TrustedPack
from verifier import envelopes, ledger, programs
from verifier.envelopes import Beside, Moments
from verifier.medium import read_file
from verifier.render import kit_readme

PRODUCER = f"stella {product.__version__}"
SCAN_FILES = (layout.MANIFEST_FILE, layout.MANIFEST_ENVELOPE, layout.INPUT_BUNDLE, layout.OUTPUT_BUNDLE)

_PLATFORM = re.compile(r"[a-z0-9]{1,16}-[a-z0-9_]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KitRequest:
    """What a kit is made of. ``programs`` are directories ``<os>-<arch>`` with a frozen verifier each.

    ``locker_checkpoint`` and ``acknowledged`` are files that the locker gave for its sites.
    """

    records: Sequence[Path]
    root_pack: Path
    programs: Sequence[Path]
    channel: str
    sequence: int
    created_at: str
    staleness_window_hours: int
    locker_checkpoint: Path | None = None
    acknowledged: Path | None = None


def plan(request: KitRequest) -> list[tuple[str, Path]]:
    """Return the files that would be copied into a kit: path in the kit, source file; sorted by path."""
    pack = [(name, request.root_pack / name) for name in trust_view.current_files(request.root_pack)]
    files = [(f"{layout.ROOTPACK_DIRECTORY}/{name}", path) for name, path in pack]
    for record in request.records:
        base = layout.scan_directory(record.name)
        files += [(f"{base}/{name}", record / name) for name in (*SCAN_FILES, *_proofs(record))]
        files += [(f"{base}/{layout.ROOTPACK_DIRECTORY}/{name}", path) for name, path in pack]
    for program in request.programs:
        files += [(f"{layout.PROGRAM_DIRECTORY}/{program.name}/{name}", path) for name, path in _tree(program)]
    return sorted([*files, *from_locker.files(request.locker_checkpoint, request.acknowledged)])


def sigstore_bundles(scan_id: str, envelope: bytes, keys: Sequence[PublicKey]) -> dict[str, bytes]:
    """Return by its path in a kit one Sigstore bundle for each of ``keys`` that signed a scan's envelope."""
    base = layout.scan_directory(scan_id)
    made = sigstore.bundles(envelope, keys, name=f"{scan_id}/{layout.MANIFEST_ENVELOPE}")
    return {f"{base}/{name}": data for name, data in made.items()}


def check_paths(request: KitRequest) -> None:
    """Raise :class:`UsageError` for a path of the request that is not what the option asks for."""
    if not request.records:
        raise UsageError(detail="a kit needs at least one recorded scan", option="--record")
    for record in request.records:
        _check_record(record)
    for program in request.programs:
        _check_program(program)
    for option, paths in (("--record", request.records), ("--program", request.programs)):
        names = sorted(path.name for path in paths)
        twice = [name for name, following in pairwise(names) if name == following]
        if twice:
            raise UsageError(option=option, detail="is given twice", found=twice[0])


def _check_record(record: Path) -> None:
    if not record.is_dir():
        raise UsageError(option="--record", path=str(record), detail="there is no such directory")
    missing = [name for name in SCAN_FILES if not (record / name).is_file()]
    if missing:
        expected = f"a recorded scan's directory, with {', '.join(SCAN_FILES)}"
        raise UsageError(option="--record", path=str(record), expected=expected, detail=f"{missing[0]} is missing")
    try:
        manifests.check_scan_id(record.name)
    except MalformedDocument as fault:
        raise UsageError(
            option="--record", path=str(record), expected="a directory named by its scan id, as it was recorded"
        ) from fault


def _check_program(program: Path) -> None:
    if not _PLATFORM.fullmatch(program.name) or not (program / "stella").is_file():
        raise UsageError(
            option="--program", path=str(program), expected="a directory such as dist/linux-x86_64, with stella in it"
        )
    bill = program / programs.BILL
    if bill.is_file():
        found = {name: digest.of_file(path)[0] for name, path in _tree(program)}
        programs.check_bill(read_file(bill, limit=programs.MAX_BILL), found, f"{program.name}/{programs.BILL}")


def check_bills(request: KitRequest) -> None:
    """Raise :class:`UsageError` for a verifier without its bill of materials, which every kit is to carry with it."""
    for program in request.programs:
        if not (program / programs.BILL).is_file():
            expected = f"a directory with {programs.BILL}, as make release and make verifier leave it"
            raise UsageError(option="--program", path=str(program), expected=expected)


def check(request: KitRequest, signers: Sequence[Signer], *, now: str | None = None) -> TrustedPack:
    """Hold a request against all that can be known before anything is written; return the RootPack.

    Signers of the kit and of its records must be trusted at the kit's time and, if given, at the UTC time ``now``.
    Raises :class:`UsageError`, :class:`SignerUnfit`, and the errors of a record whose signature does not fit.
    """
    check_paths(request)
    pack = signing.own_pack(request.root_pack)
    moments = sorted({request.created_at, now or request.created_at})
    from_locker.check(request.locker_checkpoint, request.acknowledged, pack, at=request.created_at)
    signing.check(pack, {f"signer {at}": one.public for at, one in enumerate(signers, 1)}, moments)
    for record in request.records:
        envelope = read_file(record / layout.MANIFEST_ENVELOPE, limit=dsse.MAX_BYTES)
        name = f"{record.name}/{layout.MANIFEST_ENVELOPE}"
        signed = signing.check_envelope(pack, envelope, moments, name=name, files=_beside(record))
        raw = read_file(record / layout.MANIFEST_FILE, limit=manifests.MAX_BYTES)
        manifests.check_statement(signed.payload, raw, signed_profiles=pack.profiles(signed.signers))
        _check_proofs(record, pack, envelope, request.created_at)
    return pack


def assemble(request: KitRequest, signers: Sequence[Signer], out: Path, *, now: str | None = None) -> kitfile.Kit:
    """Write a kit to the directory ``out`` and return what its KIT.json says.

    The directory appears whole or not at all; same request, same keys, same files give the same bytes. Raises
    :class:`AlreadyAccepted` when ``out`` exists, what :func:`check` raises, :class:`DigestMismatch` when a record is
    not what its manifest says.
    """
    if out.exists():
        raise AlreadyAccepted(path=str(out), detail="the kit's directory exists")
    pack = check(request, signers, now=now)
    with whole_directory(out) as working:
        return _write(request, pack, signers, working)


def _write(request: KitRequest, pack: TrustedPack, signers: Sequence[Signer], root: Path) -> kitfile.Kit:
    files = [_copy(source, root, path) for path, source in plan(request)]
    files += _write_bundles(request, pack, root)
    entries = sorted(_scan_entry(record, files) for record in request.records)
    scans = [kitfile.ScanEntry(id=scan_id, manifest_digest=found) for scan_id, _, found in entries]
    subjects = [(scan_id, subject) for scan_id, subject, _ in entries]
    metadata = trust_view.current_files(request.root_pack)
    versions = rootpack.declared_versions(metadata)
    readme = kit_readme(
        channel=request.channel,
        sequence=request.sequence,
        created_at=request.created_at,
        producer=PRODUCER,
        scans=subjects,
        root=digest.of_bytes(metadata[rootpack.root_path(1)]),
        signers=[(pack.owner(signer.public), signer.public.fingerprint) for signer in signers],
        programs=[f"{layout.PROGRAM_DIRECTORY}/{program.name}/stella" for program in request.programs],
    )
    files.append(_write_file(root, layout.README_FILE, readme.encode()))
    files.sort(key=lambda file: file.path)
    kit = kitfile.Kit(
        schema_version=kitfile.SCHEMA_VERSION,
        kit_id=kitfile.kit_id(request.channel, request.sequence, files),
        channel=request.channel,
        sequence=request.sequence,
        created_at=request.created_at,
        staleness_window_hours=request.staleness_window_hours,
        producer=PRODUCER,
        root_pack=kitfile.RootPackEntry(root_version=versions.root, timestamp_version=versions.timestamp),
        scans=tuple(scans),
        files=tuple(files),
    )
    encoded = canonical.encode_record(kit)
    kitfile.parse(encoded)
    payload = statement.make(
        {layout.KIT_FILE: digest.of_bytes(encoded)}, kitfile.PREDICATE_TYPE, kitfile.predicate(kit)
    )
    envelope = dsse.sign(payload, dsse.IN_TOTO, signers)
    write_atomic(root / layout.KIT_FILE, encoded)
    write_atomic(root / layout.KIT_ENVELOPE, envelope)
    listed = [(file.path, file.digest) for file in files]
    listed += [(layout.KIT_FILE, digest.of_bytes(encoded)), (layout.KIT_ENVELOPE, digest.of_bytes(envelope))]
    write_atomic(root / layout.SUMS_FILE, kitfile.sums(listed))
    return kit


def _scan_entry(record: Path, files: Sequence[kitfile.File]) -> tuple[str, str, str]:
    """Return id, subject and manifest digest of a scan whose copied bundles are those of its manifest."""
    copied = {file.path: file for file in files}
    base = layout.scan_directory(record.name)
    manifest = manifests.parse((record / layout.MANIFEST_FILE).read_bytes())
    if manifest.scan.id != record.name:
        raise UsageError(detail="a record's directory is named by its scan id", expected=manifest.scan.id)
    bundles = ((layout.INPUT_BUNDLE, manifest.bundles.input), (layout.OUTPUT_BUNDLE, manifest.bundles.output))
    for name, bundle in bundles:
        found = copied[f"{base}/{name}"].digest
        if found != bundle.archive_digest:
            raise DigestMismatch(path=f"{record.name}/{name}", expected=bundle.archive_digest, found=found)
    return record.name, manifest.subject.name, copied[f"{base}/{layout.MANIFEST_FILE}"].digest


def _write_bundles(request: KitRequest, pack: TrustedPack, root: Path) -> list[kitfile.File]:
    keys = pack.keys(signing.USAGE, request.created_at)
    made: dict[str, bytes] = {}
    for record in request.records:
        envelope = (root / layout.scan_directory(record.name) / layout.MANIFEST_ENVELOPE).read_bytes()
        made |= sigstore_bundles(record.name, envelope, keys)
    return [_write_file(root, path, data) for path, data in sorted(made.items())]


def _proofs(record: Path) -> list[str]:
    """Return the evidence beside a record, ledger proofs and time stamps, by their paths relative to it."""
    places = sorted((record / layout.EVIDENCE_DIRECTORY).glob("*"))
    names = [place.name for place in places if limit_of(place.name) is not None or envelopes.is_stamp(place.name)]
    return [f"{layout.EVIDENCE_DIRECTORY}/{name}" for name in names]


def _beside(record: Path) -> Beside:
    """Return what a site will find beside a record's envelope."""
    found = {Path(path).name: record / path for path in _proofs(record)}
    stamps = {name: read_file(path, limit=MAX_STAMP) for name, path in found.items() if envelopes.is_stamp(name)}
    return Beside(stamps, lambda: _ledger_files(record))


def _ledger_files(record: Path) -> dict[str, bytes]:
    found = {Path(path).name: record / path for path in _proofs(record)}
    limits = {name: limit for name in found if (limit := limit_of(name)) is not None}
    return {name: read_file(found[name], limit=limit) for name, limit in limits.items()}


def _check_proofs(record: Path, pack: TrustedPack, envelope: bytes, at: str) -> None:
    """Hold a record's ledger evidence against the RootPack as a site will that sees the log for the first time."""
    files = _ledger_files(record)
    demanded = ledger.demanded_by(pack, asked=False)
    if demanded or ledger.why_not(files, pack) is None:
        name = f"{record.name}/{layout.MANIFEST_ENVELOPE}"
        judged = envelopes.verify(envelope, pack, Moments(at), _beside(record), name=name)
        try:
            ledger.check(files, ledger.logged(envelope, judged.verified), pack, at=at, demanded=demanded)
        except EvidenceMissing as fault:
            attest = f"stella attest {quote(str(record))} --log DIR --log-key FILE"
            raise fault.then(f"Attest the record first: {attest}") from None


def _tree(root: Path) -> list[tuple[str, Path]]:
    """Return every file below a directory by its relative path."""
    return sorted((path.relative_to(root).as_posix(), path) for path in root.rglob("*") if path.is_file())


def _copy(source: Path, root: Path, path: str) -> kitfile.File:
    """Copy one file into the kit, hashing what is written."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    found, size = digest.of_file(target)
    return kitfile.File(path=path, size=size, digest=found)


def _write_file(root: Path, path: str, data: bytes) -> kitfile.File:
    write_atomic(root / path, data)
    return kitfile.File(path=path, size=len(data), digest=digest.of_bytes(data))
