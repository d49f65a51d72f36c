"""VEX: as many statements as the largest public repository has, in as many documents, for a few hundred findings."""

import json
import random
from collections.abc import Iterator

import measure

from scanner.vex import Allowance, VexIndex, read_vex

DOCUMENTS = 1_120
STATEMENTS = 264
"""In each document; together 296,000 in 190 MB, the size of rancher/vexhub."""

IDS = 3_000
WANTED = 300


def documents() -> Iterator[tuple[str, bytes]]:
    """Yield made-up OpenVEX documents, one for each product, each statement about a part of it."""
    draw = random.Random(1)
    for number in range(DOCUMENTS):
        statements = [statement(draw, number, place) for place in range(STATEMENTS)]
        head = {"@context": "https://openvex.dev/ns/v0.2.0", "author": "A", "statements": statements}
        yield str(number), json.dumps(head, indent=2).encode()


def statement(draw: random.Random, product: int, place: int) -> dict[str, object]:
    """Return one statement, with the texts that real ones have."""
    part = f"pkg:golang/github.com/dep/module{draw.randrange(800)}@v0.{draw.randrange(50)}.0"
    whole = f"pkg:golang/github.com/org/product{product}@v1.{place % 20}.0"
    return {
        "vulnerability": {"name": f"CVE-2024-{draw.randrange(IDS):05d}", "description": "d" * 60},
        "products": [{"@id": whole, "subcomponents": [{"@id": part}]}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
        "impact_statement": "x" * 120,
        "timestamp": "2025-01-01T00:00:00Z",
    }


def main() -> None:
    """Print how long reading all documents takes, and how long filing them."""
    measure.heading("VEX documents of the size of the largest public repository")
    given = list(documents())
    size = sum(len(data) for _, data in given) / 1e6
    wanted = [f"CVE-2024-{number:05d}" for number in range(WANTED)]

    def load() -> None:
        index, allowance = VexIndex(wanted=wanted), Allowance()
        for name, data in given:
            index.add(read_vex(name, data, allowance, wanted=index.wanted))

    what = f"read {DOCUMENTS * STATEMENTS:,} statements, {size:.0f} MB, for {WANTED} ids"
    measure.told("-", what, f"{measure.call(load, runs=1):.1f} s")


if __name__ == "__main__":
    main()
