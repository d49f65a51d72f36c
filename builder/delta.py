"""Making a delta of a finished kit, on a kit that a site has proven to have by receipt (docs/format.md section 2.4).

Nothing is left out that was not made again here, from the base, to the very bytes: whatever another release of zstd
would make otherwise travels whole.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from builder.files import whole_directory, write_atomic
from kit import delta as deltas
from kit import kitfile, layout, patch
from kit.bundle import BundleReader, Member
from kit.bytes import canonical, digest, frames
from kit.delta import Base, Chunk, Delta, MemberDelta, Object, Stored
from kit.errors import AlreadyAccepted, DigestMismatch, FileMissing, ReceiptUnfit, StellaError, UsageError
from kit.kitfile import File, Kit
from kit.receipt import Genuine
from kit.snapshot import rebuild, records
from kit.trust import dsse, statement
from kit.trust.keys import Signer
from kit.volume import Piece
from verifier import delta as site_side
from verifier import delta_members, receipt_intake
from verifier.delta import BaseKit
from verifier.kit_store import check_copy
from verifier.medium import Medium, read_file, survey

MIN_SIZE = 4096
"""Smaller files travel whole: a medium stores blocks."""
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Proven:
    """A kit that a site's receipt says it holds, where it lies here, checked."""

    base: BaseKit
    record: Base


def proven(receipt: Path, base: Path, rootpack: Path, now: datetime) -> Proven:
    """Return the base kit of a directory here, which a genuine receipt says that its site holds.

    Raises :class:`ReceiptUnfit` for a receipt that does not say so, the errors of :mod:`verifier.receipt_intake` for
    one that is not genuine, and those of :func:`verifier.kit_store.check_copy` for a base that is not whole here.
    """
    with receipt_intake.about_a_receipt():
        sites = receipt_intake.of_rootpack(rootpack, now)
        found = receipt_intake.envelopes(read_file(receipt, limit=receipt_intake.MAX_TEXT), receipt.name)
        genuine = [sites.genuine(envelope, receipt.name) for envelope in found]
    try:
        raw = read_file(base / layout.KIT_FILE, limit=kitfile.MAX_BYTES)
    except FileMissing as fault:
        raise UsageError(option="--base", path=str(base), detail="this directory is no kit").then(
            "Give the directory of the kit that the receipt is about, as it was built."
        ) from fault
    kit, kit_digest = kitfile.parse(raw), digest.of_bytes(raw)
    for one in genuine:
        if one.receipt.holds == kit_digest:
            check_copy(base, kit_digest)
            said = Base(kit_id=kit.kit_id, digest=kit_digest, site=one.receipt.site, receipt=one.digest)
            return Proven(BaseKit(survey(base), kit), said)
    raise _unfit(genuine, kit)


def _unfit(genuine: Sequence[Genuine], kit: Kit) -> ReceiptUnfit:
    one = genuine[0].receipt
    if one.holds is None:
        return ReceiptUnfit(
            detail=f"it is of a run of the mode {one.mode}: {one.verdict}", found=one.kit_id or "no kit"
        )
    return ReceiptUnfit(expected=one.kit_id or one.holds, found=kit.kit_id).then(
        f"Give --base the directory of kit {one.kit_id}, or the receipt that is about {kit.kit_id}."
    )


def make(root: Path, on: Proven, out: Path, signers: Sequence[Signer], on_piece: Callable[[Piece], None]) -> Delta:
    """Write a delta of a kit to a directory that appears whole or not at all; return what its DELTA.json says.

    Raises :class:`AlreadyAccepted` where ``out`` exists, :class:`UsageError` for a kit with time stamps of its own, and
    where there is nothing to leave out.
    """
    if out.exists():
        raise AlreadyAccepted(path=str(out), detail="the directory of the delta exists")
    medium = survey(root)
    if stamps := medium.below(f"{layout.EVIDENCE_DIRECTORY}/"):
        raise UsageError(detail="a delta carries no time stamps over the kit itself", found=min(stamps.values())).then(
            "Send the kit whole; or stamp the records instead (stella timestamp RECORD) and build the kit again."
        )
    raw = medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES)
    kit_digest = digest.of_bytes(raw)
    kit = check_copy(root, kit_digest)
    with whole_directory(out) as working:
        objects = _Maker(medium, kit, on.base, working, on_piece).objects()
        if not objects:
            raise UsageError(detail="the base has nothing that this kit could leave out", found=on.record.kit_id).then(
                "Send the kit whole."
            )
        delta = Delta(
            schema_version=deltas.SCHEMA_VERSION,
            kit_id=kit.kit_id,
            kit_digest=kit_digest,
            compressor=frames.LIBRARY,
            base=on.record,
            objects=tuple(objects),
        )
        _sign(medium, kit, kit_digest, delta, working, signers)
    return delta


