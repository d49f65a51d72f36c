"""What differs between two inputs, and the cause of what no input accounts for (docs/matching.md section 9.2)."""

from collections.abc import Mapping
from functools import cached_property

import msgspec

from kit.bytes import digest
from kit.errors import StellaError
from scanner import difference, policy
from scanner.difference import Cause
from scanner.evaluate import EvaluationInput
from scanner.explain.sides import Side, read_sides
from scanner.outputs import VerdictDocument


class Identity(msgspec.Struct, frozen=True):
    """The inputs of one side by name and digest."""

    scan: tuple[str, str, str]
    sbom: str
    feeds: Mapping[str, str]
    vex: Mapping[str, str]
    policy: tuple[str, str]
    reachability: Mapping[str, str | None]

    @classmethod
    def of_input(cls, given: EvaluationInput) -> "Identity":
        """Return the identity of inputs that are at hand."""
        try:
            rules = policy.load(given.policy, time=given.time).digest
        except StellaError:  # an engine that knew more wrote it
            rules = digest.of_bytes(given.policy)
        return cls(
            scan=(given.scan_id, given.time, given.subject),
            sbom=digest.of_bytes(given.sbom),
            feeds={feed.name: feed.snapshot_digest for feed in given.feeds},
            vex={name: digest.of_bytes(data) for name, data in given.vex},
            policy=(rules, given.time),
            reachability={
                entry.cas_uri: None if data is None else digest.of_bytes(data) for entry, data in given.reachability
            },
        )

    @classmethod
    def of_verdict(cls, verdict: VerdictDocument) -> "Identity":
        """Return the identity of the inputs that a verdict names."""
        scan, inputs = verdict.scan, verdict.inputs
        return cls(
            scan=(scan.id, scan.time, scan.subject),
            sbom=inputs.sbom,
            feeds={feed.name: feed.digest for feed in inputs.feeds},
            vex={document.name: document.digest for document in inputs.vex},
            policy=(inputs.policy.digest, scan.time),
            reachability={one.cas_uri: one.digest for one in inputs.reachability},
        )


class Inputs:
    """The two inputs, and which of their parts differ.

    Without ``given`` nothing but the identities is known, and of several inputs that differ none can be blamed.
    """

    def __init__(
        self,
        recorded: Identity | None,
        replayed: Identity | None,
        given: tuple[EvaluationInput, EvaluationInput] | None,
        *,
        engine_changed: bool,
    ) -> None:
        self._recorded = recorded
        self._replayed = replayed
        self.given = given
        self.engine_changed = engine_changed
        self.contract_changed = False
        self.too_large = False

    @cached_property
    def sides(self) -> tuple[Side, Side] | None:
        """Both inputs, read; ``None`` where they are not at hand or not for this engine to read."""
        return read_sides(*self.given) if self.given else None

    @cached_property
    def feeds(self) -> frozenset[str]:
        """The names of feeds that one side lacks or that are at different snapshots."""
        return _differing(*((one.feeds if one else {}) for one in (self._recorded, self._replayed)))

    @cached_property
    def vex(self) -> frozenset[str]:
        """The names of VEX documents that one side lacks or that differ."""
        return _differing(*((one.vex if one else {}) for one in (self._recorded, self._replayed)))

    @cached_property
    def policy(self) -> bool:
        """Whether the policy differs, or the time at which its rules end is judged."""
        return self._differ("policy")

    @cached_property
    def sbom(self) -> bool:
        """Whether the SBOM differs."""
        return self._differ("sbom")

    @cached_property
    def reachability(self) -> bool:
        """Whether the evidence of reachability differs: what is named, what is there, or its content."""
        return self._differ("reachability")

    @cached_property
    def scan(self) -> bool:
        """Whether the scan's own identity differs."""
        return self._differ("scan")

    @cached_property
    def differ(self) -> bool:
        """Whether any input differs; the engine is none."""
        return bool(self.feeds or self.vex or self.policy or self.sbom or self.reachability or self.scan)

    def otherwise(self, before: object = None, after: object = None) -> Cause:
        """Return the cause of what no change of an input accounts for."""
        if before is not None and after is not None and difference.same_but_for_order(before, after):
            return Cause(difference.ORDERING, "the same values in another order")
        if self.contract_changed:
            return Cause(difference.ENGINE_CONTRACT, "the matching contract differs")
        if self.engine_changed:
            return Cause(difference.TOOL, "the engine differs")
        if self.too_large:
            return Cause(difference.UNEXPLAINED, "both inputs together are beyond the limits of one evaluation")
        if self.given is not None:
            return Cause(difference.UNEXPLAINED, "no difference between the inputs accounts for this")
        if self._recorded is None or self._replayed is None:
            return Cause(difference.UNEXPLAINED, "it is not known which inputs differ")
        return self._as_a_whole()

    def _as_a_whole(self) -> Cause:
        """Return what can be said where the inputs are not at hand."""
        named = [f"feed {name}" for name in sorted(self.feeds)] + [f"VEX document {name}" for name in sorted(self.vex)]
        others = (("policy or time", self.policy), ("SBOM", self.sbom), ("evidence of reachability", self.reachability))
        named += [word for word, differs in others if differs]
        if len(named) == 1:
            return Cause(difference.INPUT, f"{named[0]} is all that differs; its parts are not at hand")
        if named:
            return Cause(difference.UNEXPLAINED, f"one of these, and none of them is at hand: {', '.join(named)}")
        return Cause(difference.UNEXPLAINED, "no difference between the inputs accounts for this")

    def _differ(self, part: str) -> bool:
        if self._recorded is None or self._replayed is None:
            return False
        return bool(getattr(self._recorded, part) != getattr(self._replayed, part))


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
