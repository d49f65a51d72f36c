"""The evaluation inside a replay, in this process: how it grows with feed and SBOM (T5), and with bundles (T6)."""

import hashlib
import io
import statistics
import tempfile
from pathlib import Path

import measure
import world
import zstandard
from msgspec.structs import replace

from kit import manifest as manifests
from kit.bundle import BundleReader, write_bundle
from kit.bytes import frames
from verifier import replay

POINTS = (
    (16, 4_000_000),
    (64, 1_000_000),
    (256, 100_000),
    (1_000, 1_000),
    (1_000, 30_000),
    (2_000, 20_000),
    (4_000, 100),
    (4_000, 10_000),
    (4_000, 30_000),
)
"""Members and bytes of each."""


def growth() -> None:
    """T5: the same hits in a feed of ten times the size; ten times the SBOM."""
    measure.heading("evaluation, in-process")
    costs = {}
    for name, components in (("small", 1_000), ("large", 1_000), ("large", 10_000)):
        costs[name, components] = evaluation_cost(name, world.sbom_file(components).read_bytes())
    measure.ratio("T5", "feed x 10, same hits", costs["large", 1_000], costs["small", 1_000], 1.35)
    measure.ratio("T5", "SBOM x 10", costs["large", 10_000], costs["large", 1_000], 10)


def evaluation_cost(name: str, sbom: bytes) -> float:
    """Return the CPU seconds of evaluating an SBOM against the feed of a kit, read from its verified bundle."""
    manifest = manifests.parse(world.manifest(name).read_bytes())
    with BundleReader(world.bundle(name), manifest.bundles.input) as reader:
        reader.verify()
        return measure.call(lambda: replay.run(replace(replay.evaluation_input(manifest, reader), sbom=sbom)))


def bundle_cost() -> None:
    """T6: what a member and what a MB of a bundle cost to verify."""
    measure.heading("bundle reader, least squares over (members, bytes)")
    rows, bare = [], []
    with tempfile.TemporaryDirectory(dir=world.PLACE) as scratch:
        for members, size in POINTS:
            ours, alone = verify_cost(Path(scratch, "bundle"), members, size)
            rows.append((members, members * size / 1e6, ours))
            bare.append((members, members * size / 1e6, alone))
    per_member, per_megabyte, r2 = fit(rows)
    measure.absolute("T6", f"a member (R2 {r2:.3f}, {len(rows)} points)", per_member * 1e6, 10, "us")
    measure.absolute("T6", "a MB", per_megabyte * 1e3, 1.35, "ms")
    per_member, per_megabyte, _ = fit(bare)
    measure.told(
        "", "hashing and decoding alone, a member and a MB", f"{per_member * 1e6:.1f} us, {per_megabyte * 1e3:.2f} ms"
    )


def verify_cost(path: Path, members: int, size: int) -> tuple[float, float]:
    """Return the CPU seconds of verifying a bundle of so many pieces of the feed, of the bare work on frames."""
    target = io.BytesIO()
    with world.feed_file("tenth").open("rb") as records:
        listed = [(f"advisories/{number:06}.json", records.read(size)) for number in range(members)]
    record = write_bundle(target, listed)
    path.write_bytes(target.getvalue())

    def verify() -> None:
        with BundleReader(path, record) as reader:
            reader.verify()

    with path.open("rb", buffering=0) as file:
        places = [(offset, len(frame)) for offset, frame, _ in frames.read_frames(file)]

    def bare() -> None:
        data = memoryview(path.read_bytes())
        hashlib.sha256(data)
        decoder = zstandard.ZstdDecompressor()
        for offset, length in places:
            hashlib.sha256(decoder.decompress(data[offset : offset + length]))

    return measure.paired_calls(verify, bare, runs=7)


def fit(rows: list[tuple[int, float, float]]) -> tuple[float, float, float]:
    """Return slopes per member and per MB of ``cost = a + b members + c MB``, and R2, by the normal equations."""
    table = [[1.0, float(members), size] for members, size, _ in rows]
    costs = [cost for _, _, cost in rows]
    matrix = [[sum(row[i] * row[j] for row in table) for j in range(3)] for i in range(3)]
    vector = [sum(row[i] * cost for row, cost in zip(table, costs, strict=True)) for i in range(3)]
    for pivot in range(3):
        for other in range(3):
            if other != pivot:
                factor = matrix[other][pivot] / matrix[pivot][pivot]
                matrix[other] = [a - factor * b for a, b in zip(matrix[other], matrix[pivot], strict=True)]
                vector[other] -= factor * vector[pivot]
    found = [vector[i] / matrix[i][i] for i in range(3)]
    middle = statistics.mean(costs)
    residue = sum((cost - sum(map(float.__mul__, found, row))) ** 2 for row, cost in zip(table, costs, strict=True))
    return found[1], found[2], 1 - residue / sum((cost - middle) ** 2 for cost in costs)


if __name__ == "__main__":
    world.ensure()
    growth()
    bundle_cost()
