"""The checks of an import: those of any run, with the copying of the kit in the place where its files are checked."""

from collections.abc import Callable, Sequence
from pathlib import Path

from kit import delta as deltas
from kit import kitfile, layout, volume
from kit.bytes import canonical, digest
from kit.errors import DigestMismatch, EvidenceMissing, SizeMismatch
from kit.kitfile import Kit
from kit.volume import Piece
from verifier import delta, ledger, listing, volumes
from verifier.checks import Examination
from verifier.delta import Travelling
from verifier.durable import make_directory, write_atomic
from verifier.facts import Facts, Request
from verifier.intake_copy import Copied, check_space, copy
from verifier.kit_store import Store, check_names
from verifier.medium import Medium, read_file, survey
from verifier.site import Site
from verifier.site_kits import places
from verifier.steps import Steps
from verifier.volumes import Gathered, OnMedium

KIT_DIRECTORY = "kit"
"""Where the kit itself lies in a staging directory."""
VOLUMES_DIRECTORY = "volumes"
"""Where a staging directory has a mark for each volume that was taken."""


class _Gathering(Examination):
    """What both kinds of import have: where the kit is gathered, and who hears of each piece."""

    def __init__(
        self,
        request: Request,
        site: Site,
        steps: Steps,
        facts: Facts,
        *,
        store: Store,
        on_piece: Callable[[Piece], None],
    ) -> None:
        super().__init__(request, site, steps, facts)
        self._store = store
        self._on_piece = on_piece

    def _kit(self) -> Kit:
        if self._facts.kit is None:
            raise EvidenceMissing(path=layout.KIT_FILE)
        return self._facts.kit

    def _staged(self) -> Path:
        return self._store.staging(self._facts.kit_digest or "") / KIT_DIRECTORY

    def _travelling(self, medium: Medium, evidence: dict[str, object]) -> Travelling:
        """Return how the kit travels; a delta is what enough kit keys have signed for."""
        travelling = delta.read(medium, self._kit(), self._facts.kit_digest or "")
        if travelling.delta is not None:
            stamps = self._facts.stamps
            signed = self._check_envelope(medium, layout.DELTA_ENVELOPE, {})[1]
            self._facts.stamps = stamps
            raw = medium.read(layout.DELTA_FILE, limit=kitfile.MAX_BYTES)
            deltas.check_statement(signed.payload, raw)
            evidence["deltaOn"] = travelling.delta.base.kit_id
            evidence["leftOut"] = len(travelling.delta.objects)
        return travelling

    def _make_whole(self, medium: Medium, travelling: Travelling, target: Path, evidence: dict[str, object]) -> None:
        """Make what a delta leaves out, of the kit that the site has proven to have."""
        if travelling.delta is None:
            return
        known = places(self._site.state.activations, travelling.delta.base.digest)
        candidates = [*known, self._store.kits / travelling.delta.base.kit_id]
        base = delta.find_base(candidates, travelling.delta)
        made = delta.make_whole(medium, travelling, base, target, self._on_piece)
        evidence["rebuiltBytes"] = made.fresh + made.kept


class CopyingExamination(_Gathering):
    """Makes the checks on a medium up to its files, copies these, and makes all others on the copy."""

    def _check_files(self, medium: Medium) -> None:
        """9. Every file is the signed one, on the medium and in the copy."""
        with self._steps.step("files") as evidence:
            self._facts.proofs = ledger.read(medium, self._path(layout.EVIDENCE_DIRECTORY))
            kit, travelling = self._kit(), self._travelling(medium, evidence)
            bundles, stamps = self._check_sigstore(medium), self._facts.kit_stamps
            check_names(medium, travelling.there, stamps)
            for file in travelling.there.files:
                if medium.sizes[file.path] != file.size:
                    raise SizeMismatch(path=file.path, expected=file.size, found=medium.sizes[file.path])
            target = self._staged()
            drop_stamps(target, kit)
            pieces = [
                Piece(path=file.path, offset=0, size=file.size, digest=file.digest, stored=file.path)
                for file in kit.files
                if file.path in medium.sizes
            ]
            copied = gather(medium, pieces, target, self._on_piece)
            self._make_whole(medium, travelling, target, evidence)
            sums = self._sums(medium, travelling)
            write_documents(medium, target, sums, stamps)
            evidence.update(listing.check_kit(self._move(target), kit, self._path(""), self._manifest(), stamps))
            if bundles:
                evidence["sigstoreBundles"] = len(bundles)
            evidence["copiedBytes"] = copied.fresh
            evidence["keptBytes"] = copied.kept

    def _sums(self, medium: Medium, travelling: Travelling) -> bytes:
        """Return SHA256SUMS of the copy: the medium's own, which is checked there, or the whole kit's for a delta."""
        if travelling.delta is None:
            return medium.read(layout.SUMS_FILE, limit=medium.sizes[layout.SUMS_FILE])
        listing.check_sums(medium, travelling.there)
        return kit_sums(medium, travelling.kit)


def kit_sums(medium: Medium, kit: Kit) -> bytes:
    """Return SHA256SUMS of a kit whose list and envelope lie on a medium."""
    named = [(file.path, file.digest) for file in kit.files]
    documents = (layout.KIT_FILE, layout.KIT_ENVELOPE)
    named += [(path, digest.of_bytes(medium.read(path, limit=medium.sizes[path]))) for path in documents]
    return kitfile.sums(named)


def gather(medium: Medium, pieces: list[Piece], target: Path, on_piece: Callable[[Piece], None]) -> Copied:
    """Copy pieces into a staging directory, where there is room for them."""
    make_directory(target)
    check_space(target, pieces)
    return copy(medium, pieces, target, on_piece)


