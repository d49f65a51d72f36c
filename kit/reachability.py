"""The manifest's section on reachability: call graphs and runtime traces by content (docs/format.md section 3.1)."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from kit import layout
from kit.errors import DigestMismatch, FileMissing, MalformedDocument

HASH_ALGORITHMS = {"blake3": "blake3-256", "sha256": "sha256"}
"""Algorithms by which evidence may be named: prefix of the hash, and ``hashAlg``."""

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the section's records."""


class CodeIdCoverage(_Document, frozen=True):
    """How many nodes of a call graph carry an id by name and an id by code; the percentage is of the latter."""

    total_nodes: int
    nodes_with_symbol_id: int
    nodes_with_code_id: int
    coverage_percent: int


class GraphInput(_Document, frozen=True):
    """One call graph by its content: ``hash`` names it where it was made, by the algorithm ``hash_alg``.

    With ``path`` and ``digest`` it travels in the input bundle; ``digest`` is always SHA-256 and is what is verified. A
    hash by another algorithm is carried as declared. Without them the graph is named and not there.
    """

    cas_uri: str
    hash: str
    hash_alg: str
    path: str | None = None
    digest: str | None = None
    code_id_coverage: CodeIdCoverage | None = None


class TraceInput(_Document, frozen=True):
    """One runtime trace, as :class:`GraphInput`; ``recorded_at`` is the end of the observation, if it is known."""

    cas_uri: str
    hash: str
    hash_alg: str
    recorded_at: str | None = None
    path: str | None = None
    digest: str | None = None


class Reachability(_Document, frozen=True):
    """The evidence of reachability; both arrays ascend by ``cas_uri``."""

    graphs: tuple[GraphInput, ...] = ()
    runtime_traces: tuple[TraceInput, ...] = ()


def check(section: Reachability, members: Mapping[str, str]) -> set[str]:
    """Hold the section against itself and the input bundle's members, digests by path; return the paths it names.

    Raises :class:`FileMissing` for a member that is not there, :class:`DigestMismatch`, :class:`MalformedDocument`.
    """
    sections: tuple[tuple[str, str, Sequence[GraphInput | TraceInput]], ...] = (
        ("/reachability/graphs", layout.GRAPH_URI, section.graphs),
        ("/reachability/runtimeTraces", layout.TRACE_URI, section.runtime_traces),
    )
    paths: set[str] = set()
    for pointer, prefix, entries in sections:
        for position, entry in enumerate(entries):
            _check_entry(entry, prefix, f"{pointer}/{position}")
            if entry.path is None:
                continue
            found = members.get(entry.path)
            if found is None:
                raise FileMissing(path=entry.path, pointer=f"{pointer}/{position}")
            if found != entry.digest:
                raise DigestMismatch(path=entry.path, expected=entry.digest or "none", found=found)
            paths.add(entry.path)
        if any(left.cas_uri >= right.cas_uri for left, right in pairwise(entries)):
            raise MalformedDocument(pointer=pointer, detail="casUri must ascend and be unique")
    return paths


def _check_entry(entry: GraphInput | TraceInput, prefix: str, pointer: str) -> None:
    """Hold one piece of evidence against itself: its URI, its hash and, where it travels, its digest."""
    algorithm, _, value = entry.hash.partition(":")
    if HASH_ALGORITHMS.get(algorithm) != entry.hash_alg or not _HASH.fullmatch(value):
        raise MalformedDocument(pointer=f"{pointer}/hash", found=entry.hash[:80])
    if entry.cas_uri != prefix + entry.hash:
        raise MalformedDocument(pointer=f"{pointer}/casUri", expected=prefix + entry.hash, found=entry.cas_uri[:120])
    if (entry.path is None) != (entry.digest is None):
        raise MalformedDocument(pointer=pointer, detail="path and digest come together")
    if entry.digest is not None and algorithm == "sha256" and entry.digest != entry.hash:
        raise DigestMismatch(path=entry.path or "", pointer=pointer, expected=entry.hash, found=entry.digest)
    if isinstance(entry, TraceInput) and entry.path is not None and entry.recorded_at is None:
        raise MalformedDocument(pointer=f"{pointer}/recordedAt", detail="a trace that travels has its time")
