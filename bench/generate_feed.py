"""Write a large synthetic OSV feed: seeded, in the project's own words, with the sizes and shapes of real feeds.

No real advisory, package or identifier occurs. Sizes follow the quantiles below (mean 4.9 kB), every second record is a
distribution-style merge over many packages, package popularity falls by a power law, text repeats as advisories do.

    python bench/generate_feed.py --records 300000 --seed 1 feed.ndjson        one record a line
    python bench/generate_feed.py --records 300000 --seed 1 all.zip            one file a record
    python bench/generate_feed.py --records 300000 --seed 1 --sbom 1000 sbom.cdx.json feed.ndjson
"""

import argparse
import json
import random
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

PACKAGES_PER_ECOSYSTEM = 8_800
# A package index is drawn as size * u ** POPULARITY; the most popular reach HOT_LIMIT at 300,000 records.
POPULARITY = 2.6
HOT_LIMIT = 900
# (cumulative share, bytes): p50 2.6 kB, p90 10.6 kB, p99 33 kB, at most 58 kB.
SIZES = ((0.0, 900), (0.25, 1_500), (0.5, 2_600), (0.75, 4_900), (0.9, 10_600), (0.99, 33_000), (1.0, 58_000))


@dataclass(frozen=True, slots=True)
class Family:
    """One ecosystem label: purl type, identifier prefix, pattern of names, most packages of a merged record."""

    label: str
    purl: str
    prefix: str
    name: str
    most: int


FAMILIES = (
    Family("PyPI", "pypi", "STPY", "{a}-{b}", 24),
    Family("npm", "npm", "STNP", "@{a}/{b}", 24),
    Family("Go", "golang", "STGO", "example.org/{a}/{b}", 24),
    Family("Maven", "maven", "STMV", "org.example.{a}:{b}", 24),
    Family("crates.io", "cargo", "STCR", "{a}_{b}", 24),
    Family("Packagist", "composer", "STPA", "{a}/{b}", 24),
    Family("Debian:12", "deb", "STDE", "lib{a}{b}", 48),
    Family("AlmaLinux:9", "rpm", "STAL", "{a}-{b}", 48),
    Family("Alpine:v3.20", "apk", "STAP", "{a}{b}", 48),
    Family("Ubuntu:24.04:LTS", "deb", "STUB", "{a}-{b}", 48),
)

SYLLABLES = tuple(consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou")
ENDINGS = ("", "n", "r", "l", "s", "x", "th", "nd", "rk")
WEAKNESSES = (
    "an unchecked length in the header reader",
    "a missing bound on the recursion of nested values",
    "a comparison that stops at the first zero byte",
    "a lock that is released before the last write",
    "a pattern whose matching time grows with the square of the input",
    "a path that is joined before it is normalised",
    "a default that trusts every certificate of the host",
    "a counter that wraps after its largest value",
    "a template that is rendered with the caller's own values",
    "a buffer that is returned to the pool while still in use",
    "a redirect that keeps the credentials of the first request",
    "a check that is made on a copy of the object",
)
EFFECTS = (
    "makes the process use all memory of the host",
    "lets a local user read files of another account",
    "ends the worker and drops all open sessions",
    "lets a remote peer write outside the target directory",
    "shows parts of another request's answer",
    "runs a command with the rights of the service",
    "accepts a token that was signed for another audience",
    "keeps a core busy for minutes with a single message",
)
MANNERS = (
    "When a crafted {noun} reaches the {module} module, {weak} {effect}.",
    "The {module} component of {package} has {weak}, which {effect} ({aside}).",
    "Before {version}, {package} did not validate the {noun}; {aside}.",
    "An attacker who controls the {noun} can use {aside} in `{module}`; this {effect}.",
    "Deployments that expose {module} without {noun} are affected most: {aside}, {aside}.",
    "As a workaround, disable {module} or reject any {noun} longer than {number} bytes until {version} is installed.",
    "The fix in {version} rewrites {module} so that {aside} is read once and its size is known beforehand.",
    "Tests {number} to {version} of the {module} suite reproduce the fault with a {noun} of {number} bytes.",
    "See {module}.{noun} line {number}: {aside}; {weak}.",
)


def make_words(rng: random.Random, count: int) -> list[str]:
    """Return distinct invented words."""
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) + rng.choice(ENDINGS)] = None
    return list(words)


