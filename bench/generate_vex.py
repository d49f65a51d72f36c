"""Write a large OpenVEX document: seeded, about products and vulnerabilities of the synthetic feed.

Every hundredth statement is about a component of the SBOM and a record that the feed has; the others are about other
versions and other vulnerabilities, as in a supplier's whole file. 297,000 statements fill the 64 MiB that a document
may have.

    python bench/generate_vex.py --sbom sbom.cdx.json --feed feed.ndjson --statements 297000 statements.vex.json
"""

import argparse
import json
import random
import sys
from itertools import islice
from pathlib import Path

IDENTIFIERS = 20_000
HIT_EVERY = 100
STATES = ("affected", "fixed", "under_investigation", "not_affected")
NOTE = "the module is not part of the build"


def write(target: Path, sbom: Path, feed: Path, statements: int, seed: int = 1) -> None:
    """Write the document, a statement a line."""
    rng = random.Random(seed)
    purls = [component["purl"] for component in json.loads(sbom.read_bytes())["components"]]
    with feed.open("rb") as lines:
        known = [json.loads(line)["id"] for line in islice(lines, IDENTIFIERS)]
    with target.open("w", encoding="utf-8") as out:
        head = {
            "@context": "https://openvex.dev/ns/v0.2.0",
            "@id": "https://example.org/vex/large",
            "author": "Example supplier",
            "timestamp": "2026-06-01T00:00:00Z",
            "version": 1,
        }
        out.write(json.dumps(head)[:-1] + ', "statements": [\n')
        for number in range(statements):
            statement = _statement(rng, number, purls, known)
            out.write(json.dumps(statement, separators=(",", ":")) + ("\n" if number == statements - 1 else ",\n"))
        out.write("]}\n")


def _statement(rng: random.Random, number: int, purls: list[str], known: list[str]) -> dict[str, object]:
    purl = rng.choice(purls)
    hit = number % HIT_EVERY == 0
    name = rng.choice(known) if hit else f"CVE-{2000 + number % 27}-{100_000 + number}"
    status = rng.choice(STATES)
    statement: dict[str, object] = {
        "vulnerability": {"name": name},
        "products": [{"@id": purl if hit else f"{purl.partition('@')[0]}@{number}.0"}],
        "status": status,
    }
    if status == "not_affected":
        statement |= {"justification": "component_not_present", "impact_statement": NOTE}
    else:
        statement |= {"status_notes": f"{NOTE}, or is fixed in a later one"}
    return statement


def main(arguments: list[str]) -> int:
    """Parse the command line and write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("--sbom", type=Path, required=True, help="an SBOM that fits the feed")
    parser.add_argument("--feed", type=Path, required=True, help="the feed, one record a line")
    parser.add_argument("--statements", type=int, default=297_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    write(options.target, options.sbom, options.feed, options.statements, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
