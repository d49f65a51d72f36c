"""What an import refused, kept untouched for whoever looks into it (docs/format.md section 2.3).

The files of the medium become one inert bundle: none of their names is made on this host, nothing of them can be run,
and no way leads from here back into the kept kits but another import.
"""

import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from kit import kitfile, layout
from kit import manifest as manifests
from kit.bundle import write_bundle
from kit.bundle.record import MAX_MEMBERS
from kit.bytes import canonical, digest, names
from kit.errors import HostileName, StellaError, UnsupportedVersion, UsageError
from kit.result import Result
from verifier.durable import claim, make_directory, part_of, remove_leftovers, sync_directory, write_atomic
from verifier.medium import read_file
from verifier.quarantine_listing import (
    MAX_LISTED,
    Document,
    Found,
    KeptFile,
    Listing,
    first_of,
    found_on,
    listing_of,
)

SCHEMA_VERSION = "1.0"
ENTRY_FILE = "quarantine.json"
REASON_FILE = "failure-reason.txt"
LOG_FILE = "verification.log"
BUNDLE_FILE = "bundle.tar.zst"
REMOVAL_FILE = "removed.json"
REMOVED = ".removed"
UNNAMED = "unnamed"
"""Where files stand in the bundle whose names this host will not make."""
MAX_DOCUMENT = 1 << 20
MAX_ENTRY = 32 << 20
MAX_RECORD = 2 << 20
"""More than an entry takes beside its bundle and its manifest."""
SHORT_LIST = 64
"""How many files a record lists where the quarantine has no room left."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Entry(Document, frozen=True):
    """What lies in one directory of the quarantine. What the kit says of itself is ``claimed``, and nobody's word.

    Entries of old have no ``listing``, for they list everything.
    """

    schema_version: str
    id: str
    quarantined_at: str
    reason: str
    exit_code: int
    sentence: str
    run: str
    kept: str
    files: tuple[KeptFile, ...]
    identity: str
    claimed_kit: str | None = None
    bundle_digest: str | None = None
    bundle_size: int = 0
    listing: Listing | None = None


class Removal(Document, frozen=True):
    """The operator's word on an entry that was removed."""

    id: str
    removed_at: str
    reason: str


WHOLE, DOCUMENTS, NOTHING = "every file", "small files only", "no file, for want of space"


def keep(
    quarantine: Path, media: Mapping[str, Path], result: Result, run: str, *, now: str, budget: int
) -> tuple[str, bool]:
    """Keep what was refused; return the entry's id, and whether it was there already.

    ``media`` are the directories that were given, by the prefix of their files; ``run`` is the run that refused them.
    All of the quarantine together takes at most ``budget`` bytes, but for a record of a few thousand a refusal; what
    does not fit is left out.
    """
    found, is_cut = found_on(media)
    make_directory(quarantine, mode=0o700)
    first = next(iter(media.values()))
    left = budget - used(quarantine)
    named = quarantine / "entry"
    remove_leftovers(named)
    working = part_of(named)
    working.mkdir(mode=0o700)
    descriptor = os.open(working, os.O_RDONLY | os.O_DIRECTORY)
    try:
        claim(descriptor)
        manifest = _manifest(found, left - MAX_RECORD)
        kept, files, bundle = _pack(working, found, left - MAX_RECORD - len(manifest))
        listing = listing_of(found, is_cut=is_cut)
        identity = _identity(result, listing, bundle)
        for entry in entries(quarantine):
            if entry.identity == identity:
                shutil.rmtree(working)
                return entry.id, True
        short = digest.hex_of(identity)[:8]
        name = f"{now.replace('-', '').replace(':', '')}-{result.reason}-{short}"
        entry = Entry(
            schema_version=SCHEMA_VERSION,
            id=name,
            quarantined_at=now,
            reason=result.reason,
            exit_code=result.exit_code,
            sentence=result.sentence,
            run=run,
            kept=kept,
            files=first_of(files, MAX_LISTED if left > MAX_RECORD else SHORT_LIST),
            identity=identity,
            claimed_kit=_claimed(first),
            bundle_digest=bundle[0] if bundle else None,
            bundle_size=bundle[1] if bundle else 0,
            listing=listing,
        )
        _put(working / ENTRY_FILE, canonical.encode_record(entry))
        _put(working / REASON_FILE, f"{result.reason}\n{result.sentence}\nNext: {result.next_step}\n".encode())
        _put(working / LOG_FILE, _log(result, run).encode())
        if manifest:
            _put(working / layout.MANIFEST_FILE, manifest)
        sync_directory(working)
        working.rename(quarantine / name)
    except BaseException:
        shutil.rmtree(working, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)
    sync_directory(quarantine)
    return name, False


