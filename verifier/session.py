"""Setting up a run: site, reference time, run directory and guard, before the first byte of input is read."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

import kit
from kit import layout
from kit.errors import MalformedDocument, TrustRootNotPinned, UsageError
from kit.manifest import check_scan_id, check_time
from kit.result import Check, ReferenceTime, Result
from scanner import engine
from verifier import guard
from verifier.checks import Request
from verifier.evidence import UNKNOWN_SCAN
from verifier.run import Plan, Run
from verifier.run_dir import Clock, RunDirectory, make_directory, stamp, unfinished
from verifier.site import Site, load, read_root, root_fingerprint


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a run happens, and when: directories, the moment to judge by (``at``, else the clock), the clock itself."""

    ops: Path
    site: Path
    at: str | None
    clock: Clock


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run: its result, its directory, and earlier runs of the scan that were cut off."""

    result: Result
    directory: Path
    cut_off: list[str]


def clock() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def moment(at: str | None, now: datetime) -> datetime:
    """Return the moment that expiry is judged at: the operator's, else now."""
    return now if at is None else check_time(at, "--at")


def reference_time(at: str | None, now: datetime) -> ReferenceTime:
    """Return the time to judge expiry by: the operator's, else the site clock's."""
    if at is None:
        return ReferenceTime(time=stamp(now), source="site clock")
    check_time(at, "--at")
    return ReferenceTime(time=at, source="--at (audit)")


def carry_out(
    plan: Plan, manifest: Path, setting: Setting, *, scan_only: bool, on_check: Callable[[Check], None]
) -> Outcome:
    """Carry out one run on a manifest, under the guard, and return what it left behind.

    The guard is in force before anything of the kit is read, and stays for the life of the process. Raises
    :class:`kit.errors.TrustRootNotPinned` where the site has no root, :class:`kit.errors.GuardNotInForce` without a
    guard.
    """
    site = _site(setting.site, manifest)
    _check_apart(setting, manifest)
    scan = _scan_of(manifest)
    place = setting.ops / "replay" / scan
    make_directory(place)
    report = guard.enforce([setting.ops, setting.site])
    cut_off = unfinished(place)
    now = setting.clock()
    request = Request(
        manifest=manifest.parent.resolve() / manifest.name,
        reference_time=reference_time(setting.at, now),
        engine=engine.current(),
        verifier_version=kit.__version__,
        scan_only=scan_only,
        vary_tools=plan.dimension == "tools",
    )
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{os.urandom(4).hex()}"
    with _directory(place / run_id, setting.clock) as directory:
        result = Run(plan, request, site, directory, msgspec.to_builtins(report), setting.clock, on_check).execute()
        return Outcome(result, directory.path, cut_off)


def _site(place: Path, manifest: Path) -> Site:
    """Return the pinned site; where there is none, the error names the fingerprint that the kit's own root has."""
    try:
        return load(place)
    except TrustRootNotPinned as error:
        guard.enforce([])
        above = manifest.absolute().parents
        root = above[min(2, len(above) - 1)] / layout.ROOTPACK_DIRECTORY / "metadata" / "1.root.json"
        if root.is_file():
            error.details["rootInTheKit"] = root_fingerprint(read_root(root))
        raise


def _check_apart(setting: Setting, manifest: Path) -> None:
    """Refuse a site or a place for results inside the kit: what comes with a kit says nothing about it."""
    above = manifest.resolve().parents
    kit_root = above[min(2, len(above) - 1)]
    for option, place in (("--site", setting.site), ("--ops", setting.ops)):
        if kit_root in (place.resolve(), *place.resolve().parents) and len(above) > 3:
            raise UsageError(detail=f"{option} lies inside the kit; give a place of the site's own")


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
        return check_scan_id(manifest.parent.resolve().name)
    except MalformedDocument:
        return UNKNOWN_SCAN