def drop_stamps(target: Path, kit: Kit) -> None:
    """Remove the time stamps that a medium before has left in a staging directory: no list names them."""
    listed = {file.path for file in kit.files}
    for left in sorted((target / layout.EVIDENCE_DIRECTORY).glob("*")):
        if left.is_file() and left.relative_to(target).as_posix() not in listed:
            left.unlink()


def write_documents(medium: Medium, target: Path, sums: bytes, stamps: Sequence[str] = ()) -> None:
    """Put what no list names beside the copied files: the kit's list, envelope, time stamps, sums, as verified."""
    for path in (layout.KIT_FILE, layout.KIT_ENVELOPE, *stamps):
        make_directory((target / path).parent)
        write_atomic(target / path, medium.read(path, limit=medium.sizes[path]))
    write_atomic(target / layout.SUMS_FILE, sums)


class VolumesExamination(_Gathering):
    """Makes the checks on volumes, gathers their pieces, and makes all others on the kit that they give."""

    def __init__(
        self,
        request: Request,
        site: Site,
        steps: Steps,
        facts: Facts,
        *,
        store: Store,
        on_piece: Callable[[Piece], None],
        roots: Sequence[Path],
    ) -> None:
        super().__init__(request, site, steps, facts, store=store, on_piece=on_piece)
        self._roots = roots

    def intact(self) -> None:
        """Make every check up to the replay, as far as the volumes that are there allow."""
        with self._steps.step("media") as evidence:
            gathered = volumes.gather(self._roots)
            first = gathered.first.medium
            media = [one.medium for one in gathered.given.values()]
            evidence["volumes"] = [one.text for one in gathered.given.values()]
            evidence["bytes"] = sum(sum(medium.sizes.values()) for medium in media)
        self._check_rootpack(first)
        self._check_kit(first)
        self._check_scan(self._join(gathered))

    def _join(self, gathered: Gathered) -> Medium:
        """8. Each volume is signed, its pieces are the signed ones, and with those taken before none is missing."""
        with self._steps.step("volumes") as evidence:
            kit, record, target = self._kit(), gathered.first.record, self._staged()
            travelling = self._travelling(gathered.first.medium, evidence)
            taken = Staged(target.parent, record)
            for number, one in sorted(gathered.given.items()):
                with volumes.named(one.where):
                    self._check_record(one, evidence)
                    if number not in taken.numbers():
                        copied = gather(
                            one.medium, volume.pieces_of(one.record, travelling.there), target, self._on_piece
                        )
                        evidence[f"copiedBytes{number}"] = copied.fresh
                        taken.add(one.record)
            evidence["taken"] = volume.numbers_text(taken.numbers())
            gathered.check_complete(taken.numbers())
            volume.check_tiles(taken.records(), travelling.there)
            first = gathered.first.medium
            if travelling.delta is not None:
                self._make_whole(survey(target), travelling, target, evidence)
                delta.drop(target)
            drop_stamps(target, kit)
            write_documents(first, target, kit_sums(first, kit))
        return self._move(target)

    def _check_record(self, one: OnMedium, evidence: dict[str, object]) -> None:
        """Hold a volume's record against its signers; what it says is what was read before."""
        signed = self._check_envelope(one.medium, volume.VOLUME_ENVELOPE, evidence)[1]
        raw = one.medium.read(volume.VOLUME_FILE, limit=kitfile.MAX_BYTES, hold=False)
        if volume.check_statement(signed.payload, raw) != one.record:
            raise DigestMismatch(path=volume.VOLUME_FILE)

    def _check_volumes(self) -> None:
        """8 was made before: without it there was no manifest to check."""


def plainly(request: Request, site: Site, steps: Steps, facts: Facts) -> None:
    """Examine a kit where it lies."""
    Examination(request, site, steps, facts).intact()


def copying(
    request: Request, site: Site, steps: Steps, facts: Facts, *, store: Store, on_piece: Callable[[Piece], None]
) -> None:
    """Examine a kit on its medium, and in the copy that is made on the way."""
    CopyingExamination(request, site, steps, facts, store=store, on_piece=on_piece).intact()


def joining(
    request: Request,
    site: Site,
    steps: Steps,
    facts: Facts,
    *,
    store: Store,
    on_piece: Callable[[Piece], None],
    roots: Sequence[Path],
) -> None:
    """Examine volumes, and the kit that is made of them on the way."""
    VolumesExamination(request, site, steps, facts, store=store, on_piece=on_piece, roots=roots).intact()


class Staged:
    """Which volumes of one set have been taken, so that a drive may hold one at a time."""

    def __init__(self, staging: Path, record: volume.Volume) -> None:
        self._directory = staging / VOLUMES_DIRECTORY
        self._name = f"{digest.hex_of(record.set)[:16]}-{record.count:03d}"

    def numbers(self) -> list[int]:
        """Return the numbers of those that were taken."""
        names = [path.name for path in self._directory.glob(f"{self._name}-*")] if self._directory.is_dir() else []
        return sorted(int(name.rpartition("-")[2]) for name in names)

    def records(self) -> list[volume.Volume]:
        """Return what the volumes that were taken say, as it was signed."""
        paths = [self._mark(number) for number in self.numbers()]
        return [volume.parse(read_file(path, limit=kitfile.MAX_BYTES)) for path in paths]

    def add(self, record: volume.Volume) -> None:
        """Remember that every piece of a volume is in its place."""
        make_directory(self._directory)
        write_atomic(self._mark(record.number), canonical.encode_record(record))

    def _mark(self, number: int) -> Path:
        return self._directory / f"{self._name}-{number:03d}"