def used(quarantine: Path) -> int:
    """Return how many bytes all that is kept in quarantine takes, records of what was removed included."""
    return sum(path.lstat().st_size for path in quarantine.rglob("*") if not path.is_dir())


def entries(quarantine: Path) -> list[Entry]:
    """Return what lies in quarantine, in order; a directory that holds no readable entry is left out."""
    found = []
    for path in sorted(quarantine.iterdir()) if quarantine.is_dir() else []:
        if path.is_dir() and not path.name.startswith("."):
            try:
                found.append(_read(path))
            except StellaError:
                continue
    return found


def unreadable(quarantine: Path) -> list[str]:
    """Return the names of directories in quarantine that hold no readable entry."""
    known = {entry.id for entry in entries(quarantine)}
    there = sorted(quarantine.iterdir()) if quarantine.is_dir() else []
    return [path.name for path in there if not path.name.startswith(".") and path.name not in known]


def removed(quarantine: Path) -> list[Removal]:
    """Return the operator's words on what was removed, in order; what cannot be read is left out."""
    found = []
    for path in sorted((quarantine / REMOVED).glob(f"*/{REMOVAL_FILE}")):
        try:
            found.append(canonical.decode_record(read_file(path, limit=MAX_DOCUMENT), Removal))
        except StellaError:
            continue
    return found


def show(quarantine: Path, entry_id: str) -> Entry:
    """Return one entry; :class:`UsageError` where there is none of this id."""
    known = entries(quarantine)
    for entry in known:
        if entry.id == entry_id:
            return entry
    near = ", ".join(entry.id for entry in known[-3:]) or "none"
    raise UsageError(detail="there is no such entry in quarantine", found=entry_id[:120], expected=near).then(
        "List them: stella offline quarantine list"
    )


def remove(quarantine: Path, entry_id: str, reason: str, *, now: str) -> Path:
    """Delete what an entry keeps of the medium, and move its record aside with the reason; return where it is now."""
    if not reason.strip():
        raise UsageError(option="--reason", detail="the reason is kept, and must not be empty")
    entry = show(quarantine, entry_id)
    place, target = quarantine / entry.id, quarantine / REMOVED / entry.id
    make_directory(target.parent, mode=0o700)
    _put(place / REMOVAL_FILE, canonical.encode_record(Removal(id=entry.id, removed_at=now, reason=reason)))
    place.rename(target)
    sync_directory(quarantine)
    sync_directory(target.parent)
    for name in (BUNDLE_FILE, layout.MANIFEST_FILE):
        (target / name).unlink(missing_ok=True)
    sync_directory(target)
    return target


def _read(directory: Path) -> Entry:
    entry = canonical.decode_record(read_file(directory / ENTRY_FILE, limit=MAX_ENTRY), Entry)
    if entry.schema_version != SCHEMA_VERSION or entry.id != directory.name:
        raise UnsupportedVersion(path=ENTRY_FILE, expected=SCHEMA_VERSION, found=entry.schema_version[:32])
    return entry


def _identity(result: Result, listing: Listing, bundle: tuple[str, int] | None) -> str:
    """Return what tells one refusal from another: the reason, and the bytes or, where none are kept, the files."""
    return digest.of_bytes(canonical.encode([result.reason, bundle[0] if bundle else result.sentence, listing.digest]))


