"""Reachability: what call graphs and runtime traces say about the packages of findings (docs/matching.md section 8.4).

Evidence is about packages: a package is reachable if a path of calls leads from an entry point into it, or if a run
was seen to use it. What the evidence cannot tell is ``unknown``, never ``unreachable``.
"""

from scanner.reachability.documents import (
    GRAPH_SCHEMA,
    TRACE_SCHEMA,
    GraphDocument,
    TraceDocument,
    coverage,
    read,
)
from scanner.reachability.evidence import REACHABLE, UNKNOWN, UNREACHABLE, About, Evidence, Joined, Source, Verdict

__all__ = [
    "GRAPH_SCHEMA",
    "REACHABLE",
    "TRACE_SCHEMA",
    "UNKNOWN",
    "UNREACHABLE",
    "About",
    "Evidence",
    "GraphDocument",
    "Joined",
    "Source",
    "TraceDocument",
    "Verdict",
    "coverage",
    "read",
]
