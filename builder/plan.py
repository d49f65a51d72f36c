"""What a kit would hold and how large it would be: told before anything is signed or written.

Sizes are those of the files. What is written only while building (README.txt, KIT.json, its envelope, SHA256SUMS) is
estimated from above. Nothing is verified.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from builder import assemble, signing, trust_view
from builder.assemble import KitRequest
from kit import delta as deltas
from kit import kitfile, layout, volume
from kit import manifest as manifests
from kit.bytes import digest
from kit.errors import LimitExceeded, StellaError, UsageError
from kit.trust import dsse, rootpack
from verifier.delta import BaseKit
from verifier.medium import read_file

BLOCK = 4096
"""Media store whole blocks; few have larger ones than this."""
FAT32_LIMIT = (4 << 30) - 1

_UNITS: dict[str, int] = {"": 1, "b": 1} | {
    f"{letter}{ending}": int(base**power)
    for power, letter in enumerate("kmgt", 1)
    for ending, base in (("b", 1000), ("ib", 1024), ("", 1024))
}
_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3}))? ?([A-Za-z]{0,3})", re.ASCII)
_TEXTS = 12_288
_TEXT_OF_FILE = 256
_TEXT_OF_SCAN = 512


class _View(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of what ``stella kit plan`` shows."""


class PlannedFile(_View, frozen=True, kw_only=True):
    """A file of the kit."""

    path: str
    size: int


class PlannedFeed(_View, frozen=True, kw_only=True):
    """A feed snapshot inside of a scan's input bundle, and what it takes there before compression."""

    name: str
    snapshot_time: str
    snapshot: str
    size: int


class PlannedScan(_View, frozen=True, kw_only=True):
    """A recorded scan with its copy of the RootPack."""

    id: str
    subject: str
    time: str
    feeds: tuple[PlannedFeed, ...]
    size: int


class PlannedProgram(_View, frozen=True, kw_only=True):
    """A frozen verifier."""

    platform: str
    size: int


class Saving(_View, frozen=True, kw_only=True):
    """What a delta would leave out, and what it would say in differences, of which this is the most they can take."""

    base: str
    left_out: int
    changed: int
    at_most: int


class Plan(_View, frozen=True, kw_only=True):
    """The whole kit. ``on_medium`` counts whole blocks; ``fits`` is about free space here and, if given, the medium.

    ``volumes`` is how many media of that size the kit needs when it is split.
    """

    scans: tuple[PlannedScan, ...]
    programs: tuple[PlannedProgram, ...]
    root_version: int
    root_pack_size: int
    texts_at_most: int
    total: int
    on_medium: int
    files: tuple[PlannedFile, ...]
    free: int
    fits: bool
    medium: int | None = None
    volumes: int | None = None
    too_large_for_fat32: tuple[str, ...] = ()
    delta: Saving | None = None


