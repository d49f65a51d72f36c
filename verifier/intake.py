"""stella offline import: a kit from its medium into the site (docs/format.md section 2.2).

One run of checks a scan, all of them before the kit is accepted; the last one keeps it, accepts it and makes it the
active kit of its channel. What is on its way lies apart, so that a death at any point leaves the kit that was active,
and the next import goes on with what was copied.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

import kit as product
from kit import kitfile, layout
from kit.bytes import digest
from kit.errors import (
    AlreadyAccepted,
    DeltaBaseMissing,
    DigestMismatch,
    EvidenceMissing,
    FileMissing,
    GuardNotInForce,
    NoSpace,
    SizeMismatch,
    StellaError,
    UsageError,
    VolumeMissing,
)
from kit.kitfile import Kit
from kit.result import ActivationEntry, Check, ReferenceTime, Result
from kit.volume import Piece
from scanner import engine
from verifier import asked, guard, mounts, quarantine, seal, session, volumes
from verifier.durable import make_directory
from verifier.evidence import UNKNOWN_SCAN
from verifier.facts import Facts, Request
from verifier.intake_checks import KIT_DIRECTORY, copying, joining, plainly
from verifier.kit_store import Store, is_whole
from verifier.medium import read_file
from verifier.places import check_outside
from verifier.run import IMPORT, Conduct, Plan, Run
from verifier.run_dir import RunDirectory, stamp, tell_cut_off, unfinished
from verifier.session import Setting
from verifier.site import Site, root_fingerprint
from verifier.site_kits import DEFAULT_CHANNEL, Activation, active, before
from verifier.steps import Steps

NO_FAULT_OF_THE_KIT = (
    0,
    VolumeMissing.exit_code,
    DeltaBaseMissing.exit_code,
    NoSpace.exit_code,
    GuardNotInForce.exit_code,
)
"""Ends of an import after which nothing goes to quarantine."""
OPENED = "opened"
"""Where sealed media are opened to, among what is on its way."""
FAULTS_OF_A_MEDIUM = (DigestMismatch.__name__, SizeMismatch.__name__, FileMissing.__name__)
"""Reasons to end a copy that another medium with the same kit may not give."""


class Wanted(msgspec.Struct, frozen=True):
    """What an operator asks of an import. ``reason`` overrules the order of kits; ``in_place`` copies nothing."""

    media: Sequence[Path]
    kits: Path
    dry_run: bool = False
    in_place: bool = False
    reason: str | None = None


class Taken(msgspec.Struct):
    """What an import did: its runs in order, where the kit lies now if it is active, and what else is to be said."""

    results: list[Result] = msgspec.field(default_factory=list)
    runs: list[Path] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)
    kit: Kit | None = None
    place: Path | None = None
    activation: Activation | None = None
    previous: str | None = None
    quarantined: str | None = None

    @property
    def last(self) -> Result:
        """Return the result that decides: the refusal, or that of the last scan."""
        return self.results[-1]


class Heard(msgspec.Struct, frozen=True):
    """Who hears what while an import is at work."""

    check: Callable[[Check], None]
    piece: Callable[[Piece], None]


def check_reason(*, force: bool, reason: str | None) -> str | None:
    """Return the reason for overruling the order of kits; :class:`UsageError` for one without the other."""
    if force != (reason is not None) or (reason is not None and not reason.strip()):
        raise UsageError(detail="--force-activate and --force-reason TEXT belong together, and the text is kept").then(
            "Give both or neither."
        )
    return reason


def take_in(wanted: Wanted, setting: Setting, heard: Heard) -> Taken:
    """Take a kit into the site, or refuse it; every refusal leaves a signed result.

    Raises :class:`AlreadyAccepted` where the very kit is active and whole here, :class:`UsageError` for what was
    mistyped, :class:`kit.errors.TrustRootNotPinned`, :class:`kit.errors.NotWritable` while another import is at work.
    """
    roots = volumes.find(wanted.media)
    kit_root, taken = (roots[0], None) if roots else _one_kit(wanted.media)
    if roots and wanted.in_place:
        raise UsageError(detail="--in-place takes a kit in one piece; volumes are made one by a copy")
    if wanted.in_place and (kit_root / layout.DELTA_FILE).is_file():
        raise UsageError(detail="--in-place takes a whole kit; a delta is made one by a copy")
    if wanted.in_place and any(seal.is_sealed(root) for root in roots or [kit_root]):
        raise UsageError(detail="--in-place takes a kit that can be read; a sealed one is opened into a copy")
    site = session.pinned_site(setting.site, kit_root)
    notes = [taken] if taken else []
    for root in roots or [kit_root]:
        for option, given in (("--site", setting.site), ("--ops", setting.ops), ("--kits", wanted.kits)):
            check_outside(root.resolve(), option, given)
        note = mounts.apart(setting.site, root)
        notes += [f"{note} (pinned here: {root_fingerprint(site.pinned_root)})"] if note else []
    store = Store(wanted.kits)
    store.prepare()
    make_directory(setting.ops / "replay")
    report = msgspec.to_builtins(guard.enforce([setting.ops, setting.site, wanted.kits]))
    with store.locked():
        store.follow(site.state.activations)
        intake = _Intake(wanted, setting, heard, store, site, report, Taken(notes=list(dict.fromkeys(notes))))
        kit_root = kit_root.resolve()
        with seal.readable(roots or [kit_root], setting.site, store.incoming / OPENED, heard.piece) as readable:
            result = intake.of_volumes(readable) if roots else intake.of_kit(readable[0])
        intake.put_aside(_prefixed(roots) or {"": kit_root})
        return result


def _prefixed(roots: Sequence[Path]) -> dict[str, Path]:
    """Return media by the prefix of their files in quarantine: numbers keep those of one name apart."""
    return {f"{number:03d}-{root.name}/": root for number, root in enumerate(roots, 1)}


def _one_kit(media: Sequence[Path]) -> tuple[Path, str | None]:
    """Return the kit that an operator means, and what was taken for it; :class:`UsageError` for none or several."""
    if len(media) != 1:
        raise UsageError(detail="several media are volumes of one kit; these are none", found=len(media)).then(
            "Give one kit, or the volumes of one."
        )
    kit_root, taken = asked.kit_directory(media[0])
    if not (kit_root / layout.KIT_FILE).is_file():
        raise UsageError(path=str(kit_root), detail="this directory is no kit: it holds no KIT.json").then(
            "Give the directory that holds KIT.json, as it is mounted here."
        )
    return kit_root, taken


class _Intake:
    """One import under the lock of the kept kits."""

    def __init__(
        self,
        wanted: Wanted,
        setting: Setting,
        heard: Heard,
        store: Store,
        site: Site,
        guarded: dict[str, object],
        taken: Taken,
    ) -> None:
        self._wanted = wanted
        self._setting = setting
        self._heard = heard
        self._store = store
        self._site = site
        self._guarded = guarded
        self._taken = taken
        self._now = setting.clock()
        self._examined: set[tuple[str, str | None]] = set()
        self._place: str | None = None
        self._facts: Facts | None = None

    def of_kit(self, kit_root: Path) -> Taken:
        """Take in a kit that is in one piece."""
        self._refuse_known(kit_root)
        scans = _claimed_scans(kit_root)
        is_delta = (kit_root / layout.DELTA_FILE).is_file()
        stays = (self._wanted.dry_run and not is_delta) or self._wanted.in_place
        self._place = str(kit_root) if self._wanted.in_place else None
        first = plainly if stays else partial(copying, store=self._store, on_piece=self._heard.piece)
        self._run(kit_root, scans[0], first, is_last=len(scans) == 1)
        found = self._facts.kit_digest if self._facts is not None else None
        if not stays and found is not None:
            kit_root = self._store.staging(found) / KIT_DIRECTORY
        self._others(kit_root, scans[1:])
        return self._taken

    def of_volumes(self, roots: Sequence[Path]) -> Taken:
        """Take in a kit that comes on volumes, all at once or one after the other."""
        self._refuse_known(roots[0])
        scans = _claimed_scans(roots[0])
        joined = partial(joining, store=self._store, on_piece=self._heard.piece, roots=roots)
        self._run(roots[0], scans[0], joined, is_last=len(scans) == 1)
        found = self._facts.kit_digest if self._facts is not None else None
        if self._taken.last.exit_code == 0 and found is not None:
            self._others(self._store.staging(found) / KIT_DIRECTORY, scans[1:], joined=len(roots))
        return self._taken

    def put_aside(self, media: Mapping[str, Path]) -> None:
        """Keep what was refused in quarantine; what cannot be kept there is said, and hides no refusal."""
        result = self._taken.last
        if result.exit_code in NO_FAULT_OF_THE_KIT or self._wanted.dry_run:
            return
        found = self._facts.kit_digest if self._facts is not None else None
        copied_in = "volumes" if "" not in media else "files"
        if found is not None and not _is_fault_of_medium(result, copied_in):
            self._store.discard(found)
        run = f"{self._taken.runs[-1].parent.name}/{self._taken.runs[-1].name}"
        budget = self._site.settings.quarantine_mebibytes << 20
        try:
            self._taken.quarantined, there = quarantine.keep(
                self._store.quarantine,
                media,
                result,
                run,
                now=stamp(self._now),
                budget=budget,
            )
        except OSError as error:
            self._taken.notes.append(f"nothing could be kept in quarantine: {error.strerror}")
            return
        if there:
            self._taken.notes.append("the same lies in quarantine already")

    def _others(self, kit_root: Path, scans: Sequence[str], *, joined: int = 0) -> None:
        for scan in scans:
            if self._taken.last.exit_code == 0:
                self._run(kit_root, scan, plainly, is_last=scan == scans[-1], joined=joined)

    def _refuse_known(self, kit_root: Path) -> None:
        """Raise :class:`AlreadyAccepted` where this kit is the active one of its channel, and whole."""
        try:
            found = digest.of_bytes(read_file(kit_root / layout.KIT_FILE, limit=kitfile.MAX_BYTES))
        except StellaError:
            return  # for the checks to say
        runs = self._setting.ops / "replay"
        if any(unfinished(runs / scan) for scan in _claimed_scans(kit_root)):
            return  # an import that was cut off is made again, since it has left no result
        for entry in active(self._site.state.activations).values():
            if entry.digest == found and is_whole(self._store.place(entry), found):
                self._store.discard(found)
                raise AlreadyAccepted(path=entry.kit_id, detail=f"this is the active kit since {entry.at}").then(
                    _after_known(before(self._site.state.activations, entry.channel), entry.channel)
                )

    def _run(
        self,
        kit_root: Path,
        scan: str,
        examine: Callable[[Request, Site, Steps, Facts], None],
        *,
        is_last: bool,
        joined: int = 0,
    ) -> None:
        """Make one run on a scan; the last one accepts the kit."""
        manifest = kit_root / layout.scan_directory(scan) / layout.MANIFEST_FILE
        request = Request(
            manifest=manifest,
            reference_time=self._judged(),
            engine=engine.current(),
            verifier_version=product.__version__,
            activating=True,
            overruled=self._wanted.reason,
            joined=joined,
        )
        runs = self._setting.ops / "replay" / scan
        run_id = f"{self._now:%Y%m%dT%H%M%SZ}-{os.urandom(4).hex()}"
        make_directory(runs)
        cut_off = unfinished(runs)
        directory = RunDirectory(runs / run_id, self._setting.clock)

        def seen(wanted: Request, site: Site, steps: Steps, facts: Facts) -> None:
            self._facts = facts
            examine(wanted, site, steps, facts)
            self._examined.add((scan, facts.kit_digest))
            if len({found for _, found in self._examined}) != 1:
                raise DigestMismatch(
                    path=layout.KIT_FILE, detail="the medium shows another kit than to the scan before"
                )

        conduct = Conduct(seen, self._accept if is_last and not self._wanted.dry_run else self._note)
        try:
            run = Run(
                Plan(IMPORT), request, self._site, directory, self._guarded, self._setting.clock,
                self._heard.check, conduct,
            )  # fmt: skip
            self._taken.results.append(run.execute())
            self._taken.runs.append(directory.path)
        finally:
            directory.close()
        for name in cut_off:
            self._taken.notes.append(f"an earlier run was cut off and counts for nothing: {name}")
            tell_cut_off(runs / name, run_id)

    def _judged(self) -> ReferenceTime:
        """Return the time to judge by, as any run does."""
        if self._setting.at == session.FLOOR:
            return session.floor_time(self._site)
        return session.reference_time(self._setting.at, self._now)

    def _note(self, _site: Site, facts: Facts, _changes: dict[str, object]) -> None:
        """Go on: this scan holds, and others are still to be examined."""
        self._taken.kit = facts.kit

    def _accept(self, site: Site, facts: Facts, changes: dict[str, object]) -> None:
        """Keep the kit, then accept and activate it in one change of the state, then let the link follow."""
        kit, kit_digest = facts.kit, facts.kit_digest
        if kit is None or kit_digest is None or {(scan.id, kit_digest) for scan in kit.scans} != self._examined:
            raise EvidenceMissing(path=layout.KIT_FILE, detail="not every scan of the kit was examined")
        if self._place is None:
            self._store.put(self._store.staging(kit_digest) / KIT_DIRECTORY, kit.kit_id, kit_digest)
        current = active(site.state.activations).get(kit.channel)
        entry = Activation(
            channel=kit.channel,
            kit_id=kit.kit_id,
            sequence=kit.sequence,
            digest=kit_digest,
            at=stamp(self._now),
            reason=self._wanted.reason,
            place=self._place,
        )
        if current is None or (current.digest, current.place) != (kit_digest, self._place):
            changes["activations"] = (*site.state.activations, entry)
        site.update(**changes)
        previous = before(site.state.activations, kit.channel)
        self._store.follow(site.state.activations)
        self._store.discard(kit_digest)
        facts.activation = ActivationEntry(
            kit=kit_digest,
            previous=previous.kit_id if previous else None,
            reason=self._wanted.reason,
            in_place=self._wanted.in_place,
        )
        self._taken.kit, self._taken.activation = kit, entry
        self._taken.previous = previous.kit_id if previous else None
        self._taken.place = self._store.place(entry)


def _after_known(earlier: Activation | None, channel: str) -> str:
    """Return what an operator may want who brings the active kit again."""
    if earlier is None:
        return "Nothing needs to be done: replay from ops/kits/current."
    option = "" if channel == DEFAULT_CHANNEL else f" --channel {channel}"
    return (
        f"Nothing needs to be done. To go back to the kit before it ({earlier.kit_id}): "
        f"stella offline rollback{option} --reason TEXT"
    )


def _is_fault_of_medium(result: Result, copied_in: str) -> bool:
    """Tell whether the medium ended an import while it was copied: then what was copied so far stays for a better one.

    What fails after that fails in the copy.
    """
    failed = [check.name for check in result.checks if check.state == "failed"]
    return failed == [copied_in] and result.reason in FAULTS_OF_A_MEDIUM


def _claimed_scans(kit_root: Path) -> list[str]:
    """Return the scans that a kit claims to hold, so that each has a run; whether it does is for the checks to say."""
    with suppress(StellaError):
        kit = kitfile.parse(read_file(kit_root / layout.KIT_FILE, limit=kitfile.MAX_BYTES))
        return [scan.id for scan in kit.scans]
    return [path.parent.name for path in asked.scans_of(kit_root)][:1] or [UNKNOWN_SCAN]
