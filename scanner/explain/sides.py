"""The inputs of one side, read: packages, what each record says about them, VEX statements, policy."""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from msgspec.structs import replace

from kit.bytes import digest
from kit.errors import StellaError
from scanner import policy
from scanner.candidates import FeedSource, Hit, Target, Undecided, Unevaluated, judge, survey
from scanner.evaluate import EvaluationInput
from scanner.explain.evidence import Held, read_apart
from scanner.explain.pairing import PackageKey, RecordKey
from scanner.policy import Policy
from scanner.sbom import Component, Sbom, read_sbom


class RecordView(msgspec.Struct, frozen=True):
    """A record of one side: digest of its line, whether it is withdrawn, and the digest of each member."""

    digest: str
    withdrawn: bool
    members: Mapping[str, str]


Views = Mapping[RecordKey, list[RecordView]]
"""The records of one side by (feed, id)."""


class Outcomes(msgspec.Struct):
    """What the records of one id say about one package."""

    hits: list[Hit] = msgspec.field(default_factory=list)
    withdrawn: list[Hit] = msgspec.field(default_factory=list)
    undecided: list[Undecided] = msgspec.field(default_factory=list)

    @property
    def digests(self) -> set[str]:
        """The lines that say it."""
        return {one.digest for one in (*self.hits, *self.withdrawn)} | {one.digest for one in self.undecided}


Judgements = Mapping[PackageKey, Mapping[RecordKey, Outcomes]]


class Side(msgspec.Struct, frozen=True):
    """One side's inputs.

    ``targets`` are the packages of all ecosystems that either side has records of; ``covered`` names the feeds of this
    side by ecosystem.
    """

    given: EvaluationInput
    sbom: Sbom
    rules: Policy
    evidence: Held
    targets: Mapping[PackageKey, Target]
    components: Mapping[str, Component]
    covered: Mapping[str, frozenset[str]]


def target_key(target: Target) -> PackageKey:
    """Return what identifies a target in the outputs."""
    return target.purl, target.package.ecosystem, target.package.name, target.package.version


def read_sides(recorded: EvaluationInput, replayed: EvaluationInput) -> tuple[Side, Side] | None:
    """Return both sides' inputs, ``None`` where this engine refuses one that the recording engine took."""
    everything = {ecosystem for given in (recorded, replayed) for feed in given.feeds for ecosystem in feed.ecosystems}
    try:
        first = _read_side(recorded, everything, {})
        return first, _read_side(replayed, everything, first.evidence)
    except StellaError:
        return None


def not_evaluated(side: Side, ref: str, covered: Collection[str]) -> Unevaluated | None:
    """Return why a component would not be evaluated with feeds of these ecosystems, ``None`` where it would be."""
    component = side.components.get(ref)
    if component is None:
        return None
    _, unevaluated = survey(replace(side.sbom, components=(component,)), covered)
    return unevaluated[0] if unevaluated else None


def _read_side(given: EvaluationInput, everything: Collection[str], known: Held) -> Side:
    sbom = read_sbom(given.sbom)
    covered: dict[str, set[str]] = {}
    for feed in given.feeds:
        for ecosystem in feed.ecosystems:
            covered.setdefault(ecosystem, set()).add(feed.name)
    targets, _ = survey(sbom, everything)
    return Side(
        given=given,
        sbom=sbom,
        rules=policy.load(given.policy, time=given.time),
        evidence=read_apart(given.reachability, given.time, known),
        targets={target_key(target): target for target in targets},
        components={component.ref: component for component in sbom.components},
        covered={ecosystem: frozenset(names) for ecosystem, names in covered.items()},
    )


def judged(feeds: Iterable[FeedSource], targets: Iterable[Target]) -> Judgements:
    """Return what one side's feeds say about targets."""
    ordered = sorted({target_key(one): one for one in targets}.items())
    found = judge([target for _, target in ordered], feeds)
    by_package: dict[PackageKey, dict[RecordKey, Outcomes]] = {}
    for number, (key, _) in enumerate(ordered):
        mine = by_package.setdefault(key, {})
        for hit in found.hits.get(number, ()):
            mine.setdefault((hit.feed, hit.id), Outcomes()).hits.append(hit)
        for hit in found.withdrawn.get(number, ()):
            mine.setdefault((hit.feed, hit.id), Outcomes()).withdrawn.append(hit)
        for one in found.undecided.get(number, ()):
            mine.setdefault((one.feed, one.id), Outcomes()).undecided.append(one)
    return by_package


def view(feeds: Iterable[FeedSource], packages: Iterable[tuple[str, str]], wanted: Collection[RecordKey]) -> Views:
    """Return the wanted records, (feed, id), out of those of some packages, (ecosystem, name)."""
    found: dict[RecordKey, list[RecordView]] = {}
    asked = sorted(set(packages))
    for feed in feeds if wanted else ():
        for _, line in feed.records([package for package in asked if package[0] in feed.ecosystems]):
            try:
                members = _MEMBERS.decode(line)
                key = feed.name, msgspec.json.decode(members.get("id", b""), type=str)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # the evaluation lists it as unreadable
            if key in wanted:
                withdrawn = bytes(members.get("withdrawn", b"null")) != b"null"
                digests = {name: digest.of_bytes(bytes(value)) for name, value in members.items()}
                found.setdefault(key, []).append(RecordView(digest.of_bytes(line), withdrawn, digests))
    return found


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
