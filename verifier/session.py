"""Setting up a run: site, reference time, run directory and guard, before the first byte of input is read."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

import kit
from kit import layout
from kit.errors import FileMissing, MalformedDocument, TrustRootNotPinned, UsageError
from kit.manifest import check_scan_id, check_time
from kit.result import AUDIT, Check, ReferenceTime, Result
from scanner import engine
from verifier import asked, guard, mounts
from verifier.durable import make_directory
from verifier.evidence import UNKNOWN_SCAN
from verifier.facts import Request
from verifier.places import check_outside, shown, site_option
from verifier.run import Plan, Run
from verifier.run_dir import Clock, RunDirectory, stamp, tell_cut_off, unfinished
from verifier.site import Site, load, read_root, root_fingerprint

FLOOR = "floor"
"""What ``--at`` may be instead of a time: judge by the site's floor, and never by its clock."""


class Setting(msgspec.Struct, frozen=True):
    """Where a run happens, and when: directories, the moment to judge by (``at``, else the clock), the clock itself.

    ``without_guard`` is the operator's reason to go on where the network guard cannot be put in force.
    """

    ops: Path
    site: Path
    at: str | None
    clock: Clock
    without_guard: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """A finished run: its result, its directory, its manifest, and what else the operator is told, a sentence each."""

    result: Result
    directory: Path
    manifest: Path
    notes: list[str]


def clock() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def moment(at: str | None, now: datetime) -> datetime:
    """Return the moment that expiry is judged at: the operator's, else now."""
    with asked.typed("--at"):
        return now if at is None else check_time(at, "--at")


def reference_time(at: str | None, now: datetime) -> ReferenceTime:
    """Return the time to judge expiry by: the operator's, else the site clock's."""
    if at is None:
        return ReferenceTime(time=stamp(now), source="site clock")
    moment(at, now)
    return ReferenceTime(time=at, source=AUDIT)


def floor_time(site: Site) -> ReferenceTime:
    """Return the site's floor as the time to judge by, so that the verdict does not hang on any clock."""
    floor = site.state.time_floor
    if floor is None:
        raise UsageError(option="--at", detail="this site has accepted nothing yet, so it has no floor").then(
            'Give a time, or set the floor: stella offline floor --to TIME --reason "..."'
        )
    return ReferenceTime(time=floor.time, source=f"floor, {floor.source} (--at {FLOOR})")


def carry_out(
    plan: Plan,
    manifest: Path,
    setting: Setting,
    *,
    scan_only: bool,
    on_check: Callable[[Check], None],
    ledger: bool = False,
) -> Outcome:
    """Carry out one run on a manifest, under the guard, and return what it left behind.

    The guard is in force before anything of the kit is read, and stays for the life of the process. What the operator
    mistyped is refused before that, and leaves nothing behind: :class:`kit.errors.UsageError`. Raises
    :class:`kit.errors.TrustRootNotPinned` where the site has no root, :class:`kit.errors.GuardNotInForce` without a
    guard.
    """
    asked.reason(setting.without_guard, "--without-guard")
    now = setting.clock()
    judged = reference_time(setting.at, now) if setting.at != FLOOR else None
    place = asked.place(manifest, scan_only=scan_only)
    plan, taken = _with_place(plan)
    site = pinned_site(setting.site, place.kit)
    judged = judged or floor_time(site)
    notes = [said for said in (place.taken, taken) if said]
    notes += _check_apart(setting, place, site)
    runs = setting.ops / "replay" / _scan_of(place.manifest)
    make_directory(runs)
    writable = [setting.ops, setting.site]
    report = guard.enforce(writable) if setting.without_guard is None else guard.enforce(writable, demanded=False)
    _check_unsigned(plan, place.manifest)
    request = Request(
        manifest=place.manifest,
        reference_time=judged,
        engine=engine.current(),
        verifier_version=kit.__version__,
        scan_only=scan_only,
        vary_tools=plan.dimension == "tools",
        ledger=ledger,
        unguarded=None if report.holds(guard.FILTER) else setting.without_guard,
    )
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{os.urandom(4).hex()}"
    cut_off = unfinished(runs)
    with _directory(runs / run_id, setting.clock) as directory:
        notes += [f"an earlier run was cut off and counts for nothing: {name}" for name in cut_off]
        result = Run(plan, request, site, directory, msgspec.to_builtins(report), setting.clock, on_check).execute()
        # Last, so that a run which is killed itself has not silently taken the word out of the next one's mouth.
        for name in cut_off:
            tell_cut_off(runs / name, run_id)
        return Outcome(result, directory.path, manifest, notes)


def _with_place(plan: Plan) -> tuple[Plan, str | None]:
    """Return the plan with the varied input where it really lies, and what was taken for what the operator named."""
    if plan.dimension is None or plan.with_path is None:
        return plan, None
    from verifier import whatif  # the evaluation comes with it, which a run that varies nothing may not need

    found = whatif.find(plan.dimension, plan.with_path)
    return replace(plan, with_path=found.manifest), found.taken


def _check_unsigned(plan: Plan, manifest: Path) -> None:
    """Refuse an input that nobody signed where it cannot take the place of the recorded one."""
    if plan.dimension is None or plan.with_path is None:
        return
    from verifier import whatif

    if not whatif.is_scan(plan.with_path):
        whatif.check_unsigned(plan.dimension, plan.with_path, manifest)


def pinned_site(place: Path, kit_root: Path) -> Site:
    """Return the pinned site; where there is none, the error names the fingerprint that the kit's own root has."""
    try:
        return load(place)
    except TrustRootNotPinned as error:
        guard.enforce([])
        root = kit_root / layout.ROOTPACK_DIRECTORY / "metadata" / "1.root.json"
        with suppress(FileMissing):
            error.details["rootInTheKit"] = root_fingerprint(read_root(root))
            error.next_step = how_to_pin(root, place)
        raise


def how_to_pin(root: Path, site: Path) -> str:
    """Return the next step at a site that has pinned nothing: the fingerprint comes by another way than the root."""
    return (
        "Compare the fingerprint with the one you received by another way, then run: "
        f"stella offline init --root {shown(root)} --expect-root SHA256:<the one you received>{site_option(site)}"
    )


def _check_apart(setting: Setting, place: asked.Place, site: Site) -> list[str]:
    """Refuse a site or a place for results inside the kit, or a site on the medium; return what to note of the latter.

    What comes with a kit says nothing about it.
    """
    kit_root, above = place.kit, place.manifest.parents
    for option, given in (("--site", setting.site), ("--ops", setting.ops)):
        if len(above) > 3:
            check_outside(kit_root, option, given)
    note = mounts.apart(setting.site, kit_root)
    return [f"{note} (pinned here: {root_fingerprint(site.pinned_root)})"] if note else []


@contextmanager
def _directory(path: Path, run_clock: Clock) -> Iterator[RunDirectory]:
    directory = RunDirectory(path, run_clock)
    try:
        yield directory
    finally:
        directory.close()


def _scan_of(manifest: Path) -> str:
    """Return the scan id that the manifest's directory is named by, or a fixed word.

    No path is made of foreign text.
    """
    try:
        return check_scan_id(manifest.parent.name)
    except MalformedDocument:
        return UNKNOWN_SCAN