def make_names(rng: random.Random, words: list[str], family: Family) -> list[str]:
    """Return the package names of one ecosystem; neighbours share their first part, as packages of one source do."""
    names: dict[str, None] = {}
    while len(names) < PACKAGES_PER_ECOSYSTEM:
        first = rng.choice(words)
        for second in rng.sample(words, rng.randint(1, 12)):
            names[family.name.format(a=first, b=second)] = None
    return list(names)[:PACKAGES_PER_ECOSYSTEM]


class Feed:
    """The state of one generation: vocabulary, package names and how often each was used."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.words = make_words(self.rng, 6_000)
        self.names = {family.label: make_names(self.rng, self.words, family) for family in FAMILIES}
        self.used: dict[tuple[str, str], int] = {}
        self.weights = list(accumulate(1 / (rank + 3) for rank in range(len(self.words))))

    def records(self, count: int) -> Iterator[dict[str, object]]:
        """Yield the records of the feed in an order unlike the snapshot's."""
        for number in range(count):
            family = FAMILIES[self.rng.randrange(len(FAMILIES))]
            yield self.merge(number, family) if number % 2 else self.single(number, family)

    def size(self) -> int:
        """Draw a record size from the quantiles."""
        share = self.rng.random()
        for (low, small), (high, large) in pairwise(SIZES):
            if share <= high:
                return int(small * (large / small) ** ((share - low) / (high - low)))
        return SIZES[-1][1]

    def package(self, family: Family, count: int) -> list[str]:
        """Draw one popular package and its neighbours, skipping those that have enough advisories."""
        names = self.names[family.label]
        start = int(len(names) * self.rng.random() ** POPULARITY)
        found: list[str] = []
        for step in range(len(names)):
            name = names[(start + step) % len(names)]
            uses = self.used.get((family.label, name), 0)
            if uses < HOT_LIMIT:
                self.used[family.label, name] = uses + 1
                found.append(name)
            if len(found) == count:
                break
        return found

    def word(self) -> str:
        """Draw a word, the first ones more often."""
        return self.rng.choices(self.words, cum_weights=self.weights)[0]

    def version(self) -> str:
        """Draw a version of three numbers."""
        return f"{self.rng.randrange(9)}.{self.rng.randrange(30)}.{self.rng.randrange(20)}"

    def text(self, package: str, size: int) -> str:
        """Return sentences of about that many characters."""
        rng = self.rng
        parts: list[str] = []
        length = 0
        while length < size:
            part = rng.choice(MANNERS).format(
                noun=self.word(),
                module=self.word(),
                package=package,
                version=self.version(),
                number=rng.randrange(10_000),
                weak=rng.choice(WEAKNESSES),
                effect=rng.choice(EFFECTS),
                aside=" ".join(rng.choices(self.words, cum_weights=self.weights, k=4)),
            )
            parts.append(part)
            length += len(part) + 1
        return "\n".join(parts)

    def head(self, number: int, family: Family, package: str) -> dict[str, object]:
        """Return the members that open a record."""
        rng = self.rng
        year = 2012 + rng.randrange(14)
        day = f"{year}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
        clock = f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
        record: dict[str, object] = {
            "schema_version": "1.7.0",
            "id": f"{family.prefix}-{year}-{number:06}",
            "modified": f"{day}T{clock}Z",
            "published": f"{day}T00:00:00Z",
        }
        if rng.random() < 0.01:
            record["withdrawn"] = f"{day}T{clock}Z"
        record["aliases"] = [f"SYN-{year}-{rng.randrange(10**6):06}" for _ in range(rng.randrange(3))]
        record["summary"] = f"{package}: {rng.choice(WEAKNESSES)} {rng.choice(EFFECTS)}"
        return record

    def tail(self, package: str) -> dict[str, object]:
        """Return the members that close a record."""
        rng = self.rng
        base = f"https://example.org/{package.strip('@')}"
        references = [{"type": "ADVISORY", "url": f"{base}/advisories/{rng.randrange(10**6)}"}]
        references += [
            {"type": "FIX", "url": f"{base}/commit/{rng.getrandbits(160):040x}"} for _ in range(rng.randrange(4))
        ]
        return {"references": references, "database_specific": {"source": f"{base}/{rng.getrandbits(64):016x}"}}

    def entry(self, family: Family, package: str) -> dict[str, object]:
        """Return one affected package with its fixed version."""
        named = {"ecosystem": family.label, "name": package, "purl": f"pkg:{family.purl}/{package}"}
        kind = "SEMVER" if family.label in {"npm", "Go", "crates.io"} else "ECOSYSTEM"
        events = [{"introduced": "0"}, {"fixed": self.version()}]
        return {"package": named, "ranges": [{"type": kind, "events": events}]}

    def single(self, number: int, family: Family) -> dict[str, object]:
        """Return a record of one to three packages: long text, listed versions."""
        size = self.size()
        packages = self.package(family, 1 + (self.rng.random() < 0.2) + (self.rng.random() < 0.1))
        record = self.head(number, family, packages[0])
        affected = [self.entry(family, package) for package in packages]
        listed = size // 3 // 9 if self.rng.random() < 0.6 else 0
        major = self.rng.randrange(6)
        affected[0]["versions"] = [f"{major}.{n // 12}.{n % 12}" for n in range(listed)]
        fixed = 700 + 220 * len(packages)
        record["details"] = self.text(packages[0], max(60, size - fixed - 9 * listed))
        return record | {"affected": affected} | self.tail(packages[0])

    def merge(self, number: int, family: Family) -> dict[str, object]:
        """Return a distribution-style record: one fix over many packages of one source."""
        size = self.size()
        count = 1 + min(size // 550, family.most)
        packages = self.package(family, count)
        record = self.head(number, family, packages[0])
        fixed = 650 + 210 * len(packages)
        record["details"] = self.text(packages[0], max(60, size - fixed))
        return record | {"affected": [self.entry(family, name) for name in packages]} | self.tail(packages[0])

    def components(self, count: int, share: float = 0.3) -> list[tuple[Family, str, str]]:
        """Draw components for an SBOM: the given share from the feed's packages, evenly, the rest unknown to it.

        A generator of its own keeps the feed the same whether or not an SBOM is drawn.
        """
        rng = random.Random(f"components {self.seed}")
        found: list[tuple[Family, str, str]] = []
        for index in range(count):
            family = FAMILIES[index % len(FAMILIES)]
            known = rng.choice(self.names[family.label])
            unknown = family.name.format(a="absent", b=f"{rng.choice(self.words)}{index}")
            version = f"{rng.randrange(9)}.{rng.randrange(30)}.{rng.randrange(20)}"
            found.append((family, known if rng.random() < share else unknown, version))
        return found


def write_ndjson(target: Path, records: Iterator[dict[str, object]]) -> None:
    """Write one compact JSON line a record."""
    with target.open("w", encoding="utf-8") as out:
        for record in records:
            out.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")


def write_zip(target: Path, records: Iterator[dict[str, object]]) -> None:
    """Write one JSON file a record, named by its identifier, as OSV's own exports are."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for record in records:
            member = zipfile.ZipInfo(f"{record['id']}.json", (1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(member, json.dumps(record, ensure_ascii=False, separators=(",", ":")))


def write_sbom(target: Path, components: list[tuple[Family, str, str]]) -> None:
    """Write a CycloneDX 1.6 document of the drawn components."""
    listed = [
        {
            "type": "library",
            "bom-ref": f"component-{index}",
            "name": name,
            "version": version,
            "purl": f"pkg:{family.purl}/{name.replace(':', '/').replace('@', '%40')}@{version}",
        }
        for index, (family, name, version) in enumerate(components)
    ]
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": listed}
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Parse the command line and write the feed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="FILE.zip or FILE.ndjson")
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--sbom", nargs=2, metavar=("COMPONENTS", "FILE"), help="write an SBOM that fits the feed as well"
    )
    options = parser.parse_args(arguments)
    feed = Feed(options.seed)
    if options.sbom:
        write_sbom(Path(options.sbom[1]), feed.components(int(options.sbom[0])))
    write = write_zip if options.target.suffix == ".zip" else write_ndjson
    write(options.target, feed.records(options.records))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
