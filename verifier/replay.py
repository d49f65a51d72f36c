"""The replay: evaluate the verified inputs again and compare the outputs with the recorded ones.

See docs/format.md section 6.
"""

import gc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from kit.bundle import MemberSource
from kit.bytes import digest
from kit.errors import MatchContractDiffers
from kit.manifest import Manifest
from kit.reachability import GraphInput, TraceInput
from kit.result import OutputEntry
from kit.snapshot import SnapshotReader
from scanner.engine import MATCH_CONTRACT

if TYPE_CHECKING:
    from scanner.evaluate import EvaluationInput, FeedSource

MAX_DOCUMENT = 64 << 20


class Comparison(msgspec.Struct, frozen=True):
    """Replayed outputs beside the recorded digests."""

    outputs: Mapping[str, bytes]
    entries: tuple[OutputEntry, ...]

    @property
    def equal(self) -> bool:
        """Tell whether every member is byte for byte the recorded one, none missing, none added."""
        return all(entry.equal for entry in self.entries)


def evaluation_input(
    manifest: Manifest, source: MemberSource, opened: Mapping[str, SnapshotReader] | None = None
) -> "EvaluationInput":
    """Return the evaluation's input as a manifest and the verified members of its input bundle give it.

    ``opened`` are readers, by path of the feed, that the checks have made already. Raises
    :class:`MatchContractDiffers` for a feed that was indexed under other rules.
    """
    from scanner.evaluate import EvaluationInput

    inputs, opened = manifest.inputs, opened or {}
    feeds = [opened.get(feed.path) or SnapshotReader(source, feed.path, feed.snapshot_hash) for feed in inputs.feeds]
    for feed in feeds:
        check_contract(feed)
    return EvaluationInput(
        scan_id=manifest.scan.id,
        time=manifest.scan.time,
        subject=manifest.subject.name,
        sbom=source.read(inputs.sbom.path, limit=MAX_DOCUMENT),
        feeds=feeds,
        vex=[(document.name, source.read(document.path, limit=MAX_DOCUMENT)) for document in inputs.vex],
        policy=source.read(inputs.rules[0].path, limit=MAX_DOCUMENT),
        reachability=_reachability(manifest, source),
    )


def _reachability(manifest: Manifest, source: MemberSource) -> list[tuple[GraphInput | TraceInput, bytes | None]]:
    """Return graphs and traces with their bytes; the bytes of one that is only named are ``None``."""
    section = manifest.reachability
    named: list[GraphInput | TraceInput] = []
    if section is not None:
        named += section.graphs
        named += section.runtime_traces
    return [(entry, source.read(entry.path, limit=MAX_DOCUMENT) if entry.path else None) for entry in named]


def check_contract(feed: SnapshotReader) -> None:
    """Refuse a snapshot whose index was made under other matching rules than the running engine's.

    The index is looked up by normalised package names: another normaliser finds less in it, and nothing would show
    that. A snapshot that does not name its rules is refused as well: whatever ``stella feed add`` makes names them.
    """
    found = feed.info.match_contract
    if found != MATCH_CONTRACT:
        raise MatchContractDiffers(path=feed.name, expected=MATCH_CONTRACT, found=(found or "not recorded")[:64])


def run(inputs: "EvaluationInput") -> dict[str, bytes]:
    """Evaluate, with the cycle collector at rest: the evaluation makes no cycles and is short."""
    from scanner.evaluate import evaluate

    collecting = gc.isenabled()
    gc.disable()
    try:
        return evaluate(inputs)
    finally:
        if collecting:
            gc.enable()


def compare(manifest: Manifest, outputs: Mapping[str, bytes]) -> Comparison:
    """Hold replayed outputs against the digests of the manifest's output bundle."""
    recorded = {member.path: member.digest for member in manifest.bundles.output.members}
    replayed = {path: digest.of_bytes(data) for path, data in outputs.items()}
    entries = tuple(
        OutputEntry(
            path=path,
            recorded=recorded.get(path),
            replayed=replayed.get(path),
            equal=recorded.get(path) == replayed.get(path),
        )
        for path in sorted(recorded.keys() | replayed.keys())
    )
    return Comparison(outputs, entries)


def with_feeds(inputs: "EvaluationInput", feeds: Sequence["FeedSource"]) -> "EvaluationInput":
    """Return the same input with the feeds of the same names replaced, others kept; order stays by name."""
    merged = {feed.name: feed for feed in inputs.feeds} | {feed.name: feed for feed in feeds}
    return replace(inputs, feeds=[merged[name] for name in sorted(merged)])


def with_policy(inputs: "EvaluationInput", policy: bytes) -> "EvaluationInput":
    """Return the same input under another policy."""
    return replace(inputs, policy=policy)