def _pack(working: Path, found: list[Found], left: int) -> tuple[str, tuple[KeptFile, ...], tuple[str, int] | None]:
    """Write the bundle, with as much of the files as there is room for; return what was kept, the list, the bundle."""
    regular = [one for one in found if one.file.kind == "file"]
    small = [one for one in regular if one.file.size <= MAX_DOCUMENT][:MAX_MEMBERS]
    attempts = []
    if len(regular) <= MAX_MEMBERS and sum(one.file.size for one in regular) <= left:
        attempts.append((WHOLE, regular))
    if sum(one.file.size for one in small) <= left:
        attempts.append((DOCUMENTS, small))
    for kept, chosen in attempts:
        members = _members(chosen)
        try:
            bundle = _write_bundle(working / BUNDLE_FILE, members)
        except OSError as error:
            (working / BUNDLE_FILE).unlink(missing_ok=True)
            if error.errno not in _FULL:
                raise
            continue
        except StellaError:  # a file went away or changed meanwhile
            (working / BUNDLE_FILE).unlink(missing_ok=True)
            continue
        places = {path: member for member, path in members.items()}
        listed = (_placed(one.file, places[one.path]) if one.path in places else one.file for one in found)
        return kept, tuple(listed), bundle
    return NOTHING, tuple(one.file for one in found), None


def _placed(file: KeptFile, member: str) -> KeptFile:
    """Return a listed file with its place in the bundle."""
    return replace(file, member=member)


def _members(chosen: list[Found]) -> dict[str, Path]:
    """Return files by their names in the bundle: their own where any host could make them, else numbers."""
    members: dict[str, Path] = {}
    files: set[str] = set()
    directories: set[str] = set()
    for number, one in enumerate(chosen, 1):
        folded = names.fold(one.file.name)
        above = {parent.as_posix() for parent in PurePosixPath(folded).parents}
        ours = folded.startswith(UNNAMED) or folded in files or folded in directories or above & files
        try:
            name = one.file.name if not ours and names.check_name(one.file.name) else None
        except HostileName:
            name = None
        if name is not None:
            files.add(folded)
            directories |= above
        members[name or f"{UNNAMED}/{number:05d}"] = one.path
    return members


def _write_bundle(place: Path, members: Mapping[str, Path]) -> tuple[str, int]:
    with place.open("xb") as target:
        record = write_bundle(target, members.items(), level=1)
        target.flush()
        os.fsync(target.fileno())
    place.chmod(0o400)
    return record.archive_digest, record.archive_size


def _put(path: Path, data: bytes) -> None:
    write_atomic(path, data, mode=0o400)


def _log(result: Result, run: str) -> str:
    """Return the checks of the run that refused, a line each."""
    lines = [f"run {run}, judged at {result.reference_time.time} ({result.reference_time.source})"]
    for check in result.checks:
        detail = f": {check.detail}" if check.detail else ""
        lines.append(f"{check.state:<8} {check.number:>2} {check.name}{detail}")
    lines.append(f"{result.verdict}: {result.reason} ({result.exit_code})")
    return "".join(ascii(line)[1:-1] + "\n" for line in lines)


def _claimed(root: Path) -> str | None:
    """Return the id that KIT.json claims; nobody has vouched for it."""
    try:
        return names.shown(kitfile.parse(read_file(root / layout.KIT_FILE, limit=kitfile.MAX_BYTES)).kit_id)
    except (StellaError, OSError):
        return None


def _manifest(found: Sequence[Found], room: int) -> bytes:
    """Return the first manifest, as it is, of the plain files that were met: no link leads to it. None is no bytes."""
    for one in found:
        in_scan = one.path.parent.parent.name == layout.SCANS_DIRECTORY
        if in_scan and one.file.kind == "file" and one.path.name == layout.MANIFEST_FILE:
            try:
                return read_file(one.path, limit=min(manifests.MAX_BYTES, max(room, 0)))
            except (StellaError, OSError):
                break
    return b""