def make(request: KitRequest, out: Path, *, medium: int | None = None, on: BaseKit | None = None) -> Plan:
    """Return the plan of a kit that would be built in the directory ``out``; ``medium`` is a size in bytes.

    ``on`` is the kit that a delta would build on.
    """
    assemble.check_paths(request)
    listed = [PlannedFile(path=path, size=source.stat().st_size) for path, source in assemble.plan(request)]
    listed = sorted([*listed, *_sigstore_bundles(request)], key=lambda file: file.path)
    texts = _TEXTS + _TEXT_OF_SCAN * len(request.records) + sum(_TEXT_OF_FILE + 2 * len(file.path) for file in listed)
    directories = {str(parent) for file in listed for parent in Path(file.path).parents}
    blocks = sum(-(-size // BLOCK) for size in (texts, *(file.size for file in listed)))
    on_medium = (blocks + len(directories) + 4) * BLOCK
    free = shutil.disk_usage(next(parent for parent in out.absolute().parents if parent.is_dir())).free
    return Plan(
        scans=tuple(_scan(record, listed) for record in sorted(request.records, key=lambda path: path.name)),
        programs=tuple(
            PlannedProgram(platform=path.name, size=_below(f"{layout.PROGRAM_DIRECTORY}/{path.name}/", listed))
            for path in sorted(request.programs)
        ),
        root_version=rootpack.declared_versions(trust_view.current_files(request.root_pack)).root,
        root_pack_size=_below(f"{layout.ROOTPACK_DIRECTORY}/", listed),
        texts_at_most=texts,
        total=sum(file.size for file in listed) + texts,
        on_medium=on_medium,
        files=tuple(listed),
        free=free,
        fits=on_medium <= min(free, free if medium is None else medium),
        medium=medium,
        volumes=None if medium is None else _volumes(listed, medium),
        too_large_for_fat32=tuple(file.path for file in listed if file.size > FAT32_LIMIT),
        delta=None if on is None else _saving(request, on),
    )


def _saving(request: KitRequest, on: BaseKit) -> Saving:
    """Say what the base has of a kit that is yet to be built: whole files, and members of bundles."""
    known = {file.digest for file in on.kit.files}
    members = {
        member.digest
        for file in on.kit.files
        if deltas.is_bundle(file.path)
        for member in on.record(file.path)[1].members
    }
    left_out = changed = at_most = 0
    for path, source in assemble.plan(request):
        size = source.stat().st_size
        if not deltas.may_be_left_out(path):
            at_most += size
        elif digest.of_file(source)[0] in known:
            left_out += size
        else:
            fresh = size
            if deltas.is_bundle(path):
                manifest = manifests.parse(read_file(source.parent / layout.MANIFEST_FILE, limit=manifests.MAX_BYTES))
                is_input = source.name == layout.INPUT_BUNDLE
                record = manifest.bundles.input if is_input else manifest.bundles.output
                fresh = min(size, sum(one.size for one in record.members if one.digest not in members))
            changed += size
            at_most += fresh
    return Saving(base=on.kit.kit_id, left_out=left_out, changed=changed, at_most=at_most)


def _volumes(listed: Sequence[PlannedFile], medium: int) -> int | None:
    """Return how many media of a size a kit that is yet to be built needs; None where no number would do."""
    documents = _TEXTS + sum(_TEXT_OF_FILE + 2 * len(file.path) for file in listed)
    try:
        return len(volume.cut([(file.path, file.size) for file in listed], medium, documents))
    except LimitExceeded:
        return None


def parse_size(text: str) -> int:
    """Return bytes from a size such as ``700MB``, ``4.7GB``, ``25GiB`` or plain digits; UsageError for others."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or (unit := _UNITS.get(found[3].lower())) is None:
        expected = "a size such as 700MB, 4.7GB or 25GiB"
        raise UsageError(option="--medium-size", expected=expected, found=ascii(text)[:40])
    thousandths = int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0"))
    return thousandths * unit // 1000


def size_text(size: int) -> str:
    """Return a size as people read it, in decimal units."""
    if size < 1000:
        return f"{size} B"
    tenths = size // 100
    for unit in ("kB", "MB", "GB"):
        if tenths < 10_000:
            return f"{tenths // 10}.{tenths % 10} {unit}"
        tenths //= 1000
    return f"{tenths // 10}.{tenths % 10} TB"


def lines(plan: Plan) -> list[str]:
    """Return the plan as people read it."""
    rows = []
    for scan in plan.scans:
        rows.append(("scan", f"{scan.id}  {scan.subject}, {scan.time}", scan.size))
        rows += [
            ("  feed", f"{feed.name} of {feed.snapshot_time}, in the scan's input bundle", feed.size)
            for feed in scan.feeds
        ]
    rows += [("program", program.platform, program.size) for program in plan.programs]
    rows.append(("rootpack", f"version {plan.root_version}", plan.root_pack_size))
    rows.append(("texts", "README.txt, KIT.json, its signature, SHA256SUMS: at most", plan.texts_at_most))
    rows.append(("total", f"{plan.total} bytes in {len(plan.files) + 4} files", plan.total))
    rows.append(("on medium", f"in blocks of {BLOCK} bytes", plan.on_medium))
    if plan.delta is not None:
        rows.append(("left out", f"of a delta on {plan.delta.base}: the site has it", plan.delta.left_out))
        rows.append(("changed", "sent as differences, which are known once built", plan.delta.changed))
        rows.append(("delta", "beside the texts, at most", plan.delta.at_most))
    rows.append(("free", _fit(plan.on_medium, plan.free), plan.free))
    if plan.medium is not None:
        rows.append(("medium", _fit(plan.on_medium, plan.medium), plan.medium))
        if plan.volumes != 1:
            needed = f"{plan.volumes} media of this size" if plan.volumes else "no number of such media would do"
            rows.append(("volumes", f"split: {needed}", plan.medium * (plan.volumes or 0)))
    width = min(max(len(what) for _, what, _ in rows), 100)
    text = [f"{name:<11} {what:<{width}}  {size_text(size):>9}" for name, what, size in rows]
    text += [f"{'note':<11} {path} is too large for a FAT32 medium" for path in plan.too_large_for_fat32]
    return text if plan.programs else [*text, f"{'note':<11} no frozen verifier: sites must have one (--program)"]


def _fit(wanted: int, there: int) -> str:
    left = there - wanted
    return f"fits, {size_text(left)} left" if left >= 0 else f"DOES NOT FIT, {size_text(-left)} too much"


def _scan(record: Path, listed: Sequence[PlannedFile]) -> PlannedScan:
    manifest = manifests.parse(read_file(record / layout.MANIFEST_FILE, limit=manifests.MAX_BYTES))
    members = manifest.bundles.input.members
    return PlannedScan(
        id=manifest.scan.id,
        subject=manifest.subject.name,
        time=manifest.scan.time,
        feeds=tuple(
            PlannedFeed(
                name=feed.name,
                snapshot_time=feed.snapshot_time,
                snapshot=feed.snapshot_hash,
                size=sum(member.size for member in members if member.path.startswith(feed.path)),
            )
            for feed in manifest.inputs.feeds
        ),
        size=_below(f"{layout.scan_directory(record.name)}/", listed),
    )


def _sigstore_bundles(request: KitRequest) -> list[PlannedFile]:
    keys = signing.own_pack(request.root_pack).keys(signing.USAGE, request.created_at)
    planned = []
    for record in request.records:
        envelope = read_file(record / layout.MANIFEST_ENVELOPE, limit=dsse.MAX_BYTES)
        made = assemble.sigstore_bundles(record.name, envelope, keys)
        planned += [PlannedFile(path=path, size=len(data)) for path, data in made.items()]
    return planned


def _below(prefix: str, listed: Sequence[PlannedFile]) -> int:
    return sum(file.size for file in listed if file.path.startswith(prefix))


def highest_sequence(directory: Path) -> int:
    """Return the highest number of the kits in a directory that are named as this program proposes; 0 for none.

    Only a proposal may rest on it: the number that counts is the one that the keeper of the channel knows.
    """
    highest = 0
    for place in directory.glob("offline*"):
        try:
            found = kitfile.parse(read_file(place / layout.KIT_FILE, limit=kitfile.MAX_BYTES))
        except (StellaError, OSError):
            continue
        highest = max(highest, found.sequence)
    return highest
