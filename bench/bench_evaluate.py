"""The evaluation alone, from snapshots and an SBOM to the output documents, each time in a cold process.

How it grows with components, with the feed and with VEX statements, and a real scan against its limit of a second.
"""

import json
import statistics
import sys
from pathlib import Path

import measure
import world
from measure import Command

CUTS = (1_000, 1_600, 2_500, 5_000, 7_500, 10_000)
STATEMENTS = (29_700, 297_000)
POLICY = world.ROOT / "examples" / "inputs" / "policy.toml"


def evaluate(sbom: str, vex: str, *snapshots: str) -> None:
    """Evaluate an SBOM against snapshots and print nothing; run in a process of its own."""
    from contextlib import ExitStack

    from builder.feeds import opened
    from scanner.evaluate import EvaluationInput
    from verifier import replay

    with ExitStack() as stack:
        given = EvaluationInput(
            scan_id=world.SCAN_ID,
            time=world.SCAN_AT,
            subject="bench",
            sbom=Path(sbom).read_bytes(),
            feeds=[stack.enter_context(opened(Path(place))) for place in snapshots],
            vex=[(Path(vex).name, Path(vex).read_bytes())] if vex else [],
            policy=POLICY.read_bytes(),
        )
        if not replay.run(given):
            raise SystemExit("no outputs")


def cold(sbom: Path, snapshots: list[Path], vex: Path | str = "") -> Command:
    """Return the command that evaluates in a process of its own."""
    return Command([sys.executable, __file__, sbom, vex, *snapshots], world.environment())


def real_snapshots() -> list[Path]:
    """Return the snapshots of the real feeds, none where the data are not there."""
    if not world.has_real_data():
        return []
    stores = [world.PLACE / "feeds" / "real" / feed.lower() for feed in world.REAL_FEEDS]
    return [store / (store / "current").read_text().strip() for store in stores]


def real_scan() -> None:
    """Evaluate a real SBOM of 1,607 packages against the real PyPI and Go advisories."""
    measure.heading("real SBOM of 1,607 packages, PyPI and Go snapshots, cold process, evaluation only")
    if not real_snapshots():
        measure.told("", "skipped", "no real data; see STELLA_TEST_DATA")
        return
    found = measure.alone(cold(world.DATA / world.REAL_SBOM, real_snapshots()), 9)
    measure.absolute("real", "from snapshots to outputs, start-up included", found.cpu, 1.0)
    measure.told("", "peak memory", f"{found.peak:.0f} MB")


def growth() -> None:
    """Show that cost is a straight line in components, and that ten times the feed take no more memory."""
    large = [*real_snapshots(), world.snapshot("large")]
    small = [*real_snapshots(), world.snapshot("small")]
    measure.heading(f"PyPI, Go and {world.RECORDS:,} synthetic records: {len(large)} snapshots, cold process")
    points = []
    for components in CUTS:
        found = measure.alone(cold(cut(components), large), 3)
        points.append((components, found.cpu))
        measure.told("", f"{components:,} components", f"{found.cpu:.2f} s, {found.peak:.0f} MB")
    start, slope, r2 = line(points)
    measure.told("", "least squares", f"{start:.2f} s + {slope * 1e6:.0f} us a component, R2 {r2:.4f}")
    measure.absolute("line", "1 - R2", 1 - r2, 0.02, "")
    # The small feed has the hits of the smallest SBOM and no others, so only that one compares like with like.
    components = world.COMPONENTS[0]
    ours, tenth = measure.paired(cold(world.sbom_file(components), large), cold(world.sbom_file(components), small))
    measure.ratio("feed", f"{components:,} components, feed x 10, CPU", ours.cpu, tenth.cpu, 1.35)
    measure.absolute("feed", f"{components:,} components, feed x 10, memory", ours.peak - tenth.peak, 10, "MB")


def vex() -> None:
    """Add the statements of a supplier to 1,600 components."""
    measure.heading("1,600 components, PyPI and Go snapshots, one OpenVEX document")
    import generate_vex

    sbom = world.sbom_file(1_600)
    snapshots = real_snapshots() or [world.snapshot("small")]
    none = measure.alone(cold(sbom, snapshots), 3)
    measure.told("", "no statement", f"{none.cpu:.2f} s, {none.peak:.0f} MB")
    for count in STATEMENTS:
        target = world.PLACE / f"statements-{count}.vex.json"
        if not target.is_file():
            generate_vex.write(target, sbom, world.feed_file("tenth"), count)
        size = target.stat().st_size / 1e6
        try:
            found = measure.alone(cold(sbom, snapshots, target), 3)
        except SystemExit as refusal:
            if "LimitExceeded" not in str(refusal):
                raise
            measure.told("", f"{count:,} statements, {size:.0f} MB", "refused: beyond a limit")
            continue
        text = f"{found.cpu:.2f} s, {found.peak:.0f} MB, {(found.cpu - none.cpu) / count * 1e6:.1f} us a statement"
        measure.told("", f"{count:,} statements, {size:.0f} MB", text)


def cut(components: int) -> Path:
    """Return the SBOM of the first components of the largest one."""
    target = world.PLACE / f"cut-{components}.cdx.json"
    document = json.loads(world.sbom_file(world.COMPONENTS[-1]).read_bytes())
    document["components"] = document["components"][:components]
    target.write_text(json.dumps(document, indent=1))
    return target


def line(points: list[tuple[int, float]]) -> tuple[float, float, float]:
    """Return start, slope and R2 of the line of least squares."""
    fitted = statistics.linear_regression(*zip(*points, strict=True))
    r = statistics.correlation(*zip(*points, strict=True))
    return fitted.intercept, fitted.slope, r * r


PARTS = {one.__name__: one for one in (real_scan, growth, vex)}

if __name__ == "__main__":
    if len(sys.argv) > 3:
        evaluate(*sys.argv[1:])
    else:
        world.ensure(real=True)
        for part in [PARTS[name] for name in sys.argv[1:]] or PARTS.values():
            part()