def _sign(medium: Medium, kit: Kit, kit_digest: str, delta: Delta, working: Path, signers: Sequence[Signer]) -> None:
    encoded = canonical.encode_record(delta)
    deltas.check_kit(deltas.parse(encoded), kit, kit_digest)
    payload = statement.make(
        {layout.DELTA_FILE: digest.of_bytes(encoded)}, deltas.PREDICATE_TYPE, deltas.predicate(delta)
    )
    write_atomic(working / layout.DELTA_FILE, encoded)
    write_atomic(working / layout.DELTA_ENVELOPE, dsse.sign(payload, dsse.IN_TOTO, signers))
    for path in (layout.KIT_FILE, layout.KIT_ENVELOPE):
        write_atomic(working / path, medium.read(path, limit=medium.sizes[path]))
    there = site_side.read(survey(working), kit, kit_digest).there
    named = [(file.path, file.digest) for file in there.files]
    named += [(path, digest.of_file(working / path)[0]) for path in (layout.KIT_FILE, layout.KIT_ENVELOPE)]
    write_atomic(working / layout.SUMS_FILE, kitfile.sums(named))


class _Maker:
    """The objects of a delta, each with its frames in the directory that is being made."""

    def __init__(
        self, medium: Medium, kit: Kit, base: BaseKit, working: Path, on_piece: Callable[[Piece], None]
    ) -> None:
        self._medium = medium
        self._kit = kit
        self._base = base
        self._working = working
        self._on_piece = on_piece
        self._by_digest = {file.digest: file for file in reversed(base.kit.files)}
        self._by_path = {file.path: file for file in base.kit.files}

    def objects(self) -> list[Object]:
        """Copy what travels whole, make what does not; return the latter, ascending by path."""
        later: list[File] = []
        for file in self._kit.files:
            if deltas.may_be_left_out(file.path) and file.size >= MIN_SIZE:
                later.append(file)
            else:
                self._copy(file)
        made = []
        for file in later:
            self._on_piece(Piece(path=file.path, offset=0, size=file.size, digest=file.digest, stored=file.path))
            one = self._same(file) or self._made(file)
            if one is None:
                self._copy(file)
            else:
                made.append(one)
        return made

    def _copy(self, file: File) -> None:
        target = self._working / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._medium.root / file.path, target)
        target.chmod(0o755 if file.path.startswith(f"{layout.PROGRAM_DIRECTORY}/") else 0o644)
        if (found := digest.of_file(target)[0]) != file.digest:
            raise DigestMismatch(path=file.path, expected=file.digest, found=found)

    def _same(self, file: File) -> Object | None:
        old = self._by_digest.get(file.digest)
        return None if old is None else _object(file, deltas.SAME, old)

    def _made(self, file: File) -> Object | None:
        """Return an object that is smaller than the file, and gives just this file again; None where there is none."""
        old = self._bundle_like(file) if deltas.is_bundle(file.path) else self._by_path.get(file.path)
        if old is None:
            return None
        place = self._working / deltas.stored_name(file.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if deltas.is_bundle(file.path):
            members = self._members(file, old, place)
            one = msgspec.structs.replace(_object(file, deltas.BUNDLE, old), members=tuple(members))
        else:
            one = msgspec.structs.replace(_object(file, deltas.PATCH, old), chunks=tuple(self._patch(file, old, place)))
        found, size = digest.of_file(place)
        if size:
            one = msgspec.structs.replace(
                one, stored=Stored(path=deltas.stored_name(file.path), size=size, digest=found)
            )
        if size + MIN_SIZE > file.size or not self._gives_it_again(one):
            place.unlink()
            return None
        if not size:
            place.unlink()
        return one

    def _gives_it_again(self, one: Object) -> bool:
        trial = self._working / ".trial"
        work = trial / site_side.WORK
        work.mkdir(parents=True)
        try:
            deltas.check_object(one)
            site_side.make(survey(self._working), self._kit, frames.LIBRARY, one, self._base, trial / "kit", work)
        except StellaError:
            return False
        finally:
            shutil.rmtree(trial)
        return True

    def _bundle_like(self, file: File) -> File | None:
        """Return the bundle of the base that has most of a bundle's bytes, or at least a feed of the same name."""
        wanted = site_side.bundle_record(self._medium, self._kit, file.path)[1]
        name = file.path.rpartition("/")[2]
        best: tuple[int, int, File] | None = None
        for old in self._base.kit.files:
            if old.path.rpartition("/")[2] == name:
                known = self._base.record(old.path)[1].members
                digests, paths = {member.digest for member in known}, {member.path for member in known}
                shared = sum(member.size for member in wanted.members if member.digest in digests)
                alike = sum(member.size for member in wanted.members if member.path in paths)
                if best is None or (shared, alike) > best[:2]:
                    best = shared, alike, old
        return best[2] if best is not None else None

    def _patch(self, file: File, old: File, place: Path) -> list[Chunk]:
        with place.open("wb") as out, self._medium.open(file.path) as new, self._base.medium.open(old.path) as before:

            def read_at(offset: int, length: int) -> bytes:
                before.seek(offset)
                return before.read(length)

            pieces = iter(lambda: new.read(CHUNK), b"")
            return patch.encode(pieces, file.size, read_at, old.size, out.write)

    def _members(self, file: File, old: File, place: Path) -> list[MemberDelta]:
        """Write the frames of the members that the base's bundle does not have."""
        with ExitStack() as stack:
            out = stack.enter_context(place.open("wb"))
            new_manifest, new_record = site_side.bundle_record(self._medium, self._kit, file.path)
            old_manifest, old_record = self._base.record(old.path)
            new = stack.enter_context(BundleReader(self._medium.root / file.path, new_record))
            before = stack.enter_context(BundleReader(self._base.medium.root / old.path, old_record))
            new.verify()
            before.verify()
            known = {member.digest for member in old_record.members}
            named = {member.path: member for member in old_record.members}
            feeds = delta_members.feeds_of(new_manifest, new)
            old_feeds = delta_members.feeds_of(old_manifest, before)
            made: list[MemberDelta] = []
            follow: set[str] = set()
            for member in new_record.members:
                if member.digest in known or member.path in follow:
                    continue
                if member.path in feeds and member.path in old_feeds:
                    prefix = member.path.removesuffix(records.ADVISORIES)
                    follow |= {prefix + name for name in rebuild.MADE}
                    lines, base = feeds[member.path], old_feeds[member.path]
                    pieces = (lines.page_content(number) for number in range(len(lines.pages)))
                    chunks = patch.encode(
                        pieces, lines.info.content_size, delta_members.lines_at(base), base.info.content_size, out.write
                    )
                    kind = deltas.LINES
                else:
                    chunks = _content(new, before, member, named.get(member.path), out.write)
                    kind = deltas.CONTENT
                has_base = member.path in named
                made.append(
                    MemberDelta(
                        path=member.path, kind=kind, chunks=tuple(chunks), base=member.path if has_base else None
                    )
                )
            return made


def _content(
    new: BundleReader, before: BundleReader, member: Member, old: Member | None, out: Callable[[bytes], object]
) -> list[Chunk]:
    source = new.open(member.path)

    def pieces() -> Iterator[bytes]:
        for at in range(0, member.size, CHUNK):
            yield source.read_at(at, min(CHUNK, member.size - at))

    if old is None:
        return patch.encode(pieces(), member.size, lambda *_: b"", 0, out)
    return patch.encode(pieces(), member.size, before.open(old.path).read_at, old.size, out)


def _object(file: File, how: str, old: File) -> Object:
    return Object(path=file.path, size=file.size, digest=file.digest, how=how, base=old.path, base_digest=old.digest)


def summary(kit: Path, out: Path, made: Delta) -> dict[str, object]:
    """Return what was made, for people and programs: how large kit and delta are, and what is left out."""
    sizes = [sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) for root in (kit, out)]
    return {
        "delta": str(out),
        "kit": made.kit_id,
        "base": made.base.kit_id,
        "site": made.base.site,
        "kitBytes": sizes[0],
        "deltaBytes": sizes[1],
        "same": sum(one.how == deltas.SAME for one in made.objects),
        "changed": sum(one.how != deltas.SAME for one in made.objects),
    }
